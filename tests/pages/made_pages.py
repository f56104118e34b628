"""Pages of drives that nobody drove."""

from __future__ import annotations

import numpy as np

from pct.dynamics import MODEL_SPECS
from pct.pages.courses import Drive, Known, Mark
from pct.tracking.changes import Change
from pct.tracking.drives import Course, Tracked
from pct.tracking.problem import Problem, usual_levels
from pct.tracking.report import make_page

NAMES = ("mu", "I")


def course(rows: int, middle: float = 0.7, wide: float = 0.1) -> np.ndarray:
    """Median, low and high."""
    return middle + np.linspace(0.0, 0.1, rows) + wide * np.array([0.0, -1.0, 1.0])[:, None]


def drive(name: str, rows: int = 50) -> Drive:
    """A drive of two quantities; the first changes once, and is not told for some rows."""
    t = 0.1 * np.arange(rows)
    untold = (t >= 1.0) & (t < 2.0)
    known = [
        Known("mu", "1", course(rows, wide=0.2), course(rows), untold),
        Known("I", "kg m^2", course(rows, 3.0), course(rows, 3.0), 0 * t > 1),
    ]
    return Drive(name, t, 5 * np.cos(t), 5 * np.sin(t), known, [Mark("mu", 3.0, 2.9, 3.2)])


def tracked(name: str, rows: int = 50, changes: int = 1) -> Tracked:
    t = 0.1 * np.arange(rows)
    courses = {parameter: Course(*course(rows)) for parameter in NAMES}
    told = {parameter: np.where(t < 1.0, 0.0, 1.0) for parameter in NAMES}
    made = tuple(
        Change(
            parameter="mu", time=2.0 + k, low=1.9, high=2.2, probability=1.0, before=0.8, after=0.5, seen=2.5
        )
        for k in range(changes)
    )
    return Tracked(name, t, 5 * np.cos(t), 5 * np.sin(t), courses, courses, told, told, made)


def track_page(names: list[str], changes: int = 1) -> str:
    """The page of `pct track`."""
    spec = MODEL_SPECS["singletrack"]
    problem = Problem(spec, spec.default_params, NAMES)
    drives = [tracked(name, changes=changes if n == 0 else 0) for n, name in enumerate(names)]
    return make_page(problem, usual_levels(problem), drives, estimated=True)


def samples(rows: int = 400) -> dict[str, np.ndarray]:
    """Two recordings of a dataset, as its card reads them."""
    t = np.linspace(0.0, 4 * np.pi, rows)
    return {
        "x": 30 * np.cos(t),
        "y": 10 * np.sin(t),
        "v": 5 + 2 * np.sin(t),
        "ax": 3 * np.cos(t),
        "ay": 4 * np.sin(t),
        "beta": 0.1 * np.sin(t),
        "delta": 0.2 * np.sin(2 * t),
        "recording": np.repeat([0.0, 1.0], rows // 2),
        "seconds": np.full(rows, 0.5),
    }
