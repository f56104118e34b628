"""Tyre parameters of a simulated 1:43 car, whose truth is known, from ever longer parts of one drive.

The log is `bayesrace/DYN-PP-ETHZ.npz`: `dstates` are Euler steps of 0.02 s with the parameters below,
`states` come from the simulator's own integrator, which takes fast turns badly, and begin with broken rows.
Mass and axle distances are known; tyres with curvature and shifts, drivetrain and inertia are learned
within the bounds that the compared methods publish (B wider, from 1), from ten starts that are drawn by
seed; the best is chosen by its training cost. Mean error of B, C and D of both axles.

With noise, every state has an error of 1 % of its standard deviation; the inputs are exact. All of the
drive is then one window whose start is free: maximum likelihood. The bounds are the Cramér-Rao bounds of
that problem: the mean error of the best unbiased estimate, all parameters unknown and without their ranges,
or with the curvature E known. FTHD's figures are of the same log without noise. Noise makes the error
scatter from seed to seed: ten of them tell. Last line: one JSON object.

    python benchmarks/known_truth.py --data FOLDER [--seeds 3]

References:
    S. Fang, K. Yu, "Fine-Tuning Hybrid Physics-Informed Neural Networks for Vehicle Dynamics Model
    Estimation", arXiv:2409.19647.
    J. Chrosniak, J. Ning, M. Behl, "Deep Dynamics: Vehicle Dynamics Modeling with a Physics-Constrained
    Neural Network for Autonomous Racing", arXiv:2312.04374; its code has the bounds for BayesRace.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import pct
from pct.dynamics import with_fixed
from pct.dynamics.core import ModelSpec
from pct.optimization.constants.estimate import Estimate, fit_errors
from pct.optimization.constants.fitting import fit_windows
from pct.optimization.constants.rollout_errors import RolloutErrors, make_rollout_errors
from pct.optimization.settings import FitSettings
from pct.windows.store import WindowStore
from pct.windows.window_set import WindowSet

DT = 0.02
SHARES = (0.15, 0.2, 0.3, 0.5, 0.8)
FTHD = {"15%": 7.6, "20%": 5.2, "30%": 2.0, "50%": 0.7, "80%": 0.3}
TRUTH = {
    "B_f": 5.579, "C_f": 1.2, "D_f": 0.192, "B_r": 5.3852, "C_r": 1.2691, "D_r": 0.1737,
    "E_f": -0.083, "E_r": -0.019, "S_hf": -0.0013, "S_vf": 0.00043, "S_hr": -0.00376, "S_vr": 0.00091,
    "C_m1": 0.287, "C_m2": 0.0545, "C_r0": 0.0518, "C_r2": 0.00035, "I": 2.78e-5,
}  # fmt: skip
JUDGED = ("B_f", "C_f", "D_f", "B_r", "C_r", "D_r")
TYRE_BOUNDS = {
    "B_": (1.0, 30.0), "C_": (0.5, 2.0), "D_": (0.05, 0.9), "E_": (-2.0, 0.0), "S_h": (-0.02, 0.02),
    "S_v": (-0.003, 0.003),
}  # fmt: skip
BOUNDS = {
    **{f"{name}{axle}": ends for name, ends in TYRE_BOUNDS.items() for axle in "fr"},
    "C_m1": (0.1435, 0.574), "C_m2": (0.02725, 0.109), "C_r0": (0.0259, 0.1036), "C_r2": (1.75e-4, 7e-4),
    "I": (1.39e-5, 5.56e-5),
}  # fmt: skip
COMPARED = ("vx", "vy", "psi_dot")
NOISE = 0.01
# Spread of the start on the unbounded axis, and the prior there: as good as none.
SPREAD, PRIOR = 0.7, 10.0
OPTIONS: dict[str, Any] = {"prior": PRIOR, "iterations": 100}
STARTS = 10


def main() -> None:
    """Fit every part with every seed and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that holds bayesrace/")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    pct.keep_compiled_code()
    jax.config.update("jax_enable_x64", True)
    with np.load(args.data / "bayesrace" / "DYN-PP-ETHZ.npz") as log:
        # The pose of the first row is missing.
        exact, own, inputs = log["dstates"][:6].T[1:], log["states"].T[1:], log["inputs"].T[1:]
    spec = learned()
    make = partial(make_rollout_errors, spec, spec.base_params(DT), 1, compare=COMPARED)
    euler = make(integrator="euler")
    free = make(integrator="euler", free_start=True)
    result: dict[str, dict[str, float]] = {"FTHD": FTHD}
    print(f"{'mean error of B, C, D, %':28s}" + "".join(f"{share:>12s}" for share in FTHD))
    show("FTHD", FTHD)

    def row(name: str, fit: Callable[[int, int], float]) -> None:
        """Fit every share of the rows with every seed; print the mean."""
        cells = {}
        for share in SHARES:
            errors = [fit(round(share * len(exact)), seed) for seed in range(args.seeds)]
            cells[f"{share:.0%}"] = 100 * float(np.mean(errors))
        result[name] = cells
        show(name, cells)

    row("euler", lambda rows, seed: error_of(exact_fit(euler, exact[:rows], inputs[:rows], seed), spec))
    row(
        "euler, 1 % noise",
        lambda rows, seed: error_of(noisy_fit(euler, free, exact[:rows], inputs[:rows], seed), spec),
    )
    row("bound with that noise", lambda rows, seed: bound(free, exact[:rows], inputs[:rows]))
    row(
        "bound, curvature E known",
        lambda rows, seed: bound(free, exact[:rows], inputs[:rows], ("E_f", "E_r")),
    )
    own_errors = make(integrator="rk4", substeps=4)
    row(
        "own integrator",
        lambda rows, seed: error_of(robust_fit(own_errors, own[:rows], inputs[:rows], seed), spec),
    )
    print(json.dumps(result))


def show(name: str, cells: dict[str, float]) -> None:
    """Print a row."""
    print(f"{name:28s}" + "".join(f"{value:12.4f}" for value in cells.values()), flush=True)


def exact_fit(errors: RolloutErrors, states: np.ndarray, inputs: np.ndarray, seed: int) -> Estimate:
    """Five steps ahead."""
    windows = windows_of(errors.spec, states, inputs, 5)
    # Every row is in some of them.
    numbers = np.arange(0, len(windows), max(1, len(windows) // 250))
    return fit_errors(errors, windows, numbers, start=drawn(errors.spec, seed), starts=STARTS, **OPTIONS)


def noisy_fit(
    euler: RolloutErrors, free: RolloutErrors, states: np.ndarray, inputs: np.ndarray, seed: int
) -> Estimate:
    """Short rollouts find the way, longer ones with free starts come near, the whole drive ends it."""
    rng = np.random.default_rng(seed)
    noisy = states + NOISE * states.std(axis=0) * rng.standard_normal(states.shape)
    fit = exact_fit(euler, noisy, inputs, seed)
    for horizon, stride in ((20, 11), (len(noisy) - 2, 1)):
        windows = windows_of(free.spec, noisy, inputs, horizon)
        numbers = np.arange(0, len(windows), stride)
        fit = fit_errors(free, windows, numbers, start=fit.params(free.spec), **OPTIONS)
    return fit


def robust_fit(errors: RolloutErrors, states: np.ndarray, inputs: np.ndarray, seed: int) -> Estimate:
    """One step ahead; large errors, of which there are many, count by their size."""
    windows = windows_of(errors.spec, states, inputs, 1)
    numbers = np.arange(len(windows))
    start = drawn(errors.spec, seed)
    return fit_errors(errors, windows, numbers, start=start, starts=STARTS, huber=0.1, **OPTIONS)


def bound(free: RolloutErrors, states: np.ndarray, inputs: np.ndarray, known: tuple[str, ...] = ()) -> float:
    """Mean error of an estimate with the least variance, from the derivatives at the truth."""
    spec = free.spec
    low, high = (np.array([spec.param_bounds[name][side] for name in spec.param_keys]) for side in (0, 1))
    truth = np.array([TRUTH[name] for name in spec.param_keys])
    share = (truth - low) / (high - low)
    windows = windows_of(spec, states, inputs, len(states) - 2)
    deviation = NOISE * states[:, [spec.state_indices[name] for name in COMPARED]].std(axis=0)
    none = jnp.zeros((len(COMPARED), 1))
    matrix, _, cross, block, _ = free.normal(
        jnp.asarray(np.log(share / (1 - share))), none, windows.whole(np.arange(1)), jnp.asarray(deviation),
        jnp.asarray(1e9), jnp.ones(1),
    )  # fmt: skip
    information = matrix[..., 0] - cross[..., 0] @ jnp.linalg.solve(block[..., 0], cross[..., 0].T)
    unknown = [i for i, name in enumerate(spec.param_keys) if name not in known]
    covariance = np.linalg.inv(np.asarray(information)[np.ix_(unknown, unknown)])
    slope = ((high - low) * share * (1 - share) / np.abs(truth))[unknown]
    spread = np.sqrt(np.diag(covariance)) * slope
    judged = [unknown.index(spec.param_keys.index(name)) for name in JUDGED]
    # The mean size of a normal error.
    return float(np.sqrt(2 / np.pi) * spread[judged].mean())


def error_of(fit: Estimate, spec: ModelSpec) -> float:
    """Mean relative error of the tyre parameters."""
    values = fit.params(spec)
    return float(np.mean([abs(float(values[name]) / TRUTH[name] - 1) for name in JUDGED]))


def learned() -> ModelSpec:
    """The car with the bounds above and their middle as defaults."""
    spec = pct.model("singletrack-pacejka", vehicle="orca").spec
    middle = {name: (low + high) / 2 for name, (low, high) in BOUNDS.items()}
    spec = dataclasses.replace(
        spec,
        param_bounds={**spec.param_bounds, **BOUNDS},
        default_params={**spec.default_params, **middle},
    )
    return with_fixed(spec, {name: None for name in spec.param_keys if name not in TRUTH})


def drawn(spec: ModelSpec, seed: int) -> dict[str, float]:
    """A start at random within the bounds."""
    raw = SPREAD * np.random.default_rng([seed, 1]).standard_normal(len(spec.param_keys))
    ends = [spec.param_bounds[name] for name in spec.param_keys]
    return {
        name: float(low + (high - low) / (1 + np.exp(-z)))
        for name, (low, high), z in zip(spec.param_keys, ends, raw, strict=True)
    }


def windows_of(spec: ModelSpec, states: np.ndarray, inputs: np.ndarray, horizon: int) -> WindowSet:
    """Windows at every row; over a single step, the simulator holds the steering angle."""
    drive, delta = inputs[:, 0], inputs[:, 1]
    columns: dict[str, Any] = dict(zip(("x", "y", "psi", "vx", "vy", "psi_dot"), states.T, strict=True))
    columns |= {
        "delta": delta,
        "delta_dot": np.append(np.diff(delta), 0.0) / DT * (horizon > 1),
        "drive": drive,
    }

    def stack(names: tuple[str, ...]) -> np.ndarray:
        return np.stack([columns[name] for name in names], axis=-1)

    count = len(states)
    none = np.zeros((count, 0))
    store = WindowStore(
        stack(spec.state_names), stack(spec.control_names), none, none, DT * np.arange(count),
        np.zeros(count, np.int32), ("bayesrace",), (), (), DT,
    )  # fmt: skip
    return fit_windows(spec, store, FitSettings(horizon=horizon, history=1, stride=1))


if __name__ == "__main__":
    main()
