"""Drives of a model, plain and behind its measurement: what the tests of effects share."""

from __future__ import annotations

from typing import Any

import numpy as np

from pct.dynamics import MODEL_SPECS, ModelSpec
from pct.measurement import Measurement
from pct.measurement.chain import hidden_start
from pct.rollout.integration import TABLEAUS, explicit_step

UNICYCLE, CAR = MODEL_SPECS["unicycle"], MODEL_SPECS["singletrack-pacejka"]
DT, STEPS = 0.02, 16
# Three windows: one in a bend, one that rolls without slip, one in reverse.
START = {
    "vx": np.array([6.0, 0.4, -1.0]),
    "vy": np.array([0.2, 0.01, 0.0]),
    "psi_dot": np.array([1.0, 0.1, 0.2]),
    "delta": np.array([0.1, -0.1, 0.05]),
}
T = np.arange(STEPS)[:, None] * DT
STEERING = 0.3 * np.sin(8.0 * T + np.arange(3))
DRIVE = 0.5 * np.cos(5.0 * T + np.arange(3))
ALL = Measurement(
    lag=("vx", "vy", "psi_dot", "psi_dot"),
    bias=("vx", "vy", "psi_dot"),
    drift=("vx", "psi_dot"),
    actuator_lag=("delta", "throttle", "brake"),
    delay=("delta_dot", "throttle", "brake"),
    steering=True,
    lever_arm=True,
    misaligned=True,
    pedals=True,
    relaxation=True,
    steering_clock=True,
    observer=True,
)


def drive(spec: ModelSpec, start: dict[str, Any], *controls: Any, h: float = DT, **params: Any) -> Any:
    """Every state by name, (N + 1, B) each, by Heun's method; states not in ``start`` begin at zero.

    Hidden states begin where `hidden_start` says, or at ``start``.
    """
    values = {**spec.default_params, **params}
    batch = np.zeros(controls[0].shape[1])
    x = tuple(batch + start.get(name, 0.0) for name in spec.state_names)
    hidden = hidden_start(spec, x, tuple(u[0] for u in controls))
    behind = (start.get(c.name, value) + batch for c, value in zip(spec.hidden, hidden, strict=True))
    rows = [(*x, *behind)]

    for u in zip(*controls, strict=True):

        def rate(x: Any, u: Any = u) -> Any:
            return spec.lane_rates(x, u, values, np)

        rows.append(explicit_step(TABLEAUS["heun"], rate, rows[-1], h))
    names = (*spec.state_names, *(c.name for c in spec.hidden))
    return {name: np.stack(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def assert_same(found: Any, wanted: Any, names: Any) -> None:
    for name in names:
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-9, atol=1e-9, err_msg=name)


PLAIN = drive(CAR, START, STEERING, DRIVE)
