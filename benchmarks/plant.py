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
longitudinal force came along; and the yaw inertia is the plant's. Each over the mass, as above. These side
forces are compared in both kinds, the parameters in the first alone. The mean of all drives that there could
be is the mean over all drives of all cars, which are one car drawn again and again.

`DRIVES` drives are fitted together, as `pct fit` does, which states the mean of the drives and the interval
of the next one; counted is what is known to 15 % then. One further drive is fitted by itself.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

import pct
from pct.dynamics.core import Channel, ModelSpec, Parameter, define_model
from pct.dynamics.limits import GRAVITY
from pct.dynamics.singletrack_pacejka import (
    SINGLETRACK_PACEJKA,
    longitudinal_force,
    travel_direction,
)
from pct.dynamics.tires import magic_formula
from pct.optimization.constants.agreed import Agreed
from pct.optimization.constants.constant_fit import ConstantFit
from pct.optimization.constants.curves import differences, force_at
from pct.optimization.constants.estimate import Estimate, fit_errors, scalar_places
from pct.optimization.constants.fitting import fit, fit_windows
from pct.optimization.constants.verdicts import WEAK, make_verdicts
from pct.optimization.settings import FitSettings
from pct.recordings.trajectory import Trajectory
from pct.simulation.driver import follow
from pct.simulation.manoeuvres import draw_manoeuvres
from pct.windows.store import make_window_store
from pct.windows.window_set import WindowSet

KINDS = ("own model", "imperfect")
# Drives that are fitted together, and one more that they predict.
DRIVES, DURATION, DT, HORIZON = 5, 30.0, 0.02, 50
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
# All others show over the mass.
NO_FORCE = {"B_f", "C_f", "E_f", "S_hf", "B_r", "C_r", "E_r"}
# Slip angles at which side forces are compared, and how near to them rows count, in rad; among those of the
# product.
SLIPS, NEAR = (0.03, 0.06), 0.01
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
        truth: true value of each drive by parameter and side force, (R,) each, over the nominal mass.
    """

    states: np.ndarray
    commands: np.ndarray
    truth: Mapping[str, np.ndarray]


def cover(kind: str, cars: int) -> dict[str, Any]:
    """Shares of 95 % intervals that hold the mean of all drives and the next drive, by quantity.

    Args:
        kind: of `KINDS`.
        cars: number of cars; each has `DRIVES` drives and one more.
    """
    begin = time.perf_counter()
    drives = drive(kind, cars * (DRIVES + 1), seed=KINDS.index(kind))
    hits: dict[str, dict[str, list[bool]]] = {}
    compiled = None
    for first in range(0, len(drives.states), DRIVES + 1):
        known = fit_together(compiled, windows_of(kind, drives, range(first, first + DRIVES)), kind)
        compiled = known
        further = fit_one(known, windows_of(kind, drives, [first + DRIVES]))
        assert known.agreement is not None
        for name, item in {**known.agreement.parameters, **known.agreement.curves}.items():
            low, high = known.spec.param_bounds.get(name, (0.0, 0.0))
            if (effects := item.effects) is None or not is_known(item, 0.1 * float(high - low)):
                continue
            rows = hits.setdefault(name, {what: [] for what in JUDGED})
            if name in drives.truth:
                mean = float(np.mean(drives.truth[name]))
                rows["mean"].append(effects.low <= mean <= effects.high)
                alone = np.abs(item.values - mean) <= 1.96 * item.errors
                rows["alone"] += alone[item.used].tolist()
            if name in further:
                rows["next"].append(effects.next_low <= further[name] <= effects.next_high)
    total = {what: [hit for rows in hits.values() for hit in rows[what]] for what in JUDGED}
    return {
        **{what: float(np.mean(row)) if row else None for what, row in total.items()},
        "intervals": {what: len(row) for what, row in total.items()},
        "by_quantity": {
            name: {what: [float(np.mean(row)), len(row)] for what, row in rows.items() if row}
            for name, rows in hits.items()
        },
        "cars": cars,
        "seconds": time.perf_counter() - begin,
    }


def is_known(item: Agreed, least: float) -> bool:
    """Whether the value of the fit, with what drives differ by, is known as `identified` asks for.

    A parameter that varies between drives counts, too: its intervals are stated all the same.
    """
    assert item.effects is not None
    error = item.widening * np.hypot(item.error, item.effects.tau)
    return bool(error < WEAK * max(abs(item.pooled), least))


def fit_together(compiled: ConstantFit | None, windows: WindowSet, kind: str) -> ConstantFit:
    """The fit of several drives, by the compiled functions of another one where there is one."""
    if compiled is None:
        return fit(FITTED[kind].spec, windows, SETTINGS)
    estimate = fit_errors(compiled.errors, windows, np.arange(len(windows)), prior=SETTINGS.prior)
    model = dataclasses.replace(compiled.model, params=estimate.params(compiled.spec))
    return dataclasses.replace(compiled, model=model, estimate=estimate, windows=windows)


def fit_one(compiled: ConstantFit, windows: WindowSet) -> dict[str, float]:
    """What the fit of one drive by itself identifies: parameters, and side forces known as well."""
    spec = compiled.spec
    estimate = fit_errors(compiled.rollout_errors, windows, np.arange(len(windows)), prior=SETTINGS.prior)
    verdicts = make_verdicts(estimate, spec, SETTINGS.prior)
    found = {
        key: float(estimate.values[n])
        for key, n in scalar_places(spec).items()
        if verdicts[key]["verdict"] == "identified"
    }
    return found | forces_of_fit(estimate, spec)


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
        truth = forces(SimpleNamespace(**params)) | {key: params[key] for key in FITTED[kind].spec.param_keys}
    else:
        truth = best_forces(params, states, commands[..., 1]) | {"I": params["I"]}
    truth = {key: value if key in NO_FORCE else value * lighter for key, value in truth.items()}
    return Drives(states, commands, truth)


def forces(p: Any) -> dict[str, Any]:
    """Side force of each axle at `SLIPS` in N, by the name that the comparison of recordings has for it."""
    spec = BASE.spec
    return {f"{axle} {slip:g}": force_at(spec, axle, slip, p) for axle in ("front", "rear") for slip in SLIPS}


def best_forces(params: Mapping[str, Any], states: np.ndarray, drive: np.ndarray) -> dict[str, np.ndarray]:
    """The same of what fits the imperfect plant best, see above; (R,) each."""
    by_row = {key: np.reshape(value, (-1, 1)) if np.ndim(value) else value for key, value in params.items()}
    x = SimpleNamespace(**dict(zip(IMPERFECT.state_names, np.moveaxis(states, -1, 0), strict=True)))
    acting = axles(x, drive, SimpleNamespace(**by_row), np)
    return {
        f"{axle} {at:g}": np.array([near(at, *row) for row in zip(slip, side, strict=True)])
        for axle, slip, side in zip(("front", "rear"), acting.slip, acting.side, strict=True)
        for at in SLIPS
    }


def near(at: float, slip: np.ndarray, side: np.ndarray) -> float:
    """Mean side force at a slip angle: of a straight line through the rows near it, on both sides."""
    rows = np.abs(np.abs(slip) - at) < NEAR
    return float(np.polyfit(np.abs(slip[rows]) - at, np.sign(slip[rows]) * side[rows], 1)[1])


def windows_of(kind: str, drives: Drives, numbers: Iterable[int]) -> WindowSet:
    """Windows of the logs of some drives."""
    spec = FITTED[kind].spec
    logs = [(f"drive {number}", log_of(drives, number)) for number in numbers]
    return fit_windows(spec, make_window_store(logs, spec), SETTINGS)


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


def forces_of_fit(estimate: Estimate, spec: ModelSpec) -> dict[str, float]:
    """Side forces of a fit that are known to 15 %, by the fit's covariance (delta method)."""
    values = {**spec.default_params, **estimate.params(spec)}
    names = list(forces(SimpleNamespace(**values)))
    at, slopes = differences(lambda p: np.array(list(forces(p).values())), spec, values)
    numbers = list(scalar_places(spec).values())
    slope = estimate.deviations(spec) / np.sqrt(np.diag(estimate.covariance))
    covariance = (estimate.covariance * np.outer(slope, slope))[np.ix_(numbers, numbers)]
    errors = np.sqrt(np.maximum(np.einsum("pk,pq,qk->k", slopes, covariance, slopes), 0.0))
    return {name: float(v) for name, v, e in zip(names, at, errors, strict=True) if e < WEAK * abs(v)}
