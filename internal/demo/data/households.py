#!/usr/bin/env python3
"""The made-up households of the demo over several evenings: what they are shown, and what they make of it.

The rules are those of train.py, and two more that only a history can show: a film that was started on an earlier
evening is watched to the end again far less often, and households differ in their tastes as TASTE_SPREAD says.

Each evening a household is shown films drawn at random. A film is watched to the end with probability
sigmoid(utility), p for short. Of the others, OPENED·p are started and given up, DISMISSED·(1-p) sent away.

bundles.py trains on these evenings. The demo's own households act by the same rules, which world.json hands on
to package demo.
"""

import json
import pathlib
from datetime import datetime, timedelta, timezone

import numpy as np

import train as world

SEED = 20260117
HOUSEHOLDS = 3000
EVENINGS = 12
FILMS_PER_EVENING = 8
TASTE_SPREAD = 1.0  # standard deviation of a household's taste for a genre
STARTED_BEFORE = -3.0  # what it adds to a film's utility
OPENED = 0.5
DISMISSED = 0.2

FIRST_DAY = datetime(2026, 1, 5, 18, tzinfo=timezone.utc)
HOURS_BETWEEN = (12, 120)  # evenings
MINUTE = timedelta(minutes=1)


def simulate(catalogue, folder):
    """Writes requests.jsonl and feedback.jsonl into the folder, and returns what became of each film that was
    shown: 1 where it was watched to the end, a row an evening, in the order of the requests."""
    rng = np.random.default_rng(SEED)
    taste = rng.normal(0, TASTE_SPREAD, (HOUSEHOLDS, len(catalogue.genres)))
    started = np.zeros((HOUSEHOLDS, len(catalogue.ids)), bool)
    at = np.zeros(HOUSEHOLDS)
    labels = []
    with (folder / "requests.jsonl").open("w") as requests, (folder / "feedback.jsonl").open("w") as feedback:
        for evening in range(EVENINGS):
            at += rng.integers(*HOURS_BETWEEN, HOUSEHOLDS)
            labels.append(act(rng, catalogue, taste, started, evening, at, requests, feedback))
    return np.concatenate(labels)


def act(rng, catalogue, taste, started, evening, at, requests, feedback):
    """One evening of all households."""
    true = [rng.integers(0, len(names), HOUSEHOLDS) for names in (world.MOODS, world.GROUPS, world.SESSIONS)]
    known = [rng.random(HOUSEHOLDS) >= world.UNKNOWN_SHARE for _ in true]
    films = rng.permuted(np.tile(np.arange(len(catalogue.ids)), (HOUSEHOLDS, 1)), axis=1)[:, :FILMS_PER_EVENING]
    chance = chances(catalogue, taste, started, true, films)
    complete = rng.random(films.shape) < chance
    other = rng.random(films.shape)
    opened = ~complete & (other < OPENED * chance)
    dismissed = ~complete & (other > 1 - DISMISSED * (1 - chance))
    np.put_along_axis(started, films, np.take_along_axis(started, films, 1) | complete | opened, 1)
    for h in range(HOUSEHOLDS):
        time = FIRST_DAY + timedelta(hours=float(at[h]))
        request = {"request_id": f"h{h}-{evening}", "user_id": f"h{h}",
                   "candidates": [catalogue.ids[f] for f in films[h]], "requested_at": stamp(time)}
        for key, names, value, is_known in zip(("mood", "group_size", "session_length"),
                                               (world.MOODS, world.GROUPS, world.SESSIONS), true, known):
            if is_known[h]:
                request[key] = names[value[h]]
        print(json.dumps(request), file=requests)
        for i, film in enumerate(request["candidates"]):
            for n, action in enumerate(actions(complete[h, i], opened[h, i], dismissed[h, i])):
                event = {"request_id": request["request_id"], "user_id": request["user_id"], "item_id": film,
                         "action": action, "at": stamp(time + (n + 1) * MINUTE)}
                print(json.dumps(event), file=feedback)
    return complete.astype(float)


def chances(catalogue, taste, started, true, films):
    """Returns household × film: the probability that it is watched to the end."""
    mood, group, session = (np.repeat(values, films.shape[1]) for values in true)
    utility = world.utility(catalogue, mood, group, session, films.ravel()).reshape(films.shape)
    own = np.einsum("hg,hfg->hf", taste, catalogue.flags[films])
    again = STARTED_BEFORE * np.take_along_axis(started, films, 1)
    return 1 / (1 + np.exp(-(utility + own + again)))


def actions(complete, opened, dismissed):
    """Returns the feedback on one film."""
    if complete:
        return ["impression", "click", "play", "complete"]
    if opened:
        return ["impression", "click", "play"]
    return ["impression", "dismiss"] if dismissed else ["impression"]


def stamp(time):
    return time.isoformat().replace("+00:00", "Z")


def rules():
    """Returns the rules as world.json has them."""
    return {
        "base": world.BASE, "mood_taste": world.MOOD_TASTE, "group_taste": world.GROUP_TASTE,
        "session_fit": {name: {"best": best, "width": width} for name, (best, width) in world.SESSION_FIT.items()},
        "best_fit": world.BEST_FIT, "worst_fit": world.WORST_FIT, "unknown_fit": world.UNKNOWN_FIT,
        "recency_weight": world.RECENCY_WEIGHT, "recency_off": world.RECENCY_OFF,
        "taste_spread": TASTE_SPREAD, "started_before": STARTED_BEFORE, "opened": OPENED, "dismissed": DISMISSED,
    }
