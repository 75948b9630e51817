"""What ONNX Runtime makes of damaged models.

    python onnx_mutants.py ../onnx/small.zip ../onnx/mutants.json.gz

Each mutant is a model of small.zip with one byte changed, and is tried in a process of its own, since some of
them end it. Written are {"model", "at", "byte", "pred"}: predictions of the model's first rows, by row and
output, or null where ONNX Runtime refuses the mutant, dies of it or does not come to an end.
"""

import gzip
import json
import os
import select
import signal
import sys
import zipfile

import numpy as np
import onnx

from onnx_vectors import run

MODELS = ["float-gb-exponential", "float-hist-multiclass", "float-tree", "float-gte"]
MUTANTS, ROWS, SECONDS = 150, 8, 5


def attempt(model, rows):
    """Returns the predictions of ONNX Runtime, made by a child process, or None."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        try:
            scores = np.asarray(run(onnx.load_from_string(model), rows), dtype=np.float64).reshape(len(rows), -1)
            os.write(writing, json.dumps([[float("%.9g" % v) for v in row] for row in scores]).encode())
        finally:
            os._exit(0)
    os.close(writing)
    answer = b""
    if select.select([reading], [], [], SECONDS)[0]:
        answer = os.read(reading, 1 << 16)
    os.close(reading)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return json.loads(answer) if answer else None


def main():
    rng = np.random.default_rng(5)
    mutants = []
    with zipfile.ZipFile(sys.argv[1]) as z:
        for name in MODELS:
            model = z.read(name + "/model.onnx")
            features = json.loads(z.read(name + "/meta.json"))["features"]
            rows = np.frombuffer(z.read(name + "/rows.f64"), "<f8").reshape(-1, features)[:ROWS]
            for at in sorted(rng.choice(len(model), MUTANTS, replace=False).tolist()):
                flipped = model[at] ^ int(rng.choice([1, 2, 4, 8, 16, 64, 128, 255]))
                pred = attempt(model[:at] + bytes([flipped]) + model[at + 1:], rows)
                mutants.append({"model": name, "at": at, "byte": flipped, "pred": pred})
    with open(sys.argv[2], "wb") as f, gzip.GzipFile("", "wb", 9, f, mtime=0) as g:
        g.write(json.dumps(mutants).encode())
    scored = sum(m["pred"] is not None for m in mutants)
    print(f"{len(mutants)} mutants, {scored} scored")


if __name__ == "__main__":
    main()
