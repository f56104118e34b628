"""What stands in every exported file that is code: where it comes from, and its values with their errors."""

from __future__ import annotations

from typing import Any

import numpy as np

import pct
from pct.export.parameters import status_of
from pct.export.source import Source


def describe(source: Source, target: str) -> list[str]:
    """Origin, method of a step, and what is left out, one line each."""
    step = f"{source.substeps} equal steps of {source.integrator_name}"
    dt = "" if source.dt is None else f"; the values were identified with dt = {source.dt:g} s"
    return [
        f"Made by `pct export {target}` of PCT {pct.__version__}.",
        f"Values: {source.title}; model {source.spec.name}.",
        f"A step is {step}{dt}. SI units and radians; axes of ISO 8855: x forward, y left, z up.",
        *(f"Not exported: {line}." for line in source.left_out),
    ]


def values_of(source: Source) -> dict[str, dict[str, Any]]:
    """Value, unit, status and standard error of every parameter, for a JSON file."""
    return {
        row.name: {
            "value": np.asarray(source.values[row.name], float).tolist(),
            "unit": row.unit,
            "status": status_of(source, (row.name,)),
            "std_error": source.deviations.get(row.name),
        }
        for row in source.spec.parameters
    }
