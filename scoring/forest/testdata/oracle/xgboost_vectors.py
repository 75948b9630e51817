"""Trains XGBoost models of every kind that scoring/forest reads, and writes what XGBoost predicts with them.

    python xgboost_vectors.py OUTDIR            large models, many rows, each model in JSON and in UBJSON,
                                                and, as xgboost-mutants, models with spoiled numbers
    python xgboost_vectors.py --small OUTDIR    the committed ones; then: python -m oracle zip OUTDIR/xgboost small.zip

Raw scores are predict(output_margin=True), contributions pred_contribs=True, of the model as read back from
the file. Models of old versions come from testdata/xgboost/old.zip (see xgboost_old.py).
"""

import argparse
import json
import pathlib
import zipfile
import zlib

import numpy as np
import xgboost as xgb

from oracle import save

FEATURES = 8
CATEGORICAL = {5: 12, 6: 150}  # feature: number of categories


def dataset(rng, n, label, categorical=False):
    """Rows with missing values, features of very different scales, and a label of the kind asked for."""
    x = rng.normal(size=(n, FEATURES)) * [1, 100, 1e-3, 1, 1e6, 1, 1, 1]
    x[:, 3] = rng.integers(-3, 4, n)
    x[:, 7] = np.where(rng.random(n) < 0.6, 0, x[:, 7])
    for f, size in CATEGORICAL.items():
        x[:, f] = rng.integers(0, size, n)
    score = x[:, 0] + np.sin(x[:, 1] / 50) * (x[:, 3] > 0) + x[:, 7] + np.cos(x[:, 5] * 2) + np.sin(x[:, 6])
    score += 0.2 * rng.normal(size=n)
    x[rng.random((n, FEATURES)) < 0.07] = np.nan
    y = {
        "binary": score > 0.4,
        "real": 3 * score,
        "proportion": 1 / (1 + np.exp(-score)),
        "positive": np.exp(score / 2) + 0.01,
        "count": rng.poisson(np.exp(np.clip(score / 2, -5, 3))),
        "class3": np.digitize(score, [-0.5, 1]),
        "class5": np.digitize(score, [-1, 0, 0.5, 1.5]),
        "grade": np.digitize(score, [0, 1, 2]),
    }[label]
    types = ["c" if categorical and f in CATEGORICAL else "q" for f in range(FEATURES)]
    d = xgb.DMatrix(x, np.asarray(y, dtype=float), feature_types=types, enable_categorical=True)
    if label == "grade":
        d.set_group([20] * (n // 20))
    return d


DELETED = 2**31 - 1  # the feature of nodes that pruning took out

# name: (label, parameters, rounds as a share of the usual number)
MODELS = {
    "binary-logistic": ("binary", dict(objective="binary:logistic"), 1),
    "binary-base-score": ("binary", dict(objective="binary:logistic", base_score=0.137), 1),
    "binary-base-score-0": ("binary", dict(objective="binary:logistic", base_score=0.0), 0.4),
    "binary-logitraw": ("binary", dict(objective="binary:logitraw"), 1),
    "squarederror": ("real", dict(objective="reg:squarederror"), 1),
    "squarederror-large-base": ("real", dict(objective="reg:squarederror", base_score=-123456.7), 1),
    "logistic-regression": ("proportion", dict(objective="reg:logistic"), 1),
    "squaredlogerror": ("positive", dict(objective="reg:squaredlogerror"), 1),
    "pseudohuber": ("real", dict(objective="reg:pseudohubererror", huber_slope=0.8), 1),
    "absoluteerror": ("real", dict(objective="reg:absoluteerror"), 1),
    "quantile": ("real", dict(objective="reg:quantileerror", quantile_alpha=0.8), 1),
    "gamma": ("positive", dict(objective="reg:gamma"), 1),
    "tweedie": ("positive", dict(objective="reg:tweedie", tweedie_variance_power=1.3), 1),
    "poisson": ("count", dict(objective="count:poisson", base_score=1.7), 1),
    "rank-pairwise": ("grade", dict(objective="rank:pairwise"), 1),
    "rank-ndcg": ("grade", dict(objective="rank:ndcg"), 1),
    "rank-map": ("binary", dict(objective="rank:map"), 1),
    "softprob": ("class5", dict(objective="multi:softprob", num_class=5), 0.4),
    "softmax": ("class3", dict(objective="multi:softmax", num_class=3), 0.5),
    "exact-pruned": ("real", dict(objective="reg:squarederror", tree_method="exact", gamma=40), 1),
    "approx-pruned": ("binary", dict(objective="binary:logistic", tree_method="approx", gamma=2), 1),
    "lossguide": ("binary", dict(objective="binary:logistic", grow_policy="lossguide", max_depth=0, max_leaves=40), 0.4),
    "dart": ("binary", dict(objective="binary:logistic", booster="dart", rate_drop=0.3), 1),
    "dart-softprob": ("class3", dict(objective="multi:softprob", num_class=3, booster="dart", rate_drop=0.3,
                                     normalize_type="forest"), 0.5),
    "random-forest": ("binary", dict(objective="binary:logistic", num_parallel_tree=4, subsample=0.7,
                                     colsample_bynode=0.6, eta=1), 0.4),
    "random-forest-softprob": ("class3", dict(objective="multi:softprob", num_class=3, num_parallel_tree=3,
                                              subsample=0.7), 0.3),
    "categories-one-hot": ("binary", dict(objective="binary:logistic", max_cat_to_onehot=1000), 1),
    "categories-sets": ("binary", dict(objective="binary:logistic", max_cat_to_onehot=1), 1),
    "categories-dart": ("real", dict(objective="reg:squarederror", booster="dart", rate_drop=0.2), 1),
    "categories-pruned": ("real", dict(objective="reg:squarederror", tree_method="approx", gamma=60), 1),
    "only-roots": ("binary", dict(objective="binary:logistic", min_child_weight=1e9), 0.3),
    "no-trees": ("real", dict(objective="reg:squarederror", base_score=0.25), 0),
}
CONTRIBUTIONS = {"binary-logistic", "squarederror", "softprob", "dart", "random-forest", "categories-sets",
                 "categories-one-hot", "exact-pruned", "poisson", "only-roots"}


def train(name, small):
    label, params, share = MODELS[name]
    seed = zlib.crc32(name.encode()) % 10000
    rng = np.random.default_rng(seed)
    params = dict(dict(max_depth=3 if small else 6, eta=0.3, nthread=1, seed=seed), **params)
    if small and params.get("max_leaves"):
        params["max_leaves"] = 12
    d = dataset(rng, 400 if small else 4000, label, categorical=name.startswith("categories"))
    return xgb.train(params, d, round(share * (5 if small else 60)))


def edited(document):
    """A model whose thresholds are numbers that training does not give every day."""
    odd = [float("-inf"), float("inf"), 0.0, -0.0, 1e-45, -1e-45, 1.1754944e-38, 3.4028235e38, -3.4028235e38, 5.0, 2.5]
    at = 0
    for tree in document["learner"]["gradient_booster"]["model"]["trees"]:
        for i, left in enumerate(tree["left_children"]):
            if left >= 0:
                tree["split_conditions"][i] = odd[at % len(odd)]
                at += 1
    return document


def thresholds(document):
    """The thresholds of each feature."""
    found = [[] for _ in range(FEATURES)]
    booster = document["learner"]["gradient_booster"]
    for tree in booster.get("gbtree", booster)["model"]["trees"]:
        for i, left in enumerate(tree["left_children"]):
            if left >= 0:
                found[tree["split_indices"][i]].append(np.float32(tree["split_conditions"][i]))
    return found


def rows(rng, document, n):
    """Rows whose values lie on thresholds, beside them (in float32, and in float64 only), and anywhere else."""
    x = np.empty((n, FEATURES))
    plain = [np.nan, 0.0, -0.0, 1e-45, -1e-45, 1e-320, 1e-40, 3.4e38, -3.4e38, 1.0, 7.0, 1e300, -1e300, np.inf, -np.inf]
    for f, own in enumerate(thresholds(document)):
        x[:, f] = rng.normal(size=n) * [1, 100, 1e-3, 2, 1e6, 5, 80, 1][f]
        if f in CATEGORICAL:
            size = CATEGORICAL[f]
            codes = rng.integers(0, size, n).astype(float)
            odd = [-1, -0.5, -1e-9, -0.0, 0.5, 2.7, size - 1, size, size + 40, 63, 64, 16777215, 16777216, 1e9, -1e9]
            x[:, f] = np.where(rng.random(n) < 0.25, rng.choice(odd, n), codes)
        own = np.array([t for t in own if np.isfinite(t)] or [0.5], dtype=np.float32)
        on = rng.choice(own, n)
        with np.errstate(over="ignore"):
            below, above = (np.nextafter(on, np.float32(to)) for to in (-np.inf, np.inf))
        beside = np.select(
            [rng.random(n) < 0.25, rng.random(n) < 0.33, rng.random(n) < 0.5],
            [below, above,
             np.nextafter(on.astype(float), -np.inf)],  # rounds to the threshold
            np.nextafter(on.astype(float), np.inf))
        kind = rng.random(n)
        x[:, f] = np.where(kind < 0.2, on, np.where(kind < 0.4, beside, x[:, f]))
        x[:, f] = np.where(kind > 0.88, rng.choice(plain, n), x[:, f])
    x[0] = np.nan
    return x


def predict(booster, x, **how):
    """XGBoost takes an infinity only where its opposite is declared missing, so rows go in two lots."""
    with np.errstate(over="ignore"):
        single = x.astype(np.float32)
    negative = np.isneginf(single).any(axis=1)
    parts = {}
    for pick, missing in [(negative, np.inf), (~negative, -np.inf)]:
        if pick.any():
            d = xgb.DMatrix(x[pick], missing=missing, feature_names=booster.feature_names,
                            feature_types=booster.feature_types, enable_categorical=True)
            parts[missing] = pick, booster.predict(d, **how)
    out = np.empty((len(x), *next(iter(parts.values()))[1].shape[1:]), dtype=np.float32)
    for pick, values in parts.values():
        out[pick] = values
    return out


def one_infinity(x):
    """Rows with both infinities, or numbers too large for float32, keep only the positive ones."""
    with np.errstate(over="ignore"):
        single = x.astype(np.float32)
    both = np.isneginf(single).any(axis=1) & np.isposinf(single).any(axis=1)
    x[both[:, None] & np.isneginf(single)] = -3
    return x


def write(outdir, name, model_file, content, x, contrib, directory="xgboost"):
    booster = xgb.Booster(model_file=bytearray(content))
    raw = predict(booster, x, output_margin=True)
    if json.loads(booster.save_config())["learner"]["objective"]["name"] == "multi:softmax":
        booster.set_param({"objective": "multi:softprob"})  # softmax itself predicts the class alone
    contributions = predict(booster, x, pred_contribs=True) if contrib else None
    save(outdir, directory, name, model_file, content, x, raw, predict(booster, x), contributions)


def main(outdir, small):
    models = {}
    for name in MODELS:
        booster = train(name, small)
        if name == "binary-logistic":
            booster.feature_names = ["a b", "ü", "\"q\"", "x\\y", "=", "6", "日本", "tab\there"]
        models[name] = booster
    odd = xgb.Booster(model_file=bytearray(json.dumps(
        edited(json.loads(models["squarederror"].save_raw("json")))).encode()))
    models["odd-thresholds"] = odd
    for i, (name, booster) in enumerate(models.items()):
        content = bytes(booster.save_raw("json"))
        x = one_infinity(rows(np.random.default_rng(1000 + i), json.loads(content), 40 if small else 4000))
        contrib = name in CONTRIBUTIONS
        if small and i % 3 == 2:  # a third of the small ones in UBJSON, the large ones in both
            write(outdir, name, "model.ubj", bytes(booster.save_raw("ubj")), x, contrib)
            continue
        write(outdir, name, "model.json", content, x, contrib)
        if not small:
            write(outdir, name + "-ubj", "model.ubj", bytes(booster.save_raw("ubj")), x, False)
    old_models(outdir, small)
    if not small:
        mutants(outdir, {name: train(name, True) for name in MODELS}, 400)


def mutate(rng, document):
    """Puts odd numbers into a model, such that XGBoost still loads it and its trees still end."""
    learner = document["learner"]
    booster = learner["gradient_booster"]
    model = booster.get("gbtree", booster)["model"]
    for _ in range(rng.integers(1, 6)):
        tree = model["trees"][rng.integers(len(model["trees"]))]
        node = int(rng.integers(len(tree["left_children"])))
        kind = rng.integers(7)
        if tree["split_indices"][node] == DELETED:
            continue
        if kind == 0:
            tree["split_conditions"][node] = float(np.float32(rng.normal() * 10.0 ** rng.integers(-42, 6)))
        elif kind == 1:
            tree["split_conditions"][node] = [0.0, -0.0, 1.0, -2.5, 1e-45, 1e30][rng.integers(6)]
        elif kind == 2:
            tree["default_left"][node] ^= 1
        elif kind == 3 and tree["split_type"][node] == 0:
            tree["split_indices"][node] = int(rng.integers(FEATURES))
        elif kind == 4 and tree["categories"]:
            tree["categories"][rng.integers(len(tree["categories"]))] = int(rng.choice([0, 1, 31, 32, 63, 64, 500, 16777215]))
        elif kind == 5:
            learner["learner_model_param"]["base_score"] = f"[{np.float32(rng.uniform(0.01, 0.99))}]"
        elif kind == 6 and "weight_drop" in booster:
            booster["weight_drop"][rng.integers(len(booster["weight_drop"]))] = float(np.float32(rng.normal()))
    return document


def mutants(outdir, models, count):
    """Models with spoiled numbers, half of them in UBJSON, and what XGBoost makes of them all the same."""
    names = ["binary-logistic", "squarederror", "exact-pruned", "dart", "categories-sets", "categories-pruned", "poisson"]
    plain = {name: json.loads(bytes(models[name].save_raw("json"))) for name in names}
    for i in range(count):
        rng = np.random.default_rng(3000 + i)
        document = mutate(rng, json.loads(json.dumps(plain[names[i % len(names)]])))
        content = json.dumps(document).encode()
        x = one_infinity(rows(rng, document, 100))
        if i % 2:
            write(outdir, f"{i:03}", "model.json", content, x, False, "xgboost-mutants")
            continue
        booster = xgb.Booster(model_file=bytearray(content))
        write(outdir, f"{i:03}", "model.ubj", bytes(booster.save_raw("ubj")), x, False, "xgboost-mutants")


def old_models(outdir, small):
    """Models that old versions trained, predicted by the XGBoost of today."""
    archive = pathlib.Path(__file__).parent.parent / "xgboost" / "old.zip"
    with zipfile.ZipFile(archive) as z:
        for i, file in enumerate(sorted(z.namelist())):
            content = z.read(file)
            booster = xgb.Booster(model_file=bytearray(content))
            document = json.loads(bytes(booster.save_raw("json")))
            x = one_infinity(rows(np.random.default_rng(2000 + i), document, 24 if small else 4000))
            name, suffix = file.rsplit(".", 1)
            write(outdir, "old-" + name, "model." + suffix, content, x, False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("outdir")
    args = parser.parse_args()
    main(args.outdir, args.small)
