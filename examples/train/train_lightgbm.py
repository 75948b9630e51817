#!/usr/bin/env python3
"""Trains a LightGBM model on DIR/vectors.csv and DIR/labels.csv.

Usage: train_lightgbm.py DIR

It writes DIR/lightgbm/: model.txt, rows.csv (a sample with LightGBM's own predictions) and training.yaml, from
which `recstream model build` makes a bundle. Two runs on one machine write the same bytes.
"""

import pathlib
import sys

import lightgbm as lgb

import dataset

PARAMETERS = {
    "objective": "binary", "num_leaves": 31, "learning_rate": 0.05, "min_data_in_leaf": 50, "seed": 1,
    "deterministic": True, "force_row_wise": True, "num_threads": 1, "verbosity": -1,
}
TREES = 120


def main(directory):
    names, matrix, label, requests = dataset.load(directory)
    when = dataset.times(directory)
    known, later = dataset.split(requests, when)
    # group_size is a category: declared with kind category, its values are 0, 1 and 2 here and in serving.
    data = lgb.Dataset(matrix[known], label[known], feature_name=names, categorical_feature=["group_size"])
    model = lgb.train(PARAMETERS, data, num_boost_round=TREES)
    score = dataset.auc(label[later], model.predict(matrix[later], num_threads=1))

    out = directory / "lightgbm"
    out.mkdir(exist_ok=True)
    model.save_model(out / "model.txt")
    rows = matrix[known][dataset.sample(known.sum())]
    dataset.write_sample(out / "rows.csv", names, rows, model.predict(rows, num_threads=1))
    dataset.write_training(out / "training.yaml", when, int(known.sum()), {"auc": round(score, 4)}, "examples/train")
    print(f"{out}: {model.num_trees()} trees, auc {score:.4f} on the {later.sum()} latest rows")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
