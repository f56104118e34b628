"""How long does a person wait for each command: the first time, every time, and with one flag changed?

Drives are simulated, then each command runs in a process of its own: *cold* with an empty cache folder
(``XDG_CACHE_HOME``), *warm* with the cache that it left, *changed* with that cache and one flag changed.
Wall seconds, processor seconds (user and system, of all its processes), peak memory; of a fit also the
seconds until ``pct_predicted_params.json`` holds intervals and verdicts. Then the growth of warm fits and
checks over the number of windows, recordings, unknowns, steps of the horizon and rows: the exponent k of
``a + b N^k`` through the processor seconds; 0 where the part that grows is below a fifth of the rest.
Processor seconds hardly depend on other load, wall seconds do. Last line: one JSON object, in wall seconds.

    python benchmarks/waits.py [--quick] [--only fit,check] [--without-growth]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

import pct
from pct.recordings.trajectory import write_dataset
from pct.simulation.drive import simulate as drive

ROOT = Path(__file__).resolve().parents[1]
SURFACES = ROOT / "datasets" / "surfaces"
ANSWER = "pct_predicted_params.json"
SINGLETRACK = ("--model", "singletrack", "--fixed", "C_Sf", "C_Sr", "m", "I")
DT = 0.05
# Exit codes of a check that found something.
FINDINGS = (5, 6)
# Warm runs of each size of a growth.
REPEATS = 2
# Seconds between two looks for the answer.
LOOK = 0.02
# Waits for a command and says what it took. Peak memory counts that of the process which starts another, so
# that one is small.
WAIT = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)
"""
# Exponents that are tried.
EXPONENTS = np.linspace(0.3, 3.0, 271)
# Unknowns of the growth over their number, in this order.
UNKNOWNS = (
    *("B_f", "B_r", "D_f", "D_r", "C_f", "C_r", "C_m1", "C_m2", "C_r0", "C_r2", "I"),
    *("S_hf", "S_hr", "S_vf", "S_vr", "E_f", "E_r"),
)


class Spent(NamedTuple):
    """What a command took: wall and processor seconds, peak memory in MB, and seconds to its answer."""

    wall: float
    processor: float
    megabytes: float
    answer: float


class Command(NamedTuple):
    """A command that is waited for.

    Attributes:
        name: in the table.
        flags: of the command; the name of another one in braces is the run folder that it left.
        changed: flags that are added for *changed*; none where nothing was compiled.
        cold: whether the first time is measured, too.
    """

    name: str
    flags: tuple[str, ...]
    changed: tuple[str, ...] = ()
    cold: bool = True


def main() -> None:
    """Simulate, run every command, then the growths; print the tables and the JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="drives of 3 min in place of 30, small growths")
    parser.add_argument("--only", default="", metavar="NAMES", help="commands whose name has one of these")
    parser.add_argument("--without-growth", action="store_true", help="commands alone")
    parser.add_argument("--growth", default="", metavar="NAMES", help="growths over these alone, no command")
    args = parser.parse_args()
    result: dict[str, object] = {"quick": args.quick, "load_at_start": round(os.getloadavg()[0], 2)}
    with tempfile.TemporaryDirectory(prefix="pct-waits-") as folder:
        place = Path(folder)
        only, growths = ([name for name in names.split(",") if name] for names in (args.only, args.growth))
        if not growths:
            result |= headline(run_commands(place, quick=args.quick, only=only))
        if not args.without_growth:
            exponents = run_growths(place, quick=args.quick, only=growths)
            result |= {"exponents": exponents, "largest_exponent": max(exponents.values())}
    print(json.dumps(result))


def run_commands(place: Path, *, quick: bool, only: Sequence[str]) -> dict[str, Spent]:
    """What each command took, by its name and ``cold``, ``warm`` or ``changed``."""
    minutes = 3 if quick else 30
    drives = {name: place / name for name in ("short", "long", "unseen")}
    simulate(drives["short"], seconds=30.0)
    simulate(drives["long"], seconds=60.0 * minutes)
    simulate(drives["unseen"], seconds=60.0 * minutes, seed=1)
    long, unseen = f"fit {minutes} min", str(drives["unseen"])
    commands = [
        Command("fit 30 s", fit_flags(drives["short"]), ("--horizon", "25")),
        Command(long, fit_flags(drives["long"]), ("--prior", "0.9")),
        Command("fit --profile mu", (*fit_flags(drives["short"]), "--profile", "mu")),
        Command("demo", demo_flags(2 if quick else 15), ("--horizon", "15")),
        Command("check", ("data", "check", str(drives["long"])), cold=False),
        Command("evaluate", ("evaluate", "{" + long + "}", "--dataset", unseen), ("--stride", "7")),
        Command("evaluate demo", ("evaluate", "{demo}", "--dataset", str(drives["short"])), ("--at", "0.5")),
    ]
    if not quick:
        simulate(place / "million", seconds=50_000.0)
        commands.append(Command("check 1e6 rows", ("data", "check", str(place / "million")), cold=False))
    print(f"{'command':<24} {'':<8} {'wall':>7} {'answer':>7} {'processor':>9} {'MB':>6}")
    spent: dict[str, Spent] = {}
    runs: dict[str, Path] = {}
    for command in commands:
        needed = any(f"{{{command.name}}}" in other.flags for other in commands if wanted(other, only))
        if not (wanted(command, only) or needed):
            continue
        cache = Path(tempfile.mkdtemp(dir=place))
        kinds = ["cold", "warm", *(["changed"] if command.changed else [])][0 if command.cold else 1 :]
        for kind in kinds:
            more = command.changed if kind == "changed" else ()
            flags = [str(runs[flag[1:-1]]) if flag[0] == "{" else flag for flag in (*command.flags, *more)]
            output = place / "results" / f"{command.name} {kind}"
            if flags[0] != "data":
                flags += ["--output" if flags[0] == "evaluate" else "--results", str(output)]
            spent[f"{command.name} {kind}"] = row = run(flags, cache, output)
            print(
                f"{command.name:<24} {kind:<8} {row.wall:7.2f} {row.answer:7.2f} {row.processor:9.2f} "
                f"{row.megabytes:6.0f}",
                flush=True,
            )
            for file in sorted(output.glob("*/*/provenance.json"))[:1]:
                runs.setdefault(command.name, file.parent)
    return spent


def headline(spent: dict[str, Spent]) -> dict[str, object]:
    """The figures that are published: wall seconds, of fits to the answer; and all processor seconds."""
    sources = {
        **{f"csv_to_parameters_{kind}": (f"fit 30 s {kind}", True) for kind in ("cold", "warm", "changed")},
        **{f"fit_{minutes}min": (f"fit {minutes} min warm", True) for minutes in (3, 30)},
        "evaluate_30min": ("evaluate warm", False),
        "check_30min": ("check warm", False),
        "demo_cold": ("demo cold", False),
        "demo_warm": ("demo warm", False),
    }
    figures: dict[str, object] = {
        key: round(spent[name].answer if answer else spent[name].wall, 2)
        for key, (name, answer) in sources.items()
        if name in spent
    }
    return figures | {"processor": {name: round(row.processor, 2) for name, row in spent.items()}}


def run_growths(place: Path, *, quick: bool, only: Sequence[str]) -> dict[str, float]:
    """Exponent of the processor seconds of warm commands over each size, or over those that are named."""
    cache = place / "cache of growth"
    sizes = 3 if quick else 4
    seconds = [60.0 * 4**i for i in range(sizes)]
    few = ("--samples", "500")
    held = ("--model", "singletrack-pacejka", "--fixed")
    points: dict[str, list[tuple[float, tuple[str, ...]]]] = {
        "windows": [(s, fit_flags(drives(place, s))) for s in seconds],
        "recordings": [(n, fit_flags(drives(place, 240.0 / n, n))) for n in (4, 8, 16, 32)[:sizes]],
        "horizon": [
            (n, (*fit_flags(drives(place, 240.0)), *few, "--horizon", str(n)))
            for n in (10, 20, 40, 80)[:sizes]
        ],
        "unknowns": [
            (n, (*fit_flags(drives(place, 240.0, model="singletrack-pacejka"), ()), *few, *held, *left(n)))
            for n in (2, 4, 8, 16)[:sizes]
        ],
        "rows": [
            (s / DT, ("data", "check", str(drives(place, s)))) for s in (240.0, 1200.0, 6000.0, 3e4)[:sizes]
        ],
    }
    exponents = {}
    print(f"\n{'growth over':<12} {'processor seconds by size'}")
    for name, rows in points.items():
        if only and name not in only:
            continue
        taken = []
        for size, flags in rows:
            output = place / "results" / f"{name} {size:g}"
            own = [*flags] if flags[0] == "data" else [*flags, "--no-report", "--results", str(output)]
            # The first time may compile; of the others the one that was disturbed least.
            again = [run(own, cache, output) for _ in range(1 + REPEATS)][1:]
            taken.append(min(again, key=lambda spent: spent.processor))
        exponents[name] = exponent([size for size, _ in rows], [row.processor for row in taken])
        cells = ", ".join(
            f"{size:g}: {row.processor:.2f} s {row.megabytes:.0f} MB"
            for (size, _), row in zip(rows, taken, strict=True)
        )
        print(f"{name:<12} {cells}; exponent {exponents[name]:.2f}", flush=True)
    return exponents


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The k of ``a + b N^k`` with the least squares of relative errors, a and b not negative.

    Examples:
        >>> round(exponent([1, 2, 4, 8], [3.0, 4.0, 6.0, 10.0]), 2)
        1.0
        >>> exponent([1, 2, 4, 8], [3.0, 3.01, 3.02, 3.05])
        0.0
    """
    sizes, seconds = np.asarray(sizes, float) / max(sizes), np.asarray(seconds, float)
    if seconds.max() < 1.2 * seconds.min():
        return 0.0
    weighted = [np.column_stack([np.ones_like(sizes), sizes**k]) / seconds[:, None] for k in EXPONENTS]
    misfits = [nnls(columns, np.ones_like(seconds))[1] for columns in weighted]
    return round(float(EXPONENTS[int(np.argmin(misfits))]), 2)


def run(flags: Sequence[str], cache: Path, output: Path) -> Spent:
    """Run a command with a cache folder and wait for it; its answer appears below the output folder.

    Raises:
        SystemExit: the command failed.
    """
    env = {**os.environ, "XDG_CACHE_HOME": str(cache), "JAX_PLATFORMS": "cpu"}
    start, answer = time.perf_counter(), 0.0
    command = [sys.executable, "-m", "pct", *flags]
    with subprocess.Popen(
        [sys.executable, "-Ic", WAIT, *command], env=env, stdout=subprocess.PIPE
    ) as process:
        while process.poll() is None:
            if not answer and flags[0] == "fit" and has_answer(output):
                answer = time.perf_counter() - start
            time.sleep(LOOK)
        wall = time.perf_counter() - start
        said = process.communicate()[0].split()
    code, processor, megabytes = int(said[0]), float(said[1]), float(said[2])
    if code and not (flags[0] == "data" and code in FINDINGS):
        raise SystemExit(f"pct {' '.join(flags)} failed with exit code {code}")
    return Spent(wall, processor, megabytes, answer or wall)


def has_answer(output: Path) -> bool:
    """Whether the parameters of a run below a folder are written, with their verdicts."""
    return any('"verdict"' in path.read_text() for path in output.glob(f"*/*/{ANSWER}"))


def wanted(command: Command, only: Sequence[str]) -> bool:
    """Whether a command was asked for."""
    return not only or any(name in command.name for name in only)


def fit_flags(drive: Path, model: Sequence[str] = SINGLETRACK) -> tuple[str, ...]:
    """`pct fit` of a dataset."""
    return ("fit", "--dataset", str(drive), *model)


def demo_flags(epochs: int) -> tuple[str, ...]:
    """What `make demo` trains."""
    data = ("--dataset", str(SURFACES / "train"), "--val-dataset", str(SURFACES / "val"))
    return ("train", *data, *SINGLETRACK, "--epochs", str(epochs))


def left(count: int) -> tuple[str, ...]:
    """Names to hold so that this many parameters of the tyre model are unknown."""
    names = pct.model("singletrack-pacejka").spec.param_keys
    return tuple(name for name in names if name not in UNKNOWNS[:count])


def drives(place: Path, seconds: float, recordings: int = 1, model: str = "singletrack") -> Path:
    """A simulated dataset of this size, made when first asked for."""
    folder = place / f"{model} {recordings} of {seconds:g} s"
    if not folder.exists():
        simulate(folder, seconds=seconds, recordings=recordings, model=model)
    return folder


def simulate(
    folder: Path, *, seconds: float, recordings: int = 1, model: str = "singletrack", seed: int = 0
) -> None:
    """A dataset folder of drives at 20 Hz, in CSV files."""
    spec = pct.model(model).spec
    parts = drive(spec, recordings=recordings, duration=seconds, dt=DT, mu=(0.7,), seed=seed)
    write_dataset(folder, parts, vehicle="simulated car")


if __name__ == "__main__":
    main()
