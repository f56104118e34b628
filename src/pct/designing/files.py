"""A designed drive as tables: what the guessed car does over time, and what a path follower is given."""

from __future__ import annotations

import numpy as np

from pct.designing.area import Rectangle
from pct.designing.drives import DesignedDrive
from pct.simulation.driver import WHEELBASE
from pct.types import Float

# Cones stand inside of bends, so far from the path and from every other part of it, in margins of the area.
ASIDE, CLEAR = 1.0, 0.9


def drive_columns(design: DesignedDrive) -> dict[str, Float[np.ndarray, " N"]]:
    """Time in s, states, and controls from each row to the next, of the guessed car; SI units."""
    states, controls = design.guess
    spec = design.spec
    return {
        "t": design.settings.dt * np.arange(len(states)),
        **{name: states[:, i] for i, name in enumerate(spec.state_names)},
        **{name: controls[:, i] for i, name in enumerate(spec.control_names)},
    }


def path_columns(design: DesignedDrive) -> dict[str, Float[np.ndarray, " M"]]:
    """The closed path, point by point.

    ``s`` in m, ``x``, ``y``, ``course`` in rad, ``curvature`` in 1/m, ``speed`` in m/s, ``steering`` in
    rad: what follows the path on its own without slip, and ``extra``, the part of it that steers to and fro
        on top.
    """
    path = design.reference.path
    known = design.spec.default_params
    wheelbase = float(known["lf"] + known["lr"]) if "lf" in known else WHEELBASE
    along = path.along[0]
    extra = design.reference.extra[0]
    return {
        "s": np.concatenate([[0.0], np.cumsum(along)[:-1]]),
        "x": path.x[0],
        "y": path.y[0],
        "course": np.unwrap(path.course[0]),
        "curvature": path.curvature[0],
        "speed": design.reference.speed[0],
        "steering": np.arctan(wheelbase * path.curvature[0]) + extra,
        "extra": extra,
    }


def edges(design: DesignedDrive) -> list[Float[np.ndarray, "E 2"]]:
    """Closed lines that the car's centre must not cross, in m; those of the area, its margin still on."""
    area = design.area
    if isinstance(area, Rectangle):
        x, y = area.length / 2, area.width / 2
        return [np.array([[-x, -y], [x, -y], [x, y], [-x, y]])]
    ahead = np.roll(area.centre, -1, axis=0) - np.roll(area.centre, 1, axis=0)
    normal = np.stack([-ahead[:, 1], ahead[:, 0]], axis=-1) / np.hypot(*ahead.T)[:, None]
    return [area.centre + normal * area.left[:, None], area.centre - normal * area.right[:, None]]


def cones(design: DesignedDrive) -> Float[np.ndarray, "C 2"]:
    """Where cones help a driver: inside of each bend, where no other part of the path passes."""
    path = design.reference.path
    place = np.stack([path.x[0], path.y[0]], axis=-1)
    bend = np.abs(path.curvature[0])
    peak = (bend > np.roll(bend, 1)) & (bend >= np.roll(bend, -1)) & (bend > 0.5 * np.median(bend))
    side = np.sign(path.curvature[0])[:, None]
    normal = np.stack([-np.sin(path.course[0]), np.cos(path.course[0])], axis=-1)
    aside = ASIDE * max(design.area.margin, 0.05 * float(np.ptp(place)) / 4)
    wanted = (place + aside * side * normal)[peak]
    distance = np.hypot(*(wanted[:, None] - place[None]).transpose(2, 0, 1)).min(axis=1)
    return wanted[distance > CLEAR * aside]
