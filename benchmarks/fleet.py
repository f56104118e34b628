"""What is a fleet worth to its next car, how fast is it fitted, and does it survive killed workers?

**Prior.** Simulated cars with Magic Formula tyres, whose parameters are drawn about a mean that is not the
defaults, drive a minute each; their fleet is the prior of new cars with 10 s of gentle driving. `--data`: the
two 1:10 F1TENTH cars of `f1tenth/`, of two days, one left out: the fleet are the recordings of the other, and
each 10 s of the new car are fitted. Error, with default priors and with the fleet: path RMSE of the position
over 1 s on other drives of that car, hard ones without noise where it is simulated, else by its median over
windows; ratios are geometric means over the pieces. Beside it the distance of simulated parameters from the
truth (logit space), and, for the real cars, the ratio of what is above the error of a fit to the other
drives themselves: less no prior can reach.

**Bits.** Simulated cars are fitted in one process, and by two workers of Dask of which one is killed
half-way: every number of every car must be the same. Then a `pct fleet fit` of the same cars is killed with
all its processes half-way and started again: what was done must be left as it is, and the result the same.

**Speed.** Recordings of 30 s, fitted one by one by the processes of this machine: per hour and core, by the
clock and by the processors' own time. Last line: one JSON object.

    python benchmarks/fleet.py [--quick] [--data FOLDER] [--parts prior shared bits speed]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import pct
from pct.api.drives import Drive
from pct.dynamics.bounds import Bounds
from pct.evaluation.evaluate import RUN
from pct.executors.base import Answer
from pct.executors.dask import DaskExecutor
from pct.interpreter import cores
from pct.optimization.constants.estimate import raw_values
from pct.recordings.trajectory import write_dataset

# The simulated fleets: how far their mean is from the defaults, and the cars' spread about it (logit space).
MODEL, AWAY, SPREAD = "singletrack-pacejka", 0.5, 0.15
CAR = pct.model(MODEL).hold("C_b", "S_hf", "S_vf", "S_hr", "S_vr")
FITTED = {"stride": 5}
PIECE = 10.0
# The plain car of the parts that ask for bits and speed.
PLAIN = pct.model("singletrack").hold("mu", "m")
F1TENTH = (
    pct.model(MODEL, vehicle="f1tenth")
    .measured(observer=False, delay="drive", steering=True)
    .hold("S_hf", "S_vf", "S_hr", "S_vr")
)
SIGNALS = """preset = "f1tenth-gym-csv"
faults = "cut"
[channels.drive]
column = "translational_control_executed"
unit = "0.1"
origin = "command"
"""
SHARED: dict[str, Any] = {
    "horizon": 25,
    "history": 25,
    "stride": 3,
    "compare": ("x", "y", "psi", "vx", "vy", "psi_dot"),
}


def main() -> None:
    """Run the parts and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller fleets")
    parser.add_argument("--data", type=Path, help="folder that holds f1tenth/")
    parser.add_argument("--parts", nargs="+", default=["prior", "shared", "bits", "speed"])
    args = parser.parse_args()
    pct.keep_compiled_code()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        if "prior" in args.parts:
            sizes = [(8, 6)] if args.quick else [(16, 12), (4, 12)]
            result |= simulated(place / "prior", sizes)
        if "shared" in args.parts and args.data is not None:
            result |= shared(place / "shared", args.data)
        if "bits" in args.parts:
            result |= bits(place / "bits", 8 if args.quick else 64)
        if "speed" in args.parts:
            result |= speed(place / "speed", 16 if args.quick else 100)
    print(json.dumps(result))


def simulated(place: Path, sizes: Iterable[tuple[int, int]]) -> dict[str, Any]:
    """Errors of new cars with the fleet over those with default priors, by size of the fleet."""
    found, parameters = {}, {}
    for number, (cars, new) in enumerate(sizes):
        rng = np.random.default_rng(number)
        spec = CAR.spec
        mean = raw_values(spec, spec.default_params) + AWAY * rng.standard_normal(len(spec.param_keys))
        folder = place / str(cars)
        for k in range(cars):
            drawn, _ = draw(mean, rng)
            save(folder / f"car_{k:02d}", drawn, 60.0, seed=100 * number + k)
        fleet = pct.fleet(CAR, f"{folder}/*", folder=place / f"fleet {cars}", **FITTED)
        errors: list[list[float]] = []
        away: list[list[float]] = []
        for k in range(new):
            drawn, raw = draw(mean, rng)
            piece = drive(drawn, PIECE, seed=5000 + 100 * number + k, grip=0.5)
            hard = drive(drawn, 30.0, seed=9000 + 100 * number + k, grip=0.9, noise=0.0)
            fits = [pct.fit(CAR, piece, prior=prior, **FITTED) for prior in (1.0, fleet)]
            errors.append([position_error(fit, hard).path_rmse.value for fit in fits])
            off = [raw_values(spec, {**spec.default_params, **fit.params}) - raw for fit in fits]
            away.append([float(np.sqrt(np.mean(np.square(one)))) for one in off])
            print(
                f"fleet of {cars}, car {k}: {errors[-1][0]:.4f} m by default, {errors[-1][1]:.4f} m with it"
            )
        found[cars], parameters[cars] = (geometric_mean([b / a for a, b in each]) for each in (errors, away))
    first = next(iter(found))
    return {
        "error_ratio_simulated": found[first],
        "error_ratio_by_cars": found,
        "parameter_ratio_by_cars": parameters,
    }


def position_error(fit: pct.Fit, drives: pct.Drives, stride: int = 5) -> Any:
    """Error of the position over 1 s, also where a fit to these drives themselves is judged."""
    return (
        pct.evaluate(fit, drives, at=(1.0,), stride=stride, allow_overlap=True)
        .result.rows[RUN]
        .scores[1.0]["position"]
    )


def draw(mean: np.ndarray, rng: np.random.Generator) -> tuple[dict[str, float], np.ndarray]:
    """Parameters of a car of a fleet, and the same on the unbounded axis."""
    raw = mean + SPREAD * rng.standard_normal(mean.size)
    values = Bounds.of(CAR.spec).on_host(raw)[0]
    return dict(zip(CAR.spec.param_keys, values.tolist(), strict=True)), raw


def drive(values: Mapping[str, float], duration: float, *, seed: int, **options: Any) -> pct.Drives:
    """A drive of a car with these parameters."""
    return pct.simulate(CAR, duration=duration, mu=(0.9,), fixed=dict(values), seed=seed, **options)


def save(folder: Path, values: Mapping[str, float], duration: float, *, seed: int) -> None:
    """A dataset folder of such a drive."""
    write_dataset(folder, [drive(values, duration, seed=seed)[0].trajectory], vehicle="simulated")


def shared(place: Path, data: Path) -> dict[str, Any]:
    """Errors of a real car from 10 s with the other's recordings as fleet, over those with default priors."""
    place.mkdir(parents=True)
    (place / "signals.toml").write_text(SIGNALS)
    for log in sorted((data / "f1tenth").glob("*.csv")):
        os.symlink(log.resolve(), place / log.name)
    logs = sorted(place.glob("*.csv"))
    days = {day: [log for log in logs if log.name.startswith(day)] for day in {log.name[:4] for log in logs}}
    ratios: dict[str, list[float]] = {}
    above: dict[str, list[list[float]]] = {}
    for new, own in sorted(days.items()):
        others = [log for log in logs if log not in own]
        fleet = pct.fleet(F1TENTH, others, folder=place / "fleet", by="recording", **SHARED)
        for log in own:
            rest = pct.Drives(tuple(one for other in own if other != log for one in pct.load(other)))
            least = median_error(pct.fit(F1TENTH, rest, **SHARED), rest)
            for piece in pieces(pct.load(log)[0]):
                fits = [pct.fit(F1TENTH, piece, prior=prior, **SHARED) for prior in (1.0, fleet)]
                errors = [median_error(fit, rest) for fit in fits]
                ratios.setdefault(new, []).append(errors[1] / errors[0])
                above.setdefault(new, []).append([error - least for error in errors])
                said = (
                    f"{errors[0]:.3f} m by default, {errors[1]:.3f} m with the fleet, {least:.3f} m at best"
                )
                print(f"{piece.name}: {said}", flush=True)
    every = [ratio for by_car in ratios.values() for ratio in by_car]
    sums = np.sum([pair for pairs in above.values() for pair in pairs], axis=0)
    return {
        "error_ratio_shared": geometric_mean(every),
        "error_ratio_shared_by_car": {car: geometric_mean(own) for car, own in ratios.items()},
        "above_best_ratio_shared": float(sums[1] / sums[0]),
    }


def median_error(fit: pct.Fit, drives: pct.Drives) -> float:
    """Median over windows of the path RMSE of the position over 1 s, in m."""
    return float(position_error(fit, drives, stride=20).median_path_rmse.value)


def pieces(one: pct.Drive) -> Iterator[Drive]:
    """The whole 10 s of a drive, one after another."""
    rows = round(PIECE / one.dt)
    for start in range(0, len(one) - rows + 1, rows):
        yield dataclasses.replace(
            one,
            name=f"{one.name} from {start * one.dt:g} s",
            trajectory=one.trajectory.slice(start, start + rows),
        )


def geometric_mean(values: Sequence[float]) -> float:
    """Of ratios."""
    return math.exp(sum(map(math.log, values)) / len(values))


class Killing(DaskExecutor):
    """Two workers of Dask, of which one is killed when half of the tasks are done."""

    def run(self, function: str, arguments: Sequence[str], alone: int = 0) -> Iterator[Answer]:
        """The answers as they come."""
        for count, answer in enumerate(super().run(function, arguments, alone), 1):
            if count == len(arguments) // 2:
                workers = self._client.run(os.getpid)
                os.kill(next(iter(workers.values())), signal.SIGKILL)
                print("one of two workers is killed")
            yield answer


def bits(place: Path, cars: int) -> dict[str, Any]:
    """Whether killed workers and killed programs change a bit."""
    from pct.executors.base import Workers
    from pct.executors.choice import ENVIRONMENT
    from pct.interpreter import threads

    make_recordings(place / "cars", cars, 30.0)
    pattern = f"{place}/cars/*"
    alone = pct.fleet(PLAIN, pattern, folder=place / "alone", workers=1)
    begin, before = time.perf_counter(), processor_time()
    executor = Killing(Workers(2, {**ENVIRONMENT, **threads(1)}))
    dask = pct.fleet(PLAIN, pattern, folder=place / "dask", executor=executor)
    seconds = time.perf_counter() - begin
    busy = (processor_time() - before) / seconds
    print(f"{cars} cars on Dask with a killed worker: {seconds:.0f} s, {busy:.2f} processors busy")
    resumed, left = kill_and_resume(place / "resumed", pattern, cars)
    same = [all_numbers(alone) == all_numbers(other) for other in (dask, resumed)]
    return {
        "same_bits": same[0] and not dask.failed,
        "busy": busy,
        "killed_and_resumed": same[1] and left,
        "cars": cars,
    }


def kill_and_resume(folder: Path, pattern: str, cars: int) -> tuple[pct.Fleet, bool]:
    """The fleet of a program that is killed with its workers half-way and started again; whether the second
    start left what was done as it was, and had something to do."""
    command = [sys.executable, "-m", "pct", "fleet", "fit", pattern, "--fixed", "mu", "m", "--no-report"]
    program = subprocess.Popen(
        [*command, "--output", str(folder), "--workers", "2"], start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    while len(done := sorted(folder.glob("runs/*/DONE"))) < cars // 2 and program.poll() is None:
        time.sleep(0.05)
    os.killpg(program.pid, signal.SIGKILL)
    program.wait()
    written = {path: path.stat().st_mtime_ns for path in done}
    lines: list[str] = []
    found = pct.fleet(PLAIN, pattern, folder=folder, workers=2, progress=lines.append)
    left = all(path.stat().st_mtime_ns == at for path, at in written.items())
    print(f"killed after {len(done)} of {cars} cars; then: {found.facts[0]}")
    fresh = sum(car.seconds is not None for car in found.cars)
    return found, left and 0 < fresh <= cars - len(done)


def all_numbers(fleet: pct.Fleet) -> list[Any]:
    """Every number of the description of every car's fit, and of the fleet."""
    texts = [json.loads((car.run / "fit.json").read_text()) for car in fleet.cars]
    whole = json.loads((fleet.folder / "fleet.json").read_text())
    return [texts, whole["parameters"], whole["prior"]]


def speed(place: Path, recordings: int) -> dict[str, Any]:
    """Recordings of 30 s that are fitted per hour and core, by the clock and by the processors' own time."""
    make_recordings(place / "cars", recordings, 30.0)
    begin, before = time.perf_counter(), processor_time()
    fleet = pct.fleet(PLAIN, f"{place}/cars/*", folder=place / "fleet", by="recording")
    seconds, busy = time.perf_counter() - begin, processor_time() - before
    assert not fleet.failed, fleet.warnings
    print(f"{recordings} recordings: {seconds:.1f} s on {cores()} cores, {busy:.1f} s of processor time")
    return {
        "fits_per_hour_per_core": 3600 * recordings / busy,
        "fits_per_hour_per_core_by_clock": 3600 * recordings / seconds / cores(),
        "recordings": recordings,
    }


def make_recordings(folder: Path, cars: int, duration: float) -> None:
    """A dataset folder a car, whose stiffness and inertia differ by a tenth."""
    rng = np.random.default_rng(3)
    defaults = PLAIN.spec.default_params
    for k in range(cars):
        fixed = {
            key: float(defaults[key] * np.exp(0.1 * rng.standard_normal())) for key in ("C_Sf", "C_Sr", "I")
        }
        drives = pct.simulate(PLAIN, duration=duration, mu=(defaults["mu"],), fixed=fixed, seed=k)
        write_dataset(folder / f"car_{k:03d}", [drives[0].trajectory], vehicle="simulated")


def processor_time() -> float:
    """Seconds that this process and those that it has ended were computing, and those that still run."""
    ended = sum(resource.getrusage(who).ru_utime + resource.getrusage(who).ru_stime for who in WHOSE)
    return ended + sum(map(running_time, children_of(os.getpid())))


WHOSE = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def children_of(parent: int) -> list[int]:
    """Processes that run below one."""
    own = [int(text) for text in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]
    return own + [below for child in own for below in children_of(child)]


def running_time(process: int) -> float:
    """Seconds of processor time of a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
