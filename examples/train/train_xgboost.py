#!/usr/bin/env python3
"""Trains an XGBoost model on DIR/vectors.csv and DIR/labels.csv.

Usage: train_xgboost.py DIR

It writes DIR/xgboost/: model.ubj, rows.csv (a sample with XGBoost's own predictions) and training.yaml, from which
`recstream model build` makes a bundle. Two runs on one machine write the same bytes.
"""

import pathlib
import sys

import xgboost as xgb

import dataset

PARAMETERS = {
    "objective": "binary:logistic", "max_depth": 5, "eta": 0.08, "min_child_weight": 10, "tree_method": "hist",
    "seed": 1, "nthread": 1,
}
TREES = 100


def main(directory):
    names, matrix, label, requests = dataset.load(directory)
    when = dataset.times(directory)
    known, later = dataset.split(requests, when)
    types = ["c" if name == "group_size" else "float" for name in names]

    def frame(rows, y=None):
        return xgb.DMatrix(rows, y, feature_names=names, feature_types=types, enable_categorical=True)

    model = xgb.train(PARAMETERS, frame(matrix[known], label[known]), num_boost_round=TREES)
    score = dataset.auc(label[later], model.predict(frame(matrix[later])))

    out = directory / "xgboost"
    out.mkdir(exist_ok=True)
    model.save_model(out / "model.ubj")
    rows = matrix[known][dataset.sample(known.sum())]
    dataset.write_sample(out / "rows.csv", names, rows, model.predict(frame(rows)))
    dataset.write_training(out / "training.yaml", when, int(known.sum()), {"auc": round(float(score), 4)}, "examples/train")
    print(f"{out}: {model.num_boosted_rounds()} trees, auc {score:.4f} on the {later.sum()} latest rows")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
