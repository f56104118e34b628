"""Tyre parameters of a simulated 1:43 car, whose truth is known, from ever longer parts of one drive.

The log is `bayesrace/DYN-PP-ETHZ.npz`: `dstates` are Euler steps of 0.02 s with the parameters below,
`states` come from the simulator's own integrator and have a few broken rows. Mass and axle distances are
known; tyres, drivetrain and inertia are learned, from ten starts about a middle that does not know them,
drawn by seed. Mean error of B, C and D of both axles; with noise, every channel carries 1 % of its standard
deviation. Last line: one JSON object.

    python benchmarks/known_truth.py --data FOLDER [--seeds 3]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pct.cli.train import keep_compiled_code
from pct.data.windows import WindowSet, WindowStore, make_window_set
from pct.dynamics import MODEL_SPECS, with_fixed
from pct.dynamics.core import ModelSpec
from pct.dynamics.vehicles import with_vehicle
from pct.observation import Measurement, with_measurement
from pct.optimization.fitting import fit_parameters

DT = 0.02
SHARES = (0.15, 0.2, 0.3, 0.5, 0.8)
TRUTH = {
    "B_f": 5.579, "C_f": 1.2, "D_f": 0.192, "B_r": 5.3852, "C_r": 1.2691, "D_r": 0.1737,
    "E_f": -0.083, "E_r": -0.019, "S_hf": -0.0013, "S_vf": 0.00043, "S_hr": -0.00376, "S_vr": 0.00091,
    "C_m1": 0.287, "C_m2": 0.0545, "C_r0": 0.0518, "C_r2": 0.00035, "I": 2.78e-5,
}  # fmt: skip
JUDGED = ("B_f", "C_f", "D_f", "B_r", "C_r", "D_r")
# Wide and without knowledge of the truth: start in the middle.
BOUNDS = {
    "B": (1.0, 20.0), "C": (0.5, 2.5), "D": (0.05, 0.6), "E": (-1.5, 0.9), "S_h": (-0.02, 0.02),
    "S_v": (-0.02, 0.02), "C_m1": (0.1, 1.0), "C_m2": (0.01, 0.2), "C_r0": (0.01, 0.2), "C_r2": (1e-5, 3e-3),
    "I": (1e-5, 1e-4),
}  # fmt: skip
# Standard deviation of the prior on the unbounded axis: as good as none.
PRIOR = 10.0


def main() -> None:
    """Fit every part with every seed and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder that holds bayesrace/")
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    keep_compiled_code(jax)
    jax.config.update("jax_enable_x64", True)
    with np.load(args.data / "bayesrace" / "DYN-PP-ETHZ.npz") as log:
        exact, own, inputs = log["dstates"][:6].T, log["states"].T, log["inputs"].T
    result: dict[str, dict[str, float]] = {}
    print(f"{'mean error of B, C, D, %':28s}" + "".join(f"{f'first {share:.0%}':>12s}" for share in SHARES))
    for name, states, noise, options in (
        ("euler", exact, 0.0, {"integrator": "euler", "horizon": 5, "observer": False}),
        ("euler, 1 % noise", exact, 0.01, {"integrator": "euler", "horizon": 50, "observer": True}),
        ("own integrator", own, 0.0, {"integrator": "rk4", "horizon": 1, "observer": False}),
    ):
        row = {}
        for share in SHARES:
            errors = [error_of(states, inputs, share, noise, seed, **options) for seed in range(args.seeds)]
            row[f"{share:.0%}"] = 100 * float(np.mean(errors))
        result[name] = row
        print(f"{name:28s}" + "".join(f"{value:12.4f}" for value in row.values()), flush=True)
    print(json.dumps(result))


def error_of(
    states: np.ndarray,
    inputs: np.ndarray,
    share: float,
    noise: float,
    seed: int,
    *,
    integrator: str,
    horizon: int,
    observer: bool,
) -> float:
    """Mean relative error of the tyre parameters."""
    rng = np.random.default_rng(seed)
    rows = slice(1, int(share * len(inputs)))  # the first row's pose is missing
    noisy = states[rows] + noise * states[rows].std(axis=0) * rng.standard_normal(states[rows].shape)
    spec = with_measurement(learned(rng), Measurement(observer=observer))
    history = 25 if observer else 1
    windows = windows_of(spec, noisy, inputs[rows], horizon, history)
    fit = fit_parameters(
        windows,
        np.arange(len(windows)),
        spec,
        spec.build_base_params(round(100 * DT)),
        integrator=integrator,
        substeps=4 if integrator == "rk4" else 1,
        prior=PRIOR,
        compare=("vx", "vy", "psi_dot"),
        iterations=100,
        starts=10,
    )
    found = fit.params(spec)
    return float(np.mean([abs(float(found[name]) / TRUTH[name] - 1) for name in JUDGED]))


def learned(rng: np.random.Generator) -> ModelSpec:
    """The car with bounds that do not know the truth, and a start drawn at random within them."""
    spec = with_vehicle(MODEL_SPECS["singletrack-pacejka"], "orca")
    bounds, defaults = dict(spec.param_bounds), dict(spec.default_params)
    for name in spec.param_keys:
        if name in TRUTH:
            low, high = BOUNDS[
                name.removesuffix("f").removesuffix("r").rstrip("_") if name not in BOUNDS else name
            ]
            bounds[name] = (low, high)
            middle = np.sqrt(low * high) if low > 0 else (low + high) / 2
            defaults[name] = (
                float(np.clip(middle * 2 ** rng.uniform(-1, 1), low, high)) if low > 0 else middle
            )
    spec = dataclasses.replace(spec, param_bounds=bounds, default_params=defaults)
    return with_fixed(spec, {name: None for name in spec.param_keys if name not in TRUTH})


def windows_of(
    spec: ModelSpec, states: np.ndarray, inputs: np.ndarray, horizon: int, history: int
) -> WindowSet:
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
    starts = np.arange(history, count - horizon)
    return make_window_set(store, starts, spec, horizon=horizon, history=history, feature_mode="context")


if __name__ == "__main__":
    main()
