"""Turns models into C with treelite and TL2cgen, and compiles that to shared libraries.

  compile_tl2cgen.py MODELS DIRECTORY    writes 100x31.so and how long that took, 100x31.seconds, and so on

Branch annotations make no difference to the time, and quantised thresholds cost some: neither is used.
"""

import pathlib
import sys
import tempfile
import time

import tl2cgen
import treelite

models, directory = map(pathlib.Path, sys.argv[1:])
for path in sorted(models.glob("*.txt")):
    started = time.monotonic()
    model = treelite.frontend.load_lightgbm_model(str(path))
    library = directory / f"{path.stem}.so"
    with tempfile.TemporaryDirectory() as sources:
        tl2cgen.generate_c_code(model, sources, {"parallel_comp": 8})
        tl2cgen.create_shared("gcc", sources, options=["-O3"], nthread=2)
        next(pathlib.Path(sources).glob("*.so")).rename(library)
    library.with_suffix(".seconds").write_text(f"{time.monotonic() - started:.1f}\n")
