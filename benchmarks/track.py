"""Does the tracker know the friction that the simulator drives over, when, and how well?

Simulated drives over changing surfaces, whose friction the tracker is not told: causal and smoothed error,
how often the 95 % bands hold, how long after a change the car knows (its probability passes 95 %), and
false changes in an hour of constant friction; beside them, how many changes the best possible detector sees
(`track_oracle.py`). Rows count from the second on that a network's history takes, too. The levels of noise
are estimated from the drives. Further rows: four surfaces; three times the noise; mass and stiffness that
differ from drive to drive and are known within their bounds only; friction, stiffness and mass at once; how
soon the stiffness is within 1 %; processor time of an update and memory over many rows.

`--network` trains two networks on other drives, one that reads what the tracker says as features. `--data`
tracks the grip of a real 1:10 car on three floors (DART), as a factor on both axles of a fit to rubber, and
splices drives of two floors. Last line: one JSON object.

    python benchmarks/track.py [--network] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import pct
from pct.tracking.drives import Rows, Tracked
from pct.tracking.problem import Levels, Problem
from track_oracle import changes_told

SEED, FALSE_SEED = 12, 101
KNOWN = ("C_Sf", "C_Sr", "m", "I")
# Seconds at the start of a drive that do not count; a change is missed after so many.
WARM, LATE = 1.0, 3.0
# Rows over which memory is to stay.
ROWS = 1_000_000
# Grip of a Pacejka model at the same stiffness, seconds of each half of a splice, and the fit to rubber.
GRIP, PIECE = "D_f+D_r/B_f/B_r", 10.0
FLOOR_FIT: dict[str, Any] = {
    "dt": 0.05,
    "horizon": 10,
    "history": 20,
    "stride": 5,
    "substeps": 4,
    "compare": ("psi", "vx", "vy", "psi_dot"),
}


def main() -> None:
    """Simulate, track, judge, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--network", action="store_true", help="train the two networks, too")
    parser.add_argument("--data", type=Path, help="folder that holds dart/")
    args = parser.parse_args()
    pct.keep_compiled_code()
    car = pct.model("singletrack")
    known = car.hold(*KNOWN)
    rows = {
        "two surfaces": (known, {"surfaces": 2}),
        "four surfaces": (known, {"surfaces": 4}),
        "three times the noise": (known, {"surfaces": 2, "noise": 3.0}),
        "unknown mass and stiffness": (
            car.hold("I"),
            {"surfaces": 2, "vary": {"m": (3.0, 4.5), "C_Sf": (3.8, 5.6), "C_Sr": (4.4, 6.5)}},
        ),
    }
    found = {}
    for name, (model, options) in rows.items():
        drives = pct.simulate(model, recordings=12, duration=30.0, seed=args.seed, **options)
        track = pct.track(model, drives)
        found[name] = judge(track, drives)
        if model is known:
            told = changes_told(model, drives, track.levels, LATE)
            found[name]["possible"] = sum(sized > 0 for _, sized, _ in told)
            found[name]["possible_of_unknown_size"] = sum(unsized > 0 for *_, unsized in told)
        show(name, found[name])
    constant = pct.simulate(known, recordings=12, duration=300.0, seed=FALSE_SEED)
    found["constant"] = judge(pct.track(known, constant), constant)
    show("an hour of constant friction", found["constant"])
    found["three at once"] = three_at_once(args.seed)
    show("friction, stiffness and mass at once", found["three at once"])
    more = {"false_per_hour": found["constant"]["false"], "settled_s": settled(), **updates()}
    if args.network:
        more["networks"] = networks(known)
    if args.data:
        more["floors"] = floors(args.data)
    print(json.dumps({**found["two surfaces"], **more, "rows": found}))


def judge(track: pct.Track, drives: pct.Drives) -> dict[str, Any]:
    """Errors, bands and changes of a track by the truth in its drives."""
    columns: dict[str, list[np.ndarray]] = {}
    delays: list[float] = []
    missed = false = 0
    for drive, one in zip(drives, track.tracked, strict=True):
        truth = drive.trajectory.channels["truth.mu"]
        late = np.arange(len(truth)) * drive.dt >= WARM
        for kind, course in (("causal", one.causal["mu"]), ("smoothed", one.smoothed["mu"])):
            columns.setdefault(f"{kind}_error", []).append(np.abs(course.middle - truth)[late])
            columns.setdefault(f"{kind}_value", []).append(course.middle[late])
            columns.setdefault(f"{kind}_holds", []).append(
                ((course.low <= truth) & (truth <= course.high))[late]
            )
        columns.setdefault("truth", []).append(truth[late])
        own, no, wrong = delays_of(one, truth, drive.dt)
        delays, missed, false = [*delays, *own], missed + no, false + wrong
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    result: dict[str, Any] = {}
    for kind in ("causal", "smoothed"):
        result |= {
            f"{kind}_median": float(np.median(joined[f"{kind}_error"])),
            f"{kind}_correlation": float(np.corrcoef(joined[f"{kind}_value"], joined["truth"])[0, 1]),
            f"{kind}_cover": float(joined[f"{kind}_holds"].mean()),
        }
    median, most = np.quantile(delays, [0.5, 0.9]) if delays else (np.nan, np.nan)
    return {
        **result,
        "delay_median": float(median),
        "delay_90": float(most),
        "changes": len(delays) + missed,
        "missed": missed,
        "false": false,
    }


def delays_of(one: Tracked, truth: np.ndarray, dt: float) -> tuple[list[float], int, int]:
    """Delays of the changes that the car knows of as it drives, how many it does not, and false ones."""
    from pct.tracking.changes import find_alarms

    alarms = find_alarms(one.t, one.recent["mu"])
    true = one.t[np.flatnonzero(np.diff(truth)) + 1]
    delays, seen = [], np.zeros(len(alarms), bool)
    for change in true:
        near = (alarms >= change) & (alarms < change + LATE)
        seen |= near
        delays += [float(alarms[near][0] - change)] if near.any() else []
    return delays, len(true) - len(delays), int((~seen).sum())


def three_at_once(seed: int) -> dict[str, float]:
    """Relative errors and bands of friction, front stiffness and mass, all unknown, one of them changing."""
    names = ("mu", "C_Sf", "m")
    drives = pct.simulate(
        pct.model("singletrack"),
        recordings=8,
        duration=30.0,
        seed=seed,
        surfaces=2,
        vary={"m": (3.0, 4.5), "C_Sf": (3.8, 5.6)},
        fixed={"I": float(pct.model("singletrack").spec.default_params["I"])},
    )
    track = pct.track(pct.model("singletrack").hold("C_Sr", "I"), drives, vary=names)
    result = {}
    for name in names:
        errors, holds = [], []
        for drive, one in zip(drives, track.tracked, strict=True):
            truth, course = drive.trajectory.channels[f"truth.{name}"], one.causal[name]
            late = np.arange(len(truth)) * drive.dt >= WARM
            errors.append((np.abs(course.middle - truth) / truth)[late])
            holds.append(((course.low <= truth) & (truth <= course.high))[late])
        result[f"{name}_relative"] = float(np.median(np.concatenate(errors)))
        result[f"{name}_cover"] = float(np.concatenate(holds).mean())
    return result


def settled() -> float:
    """Seconds after which the front stiffness stays within 1 %, the slowest of 12 drives."""
    inertia = float(pct.model("singletrack").spec.default_params["I"])
    drives = pct.simulate(
        pct.model("singletrack"),
        recordings=12,
        duration=6.0,
        seed=22,
        vary={"C_Sf": (2.5, 8.0)},
        mu=(1.0489,),
        fixed={"I": inertia},
    )
    car = pct.model("singletrack").hold("mu", "C_Sr", "m", "I")
    levels = dataclasses.replace(pct.track_levels(car, vary="C_Sf"), jumps=1e-3)
    track = pct.track(car, drives, vary="C_Sf", levels=levels)
    slowest = 0.0
    for drive, one in zip(drives, track.tracked, strict=True):
        truth = drive.trajectory.channels["truth.C_Sf"]
        far = np.flatnonzero(np.abs(one.causal["C_Sf"].middle / truth - 1) > 0.01)
        slowest = max(slowest, drive.dt * (far[-1] + 1) if len(far) else 0.0)
    return slowest


def updates() -> dict[str, float]:
    """Processor time of a live update of one and of three parameters, and growth of memory over many rows."""
    result = {}
    for name, vary in (("update_us", ("mu",)), ("update_3_us", ("mu", "C_Sf", "m"))):
        car = pct.model("singletrack").hold(*[one for one in KNOWN if one not in vary])
        drive = pct.simulate(car, duration=200.0, seed=1)[0]
        channels, tracker, taken = drive.trajectory.channels, pct.Tracker(car, vary=vary), []
        names = car.spec.state_names, car.spec.control_names
        states, controls = (np.stack([channels[name] for name in own], axis=-1) for own in names)
        for row in range(len(drive)):
            begin = time.thread_time_ns()
            tracker.update(row * drive.dt, states[row], controls[row])
            taken.append(time.thread_time_ns() - begin)
        result[name] = float(np.median(taken)) / 1000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for row in range(ROWS):
        tracker.update((len(drive) + row) * drive.dt, states[row % 4000], controls[row % 4000])
    return {**result, "grown_kb": float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)}


def networks(car: pct.Car) -> dict[str, dict[str, float]]:
    """Error and correlation of a network, and of one that reads the tracker's answer, on the same windows."""
    sets = {}
    for name, options in (
        ("train", {"recordings": 32, "duration": 60.0, "seed": 11}),
        ("judge", {"seed": SEED}),
    ):
        drives = pct.simulate(car, **{"recordings": 12, "duration": 30.0, "surfaces": 2, **options})
        levels = sets["levels"] if sets else pct.track_levels(car, drives)
        sets |= {"levels": levels, name: pct.track(car, drives, levels=levels).as_features(drives)}
    result = {}
    for name, mode in (("network", "context"), ("network that reads the tracker", "full")):
        begin = time.perf_counter()
        network = pct.train(car, sets["train"], validation=sets["judge"], feature_mode=mode, epochs=25)
        table = network.parameters(sets["judge"])
        predicted, truth = table["mu"].to_numpy(), table["truth.mu"].to_numpy()
        result[name] = {
            "median": float(np.median(np.abs(predicted - truth))),
            "correlation": float(np.corrcoef(predicted, truth)[0, 1]),
            "seconds": time.perf_counter() - begin,
        }
        show(name, result[name])
    return result


def floors(data: Path) -> dict[str, Any]:
    """Grip on three floors over that of a fit to rubber, and how soon splices of floors are seen."""
    from pct.tracking.levels import estimate_levels
    from pct.tracking.problem import usual_levels

    names, problem, rows = floor_drives(data)
    return judge_floors(names, problem, rows, estimate_levels(problem, rows, usual_levels(problem)))


def floor_drives(data: Path) -> tuple[list[str], Problem, list[Rows]]:
    """The floor of each drive, what is known of the car by a fit to rubber, and all drives in numbers."""
    from dart import CAR, read_all
    from pct.api.tracking import make_problem
    from pct.tracking.drives import read_drives

    drives = read_all(sorted((data / "dart").glob("*.csv")))
    car = CAR.hold("C_f", "E_f", "C_r", "E_r", "C_m2", "C_r2").measured(delay=())
    rubber = sum((own for name, own in drives.items() if name.startswith("rubber")), pct.Drives(()))
    whole = sum(drives.values(), pct.Drives(()))
    fit = pct.fit(car, rubber, **FLOOR_FIT)
    problem, rows = read_drives(make_problem(fit, GRIP), whole.recordings, FLOOR_FIT["dt"])
    return [name.partition("_")[0] for name, own in drives.items() for _ in own], problem, rows


def judge_floors(
    names: Sequence[str], problem: Problem, rows: Sequence[Rows], levels: Levels
) -> dict[str, Any]:
    """Medians of the causal bands on each floor, rubber that is called slippery, and splices.

    Rows count where the tracker itself says that the drive tells; beside them are the bands of all.
    """
    from pct.tracking.drives import TELLS, track_drive

    tracked = [track_drive(problem, levels, name, own, 0.0) for name, own in zip(names, rows, strict=True)]
    result: dict[str, Any] = {}
    telling: dict[str, np.ndarray] = {}
    for floor in dict.fromkeys(names):
        own = [one for one in tracked if one.name == floor]
        course = np.concatenate([np.stack(one.causal[GRIP])[:, one.t >= WARM] for one in own], axis=1)
        tells = np.concatenate([one.told[GRIP][one.t >= WARM] for one in own]) >= TELLS
        telling[floor] = course[:, tells]
        result[floor] = {
            **dict(zip(("median", "low", "high"), np.median(telling[floor], axis=1).tolist(), strict=True)),
            "tells": float(tells.mean()),
            "of_all": np.median(course, axis=1).tolist(),
        }
    between = np.sqrt(result["rubber"]["median"] * result["slippery"]["median"])
    pieces = [telling_piece(own, one.told[GRIP]) for own, one in zip(rows, tracked, strict=True)]
    medians = [float(result[name]["median"]) for name in names]
    return {
        **result,
        "called_slippery": float(np.mean(telling["rubber"][0] < between)),
        "surely_slippery": float(np.mean(telling["rubber"][2] < between)),
        **judge_splices(names, medians, problem, pieces, levels),
    }


def telling_piece(own: Rows, told: np.ndarray) -> Rows:
    """The piece of a drive that tells most."""
    half = int(PIECE / FLOOR_FIT["dt"])
    begin = int(np.argmax(np.convolve(told, np.ones(half), "valid"))) if len(told) > half else 0
    return Rows(*(column[begin : begin + half] for column in own))


def judge_splices(
    names: Sequence[str],
    medians: Sequence[float],
    problem: Problem,
    pieces: Sequence[Rows],
    levels: Levels,
) -> dict[str, Any]:
    """How soon splices of pieces of two floors are seen, and in which of one floor a change is seen.

    A splice that is missed is called untold where the first piece has not excluded the second floor at its
    end, or the second one by itself, with nothing known before it, does not exclude the first floor in time.
    """
    from pct.tracking.changes import find_alarms
    from pct.tracking.drives import make_filter

    delays, untold, missed = [], 0, 0
    same: dict[str, list[bool]] = {}
    for i, j in itertools.permutations(range(len(names)), 2):
        a, b = pieces[i], pieces[j]
        splice = float(a.t[-1] - a.t[0]) + FLOOR_FIT["dt"] + 1.0
        t = np.concatenate([a.t - a.t[0], b.t - b.t[0] + splice])
        found = make_filter(problem, levels).track(t, *map(np.concatenate, zip(a[1:], b[1:], strict=True)))
        alarms = find_alarms(t, found.recent[:, 0])
        seen = alarms[(alarms >= splice - 1.0) & (alarms < splice + LATE)]
        if names[i] == names[j]:
            same.setdefault(names[i], []).append(bool(len(seen)))
        elif len(seen):
            delays.append(max(0.0, float(seen[0]) - splice))
        else:
            alone = make_filter(problem, levels).track(*b, hypotheses=False)
            soon = b.t - b.t[0] <= LATE
            known = not found.low[len(a.t) - 1, 0] <= medians[j] <= found.high[len(a.t) - 1, 0]
            tells = np.any((alone.low[soon, 0] > medians[i]) | (medians[i] > alone.high[soon, 0]))
            missed, untold = missed + 1, untold + (not known or not tells)
    return {
        "splice_delay_median": float(np.median(delays)) if delays else np.nan,
        "splices": len(delays) + missed,
        "splices_missed": missed,
        "of_them_untold": untold,
        "false_of_same": {name: f"{sum(called)} of {len(called)}" for name, called in same.items()},
    }


def show(name: str, result: Mapping[str, Any]) -> None:
    """A row of the table."""
    numbers = "  ".join(f"{key} {value:.4g}" for key, value in result.items())
    print(f"{name}: {numbers}", file=sys.stderr)


if __name__ == "__main__":
    main()
