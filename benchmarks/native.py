"""How fast is generated native code beside the loop as documented, PCT's JAX engine and PyTorch?

The loops of `engine.py` on the same windows, `ours` once with `--engine jax` and once with native code; loss
and gradient of a first batch are compared before anything is timed, the loops take turns, and a ratio is the
median over repeats of a loop's speed over the documented loop's in the same repeat. They run on one pinned
core; native code takes its turn on two as well, in a process whose threads share a batch's blocks and in one
whose two devices share its windows. The roofline is what a matrix product reaches on the one core in the same
repeat. The first step is that of a fresh process with warm caches: imports, data, network, optimiser. MPPI:
1024 rollouts of 50 steps from one state. Leave the machine to it. Last line: one JSON object.

    python benchmarks/native.py [--quick] [--without torch]
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any

import engine
import scaling

NAMES = ("documented", "ours", "native", "torch")
TWO_DEVICES = "--xla_force_host_platform_device_count=2"
STARTS = 5
ROLLOUTS, STEPS, CALLS = 1024, 50, 500


def main() -> None:
    """Start a process for each part, print the tables and the JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="batches of 256 only, fewer repeats")
    parser.add_argument("--without", default="", metavar="LOOPS", help="torch")
    parser.add_argument("--part", help=argparse.SUPPRESS)  # set in the pinned processes
    args = parser.parse_args()
    names = [
        name
        for name in NAMES
        if name not in args.without.split(",") and engine.is_installed(engine.LOOPS[name].package)
    ]
    if args.part in ("one", "threads", "devices"):
        take_turns(names if args.part == "one" else ["native"], alone=args.part == "one")
        return
    if args.part:
        print(json.dumps({"first step": first_step, "mppi": mppi}[args.part]()))
        return

    conditions = {
        "machine": engine.machine(),
        "date": str(datetime.date.today()),
        "versions": engine.versions(),
        "load_at_start": os.getloadavg()[0],
    }
    print(*(f"{key}: {value}" for key, value in conditions.items()), sep="\n", flush=True)
    result = compare(args.quick) | run("mppi", engine.ONE_THREAD) | first_steps()
    print(*(f"{key}: {value}" for key, value in result.items()), sep="\n")
    print(json.dumps(result | conditions))


def compare(quick: bool) -> dict[str, Any]:
    """Speeds on one core and on two, and the roofline, in turns."""
    flags = {"one": engine.ONE_THREAD}
    if len(os.sched_getaffinity(0)) > 1:
        flags |= {"threads": "", "devices": TWO_DEVICES}
    processes = {part: start(part, flag) for part, flag in flags.items()}
    work = answer(processes["one"])
    rates: dict[str, dict[str, list[float]]] = {}
    shares: dict[str, list[float]] = {}
    for size in map(str, engine.QUICK_BATCH_SIZES if quick else engine.BATCH_SIZES):
        engine.say(f"compiling: batches of {size}")
        for process in processes.values():
            answer(process, size)
        engine.say("timing")
        for _ in range(engine.QUICK_REPEATS if quick else engine.REPEATS):
            found = {part: answer(process, size) for part, process in processes.items()}
            peak = found["one"].pop("peak")
            for what in ("operations", "least_operations"):
                shares.setdefault(f"{what}_b{size}", []).append(found["one"]["native"] * work[what] / peak)
            speeds = found["one"] | {part: found[part]["native"] for part in found if part != "one"}
            for name, speed in speeds.items():
                rates.setdefault(name, {}).setdefault(size, []).append(speed)
    for process in processes.values():
        process.communicate()
    engine.print_table("one core, of native code on two as well", rates)
    return ratios(rates) | {
        "gradient_difference": work["gradient_difference"],
        "roofline_fraction": best_median(shares, "operations"),
        "roofline_fraction_of_least": best_median(shares, "least_operations"),
    }


def best_median(shares: dict[str, list[float]], what: str) -> float:
    """Largest of the batch sizes' medians."""
    return round(max(statistics.median(share) for key, share in shares.items() if key.startswith(what)), 3)


def start(part: str, flags: str) -> subprocess.Popen[str]:
    """A process of its own for a part, on the last core or on two."""
    engine.say(f"{part} ...")
    cores = sorted(os.sched_getaffinity(0))[-2 if part in ("threads", "devices") else -1 :]
    return subprocess.Popen(
        [sys.executable, *sys.argv, "--part", part],
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )


def answer(process: subprocess.Popen[str], question: str = "") -> dict[str, Any]:
    """The JSON object that a process prints next, when it was asked."""
    if question:
        print(question, file=process.stdin, flush=True)
    line = process.stdout.readline()
    if not line:
        sys.exit(process.wait() or 1)
    return json.loads(line)


def run(part: str, flags: str) -> dict[str, Any]:
    """What a part's process prints."""
    process = start(part, flags)
    found = answer(process)
    process.wait()
    return found


def take_turns(names: list[str], *, alone: bool) -> None:
    """Read batch sizes and tell one repeat's windows per second of each loop, and alone the roofline.

    The first answer of a batch size follows its compilation and is a repeat to warm up. Alone, say first what
    a window takes.
    """
    from peers.compilations import Compilations
    from peers.problem import make_problem

    problem = make_problem()
    modules = {name: importlib.import_module(engine.LOOPS[name].module) for name in names}
    if alone:
        engine.say("comparing loss and gradient")
        difference = engine.check_agreement(problem, modules)
        scaling.roofline()  # compiled before anything is counted
        print(json.dumps({"gradient_difference": difference} | operations(problem)), flush=True)
    made: dict[int, Any] = {}
    for size in map(int, sys.stdin):
        if size not in made:
            made = {size: (engine.make_epochs(problem, modules, size), Compilations())}
        epochs, compilations = made[size]
        speeds = {name: engine.windows_per_second(epoch) for name, epoch in epochs.items()}
        if alone:
            speeds["peak"] = scaling.roofline()
        if compilations.count:
            raise RuntimeError(f"Expected no compilation while timing, counted {compilations.count}")
        print(json.dumps(speeds), flush=True)


def ratios(rates: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """Native code's and PyTorch's speed over the documented loop's, native over JAX, two cores over one."""
    result: dict[str, Any] = {}
    for size in rates["documented"]:
        result[f"ratio_b{size}"] = round(engine.ratio(rates, "native", size), 1)
        result[f"native_over_jax_b{size}"] = round(engine.ratio(rates, "native", size, "ours"), 2)
        for name in ("threads", "devices"):
            if name in rates:
                result[f"two_cores_{name}_b{size}"] = round(engine.ratio(rates, name, size, "native"), 2)
        if "torch" in rates:
            result[f"torch_ratio_b{size}"] = round(engine.ratio(rates, "torch", size), 3)
    medians = {
        name: {size: round(statistics.median(speeds)) for size, speeds in by_size.items()}
        for name, by_size in rates.items()
    }
    return result | {"windows_per_second": medians}


def operations(problem: Any) -> dict[str, float]:
    """Operations of a window with the network.

    ``operations`` counts as `scaling.py` does, with the forward pass once more in the reverse;
    ``least_operations`` one forward and one reverse pass.
    """
    import jax

    weights = sum(leaf.size for leaf in jax.tree.leaves(problem.params))
    forward, reverse = scaling.operations()
    horizon = problem.windows.targets.shape[1]
    return {
        "operations": (forward + reverse) * horizon + 6 * weights,
        "least_operations": reverse * horizon + 6 * weights,
    }


def mppi() -> dict[str, float]:
    """Milliseconds of a call of a native `Rollout` that gives costs, or the states of all steps."""
    import numpy as np

    from pct.dynamics import MODEL_SPECS
    from pct.rollout.native.sampler import Rollout

    spec = MODEL_SPECS["singletrack-augmented"]
    car = Rollout(spec, dt=0.02)
    rng = np.random.default_rng(0)
    controls = (rng.standard_normal((ROLLOUTS, STEPS, 2)) * [1.0, 3.0]).astype(np.float32)
    start, reference = np.array([0.0, 0.0, 0.0, 8.0, 0.0, 0.0, 0.0]), np.zeros((STEPS, 7))
    calls = {
        "costs": lambda: car.costs(start, controls, reference),
        "states": lambda: car.states(start, controls),
    }
    result = {}
    for name, call in calls.items():
        seconds = []
        for _ in range(CALLS):
            begin = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - begin)
        for percent in (50, 99):
            result[f"mppi_{name}_p{percent}_ms"] = round(1e3 * float(np.percentile(seconds, percent)), 3)
    return result


def first_steps() -> dict[str, float]:
    """Median seconds from the start of a process to its first training step, caches warm, and parts of it."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
        os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
        run("first step", engine.ONE_THREAD)
        found = []
        for _ in range(STARTS):
            os.environ["PCT_STARTED"] = str(time.time())
            found.append(run("first step", engine.ONE_THREAD))
    return {key: round(statistics.median(one[key] for one in found), 2) for key in found[0]}


def first_step() -> dict[str, float]:
    """Read the committed sample, make network and optimiser, and make one step of 256 windows."""
    started = float(os.environ.get("PCT_STARTED", time.time()))
    from pct.interpreter import collect_rarely

    # As every command does.
    collect_rarely()
    import jax

    jax_imported = time.time() - started
    import numpy as np

    from pct.dynamics import MODEL_SPECS
    from pct.optimization.network.training import TrainingWindows, make_learner, training_windows
    from pct.optimization.settings import TrainSettings
    from pct.windows.loading import load_window_store

    imported = time.time() - started
    spec = MODEL_SPECS["singletrack-augmented"]
    store = load_window_store([engine.ROOT / "datasets/surfaces/train"], spec)
    settings = TrainSettings(
        feature_mode="context", history_fit=False, horizon=STEPS, engine="native", substeps=1
    )
    windows = training_windows(spec, store, None, settings).training.select(np.arange(256))
    learner = make_learner(spec, TrainingWindows(windows, None), settings)
    state, batch = learner.start(), learner.sample._replace(origin=None)
    loss = learner.step_fn()(state.params, state.opt_state, batch.features, batch)[2]
    assert jax.numpy.isfinite(loss)
    return {
        "first_step_seconds": time.time() - started,
        "first_step_import_jax_seconds": jax_imported,
        "first_step_import_seconds": imported,
    }


if __name__ == "__main__":
    main()
