"""How near is an iteration of a fit to the least that its operations can take?

An iteration is the normal equations and one evaluation of the errors, of 512 windows on one pinned core. Its
operations are counted on the generated code's graph: the rates of each stage with their derivatives, the
directions through the stages, the observer's corrections, products of the normal equations, equal operations
merged; trigonometric functions count as those of their polynomials, all others, divisions too, as one. The
floor is their number over the speed that a matrix product reaches on the same core. Leave the machine to it.
Last line: one JSON object with the seconds of an iteration over the floor.

    python benchmarks/gauss_newton.py [--turns 40]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any, NamedTuple

# As of `scaling.py`; JAX reads them as it is imported, so that imports follow.
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ.update(XLA_FLAGS=ONE_THREAD, JAX_PLATFORMS="cpu")

import numpy as np  # noqa: E402

import pct  # noqa: E402
from pct.dynamics.core import ModelSpec  # noqa: E402
from pct.measurement.filter import (  # noqa: E402
    Noise,
    drifting_states,
    filters,
    layout,
    noise_values,
    uncertainty,
)
from pct.optimization.constants.fitting import fit_windows  # noqa: E402
from pct.optimization.constants.native_windows import PART, log_of  # noqa: E402
from pct.optimization.constants.rollout_errors import RolloutErrors, make_rollout_errors  # noqa: E402
from pct.optimization.settings import FitSettings  # noqa: E402
from pct.rollout import fastmath, kernels  # noqa: E402
from pct.rollout.integration import TABLEAUS  # noqa: E402
from pct.rollout.native.graph import Level, behind  # noqa: E402
from pct.rollout.native.jacobian import jacobian  # noqa: E402
from pct.rollout.native.trace import trace  # noqa: E402
from pct.windows.store import make_window_store  # noqa: E402
from scaling import roofline  # noqa: E402

WINDOWS, DT = 512, 0.05
# Rows of the matrices of the product: few, so that it may be left undisturbed.
PRODUCT = 512
# Operations that are polynomials, as the graph and as `fastmath.py` call them.
POLYNOMIALS = {"sin": "sin", "cos": "cos", "tan": "tan", "atan": "arctan", "tanh": "tanh"}
TYRES = ("B_f", "B_r", "C_f", "C_r", "D_f", "D_r", "E_f", "E_r", "C_m1", "C_m2", "I")


class Case(NamedTuple):
    """A fit.

    Attributes:
        model: its name.
        unknowns: what is learned.
        settings: of the fit.
        observer: whether the filter begins windows.
    """

    model: str
    unknowns: tuple[str, ...]
    settings: FitSettings
    observer: bool


CASES = {
    "singletrack, friction, filter": Case("singletrack", ("mu",), FitSettings(), True),
    "singletrack-pacejka, 11 unknowns, filter": Case("singletrack-pacejka", TYRES, FitSettings(), True),
    "singletrack-pacejka, 11 unknowns, free starts": Case(
        "singletrack-pacejka", TYRES, FitSettings(horizon=50, history=1, free_start=True), False
    ),
}


def main() -> None:
    """Print the table and the JSON object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=40, help="of which the fastest counts")
    turns = parser.parse_args().turns
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    measured, peak = {}, 0.0
    for name, case in CASES.items():
        iterate, count = prepare(case)
        iterate()
        seconds = np.inf
        for _ in range(turns):
            begin = time.perf_counter()
            iterate()
            seconds, peak = min(seconds, time.perf_counter() - begin), max(peak, roofline(PRODUCT))
        measured[name] = 1e6 * seconds / WINDOWS, count
    ratios = {}
    print(f"{'fit':<46} {'operations a window':>20} {'us':>7} {'floor':>7} {'ratio':>6}")
    for name, (each, count) in measured.items():
        floor = 1e6 * count / peak
        ratios[name] = round(each / floor, 2)
        print(f"{name:<46} {count:20,d} {each:7.2f} {floor:7.2f} {each / floor:6.2f}")
    print(json.dumps({"load": round(os.getloadavg()[0], 1), "peak": peak, "over_floor": ratios}))


def prepare(case: Case) -> tuple[Callable[[], None], int]:
    """An iteration over all windows, and its operations for one of them."""
    car = pct.model(case.model)
    car = car.hold(*(name for name in car.spec.param_keys if name not in case.unknowns))
    drives = pct.simulate(car, duration=300.0, dt=DT, mu=(0.7,))
    spec = car.measured(observer=case.observer).spec
    store = make_window_store(drives.recordings, spec)
    windows = fit_windows(spec, store, case.settings)
    windows = windows.select(np.arange(WINDOWS))
    errors = make_rollout_errors(
        spec,
        spec.base_params(DT),
        windows.history,
        free_start=case.settings.free_start,
        engine="native",
    )
    assert errors.native is not None
    code, values = errors.native.code, np.array([spec.default_params[key] for key in spec.param_keys])
    params, log, sigma = code.parameters(values), log_of(windows, np.float32), spec.scales / 5
    sigma = sigma[list(errors.channels)]
    parts = np.split(windows.starts.astype(np.int64), range(PART, WINDOWS, PART))
    gains = [gains_of(spec, code, params, log, rows) for rows in parts]
    offsets = np.zeros((errors.free, PART))
    out = np.empty((code.channels, windows.horizon + bool(errors.free), PART), np.float32)
    given: dict[str, Any] = {"slopes": np.ones(len(values)), "sigma": sigma, "huber": 1.5}
    groups = np.zeros(PART, np.int64)

    def iterate() -> None:
        for rows, own in zip(parts, gains, strict=True):
            code.normal(params, log, rows, offsets, own, groups=groups, **given)
            code.errors(params, log, rows, offsets, own, out)

    return iterate, count_operations(spec, errors, case.settings)


def gains_of(spec: ModelSpec, code: Any, params: Any, log: Any, rows: Any) -> np.ndarray | None:
    """Gains by window and row of the history, as the filter has them."""
    if not filters(spec):
        return None
    scale = np.array([0.1 * channel.scale for channel in drifting_states(spec)])
    known = {**spec.base_params(DT), **noise_values(spec, Noise(0.5, 0.7, 0.8, scale, reading=1.0))}
    uncertain = uncertainty(spec, known, DT, code.dtype, np)
    out = np.empty((len(rows), log.history, *uncertain.plain.shape), code.dtype)
    return code.gains(params, log, rows, uncertain, out)


def count_operations(spec: ModelSpec, errors: RolloutErrors, settings: FitSettings) -> int:
    """Of the normal equations and the errors of one window."""
    equations, tableau = trace(spec), TABLEAUS["rk4"]
    graph, states, controls = equations.graph, len(equations.x), len(equations.u)
    entries = [graph.input("p", i, Level.WINDOW) for i in range(len(equations.names))]
    slopes = jacobian(graph, equations.rates, (*equations.x, *equations.u, *entries))
    learned = [states + controls + equations.names.index((name, 0)) for name in spec.param_keys]
    by_state = {place: node for place, node in slopes.items() if place[1] < states}
    by_learned = [place for place in slopes if place[1] in learned]
    kept = [*by_state.values(), *(slopes[place] for place in by_learned)]

    one = np.ones(8, np.float32)
    cost = {"constant": 0, "input": 0} | {
        op: kernels.count_operations(getattr(fastmath.xp, name), one) for op, name in POLYNOMIALS.items()
    }

    def at(level: Level, outputs: Any) -> int:
        return sum(cost.get(node.op, 1) for node in behind(outputs) if node.level == level)

    stages = len(tableau.weights)
    # A product and a sum for each weight of a stage or of the step that is not zero.
    combine = 2 * states * sum(bool(weight) for row in (*tableau.stages, tableau.weights) for weight in row)
    errors_step = stages * at(Level.SUBSTEP, equations.rates) + combine + at(Level.STEP, equations.rates)
    all_step = stages * at(Level.SUBSTEP, [*equations.rates, *kept]) + combine + at(Level.STEP, kept)
    unit = sum(node.op == "constant" and node.key == 1.0 for node in by_state.values())
    along = stages * (2 * len(by_state) - unit) + combine
    directions, channels = len(learned) + errors.free, len(errors.channels)
    all_step += directions * along + stages * len(by_learned)
    past = settings.history if filters(spec) else 0
    places = layout(spec) if past else None
    correct = 2 * len(places.estimated) * len(places.read) if places else 0
    products = directions * (directions + 1) // 2 * (2 * channels + 1)
    row = channels * (6 + 2 * directions + 2 * directions) + products
    rows = past + settings.horizon
    return (
        rows * (errors_step + all_step)
        + past * (2 + directions) * correct
        + settings.horizon * (row + 2 * channels)
    )


if __name__ == "__main__":
    main()
