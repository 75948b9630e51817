"""LightGBM models of every kind and what LightGBM predicts with them, in the layout of oracle.py.

    python lightgbm_vectors.py OUTDIR            64 models with 4,000 rows each
    python lightgbm_vectors.py --small OUTDIR    the same kinds in few trees and rows, those of
                                                 testdata/lightgbm/small.zip, with the old formats of old.zip

Predictions are those of the model read back from its text: the text is what there is to be right about.
"""

import argparse
import pathlib
import zipfile

import lightgbm as lgb
import numpy as np

from oracle import save

NAMES = ["plain", "holes", "mostly_zero", "tiny", "few_cats", "many_cats", "sparse_cats", "whole", "größe=1;ж"]
CATEGORICAL = [4, 5, 6]
TRAIN = 3000
ZERO = float(np.float32(1e-35))  # up to where LightGBM takes a value for zero


def features(rng, n):
    """Columns of all sorts; named by NAMES."""
    x = rng.standard_normal((n, len(NAMES)))
    x[rng.random(n) < 0.3, 1] = np.nan
    x[rng.random(n) < 0.7, 2] = 0
    x[:, 3] = rng.choice([0, 1e-36, -1e-36, 1e-30, -1e-30, 1e-3, np.nan], n)
    x[:, 4] = rng.integers(0, 4, n)
    x[:, 5] = rng.integers(0, 150, n)
    x[:, 6] = rng.integers(0, 40, n) ** 2 * 37
    x[:, 7] = rng.integers(-20, 20, n)
    x[rng.random(n) < 0.05, 4] = np.nan
    x[rng.random(n) < 0.05, 6] = -1  # LightGBM takes a negative category for a missing one
    return x


def signal(rng, x):
    z = np.nan_to_num(x)
    return (z[:, 0] + 0.7 * np.isnan(x[:, 1]) - 0.8 * (z[:, 2] == 0) + (z[:, 4] == 2) + np.sin(z[:, 5])
            + 0.5 * np.cos(z[:, 6]) + 0.05 * z[:, 7] + 0.4 * z[:, 0] * z[:, 8] + 0.3 * rng.standard_normal(len(x)))


SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-36, -1e-36, ZERO, -ZERO, np.nextafter(ZERO, 1), -2 * ZERO,
           1e300, -1e300, 1e10, -1.0, -0.5, -1e-9, 2.7, 9999.0, 2.0**31, 2.0**32, 2.0**63, 0.999999, 31.0, 32.0, 63.0, 64.0]


def probe_rows(rng, n, booster, width):
    """Rows like the training data, of which many values are special or a threshold of the model or next to it."""
    x = features(rng, n) if width == len(NAMES) else rng.standard_normal((n, width))
    thresholds = {}
    for tree in booster.dump_model()["tree_info"]:
        todo = [tree["tree_structure"]]
        while todo:
            node = todo.pop()
            if "split_feature" in node:
                todo += [node["left_child"], node["right_child"]]
                if node["decision_type"] == "<=":
                    thresholds.setdefault(node["split_feature"], []).append(node["threshold"])
    for feature, values in thresholds.items():
        values = np.array(values)
        at = np.flatnonzero(rng.random(n) < 0.2)
        exact = rng.choice(values, len(at))
        side = rng.integers(-1, 2, len(at))
        x[at, feature] = np.where(side == 0, exact, np.nextafter(exact, side * np.inf))
    special = rng.random(x.shape) < 0.1
    x[special] = rng.choice(SPECIAL, special.sum())
    return x


def kinds():
    """The models: name, parameters, and how the label comes from the signal."""
    positive = lambda s: (s > 0.3).astype(float)
    rate = lambda s: 1 / (1 + np.exp(-s))
    count = lambda s: np.floor(np.exp(np.clip(s, -3, 3)))
    classes = lambda s: np.digitize(s, [-0.5, 0.5, 1.5]).astype(float)
    same = lambda s: s
    yield "binary", dict(objective="binary"), positive
    yield "binary-sigmoid", dict(objective="binary", sigmoid=0.123456789, boost_from_average=False), positive
    yield "binary-unbalanced", dict(objective="binary", is_unbalance=True, max_depth=3), positive
    yield "binary-bagged", dict(objective="binary", bagging_freq=1, bagging_fraction=0.5, feature_fraction=0.6), positive
    yield "goss", dict(objective="binary", data_sample_strategy="goss"), positive
    yield "dart", dict(objective="binary", boosting="dart", drop_rate=0.5), positive
    yield "dart-regression", dict(objective="regression", boosting="dart", xgboost_dart_mode=True, drop_rate=0.5), same
    yield "rf-binary", dict(objective="binary", boosting="rf", bagging_freq=1, bagging_fraction=0.5), positive
    yield "rf-regression", dict(objective="regression", boosting="rf", bagging_freq=1, bagging_fraction=0.5), same
    yield "rf-multiclass", dict(objective="multiclass", num_class=4, boosting="rf", bagging_freq=1, bagging_fraction=0.5), classes
    yield "zero-as-missing", dict(objective="binary", zero_as_missing=True), positive
    yield "no-missing", dict(objective="binary", use_missing=False), positive
    yield "cross-entropy", dict(objective="cross_entropy"), rate
    yield "cross-entropy-lambda", dict(objective="cross_entropy_lambda"), rate
    yield "l2", dict(objective="regression"), same
    yield "l2-sqrt", dict(objective="regression", reg_sqrt=True), lambda s: 10 * s
    yield "l1", dict(objective="regression_l1"), same
    yield "l1-sqrt", dict(objective="regression_l1", reg_sqrt=True), lambda s: 10 * s
    yield "huber", dict(objective="huber", alpha=0.7), same
    yield "fair", dict(objective="fair", fair_c=0.8), same
    yield "quantile", dict(objective="quantile", alpha=0.9), same
    yield "mape", dict(objective="mape"), lambda s: 3 + s
    yield "poisson", dict(objective="poisson"), count
    yield "gamma", dict(objective="gamma"), lambda s: 1 + count(s)
    yield "tweedie", dict(objective="tweedie", tweedie_variance_power=1.3), count
    yield "lambdarank", dict(objective="lambdarank"), classes
    yield "rank-xendcg", dict(objective="rank_xendcg"), classes
    yield "multiclass", dict(objective="multiclass", num_class=4), classes
    yield "multiclassova", dict(objective="multiclassova", num_class=4, sigmoid=0.8), classes
    yield "custom", dict(objective=lambda pred, data: (pred - data.get_label(), np.ones_like(pred))), same
    yield "one-hot-categories", dict(objective="binary", max_cat_to_onehot=200), positive
    yield "wide-sets", dict(objective="regression", max_cat_threshold=256, cat_smooth=0, cat_l2=0), same
    yield "large-values", dict(objective="regression", learning_rate=1.0), lambda s: 1e12 * s
    yield "small-values", dict(objective="regression", learning_rate=1e-9, boost_from_average=False), lambda s: 1e-20 * s
    yield "monotone", dict(objective="regression", monotone_constraints=[1, 0, 0, 0, 0, 0, 0, 1, 0]), same
    yield "constant", dict(objective="regression"), lambda s: np.full(len(s), 0.1)
    yield "one-class-never", dict(objective="multiclass", num_class=5), classes
    yield "continued", dict(objective="binary"), positive
    yield "refitted", dict(objective="binary"), positive


def train(name, params, label, small, seed):
    rng = np.random.default_rng(seed)
    x = features(rng, TRAIN)
    y = label(signal(rng, x))
    params = dict(dict(num_leaves=8 if small else 63, min_data_per_group=5, cat_smooth=1, verbose=-1,
                       num_threads=1, seed=seed, deterministic=True), **params)
    rounds = 4 if small else 40
    if "num_class" in params:
        rounds //= 2
    group = [10] * (TRAIN // 10) if "rank" in name else None

    def data():
        return lgb.Dataset(x, y, feature_name=NAMES, categorical_feature=CATEGORICAL, group=group,
                           params=dict(verbose=-1), free_raw_data=False)

    booster = lgb.train(params, data(), rounds)
    if name == "continued":
        booster = lgb.train(params, data(), rounds, init_model=booster)
    if name == "refitted":
        booster = booster.refit(x[::-1], y, decay_rate=0.3)
    return booster.model_to_string()


def record(outdir, name, text, seed, n):
    booster = lgb.Booster(params=dict(num_threads=1), model_str=text)
    x = probe_rows(np.random.default_rng(seed + 1000), n, booster, booster.num_feature())
    save(outdir, "lightgbm", name, "model.txt", text, x, booster.predict(x, raw_score=True), booster.predict(x),
         booster.predict(x, pred_contrib=True))


def main():
    args = argparse.ArgumentParser()
    args.add_argument("outdir")
    args.add_argument("--small", action="store_true")
    args = args.parse_args()
    rows = 48 if args.small else 4000
    for seed, (name, params, label) in enumerate(kinds()):
        record(args.outdir, name, train(name, params, label, args.small, seed), seed, rows)
    old = pathlib.Path(__file__).parent.parent / "lightgbm" / "old.zip"
    with zipfile.ZipFile(old) as z:
        for seed, entry in enumerate(z.namelist()):
            record(args.outdir, "old-" + entry.removesuffix(".txt"), z.read(entry).decode(), seed + 500, rows)


if __name__ == "__main__":
    main()
