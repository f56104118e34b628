"""Is a designed drive worth more than a usual one of the same length? Twenty simulated cars tell.

A 1:10 car of `singletrack-pacejka` in a free area of 20 x 20 m: both tyres with curvature and shifts and the
yaw inertia are asked for, 13 in all; the drivetrain's four are not known either. `pct.design` knows the guess
alone, and that it may be off. The cars are drawn about the guess (`--unlike`, standard deviation in logit
space), and each drives in closed loop, by the same follower:

- typical: laps of a stadium in the same area, fast on the straights, 70 % of the guess's grip in the bends;
- slalom: the same laps in a slalom at 80 % of the grip;
- random: the manoeuvres of `pct simulate`, which need no area and know each car's own grip;
- design: what `pct.design` found.

All drives are as long, read by the same sensors, and fitted by the same fit, which begins at the guess. Error
of a drive: the median over cars of each parameter's true error, then over parameters the mean of logarithms
of the ratio.

`--data` judges the ranking of driven logs in place of that, on a real 1:10 car on rubber (DART): the best
60 s, the worst, and some by chance are fitted alone, beside the fit to the whole. For each: how many
parameters are within one standard error of that fit of those of the whole, and how many would be if all
standard errors were right. Since the 60 s are part of the whole, their difference has the variance
s60^2 - s^2 [1]. This count says whether errors are honest, not whether the choice is good. The errors
themselves say that, and how far off the parameters are in standard errors of the whole. Last line: one JSON
object.

References:
    [1] J. Hausman, "Specification tests in econometrics", Econometrica 46 (1978).

    python benchmarks/design.py [--cars 20] [--unlike 0.3] [--seed 0] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import ndtr

import pct
from pct.designing.area import closed_path
from pct.designing.drives import Cars, Workshop, design_drive, params_of
from pct.designing.reference import Reference, braking_in_time
from pct.designing.settings import DesignSettings
from pct.dynamics.core import ModelSpec
from pct.recordings.trajectory import Trajectory
from pct.simulation.sensors import commanded, readings

TYRES = tuple(f"{name}{axle}" for axle in "fr" for name in ("B_", "C_", "D_", "E_", "S_h", "S_v"))
CHOSEN = (*TYRES, "I")
CAR = pct.model("singletrack-pacejka").hold("lf", "lr", "C_b").measured(observer=False)
GRIP, TURN = 9.81, 5.0
# What is chosen of driven logs, in pieces of so many seconds, and how often by chance.
CHOSEN_SECONDS, PIECE, DRAWS = 60.0, 5.0, 5
FIT: dict[str, Any] = {"free_start": True, "horizon": 50, "stride": 51, "history": 1, "iterations": 100}


def main() -> None:
    """Design, drive, fit and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cars", type=int, default=20)
    parser.add_argument("--unlike", type=float, default=0.3)
    parser.add_argument("--spread", type=float, default=0.3)
    parser.add_argument(
        "--prior", type=float, default=DesignSettings.prior, help="of the fits and the design"
    )
    parser.add_argument("--generations", type=int, default=DesignSettings.generations)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, help="folder that holds dart/: judges the ranking of its logs")
    args = parser.parse_args()
    pct.keep_compiled_code()
    if args.data:
        print(json.dumps(judge_ranking(args.data, args.seed)))
        return
    begin, busy = time.perf_counter(), time.process_time()
    settings = DesignSettings(
        seed=args.seed, generations=args.generations, spread=args.spread, prior=args.prior
    )
    workshop = Workshop(CAR.spec, CHOSEN, settings)
    design = design_drive(workshop)
    seconds, processor = time.perf_counter() - begin, time.process_time() - busy
    print(
        f"design: {seconds:.1f} s, {processor:.1f} s of processor; {design.kept:.0%} of drawn cars keep to it"
    )

    rng = np.random.default_rng([args.seed, 1])
    raw = workshop.cars(args.cars + 1, np.random.default_rng([args.seed, 2])).raw
    raw = raw[0] + (raw[1:] - raw[0]) * args.unlike / settings.spread
    cars = Cars(raw, params_of(CAR.spec, raw))
    references = {"typical": laps(0.7), "slalom": laps(0.8, slalom=True), "design": design.reference}
    errors: dict[str, np.ndarray] = {}
    kept = 0
    for name, reference in references.items():
        driven = workshop.drive(reference, cars)
        used = {key: value[0] for key, value in workshop.used(reference, driven, cars).items()}
        keep = np.max(list(used.values()), axis=0) <= 1.0
        if name == "design":
            kept = int(keep.sum())
        recorded = [
            recording(CAR.spec, states, controls, settings.dt, rng)
            for states, controls in zip(driven.states[0], driven.controls[0], strict=True)
        ]
        errors[name] = fitted_errors(recorded, cars, args.prior)
        worst = max(used, key=lambda key: float(np.mean(used[key] > 1)))
        print(
            f"{name}: {keep.sum()} of {len(keep)} cars keep every limit; most often broken: {worst}",
            flush=True,
        )
    errors["random"] = fitted_errors(random_drives(cars, settings), cars, args.prior)
    show(errors)
    ratio = {name: ratio_of(errors[name], errors["design"]) for name in errors if name != "design"}
    print(
        json.dumps(
            {
                "error_ratio": round(ratio["typical"], 2),
                "kept_limits": kept,
                "seconds": round(seconds, 1),
                "processor_seconds": round(processor, 1),
                "cars": args.cars,
                "ratio_slalom": round(ratio["slalom"], 2),
                "ratio_random": round(ratio["random"], 2),
            }
        )
    )


def laps(grip: float, *, slalom: bool = False) -> Reference:
    """Laps of a stadium, 16 m long and 10 m wide, as fast as a share of the grip allows, up to 4.8 m/s."""
    straight = 6.0
    length = 2 * straight + 2 * np.pi * TURN
    s = np.linspace(0, length, 1200, endpoint=False)
    half = straight + np.pi * TURN
    side, rest = s // half, s % half
    bend = np.clip(rest - straight, 0, None) / TURN
    x = np.where(rest < straight, rest - straight / 2, straight / 2 + TURN * np.sin(bend))
    y = np.where(rest < straight, -TURN, -TURN * np.cos(bend))
    sign = np.where(side == 0, 1.0, -1.0)
    line = np.stack([sign * x, sign * y], axis=-1)
    if slalom:
        ahead = np.roll(line, -1, axis=0) - np.roll(line, 1, axis=0)
        normal = np.stack([-ahead[:, 1], ahead[:, 0]], axis=-1) / np.hypot(*ahead.T)[:, None]
        line = line + 0.5 * np.sin(2 * np.pi * s / length * 8)[:, None] * normal
    # A path that a car can drive has no steps in its curvature.
    line = smooth(line, 60)
    path = closed_path(line)
    speed = np.sqrt(np.minimum(4.8**2, grip * GRIP / np.maximum(np.abs(path.curvature), 1e-6)))
    return Reference(path, braking_in_time(speed, path.along, 4.0), np.zeros_like(speed))


def smooth(line: np.ndarray, points: int) -> np.ndarray:
    """Means over so many points of a closed line, twice."""
    for _ in range(2):
        around = np.concatenate([line[-points:], line, line[:points]])
        sums = np.cumsum(around, axis=0)
        means = (sums[points:] - sums[:-points]) / points
        line = means[points // 2 : points // 2 + len(line)]
    return line


def recording(
    spec: ModelSpec, states: np.ndarray, controls: np.ndarray, dt: float, rng: np.random.Generator
) -> Trajectory:
    """A drive as its sensors show it."""
    columns = {**readings(rng, spec, states.astype(float), 1.0), **commanded(spec, controls.astype(float))}
    return Trajectory(
        name="drive",
        dt=dt,
        channels={name: column.values for name, column in columns.items()},
        units={name: column.unit for name, column in columns.items()},
        origins={name: column.origin for name, column in columns.items()},
        source="simulated",
    )


def random_drives(cars: Cars, settings: DesignSettings) -> list[Trajectory]:
    """Random manoeuvres of each car at up to 80 % of its own grip, up to 5 m/s."""
    drives = []
    for d in range(len(cars.raw)):
        own = {
            name: float(np.broadcast_to(value, (len(cars.raw),))[d]) for name, value in cars.params.items()
        }
        spec = dataclasses.replace(CAR.base, default_params={**CAR.base.default_params, **own})
        grip = min((own["D_f"] + own["D_r"]) / own["m"] / 9.81, 1.5)
        made = pct.simulate(
            pct.api.cars.Car(spec), duration=settings.duration, dt=settings.dt, mu=(grip,),
            speed=(1.5, 5.0), seed=d,
        )  # fmt: skip
        drives.append(made[0].trajectory)
    return drives


def fitted_errors(drives: list[Trajectory], cars: Cars, prior: float) -> np.ndarray:
    """True errors of the chosen parameters in their unit, (cars, Q); NaN where a fit fails."""
    errors = []
    for d, drive in enumerate(drives):
        fit = pct.fit(CAR, pct.Drive("drive", drive), prior=prior, **FIT)
        truth = [np.broadcast_to(cars.params[name], (len(cars.raw),))[d] for name in CHOSEN]
        errors.append([float(fit.params[name]) - value for name, value in zip(CHOSEN, truth, strict=True)])
    return np.abs(np.array(errors))


def ratio_of(errors: np.ndarray, best: np.ndarray) -> float:
    """How many times the median errors are those of the best, the mean over parameters in logarithms."""
    return float(np.exp(np.log(np.median(errors, axis=0) / np.median(best, axis=0)).mean()))


def judge_ranking(data: Path, seed: int) -> dict[str, Any]:
    """The best, the worst and some 60 s of the drives on rubber beside the whole."""
    from dart import CAR as REAL
    from dart import read_all, settings_of

    # On another floor it is another car.
    known = read_all(sorted((data / "dart").glob("rubber_*.csv"))).values()
    drives, settings = sum(known, pct.Drives(())), settings_of(*known)
    whole = pct.fit(REAL, drives, **settings)
    ranking = pct.rank(whole, drives, piece=PIECE)
    rng = np.random.default_rng([seed, 3])
    orders = {"best": ranking.pieces, "worst": ranking.pieces[::-1]}
    as_driven = sorted(ranking.pieces)
    for draw in range(DRAWS):
        orders[f"by chance {draw + 1}"] = tuple(as_driven[i] for i in rng.permutation(len(as_driven)))
    result: dict[str, Any] = {}
    for name, order in orders.items():
        some = dataclasses.replace(ranking, pieces=order).best(CHOSEN_SECONDS)
        result[name] = beside(pct.fit(REAL, some, **settings), whole)
        print(f"{name}: {result[name]}", file=sys.stderr, flush=True)
    chance = [result[name] for name in orders if name.startswith("by chance")]
    seconds = sum(len(drive) * drive.dt for drive in drives)
    return {
        "seconds": round(seconds),
        **result,
        "by chance": {key: float(np.mean([one[key] for one in chance])) for key in chance[0]},
    }


def beside(some: pct.Fit, whole: pct.Fit) -> dict[str, float]:
    """A fit to a part of drives beside the fit to all of them."""
    errors = whole.model.deviations
    names = [name for name, error in errors.items() if np.ndim(error) == 0 and 0 < error < np.inf]
    at, near, part, entire = (
        np.array([float(numbers[name]) for name in names])
        for numbers in (some.params, whole.params, some.model.deviations, errors)
    )
    away = np.abs(at - near)
    # By chance a part may seem to tell more than the whole.
    of_difference = np.sqrt(np.maximum(part**2 - entire**2, (0.1 * part) ** 2))
    return {
        "parameters": len(names),
        "within": int((away <= part).sum()),
        "expected": float(np.sum(2 * ndtr(part / of_difference) - 1)),
        "errors_over_whole": float(np.exp(np.log(part / entire).mean())),
        "away_in_errors_of_whole": float(np.median(away / entire)),
    }


def show(errors: dict[str, np.ndarray]) -> None:
    """Print the median error of each parameter and drive."""
    print(f"{'median true error':20s}" + "".join(f"{name:>12s}" for name in errors))
    for q, name in enumerate(CHOSEN):
        unit = CAR.spec.parameter(name).unit
        cells = "".join(f"{np.median(error[:, q]):12.4g}" for error in errors.values())
        print(f"{f'{name} [{unit}]':20s}{cells}")


if __name__ == "__main__":
    main()
