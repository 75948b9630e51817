"""Contributions of models with many features, whose paths are longer than those of the other generators.

    python shap_vectors.py OUTDIR            models of the sizes that are served, and longer paths; 300 rows each
    python shap_vectors.py --small OUTDIR    few trees and rows, those of testdata/shap/small.zip
"""

import argparse

import lightgbm as lgb
import numpy as np
import xgboost as xgb

from oracle import save

FEATURES = 40


def data(rng, n):
    """Half of the columns are numbers, half of them flags; some values are missing."""
    x = rng.standard_normal((n, FEATURES)).astype(np.float32).astype(np.float64)
    x[:, 20:] = x[:, 20:] > 0.3
    x[rng.random(x.shape) < 0.02] = np.nan
    return x


def label(rng, x):
    z = np.nan_to_num(x)
    weights = np.random.default_rng(7).standard_normal(FEATURES)
    return z @ weights / 2 + z[:, 0] * z[:, 1] + np.sin(2 * z[:, 2]) * z[:, 25] + rng.standard_normal(len(x))


def outliers(rng, x):
    """A label of so long a tail that each split takes off a few rows, and trees are chains."""
    return np.exp(2.5 * label(rng, x))


def write_lightgbm(outdir, name, rng, target, rounds, rows, **params):
    x = data(rng, 8000)
    params = dict(dict(verbose=-1, num_threads=2, deterministic=True, seed=1), **params)
    text = lgb.train(params, lgb.Dataset(x, target(rng, x)), rounds).model_to_string()
    booster = lgb.Booster(model_str=text)
    x = data(rng, rows)
    save(outdir, "shap", name, "model.txt", text, x, booster.predict(x, raw_score=True), booster.predict(x),
         booster.predict(x, pred_contrib=True))


def write_xgboost(outdir, name, rng, target, rounds, rows, **params):
    x = data(rng, 4000)
    params = dict(dict(nthread=2, seed=1), **params)
    booster = xgb.train(params, xgb.DMatrix(x, target(rng, x)), rounds)
    x = data(rng, rows)
    d = xgb.DMatrix(x)
    save(outdir, "shap", name, "model.json", bytes(booster.save_raw("json")), x,
         booster.predict(d, output_margin=True), booster.predict(d), booster.predict(d, pred_contribs=True))


def main():
    args = argparse.ArgumentParser()
    args.add_argument("outdir")
    args.add_argument("--small", action="store_true")
    args = args.parse_args()
    rng = np.random.default_rng(3)
    rows = 20 if args.small else 300
    above = lambda rng, x: (label(rng, x) > 0).astype(float)
    sizes = [(3, 31)] if args.small else [(100, 31), (300, 31), (60, 255)]
    for trees, leaves in sizes:
        write_lightgbm(args.outdir, f"lightgbm-{trees}x{leaves}", rng, above, trees, rows,
                       objective="binary", num_leaves=leaves)
    few = 2 if args.small else 30
    write_lightgbm(args.outdir, "lightgbm-chains", rng, outliers, few, rows, objective="regression",
                   num_leaves=64, min_data_in_leaf=1, feature_fraction_bynode=0.15, learning_rate=0.3)
    write_xgboost(args.outdir, "xgboost-chains", rng, lambda rng, x: outliers(rng, x) ** 0.3, few, rows,
                  objective="reg:squarederror", grow_policy="lossguide", max_leaves=64, max_depth=0,
                  min_child_weight=1, colsample_bynode=0.15)
    write_xgboost(args.outdir, "xgboost-deep", rng, above, few, rows, objective="binary:logistic",
                  max_depth=6 if args.small else 16, min_child_weight=0)


if __name__ == "__main__":
    main()
