#!/usr/bin/env python3
"""Makes up what a streaming app would have kept: requests, feedback, and which of the films on show were played.

Usage: simulate.py CATALOG.csv DIR

It writes requests.jsonl and feedback.jsonl, events as recstream reads them, and labels.csv with a line for each
film that was on show: request_id,item_id,played. Two runs write the same bytes.

In place of this script you have your own history. Only the labels are yours to define; everything that the model
sees is made of the events by `recstream features`, as serving does it.
"""

import csv
import datetime
import json
import pathlib
import sys

import numpy as np

SEED = 7
USERS = 400
REQUESTS_PER_USER = 12
FILMS_PER_REQUEST = 6
UNKNOWN_SHARE = 0.15  # of the contexts: the app does not know them, though the user acts on them
START = datetime.datetime(2026, 6, 1, tzinfo=datetime.timezone.utc)
DAYS = 60

MOODS = {"funny": "Comedy", "action": "Action", "dramatic": "Drama", "relaxing": "Romance"}
GROUPS = ["solo", "couple", "group"]


def main(catalog, out):
    rng = np.random.default_rng(SEED)
    with open(catalog, encoding="utf-8", newline="") as file:
        films = list(csv.DictReader(file))
    genres = sorted({g for film in films for g in film["genres"].split("|") if g})
    out.mkdir(parents=True, exist_ok=True)
    requests, feedback, labels = [], [], []
    for user in range(USERS):
        taste = dict(zip(genres, rng.normal(0, 1, len(genres))))
        times = sorted(rng.integers(0, DAYS * 86400, REQUESTS_PER_USER))
        for n, seconds in enumerate(times):
            at = START + datetime.timedelta(seconds=int(seconds))
            request = f"u{user}-{n}"
            mood, group = rng.choice(list(MOODS)), rng.choice(GROUPS)
            shown = rng.choice(len(films), FILMS_PER_REQUEST, replace=False)
            event = {"request_id": request, "user_id": f"u{user}", "requested_at": stamp(at),
                     "candidates": [films[i]["id"] for i in shown]}
            if rng.random() > UNKNOWN_SHARE:
                event["mood"] = str(mood)
            if rng.random() > UNKNOWN_SHARE:
                event["group_size"] = str(group)
            requests.append(event)
            for i in shown:
                played = rng.random() < 1 / (1 + np.exp(-utility(films[i], mood, group, taste)))
                labels.append((request, films[i]["id"], int(played)))
                if played:
                    feedback.append({"request_id": request, "user_id": f"u{user}", "item_id": films[i]["id"],
                                     "action": "play", "at": stamp(at + datetime.timedelta(minutes=1))})
    write_lines(out / "requests.jsonl", requests)
    write_lines(out / "feedback.jsonl", feedback)
    with open(out / "labels.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["request_id", "item_id", "played"])
        writer.writerows(labels)
    print(f"{len(requests)} requests, {len(labels)} films on show, {len(feedback)} played")


def utility(film, mood, group, taste):
    """How much the user wants to see the film: the mood's genre, own taste, what is new, and not too long."""
    genres = film["genres"].split("|") if film["genres"] else []
    want = -1.6 + 2.2 * (MOODS[mood] in genres) + 0.6 * sum(taste[g] for g in genres)
    if group == "group":
        want += 0.5 * ("Comedy" in genres) - 0.6 * ("Drama" in genres)
    if film["year"]:
        want += 0.03 * (float(film["year"]) - 1995)
    if film["duration_min"]:
        want -= 0.01 * max(0.0, float(film["duration_min"]) - 110)
    return want


def stamp(at):
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def write_lines(path, events):
    path.write_text("".join(json.dumps(event) + "\n" for event in events), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], pathlib.Path(sys.argv[2]))
