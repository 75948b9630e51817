"""What both training scripts share: the data in, and the files that `recstream model build` reads out."""

import csv
import json

import numpy as np

SAMPLE_ROWS = 5000
HELD_OUT_SHARE = 0.2  # the latest requests


def load(directory):
    """Returns the features' names, the matrix (NaN is missing), the labels and the requests' ids, in the order of
    vectors.csv, which has request_id and item_id before the features."""
    with open(directory / "labels.csv", encoding="utf-8", newline="") as file:
        labels = {(row["request_id"], row["item_id"]): float(row["played"]) for row in csv.DictReader(file)}
    with open(directory / "vectors.csv", encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        names = next(rows)[2:]
        keys, values = [], []
        for row in rows:
            keys.append((row[0], row[1]))
            values.append([float(cell) if cell else np.nan for cell in row[2:]])
    return names, np.array(values), np.array([labels[key] for key in keys]), [key[0] for key in keys]


def times(directory):
    """Returns the time of each request."""
    with open(directory / "requests.jsonl", encoding="utf-8") as file:
        return {event["request_id"]: event["requested_at"] for event in map(json.loads, file)}


def split(requests, when):
    """Returns masks of the training rows and of the latest ones, held out: a model is judged on what came later."""
    stamps = np.array([when[r] for r in requests])
    cut = np.sort(stamps)[int(len(stamps) * (1 - HELD_OUT_SHARE))]
    return stamps < cut, stamps >= cut


def auc(label, score):
    """Returns the area under the ROC curve: how often a positive scores above a negative, ties half."""
    _, inverse, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[inverse]
    positives = label.sum()
    negatives = len(label) - positives
    return (rank[label == 1].sum() - positives * (positives + 1) / 2) / (positives * negatives)


def sample(count, seed=1):
    """Returns the places of the rows for the bundle's profile and golden rows."""
    return np.sort(np.random.default_rng(seed).choice(count, min(count, SAMPLE_ROWS), replace=False))


def write_sample(path, names, matrix, predictions):
    """Writes rows with the trainer's predictions. repr has all digits, which the comparison needs."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*names, "prediction"])
        for row, prediction in zip(matrix, predictions):
            writer.writerow(["" if np.isnan(v) else repr(float(v)) for v in row] + [repr(float(prediction))])


def write_training(path, when, rows, metrics, source):
    """Writes what is to be known of the training. JSON is YAML."""
    stamps = sorted(when.values())
    path.write_text(json.dumps({"from": stamps[0], "to": stamps[-1], "rows": rows,
                                "metrics": metrics, "source": source}, indent=2) + "\n", encoding="utf-8")
