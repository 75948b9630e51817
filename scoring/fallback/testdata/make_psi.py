#!/usr/bin/env python3
"""Makes psi.json: the population stability index that Evidently computes of pairs of samples.

Usage: make_psi.py   (with the packages of requirements.txt beside it)

Each case has what the bins hold of the reference, "expected", and of the current sample, "actual", and Evidently's
index of the samples themselves, "psi". Numbers of more than 20 different values fall into the bins that
Evidently chooses (Sturges' rule over both samples); the values of a category have a bin each. Two runs write the
same bytes.
"""

import json
import pathlib

import numpy as np
import pandas as pd
from evidently.legacy.calculations.stattests import psi_stat_test
from evidently.legacy.core import ColumnType

HERE = pathlib.Path(__file__).parent
RNG = np.random.default_rng(23)


def numerical(reference, current):
    """Returns the bins of two samples of numbers, and Evidently's index."""
    bins = np.histogram_bin_edges(np.concatenate([reference, current]), bins="sturges")
    counts = [np.histogram(sample, bins)[0].tolist() for sample in (reference, current)]
    psi = psi_stat_test(pd.Series(reference), pd.Series(current), ColumnType.Numerical, 0.1).drift_score
    return {"expected": counts[0], "actual": counts[1], "psi": float(psi)}


def categorical(expected, actual):
    """Returns the bins that hold anything, and Evidently's index of samples that fill them so."""
    expected, actual = map(list, zip(*((e, a) for e, a in zip(expected, actual) if e + a > 0)))
    samples = [pd.Series(np.repeat(np.arange(len(c)), c)) for c in (expected, actual)]
    psi = psi_stat_test(*samples, ColumnType.Categorical, 0.1).drift_score
    return {"expected": expected, "actual": actual, "psi": float(psi)}


def cases():
    normal = RNG.normal(0, 1, 5000)
    yield "the same sample", numerical(normal, normal)
    for shift in (0.1, 0.5, 2.0, 20.0):  # the last leaves bins between the samples that are empty in both
        yield f"normal, shifted by {shift}", numerical(normal, RNG.normal(shift, 1, 3000))
    yield "normal, wider", numerical(normal, RNG.normal(0, 3, 700))
    yield "predictions", numerical(RNG.beta(2, 5, 20000), RNG.beta(5, 2, 5000))
    yield "skewed", numerical(RNG.lognormal(0, 2, 30000), RNG.lognormal(1, 2, 50000))
    yield "equal shares", categorical([10, 20, 30], [100, 200, 300])
    yield "one bin", categorical([500], [20])
    yield "reversed", categorical([10, 20, 70], [70, 20, 10])
    yield "empty bins of either", categorical([100, 0, 300, 50], [0, 40, 300, 0])
    yield "nothing in common", categorical([100, 0], [0, 100])
    yield "smallest share 0.0001", categorical([1, 9999, 0], [5000, 0, 5000])
    yield "smallest share above 0.0001", categorical([2, 9998, 0], [5000, 0, 5000])
    yield "tiny shares", categorical([1, 39999, 0, 60000], [0, 3, 99997, 0])
    for i in range(20):
        shares = RNG.dirichlet(np.full(20, 0.7), 2)
        sizes = RNG.integers(100, 40000, 2)
        yield f"twenty bins {i}", categorical(*(RNG.multinomial(n, p).tolist() for n, p in zip(sizes, shares)))


def main():
    lines = ",\n".join(json.dumps({"name": name, **case}) for name, case in cases())
    (HERE / "psi.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
