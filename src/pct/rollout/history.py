"""Rollouts that begin with a history: states, and their derivatives by the parameters, forward in time.

The model is rolled over all rows of a window; while the history lasts, an observer corrects its state.
Without an observer the rollout starts at the last row of the history. As in `pct.rollout.lanes`, states are
separate arrays and a step is one kernel; here the derivative of a step along all directions is one, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pct.dynamics.core import ModelSpec
from pct.measurement.chain import acting_controls, hidden_start, outside_equations
from pct.measurement.observer import GAINS, corrected, observes
from pct.rollout.integration import TABLEAUS, explicit_step
from pct.rollout.kernels import one_kernel, unknown_one
from pct.rollout.lanes import Lanes, make_rates
from pct.types import Array, WholeWindows

Params = Mapping[str, Any]


class HistoryRollout(NamedTuple):
    """Functions of learned parameters by name, of shape () or their own axes, and `WholeWindows`.

    Attributes:
        states: ``states(params, windows)``: every state at the end of the history, hidden ones last, (B,)
            each, and the states of the table over the horizon, (T, B) each.
        sensitivities: ``sensitivities(params, directions, windows)``, with directions (D, ...) for each
            parameter: the states over the horizon, and their change along each direction, (T, D, B) each.
            A further argument, (D, 1) for each state of the table, turns the start along each direction, too.
    """

    states: Callable[[Params, WholeWindows], tuple[Lanes, Lanes]]
    sensitivities: Callable[..., tuple[Lanes, Lanes]]


def make_history_rollout(
    spec: ModelSpec, base_params: Params, integrator: str, substeps: int, history: int
) -> HistoryRollout:
    """Rollouts of a model over windows with so many rows of history.

    Args:
        spec: a model, also one from `pct.measurement.with_measurement`.
        base_params: all parameters that are not learned, and ``dt`` in s.
        integrator: key of `pct.rollout.integration.INTEGRATORS`.
        substeps: equal parts that each time step is made of.
        history: rows before a window's start.
    """
    dt = base_params["dt"]
    constants = {key: value for key, value in base_params.items() if key != "dt"}
    observed, unread = observes(spec), outside_equations(spec)
    first = 0 if observed else history
    rates, after_step = make_rates(spec, base_params), spec.lane_rates.after_step
    table, before = len(spec.states), history - first

    def dynamic(params: Params) -> dict[str, Any]:
        """The parameters that the equations read."""
        return {key: value for key, value in params.items() if key not in unread}

    def advance(x: Lanes, u: Lanes, params: Params) -> Lanes:
        return explicit_step(TABLEAUS[integrator], lambda x: rates(x, u, params), x, dt / substeps)

    def advance_along(state: tuple[Lanes, Lanes], u: Lanes, params: Params, du: Lanes, dp: Params) -> Any:
        x, dx = state
        return jax.vmap(lambda *d: jax.jvp(advance, (x, u, params), d), out_axes=(None, 0))(dx, du, dp)

    step, step_along = one_kernel(advance), one_kernel(advance_along)

    def rows(windows: WholeWindows) -> tuple[Lanes, Array]:
        """What is logged after each step, and whether it corrects."""
        logged = tuple(x[first + 1 :] for x in windows.states)
        number = jnp.arange(first + 1, windows.states[0].shape[0])
        return logged, (number <= history).astype(logged[0].dtype)

    def start(windows: WholeWindows) -> Lanes:
        x, u = (tuple(leaf[first] for leaf in part) for part in windows)
        return (*x, *hidden_start(spec, x, u))

    def acting(windows: WholeWindows, params: Params) -> Lanes:
        """Controls as they act, of the rows that are rolled over."""
        columns = acting_controls(spec, {**constants, **params}, windows.controls, dt)
        return tuple(column[first:] for column in columns)

    def states(params: Params, windows: WholeWindows) -> tuple[Lanes, Lanes]:
        one = unknown_one(windows.states[0])
        controls = acting(windows, params)
        equations = dynamic(params)

        def advance_row(x: Lanes, row: Any) -> tuple[Lanes, Lanes]:
            u, logged, gate = row
            x = jax.lax.scan(lambda x, _: (step(one, x, u, equations), None), x, length=substeps)[0]
            x = after_step(x, u, dt)
            x = corrected(spec, {**constants, **params}, x, logged, gate) if observed else x
            return x, x

        begin = start(windows)
        after = jax.lax.scan(advance_row, begin, (controls, *rows(windows)))[1]
        at_start = tuple(x[before - 1] for x in after) if before else begin
        return at_start, tuple(x[before:] for x in after[:table])

    def sensitivities(
        params: Params, directions: Params, windows: WholeWindows, along_start: Lanes = ()
    ) -> tuple[Lanes, Lanes]:
        one = unknown_one(windows.states[0])
        count = jax.tree.leaves(directions)[0].shape[0]
        u = acting(windows, params)
        along = jax.vmap(lambda d: jax.jvp(partial(acting, windows), (params,), (d,))[1], out_axes=1)
        du = along(directions)
        equations, changes = dynamic(params), dynamic(directions)
        # Empty where the gains are held.
        gains, gain_changes = ({k: v for k, v in p.items() if k == GAINS} for p in (params, directions))

        def correct_along(x: Lanes, dx: Lanes, logged: Lanes, gate: Array) -> tuple[Lanes, Lanes]:
            def correct(x: Lanes, gains: Params) -> Lanes:
                return corrected(spec, {**constants, **gains}, x, logged, gate)

            change = jax.vmap(lambda *d: jax.jvp(correct, (x, gains), d)[1])(dx, gain_changes)
            return correct(x, gains), change

        def advance_row(carry: tuple[Lanes, Lanes], row: Any) -> tuple[Any, Any]:
            u, du, logged, gate = row
            carry = jax.lax.scan(
                lambda c, _: (step_along(one, c, u, equations, du, changes), None), carry, length=substeps
            )[0]
            # Held states jump; the same sums hold along every direction.
            carry = after_step(carry[0], u, dt), after_step(carry[1], du, dt)
            carry = correct_along(*carry, logged, gate) if observed else carry
            return carry, (carry[0][:table], carry[1][:table])

        begin = start(windows)
        turned = [jnp.zeros((count, *x.shape), x.dtype) for x in begin]
        for i, direction in enumerate(along_start):
            turned[i] += direction
        after, change = jax.lax.scan(advance_row, (begin, tuple(turned)), (u, du, *rows(windows)))[1]
        return tuple(x[before:] for x in after), tuple(x[before:] for x in change)

    return HistoryRollout(states, sensitivities)
