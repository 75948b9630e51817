"""Trains models with an old XGBoost, for testdata/xgboost/old.zip.

    python -m venv v && v/bin/pip install xgboost==1.1.1 "numpy<1.24" "scipy<1.11"
    v/bin/python xgboost_old.py DIRECTORY

for each of 1.1.1, 1.3.3, 1.7.6 and 2.1.4; then python -m oracle zip DIRECTORY old.zip.
What they predict is up to the XGBoost of today: xgboost_vectors.py.
"""

import os
import sys

import numpy as np
import xgboost as xgb

VERSION = tuple(int(part) for part in xgb.__version__.split("."))


def dataset(label):
    rng = np.random.RandomState(5)
    n = 400
    x = rng.randn(n, 8) * [1, 100, 1e-3, 1, 1e6, 1, 1, 1]
    x[:, 5], x[:, 6] = rng.randint(0, 12, n), rng.randint(0, 150, n)
    score = x[:, 0] + np.sin(x[:, 1] / 50) + np.cos(x[:, 5] * 2) + np.sin(x[:, 6]) + 0.2 * rng.randn(n)
    x[rng.rand(n, 8) < 0.07] = np.nan
    y = {"binary": score > 0.4, "real": 3 * score, "class3": np.digitize(score, [-0.5, 1]),
         "count": rng.poisson(np.exp(np.clip(score / 2, -5, 3)))}[label]
    more = {}
    if VERSION >= (1, 7):
        more = dict(feature_types=["q"] * 5 + ["c"] * 2 + ["q"], enable_categorical=True)
    return xgb.DMatrix(x, np.asarray(y, dtype=float), **more)


def main(out):
    for name, label, params in [
        ("binary", "binary", dict(objective="binary:logistic", base_score=0.3)),
        ("logitraw", "binary", dict(objective="binary:logitraw")),
        ("pruned", "real", dict(objective="reg:squarederror", gamma=40)),
        ("poisson", "count", dict(objective="count:poisson")),
        ("softprob", "class3", dict(objective="multi:softprob", num_class=3)),
        ("dart", "binary", dict(objective="binary:logistic", booster="dart", rate_drop=0.4)),
    ]:
        method = "approx" if VERSION >= (1, 7) else "exact"
        booster = xgb.train(dict(dict(max_depth=3, tree_method=method, nthread=1), **params), dataset(label), 3)
        file = "%s-%s.json" % (xgb.__version__, name)
        booster.save_model(os.path.join(out, file))
    if VERSION >= (1, 7):
        booster.save_model(os.path.join(out, "%s-dart-ubj.ubj" % xgb.__version__))


if __name__ == "__main__":
    main(sys.argv[1])
