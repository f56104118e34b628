"""How many windows a second does training take in, beside the loop as documented and beside peers?

Every loop under `peers/` trains the same network through the same model, RK4 and loss on the same windows
(`peers/problem.py`). Loss and gradient of a first batch are compared before anything is timed. The loops
take turns; a speed is the median of the repeats. All runs once in a process that is pinned to one core,
then in one with two. A ratio is a loop's speed over the documented loop's in the same repeat, the median
of these. Leave the machine to it: other work slows the loops unequally. Last line: one JSON object.

    python benchmarks/engine.py [--quick] [--without torch,diffrax]
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

# JAX and NumPy are imported in the pinned processes only, and after they were pinned.


class Loop(NamedTuple):
    """One way to train.

    Attributes:
        module: has ``make_epoch(problem, batch_size)`` and ``first_gradient(problem, batch_size)``.
        package: what it needs beside PCT, or None.
        batches: length of its epoch, where one over all windows would take minutes.
    """

    module: str
    package: str | None = None
    batches: int | None = None


LOOPS = {
    "documented": Loop("peers.documented_loop"),
    "ours": Loop("peers.ours"),
    "torch": Loop("peers.torch_eager", "torch", batches=2),
    "diffrax": Loop("peers.diffrax_loop", "diffrax", batches=8),
    "native": Loop("peers.native"),
}
BATCH_SIZES, REPEATS = (64, 256, 1024), 9
QUICK_BATCH_SIZES, QUICK_REPEATS = (256,), 3
# Batch size of the figures that are given for one only.
BATCH_SIZE = 256
# A repeat lasts at least this long, in s, in whole epochs.
SECONDS = 1.0
# Largest relative difference of loss and gradient from the documented loop's, in single precision.
TOLERANCE = 1e-4
ROOT = Path(__file__).resolve().parents[1]
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
PACKAGES = ("jax", "jaxlib", "flax", "optax", "torch", "diffrax")


def main() -> None:
    """Start a process for one core and one for two, print their tables and the JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="batches of 256 only, fewer repeats")
    parser.add_argument("--without", default="", metavar="LOOPS", help="torch, diffrax or torch,diffrax")
    parser.add_argument("--cores", type=int, help=argparse.SUPPRESS)  # set in the pinned processes
    args = parser.parse_args()
    asked = set(LOOPS) - {"native", *args.without.split(",")}  # native code: `native.py`
    names = [name for name in LOOPS if name in asked and is_installed(LOOPS[name].package)]
    if args.cores:
        print(json.dumps(measure(names, args.cores, quick=args.quick)))
        return
    if not asked >= {"documented", "ours"}:
        parser.error(f"--without {args.without}: expected torch, diffrax or both")
    conditions = {
        "machine": machine(),
        "date": str(datetime.date.today()),
        "versions": versions(),
        "load_at_start": os.getloadavg()[0],
    }
    print(*(f"{key}: {value}" for key, value in conditions.items()), sep="\n", flush=True)
    for name in sorted(asked.difference(names)):
        print(f"'{name}' is left out: pip install {LOOPS[name].package}", flush=True)
    available = len(os.sched_getaffinity(0))
    result: dict[str, Any] = {}
    for cores, suffix in ((1, ""), (2, "_two_cores")):
        if cores > available:
            print(f"\nTwo cores are left out: this process may use {available}")
            continue
        measured = run_pinned(cores)
        rates = measured.pop("rates")
        print_table(f"{cores} core(s)", rates)
        for key, value in measured.items():
            print(f"{key}: {value}", flush=True)
        result |= {f"{key}{suffix}": value for key, value in summarise(rates).items()} | measured
    print(json.dumps(result | conditions))


def run_pinned(cores: int) -> dict[str, Any]:
    """`measure` in a process of its own that only these cores run."""
    env = {key: value for key, value in os.environ.items() if key != "XLA_FLAGS"}
    # Compile times are measured, so nothing may come from a cache.
    env |= {"JAX_ENABLE_COMPILATION_CACHE": "false", "JAX_PLATFORMS": "cpu"}
    if cores == 1:
        env["XLA_FLAGS"] = ONE_THREAD
    command = [sys.executable, *sys.argv, "--cores", str(cores)]
    process = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True)
    if process.returncode:
        sys.exit(process.returncode)
    return json.loads(process.stdout.splitlines()[-1])


def measure(names: list[str], cores: int, *, quick: bool) -> dict[str, Any]:
    """Windows per second of each loop and batch size, all repeats; on one core the other figures, too."""
    # The last cores: the first one serves the system.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])
    from peers import documented_loop, ours
    from peers.compilations import Compilations
    from peers.problem import make_problem

    problem = make_problem()
    modules = {name: importlib.import_module(LOOPS[name].module) for name in names}
    found: dict[str, Any] = {}
    if cores == 1:
        say("comparing loss and gradient")
        found["gradient_difference"] = check_agreement(problem, modules)
        found |= {
            "recompiles": ours.recompiles(problem, BATCH_SIZE),
            "documented_recompile_seconds": documented_loop.recompile_seconds(problem, BATCH_SIZE),
            "bytes_per_window": ours.bytes_per_window(problem),
            "temp_bytes_per_window": ours.temp_bytes_per_window(problem, BATCH_SIZE),
        }
    rates: dict[str, dict[int, list[float]]] = {name: {} for name in names}
    for batch_size in QUICK_BATCH_SIZES if quick else BATCH_SIZES:
        say(f"compiling: {cores} core(s), batches of {batch_size}")
        epochs = make_epochs(problem, modules, batch_size)
        compilations = Compilations()
        say("timing")
        for _ in range(QUICK_REPEATS if quick else REPEATS):
            for name, epoch in epochs.items():
                rates[name].setdefault(batch_size, []).append(windows_per_second(epoch))
        if compilations.count:
            raise RuntimeError(f"Expected no compilation while timing, counted {compilations.count}")
    return {"rates": rates, **found}


def make_epochs(problem: Any, modules: dict[str, Any], batch_size: int) -> dict[str, Callable[[], int]]:
    """An epoch of each loop, compiled and run once."""
    epochs = {}
    for name, module in modules.items():
        batches = LOOPS[name].batches
        part = problem if batches is None else problem.thin(batches * batch_size)
        epochs[name] = module.make_epoch(part, batch_size)
        epochs[name]()
    return epochs


def windows_per_second(epoch: Callable[[], int]) -> float:
    """Speed over as many whole epochs as take `SECONDS` or more."""
    windows, start = 0, time.perf_counter()
    while (seconds := time.perf_counter() - start) < SECONDS:
        windows += epoch()
    return windows / seconds


def check_agreement(problem: Any, modules: dict[str, Any]) -> dict[str, float]:
    """Relative difference of each loop's first gradient from the documented loop's.

    Raises:
        RuntimeError: loss or gradient differ by more than `TOLERANCE`: it would not be the same work.
    """
    import numpy as np

    size = BATCH_SIZES[0]
    loss, expected = modules["documented"].first_gradient(problem, size)
    norm = np.sqrt(sum(np.sum(leaf**2) for leaf in expected))
    differences = {}
    for name, module in modules.items():
        if name == "documented":
            continue
        found_loss, found = module.first_gradient(problem, size)
        error = np.sqrt(sum(np.sum((a - b) ** 2) for a, b in zip(found, expected, strict=True))) / norm
        if not max(error, abs(found_loss / loss - 1)) < TOLERANCE:
            raise RuntimeError(
                f"Expected loss and gradient of '{name}' within {TOLERANCE} of the documented loop's, "
                f"found loss {found_loss} for {loss} and gradients {error:.1e} apart"
            )
        differences[name] = float(error)
    return differences


def summarise(rates: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """Medians by loop and batch size, and each loop's ratios to the documented one."""
    medians = {
        name: {size: statistics.median(values) for size, values in by_size.items()}
        for name, by_size in rates.items()
    }
    ratios = {
        f"{'' if name == 'ours' else name + '_'}ratio_b{size}": round(ratio(rates, name, size), 3)
        for name, by_size in rates.items()
        if name != "documented"
        for size in by_size
    }
    rounded = {name: {size: round(value) for size, value in row.items()} for name, row in medians.items()}
    return {**ratios, "windows_per_second": rounded}


def ratio(rates: dict[str, dict[str, list[float]]], name: str, size: str, to: str = "documented") -> float:
    """Median over the repeats of a loop's speed over another's."""
    pairs = zip(rates[name][size], rates[to][size], strict=True)
    return statistics.median(speed / other for speed, other in pairs)


def print_table(where: str, rates: dict[str, dict[str, list[float]]]) -> None:
    """One row a loop: median, lowest and highest windows per second, and the ratio, by batch size."""
    print(f"\nWindows per second on {where}: median (lowest to highest), ratio to documented")
    print(f"{'':12s}" + "".join(f"{'B = ' + size:>34s}" for size in rates["documented"]))
    for name, by_size in rates.items():
        row = f"{name:12s}"
        for size, values in by_size.items():
            speed = f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"
            row += f"{f'{speed} {ratio(rates, name, size):.2f}x':>34s}"
        print(row, flush=True)


def is_installed(package: str | None) -> bool:
    """Whether a package is there; True for None."""
    return package is None or importlib.util.find_spec(package) is not None


def machine() -> str:
    """Processor, cores that may be used, system."""
    with open("/proc/cpuinfo") as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "")
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {model or platform.processor()}, {platform.system()} {platform.machine()}"


def versions() -> dict[str, str]:
    """Version of Python and of each package that is installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        if is_installed(package):
            found[package] = importlib.metadata.version(package)
    return found


def say(text: str) -> None:
    """Progress, on stderr."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
