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
# States and controls up to this share of their typical size; positions and headings near zero.
SHARE, NEAR = 0.6, 0.5


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


def column(channel: Channel, speed: np.ndarray, rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Values of a channel, (B, ...): the speed of the vehicle, or random ones from standstill to a spin."""
    if channel.unit == "m/s" and not channel.odd:
        return speed
    size = SHARE * channel.typical if np.isfinite(channel.limit) else NEAR
    return rng.uniform(-size, size, (*speed.shape, *shape))


def make_windows(spec: ModelSpec, windows: int, steps: int, seed: int = 0) -> Windows:
    """The first window stands still with all at zero, the next three stand still, some go backwards."""
    rng = np.random.default_rng(seed)
    speed = np.concatenate([np.zeros(4), np.linspace(-3.0, 15.0, windows - 4)])

    start = np.stack([column(channel, speed, rng) for channel in spec.states], axis=-1)
    controls = np.stack([column(channel, speed, rng, steps) for channel in spec.controls], axis=-1)
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
