"""How often the doctor names a planted fault, and how often it cries wolf.

Recordings of several models, cars, speeds and rates come out of the simulator; sensors of random quality are
put on them. Clean ones must stay silent (a false alarm is any finding of severity warning or error); each
fault is
planted alone, of a random size above the minimum that `FAULTS` states, and must be named. Last line: one
JSON object.

    python benchmarks/doctor.py [--recordings 200] [--seed 1000]

The checks were made with seeds below 1000; the published figures are of seeds that nobody looked at before.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple
from unittest import mock

import numpy as np

import pct.simulation.manoeuvres
from pct.doctor import Finding, Recording, examine, examine_all
from pct.dynamics import MODEL_SPECS
from pct.dynamics.channels import known_channels
from pct.dynamics.vehicles import with_vehicle
from pct.simulation.drive import simulate
from pct.simulation.sensors import RESOLUTION

DURATION = 40.0
# A slip angle in rad that only a spinning car has.
SPIN = 1.0


class Profile(NamedTuple):
    """Which car drives how, and how good its sensors may be.

    Attributes:
        model, vehicle: as `pct simulate` takes them.
        speed: lowest and highest speed aimed at in m/s.
        dt: logging step in s.
        noise: range of the multiplier of the channels' sensor noise.
        size: length of the car over that of a 1:10 one.
        fixed: parameters in place of the defaults.
        grip: largest share of the friction that the driver asks for.
    """

    model: str
    vehicle: str | None
    speed: tuple[float, float]
    dt: float
    noise: tuple[float, float] = (0.3, 2.0)
    size: float = 1.0
    fixed: Mapping[str, float] = {}
    grip: float = 0.8


PROFILES = (
    Profile("singletrack", None, (2.5, 7.0), 0.05),
    Profile("singletrack", "f1tenth", (2.0, 6.0), 0.01),
    Profile("singletrack", "bmw-320i", (8.0, 30.0), 0.02, size=9.0),
    Profile("singletrack", "av-21", (20.0, 60.0), 0.04, size=9.0),
    Profile("singletrack-drift", None, (3.0, 6.0), 0.025, grip=0.5),
    Profile("kinematic-singletrack", None, (1.0, 3.0), 0.05, (0.2, 1.0), 0.6, {"lf": 0.1, "lr": 0.1}),
    Profile("singletrack", None, (2.5, 7.0), 0.005),
)


class Drive(NamedTuple):
    """An exact drive: channels by name, (N,) each, and the profile it belongs to."""

    profile: Profile
    columns: Mapping[str, np.ndarray]


def drives(count: int, seed: int, *, grip: float = 1.0, one_sided: bool = False) -> list[Drive]:
    """Exact drives, shared out over the profiles; those that spin are left out.

    Args:
        count: how many to drive.
        seed: of everything random.
        grip: share of the profile's own.
        one_sided: turn to the left only.
    """
    found: list[Drive] = []
    shapes = pct.simulation.manoeuvres.LATERAL
    if one_sided:
        left = {name: _to_the_left(shape) for name, shape in shapes.items()}
        shapes = left
    for index, profile in enumerate(PROFILES):
        share = len(range(index, count, len(PROFILES)))
        if not share:
            continue
        spec = MODEL_SPECS[profile.model]
        if profile.vehicle:
            spec = with_vehicle(spec, profile.vehicle)
        fixed = {k: v for k, v in profile.fixed.items() if any(p.name == k for p in spec.parameters)}
        with mock.patch.object(pct.simulation.manoeuvres, "LATERAL", shapes):
            trajectories = simulate(
                spec,
                recordings=share,
                duration=DURATION,
                dt=profile.dt,
                mu=(0.5, 1.0),
                speed=profile.speed,
                grip=grip * profile.grip,
                fixed=fixed,
                noise=0.0,
                seed=seed + index,
            )
        found += [
            Drive(profile, t.channels)
            for t in trajectories
            if np.abs(t.channels.get("beta", np.zeros(1))).max() < SPIN
        ]
    return found


def _to_the_left(shape: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    return lambda t, rng: np.abs(shape(t, rng))


class Car(NamedTuple):
    """An exact drive and the sensors that log it: standard deviation and resolution by channel."""

    drive: Drive
    exact: dict[str, np.ndarray]
    noise: dict[str, float]


def equip(drive: Drive, rng: np.random.Generator) -> Car:
    """Choose the channels and the quality of the sensors at random."""
    columns, dt = drive.columns, drive.profile.dt
    exact = {name: columns[name] for name in ("x", "y", "psi", "delta")}
    v, beta = columns["v"], columns.get("beta")
    turn = columns.get("psi_dot")
    if turn is not None:
        exact["psi_dot"] = turn
    if beta is not None and turn is not None and rng.random() < 0.6:
        vx, vy = v * np.cos(beta), v * np.sin(beta)
        exact |= {"vx": vx, "vy": vy}
        exact["ax"] = np.gradient(vx, dt) - vy * turn
        exact["ay"] = np.gradient(vy, dt) + vx * turn
    else:
        exact["v"] = v
        if beta is not None:
            exact["beta"] = beta
    factor = rng.uniform(*drive.profile.noise)
    sizes = {channel.name: channel.noise for channel in known_channels().values()}
    noise = {name: factor * sizes[name] * rng.uniform(0.7, 1.4) for name in exact}
    return Car(drive, exact, noise)


def sensed(car: Car, rng: np.random.Generator, **changed: np.ndarray) -> dict[str, np.ndarray]:
    """What the sensors show of the drive, some of whose exact channels may have been changed."""
    shown = {}
    for name, values in {**car.exact, **changed}.items():
        step = RESOLUTION * car.noise[name]
        shown[name] = step * np.round((values + car.noise[name] * rng.standard_normal(len(values))) / step)
    return shown


def recording_of(
    car: Car, columns: Mapping[str, np.ndarray], time: np.ndarray | None = None, name: str = "drive"
) -> Recording:
    """The log as the doctor gets it."""
    rows = len(columns["x"])
    if time is None:
        time = car.drive.profile.dt * np.arange(rows)
    return Recording(
        name=name,
        where=name,
        time=time,
        channels=dict(columns),
        origins=dict.fromkeys(columns, "measured"),
        sources={key: (key, "") for key in columns},
        rows=np.arange(rows),
    )


# Faults: each takes a car and a generator and returns a log, or None where the car has no such channel.

Plant = Callable[[Car, np.random.Generator], Recording | None]


def _pick(rng: np.random.Generator, car: Car, *names: str) -> str | None:
    known = [name for name in names if name in car.exact]
    return str(rng.choice(known)) if known else None


def _scaled(*options: tuple[str, float, float]) -> Plant:
    """A channel times a factor between two."""

    def plant(car: Car, rng: np.random.Generator) -> Recording | None:
        known = [option for option in options if option[0] in car.exact]
        if not known:
            return None
        name, low, high = known[rng.integers(len(known))]
        columns = sensed(car, rng)
        factor = math.exp(rng.uniform(math.log(low), math.log(high)))
        columns[name] = columns[name] * factor
        return recording_of(car, columns)

    return plant


def _sign(car: Car, rng: np.random.Generator) -> Recording | None:
    name = _pick(rng, car, "psi_dot", "delta", "psi", "ax", "ay")
    columns = sensed(car, rng)
    return None if name is None else recording_of(car, {**columns, name: -columns[name]})


def _frame(car: Car, rng: np.random.Generator) -> Recording | None:
    if "vx" not in car.exact:
        return None
    columns = sensed(car, rng)
    kind = rng.integers(3)
    if kind == 0:
        columns |= {"vx": -columns["vx"], "vy": -columns["vy"]}
    elif kind == 1:
        columns["vy"] = -columns["vy"]
    else:
        vx, vy, psi = columns["vx"], columns["vy"], columns["psi"]
        columns |= {"vx": vx * np.cos(psi) - vy * np.sin(psi), "vy": vx * np.sin(psi) + vy * np.cos(psi)}
    return recording_of(car, columns)


def _zero(car: Car, rng: np.random.Generator) -> Recording | None:
    columns = sensed(car, rng)
    offset = rng.choice([-1.0, 1.0]) * rng.uniform(0.25, np.pi)
    return recording_of(car, {**columns, "psi": columns["psi"] + offset})


def _twice(car: Car, rng: np.random.Generator) -> Recording | None:
    """A heading that was converted once too often, from rad to deg or back."""
    columns = sensed(car, rng)
    wrapped = (columns["psi"] + np.pi) % (2 * np.pi) - np.pi
    factor = DEG**2 if rng.random() < 0.5 else 1 / DEG
    return recording_of(car, {**columns, "psi": factor * wrapped})


def _magnitude(car: Car, rng: np.random.Generator) -> Recording | None:
    """A channel without its sign, above its noise, in a drive that turns both ways for a tenth of the way."""
    name = _pick(rng, car, "delta", "psi_dot", "ay")
    columns = sensed(car, rng)
    turn = np.gradient(car.exact["psi"])
    strong = np.abs(turn) > 0.2 * np.quantile(np.abs(turn), 0.9)
    if name is None or car.exact[name].std() < 2 * car.noise[name]:
        return None
    if min(np.mean(strong & (turn > 0)), np.mean(strong & (turn < 0))) < 0.1:
        return None
    return recording_of(car, {**columns, name: np.abs(columns[name])})


def _wandering(car: Car, values: np.ndarray, rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    """A column that goes its own way over half a second to two, from low to high times as far as another."""
    rows = max(1, round(rng.uniform(0.5, 2.0) / car.drive.profile.dt))
    own = np.convolve(rng.standard_normal(len(values) + rows - 1), np.ones(rows), mode="valid")
    return own * rng.uniform(low, high) * values.std() / own.std()


def _estimated(car: Car, rng: np.random.Generator) -> Recording | None:
    """A sideways speed of an estimator that drifts by three to six times what the vehicle shows."""
    if "vy" not in car.exact:
        return None
    values = car.exact["vy"]
    own = _wandering(car, values, rng, 3.0, 6.0)
    bias = rng.uniform(-2.0, 2.0) * values.std()
    # An accelerometer would contradict it as well.
    columns = {name: c for name, c in sensed(car, rng, vy=own + bias).items() if name not in ("ax", "ay")}
    return recording_of(car, columns)


def _metres(car: Car, rng: np.random.Generator) -> Recording | None:
    columns = sensed(car, rng)
    return recording_of(car, {**columns, "x": 1000 * columns["x"], "y": 1000 * columns["y"]})


def _degrees(car: Car, rng: np.random.Generator) -> Recording | None:
    columns = sensed(car, rng)
    wrapped = np.rad2deg((columns["psi"] + np.pi) % (2 * np.pi) - np.pi)
    return recording_of(car, {**columns, "psi": wrapped})


def _late(car: Car, rng: np.random.Generator) -> Recording | None:
    """A delay of 0.1 to 0.5 s and three steps at least, or a low-pass of such a time constant."""
    from scipy.signal import lfilter

    name = _pick(rng, car, "psi_dot", "v", "vx", "ax")
    if name is None:
        return None
    dt = car.drive.profile.dt
    seconds = max(rng.uniform(0.1, 0.5), 3 * dt)
    values = car.exact[name]
    if rng.random() < 0.5:
        rows = round(seconds / dt)
        late = np.concatenate([np.full(rows, values[0]), values[:-rows]])
    else:
        pole = math.exp(-dt / seconds)
        late = values[0] + lfilter([1 - pole], [1, -pole], values - values[0])
    return recording_of(car, sensed(car, rng, **{name: late}))


def _clock(car: Car, rng: np.random.Generator) -> Recording | None:
    if "psi_dot" not in car.exact:
        return None
    factor = 1.0 + rng.choice([-1.0, 1.0]) * rng.uniform(0.1, 0.2)
    columns = sensed(car, rng)
    # Accelerometers would contradict it as well.
    columns = {name: column for name, column in columns.items() if name not in ("ax", "ay")}
    return recording_of(car, columns, factor * car.drive.profile.dt * np.arange(len(columns["x"])))


def _unlike(car: Car, rng: np.random.Generator) -> Recording | None:
    """A yaw rate that wanders off on its own: as much of its own as of the vehicle's."""
    if "psi_dot" not in car.exact:
        return None
    values = car.exact["psi_dot"]
    own = _wandering(car, values, rng, 1.2, 2.5)
    return recording_of(car, sensed(car, rng, psi_dot=values + own))


def _circular(car: Car, rng: np.random.Generator) -> Recording | None:
    if "psi_dot" not in car.exact:
        return None
    columns = sensed(car, rng)
    v = columns.get("v", columns.get("vx"))
    assert v is not None
    wheelbase = 0.33 * car.drive.profile.size * rng.uniform(0.9, 1.1)
    return recording_of(car, {**columns, "psi_dot": v * np.tan(columns["delta"]) / wheelbase})


def _arm(car: Car, rng: np.random.Generator) -> Recording | None:
    """A lateral velocity of a point half a wheelbase and more from that of the pose.

    Where it is less than half of what the noise of the heading makes of the speed, nobody could tell.
    """
    if "vy" not in car.exact:
        return None
    arm = rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.0) * 0.33 * car.drive.profile.size
    shown = abs(arm) * float(np.std(car.exact["psi_dot"]))
    if shown < 0.5 * car.noise["psi"] * float(np.mean(car.exact["vx"])):
        return None
    return recording_of(car, sensed(car, rng, vy=car.exact["vy"] + arm * car.exact["psi_dot"]))


def _time(kind: str) -> Plant:
    def plant(car: Car, rng: np.random.Generator) -> Recording | None:
        columns, dt = sensed(car, rng), car.drive.profile.dt
        rows = len(columns["x"])
        time = dt * np.arange(rows)
        keep = np.ones(rows, bool)
        for k in np.sort(rng.integers(rows // 10, rows - rows // 10, int(rng.integers(1, 6)))):
            if kind == "reset":
                time[k:] -= time[k]
            elif kind == "repeat":
                time[k] = time[k - 1]
            else:
                keep[k : k + int(rng.integers(3, 20))] = False
        return recording_of(car, {name: c[keep] for name, c in columns.items()}, time[keep])

    return plant


def _jitter(car: Car, rng: np.random.Generator) -> Recording | None:
    columns, dt = sensed(car, rng), car.drive.profile.dt
    rows = len(columns["x"])
    size = rng.uniform(0.15, 0.3)
    return recording_of(
        car, columns, dt * (np.arange(rows) + size * rng.uniform(-1, 1, rows) * math.sqrt(3) / math.sqrt(2))
    )


def _held(car: Car, rng: np.random.Generator) -> Recording | None:
    """A channel of a slower source, 1.2 to 4 times, held between its samples."""
    name = _pick(rng, car, "psi_dot", "v", "vx", "psi", "x", "ay")
    assert name is not None
    columns = sensed(car, rng)
    ratio = rng.uniform(1.2, 4.0)
    rows = np.arange(len(columns[name]))
    return recording_of(car, {**columns, name: columns[name][(np.floor(rows / ratio) * ratio).astype(int)]})


def _interpolated(car: Car, rng: np.random.Generator) -> Recording | None:
    """A channel of a slower source, 1.2 to 4 times, drawn out straight between its samples."""
    name = _pick(rng, car, "psi_dot", "v", "vx", "psi", "x", "ay")
    assert name is not None
    ratio = rng.uniform(1.2, 4.0)
    rows = np.arange(len(car.exact[name]))
    samples = np.arange(-ratio * rng.random(), len(rows) + ratio, ratio)
    slow = np.interp(samples, rows, car.exact[name]) + car.noise[name] * rng.standard_normal(len(samples))
    return recording_of(car, {**sensed(car, rng), name: np.interp(rows, samples, slow)})


def _missing(car: Car, rng: np.random.Generator) -> Recording | None:
    columns = sensed(car, rng)
    name = str(rng.choice(list(columns)))
    rows = rng.integers(0, len(columns[name]), int(rng.integers(1, 50)))
    columns[name] = columns[name].copy()
    columns[name][rows] = np.nan
    return recording_of(car, columns)


def _spikes(car: Car, rng: np.random.Generator) -> Recording | None:
    """One to ten spikes of one or two rows, as large as the channel's range to 1e8 times that."""
    name = _pick(rng, car, "psi_dot", "v", "vx", "vy", "x", "y", "psi", "delta", "ax", "ay")
    assert name is not None
    columns = sensed(car, rng)
    column = columns[name].copy()
    span = float(np.ptp(column))
    for _ in range(rng.integers(1, 11)):
        k = int(rng.integers(5, len(column) - 5))
        size = 10 ** rng.uniform(0, rng.choice([0.5, 8]))
        column[k : k + int(rng.integers(1, 3))] += rng.choice([-1, 1]) * span * size
    return recording_of(car, {**columns, name: column})


def _glued(car: Car, rng: np.random.Generator) -> Recording | None:
    """Another part of the drive after this one, the time going on; a seam of a metre and ten steps at
    least."""
    columns = sensed(car, rng)
    rows = len(columns["x"])
    for _ in range(50):
        k, other = (int(n) for n in rng.integers(rows // 5, rows - rows // 5, 2))
        jump = np.hypot(columns["x"][k] - columns["x"][other], columns["y"][k] - columns["y"][other])
        step = np.median(np.hypot(np.diff(columns["x"]), np.diff(columns["y"])))
        if abs(k - other) > rows // 10 and jump > max(1.0 * car.drive.profile.size, 10 * step):
            break
    joined = {name: np.concatenate([c[:k], c[other:]]) for name, c in columns.items()}
    return recording_of(car, joined)


def _frozen(car: Car, rng: np.random.Generator) -> Recording | None:
    """Two seconds and more without a change, or the whole drive."""
    name = _pick(rng, car, "psi_dot", "v", "vx", "x", "y", "psi", "ay")
    assert name is not None
    columns = sensed(car, rng)
    column = columns[name].copy()
    if rng.random() < 0.3:
        column[:] = column[0]
    else:
        rows = round(rng.uniform(2.0, 10.0) / car.drive.profile.dt)
        k = int(rng.integers(0, len(column) - rows))
        column[k : k + rows] = column[k]
    return recording_of(car, {**columns, name: column})


def _quantised(car: Car, rng: np.random.Generator) -> Recording | None:
    """Five to fifteen levels over the usual range, and steps of five times the noise at least."""
    name = _pick(rng, car, "psi_dot", "v", "vx", "delta", "ay")
    assert name is not None
    columns = sensed(car, rng)
    low, high = np.quantile(columns[name], [0.01, 0.99])
    step = (high - low) / rng.uniform(5, 15)
    if step < 5 * car.noise[name]:
        return None
    return recording_of(car, {**columns, name: step * np.round(columns[name] / step)})


def _clipped(car: Car, rng: np.random.Generator) -> Recording | None:
    """A sensor whose range ends where the channel is for 3 to 15 % of the drive."""
    name = _pick(rng, car, "psi_dot", "vy", "ax", "ay")
    if name is None:
        return None
    columns = sensed(car, rng)
    limit = float(np.quantile(np.abs(columns[name]), 1 - rng.uniform(0.03, 0.15)))
    return recording_of(car, {**columns, name: np.clip(columns[name], -limit, limit)})


def _standing(car: Car, rng: np.random.Generator) -> Recording | None:
    """A drive that waits for 1.5 to 4 times its length, and goes on when it rolls, a second later."""
    rows = len(car.exact["x"])
    wait = int(rows * rng.uniform(1.5, 4.0))
    still = {
        name: np.concatenate([np.full(wait, c[0] if name in ("x", "y", "psi", "delta") else 0.0), c])
        for name, c in car.exact.items()
    }
    time = car.drive.profile.dt * np.arange(rows + wait) + (np.arange(rows + wait) >= wait)
    return recording_of(car, sensed(car, rng, **still), time)


def _slip(car: Car, rng: np.random.Generator) -> Recording | None:
    """A localisation that corrects itself one to three times by one to four lengths, over 0.1 to 0.4 s.

    By three rows' way at least, over two rows at least.
    """
    dt, rows = car.drive.profile.dt, len(car.exact["x"])
    step = float(np.median(np.hypot(np.diff(car.exact["x"]), np.diff(car.exact["y"]))))
    x, y = car.exact["x"].copy(), car.exact["y"].copy()
    for k in np.sort(rng.integers(rows // 10, rows - rows // 10, int(rng.integers(1, 4)))):
        over = max(2, round(rng.uniform(0.1, 0.4) / dt))
        angle = rng.uniform(-np.pi, np.pi)
        far = max(rng.uniform(1.0, 4.0) * 0.33 * car.drive.profile.size, 3 * step)
        ramp = far * np.clip((np.arange(rows) - k) / over, 0.0, 1.0)
        x, y = x + ramp * np.cos(angle), y + ramp * np.sin(angle)
    return recording_of(car, sensed(car, rng, x=x, y=y))


def _jumps(car: Car, rng: np.random.Generator) -> Recording | None:
    """A speed that leaves its course for three rows to 0.5 s, by 8 m/s and its own size at least."""
    name = _pick(rng, car, "v", "vx")
    assert name is not None
    values, dt = car.exact[name].copy(), car.drive.profile.dt
    size = max(8.0, float(np.abs(values).max())) * rng.uniform(1.0, 2.0)
    for _ in range(rng.integers(1, 4)):
        k = int(rng.integers(len(values) // 10, 9 * len(values) // 10))
        values[k : k + max(3, round(rng.uniform(0.1, 0.5) / dt))] += rng.choice([-1, 1]) * size
    return recording_of(car, sensed(car, rng, **{name: values}))


def _offset(car: Car, rng: np.random.Generator) -> Recording | None:
    """A ratio within calibration and a constant: a fifth to a half of what the channel does, at least 0.1."""
    name = _pick(rng, car, "psi_dot", "ay")
    if name is None:
        return None
    values = car.exact[name]
    least = {"psi_dot": 0.1, "ay": 1.0}[name]
    offset = rng.choice([-1.0, 1.0]) * max(rng.uniform(0.3, 0.6) * float(values.std()), least)
    return recording_of(car, sensed(car, rng, **{name: rng.uniform(0.96, 1.04) * values + offset}))


def _coarse(car: Car, rng: np.random.Generator) -> Recording | None:
    """Positions on steps of two to ten rows' way, and of five times their noise."""
    columns = sensed(car, rng)
    way = float(np.median(np.hypot(np.diff(car.exact["x"]), np.diff(car.exact["y"]))))
    step = way * rng.uniform(2.0, 10.0)
    if step < 5 * max(car.noise["x"], car.noise["y"]):
        return None
    return recording_of(
        car, {**columns, **{name: step * np.round(columns[name] / step) for name in ("x", "y")}}
    )


def _saturated(car: Car, rng: np.random.Generator) -> Recording | None:
    """A steering command that is cut off at what 5 to 20 % of the rows ask for."""
    columns = sensed(car, rng)
    limit = float(np.quantile(np.abs(columns["delta"]), 1 - rng.uniform(0.1, 0.3)))
    recording = recording_of(car, {**columns, "delta": np.clip(columns["delta"], -limit, limit)})
    return dataclasses.replace(recording, origins={**recording.origins, "delta": "command"})


def _clean(car: Car, rng: np.random.Generator) -> Recording:
    return recording_of(car, sensed(car, rng))


DEG = 180 / math.pi
# What is planted: the name that must be told, and how.
FAULTS: Mapping[str, tuple[str, Plant]] = {
    "yaw rate in deg/s": ("unit", _scaled(("psi_dot", DEG, DEG))),
    "heading in deg": ("unit", _degrees),
    "steering in deg": ("unit", _scaled(("delta", DEG, DEG))),
    "speed in km/h": ("unit", _scaled(("v", 3.6, 3.6), ("vx", 3.6, 3.6))),
    "speed in ERPM": ("unit", _scaled(("v", 500, 8000), ("vx", 500, 8000))),
    "acceleration in g": (
        "unit",
        _scaled(("ax", 1 / 9.80665, 1 / 9.80665), ("ay", 1 / 9.80665, 1 / 9.80665)),
    ),
    "position in mm": ("unit", _metres),
    "wrong sign": ("sign", _sign),
    "heading from another zero": ("heading_zero", _zero),
    "velocity frame": ("velocity_frame", _frame),
    "speed scale 1.2 to 1.4": ("speed_mismatch", _scaled(("v", 1.2, 1.4), ("vx", 1.2, 1.4))),
    "yaw rate scale 1.2 to 1.4": ("yaw_mismatch", _scaled(("psi_dot", 1.2, 1.4))),
    "yaw rate unlike heading": ("yaw_mismatch", _unlike),
    "lag or low-pass": ("lag", _late),
    "clock 10 to 20 % off": ("clock", _clock),
    "circular yaw rate": ("circular_yaw_rate", _circular),
    "velocity of another point": ("reference_point", _arm),
    "time reset": ("time_reset", _time("reset")),
    "time repeat": ("time_repeat", _time("repeat")),
    "time gap": ("time_gap", _time("gap")),
    "time jitter": ("time_jitter", _jitter),
    "held from a slower rate": ("held", _held),
    "missing values": ("missing", _missing),
    "spikes": ("spikes", _spikes),
    "glued recordings": ("glued", _glued),
    "frozen": ("frozen", _frozen),
    "quantised": ("quantised", _quantised),
    "clipping": ("clipping", _clipped),
    "standstill": ("standstill", _standing),
    "interpolated from a slower rate": ("interpolated", _interpolated),
    "heading converted twice": ("unit", _twice),
    "sign lost": ("unsigned", _magnitude),
    "sideways speed that drifts": ("speed_mismatch", _estimated),
    "positions slip over rows": ("pose_slip", _slip),
    "speed jumps for some rows": ("acceleration", _jumps),
    "ratio and offset": ("offset", _offset),
    "coarse positions": ("quantised", _coarse),
    "command at its limit": ("saturation", _saturated),
}


# Told for information.
TOLD = {"saturation"}


def alarms(findings: list[Finding]) -> set[str]:
    """Names of what was found and is no mere information."""
    return {finding.check for finding in findings if finding.severity != "info"}


def main() -> None:
    """Plant, examine, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--recordings", type=int, default=200, help="clean ones, and a fifth of it a fault")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--only", nargs="*", help="faults to plant, by the start of their labels")
    parser.add_argument("--verbose", action="store_true", help="say what was missed")
    args = parser.parse_args()
    each = max(1, args.recordings // 5)
    clean = drives(args.recordings, args.seed)
    gentle = drives(each, args.seed + 100, grip=0.02)
    one_sided = drives(each, args.seed + 200, one_sided=True)

    false: Counter[str] = Counter()
    wolf = 0
    for number, drive in enumerate(clean):
        rng = np.random.default_rng([args.seed, number])
        found = alarms(examine(_clean(equip(drive, rng), rng)))
        false.update(found)
        wolf += bool(found)
        if found:
            print(f"false alarm: {drive.profile.model} {drive.profile.vehicle} {drive.profile.dt} s: {found}")

    rates: dict[str, float] = {}
    beside: dict[str, Counter[str]] = {}
    counts: dict[str, tuple[int, int]] = {}
    for index, (label, (expected, plant)) in enumerate(FAULTS.items()):
        if args.only is not None and not label.startswith(tuple(args.only)):
            continue
        hits, planted, others = 0, 0, Counter[str]()
        # Some cars lack a channel: go on until there are enough.
        for number in range(6 * each):
            if planted == each:
                break
            rng = np.random.default_rng([args.seed, 1 + index, number])
            recording = plant(equip(clean[(7 * index + number) % len(clean)], rng), rng)
            if recording is None:
                continue
            planted += 1
            findings = examine(recording)
            found = alarms(findings) | (TOLD & {finding.check for finding in findings})
            hits += expected in found
            others.update(found - {expected})
            if args.verbose and expected not in found:
                print(f"missed: {label}: {recording.dt:.3g} s, {number}: {sorted(found)}")
        rates[label], beside[label], counts[label] = hits / max(planted, 1), others, (hits, planted)
    for label, expected, pool in (
        ("too gentle", "excitation", gentle),
        ("turns to one side", "imbalance", one_sided),
    ):
        hits, others = 0, Counter[str]()
        for number, drive in enumerate(pool):
            rng = np.random.default_rng([args.seed, 90, number])
            found = alarms(examine(_clean(equip(drive, rng), rng)))
            hits += expected in found
            others.update(found - {expected})
        rates[label], beside[label], counts[label] = hits / len(pool), others, (hits, len(pool))
    label, hits = "leak between splits", 0
    for number, drive in enumerate(clean[:each]):
        rng = np.random.default_rng([args.seed, 91, number])
        recording = _clean(equip(drive, rng), rng)
        rows = np.zeros(len(recording), bool)
        start = int(rng.integers(0, len(rows) // 2))
        rows[start : start + int(rng.uniform(0.1, 0.5) * len(rows))] = True
        part = dataclasses.replace(recording.selected(rows), name="part", where="part")
        found = {f.check for _, findings in examine_all([[recording], [part]]) for f in findings}
        hits += "leak" in found
    rates[label], beside[label], counts[label] = hits / each, Counter(), (hits, each)

    print(f"{'planted':32s}{'found':>10s}{'rate':>8s}  told beside it")
    for label, rate in rates.items():
        hits, planted = counts[label]
        rest = ", ".join(f"{name} {count}" for name, count in beside[label].most_common(4))
        print(f"{label:32s}{f'{hits}/{planted}':>10s}{rate:8.3f}  {rest}")
    print(f"clean: {wolf} of {len(clean)} with an alarm: {dict(false)}")
    print(
        json.dumps(
            {
                "detection_rate": float(np.mean(list(rates.values()))),
                "false_alarm_rate": wolf / len(clean),
                "detection_rate_by_fault": rates,
                "false_alarm_rate_by_fault": {name: count / len(clean) for name, count in false.items()},
                "recordings": len(clean),
                "planted_by_fault": {label: planted for label, (_, planted) in counts.items()},
                "seed": args.seed,
            }
        )
    )


if __name__ == "__main__":
    main()
