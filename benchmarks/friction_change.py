"""A 1:43 car at its limit while the friction changes: whose belief follows it, and who knows?

The test of M. F. Al-Sunni, H. Almubarak, K. Horng, J. M. Dolan, "LLA-MPC: Fast Adaptive Control for
Autonomous Racing", arXiv:2505.19512, rebuilt from its description: the ORCA car of BayesRace at steps of
0.02 s for 36 s, from 14.3 s on a loss of 1/2600 of both axles' grip each step, or ten losses of 1/22 at
3.3 s, or at 14.3 s. The oracle's model and speed profile know the grip of each moment; the adaptive driver
has a `pct.Tracker` of it, the fixed one believes in the first.

Different from theirs: a track of ours of about the size of ETHZ's, 0.37 m wide, along its centre line, as
neither is in a package; sampling (MPPI) in place of a nonlinear program. Only the ratios compare. Theirs:
mean laps of 8.60, 9.22, 9.21 s of the oracle, 8.74, 9.26, 9.28 s of LLA-MPC, 12.98 s and two failures of
APACRace.

    python benchmarks/friction_change.py    # minutes

The last line is a JSON object: mean lap over that of the oracle and how many failed, by driver.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import pct
from pct.dynamics.limits import GRAVITY
from pct.racing.beliefs import TELLS, Following
from pct.racing.controllers import Mppi, Tuning
from pct.racing.profile import speed_profile
from pct.racing.tracks import Track, load_track
from pct.rollout.native.sampler import Rollout

DT, SECONDS, HALF_WIDTH = 0.02, 36.0, 0.185
# Along the middle of the track, in m.
POINTS = (
    (0.0, 0.0), (0.9, -0.05), (1.7, 0.05), (2.2, 0.45), (2.15, 0.95), (1.7, 1.2), (1.15, 1.25), (0.85, 1.6),
    (1.1, 2.0), (1.7, 2.1), (2.2, 2.4), (2.2, 2.9), (1.7, 3.2), (0.9, 3.2), (0.1, 3.1), (-0.35, 2.7),
    (-0.3, 2.2), (0.0, 1.8), (0.0, 1.35), (-0.35, 1.0), (-0.6, 0.6), (-0.45, 0.15),
)  # fmt: skip
# Grip over the first one at each step.
CASES: dict[str, Callable[[float], float]] = {
    "gradual from 14.3 s": lambda t: (1 - 1 / 2600) ** max(0.0, (t - 14.3) / DT),
    "sudden at 3.3 s": lambda t: (1 - 1 / 22) ** min(max(0.0, (t - 3.3) / DT), 10.0),
    "sudden at 14.3 s": lambda t: (1 - 1 / 22) ** min(max(0.0, (t - 14.3) / DT), 10.0),
}
DRIVERS = ("oracle", "adaptive", "fixed")
CAR = pct.model("singletrack-pacejka", vehicle="orca")
CAR = CAR.hold(*(name for name in CAR.learned if name not in ("D_f", "D_r")))
SPEC = CAR.spec
FIRST = {name: float(SPEC.default_params[name]) for name in ("D_f", "D_r")}
# Shares of the grip that the profile asks for, across and along.
MARGIN, ALONG = 0.9, 0.4


def main() -> None:
    """Drive each case with each driver and print."""
    means: dict[str, list[float | None]] = {name: [] for name in DRIVERS}
    track = made()
    print(f"{track.length:.1f} m, {2 * HALF_WIDTH:g} m wide")
    for case, course in CASES.items():
        for name in DRIVERS:
            laps, failed, level = drive(name, course, track)
            means[name].append(None if failed else statistics.mean(laps))
            told = ", ".join(f"{lap:.2f}" for lap in laps)
            print(f"{case:20s} {name:9s} {told:30s} {failed or f'believes {level:.3f}'}")
            sys.stdout.flush()
    print(json.dumps({name: summary(means[name], means["oracle"]) for name in DRIVERS}))


def drive(name: str, course: Callable[[float], float], track: Track) -> tuple[list[float], str, float]:
    """Laps in s, why it failed, and the last belief of the grip over the first one."""
    road = Rollout(SPEC, dt=DT, substeps=4)
    driver = Mppi(SPEC, {}, track, profile(track, 1.0), 0, tuning())
    clock = {"t": 0.0}
    tracker = pct.Tracker(CAR, vary={"D_f+D_r": (0.4, 1.2)})
    believed = {"oracle": lambda *row: course(clock["t"]), "fixed": lambda *row: 1.0}
    believed["adaptive"] = follow(tracker.update, clock)
    follower = Following(Scaled(driver), believed[name], {"mu": 1.0}, lambda level: profile(track, level))
    state = np.zeros(len(SPEC.states))
    index = SPEC.state_indices
    state[[index[key] for key in ("x", "y", "psi", "vx")]] = track.x[0], track.y[0], track.heading[0], 0.5
    s, way, laps, begun = 0.0, 0.0, [], 0.0
    for step in range(round(SECONDS / DT)):
        clock["t"] = step * DT
        before, (s, offset) = s, track.locate(state[index["x"]], state[index["y"]], near=s)
        way += (s - before + track.length / 2) % track.length - track.length / 2
        if way >= (len(laps) + 1) * track.length:
            laps.append(step * DT - begun)
            begun = step * DT
        if not track.is_on(s, offset):
            return laps, f"off the track after {step * DT:.1f} s", follower.course[-1]
        controls = follower.control(dict(zip(SPEC.state_names, state, strict=True)), s)
        road.set({key: value * course(clock["t"]) for key, value in FIRST.items()})
        state = road.states(state, np.array([[controls]]))[0, 0].astype(float)
    return laps, "", follower.course[-1]


class Scaled:
    """A driver who takes a common factor on the grip of both axles for friction."""

    def __init__(self, driver: Mppi) -> None:
        """Wrap a driver."""
        self._driver = driver

    def control(self, state: Mapping[str, float], s: float) -> tuple[float, float]:
        """The driver's controls."""
        return self._driver.control(state, s)

    def believe(self, params: Mapping[str, Any], speed: np.ndarray) -> None:
        """Scale the grip."""
        self._driver.believe({key: value * params["mu"] for key, value in FIRST.items()}, speed)


def follow(update: Callable[..., Any], clock: Mapping[str, float]) -> Callable[..., float]:
    """What a tracker says of the common factor, in the median."""
    level = [1.0]

    def belief(s: float, state: Mapping[str, float], controls: tuple[float, float]) -> float:
        estimate = update(clock["t"], state, dict(zip(SPEC.control_names, controls, strict=True)))
        if estimate.told[0] >= TELLS:
            level[0] = estimate.median[0]
        return level[0]

    return belief


def tuning() -> Tuning:
    """Sampling for a car of 41 g on a track of 0.37 m."""
    p = SPEC.default_params
    limits = (-10.0, 10.0), (-1.0, 1.0)
    scales = {"x": 0.03, "y": 0.03, "vx": 0.2, "psi": 0.2, "delta": 0.1, "psi_dot": 1.5}
    return Tuning(DT, scales, (3.0, 0.5), "vx", lambda params: limits, float(p["C_m1"] / p["m"]))


def profile(track: Track, level: float) -> np.ndarray:
    """Wanted speed with a share of the first grip."""
    p = SPEC.default_params
    grip = level * float(p["D_f"] + p["D_r"]) / (float(p["m"]) * GRAVITY)
    along = ALONG * grip * GRAVITY
    return speed_profile(track, grip, accel=along, brake=along, top=3.0, margin=MARGIN)


def made() -> Track:
    """The track."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.csv"
        np.savetxt(path, [(*point, HALF_WIDTH, HALF_WIDTH) for point in POINTS], delimiter=",")
        return load_track(path)


def summary(mean: list[float | None], oracle: list[float | None]) -> dict[str, float | int | None]:
    """Mean lap over the oracle's where both finished, and how many failed."""
    pairs = [(a, b) for a, b in zip(mean, oracle, strict=True) if a is not None and b is not None]
    over = round(sum(a for a, _ in pairs) / sum(b for _, b in pairs), 4) if pairs else None
    return {"over_oracle": over, "failed": sum(value is None for value in mean)}


if __name__ == "__main__":
    main()
