#!/usr/bin/env python3
"""Makes the small LightGBM models beside it, which the tests of loading and of refusing read.

Usage: make_models.py   (with the packages of internal/demo/data/requirements.txt)

other.txt is a good model, trained on other simulated households than the demo model; constant.txt is
well-formed and predicts one value for everything. All others must be refused, each for the reason in its name.
Two runs write the same bytes.
"""

import pathlib
import sys

import lightgbm as lgb

HERE = pathlib.Path(__file__).parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parents[2] / "internal" / "demo" / "data"))

import train as demo  # noqa: E402

OTHER_SEED = demo.SEED + 1
SMALL = {"num_leaves": 7, "min_data_in_leaf": 20}
SMALL_TREES = 3


def main():
    catalogue = demo.Catalogue(demo.HERE / "catalog.csv")
    matrix, label, _ = demo.simulate(catalogue, OTHER_SEED, households=1000)
    save("other", demo.train(matrix, label, trees=20, seed=OTHER_SEED))
    save("constant", fit(matrix, label, min_data_in_leaf=len(label)))
    save("objective_regression", fit(matrix, label, objective="regression"))
    save("linear_tree", fit(matrix, label, linear_tree=True))
    save("multiclass", fit(matrix, label + matrix[:, 0], objective="multiclass", num_class=3))
    save("categorical", fit(matrix, label, categorical=["year"]))
    save("reordered", fit(matrix[:, ::-1], label, names=demo.FEATURES[::-1]))
    save("without_year", fit(matrix[:, :-1], label, names=demo.FEATURES[:-1]))


def fit(matrix, label, names=demo.FEATURES, categorical=(), **overrides):
    """Returns a model of a few small trees that differs from the demo model in one thing."""
    parameters = demo.PARAMETERS | SMALL | overrides
    data = lgb.Dataset(matrix, label, feature_name=list(names), categorical_feature=list(categorical),
                       params=parameters)
    return lgb.train(parameters, data, num_boost_round=SMALL_TREES)


def save(name, model):
    text = model.model_to_string().encode()
    (HERE / f"{name}.txt").write_bytes(text)
    print(f"{name}.txt: {model.num_trees()} trees, {len(text)} bytes")


if __name__ == "__main__":
    main()
