"""Writes vectors.json: quantiles and overlaps by numpy, an implementation of their own.

    pip install numpy==2.4.6
    python vectors.py > vectors.json
"""

import json

import numpy as np

QUANTILES = [0, 0.1, 0.5, 0.9, 0.99, 0.999, 1]


def samples(rng):
    yield "one", [0.25]
    yield "zeros", [0.0] * 7
    yield "mostly zeros", [0.0] * 95 + [0.5, 1.0, 2.0, 4.0, 8.0]
    yield "uniform", rng.random(700).tolist()
    yield "log-normal", rng.lognormal(-5, 3, 700).tolist()
    yield "tiny and huge", (10.0 ** rng.uniform(-300, 300, 300)).tolist()
    yield "rounding errors", (rng.integers(0, 9, 300) * 2.0**-53).tolist()


def overlap(a, b, k):
    a, b = a[:k], b[:k]
    longer = max(len(a), len(b))
    return 1.0 if longer == 0 else len(np.intersect1d(a, b)) / longer


def lists(rng):
    yield [], []
    yield ["a"], []
    for n in range(60):
        size = int(rng.choice([1, 2, 3, 5, 10, 25]))
        pool = [f"i{i}" for i in range(size + n % 7)]
        a = rng.permutation(pool)[: max(1, size - n % 3)].tolist()
        b = rng.permutation(pool)[:size].tolist()
        yield a, b


def main():
    rng = np.random.default_rng(5)
    out = {"quantiles": [], "overlaps": []}
    for name, values in samples(rng):
        exact = np.quantile(values, QUANTILES, method="lower").tolist()
        out["quantiles"].append({"name": name, "values": values, "at": QUANTILES, "quantiles": exact})
    for a, b in lists(rng):
        out["overlaps"].append({"a": a, "b": b, "overlaps": [overlap(a, b, k) for k in (100, 1, 3, 10)]})
    print(json.dumps(out, separators=(",", ":")))


main()
