"""The engine's rollout: states and gradients of the plain one, for every model, integrator and precision."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, ModelSpec
from pct.rollout import lanes as rollout
from pct.rollout.integration import INTEGRATORS
from pct.rollout.lanes import lane_rollout, make_rollout, plain_rollout
from rollout.native.windows import column

WINDOWS, STEPS, DT = 24, 4, 0.02
Data = tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]


@cache
def data(spec: ModelSpec, seed: int = 0) -> Data:
    """States, controls and parameters of windows; numbers that single precision holds.

    The first window stands still with all at zero, the next three stand still, then some go backwards.
    """
    rng = np.random.default_rng(seed)
    speed = np.concatenate([np.zeros(4), np.linspace(-3.0, 15.0, WINDOWS - 4)])

    x = np.stack([column(channel, speed, rng) for channel in spec.states], axis=-1)
    u = np.stack([column(channel, speed, rng, STEPS) for channel in spec.controls], axis=-1)
    x[0], u[0] = 0.0, 0.0
    learned = {
        key: rng.uniform(*spec.param_bounds[key], (WINDOWS, *shape))
        for key, shape in spec.full_shapes.items()
    }
    return jax.tree.map(lambda leaf: leaf.astype(np.float32).astype(np.float64), (x, u, learned))


def outcome(spec: ModelSpec, roll: Callable[..., Any]) -> Callable[..., Any]:
    """``outcome(x, u, learned)``: the loss against targets that are some scales off, states and gradient."""
    rng = np.random.default_rng(1)
    off = 10.0 * spec.scales * rng.standard_normal((WINDOWS, STEPS, len(spec.states)))

    def loss(x: Any, u: Any, learned: Any) -> Any:
        states = roll(x, u, learned)
        targets = jax.lax.stop_gradient(x)[:, None] + off.astype(x.dtype)
        return spec.loss_fn(states, targets, **spec.train_loss_kwargs), states

    return jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))


@cache
def plain(spec: ModelSpec, integrator: str, substeps: int) -> Callable[..., Any]:
    """The plain rollout's outcome, in double precision.

    A substep is a step of its own whose result is left out: the same numbers, and a third to compile.
    """
    short = plain_rollout(spec, {**spec.default_params, "dt": DT / substeps}, integrator, 1)

    def roll(x: Any, u: Any, learned: Any) -> Any:
        return short(x, jnp.repeat(u, substeps, axis=1), learned)[:, substeps - 1 :: substeps]

    program = outcome(spec, roll)
    return lambda *arguments: jax.tree.map(np.asarray, program(*arguments))


@cache
def expected(spec: ModelSpec, integrator: str, substeps: int) -> Any:
    """The plain rollout's outcome for `data`."""
    return plain(spec, integrator, substeps)(*data(spec))


def amplified(spec: ModelSpec, integrator: str, substeps: int) -> dict[str, np.ndarray]:
    """What becomes of half a unit in the last place of single precision, by the parts of `errors`."""
    rng = np.random.default_rng(2)
    jolted = jax.tree.map(lambda leaf: leaf * (1 + 2.0**-24 * rng.choice([-1, 1], leaf.shape)), data(spec))
    return errors(spec, plain(spec, integrator, substeps)(*jolted), expected(spec, integrator, substeps))


def errors(spec: ModelSpec, found: Any, wanted: Any) -> dict[str, np.ndarray]:
    """Relative errors: loss, states by window and channel, gradients by window in units of bounds."""
    ((loss, states), gradient), ((expected_loss, expected_states), expected_gradient) = found, wanted
    size = np.abs(expected_states).max(axis=1) + spec.scales
    ranges = {key: np.subtract(*spec.param_bounds[key][::-1]) for key in spec.param_keys}
    scales = spec.scales, 1.0, {key: np.broadcast_to(r, spec.full_shapes[key]) for key, r in ranges.items()}
    off = []
    for part, expected_part, scale in zip(gradient, expected_gradient, scales, strict=True):
        one, other = (
            np.concatenate(
                [
                    np.reshape(leaf * factor, (WINDOWS, -1))
                    for leaf, factor in zip(jax.tree.leaves(tree), jax.tree.leaves(scale), strict=True)
                ],
                axis=1,
            )
            for tree in (part, expected_part)
        )
        assert np.isfinite(one).all()
        assert np.isfinite(other).all()
        error, length = (np.abs(value).max(axis=1) for value in (one - other, other))
        off.append(error / (length + 1e-30))
    return {
        "loss": np.abs(loss - expected_loss) / np.abs(expected_loss),
        "states": np.abs(states - expected_states).max(axis=1) / size,
        "gradient": np.stack(off),
    }


def assert_same(spec: ModelSpec, found: Any, wanted: Any, tolerance: float) -> None:
    """All relative errors are within a tolerance."""
    for name, error in errors(spec, found, wanted).items():
        assert (error <= tolerance).all(), (name, error.max())


def engine(spec: ModelSpec, integrator: str = "euler", substeps: int = 3) -> Callable[..., Any]:
    return outcome(spec, lane_rollout(spec, {**spec.default_params, "dt": DT}, integrator, substeps))


# Most relative change of a calm window by half a unit in the last place of single precision.
AMPLIFIED = 1e-6

every_model = pytest.mark.parametrize("spec", MODEL_SPECS.values(), ids=MODEL_SPECS.keys())


@every_model
def test_it_is_the_plain_rollout(spec: ModelSpec) -> None:
    run = engine(spec)
    assert_same(spec, jax.tree.map(np.asarray, run(*data(spec))), expected(spec, "euler", 3), 1e-10)
    # Other numbers are no other program.
    run(*data(spec, seed=1))
    assert run._cache_size() == 1


@every_model
def test_it_is_the_plain_rollout_in_single_precision(spec: ModelSpec) -> None:
    """Against double precision, fast functions and all, so that rounding is all there."""
    with jax.enable_x64(False):
        single = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), data(spec))
        found = jax.tree.map(np.asarray, engine(spec)(*single))
    assert {leaf.dtype for leaf in jax.tree.leaves(found)} == {np.dtype("float32")}
    assert_same(spec, found, expected(spec, "euler", 3), 3e-5)


@pytest.mark.parametrize("substeps", [1, 3])
@pytest.mark.parametrize("integrator", sorted(INTEGRATORS))
def test_all_integrators_and_substeps(integrator: str, substeps: int) -> None:
    spec = MODEL_SPECS["kinematic-singletrack"]
    found = jax.tree.map(np.asarray, engine(spec, integrator, substeps)(*data(spec)))
    assert_same(spec, found, expected(spec, integrator, substeps), 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("substeps", [1, 3])
@pytest.mark.parametrize("integrator", sorted(INTEGRATORS))
@every_model
def test_all_of_all(spec: ModelSpec, integrator: str, substeps: int, precision: str) -> None:
    """Each against the plain rollout, compiled as it stands.

    In single precision against double, on windows that do not amplify rounding.
    """
    arguments = data(spec)
    programs = [
        outcome(spec, make(spec, {**spec.default_params, "dt": DT}, integrator, substeps))
        for make in (lane_rollout, plain_rollout)
    ]
    if precision == "double":
        found, wanted = (jax.tree.map(np.asarray, program(*arguments)) for program in programs)
        assert_same(spec, found, wanted, 1e-10)
        return
    with jax.enable_x64(False):
        single = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), arguments)
        found = jax.tree.map(np.asarray, programs[0](*single))
    amplification = amplified(spec, integrator, substeps)
    for name, error in errors(spec, found, expected(spec, integrator, substeps)).items():
        calm = amplification[name] <= AMPLIFIED
        assert calm.mean() > 0.6
        assert (error[calm] <= 3e-5).all(), (name, error[calm].max())


def test_the_gradient_is_the_same_whoever_asks_for_it() -> None:
    """Controls and states, which training does not ask for, leave that of the parameters alone."""
    spec = MODEL_SPECS["unicycle"]
    roll = lane_rollout(spec, {**spec.default_params, "dt": DT}, "heun", 2)
    x, u, learned = data(spec)

    def total(x: Any, u: Any, learned: Any) -> Any:
        return (roll(x, u, learned) ** 2).sum()

    everything = jax.jit(jax.grad(total, argnums=(0, 1, 2)))(x, u, learned)
    for i in range(3):
        alone = jax.jit(jax.grad(total, argnums=i))(x, u, learned)
        for found, leaf in zip(jax.tree.leaves(alone), jax.tree.leaves(everything[i]), strict=True):
            np.testing.assert_allclose(found, leaf, rtol=1e-12)


def test_the_engine_s_own_is_for_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("lane_rollout", "plain_rollout"):
        monkeypatch.setattr(rollout, name, lambda *arguments, name=name: name)
    arguments = MODEL_SPECS["unicycle"], {"dt": DT}, "rk4", 1
    make_unchecked = make_rollout.__wrapped__
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert make_unchecked(*arguments) == "lane_rollout"
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert make_unchecked(*arguments) == "plain_rollout"
