"""How training grows with rows, horizon and network: speed, memory, and how much of the machine it uses.

Every row is a process of its own on one pinned core, so that its peak memory is its own: an epoch over
synthetic drives, windows at stride 1, `singletrack-augmented`, batches of 256. The roofline is what a matrix
product of this library reaches on the same core; the work of a window is counted on the traced equations
(one forward pass, one reverse pass that recomputes each step, the network), equal operations merged.
Last line: one JSON object.

    python benchmarks/scaling.py [--quick] [--large]

`--large` adds ten million windows; `--quick` leaves all but the first rows and the cold start out.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

# JAX and PCT are imported in the pinned processes only.

ROOT = Path(__file__).parents[1]
BASE = {"rows": 20_000, "horizon": 50, "hidden": 64}
CASES: tuple[dict[str, int], ...] = (
    {},
    {"horizon": 25},
    {"horizon": 100},
    {"rows": 200_000},
    {"rows": 1_000_000},
    {"hidden": 16},
    {"hidden": 256},
)
LARGE = {"rows": 10_000_000}
BATCH_SIZE, HISTORY, DT = 256, 20, 0.02
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def main() -> None:
    """Run every case in a process of its own and print the table and the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--case", help=argparse.SUPPRESS)  # set in the pinned processes
    args = parser.parse_args()
    if args.case:
        print(json.dumps(measure(**json.loads(args.case))))
        return
    cases = [BASE | case for case in (CASES[:2] if args.quick else CASES)]
    cases += [BASE | LARGE] if args.large else []
    rows = []
    print(
        f"{'rows':>10} {'T':>4} {'hidden':>6} {'windows/s':>10} {'bytes':>6} {'temp':>6} {'peak MB':>8} "
        f"{'roof':>6}"
    )
    for case in cases:
        row = case | run([sys.executable, __file__, "--case", json.dumps(case)])
        rows.append(row)
        print(
            f"{row['rows']:>10} {row['horizon']:>4} {row['hidden']:>6} {row['windows_per_second']:>10.0f} "
            f"{row['bytes_per_window']:>6.1f} {row['temp_bytes_per_window']:>6.0f} {row['peak_mb']:>8.0f} "
            f"{row['roofline_fraction']:>6.3f}",
            flush=True,
        )
    starts = cold_starts()
    print(*(f"{name}: {seconds:.2f} s" for name, seconds in starts.items()), sep="\n")
    print(json.dumps({"cases": rows, "load_at_end": os.getloadavg()[0], **starts}))


def run(command: list[str]) -> dict[str, Any]:
    """The JSON object that a process prints last; it runs on one core."""
    core = max(os.sched_getaffinity(0))
    done = subprocess.run(
        command,
        env={**os.environ, "XLA_FLAGS": ONE_THREAD},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, [core]),
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(rows: int, horizon: int, hidden: int) -> dict[str, float]:
    """Train for some seconds after the first call."""
    import jax

    learner = build(rows, horizon, hidden)
    windows, trainer, state = learner.windows.training, learner.epoch, learner.start()
    temporary = trainer.temporary_bytes(state)
    order = trainer.order(state)
    state, _ = trainer.run(state, order)
    jax.block_until_ready(state)
    made, start = 0, time.perf_counter()
    whole = rows > 1_000_000  # there, show that a whole epoch passes
    while time.perf_counter() - start < 5 or (whole and int(state.position) < trainer.steps):
        if int(state.position) == trainer.steps:
            state = trainer.finish(state, 1.0)
            order = trainer.order(state)
        position = int(state.position)
        state, _ = trainer.run(state, order)
        jax.block_until_ready(state)
        made += sum(trainer.counted(i) for i in range(position, int(state.position)))
    speed = made / (time.perf_counter() - start)
    stored = (*jax.tree.leaves(windows.arrays), windows.store.times, windows.store.recording)
    weights = sum(leaf.size for leaf in jax.tree.leaves(state.params))
    flops = sum(operations()) * horizon + 6 * weights
    return {
        "windows_per_second": speed,
        "bytes_per_window": sum(leaf.nbytes for leaf in stored) / len(windows),
        "temp_bytes_per_window": temporary / BATCH_SIZE,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "flops_per_window": flops,
        "roofline_fraction": speed * flops / roofline(),
    }


def build(rows: int, horizon: int, hidden: int) -> Any:
    """What `pct train` makes of the windows of one long synthetic drive."""
    import numpy as np

    from pct.dynamics import MODEL_SPECS
    from pct.optimization.network.training import make_learner, training_windows
    from pct.optimization.settings import TrainSettings
    from pct.windows.store import WindowStore

    spec = MODEL_SPECS["singletrack-augmented"]
    count = rows + HISTORY + horizon
    t = DT * np.arange(count)
    v, psi_dot = 5.0 + np.sin(0.1 * t), 0.5 * np.sin(0.3 * t)
    psi = DT * np.cumsum(psi_dot)
    path = [DT * np.cumsum(v * f(psi)) for f in (np.cos, np.sin)]
    columns = [*path, 0.05 * np.sin(t), v, psi, psi_dot, 0.1 * psi_dot]
    states = np.stack(columns, axis=-1).astype(np.float32)
    controls = np.stack([0.05 * np.cos(t), 0.1 * np.cos(0.1 * t)], axis=-1).astype(np.float32)
    nothing, names = np.zeros((count, 0), np.float32), ((), ())
    store = WindowStore(
        states, controls, nothing, nothing, t, np.zeros(count, np.int32), ("drive",), *names, DT
    )
    settings = TrainSettings(
        feature_mode="context",
        history_fit=False,
        horizon=horizon,
        history=HISTORY,
        batch_size=BATCH_SIZE,
        model_hidden=(hidden, hidden),
        engine="jax",
    )
    return make_learner(spec, training_windows(spec, store, None, settings), settings)


def operations() -> tuple[int, int]:
    """Of the forward pass of one RK4 step, and of its reverse pass with the step computed again."""
    import jax
    import jax.numpy as jnp

    from pct.dynamics import MODEL_SPECS
    from pct.rollout import fastmath
    from pct.rollout.integration import RK4, explicit_step
    from pct.rollout.kernels import count_operations

    spec = MODEL_SPECS["singletrack-augmented"]
    lane = jnp.ones(8, jnp.float32)
    x, u = ((lane,) * len(table) for table in (spec.states, spec.controls))
    learned = dict.fromkeys(spec.param_keys, lane)

    def advance(x: Any, u: Any, learned: Any) -> Any:
        params = {**spec.default_params, **learned}
        return explicit_step(RK4, lambda x: spec.lane_rates(x, u, params, fastmath.xp), x, DT)

    def reverse(x: Any, u: Any, learned: Any, ct: Any) -> Any:
        return jax.vjp(lambda x, learned: advance(x, u, learned), x, learned)[1](ct)

    return count_operations(advance, x, u, learned), count_operations(reverse, x, u, learned, x)


def roofline(size: int = 1024) -> float:
    """Floating-point operations a second of a matrix product, the best of five."""
    import jax
    import jax.numpy as jnp

    a = jnp.ones((size, size), jnp.float32)
    product = jax.jit(jnp.matmul)
    product(a, a).block_until_ready()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        product(a, a).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return 2 * size**3 / min(seconds)


def cold_starts() -> dict[str, float]:
    """Seconds from process start to the first logged step, first and second time, and of ``--help``."""
    pct = [sys.executable, "-m", "pct"]
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, "XDG_CACHE_HOME": folder}
        command = [*pct, "train", "--dataset", str(ROOT / "datasets/surfaces/train"), "--results", folder]
        command += ["--no-history-fit", "--no-analysis", "--epochs", "1000"]
        for name in ("first_start_seconds", "second_start_seconds"):
            begin = time.perf_counter()
            process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            before = set(Path(folder).glob("*/run_*/metrics.jsonl"))
            while not any(
                path.stat().st_size for path in set(Path(folder).glob("*/run_*/metrics.jsonl")) - before
            ):
                assert process.poll() is None
                time.sleep(0.01)
            results[name] = time.perf_counter() - begin
            process.terminate()
            process.wait()
        begin = time.perf_counter()
        subprocess.run([*pct, "train", "--help"], stdout=subprocess.DEVNULL, check=True)
        results["help_seconds"] = time.perf_counter() - begin
    return results


if __name__ == "__main__":
    main()
