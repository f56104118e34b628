"""Units that logs are written in beside SI."""

import math

# How many of a usual unit make the SI unit.
USUAL_UNITS: dict[str, dict[str, float]] = {
    "m": {"mm": 1e3, "cm": 1e2, "ft": 1 / 0.3048},
    "m/s": {"km/h": 3.6, "mph": 3600 / 1609.344, "mm/s": 1e3},
    "rad": {"deg": 180 / math.pi},
    "rad/s": {"deg/s": 180 / math.pi, "rpm": 30 / math.pi},
    "m/s^2": {"g": 1 / 9.80665},
    "1": {"percent": 1e2},
}
