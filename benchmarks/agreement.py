"""Do several recordings of one car agree, within the errors that a fit states?

**Real cars.** Of every parameter that two recordings of a set both call identified, z is the difference over
the root of the sum of the squared errors. `alone` fits each recording by itself and takes the errors of the
fits; they hold for one drive only, and so z shows what differs between drives, too. `stated` is what a fit
to all recordings says of each (`by="recording"`), with the spread between recordings, tau, once for each of
the two; identified is then judged by both together, and no parameter that varies is. tau comes from the same
recordings, so it is `next_cover` that tests it: each recording is left out in turn, and counted is how often
its own value lies within the 95 % interval of the next recording as the others give it.

**Simulated cars**, whose truth is known: the drives of a car differ in trim (steering offset), load (mass
and yaw inertia) and grip (peaks of the tyres), drawn from normal distributions. Of five drives the interval
of the mean should hold the mean of all drives that there could be, and the interval of the next drive what
a further one shows. Once the plant is the model itself; once it has six usual imperfections, see `plant.py`,
which also says what is true of a car that no parameters describe.

Last line: one JSON object with `rms_z`, `beyond` (share of z beyond 1.96), `next_cover`, `identified` and
`simulated_cover`.

    python benchmarks/agreement.py --data FOLDER [--cars 100]
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import dart
import f1tenth
import iac
import pct
import plant
from pct.optimization.constants.random_effects import RandomEffects, holm, random_effects

# Recordings from which the next one is predicted.
FEWEST_OTHERS = 3
BEYOND = 1.96


class Value(NamedTuple):
    """A parameter of one recording's fit.

    Attributes:
        value, error: in its unit; the error holds for this recording alone.
        tau: spread between the recordings, where it is stated.
        used: whether the recording tells the parameter.
        identified: whether the fit says that it is.
    """

    value: float
    error: float
    tau: float
    used: bool
    identified: bool


@dataclasses.dataclass(frozen=True)
class CarSet:
    """Several recordings of one car.

    Attributes:
        car, settings: what is fitted to each, and how.
        recordings: drives by name.
    """

    car: pct.Car
    settings: Mapping[str, Any]
    recordings: Mapping[str, pct.Drives]


def main() -> None:
    """Fit all recordings of all sets, then the simulated cars, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder that holds f1tenth/, dart/ and iac/")
    parser.add_argument("--sets", nargs="+", help="names of sets; all when left out")
    parser.add_argument("--cars", type=int, default=20, help="simulated cars of each kind; 0 for none")
    args = parser.parse_args()
    pct.keep_compiled_code()
    tables = {}
    for name, make in sets(args.data).items() if args.data else ():
        if args.sets is None or name in args.sets:
            begin = time.perf_counter()
            cars = make()
            tables[name] = {"alone": table_of(alone(name, cars)), "stated": table_of(stated(name, cars))}
            show(name, tables[name], time.perf_counter() - begin)
    result = overall(list(tables.values()))
    simulated = {}
    for kind in plant.KINDS if args.cars else ():
        simulated[kind] = plant.cover(kind, args.cars)
        plant.show(kind, simulated[kind])
    result["simulated_cover"] = simulated
    print(json.dumps({**result, "sets": tables}))


def sets(data: Path) -> dict[str, Callable[[], CarSet]]:
    """What makes each set of recordings, by its name."""

    def f1(pattern: str) -> CarSet:
        logs = sorted(path for part in pattern.split() for path in (data / "f1tenth").glob(part))
        return CarSet(f1tenth.CAR, f1tenth.SETTINGS, {log.stem: f1tenth.read(log) for log in logs})

    def on_floor(pattern: str) -> CarSet:
        recordings = dart.read_all(sorted((data / "dart").glob(pattern)))
        return CarSet(dart.CAR, dart.settings_of(*recordings.values()), recordings)

    def quarters() -> CarSet:
        log = iac.read_log(data / "iac" / "Putnam_park2023_run4_2.csv")
        edges = [len(log) * k // 4 for k in range(5)]
        parts = {f"rows {a} to {b}": iac.drive(log, a, b) for a, b in itertools.pairwise(edges)}
        return CarSet(iac.CAR, iac.FIT, parts)

    return {
        "F1TENTH races": lambda: f1("*_race.csv"),
        "F1TENTH October": lambda: f1("*_circles.csv *_sysid.csv"),
        "DART rubber": lambda: on_floor("rubber_*.csv"),
        "DART tape": lambda: on_floor("tape_[0-9]*.csv"),
        "IAC quarters": quarters,
    }


def alone(name: str, cars: CarSet) -> dict[str, list[Value]]:
    """What a fit of each recording by itself says of each parameter."""
    values: dict[str, list[Value]] = {}
    for recording, drives in cars.recordings.items():
        fit = pct.fit(cars.car, drives, **cars.settings)
        print(f"{name}: {recording}", *fit.facts, sep="\n  ", file=sys.stderr, flush=True)
        for key, verdict in fit.verdicts.items():
            identified = verdict["verdict"] == "identified"
            value, error = float(fit.params[key]), float(fit.deviations[key])
            values.setdefault(key, []).append(Value(value, error, 0.0, identified, identified))
    return values


def stated(name: str, cars: CarSet) -> dict[str, list[Value]]:
    """What a fit to all recordings says of each parameter of each of them."""
    drives = pct.Drives(())
    for one in cars.recordings.values():
        drives += one
    fit = pct.fit(cars.car, drives, by="recording", **cars.settings)
    assert fit.result is not None
    print(f"{name}: all", *fit.facts, sep="\n  ", file=sys.stderr, flush=True)
    agreement = fit.result.agreement
    assert agreement is not None
    values = {}
    for key, item in agreement.parameters.items():
        identified = fit.verdicts[key]["verdict"] == "identified"
        tau = 0.0 if item.effects is None else item.effects.tau
        rows = zip(item.values.tolist(), item.errors.tolist(), item.used.tolist(), strict=True)
        values[key] = [Value(value, error, tau, used, used and identified) for value, error, used in rows]
    return values


def table_of(values: Mapping[str, list[Value]]) -> dict[str, Any]:
    """How the recordings of one set agree.

    Returns:
        ``identified``: parameters, summed over the recordings; ``z`` of all pairs and ``next``, whether each
        recording that was left out lies within the interval of the others, by parameter; ``spread``: mean,
        its error, tau, and Holm's probability that the recordings are equal.
    """
    table: dict[str, Any] = {"identified": 0, "z": {}, "next": {}, "spread": {}}
    tests = {}
    for key, row in values.items():
        kept = [one for one in row if one.identified]
        table["identified"] += len(kept)
        if len(kept) > 1:
            table["z"][key] = [
                float((a.value - b.value) / np.sqrt(a.error**2 + b.error**2 + a.tau**2 + b.tau**2))
                for a, b in itertools.combinations(kept, 2)
            ]
        used = [one for one in row if one.used]
        if len(used) > FEWEST_OTHERS:
            table["next"][key] = [inside(one, [other for other in used if other is not one]) for one in used]
            effects = effects_of(used)
            table["spread"][key] = {"mean": effects.mean, "error": effects.error, "tau": effects.tau}
            tests[key] = effects.p
    for key, p in zip(tests, holm(np.array(list(tests.values()))), strict=True):
        table["spread"][key]["p"] = float(p)
    return table


def effects_of(values: list[Value]) -> RandomEffects:
    """Mean and spread of values."""
    return random_effects(np.array([one.value for one in values]), np.array([one.error for one in values]))


def inside(one: Value, others: list[Value]) -> bool:
    """Whether a value lies within the 95 % interval of the next recording as the others give it."""
    effects = effects_of(others)
    return bool(effects.next_low <= one.value <= effects.next_high)


def summary(z: Mapping[str, list[float]]) -> dict[str, Any]:
    """Root mean square and share beyond 1.96 of the z of all parameters."""
    every = np.concatenate([np.asarray(part) for part in z.values()]) if z else np.zeros(0)
    if not every.size:
        return {"pairs": 0, "rms_z": None, "beyond": None}
    return {
        "pairs": int(every.size),
        "rms_z": float(np.sqrt(np.mean(every**2))),
        "beyond": float(np.mean(np.abs(every) > BEYOND)),
    }


def cover(table: Mapping[str, Any]) -> float | None:
    """Share of recordings left out that lie inside."""
    hits = [hit for row in table["next"].values() for hit in row]
    return float(np.mean(hits)) if hits else None


def overall(tables: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of all sets together: as stated, and of fits alone."""
    figures = {}
    for how in ("stated", "alone"):
        parts = [table[how] for table in tables]
        z = {f"{n}.{key}": row for n, part in enumerate(parts) for key, row in part["z"].items()}
        inside = {f"{n}.{key}": row for n, part in enumerate(parts) for key, row in part["next"].items()}
        figures[how] = {
            **summary(z),
            "next_cover": cover({"next": inside}),
            "identified": sum(part["identified"] for part in parts),
        }
    return {**figures["stated"], "alone": figures["alone"]}


def show(name: str, tables: Mapping[str, Any], seconds: float) -> None:
    """Print the agreement of one set."""
    print(f"\n{name}, {seconds:.0f} s")
    for how, table in tables.items():
        row, share = summary(table["z"]), cover(table)
        told = "no pairs"
        if row["pairs"]:
            told = (
                f"rms z {row['rms_z']:.2f}, {100 * row['beyond']:.0f} % beyond 1.96 of {row['pairs']} pairs"
            )
        left_out = "" if share is None else f"; the recording left out inside {100 * share:.0f} % of the time"
        print(f"  {how:8s}{told}; identified {table['identified']}{left_out}")
    for key, row in tables["stated"]["spread"].items():
        print(
            f"  {key:22s}{row['mean']:10.4g} ± {row['error']:<10.2g}tau {row['tau']:<10.2g}p {row['p']:.2g}"
        )


if __name__ == "__main__":
    main()
