"""Trains the models of make bench-forest.

  train.py DIRECTORY    writes 100x31.txt, 300x31.txt and 500x63.txt: trees x leaves, binary

The rows are made up: 20 features of the request, then 20 of the item, all drawn from the normal distribution
and rounded to float32, as the benchmark draws its own. Whether somebody watches depends on both and on how they
go together, so trees split on both.
"""

import pathlib
import sys

import lightgbm
import numpy as np

SHAPES = ((100, 31), (300, 31), (500, 63))
ROWS, WIDTH = 60_000, 20


def training_data():
    random = np.random.default_rng(20)
    x = random.normal(size=(ROWS, 2 * WIDTH)).astype(np.float32).astype(np.float64)
    request, item = x[:, :WIDTH], x[:, WIDTH:]
    logit = (
        0.5 * (request[:, :10] * item[:, :10]).sum(axis=1)
        + 0.5 * np.sin(2 * request[:, 10:15]).sum(axis=1)
        + 0.4 * np.abs(item[:, 10:15]).sum(axis=1)
        + np.where(item[:, 15] > 0, request[:, 15], 0)
        - 1.6
    )
    return x, random.random(ROWS) < 1 / (1 + np.exp(-logit))


def main():
    directory = pathlib.Path(sys.argv[1])
    x, watched = training_data()
    for trees, leaves in SHAPES:
        parameters = {
            "objective": "binary",
            "num_leaves": leaves,
            "learning_rate": 0.1,
            "seed": 1,
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }
        model = lightgbm.train(parameters, lightgbm.Dataset(x, watched), trees)
        model.save_model(directory / f"{trees}x{leaves}.txt")


main()
