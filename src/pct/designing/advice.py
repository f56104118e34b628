"""The command that designs the drive which a fit is short of, with its numbers filled in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from pct.dynamics.registry import get_model
from pct.simulation.driver import is_drivable, speed_name
from pct.windows.store import WindowStore

# Verdicts that another drive can mend.
MENDED = ("weak", "not excited", "traded off")
# A free area is not larger than that, in m: the drive was on a road.
FREE = 100.0
# Speeds are those that all but this share of the rows keep to.
FAST = 0.995


def design_arguments(
    name: str, verdicts: Mapping[str, Mapping[str, Any]], store: WindowStore
) -> tuple[str, ...]:
    """Arguments of `pct design` for the parameters that a fit could not identify, behind its run folder.

    The area and the speed are those of the drives at hand. None where no parameter of the vehicle itself is
    short of information, or the model cannot be steered.

    Args:
        name: of the model.
        verdicts: of the fit, by parameter.
        store: what it was fitted to.
    """
    spec = get_model(name)
    own = {row.name for row in spec.parameters}
    short = [key for key, entry in verdicts.items() if key in own and entry["verdict"].startswith(MENDED)]
    if not short or not is_drivable(spec):
        return ()
    x, y, _ = spec.pose_indices
    spans = np.zeros(2)
    for number in range(len(store.recordings)):
        place = store.states[store.recording == number][:, [x, y]]
        spans = np.maximum(spans, np.ptp(place, axis=0)) if len(place) else spans
    speed = float(np.quantile(np.abs(store.states[:, spec.state_indices[speed_name(spec)]]), FAST))
    sides = sorted((math.ceil(span) for span in spans), reverse=True)
    place_of = ("--area", *map(str, sides)) if sides[1] >= 2 and sides[0] <= FREE else ("--track", "ROAD.csv")
    return ("--identify", *short, *place_of, "--speed", f"{max(speed, 0.1):.2g}")
