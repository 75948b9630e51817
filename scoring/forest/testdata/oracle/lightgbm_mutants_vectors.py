"""Damages the models of testdata/lightgbm/small.zip and asks LightGBM what it makes of them.

    python lightgbm_mutants_vectors.py OUTDIR            1,000 mutants
    python lightgbm_mutants_vectors.py --small OUTDIR    600, those of testdata/lightgbm/mutants.json.gz

writes OUTDIR/lightgbm-mutants/mutants.json.gz, a line for each mutant:

    {"model": "dart", "edits": [[at, cut, "put"], ...], "raw": "0123456789abcdef"}

At byte `at`, `cut` bytes give way to `put`, edit after edit. "raw" is the start of the SHA-256 of the raw scores of
all rows of the model, as in its raw.f64; "" where LightGBM refuses the mutant, crashes or hangs. A reader may refuse
any mutant; one that it accepts must have just these scores.
"""

import argparse
import gzip
import hashlib
import json
import os
import pathlib
import re
import resource
import signal
import tempfile
import zipfile

import lightgbm as lgb
import numpy as np

NUMBERS = ["-1", "0", "1", "-2", "2", "3", "5", "7", "8", "9", "10", "11", "12", "16", "64", "99", "-99", "127", "255", "4096",
           "2147483647", "-2147483648", "4294967295", "4294967296", "1e300", "-1e300", "1e308", "1e-36", "-1e-36", "1e-400",
           "0.5", "1.5", "-0", "+1", "007", "nan", "inf", "-inf", "1e", "0x1p3", "1_0", ""]
BYTES = "0123456789-+.eE =\n\rabz[]:_"
MODELS = pathlib.Path(__file__).parent.parent / "lightgbm" / "small.zip"


def lines_of(text):
    """Spans of the key=value lines of header and trees."""
    end = text.find("end of trees")
    return [m.span() for m in re.finditer(r"[^\n]+", text[: end if end > 0 else len(text)])]


def pick(rng, items):
    return items[rng.integers(len(items))]


def change_value(rng, text):
    """Another number for one value of a line."""
    start, end = pick(rng, lines_of(text))
    values = [m.span() for m in re.finditer(r"[^ =]+", text[start:end])][1:]
    if not values:
        return text
    a, b = pick(rng, values)
    old = text[start + a : start + b]
    new = pick(rng, NUMBERS)
    if rng.random() < 0.4 and re.fullmatch(r"-?\d+", old):
        new = str(int(old) + int(pick(rng, [-1, 1, 2, -2])))
    return text[: start + a] + new + text[start + b :]


def swap_values(rng, text):
    start, end = pick(rng, [s for s in lines_of(text) if " " in text[slice(*s)]])
    key, _, values = text[start:end].partition("=")
    values = values.split(" ")
    i, j = rng.integers(len(values), size=2)
    values[i], values[j] = values[j], values[i]
    return text[:start] + key + "=" + " ".join(values) + text[end:]


def change_bytes(rng, text):
    """Up to two bytes give way to up to two others, not in the parameters of training: those are nothing to
    predictions, and it is only LightGBM's Python package that stumbles there."""
    limit = text.find("\nparameters:") % len(text)
    at = rng.integers(limit)
    cut = rng.integers(3)
    return text[:at] + "".join(pick(rng, BYTES) for _ in range(rng.integers(3))) + text[at + cut :]


def move_line(rng, text):
    """One line goes away, is doubled or takes the place of another."""
    a, b = pick(rng, lines_of(text)), pick(rng, lines_of(text))
    line = text[slice(*a)]
    return pick(rng, [
        text[: a[0]] + text[a[1] + 1 :],
        text[: a[1]] + "\n" + line + text[a[1] :],
        text[: b[0]] + line + text[b[1] :],
    ])


def alike_line(rng, text):
    """A line takes the place of another with the same key: arrays of another tree."""
    a = pick(rng, lines_of(text))
    line = text[slice(*a)]
    key = line.partition("=")[0] + "="
    b = pick(rng, [s for s in lines_of(text) if text[slice(*s)].startswith(key)] or [a])
    return text[: b[0]] + line + text[b[1] :]


def truncate(rng, text):
    return text[: rng.integers(len(text))]


def fix_sizes(text):
    """Gives the trees the sizes that they have, so that not each longer number is found out by its length."""
    head, blank, rest = text.partition("\n\n")
    body = re.split(r"end of trees\n|\nfeature importances:\n", rest)[0]
    sizes = [len(t.encode()) for t in re.findall(r"Tree=.*?(?=Tree=|\Z)", body, re.S)]
    return re.sub(r"tree_sizes=[^\n]*", "tree_sizes=" + " ".join(map(str, sizes)), head) + blank + rest


def edit(old, new):
    """What differs: [at, cut, put], in bytes."""
    old, new = old.encode(), new.encode()
    same = os.path.commonprefix([old, new])
    at = len(same)
    tail = len(os.path.commonprefix([old[at:][::-1], new[at:][::-1]]))
    return [at, len(old) - at - tail, new[at : len(new) - tail].decode("latin-1")]


MUTATIONS = [change_value] * 8 + [swap_values] * 3 + [change_bytes] * 4 + [move_line, alike_line, alike_line, truncate]


def mutate(rng, text):
    """Returns a mutant and its edits."""
    while True:
        edits, now = [], text
        for _ in range(pick(rng, [1, 1, 1, 2])):
            new = pick(rng, MUTATIONS)(rng, now)
            edits.append(edit(now, new))
            now = new
        if rng.random() < 0.75:
            new = fix_sizes(now)
            edits.append(edit(now, new))
            now = new
        edits = [e for e in edits if e[1] or e[2]]
        if edits and now.isascii() == text.isascii():
            return now, edits


def ask(text, rows, outputs):
    """The digest of LightGBM's raw scores, found out in a process of its own, which may crash or hang."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.alarm(2)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1), os.dup2(quiet, 2)
        try:
            with tempfile.NamedTemporaryFile() as f:
                f.write(text.encode())
                f.flush()
                raw = lgb.Booster(params=dict(num_threads=1), model_file=f.name).predict(rows, raw_score=True, num_threads=1)
            if raw.size == len(rows) * outputs:
                os.write(write, hashlib.sha256(raw.astype("<f8").tobytes()).hexdigest()[:16].encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read) as answer:
        digest = answer.read()
    os.waitpid(pid, 0)
    return digest


def main():
    args = argparse.ArgumentParser()
    args.add_argument("outdir")
    args.add_argument("--small", action="store_true")
    args = args.parse_args()
    rng = np.random.default_rng(1 if args.small else 2)
    out = pathlib.Path(args.outdir) / "lightgbm-mutants" / "mutants.json.gz"
    out.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(MODELS) as z, gzip.GzipFile(out, "wb", mtime=0) as f:
        names = sorted(n.removesuffix("/model.txt") for n in z.namelist() if n.endswith("/model.txt"))
        for i in range(600 if args.small else 1000):
            name = names[i % len(names)]
            meta = json.loads(z.read(name + "/meta.json"))
            rows = np.frombuffer(z.read(name + "/rows.f64"), "<f8").reshape(meta["rows"], meta["features"])
            text, edits = mutate(rng, z.read(name + "/model.txt").decode())
            mutant = dict(model=name, edits=edits, raw=ask(text, rows, meta["outputs"]))
            f.write(json.dumps(mutant).encode() + b"\n")


if __name__ == "__main__":
    main()
