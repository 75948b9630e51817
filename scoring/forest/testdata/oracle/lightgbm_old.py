"""Trains models with an old LightGBM, for testdata/lightgbm/old.zip: the text formats v2 and v3.

    python -m venv v && v/bin/pip install lightgbm==2.0.12 "numpy<1.24" "scipy<1.12" "scikit-learn<1.3"
    v/bin/python lightgbm_old.py DIRECTORY

for each of 2.0.12 and 2.1.2 and 2.2.3 (v2), 2.3.1 and 3.3.5 (v3); then python -m oracle zip DIRECTORY old.zip.
What they predict is up to the LightGBM of today: lightgbm_vectors.py.
"""

import pathlib
import sys

import lightgbm
import numpy as np


def dataset(rng, label):
    n = 400
    x = rng.randn(n, 6)
    x[:, 3] = rng.randint(0, 5, n)
    x[:, 4] = rng.randint(0, 90, n)
    x[:, 5] = np.where(rng.rand(n) < 0.5, 0, x[:, 5])
    x[rng.rand(n, 6) < 0.05] = np.nan
    x[:, 3:5] = np.nan_to_num(x[:, 3:5])
    score = np.nan_to_num(x[:, 0]) + np.sin(x[:, 4]) + (x[:, 3] == 2) + 0.3 * rng.randn(n)
    y = {"binary": score > 0.3, "regression": score, "multiclass": np.digitize(score, [0, 1])}[label]
    return lightgbm.Dataset(x, np.asarray(y, dtype=float), feature_name=["b", "c", "d", "e", "f", "g"],
                            categorical_feature=[3, 4])


def main(out):
    base = dict(num_leaves=8, min_data_per_group=5, cat_smooth=1, verbose=-1, num_threads=1)
    for name, label, params in [
        ("binary", "binary", dict(objective="binary", sigmoid=0.7)),
        ("zero", "regression", dict(objective="regression", zero_as_missing=True)),
        ("xentropy", "binary", dict(objective="xentropy")),
        ("multiclass", "multiclass", dict(objective="multiclass", num_class=3)),
        ("rf", "binary", dict(objective="binary", boosting="rf", bagging_freq=1, bagging_fraction=0.6, feature_fraction=0.8)),
    ]:
        booster = lightgbm.train(dict(base, **params), dataset(np.random.RandomState(7), label), 3)
        at = pathlib.Path(out) / ("%s-%s.txt" % (lightgbm.__version__, name))
        booster.save_model(str(at))


if __name__ == "__main__":
    main(sys.argv[1])
