"""The same training with diffrax: the model in an `ODETerm`, solved for each window under `vmap`.

Time counts in steps, so that each control is held over one unit. The solver is the classical RK4 by its
tableau, so that loss and gradient can be compared with the documented loop's; the adjoint is diffrax's
default, `RecursiveCheckpointAdjoint`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import optax

from pct.dynamics.core import unflatten_params
from pct.windows.batch import FeatureDataset
from peers.problem import LEARNING_RATE, TIMESTEP_HUNDREDTHS, WEIGHT_DECAY, Problem


class ClassicalRK4(diffrax.AbstractERK):
    """Runge-Kutta of order 4; the last stage looks just before the step's end, where the control jumps."""

    tableau: ClassVar = diffrax.ButcherTableau(
        c=np.array([0.5, 0.5, 1.0 - 1e-5]),
        b_sol=np.array([1 / 6, 1 / 3, 1 / 3, 1 / 6]),
        b_error=np.zeros(4),
        a_lower=(np.array([0.5]), np.array([0.0, 0.5]), np.array([0.0, 0.0, 1.0])),
    )
    interpolation_cls: ClassVar = diffrax.ThirdOrderHermitePolynomialInterpolation.from_k

    def order(self, terms: Any) -> int:
        return 4


def make_epoch(problem: Problem, batch_size: int) -> Callable[[], int]:
    """``epoch()`` trains on all windows once and returns their number."""
    loss_fn = make_loss_fn(problem)
    optimizer = optax.adamw(LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    params, opt_state = problem.params, optimizer.init(problem.params)
    rng = np.random.default_rng(0)
    num_samples = problem.windows.features.shape[0]

    @jax.jit
    def step_fn(params: Any, opt_state: Any, windows: FeatureDataset, rows: Any) -> Any:
        batch = jax.tree.map(lambda leaf: leaf[rows], windows)
        loss, gradient = jax.value_and_grad(loss_fn)(params, batch)
        updates, opt_state = optimizer.update(gradient, opt_state, params)
        return optax.apply_updates(params, updates), opt_state, loss

    def epoch() -> int:
        nonlocal params, opt_state
        losses = []
        for rows in rng.permutation(num_samples).reshape(-1, batch_size):
            params, opt_state, loss = step_fn(params, opt_state, problem.windows, rows)
            losses.append(float(loss))
        assert math.isfinite(sum(losses))
        return num_samples

    return epoch


def first_gradient(problem: Problem, batch_size: int) -> tuple[float, list[np.ndarray]]:
    """Loss of the first windows at the start, and its gradient by each weight."""
    batch = jax.tree.map(lambda leaf: leaf[:batch_size], problem.windows)
    loss, gradient = jax.jit(jax.value_and_grad(make_loss_fn(problem)))(problem.params, batch)
    return float(loss), [np.asarray(leaf) for leaf in jax.tree.leaves(gradient)]


def make_loss_fn(problem: Problem) -> Callable[..., Any]:
    """``loss_fn(params, batch)``: mean over the windows."""
    spec = problem.spec
    constants = spec.build_base_params(TIMESTEP_HUNDREDTHS)
    dt = constants.pop("dt")

    def vector_field(t: Any, state: Any, args: Any) -> Any:
        car, controls = args
        held = controls[jnp.floor(t).astype(int)]
        return dt * spec.dynamics_fn(jnp.concatenate([state, held]), car)[: state.size]

    def solve(initial_state: Any, controls: Any, learned: Any) -> Any:
        steps = controls.shape[0]
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(vector_field),
            ClassicalRK4(),
            t0=0.0,
            t1=float(steps),
            dt0=1.0,
            y0=initial_state,
            args=({**constants, **learned}, controls),
            saveat=diffrax.SaveAt(ts=jnp.arange(1.0, steps + 1.0)),
            stepsize_controller=diffrax.ConstantStepSize(),
            max_steps=steps,
        )
        return solution.ys

    def loss_fn(params: Any, batch: FeatureDataset) -> Any:
        answer = problem.network.apply(params, batch.features)
        learned = unflatten_params(answer, spec.param_keys, spec.full_shapes)
        states = jax.vmap(solve)(batch.initial_states, batch.controls, learned)
        return spec.loss_fn(states, batch.targets, **spec.train_loss_kwargs) / answer.shape[0]

    return loss_fn
