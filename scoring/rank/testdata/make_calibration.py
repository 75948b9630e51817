#!/usr/bin/env python3
"""Makes calibration.json: predictions that scikit-learn calibrates by Platt scaling.

Usage: make_calibration.py   (with the packages of requirements.txt beside it)

For some classifiers that are too sure, or not sure enough, scikit-learn's sigmoid calibration is fitted on the log odds
of their predictions. Each case has its "slope" and "intercept", as recstream names them (scikit-learn's a and b with
the other sign), some predictions "p", and what it makes of them, "calibrated". Two runs write the same bytes.
"""

import json
import pathlib

import numpy as np
from sklearn.calibration import _SigmoidCalibration

HERE = pathlib.Path(__file__).parent


def main():
    random = np.random.default_rng(7)
    cases = []
    for sharpness, shift in [(1, 0), (2, 0.5), (0.4, -1), (3, -2), (0.2, 0)]:
        log_odds = random.normal(0, 1.5, 2000)
        liked = random.random(2000) < 1 / (1 + np.exp(-log_odds))
        told = sharpness * log_odds + shift  # what the classifier says
        fitted = _SigmoidCalibration().fit(told, liked)
        p = np.concatenate([[1e-12, 1e-6, 0.5, 1 - 1e-6], random.random(16)])
        cases.append({
            "slope": -fitted.a_, "intercept": -fitted.b_, "p": p.tolist(),
            "calibrated": fitted.predict(np.log(p) - np.log1p(-p)).tolist(),
        })
    (HERE / "calibration.json").write_text(json.dumps(cases, indent=1) + "\n")


main()
