"""A drive in closed loop: until the laps are done, the car leaves the track, or time is over."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from pct.racing.controllers import DT, Controller
from pct.racing.tracks import Track
from pct.types import Float

# Standard deviations of what the controller and the log read, in SI units.
NOISE = {"x": 0.02, "y": 0.02, "delta": 0.001, "v": 0.03, "psi": 0.002, "psi_dot": 0.005, "beta": 0.003}
WHEEL_NOISE = 0.1


@dataclasses.dataclass(frozen=True, eq=False)
class Laps:
    """What a drive came to.

    Attributes:
        times: of each finished lap in s.
        finished: whether all laps were done.
        reason: why it ended before.
        log: readings and controls by channel, a row each `DT` seconds.
        true: positions, speed and slip angle without noise, by channel.
        step_ms: milliseconds of processor time of the controller a step, in the median.
    """

    times: tuple[float, ...]
    finished: bool
    reason: str
    log: Mapping[str, Float[np.ndarray, " N"]]
    true: Mapping[str, Float[np.ndarray, " N"]]
    step_ms: float


def drive(
    plant: Any,
    controller: Controller,
    track: Track,
    *,
    laps: int = 1,
    speed: float,
    seed: int = 0,
    longest: float = 300.0,
    event: Callable[[float], None] = lambda way: None,
) -> Laps:
    """Drive laps from a rolling start.

    Args:
        plant: the car, see `pct.racing.plants`.
        controller: sees noisy readings alone.
        track: the track.
        laps: how many.
        speed: at the start in m/s.
        seed: of the noise.
        longest: seconds after which the drive ends.
        event: called each step with the laps driven so far, as to change the road.
    """
    random = np.random.default_rng(seed)
    plant.reset(track.x[0], track.y[0], track.heading[0], speed)
    rows: dict[str, list[float]] = {}
    true: dict[str, list[float]] = {}
    times: list[float] = []
    spent: list[float] = []
    s, way, begun, reason = 0.0, 0.0, 0.0, ""
    for step in range(round(longest / DT)):
        now = plant.readings()
        if not all(map(np.isfinite, now.values())):
            reason = f"spun at {s:.0f} m of lap {len(times) + 1}"
            break
        before, (s, offset) = s, track.locate(now["x"], now["y"], near=s)
        gained = (s - before + track.length / 2) % track.length - track.length / 2
        if way + gained >= (len(times) + 1) * track.length:  # the line was crossed within the step
            share = ((len(times) + 1) * track.length - way) / gained
            crossed = (step - 1 + share) * DT
            times.append(crossed - begun)
            begun = crossed
        way += gained
        if len(times) == laps:
            break
        if not track.is_on(s, offset):
            reason = f"off the track at {s:.0f} m of lap {len(times) + 1}"
            break
        if step > 40 and now["v"] < 0.5:
            reason = f"stopped at {s:.0f} m of lap {len(times) + 1}"
            break
        seen = {name: value + random.normal(0.0, NOISE.get(name, WHEEL_NOISE)) for name, value in now.items()}
        clock = time.thread_time()
        controls = controller.control(seen, s)
        spent.append(time.thread_time() - clock)
        for name, value in {**seen, "delta_dot": controls[0], "accel": controls[1]}.items():
            rows.setdefault(name, []).append(value)
        for name in ("x", "y", "v", "beta"):
            true.setdefault(name, []).append(now[name])
        event(way / track.length)
        plant.advance(controls, DT)
    else:
        reason = f"not done after {longest:g} s"
    return Laps(
        tuple(times),
        len(times) == laps,
        reason,
        {name: np.array(values) for name, values in rows.items()},
        {name: np.array(values) for name, values in true.items()},
        1e3 * float(np.median(spent)) if spent else float("nan"),
    )
