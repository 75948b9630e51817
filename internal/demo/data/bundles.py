#!/usr/bin/env python3
"""Trains the demo's later models on the evenings of households.py, and makes the three bundles of films/.

Usage: bundles.py RECSTREAM   (the program, as `make build` leaves it; Python 3.11 or newer with the packages of
requirements.txt)

It writes films/, with a card of the three, and world.json; two runs write the same bytes. films@1 is model.txt, as
train.py made it. What the models are trained on is what `recstream features` prints of the evenings, so serving
computes the same.
"""

import csv
import hashlib
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import lightgbm as lgb
import numpy as np
import xgboost as xgb

import households
import train as world

HERE = world.HERE
STORE = HERE / "films"
HELD_OUT_SHARE = 0.2  # of the households
BINS = 20  # of a histogram, at the most
GOLDEN_ROWS = 20
CHANCES = 200  # examples for the tests of package demo

MORE_GENRES = ["Adventure", "Documentary", "Family", "Fantasy", "History", "Horror", "Music", "Romance", "Western"]

XGBOOST = {"objective": "binary:logistic", "max_depth": 5, "eta": 0.12, "min_child_weight": 20, "tree_method": "hist",
           "seed": households.SEED, "nthread": 1}
XGBOOST_TREES = 90
LIGHTGBM = world.PARAMETERS | {"num_leaves": 24, "seed": households.SEED}
LIGHTGBM_TREES = 100


def one_hot(name, source, field, value):
    return {"name": name, "source": source, "kind": "one_hot", "field": field, "value": value}


def declarations():
    """Returns the features of the three models; each begins with those of the one before."""
    first = [one_hot(f"mood_{value}", "request", "mood", value) for value in world.MOODS]
    first += [one_hot(f"group_{value}", "request", "group_size", value) for value in world.GROUPS]
    first += [one_hot(f"session_{value}", "request", "session_length", value) for value in world.SESSIONS]
    first += [one_hot(name, "item", "genres", genre) for name, genre in zip(world.FEATURES[10:15], world.FLAGGED)]
    first += [{"name": "duration", "source": "item", "kind": "number", "field": "duration_min"},
              {"name": "year", "source": "item", "kind": "number", "field": "year"}]
    second = first + [one_hot(f"genre_{genre.lower()}", "item", "genres", genre) for genre in MORE_GENRES]
    third = second + [
        {"name": "affinity", "source": "user_item", "kind": "number", "field": "genre_affinity", "aggregate": "mean",
         "missing": {"policy": "nan"}},
        {"name": "seen", "source": "user_item", "kind": "flag", "field": "seen"},
        {"name": "activity", "source": "user", "kind": "number", "field": "activity",
         "transforms": [{"kind": "log1p"}]},
    ]
    return first, second, third


def evenings(recstream, catalogue, features):
    """Returns the matrix of all films shown in all evenings, what became of each, and its household."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        label = households.simulate(catalogue, folder)
        (folder / "features.yaml").write_text(json.dumps({"features": features}))
        with (folder / "matrix.csv").open("w") as out:
            subprocess.run([recstream, "features", folder / "features.yaml", "--requests", folder / "requests.jsonl",
                            "--items", HERE / "catalog.csv", "--feedback", folder / "feedback.jsonl", "-o", "csv"],
                           stdout=out, check=True)
        with (folder / "matrix.csv").open(newline="") as rows:
            rows = csv.reader(rows)
            assert next(rows)[2:] == [f["name"] for f in features]
            matrix = np.array([[float(cell or "nan") for cell in row[2:]] for row in rows])
    household = np.tile(np.repeat(np.arange(households.HOUSEHOLDS), households.FILMS_PER_EVENING), households.EVENINGS)
    return matrix, label.ravel(), household


def fit_xgboost(matrix, label, names):
    return xgb.train(XGBOOST, xgb.DMatrix(matrix, label, feature_names=names), XGBOOST_TREES)


def fit_lightgbm(matrix, label, names):
    return lgb.train(LIGHTGBM, lgb.Dataset(matrix, label, feature_name=names), LIGHTGBM_TREES)


def predict(model, matrix):
    if isinstance(model, lgb.Booster):
        return model.predict(matrix, num_threads=1)
    return model.predict(xgb.DMatrix(matrix, feature_names=model.feature_names)).astype(float)


def write_bundle(version, file, features, model, objective, data):
    """Writes films/<version>/manifest.yaml beside the model file, which is there already. films@1's is not:
    the program puts model.txt there."""
    path = STORE / version / file if version != "1" else HERE / file
    matrix, chance = data["matrix"], predict(model, data["matrix"])
    head = {
        "name": "films", "version": version, "file": file, "format": "xgboost-ubj" if file.endswith("ubj") else "lightgbm",
        "objective": objective, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "training": {"rows": len(matrix), "metrics": data["metrics"], "source": data["source"]},
    }
    lines = [f"{key}: {flow(value)}" for key, value in head.items()]
    lines += ["features:"] + [f"  - {flow(feature)}" for feature in features]
    lines += ["profile:", f"  rows: {len(matrix)}", "  features:"]
    lines += [f"    - {flow(histogram(feature['name'], column))}" for feature, column in zip(features, matrix.T)]
    lines += [f"  score: {flow(histogram('prediction', chance))}", "golden:"]
    lines += [f"  - {flow({'row': list(matrix[i]), 'prediction': chance[i]})}" for i in golden_rows(chance)]
    (STORE / version).mkdir(parents=True, exist_ok=True)
    (STORE / version / "manifest.yaml").write_text("\n".join(lines) + "\n")


def flow(value):
    """Returns a value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value)
    if np.isnan(value):
        return ".nan"
    return repr(int(value)) if value == int(value) else repr(float(value))


def histogram(name, column):
    """Returns a histogram of up to BINS bins that hold about as many values each, a bin a value if those are few."""
    known = column[~np.isnan(column)]
    values = np.unique(known)
    if len(values) == 1:
        return {"name": name, "missing": len(column) - len(known), "edges": [values[0]], "counts": [len(known)]}
    if len(values) > BINS:
        edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)))
    else:
        edges = np.concatenate([values[:1], (values[1:] + values[:-1]) / 2, values[-1:]])
    counts = np.histogram(known, edges)[0]
    return {"name": name, "missing": len(column) - len(known), "edges": list(edges), "counts": list(counts)}


def golden_rows(chance):
    """Returns the places of some rows, from the lowest prediction to the highest."""
    order = np.argsort(chance, kind="stable")
    return order[np.linspace(0, len(order) - 1, GOLDEN_ROWS).astype(int)]


CARD = """# Model card: the demo's three models

This is a demonstration. All three were trained on **simulated** choices, of no real person: what they recommend
shows how the system works, and says nothing about what anybody likes.

| | `films@1` | `films@2` | `films@3` |
|---|---|---|---|
| Model | LightGBM {lightgbm}, text, {trees1} trees of at most {leaves1} leaves | XGBoost {xgboost}, UBJ, {trees2} trees of depth {depth2} | LightGBM {lightgbm}, text, {trees3} trees of at most {leaves3} leaves |
| Features | {n1}: the original recommender's | {n2}: those, and {more} genres more | {n3}: those, and three of the household: its affinity to the film's genres, whether it started the film before, its activity |
| Trained on | `train.py`: {rows1} films shown, no histories, milder tastes | `households.py`: {rows2} films shown | the same |
| **AUC, held out** | **{auc1:.4f}** | **{auc2:.4f}** | **{auc3:.4f}** |
| Log loss, held out | {loss1:.4f} | {loss2:.4f} | {loss3:.4f} |
| Its latter half of evenings: AUC | {late1:.4f} | {late2:.4f} | {late3:.4f} |
| File | {size1} bytes | {size2} bytes | {size3} bytes |

The AUC and the log loss of all three are of the same {held_out} films, shown to {held_households} households that no training saw,
{share:.1%} of them watched to the end. `films@1` had to do with a milder world (see `../MODEL.md`: there it has {own_auc}), so part
of its distance is that. How popular a film is has no part in the simulation, and is no feature.

**What is simulated** stands at the top of `../households.py` and `../train.py`: {households} households, {evenings} evenings each,
{shown} films an evening, drawn at random. A household's taste for each genre is drawn from a normal distribution with
standard deviation {spread}, and a film that it started before is seldom watched again. `films@3` cannot know tastes; it has
the profile that feedback made up to that evening, as serving would have had it: `recstream features` made the rows of
training. Each of mood, company and time is hidden from the models in {unknown:.0%} of the evenings.

**What is not**: what is shown depends on no model, unlike in real feedback, and nobody's taste changes.

Seeds {seed1} and {seed2}. Made with LightGBM {lightgbm}, XGBoost {xgboost}, NumPy {numpy}: `../README.md` says how.
"""


def write_chances(catalogue, path):
    """Writes what households without tastes make of some films, for the tests of package demo."""
    rng = np.random.default_rng(households.SEED)
    true = [rng.integers(0, len(names), CHANCES) for names in (world.MOODS, world.GROUPS, world.SESSIONS)]
    films = rng.integers(0, len(catalogue.ids), (CHANCES, 1))
    started = rng.random((CHANCES, len(catalogue.ids))) < 0.2
    chance = households.chances(catalogue, np.zeros((CHANCES, len(catalogue.genres))), started, true, films)
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["mood", "group_size", "session_length", "item_id", "started", "chance"])
        for i, (film,) in enumerate(films):
            words = [names[values[i]] for names, values in zip((world.MOODS, world.GROUPS, world.SESSIONS), true)]
            writer.writerow([*words, catalogue.ids[film], int(started[i, film]), repr(float(chance[i, 0]))])


def auc_and_loss(label, chance):
    return {"auc": round(float(world.auc(label, chance)), 4), "log_loss": round(float(world.log_loss(label, chance)), 4)}


def train_all(recstream, catalogue, features):
    """Trains and writes the later two models. Returns all three with what a manifest says of them, and the card's
    figures."""
    matrix, label, household = evenings(recstream, catalogue, features[2])
    names = [f["name"] for f in features[2]]
    held = household >= households.HOUSEHOLDS * (1 - HELD_OUT_SHARE)
    late = (np.arange(len(label)) >= len(label) // 2)[held]
    first = lgb.Booster(model_file=str(HERE / "model.txt"))
    n1, n2, n3 = map(len, features)
    models = [first, fit_xgboost(matrix[~held, :n2], label[~held], names[:n2]),
              fit_lightgbm(matrix[~held], label[~held], names)]
    figures = {"held_out": int(held.sum()), "held_households": len(set(household[held])), "share": label[held].mean(),
               "rows2": int((~held).sum())}
    done = []
    for n, (model, width) in enumerate(zip(models, (n1, n2, n3)), 1):
        chance = predict(model, matrix[held, :width])
        metrics = auc_and_loss(label[held], chance)
        figures |= {f"n{n}": width, f"auc{n}": metrics["auc"], f"loss{n}": metrics["log_loss"],
                    f"late{n}": world.auc(label[held][late], chance[late])}
        done.append((model, {"matrix": matrix[~held, :width], "metrics": metrics, "source": "households.py"}))
    return done, figures


def main(recstream):
    catalogue = world.Catalogue(HERE / "catalog.csv")
    (HERE / "world.json").write_text(json.dumps(households.rules(), indent=1) + "\n")
    write_chances(catalogue, HERE.parent / "testdata" / "chances.csv")
    features = declarations()
    ((first, data1), (second, data2), (third, data3)), figures = train_all(recstream, catalogue, features)

    shutil.rmtree(STORE, ignore_errors=True)
    for version in "123":
        (STORE / version).mkdir(parents=True)
    (STORE / "2" / "model.ubj").write_bytes(bytes(second.save_raw("ubj")))
    (STORE / "3" / "model.txt").write_text(third.model_to_string())
    (matrix, label), held_out = world.split(*world.simulate(catalogue, world.SEED))
    own = auc_and_loss(held_out[1], predict(first, held_out[0]))
    data1 |= {"matrix": matrix, "source": f"train.py, where its AUC was {own['auc']}; measured on households.py"}
    write_bundle("1", "model.txt", features[0], first, "binary sigmoid:1", data1)
    write_bundle("2", "model.ubj", features[1], second, XGBOOST["objective"], data2)
    write_bundle("3", "model.txt", features[2], third, "binary sigmoid:1", data3)
    files = (HERE / "model.txt", STORE / "2" / "model.ubj", STORE / "3" / "model.txt")
    (STORE / "MODEL.md").write_text(CARD.format(
        lightgbm=lgb.__version__, xgboost=xgb.__version__, numpy=np.__version__, trees1=world.TREES,
        leaves1=world.PARAMETERS["num_leaves"], trees2=XGBOOST_TREES, depth2=XGBOOST["max_depth"],
        trees3=LIGHTGBM_TREES, leaves3=LIGHTGBM["num_leaves"], more=len(MORE_GENRES), rows1=len(label),
        own_auc=own["auc"], households=households.HOUSEHOLDS, evenings=households.EVENINGS,
        shown=households.FILMS_PER_EVENING, spread=households.TASTE_SPREAD, unknown=world.UNKNOWN_SHARE,
        seed1=world.SEED, seed2=households.SEED, **figures,
        **{f"size{n}": path.stat().st_size for n, path in enumerate(files, 1)}))
    print(*(f"{path.relative_to(HERE)}: {path.stat().st_size} bytes" for path in files), sep="\n")
    print(*(f"films@{n}: AUC {figures[f'auc{n}']} on {figures['held_out']} held-out films" for n in (1, 2, 3)), sep="\n")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
