#!/usr/bin/env python3
"""Makes vectors.csv.gz: what the original recommender computes for 10,000 requests and films.

Usage: make_vectors.py   (with the packages of internal/demo/data/requirements.txt)

The features are made by the original's algorithm, one pair at a time in plain Python; the predictions are
LightGBM's own, with the demo model read from its file. Two runs write the same bytes.

Columns, the first line names them:
  mood, group_size, session_length   the request; empty is unknown
  item_id, genres, duration_min, year   the film; genres joined with "|"; an empty cell is missing
  mood_funny … year                  the seventeen features, in the model's order
  raw_score, probability             sum of the leaves, and its sigmoid; 17 significant digits

The films are those of the catalogue, some of them altered: a running time or year taken away or made
fractional, genres added, and genres spelled in ways that are none of the five that count.
"""

import csv
import gzip
import io
import pathlib
import random

import lightgbm as lgb

HERE = pathlib.Path(__file__).parent
DEMO = HERE.parents[2] / "internal" / "demo" / "data"
SEED = 17
PAIRS = 10_000

MOODS = ["funny", "action", "dramatic", "relaxing"]
GROUP_SIZES = ["solo", "couple", "group"]
SESSION_LENGTHS = ["short", "medium", "binge"]
GENRES = {
    "genre_comedy": "Comedy",
    "genre_action": "Action",
    "genre_drama": "Drama",
    "genre_thriller": "Thriller",
    "genre_scifi": "Science Fiction",
}
# Names that look like one of the five and are not.
NEAR_MISSES = ["comedy", "ACTION", "drama", "Thrillers", "science fiction", "Science fiction", "Sci-Fi",
               "Comedy ", "Dramatic", "Action & Adventure", "Tragicomedy"]


def extract_features(context, movie):
    """Returns the original recommender's features, by name and in order."""
    features = {}
    for mood in MOODS:
        features[f"mood_{mood}"] = 1.0 if context.get("mood") == mood else 0.0
    for size in GROUP_SIZES:
        features[f"group_{size}"] = 1.0 if context.get("group_size") == size else 0.0
    for length in SESSION_LENGTHS:
        features[f"session_{length}"] = 1.0 if context.get("session_length") == length else 0.0
    for feature, genre in GENRES.items():
        features[feature] = 1.0 if genre in movie.get("genres", []) else 0.0
    features["duration"] = float(movie.get("runtime") or 0)
    features["year"] = float(movie.get("year") or 0)
    return features


def read_movies():
    with (DEMO / "catalog.csv").open(encoding="utf-8", newline="") as file:
        return [as_movie(row) for row in csv.DictReader(file)]


def as_movie(row):
    """Returns a film with what is known of it; numbers stay as they are written, for the output."""
    movie = {"id": row["id"], "genres": row["genres"].split("|") if row["genres"] else []}
    if row["duration_min"]:
        movie["runtime"] = row["duration_min"]
    if row["year"]:
        movie["year"] = row["year"]
    return movie


def draw_context(rng):
    """Returns a request's context; each value is unknown in one request of five."""
    values = {"mood": MOODS, "group_size": GROUP_SIZES, "session_length": SESSION_LENGTHS}
    return {key: rng.choice(names) for key, names in values.items() if rng.random() >= 0.2}


def draw_movie(rng, movies):
    """Returns a film of the catalogue, altered in about one draw of three."""
    movie = dict(rng.choice(movies))
    if "runtime" not in movie and rng.random() < 0.5:  # most films lack it: fewer of them here
        movie["runtime"] = str(rng.randint(60, 200))
    if rng.random() < 0.05:
        movie["runtime"] = f"{rng.randint(60, 200)}.{rng.choice(['25', '5', '1'])}"
    if rng.random() < 0.05:
        movie.pop("year", None)
    if rng.random() < 0.1:
        movie["genres"] = rng.sample(list(GENRES.values()), rng.randint(2, 5))
    if rng.random() < 0.1:
        movie["genres"] = rng.sample(NEAR_MISSES, rng.randint(1, 3)) + movie["genres"][1:]
    return movie


def main():
    rng = random.Random(SEED)
    movies = read_movies()
    pairs = [(draw_context(rng), draw_movie(rng, movies)) for _ in range(PAIRS)]
    features = [extract_features(context, movie) for context, movie in pairs]
    model = lgb.Booster(model_file=str(DEMO / "model.txt"))
    assert list(features[0]) == model.feature_name(), "the demo model has other features"
    matrix = [list(row.values()) for row in features]
    raw = model.predict(matrix, raw_score=True, num_threads=1)
    chance = model.predict(matrix, num_threads=1)
    write(pairs, features, raw, chance)


def write(pairs, features, raw, chance):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["mood", "group_size", "session_length", "item_id", "genres", "duration_min", "year",
                     *features[0], "raw_score", "probability"])
    for (context, movie), row, r, p in zip(pairs, features, raw, chance):
        writer.writerow([context.get("mood"), context.get("group_size"), context.get("session_length"),
                         movie["id"], "|".join(movie["genres"]), movie.get("runtime"), movie.get("year"),
                         *(f"{value:.17g}" for value in row.values()), f"{r:.17g}", f"{p:.17g}"])
    packed = gzip.compress(text.getvalue().encode(), compresslevel=9, mtime=0)
    (HERE / "vectors.csv.gz").write_bytes(packed)
    print(f"vectors.csv.gz: {len(pairs)} pairs, {len(packed)} bytes")


if __name__ == "__main__":
    main()
