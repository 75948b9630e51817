#!/usr/bin/env python3
"""Trains model.txt, the demo model, on simulated choices of households over catalog.csv.

Usage: train.py   (Python 3.11 or newer with the packages of requirements.txt)

It writes model.txt and MODEL.md beside itself; two runs write the same bytes.

The simulation. A household has tastes of its own and makes several requests. In each it is in a mood, in
some company and has some time; the app often does not know one of them, which makes it unknown to the model,
but the household acts on it all the same. It is shown several films. The film is watched to the end with
probability sigmoid(utility), where utility is the sum of
  - how well the film's genres match the mood, the company and the household's own taste,
  - how well its running time fits the session (a poor fit is assumed where it is missing),
  - how recent it is, which matters most in a group and not at all to somebody alone in a dramatic mood.
How popular a film is has no part in it: popularity is no feature of this model.
"""

import csv
import hashlib
import pathlib

import lightgbm as lgb
import numpy as np

HERE = pathlib.Path(__file__).parent
SEED = 20240229
HOUSEHOLDS = 5000
REQUESTS_PER_HOUSEHOLD = 6
FILMS_PER_REQUEST = 8
HELD_OUT_SHARE = 0.2  # of the households
UNKNOWN_SHARE = 0.15  # of the moods, companies and sessions, each
TREES = 100

MOODS = ["funny", "action", "dramatic", "relaxing"]
GROUPS = ["solo", "couple", "group"]
SESSIONS = ["short", "medium", "binge"]
FLAGGED = ["Comedy", "Action", "Drama", "Thriller", "Science Fiction"]

# The model's features, in its order.
FEATURES = (
    [f"mood_{m}" for m in MOODS] + [f"group_{g}" for g in GROUPS] + [f"session_{s}" for s in SESSIONS]
    + ["genre_comedy", "genre_action", "genre_drama", "genre_thriller", "genre_scifi", "duration", "year"]
)

PARAMETERS = {
    "objective": "binary",
    "num_leaves": 31,
    "learning_rate": 0.1,
    "min_data_in_leaf": 100,
    "seed": SEED,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbosity": -1,
}

# What each mood adds to a film's utility, by genre; a genre that is not listed adds nothing.
MOOD_TASTE = {
    "funny": {"Comedy": 2.6, "Romance": 0.3, "Family": 0.4, "Action": -0.3, "Drama": -1.4, "Thriller": -1.6,
              "Horror": -1.8, "History": -0.6, "Documentary": -0.6, "Western": -0.5, "Science Fiction": -0.5},
    "action": {"Action": 2.3, "Science Fiction": 0.9, "Thriller": 1.0, "Adventure": 1.3, "Western": 0.4,
               "Drama": -1.0, "Comedy": -1.1, "Romance": -0.8, "Music": -1.2, "Documentary": -1.2},
    "dramatic": {"Drama": 2.2, "Thriller": 0.8, "History": 0.5, "Comedy": -1.4, "Action": -0.7, "Family": -0.8,
                 "Horror": -0.5, "Science Fiction": -0.2},
    "relaxing": {"Comedy": 1.3, "Romance": 0.8, "Family": 0.8, "Adventure": 0.5, "Music": 0.8, "Drama": 0.4,
                 "Action": -0.8, "Thriller": -1.5, "Horror": -2.2, "Science Fiction": -0.6, "Documentary": 0.3},
}

# The same for the company.
GROUP_TASTE = {
    "solo": {"Drama": 0.4, "Science Fiction": 0.6, "Thriller": 0.3, "Documentary": 0.4, "Romance": -0.3},
    "couple": {"Romance": 0.9, "Drama": 0.3, "Comedy": 0.2, "Action": -0.3, "Science Fiction": -0.4, "Horror": -0.3},
    "group": {"Comedy": 0.5, "Action": 0.6, "Adventure": 0.4, "Drama": -0.7, "Documentary": -0.9, "Horror": -0.4},
}

# The running time that suits a session best, and how far off it costs one unit of utility; minutes.
SESSION_FIT = {"short": (86, 16), "medium": (108, 18), "binge": (146, 26)}
BEST_FIT, WORST_FIT, UNKNOWN_FIT = 0.6, -2.4, -0.8  # the last where the running time is missing

# How much the full effect of recency is worth to each company, and what a mood takes off it.
RECENCY_WEIGHT = {"solo": 0.8, "couple": 1.1, "group": 1.7}
RECENCY_OFF = {"funny": 0.0, "action": 0.0, "dramatic": 0.8, "relaxing": 0.4}

BASE = -1.9  # of every utility: most of what is shown is not watched to the end
HOUSEHOLD_SPREAD = 0.4  # standard deviation of a household's taste for a genre


class Catalogue:
    """The films as arrays: titles, genre flags (film × genre), duration and year, 0 where missing."""

    def __init__(self, path):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        self.ids = [row["id"] for row in rows]
        self.titles = [row["title"] for row in rows]
        named = [row["genres"].split("|") if row["genres"] else [] for row in rows]
        self.genres = sorted({genre for genres in named for genre in genres})
        self.flags = np.array([[float(genre in genres) for genre in self.genres] for genres in named])
        self.duration = np.array([float(row["duration_min"] or 0) for row in rows])
        self.year = np.array([float(row["year"] or 0) for row in rows])

    def appeal(self, tastes):
        """Returns taste × film: the tastes of a table such as MOOD_TASTE summed over each film's genres."""
        weights = np.array([[taste.get(genre, 0.0) for genre in self.genres] for taste in tastes.values()])
        return weights @ self.flags.T

    def features(self, mood, group, session, film):
        """Returns the model's matrix; the contexts are indices, -1 for unknown."""
        flagged = self.flags[:, [self.genres.index(genre) for genre in FLAGGED]]
        return np.column_stack([
            one_hot(mood, len(MOODS)), one_hot(group, len(GROUPS)), one_hot(session, len(SESSIONS)),
            flagged[film], self.duration[film], self.year[film],
        ])


def one_hot(index, count):
    return (index[:, None] == np.arange(count)).astype(float)


def utility(catalogue, mood, group, session, film):
    """Returns how much the true contexts speak for the films, before the household's own taste."""
    weight = np.array(list(RECENCY_WEIGHT.values()))[group] - np.array(list(RECENCY_OFF.values()))[mood]
    return (
        BASE
        + catalogue.appeal(MOOD_TASTE)[mood, film]
        + catalogue.appeal(GROUP_TASTE)[group, film]
        + session_fit(catalogue.duration)[session, film]
        + weight * recency(catalogue.year)[film]
    )


def session_fit(duration):
    """Returns session × film: most at the best running time, falling with the square of the distance."""
    best, width = np.array(list(SESSION_FIT.values())).T[:, :, None]
    fit = np.maximum(BEST_FIT - ((duration - best) / width) ** 2, WORST_FIT)
    return np.where(duration > 0, fit, UNKNOWN_FIT)


def recency(year):
    """Returns 0 for old films and nearly 1 for those of the catalogue's last years."""
    return 1 / (1 + np.exp(-(year - 1992) / 5))


def simulate(catalogue, seed, households=HOUSEHOLDS):
    """Returns the model's matrix, the labels and each row's household, for households × requests × films."""
    rng = np.random.default_rng(seed)
    requests = households * REQUESTS_PER_HOUSEHOLD
    rows = requests * FILMS_PER_REQUEST
    true = [np.repeat(rng.integers(0, len(names), requests), FILMS_PER_REQUEST)
            for names in (MOODS, GROUPS, SESSIONS)]
    seen = [np.where(np.repeat(rng.random(requests) < UNKNOWN_SHARE, FILMS_PER_REQUEST), -1, values)
            for values in true]
    film = rng.integers(0, len(catalogue.ids), rows)
    household = np.repeat(np.arange(households), rows // households)
    taste = rng.normal(0, HOUSEHOLD_SPREAD, (households, len(catalogue.genres)))
    own = np.einsum("rg,rg->r", taste[household], catalogue.flags[film])
    chance = 1 / (1 + np.exp(-(utility(catalogue, *true, film) + own)))
    label = (rng.random(rows) < chance).astype(float)
    return catalogue.features(*seen, film), label, household


def split(matrix, label, household):
    """Returns the training rows and the held-out rows, which are those of other households."""
    held_out = household >= household.max() * (1 - HELD_OUT_SHARE)
    return (matrix[~held_out], label[~held_out]), (matrix[held_out], label[held_out])


def auc(label, score):
    """Returns the area under the ROC curve: how often a positive scores above a negative, ties half."""
    values, inverse, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[inverse]
    positives = label.sum()
    negatives = len(label) - positives
    return (rank[label == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives)


def train(matrix, label, trees=TREES, **overrides):
    """Returns a model of the seventeen features; overrides go over PARAMETERS."""
    data = lgb.Dataset(matrix, label, feature_name=FEATURES, free_raw_data=False)
    return lgb.train(PARAMETERS | overrides, data, num_boost_round=trees)


# Contexts that the model card shows; None is unknown.
EXAMPLES = [
    ("funny", "group", "short"), ("funny", "couple", "medium"), ("action", "group", "medium"),
    ("action", "solo", "binge"), ("dramatic", "solo", "binge"), ("dramatic", "couple", "medium"),
    ("relaxing", "couple", "short"), ("relaxing", "solo", "medium"), (None, None, None),
]


def top_films(model, catalogue, context, count=3):
    """Returns the titles and probabilities of the best films of the whole catalogue for a context."""
    index = [names.index(name) if name else -1 for names, name in zip((MOODS, GROUPS, SESSIONS), context)]
    film = np.arange(len(catalogue.ids))
    columns = [np.full(len(film), i) for i in index]
    chance = model.predict(catalogue.features(*columns, film), num_threads=1)
    best = np.lexsort((catalogue.ids, -chance))[:count]
    return [(catalogue.titles[i], int(catalogue.year[i]), chance[i]) for i in best]


CARD = """# Model card: the demo model

This is a demonstration. `model.txt` was trained on **simulated** choices, of no real person: its recommendations
show how the system works, and say nothing about what anybody likes.

| | |
|---|---|
| Task | probability that a household, given a film, watches it to the end |
| Model | LightGBM {lightgbm} (text format `version=v4`), binary, {trees} trees of at most {leaves} leaves |
| Features | 17, in this order: {features} |
| Training data | {train_rows} simulated choices over the {films} films of `catalog.csv`, {train_share:.1%} of them positive |
| Held out | {test_rows} choices of households that training never saw |
| **AUC, held out** | **{test_auc:.4f}** (training {train_auc:.4f}) |
| Log loss, held out | {test_loss:.4f} |
| Mean prediction, held out | {mean_prediction:.4f}, where {test_share:.4f} were positive |
| Seed | {seed} |
| Made with | LightGBM {lightgbm}, NumPy {numpy} |
| sha256 of `model.txt` | `{sha256}` |

## What is simulated

`train.py` says it at its top and in its tables: {households} households of their own tastes, {requests} requests each,
{shown} films a request. A film is watched to the end with a probability that depends on mood and genres, company and
genres, time and running time, and how recent the film is. Each of mood, company and time is hidden from the
model in {unknown:.0%} of the requests, so it has learned what to do when one is unknown. Popularity and ratings play
no part.

## What it answers

The best three of the whole catalogue, before any filter and with ties in the order of the ids:

| mood | company | time | films and predictions |
|---|---|---|---|
{examples}

## How to remake it

```
python3 -m venv /tmp/demo-venv && /tmp/demo-venv/bin/pip install -r requirements.txt
/tmp/demo-venv/bin/python train.py
```

Two runs on one machine write the same bytes.
"""


def log_loss(label, chance):
    return -np.mean(label * np.log(chance) + (1 - label) * np.log(1 - chance))


def example_rows(model, catalogue):
    for context in EXAMPLES:
        films = "; ".join(f"{title} ({year}) {p:.3f}" for title, year, p in top_films(model, catalogue, context))
        yield "| " + " | ".join([name or "unknown" for name in context] + [films]) + " |"


def main():
    catalogue = Catalogue(HERE / "catalog.csv")
    fitted, held_out = split(*simulate(catalogue, SEED))
    model = train(*fitted)
    text = model.model_to_string().encode()
    (HERE / "model.txt").write_bytes(text)
    chance = model.predict(held_out[0], num_threads=1)
    test_auc = auc(held_out[1], chance)
    (HERE / "MODEL.md").write_text(CARD.format(
        lightgbm=lgb.__version__, numpy=np.__version__, trees=TREES, leaves=PARAMETERS["num_leaves"],
        features=", ".join(f"`{name}`" for name in FEATURES), films=len(catalogue.ids),
        train_rows=len(fitted[1]), train_share=fitted[1].mean(), test_rows=len(held_out[1]),
        test_auc=test_auc, train_auc=auc(fitted[1], model.predict(fitted[0], num_threads=1)),
        test_loss=log_loss(held_out[1], chance), mean_prediction=chance.mean(), test_share=held_out[1].mean(),
        seed=SEED, sha256=hashlib.sha256(text).hexdigest(), households=HOUSEHOLDS,
        requests=REQUESTS_PER_HOUSEHOLD, shown=FILMS_PER_REQUEST, unknown=UNKNOWN_SHARE,
        examples="\n".join(example_rows(model, catalogue)),
    ), encoding="utf-8")
    print(f"model.txt: {len(text)} bytes, AUC {test_auc:.4f} on {len(held_out[1])} held-out choices")


if __name__ == "__main__":
    main()
