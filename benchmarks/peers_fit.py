"""How long does one fit take beside peers, and how often does it find the optimum from a random start?

Every solver under `peers/fit_*.py` fits the same 11 unknowns of the same 30 s (`peers/fit_problem.py`) from
the same starts, which are drawn evenly within the bounds. A fit is found where every unknown is within a
standard error of ours from the optimum, the median of what all solvers find from the defaults. *Warm*:
solvers take turns from the model's defaults in one process, after a first solve each; the median. *Cold*: a
process of its own with an empty cache folder, from its start to the first answer. `warm_ratio`: the fastest
peer over ours; `cold_ratio`: CasADi over ours, its faster way of the two. A solver whose package is missing
is left out: pip install numba casadi optimistix. Last line: one JSON object.

    python benchmarks/peers_fit.py [--quick] [--without optimistix,casadi]
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from typing import Any

import numpy as np

SOLVERS = {
    "ours": None,
    "scipy": "numba",
    "casadi": "casadi",
    "multiple": "casadi",
    "optimistix": "optimistix",
}
# numba looks for the package `coverage`, and must not find `coverage.py` of this folder.
sys.modules.setdefault("coverage", None)  # type: ignore[arg-type]
STARTS, REPEATS, QUICK_STARTS, QUICK_REPEATS = 10, 7, 3, 2
# Standard errors from the optimum.
NEAR = 1.0


def main() -> None:
    """Time and try every solver; print the table and the JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="three starts, two repeats")
    parser.add_argument("--without", default="", metavar="SOLVERS", help="e.g. optimistix,casadi")
    parser.add_argument("--cold", choices=SOLVERS, help=argparse.SUPPRESS)  # in a process of its own
    args = parser.parse_args()
    if args.cold:
        solve_once(args.cold)
        return
    asked = [name for name in SOLVERS if name not in args.without.split(",")]
    names = [name for name in asked if SOLVERS[name] is None or importlib.util.find_spec(SOLVERS[name])]
    for name in set(asked) - set(names):
        print(f"'{name}' is left out: pip install {SOLVERS[name]}", flush=True)
    result: dict[str, object] = {"load_at_start": round(os.getloadavg()[0], 2)}
    cold = {name: cold_seconds(name) for name in names}
    warm, found = warm_figures(names, quick=args.quick)
    starts = QUICK_STARTS if args.quick else STARTS
    print(f"{'solver':<12} {'warm s':>9} {'cold s':>9} {'found':>9}")
    for name in names:
        print(f"{name:<12} {warm[name]:9.3f} {cold[name]:9.2f} {f'{found[name]} of {starts}':>9}")
    if peers := [name for name in names if name != "ours"]:
        result["warm_ratio"] = round(min(warm[name] for name in peers) / warm["ours"], 2)
        if ways := [name for name in ("casadi", "multiple") if name in names]:
            result["cold_ratio"] = round(min(cold[name] for name in ways) / cold["ours"], 2)
    rounded = {
        kind: {name: round(s, 3) for name, s in row.items()} for kind, row in (("warm", warm), ("cold", cold))
    }
    print(json.dumps({**result, "found": found["ours"], "starts": starts, "found_by": found, **rounded}))


def cold_seconds(name: str) -> float:
    """Seconds of a process that solves once, with nothing compiled before."""
    with tempfile.TemporaryDirectory() as cache:
        env = {**os.environ, "XDG_CACHE_HOME": cache, "NUMBA_CACHE_DIR": cache, "JAX_PLATFORMS": "cpu"}
        start = time.perf_counter()
        subprocess.run([sys.executable, __file__, "--cold", name], env=env, check=True)
        return time.perf_counter() - start


def solve_once(name: str) -> None:
    """The first answer of a solver."""
    from peers.fit_problem import make_problem

    problem = make_problem()
    importlib.import_module(f"peers.fit_{name}").make_solver(problem)(problem.centre)


def warm_figures(names: list[str], *, quick: bool) -> tuple[dict[str, float], dict[str, int]]:
    """Median seconds of a solve from the defaults, and from how many random starts each finds the optimum."""
    from peers.fit_problem import draw_starts, make_problem

    problem = make_problem()
    solvers = {name: importlib.import_module(f"peers.fit_{name}").make_solver(problem) for name in names}
    near = NEAR * standard_errors(problem)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    from_defaults = {}
    for turn in range(1 + (QUICK_REPEATS if quick else REPEATS)):
        for name, solve in solvers.items():
            begin = time.perf_counter()
            from_defaults[name] = values_of(problem, solve(problem.centre))
            if turn:
                seconds[name].append(time.perf_counter() - begin)
    optimum, found = np.median(list(from_defaults.values()), axis=0), dict.fromkeys(names, 0)
    for start in draw_starts(problem, QUICK_STARTS if quick else STARTS):
        for name, solve in solvers.items():
            try:
                raw = solve(start)
            except (ArithmeticError, RuntimeError, ValueError):
                print(f"'{name}' failed: {traceback.format_exc(limit=0).strip()}", file=sys.stderr)
                continue
            found[name] += bool((np.abs(values_of(problem, raw) - optimum) < near).all())
    return {name: statistics.median(row) for name, row in seconds.items()}, found


def values_of(problem: Any, raw: np.ndarray) -> np.ndarray:
    """Parameters of a point on the unbounded axes, (P,)."""
    return problem.low + (problem.high - problem.low) / (1 + np.exp(-raw))


def standard_errors(problem: object) -> np.ndarray:
    """Those of our fit, (P,)."""
    from pct.optimization.constants.fitting import fit
    from peers.fit_problem import SETTINGS

    result = fit(problem.spec, problem.windows, SETTINGS)  # type: ignore[attr-defined]
    return result.estimate.deviations(problem.spec)  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
