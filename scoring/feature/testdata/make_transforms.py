#!/usr/bin/env python3
"""Makes transforms.json: what scikit-learn and numpy compute where recstream transforms and hashes.

Usage: make_transforms.py   (with the packages of requirements.txt beside it)

Each case has the transforms as a declaration has them, with the parameters that scikit-learn fitted, inputs x
and the results y; null is NaN. hashes has texts and their MurmurHash3. Two runs write the same bytes.
"""

import json
import math
import pathlib

import numpy as np
from sklearn.preprocessing import MinMaxScaler, QuantileTransformer, StandardScaler
from sklearn.utils import murmurhash3_32

HERE = pathlib.Path(__file__).parent
RNG = np.random.default_rng(17)

# What the transforms are fitted on: durations, skewed counts, years with ties, and a constant.
COLUMNS = {
    "durations": RNG.normal(104.3, 21.7, 500),
    "counts": RNG.pareto(1.3, 500) * 17,
    "years": RNG.integers(1990, 2025, 500).astype(float),
    "ties": np.repeat([0.0, 0.5, 3.0, 90.25], [300, 50, 100, 50]),
    "negative": -RNG.exponential(1e6, 500),
    "tiny": RNG.normal(0, 1e-9, 500),
    "constant": np.full(500, 7.25),
}
QUANTILES = {"durations": 11, "counts": 33, "years": 20, "ties": 50, "negative": 8, "tiny": 5, "constant": 4}


def inputs(column):
    """Returns values seen in training and around it, and what lies far outside."""
    low, high = column.min(), column.max()
    width = high - low or 1.0
    values = [*RNG.choice(column, 12), *RNG.uniform(low - 0.2 * width, high + 0.2 * width, 16)]
    values += [low, high, np.nextafter(low, high), np.nextafter(high, low), 0.0, -1e280, 1e280, math.nan]
    return np.array(values).reshape(-1, 1)


def fitted(name, column):
    """Yields each scaler with the transform that declares it."""
    data = column.reshape(-1, 1)
    standard = StandardScaler().fit(data)
    yield "standardise", standard, {"mean": standard.mean_[0], "scale": standard.scale_[0]}
    minmax = MinMaxScaler().fit(data)
    yield "min_max", minmax, {"min": minmax.data_min_[0], "max": minmax.data_max_[0]}
    quantile = QuantileTransformer(n_quantiles=QUANTILES[name]).fit(data)
    yield "quantile", quantile, {"quantiles": quantile.quantiles_[:, 0].tolist()}


def cases():
    for name, column in COLUMNS.items():
        x = inputs(column)
        for kind, scaler, parameters in fitted(name, column):
            yield f"{kind} {name}", [{"kind": kind, **parameters}], x, scaler.transform(x)
    x = inputs(COLUMNS["counts"])
    known = x[~(x <= -1)].reshape(-1, 1)
    yield "log1p", [{"kind": "log1p"}], known, np.log1p(known)
    yield "clip", [{"kind": "clip", "min": 2.5, "max": 40}], x, np.clip(x, 2.5, 40)
    yield "clip above", [{"kind": "clip", "max": 40}], x, np.clip(x, None, 40)
    yield "clip below", [{"kind": "clip", "min": 0}], x, np.clip(x, 0, None)
    logs = StandardScaler().fit(np.log1p(COLUMNS["counts"].reshape(-1, 1)))
    chain = [{"kind": "clip", "min": 0}, {"kind": "log1p"},
             {"kind": "standardise", "mean": logs.mean_[0], "scale": logs.scale_[0]}]
    yield "clip, log1p, standardise", chain, x, logs.transform(np.log1p(np.clip(x, 0, None)))


def hashes():
    texts = ["", "a", "ab", "abc", "abcd", "abcde", "Star Wars", "10-000-b-c-2008", "Amélie", "映画", "x" * 257]
    return {text: murmurhash3_32(text, seed=0, positive=True) for text in texts}


def numbers(column):
    return [None if math.isnan(v) else v for v in column.ravel().tolist()]


def main():
    result = {
        "cases": [{"name": n, "transforms": t, "x": numbers(x), "y": numbers(y)} for n, t, x, y in cases()],
        "hashes": hashes(),
    }
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    (HERE / "transforms.json").write_text(text.replace('{"name"', '\n{"name"') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
