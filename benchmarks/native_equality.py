"""Is native single precision equal to JAX's double precision, for every model and every kind of window?

Windows of 25 steps (RK4, 20 ms) at random parameters over the whole bounds, from standstill and reverse to a
spin; targets are ten times the loss's scales off. Each window's relative error of the loss, and of the
gradient as a vector with parameters in widths of their bounds, against the plain JAX rollout in double
precision. A window amplifies rounding where data that are off by half a unit in the last place of single
precision change its gradient by more than 1e-5 in double precision: no single precision can be sure of 1e-4
there, and the same rollout by JAX in single precision stands beside it. Then the size of the generated source
and library, and the seconds from a model to its loaded library with an empty cache.
Last line: one JSON object.

    python benchmarks/native_equality.py [--windows 1024] [--models NAME ...]
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics import MODEL_SPECS, ModelSpec
from pct.dynamics.losses import yaw_normalized_loss_per_item
from pct.rollout.lanes import plain_rollout
from pct.rollout.native import code, compiler
from pct.rollout.native.xla_calls import Kernel

DT, STEPS = 0.02, 25
JOLTS = 16
LIMIT = 1e-4
# Ranges of states and controls around zero; speeds have one of their own, others are within one.
SIZES = {
    "x": 0.5, "y": 0.5, "psi": 0.5, "yaw": 0.5, "delta": 0.4, "psi_dot": 3.0, "beta": 0.5, "vy": 3.0,
    "omega_f": 40.0, "omega_r": 40.0, "delta_dot": 3.0, "accel": 8.0,
}  # fmt: skip
SLOWEST, FASTEST, STANDING = -3.0, 15.0, 16


class Windows(NamedTuple):
    """Start (B, S), controls (B, T, C), targets (B, T, S) and parameters by name (B, *shape)."""

    start: np.ndarray
    controls: np.ndarray
    targets: np.ndarray
    learned: dict[str, np.ndarray]


def main() -> None:
    """Compare model after model and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--windows", type=int, default=1024)
    parser.add_argument("--models", nargs="+", default=list(MODEL_SPECS), choices=MODEL_SPECS)
    args = parser.parse_args()
    print(f"{args.windows} windows of {STEPS} steps; compiler: {' '.join(compiler.find_compiler())}")
    print("relative errors: median, 99 %, largest; of all windows, and of those that do not amplify rounding")
    result = {}
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, {"XDG_CACHE_HOME": folder}):
        for name in args.models:
            result[name] = compare(MODEL_SPECS[name], args.windows)
            print(f"{name:22s}", *(f"{key}={value}" for key, value in result[name].items()), flush=True)
    print(json.dumps(result))


def compare(spec: ModelSpec, count: int) -> dict[str, Any]:
    """Errors and sizes of a model."""
    w = make_windows(spec, count)
    plain = plain_loss(spec)
    exact = partial(plain, precision=jnp.float64)
    losses, gradients = exact(w)
    amplification = np.max([relative(exact(jolted(w, seed))[1], gradients) for seed in range(JOLTS)], axis=0)
    finite = np.isfinite(losses) & np.isfinite(gradients).all(axis=1) & (losses < 1e12)
    amplifies = ~(amplification < 1e-5) | ~finite
    found, sizes = native(spec, w)
    errors = {
        "loss": relative(found[0][:, None], losses[:, None]),
        "gradient": relative(found[1], gradients),
        "jax_gradient": relative(plain(w, precision=jnp.float32)[1], gradients),
    }
    calm = ~amplifies
    return {
        **{f"{what}_all": spread(error[finite]) for what, error in errors.items()},
        **{f"{what}_calm": spread(error[calm]) for what, error in errors.items()},
        "amplify_share": round(float(amplifies.mean()), 4),
        "diverged_share": round(float(1.0 - finite.mean()), 4),
        "calm_above_limit": sum(int((~(errors[what][calm] < LIMIT)).sum()) for what in ("loss", "gradient")),
        **sizes,
    }


def make_windows(spec: ModelSpec, count: int, seed: int = 0) -> Windows:
    """The first window stands still with all at zero, `STANDING` more stand still."""
    rng = np.random.default_rng(seed)
    speeds = np.concatenate([np.zeros(STANDING), np.linspace(SLOWEST, FASTEST, count - STANDING)])

    def column(name: str, *shape: int) -> np.ndarray:
        size = SIZES.get(name, 1.0)
        return speeds if name in ("v", "vx") else rng.uniform(-size, size, (count, *shape))

    start = np.stack([column(name) for name in spec.state_names], axis=-1)
    controls = np.stack([column(name, STEPS) for name in spec.control_names], axis=-1)
    start[0], controls[0] = 0.0, 0.0
    learned = {
        key: rng.uniform(*spec.param_bounds[key], (count, *shape)).astype(np.float32)
        for key, shape in spec.full_shapes.items()
    }
    start, controls = start.astype(np.float32), controls.astype(np.float32)
    off = 10.0 * spec.scales * rng.standard_normal((count, STEPS, len(spec.states)))
    return Windows(start, controls, start[:, None] + off.astype(np.float32), learned)


def jolted(w: Windows, seed: int) -> Windows:
    """The same windows, each number half a unit in the last place off."""
    rng = np.random.default_rng(seed)

    def jolt(leaf: np.ndarray) -> np.ndarray:
        return leaf.astype(np.float64) * (1.0 + 2.0**-24 * rng.choice([-1.0, 1.0], leaf.shape))

    return Windows(jolt(w.start), jolt(w.controls), w.targets, {k: jolt(v) for k, v in w.learned.items()})


def plain_loss(spec: ModelSpec) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
    """Loss of each window, (B,), and its gradient, (B, P), by the plain rollout in a precision."""
    roll = plain_rollout(spec, {**spec.default_params, "dt": DT}, "rk4", 1)

    @jax.jit
    @partial(jax.grad, has_aux=True)
    def gradient(learned: Any, start: Any, controls: Any, targets: Any) -> Any:
        states = roll(start, controls, learned)
        losses = yaw_normalized_loss_per_item(states, targets, **spec.train_loss_kwargs)
        return losses.sum(), losses

    def run(w: Windows, *, precision: Any) -> tuple[np.ndarray, np.ndarray]:
        with jax.enable_x64(precision == jnp.float64):
            given = jax.tree.map(lambda leaf: jnp.asarray(leaf, precision), w)
            by_learned, losses = gradient(given.learned, given.start, given.controls, given.targets)
            return np.asarray(losses, np.float64), side_by_side(spec, by_learned) * widths(spec)

    return run


def native(spec: ModelSpec, w: Windows) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, float]]:
    """Loss and gradient by native code, and what it costs to make it."""
    made: list[str] = []
    with mock.patch.object(code, "load_library", lambda key, make, include: made.append(make())):
        code.Code(spec, "rk4", spec.param_keys, xla=True)
    before = {*compiler.cache_folder().glob("*.so")}
    start = time.perf_counter()
    kernel = Kernel(spec, "rk4", spec.param_keys)
    seconds = time.perf_counter() - start
    (library,) = {*compiler.cache_folder().glob("*.so")} - before
    fixed = kernel.fixed({**spec.default_params, "dt": DT}, 1)
    weights, compared = np.ones(w.targets.shape[:2], np.float32), code.comparison(**spec.train_loss_kwargs)
    run = jax.jit(partial(kernel.loss, substeps=1))
    losses, gradients = run(
        side_by_side(spec, w.learned), fixed, w.start, w.controls, w.targets, weights, compared
    )
    sizes = {
        "source_bytes": len(made[0].encode()),
        "library_bytes": Path(library).stat().st_size,
        "compile_seconds": round(seconds, 2),
    }
    return (np.asarray(losses, np.float64), np.asarray(gradients) * widths(spec)), sizes


def side_by_side(spec: ModelSpec, learned: dict[str, Any]) -> np.ndarray:
    """Parameters of shape (B, *shape) as (B, P), in the order of the model and not that of JAX."""
    leaves = [learned[key] for key in spec.param_keys]
    return np.concatenate([np.reshape(leaf, (len(leaf), -1)) for leaf in leaves], axis=-1)


def widths(spec: ModelSpec) -> np.ndarray:
    """Of the bounds of each entry of the answers, (P,)."""
    return np.concatenate(
        [
            np.broadcast_to(np.subtract(*spec.param_bounds[key][::-1]), spec.full_shapes[key]).ravel()
            for key in spec.param_keys
        ]
    )


def relative(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Of each window's vector, (B,); the size itself where nothing is wanted."""
    length = np.linalg.norm(wanted, axis=1)
    return np.linalg.norm(found - wanted, axis=1) / np.where(length > 0, length, 1.0)


def spread(errors: np.ndarray) -> list[float]:
    """Median, 99 % and largest."""
    return [float(f"{value:.2g}") for value in (*np.quantile(errors, [0.5, 0.99]), errors.max())]


if __name__ == "__main__":
    main()
