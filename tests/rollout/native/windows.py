"""Windows over the whole range of a model, and what double precision makes of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, Channel, ModelSpec, Parameter, define_model
from pct.dynamics.losses import yaw_normalized_loss_per_item
from pct.rollout.lanes import plain_rollout
from pct.rollout.native.compiler import NoCompiler, find_compiler

DT = 0.02
# Ranges of states and controls, from standstill and reverse to a spin.
SIZES = {
    "x": 0.5, "y": 0.5, "psi": 0.5, "yaw": 0.5, "delta": 0.4, "psi_dot": 3.0, "beta": 0.5, "vy": 3.0,
    "omega_f": 40.0, "omega_r": 40.0, "delta_dot": 3.0, "accel": 8.0, "drive": 1.0,
}  # fmt: skip


def has_compiler() -> bool:
    try:
        find_compiler()
    except NoCompiler:
        return False
    return True


needs_compiler = pytest.mark.skipif(not has_compiler(), reason="no C++ compiler on this machine")
every_model = pytest.mark.parametrize("spec", MODEL_SPECS.values(), ids=MODEL_SPECS.keys())


@dataclasses.dataclass
class Windows:
    """Windows of single precision."""

    start: np.ndarray
    controls: np.ndarray
    targets: np.ndarray
    learned: dict[str, np.ndarray]

    @property
    def answers(self) -> np.ndarray:
        return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in self.learned.values()], axis=-1)


def make_windows(spec: ModelSpec, windows: int, steps: int, seed: int = 0) -> Windows:
    """The first window stands still with all at zero, the next three stand still, some go backwards."""
    rng = np.random.default_rng(seed)
    speed = np.concatenate([np.zeros(4), np.linspace(-3.0, 15.0, windows - 4)])

    def column(name: str, *shape: int) -> np.ndarray:
        size = SIZES.get(name, 1.0)
        return speed if name in ("v", "vx") else rng.uniform(-size, size, (windows, *shape))

    start = np.stack([column(name) for name in spec.state_names], axis=-1)
    controls = np.stack([column(name, steps) for name in spec.control_names], axis=-1)
    start[0], controls[0] = 0.0, 0.0
    learned = {
        key: rng.uniform(*spec.param_bounds[key], (windows, *shape)).astype(np.float32)
        for key, shape in spec.full_shapes.items()
    }
    off = 10.0 * spec.scales * rng.standard_normal((windows, steps, len(spec.states)))
    start, controls = start.astype(np.float32), controls.astype(np.float32)
    return Windows(start, controls, start[:, None] + off.astype(np.float32), learned)


@cache
def reference(spec: ModelSpec, integrator: str, substeps: int) -> Callable[[Windows], Any]:
    """Loss of each window, its gradient by answers, start and controls, and the states."""
    roll = plain_rollout(spec, {**spec.default_params, "dt": DT}, integrator, substeps)

    def total(learned: Any, start: Any, controls: Any, targets: Any) -> Any:
        states = roll(start, controls, learned)
        losses = yaw_normalized_loss_per_item(states, targets, **spec.train_loss_kwargs)
        return losses.sum(), (losses, states)

    compiled = jax.jit(jax.grad(total, argnums=(0, 1, 2), has_aux=True))

    def run(w: Windows) -> Any:
        with jax.enable_x64(True):
            given = jax.tree.map(
                lambda leaf: jnp.asarray(leaf, jnp.float64), (w.learned, w.start, w.controls, w.targets)
            )
            (by_learned, by_start, by_controls), (losses, states) = compiled(*given)
        by_answers = np.concatenate(
            [np.asarray(by_learned[key]).reshape(len(w.start), -1) for key in w.learned], axis=-1
        )
        return (*map(np.asarray, (losses, by_answers, by_start, by_controls, states)),)

    return run


def ranges(spec: ModelSpec) -> np.ndarray:
    """Width of the bounds of each entry of the answers."""
    parts = [
        np.broadcast_to(np.subtract(*spec.param_bounds[key][::-1]), shape).ravel()
        for key, shape in spec.full_shapes.items()
    ]
    return np.concatenate(parts)


def relative_error(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Of each window's vector, (B,)."""
    found, wanted = (np.reshape(value, (len(value), -1)).astype(np.float64) for value in (found, wanted))
    length = np.linalg.norm(wanted, axis=1)
    return np.linalg.norm(found - wanted, axis=1) / np.where(length > 0, length, 1.0)


def jolted(w: Windows) -> Windows:
    """The windows with all but the targets off by half a unit in the last place of single precision."""
    rng = np.random.default_rng(7)

    def jolt(leaf: np.ndarray) -> np.ndarray:
        return leaf.astype(np.float64) * (1.0 + 2.0**-24 * rng.choice([-1.0, 1.0], leaf.shape))

    learned = {key: jolt(leaf) for key, leaf in w.learned.items()}
    return Windows(jolt(w.start), jolt(w.controls), w.targets.astype(np.float64), learned)


def resolved(moved: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """In which windows a jolt moves a result by so little that single precision can tell it to 1e-4, (B,)."""
    return relative_error(moved, wanted) < 1e-5


def toy_model(name: str, rates: Callable[..., tuple[Any, ...]], states: int, controls: int) -> ModelSpec:
    """A model with states and controls of any meaning, whose derivative is ``rates(x, u, p, xp)``."""
    return define_model(
        name,
        states=tuple(Channel(f"s{i}", f"s_{i}", "1") for i in range(states)),
        controls=tuple(Channel(f"c{i}", f"c_{i}", "1") for i in range(controls)),
        parameters=(Parameter("a", "a", "1", 0.5, 2.0, 1.0, "a factor"),),
        derivative=lambda x, u, p, xp: x._replace(**dict(zip(x._fields, rates(x, u, p, xp), strict=True))),
        pose=("s0", "s0", "s0"),
    )
