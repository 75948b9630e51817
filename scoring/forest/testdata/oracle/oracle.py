"""Writes the vectors that the tests of scoring/forest compare with, one directory a model:

    <outdir>/<format>/<name>/model.*      the model as its trainer wrote it
                             rows.f64     rows × features
                             raw.f64      rows × outputs, raw scores
                             pred.f64     rows × outputs, predictions
                             contrib.f64  rows × outputs × (features+1), optional; the expected value last
                             meta.json    {"rows": n, "features": n, "outputs": n}

An .f64 file is little-endian float64, row by row, so that a comparison can be one of bits.

    python -m oracle zip <outdir>/<format> small.zip     packs models for committing, always to the same bytes
"""

import json
import pathlib
import sys
import zipfile

import numpy as np


def save(outdir, format, name, model_file, model, rows, raw, pred, contrib=None):
    """Writes one model, its rows and what its trainer makes of them."""
    rows = np.asarray(rows, dtype=np.float64)
    raw = np.asarray(raw, dtype=np.float64).reshape(len(rows), -1)
    pred = np.asarray(pred, dtype=np.float64).reshape(len(rows), -1)
    outputs = raw.shape[1]
    if pred.shape != raw.shape:
        raise ValueError(f"{name}: {pred.shape} predictions for {raw.shape} raw scores")
    at = pathlib.Path(outdir) / format / name
    at.mkdir(parents=True, exist_ok=True)
    (at / model_file).write_bytes(model if isinstance(model, bytes) else model.encode())
    arrays = {"rows": rows, "raw": raw, "pred": pred}
    if contrib is not None:
        arrays["contrib"] = np.asarray(contrib, dtype=np.float64).reshape(
            len(rows), outputs * (rows.shape[1] + 1))
    for key, array in arrays.items():
        (at / f"{key}.f64").write_bytes(array.astype("<f8").tobytes())
    meta = {"rows": len(rows), "features": rows.shape[1], "outputs": outputs}
    (at / "meta.json").write_text(json.dumps(meta) + "\n")


def pack(directory, archive):
    """Zips the models of a directory; neither times nor the order of a listing get in."""
    root = pathlib.Path(directory)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as z:
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(root).as_posix())
            entry.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(entry, path.read_bytes())


if __name__ == "__main__":
    if len(sys.argv) != 4 or sys.argv[1] != "zip":
        sys.exit("usage: python -m oracle zip DIRECTORY ARCHIVE")
    pack(sys.argv[2], sys.argv[3])
