"""Simulated cars whose drives differ, and what is true of them.

Every drive of a car has its own trim, load and grip, drawn from normal distributions (`SPREAD`). Two kinds
of plant are driven along random manoeuvres and logged with white noise:

- ``own model``: `singletrack-pacejka` itself. True are its parameters, those of forces over the mass that the
  fit takes for known (a car 3 % heavier has all forces 3 % lower over its mass).
- ``imperfect``: six things besides that a single-track model lacks or a log does not show: side force gives
  way to longitudinal force (combined slip), axle forces grow less than the load, side force builds up over
  a rolled length (relaxation), the servo lags, motor force is curved over the command, wheel angle is curved
  over the steering command. It is fitted with a lag and a curve of the steering, as its residuals ask for.

No value of B, C or D is true of the imperfect car. True is what fits it best within reach: of a tyre the
mean side force of the plant near a slip angle, over all rows of a drive that had it, with whatever
longitudinal force came along; of the drivetrain the force at a command and speed, from the model's formula
fitted to all rows; the yaw inertia is the plant's. Each over the mass, as above. These points are compared
in both kinds, the parameters in the first alone. The mean of all drives that there could be is the mean over
all drives of all cars, which are one car drawn again and again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

import pct
from pct.dynamics.bounds import Bounds
from pct.dynamics.core import Channel, ModelSpec, Parameter, define_model
from pct.dynamics.limits import GRAVITY
from pct.dynamics.singletrack_pacejka import (
    SINGLETRACK_PACEJKA,
    drive_force,
    longitudinal_force,
    travel_direction,
)
from pct.dynamics.tires import magic_formula
from pct.optimization.constants.estimate import PRIOR, Estimate, fit_errors, scalar_places
from pct.optimization.constants.fitting import fit_windows
from pct.optimization.constants.random_effects import random_effects
from pct.optimization.constants.rollout_errors import RolloutErrors, make_rollout_errors
from pct.optimization.constants.verdicts import WEAK, make_verdicts
from pct.optimization.settings import FitSettings
from pct.recordings.trajectory import Trajectory
from pct.simulation.driver import follow
from pct.simulation.manoeuvres import draw_manoeuvres
from pct.windows.store import make_window_store

KINDS = ("own model", "imperfect")
# Drives that are fitted together, and one more that they predict.
DRIVES, DURATION, DT, HORIZON = 5, 30.0, 0.02, 50
FEWEST = 4
SPEED, GRIP, FRICTION = (2.5, 6.0), 0.75, 0.9
NOISE = {"vx": 0.03, "vy": 0.03, "psi_dot": 0.05}
SETTINGS = FitSettings(
    horizon=HORIZON, history=1, stride=HORIZON + 1, free_start=True, compare=("vx", "vy", "psi_dot")
)
BASE = pct.model("singletrack-pacejka").hold("C_b", "S_hr", "S_vf", "S_vr")
FITTED = {
    "own model": BASE,
    # The offset of the steering is the trim.
    "imperfect": BASE.hold("S_hf").measured(steering=True, actuator_lag=("delta",), observer=False),
}
# The car, by parameter over its default, which the fit starts from.
TRUTH = {
    name: BASE.spec.default_params[name] * factor
    for name, factor in {
        "B_f": 1.2, "C_f": 1.05, "D_f": 0.9, "B_r": 1.1, "C_r": 0.95, "D_r": 1.1,
        "I": 1.15, "C_m1": 0.9, "C_m2": 1.1, "C_r0": 1.2, "C_r2": 0.9,
    }.items()
}  # fmt: skip
# Standard deviations between drives: of the steering offset in rad, the others as a share.
SPREAD = {"trim": 0.01, "load": 0.03, "inertia": 0.02, "grip": 0.05, "front grip": 0.02}
OVER_MASS = {"D_f", "D_r", "C_m1", "C_m2", "C_r0", "C_r2", "I"}
# Where the curves are compared: slip angles in rad, within so much of it; drive command and speed in m/s.
SLIPS, NEAR = (0.02, 0.04, 0.07), 0.01
DRIVEN = {"drive force 0.2 3": (0.2, 3.0), "drive force 0.4 5": (0.4, 5.0)}
# Of the imperfect plant: lag of the servo in s, rolled length of relaxation in m, share of the steering lost
# by the square of its angle in 1/rad^2, share of the motor force lost by the command, of the axle force by
# the load; height of the centre of gravity in m.
SERVO, ROLLED, BENT, SATURATED, LOAD, HEIGHT = 0.05, 0.08, 0.6, 0.3, 0.15, 0.06


class Axles(NamedTuple):
    """What acts on the imperfect car: slip angles and side forces of both axles, and the force along it."""

    slip: tuple[Any, Any]
    side: tuple[Any, Any]
    along: Any


def axles(x: Any, drive: Any, p: Any, xp: Any) -> Axles:
    """Forces of the imperfect car; the side forces follow the slip that has built up."""
    direction = travel_direction(x.vx, p, xp)
    curved = drive * (1.0 - SATURATED * xp.abs(drive))
    force = longitudinal_force(x.vx, direction, curved, p, xp)
    along = xp.maximum(xp.abs(x.vx), p.v_blend_low)
    slip_front = direction * x.wheel - xp.arctan((x.vy + p.lf * x.psi_dot) / along)
    slip_rear = xp.arctan((p.lr * x.psi_dot - x.vy) / along)
    shift = xp.clip(HEIGHT / GRAVITY * force / p.m, -0.5 * p.lf, 0.5 * p.lr)
    load_front, load_rear = (p.lr - shift) / p.lr, (p.lf + shift) / p.lf
    peak_front, peak_rear = (
        peak * load * (1.0 - LOAD * (load - 1.0)) for peak, load in ((p.D_f, load_front), (p.D_r, load_rear))
    )
    # The rear axle drives and brakes; what it gives along the car it lacks across (friction circle).
    left = xp.sqrt(xp.maximum(1.0 - (force / peak_rear) ** 2, 0.05))
    front = magic_formula(x.slip_f, p.B_f, p.C_f, peak_front, p.E_f, xp)
    rear = left * magic_formula(x.slip_r, p.B_r, p.C_r, peak_rear, p.E_r, xp)
    return Axles((slip_front, slip_rear), (front, rear), force)


def imperfect(x: Any, u: Any, p: Any, xp: Any) -> Any:
    """Time derivative of the imperfect car; ``delta`` is the command, ``wheel`` the angle of the wheels."""
    acting = axles(x, u.drive, p, xp)
    (front, rear), force = acting.side, acting.along
    sin, cos = xp.sin(x.psi), xp.cos(x.psi)
    turn, ahead = xp.sin(x.wheel), xp.cos(x.wheel)
    rolled = xp.maximum(xp.abs(x.vx), p.v_blend_low) / ROLLED
    wanted = x.delta * (1.0 - BENT * x.delta**2) + p.trim
    return x._replace(
        x=x.vx * cos - x.vy * sin,
        y=x.vx * sin + x.vy * cos,
        psi=x.psi_dot,
        vx=(force - front * turn) / p.m + x.vy * x.psi_dot,
        vy=(rear + front * ahead) / p.m - x.vx * x.psi_dot,
        psi_dot=(front * p.lf * ahead - rear * p.lr) / p.I,
        delta=u.delta_dot,
        wheel=(wanted - x.wheel) / SERVO,
        slip_f=rolled * (acting.slip[0] - x.slip_f),
        slip_r=rolled * (acting.slip[1] - x.slip_r),
    )


IMPERFECT = define_model(
    "imperfect-car",
    states=(
        *SINGLETRACK_PACEJKA.states,
        *(Channel(name, name, "rad", odd=True) for name in ("wheel", "slip_f", "slip_r")),
    ),
    controls=SINGLETRACK_PACEJKA.controls,
    parameters=(
        *SINGLETRACK_PACEJKA.parameters,
        Parameter("trim", "t", "rad", -0.1, 0.1, 0.0, "wheel angle where none is commanded", odd=True),
    ),
    derivative=imperfect,
)


PLANTS = {"own model": BASE.spec, "imperfect": IMPERFECT}
JUDGED = {"mean": "the mean", "next": "the next drive", "alone": "one fit alone"}


class Drives(NamedTuple):
    """Drives of one kind of plant, R in all.

    Attributes:
        states, commands: what happened, (R, N, S) and (R, N, C).
        truth: true value of each drive by parameter and point, (R,) each, forces over the nominal mass.
    """

    states: np.ndarray
    commands: np.ndarray
    truth: Mapping[str, np.ndarray]


class Found(NamedTuple):
    """What a fit says of one parameter or point: value, standard error, and whether it is identified.

    Parameters are on the unbounded axis, points in their unit.
    """

    value: float
    error: float
    identified: bool


def cover(kind: str, cars: int) -> dict[str, Any]:
    """Shares of 95 % intervals that hold the mean of all drives and the next drive, by quantity.

    Args:
        kind: of `KINDS`.
        cars: number of cars; each has `DRIVES` drives and one more.
    """
    begin = time.perf_counter()
    drives = drive(kind, cars * (DRIVES + 1), seed=KINDS.index(kind))
    spec = FITTED[kind].spec
    errors = make_rollout_errors(
        spec, spec.base_params(DT), SETTINGS.history, compare=SETTINGS.compare, free_start=SETTINGS.free_start
    )
    with ThreadPoolExecutor(max_workers=2) as pool:
        fits = list(pool.map(partial(fit_one, errors, drives), range(len(drives.states))))
    by_car = [fits[n : n + DRIVES + 1] for n in range(0, len(fits), DRIVES + 1)]
    hits = {
        name: hits_of([[fit[name] for fit in car] for car in by_car], drives.truth.get(name))
        for name in fits[0]
    }
    total = {what: [hit for rows in hits.values() for hit in rows[what]] for what in JUDGED}
    return {
        **{what: float(np.mean(row)) if row else None for what, row in total.items()},
        "intervals": {what: len(row) for what, row in total.items()},
        "by_quantity": {
            name: {what: [float(np.mean(row)), len(row)] for what, row in rows.items() if row}
            for name, rows in hits.items()
            if any(rows.values())
        },
        "cars": cars,
        "seconds": time.perf_counter() - begin,
    }


def hits_of(cars: list[list[Found]], truth: np.ndarray | None) -> dict[str, list[bool]]:
    """Whether the intervals of one quantity hold what they should, where enough drives identify it.

    Args:
        cars: fits of each car's drives, the further one last.
        truth: of every drive; None where nothing is true but what fits.
    """
    hits: dict[str, list[bool]] = {what: [] for what in JUDGED}
    for *known, further in cars:
        used = [one for one in known if one.identified]
        if len(used) < FEWEST:
            continue
        effects = random_effects(*(np.array(column) for column in list(zip(*used, strict=True))[:2]))
        if truth is not None:
            mean = float(np.mean(truth))
            hits["mean"].append(effects.low <= mean <= effects.high)
            hits["alone"] += [abs(one.value - mean) <= 1.96 * one.error for one in used]
        if further.identified:
            hits["next"].append(effects.next_low <= further.value <= effects.next_high)
    return hits


def show(kind: str, result: Mapping[str, Any]) -> None:
    """Print the coverage of one kind of plant."""
    print(f"\n{kind}: {result['cars']} cars of {DRIVES} drives and one more, {result['seconds']:.0f} s")
    print(f"  {'95 % intervals that hold':26s}" + "".join(f"{label:>20s}" for label in JUDGED.values()))
    every = {what: [result[what], result["intervals"][what]] for what in JUDGED if result["intervals"][what]}
    for name, row in {"all": every, **result["by_quantity"]}.items():
        cells = (f"{100 * row[what][0]:.1f} % of {row[what][1]}" if what in row else "" for what in JUDGED)
        print(f"  {name:26s}" + "".join(f"{cell:>20s}" for cell in cells))


def drive(kind: str, count: int, seed: int) -> Drives:
    """Drive a kind of plant so many times, each with its own trim, load and grip."""
    draw, driver = np.random.default_rng(seed).spawn(2)
    shift = {name: spread * draw.standard_normal(count) for name, spread in SPREAD.items()}
    spec = PLANTS[kind]
    params = dict(spec.default_params) | TRUTH
    lighter = 1 / (1 + shift["load"])
    params["m"] = params["m"] / lighter
    params["I"] = params["I"] / lighter * (1 + shift["inertia"])
    params["D_f"] = params["D_f"] * (1 + shift["grip"]) * (1 + shift["front grip"])
    params["D_r"] = params["D_r"] * (1 + shift["grip"])
    params["trim" if kind == "imperfect" else "S_hf"] = shift["trim"]
    steps = round(DURATION / DT)
    manoeuvres = draw_manoeuvres(driver, count, steps, DT, SPEED, GRIP, 0.0)
    states, commands = follow(spec, params, np.full((count, steps), FRICTION), manoeuvres, DT, GRIP)
    if kind == "own model":
        points = points_of(SimpleNamespace(**params))
    else:
        points = best_points(params, states, commands)
    truth = {name: lighter * value for name, value in points.items()}
    if kind == "own model":
        truth |= true_parameters(params, lighter)
    return Drives(states, commands, truth)


def true_parameters(params: Mapping[str, Any], lighter: np.ndarray) -> dict[str, np.ndarray]:
    """Each drive's parameters on the unbounded axis; forces and inertia over the mass that the fit holds."""
    spec = FITTED["own model"].spec
    values = [
        np.broadcast_to(params[key] * (lighter if key in OVER_MASS else 1.0), lighter.shape)
        for key in spec.param_keys
    ]
    raw = np.stack([Bounds.of(spec).back(vector) for vector in np.stack(values, axis=-1)])
    return {key: raw[:, n] for key, n in scalar_places(spec).items()}


def points_of(p: Any) -> dict[str, Any]:
    """What is compared beside parameters: forces in N at `SLIPS` and `DRIVEN`, and the yaw inertia."""
    points = {}
    for axle, end in (("front", "f"), ("rear", "r")):
        B, C, D, E = (getattr(p, f"{letter}_{end}") for letter in "BCDE")
        points.update({f"{axle} {slip:g}": magic_formula(slip, B, C, D, E, np) for slip in SLIPS})
    points.update({name: drive_force(speed, command, p, np) for name, (command, speed) in DRIVEN.items()})
    return {**points, "inertia": p.I}


def best_points(params: Mapping[str, Any], states: np.ndarray, commands: np.ndarray) -> dict[str, np.ndarray]:
    """The same points of what fits the imperfect plant best, see above; (R,) each."""
    by_row = {key: np.reshape(value, (-1, 1)) if np.ndim(value) else value for key, value in params.items()}
    x = SimpleNamespace(**dict(zip(IMPERFECT.state_names, np.moveaxis(states, -1, 0), strict=True)))
    command = commands[..., IMPERFECT.control_names.index("drive")]
    acting = axles(x, command, SimpleNamespace(**by_row), np)
    points: dict[str, Any] = {name: np.empty(len(states)) for name in DRIVEN}
    for axle, slip, side in zip(("front", "rear"), acting.slip, acting.side, strict=True):
        for at in SLIPS:
            points[f"{axle} {at:g}"] = np.array([near(at, *drive) for drive in zip(slip, side, strict=True)])
    for n, (u, v, force) in enumerate(zip(command, x.vx, acting.along, strict=True)):
        # The model's force is linear in these four.
        columns = np.stack([u, -u * v, -np.ones_like(u), -(v**2)], axis=-1)
        C_m1, C_m2, C_r0, C_r2 = np.linalg.lstsq(columns, force, rcond=None)[0]
        for name, (at, speed) in DRIVEN.items():
            points[name][n] = (C_m1 - C_m2 * speed) * at - C_r0 - C_r2 * speed**2
    return {**points, "inertia": params["I"]}


def near(at: float, slip: np.ndarray, side: np.ndarray) -> float:
    """Mean side force at a slip angle: of a straight line through the rows near it, on both sides."""
    rows = np.abs(np.abs(slip) - at) < NEAR
    return float(np.polyfit(np.abs(slip[rows]) - at, np.sign(slip[rows]) * side[rows], 1)[1])


def fit_one(errors: RolloutErrors, drives: Drives, number: int) -> dict[str, Found]:
    """What the fit of one drive says of every parameter and point."""
    spec = errors.spec
    windows = fit_windows(spec, make_window_store([("drive", log_of(drives, number))], spec), SETTINGS)
    fit = fit_errors(errors, windows, np.arange(len(windows)))
    verdicts = make_verdicts(fit, spec, PRIOR)
    errors_of = np.sqrt(np.diag(fit.covariance))
    found = {
        key: Found(float(fit.raw[n]), float(errors_of[n]), verdicts[key]["verdict"] == "identified")
        for key, n in scalar_places(spec).items()
    }
    return found | points_found(fit, spec)


def log_of(drives: Drives, number: int) -> Trajectory:
    """What is logged of a drive; of the wheels of the imperfect car, nothing."""
    rows = (*SINGLETRACK_PACEJKA.states, *SINGLETRACK_PACEJKA.controls)
    table = len(SINGLETRACK_PACEJKA.states)
    values = np.concatenate([drives.states[number][:, :table], drives.commands[number]], axis=1)
    columns = {row.name: values[:, k] for k, row in enumerate(rows)}
    rng = np.random.default_rng(number)
    for name, deviation in NOISE.items():
        columns[name] = columns[name] + deviation * rng.standard_normal(len(columns[name]))
    origins = ["measured"] * table + ["command"] * len(SINGLETRACK_PACEJKA.controls)
    return Trajectory(
        f"drive {number}",
        DT,
        columns,
        {row.name: row.unit for row in rows},
        dict(zip(columns, origins, strict=True)),
    )


def points_found(fit: Estimate, spec: ModelSpec) -> dict[str, Found]:
    """Points of a fit; their errors by the fit's covariance (delta method)."""
    values = {**spec.default_params, **fit.params(spec)}
    slope = fit.deviations(spec) / np.sqrt(np.diag(fit.covariance))
    covariance = fit.covariance * np.outer(slope, slope)
    at = points_of(SimpleNamespace(**values))
    slopes = {name: np.zeros(len(fit.raw)) for name in at}
    for key, n in scalar_places(spec).items():
        low, high = (float(end) for end in spec.param_bounds[key])
        step = 1e-5 * (high - low)
        for name, value in points_of(SimpleNamespace(**{**values, key: values[key] + step})).items():
            slopes[name][n] = (value - at[name]) / step
    found = {}
    for name, value in at.items():
        error = float(np.sqrt(max(slopes[name] @ covariance @ slopes[name], 0.0)))
        found[name] = Found(float(value), error, error < WEAK * abs(float(value)))
    return found
