"""Compiles models with lleaves to shared libraries.

  compile_lleaves.py MODELS DIRECTORY    writes 100x31.so and how long that took, 100x31.seconds, and so on

Blocks of 17 trees and the small code model score fastest, of those tried: 10, 17, 34 (the default), 50, all trees;
small, large (the default).
"""

import pathlib
import subprocess
import sys
import time

import lleaves

models, directory = map(pathlib.Path, sys.argv[1:])
for path in sorted(models.glob("*.txt")):
    started = time.monotonic()
    compiled = directory / f"{path.stem}.o"
    model = lleaves.Model(str(path))
    model.compile(cache=str(compiled), raw_score=True, fblocksize=17, fcodemodel="small")
    subprocess.run(["gcc", "-shared", "-o", compiled.with_suffix(".so"), compiled, "-lm"], check=True)
    compiled.unlink()
    compiled.with_suffix(".seconds").write_text(f"{time.monotonic() - started:.1f}\n")
