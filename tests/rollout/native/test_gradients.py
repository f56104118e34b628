"""Native code against double precision: loss, states and gradients, for models of every kind."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, ModelSpec, get_model
from pct.dynamics.vehicles import with_vehicle
from pct.rollout.native.code import comparison
from pct.rollout.native.gradients import make_kernel, native_rollout
from pct.rollout.native.xla_calls import Kernel
from rollout.native.windows import (
    DT,
    Windows,
    every_model,
    jolted,
    make_windows,
    needs_compiler,
    ranges,
    reference,
    relative_error,
    resolved,
    toy_model,
)

pytestmark = [needs_compiler, pytest.mark.usefixtures("single_precision")]


# Over bounds as wide as those of singletrack-pacejka half of the tyres are unstable in a step of 20 ms, and a
# quarter in one of 5 ms.
FINER = 4


def loss_of(
    spec: ModelSpec, w: Windows, integrator: str, substeps: int, weights: Any = None, **more: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Native loss of each window and its gradient by the answers."""
    kernel = make_kernel(spec, integrator, spec.param_keys)
    fixed = kernel.fixed({**spec.default_params, "dt": DT}, substeps)
    weights = np.ones(w.targets.shape[:2], np.float32) if weights is None else weights
    compared = comparison(**spec.train_loss_kwargs)
    run = jax.jit(partial(kernel.loss, substeps=substeps, **more))
    return jax.tree.map(np.asarray, run(w.answers, fixed, w.start, w.controls, w.targets, weights, compared))


def assert_equal_to_reference(spec: ModelSpec, integrator: str, substeps: int, steps: int) -> None:
    w = make_windows(spec, 61, steps)
    # Windows whose tyres are too stiff for a substep amplify; enough must be left to judge by.
    for parts in (substeps, FINER * substeps):
        run = reference(spec, integrator, parts)
        wanted, moved = run(w), run(jolted(w))
        judged = resolved(moved[1] * ranges(spec), wanted[1] * ranges(spec)) & (wanted[0] < 1e12)
        if judged.mean() > 0.5:
            break
    assert judged.mean() > 0.5
    losses, by_answers = loss_of(spec, w, integrator, parts)
    assert (relative_error(losses[:, None], wanted[0][:, None])[judged] < 1e-4).all()
    error = relative_error(by_answers * ranges(spec), wanted[1] * ranges(spec))
    assert (error[judged] < 1e-4).all(), error[judged].max()
    # The rollout for losses of other kinds, and its gradient by everything.
    roll = native_rollout(spec, {**spec.default_params, "dt": DT}, integrator, parts)

    def total(learned: Any, start: Any, controls: Any) -> Any:
        states = roll(start, controls, learned)
        residual_loss = spec.loss_fn(states, jnp.asarray(w.targets), **spec.train_loss_kwargs)
        return residual_loss, states

    (by_learned, by_start, by_controls), states = jax.jit(jax.grad(total, argnums=(0, 1, 2), has_aux=True))(
        w.learned, w.start, w.controls
    )
    by_learned = np.concatenate([by_learned[k].reshape(len(w.start), -1) for k in w.learned], axis=-1)
    np.testing.assert_allclose(
        by_learned[judged], by_answers[judged], rtol=1e-3, atol=1e-3 * np.abs(by_answers[judged]).max()
    )
    width = np.abs(w.start).max(axis=0) + spec.scales
    for found, exact, off, scale in zip(
        (by_start, by_controls, states), wanted[2:], moved[2:], (width, 1.0, 1.0 / spec.scales), strict=True
    ):
        told = judged & resolved(off * scale, exact * scale)
        assert told.mean() > 0.5
        assert (relative_error(np.asarray(found) * scale, exact * scale)[told] < 1e-4).all()


@pytest.mark.parametrize("name", ["singletrack-augmented", "unicycle"])
def test_equal_to_double_precision(name: str) -> None:
    assert_equal_to_reference(MODEL_SPECS[name], "rk4", 1, 8)


@pytest.mark.parametrize("integrator", ["euler", "heun"])
def test_other_integrators(integrator: str) -> None:
    assert_equal_to_reference(MODEL_SPECS["unicycle"], integrator, 2, 5)


@pytest.mark.slow
@every_model
def test_every_model_is_equal_to_double_precision(spec: ModelSpec) -> None:
    assert_equal_to_reference(spec, "rk4", 1, 25)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, spec in MODEL_SPECS.items() if spec.options])
def test_options_are_equal_to_double_precision(name: str) -> None:
    spec = get_model("+".join((name, *MODEL_SPECS[name].options)))
    assert_equal_to_reference(with_vehicle(spec, "bmw-320i"), "rk4", 1, 8)


@pytest.mark.parametrize("windows", [1, 7, 8, 65])
def test_any_number_of_windows(windows: int) -> None:
    spec = MODEL_SPECS["unicycle"]
    w = make_windows(spec, 65, 4)
    whole = loss_of(spec, w, "rk4", 1)
    part = Windows(
        w.start[:windows], w.controls[:windows], w.targets[:windows],
        {key: leaf[:windows] for key, leaf in w.learned.items()},
    )  # fmt: skip
    for found, wanted in zip(loss_of(spec, part, "rk4", 1), whole, strict=True):
        np.testing.assert_array_equal(found, wanted[:windows])


def test_steps_without_weight_do_not_count() -> None:
    spec = MODEL_SPECS["unicycle"]
    w = make_windows(spec, 20, 6)
    weights = np.ones((20, 6), np.float32)
    weights[:, 3:], weights[5] = 0.0, 0.0
    w.targets[:, 3:] = np.nan
    short = Windows(w.start, w.controls[:, :3], w.targets[:, :3], w.learned)
    found, wanted = loss_of(spec, w, "rk4", 1, weights), loss_of(spec, short, "rk4", 1)
    counts = np.arange(20) != 5
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one[counts], other[counts], rtol=1e-6)
        assert not one[5].any()


def test_windows_by_row_number_are_seen_from_their_first_pose() -> None:
    spec = MODEL_SPECS["unicycle"]
    rng = np.random.default_rng(0)
    states = rng.standard_normal((40, 4)).astype(np.float32)
    controls = rng.standard_normal((40, 2)).astype(np.float32)
    rows = np.array([3, 0, 29, 17], np.int32)
    x, y, heading = (states[rows, i][:, None] for i in spec.pose_indices)
    local = states[rows[:, None] + np.arange(11)]
    dx, dy = local[:, :, 0] - x, local[:, :, 1] - y
    local[:, :, 0] = np.cos(heading) * dx + np.sin(heading) * dy
    local[:, :, 1] = np.cos(heading) * dy - np.sin(heading) * dx
    local[:, :, 2] -= heading
    w = make_windows(spec, 4, 10)
    w.start, w.controls, w.targets = local[:, 0], controls[rows[:, None] + np.arange(10)], local[:, 1:]
    wanted = loss_of(spec, w, "rk4", 1)
    kernel = make_kernel(spec, "rk4", spec.param_keys)
    found = kernel.loss(
        w.answers, kernel.fixed({**spec.default_params, "dt": DT}, 1), None, controls, states,
        np.ones((4, 10), np.float32), comparison(**spec.train_loss_kwargs), 1, rows=rows,
    )  # fmt: skip
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_huber_s_loss() -> None:
    spec = MODEL_SPECS["unicycle"]
    w = make_windows(spec, 12, 4)
    kernel = make_kernel(spec, "rk4", spec.param_keys)
    fixed = kernel.fixed({**spec.default_params, "dt": DT}, 1)
    kwargs = {**spec.train_loss_kwargs, "huber": 2.0}
    roll = native_rollout(spec, {**spec.default_params, "dt": DT}, "rk4", 1)

    def total(learned: Any) -> Any:
        return spec.loss_fn(roll(w.start, w.controls, learned), jnp.asarray(w.targets), **kwargs)

    value, by_learned = jax.value_and_grad(total)(w.learned)
    weights = np.ones((12, 4), np.float32)
    found, gradient = kernel.loss(
        w.answers, fixed, w.start, w.controls, w.targets, weights, comparison(**kwargs), 1
    )
    np.testing.assert_allclose(found.sum(), value, rtol=1e-5)
    np.testing.assert_allclose(
        gradient, np.stack([by_learned[key] for key in spec.param_keys], -1), rtol=1e-3, atol=1e-4
    )


def test_a_window_that_diverges_shows_it() -> None:
    spec = MODEL_SPECS["singletrack-augmented"]
    w = make_windows(spec, 12, 8)
    w.start[3, 3] = np.nan
    w.controls[5, 2, 0] = np.nan
    losses, by_answers = loss_of(spec, w, "rk4", 1)
    assert np.flatnonzero(~np.isfinite(losses)).tolist() == [3, 5]
    assert not np.isfinite(by_answers[[3, 5]]).all(axis=1).any()


def test_every_function_of_the_namespace() -> None:
    """Value and derivative over a range with the corners, for a model that nobody wrote C++ for."""

    def rates(x: Any, u: Any, p: Any, xp: Any) -> tuple[Any, ...]:
        a, b = u.c0, u.c1
        return (
            xp.sin(a) + xp.cos(3.0 * a), xp.tan(0.3 * a), xp.arctan(a * a * a), xp.arctan2(a, b), xp.tanh(a),
            xp.exp(a), xp.log(xp.abs(a) + 1e-3), xp.sqrt(a * a + 0.1), xp.maximum(a, b), xp.minimum(a, b),
            xp.abs(a), xp.sign(a) * b, xp.where(a > b, a * b, b), xp.clip(a, -1.0, 1.0), a / (b * b + 1.0),
            a**3 - b**2, xp.floor(a) + b, (xp.abs(a) + 0.1) ** 1.7,
        )  # fmt: skip

    spec = toy_model("functions", rates, 18, 2)
    w = make_windows(spec, 128, 1)
    rng = np.random.default_rng(3)
    w.start[:] = 0.0
    w.controls[:] = rng.uniform(-4.0, 4.0, w.controls.shape)
    w.controls[:5, 0] = [[0.0, 0.0], [1.0, 1.0], [-1.0, 1.0], [2.0, 2.0], [0.5, -3.0]]
    kernel = Kernel(spec, "euler", ("a",))
    fixed = kernel.fixed({"a": 1.0, "dt": 1.0}, 1)
    found = kernel.states(w.answers, fixed, w.start, w.controls, 1)[:, 0]
    cotangents = rng.standard_normal((128, 1, 18)).astype(np.float32)
    by_controls = kernel.pull_back(w.answers, fixed, w.start, w.controls, 1, cotangents)[2]

    def exact(controls: Any) -> Any:
        given = spec.lane_rates(tuple(w.start.T), tuple(controls[:, 0].T), {"a": 1.0}, jnp)
        return jnp.stack(given, axis=-1)

    with jax.enable_x64(True):
        wide = jnp.asarray(w.controls, jnp.float64)
        wanted, pull = jax.vjp(exact, wide)
        (slopes,) = map(np.asarray, pull(jnp.asarray(cotangents[:, 0], jnp.float64)))
        wanted = np.asarray(wanted)
    np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=1e-6)
    one_by_one = np.abs(slopes).max(axis=(1, 2)) + 1.0
    error = np.abs(np.asarray(by_controls) - slopes).max(axis=(1, 2))
    # At the origin JAX has no slope of arctan2, native code has zero.
    assert np.isfinite(by_controls).all()
    assert (error[1:] < 2e-5 * one_by_one[1:]).all()


def test_it_works_under_scan_vmap_and_on_several_devices() -> None:
    spec = MODEL_SPECS["unicycle"]
    w = make_windows(spec, 8, 3)
    roll = native_rollout(spec, {**spec.default_params, "dt": DT}, "rk4", 1)
    once = roll(w.start, w.controls, w.learned)
    scanned = jax.lax.scan(lambda c, _: (c, roll(w.start, w.controls, w.learned)), 0, length=2)[1]
    np.testing.assert_array_equal(scanned[1], once)
    mapped = jax.vmap(lambda x: roll(x, w.controls, w.learned))(jnp.stack([w.start, w.start]))
    np.testing.assert_array_equal(mapped[1], once)
    mesh = jax.sharding.Mesh(np.array(jax.devices()), ("windows",))
    split = jax.sharding.PartitionSpec("windows")
    spread = jax.jit(jax.shard_map(roll, mesh=mesh, in_specs=split, out_specs=split, check_vma=False))
    np.testing.assert_array_equal(spread(w.start, w.controls, w.learned), once)


def test_the_length_of_a_step_and_held_values_are_no_part_of_the_code() -> None:
    spec = MODEL_SPECS["kinematic-singletrack"]
    kernel = make_kernel(spec, "rk4", ())
    w = make_windows(spec, 4, 2)
    w.start[:, 3] = 2.0
    none = np.zeros((4, 0), np.float32)
    ends = [
        kernel.states(none, kernel.fixed({**spec.default_params, "dt": dt}, 1), w.start, 0.0 * w.controls, 1)
        for dt in (0.01, 0.02)
    ]
    moved = [np.hypot(*(end[:, -1, :2] - w.start[:, :2]).T) for end in ends]
    np.testing.assert_allclose(moved[1], 2.0 * moved[0], rtol=0.05)
    assert math.isclose(float(moved[0].min()), 0.04, rel_tol=0.05)
