"""Errors, normal equations and gains of every model under sanitizers, in a process that has these loaded.

Arguments: what comes at the end of the compiler's flags, then ``old=>new``, a text of the source to replace,
or nothing.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from measurement.driving import ALL
from optimization.constants.native_cases import make_errors, make_windows, on_both, results
from pct.dynamics import MODEL_SPECS
from pct.measurement import Measurement, with_measurement
from pct.optimization.network.native_history import NativeHistoryFit
from pct.rollout.native import compiler, sensitivities

DELAYED = with_measurement(MODEL_SPECS["unicycle"], Measurement(delay=("accel",), observer=True))
MEASURED = with_measurement(MODEL_SPECS["singletrack-pacejka"], ALL)
CASES = [
    (DELAYED, {"integrator": "rk4"}),
    (MODEL_SPECS["unicycle"], {"free_start": True, "compare": ("psi", "v")}),
    (MEASURED, {"integrator": "euler", "substeps": 2}),
    (MODEL_SPECS["singletrack"], {"integrator": "heun", "compare": ("beta",)}),
    *((with_measurement(spec, Measurement(observer=True)), {}) for spec in MODEL_SPECS.values()),
]


def main(flags: str, fault: str) -> None:
    make_source = sensitivities.make_source

    def with_fault(*args: Any, **options: Any) -> str:
        right, _, wrong = fault.partition("=>")
        source = make_source(*args, **options)
        assert right in source
        return source.replace(right, wrong) if fault else source

    sensitivities.make_source = with_fault
    sensitivities.FLAGS = (*sensitivities.FLAGS, *flags.split())
    compiler.LONGEST = 600.0
    for dtype in (np.float32, np.float64):
        for count in (1, 8, 20):
            fit_histories(count, dtype)
        for spec, options in CASES[:1] if fault else CASES:
            errors, windows = make_errors(spec, dtype, **options), make_windows(spec, dtype)
            for count in (1, 8, len(windows)):
                some = windows.select(np.arange(count))
                results(on_both(errors, some)[1], errors, count, reading=1.0)
    print("clean")


def fit_histories(count: int, dtype: Any) -> None:
    """Windows with parameters of their own."""
    spec, rng = MODEL_SPECS["unicycle"], np.random.default_rng(0)
    fit = NativeHistoryFit(spec, spec.param_keys, "rk4", 2, 0.05, dtype)
    shapes = (count, 6, len(spec.states)), (count, 5, len(spec.controls))
    fit(*(rng.standard_normal(shape).astype(dtype) for shape in shapes))


if __name__ == "__main__":
    main(*sys.argv[1:])
