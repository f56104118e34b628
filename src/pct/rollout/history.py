"""Rollouts that begin with a history: states, and their derivatives by the parameters, forward in time.

The model is rolled over all rows of a window; while the history lasts, an observer corrects its state by
gains that the filter computes beforehand (`HistoryRollout.gains`).
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
from pct.measurement.filter import corrected, errors_read, filters, layout, predicted, uncertainty, update
from pct.measurement.observer import GAINS, observes
from pct.rollout.integration import TABLEAUS, explicit_step
from pct.rollout.kernels import one_kernel, unknown_one
from pct.rollout.lanes import Lanes, make_rates
from pct.types import Array, WholeWindows

Params = Mapping[str, Any]


class HistoryRollout(NamedTuple):
    """Functions of learned parameters by name, of shape () or their own axes, and `WholeWindows`.

    Attributes:
        states: ``states(params, windows, gains=None)``: every state at the end of the history, hidden ones
            last, (B,) each, and the states of the table over the horizon, (T, B) each.
        sensitivities: ``sensitivities(params, directions, windows, gains=None)``, with directions (D, ...)
            for each parameter: the states over the horizon, and their change along each direction, (T, D, B)
            each, the gains held. ``along_start``, (D, 1) for each state of the table, turns the start along
            each direction, too.
        gains: ``gains(params, windows)``: corrections by the observer after each row of the history, (H, N,
            M, B); computed where they are left out; None without an observer.
    """

    states: Callable[..., tuple[Lanes, Lanes]]
    sensitivities: Callable[..., tuple[Lanes, Lanes]]
    gains: Callable[[Params, WholeWindows], Array] | None


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
    places = layout(spec)
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

    def rows(windows: WholeWindows, gains: Array | None) -> tuple[Lanes, Array, Array]:
        """What is logged after each step, whether it corrects, and by what."""
        logged = tuple(x[first + 1 :] for x in windows.states)
        number = jnp.arange(first + 1, windows.states[0].shape[0])
        if gains is None:
            none = jnp.zeros((number.size, 0, 0, 1), logged[0].dtype)
        else:
            none = jnp.concatenate([gains, jnp.zeros((number.size - history, *gains.shape[1:]), gains.dtype)])
        return logged, (number <= history).astype(logged[0].dtype), none

    def correct(x: Lanes, logged: Lanes, gate: Array, gains: Array) -> Lanes:
        return corrected(spec, places, x, logged, gains, gate)

    def start(windows: WholeWindows) -> Lanes:
        x, u = (tuple(leaf[first] for leaf in part) for part in windows)
        return (*x, *hidden_start(spec, x, u))

    def acting(windows: WholeWindows, params: Params) -> Lanes:
        """Controls as they act, of the rows that are rolled over."""
        columns = acting_controls(spec, {**constants, **params}, windows.controls, dt)
        return tuple(column[first:] for column in columns)

    def advance_each(x: Lanes, dx: Lanes, u: Lanes, params: Params) -> tuple[Lanes, Lanes]:
        return jax.vmap(lambda *dx: jax.jvp(lambda *x: advance(x, u, params), x, dx), out_axes=(None, 0))(*dx)

    step_each = one_kernel(advance_each)

    def filter_gains(params: Params, windows: WholeWindows) -> Array:
        """Gains of the filter, whose own uncertainty follows the rollout."""
        one = unknown_one(windows.states[0])
        uncertain = uncertainty(spec, {**constants, **params}, dt, windows.states[0].dtype, jnp)
        equations, estimated = dynamic(params), places.estimated
        begin, count = start(windows), len(estimated)
        unit = jnp.eye(count, dtype=begin[0].dtype)
        still = jnp.zeros((count, begin[0].shape[-1]), unit.dtype)
        directions = [still] * len(begin)
        for k, i in enumerate(estimated):
            directions[i] = still + uncertain.scale[k] * unit[:, k, None]

        def advance_row(carry: tuple[Lanes, Array], row: Any) -> tuple[tuple[Lanes, Array], Array]:
            (x, covariance), (u, logged, gate) = carry, row
            x, along = jax.lax.scan(
                lambda c, _: (step_each(one, *c, u, equations), None), (x, tuple(directions)), length=substeps
            )[0]
            x = after_step(x, u, dt)
            move = jnp.stack([along[i] for i in estimated]) / uncertain.scale[:, None, None]
            errors = jnp.stack(errors_read(spec, places, x, logged))
            errors = errors / uncertain.scale[: len(errors), None]
            covariance, gains = update(predicted(covariance, move, uncertain, jnp), errors, uncertain, jnp)
            gains = jnp.where(uncertain.reading > 0, gains, uncertain.plain[:, :, None])
            gains = gains * (uncertain.scale[:, None] / uncertain.scale[: gains.shape[1]])[:, :, None]
            return (correct(x, logged, gate, gains), covariance), gains

        past = windows._replace(states=tuple(x[: history + 1] for x in windows.states))
        controls = tuple(u[:history] for u in acting(windows, params))
        logged, gate, _ = rows(past, None)
        covariance = (uncertain.first[:, None] * unit)[:, :, None] + still[None]
        return jax.lax.scan(advance_row, (begin, covariance), (controls, logged, gate))[1]

    def former_gains(params: Params, windows: WholeWindows) -> Array:
        """Gains that a run of an earlier version has learned, the same in each row."""
        gains = {**constants, **params}[GAINS]
        return jnp.broadcast_to(gains[None, :, :, None], (history, *gains.shape, 1))

    make_gains = (filter_gains if filters(spec) else former_gains) if observed else None

    def states(params: Params, windows: WholeWindows, gains: Array | None = None) -> tuple[Lanes, Lanes]:
        one = unknown_one(windows.states[0])
        if gains is None and make_gains is not None:
            gains = make_gains(params, windows)
        controls = acting(windows, params)
        equations = dynamic(params)

        def advance_row(x: Lanes, row: Any) -> tuple[Lanes, Lanes]:
            u, *correction = row
            x = jax.lax.scan(lambda x, _: (step(one, x, u, equations), None), x, length=substeps)[0]
            x = after_step(x, u, dt)
            x = correct(x, *correction) if observed else x
            return x, x

        begin = start(windows)
        after = jax.lax.scan(advance_row, begin, (controls, *rows(windows, gains)))[1]
        at_start = tuple(x[before - 1] for x in after) if before else begin
        return at_start, tuple(x[before:] for x in after[:table])

    def sensitivities(
        params: Params,
        directions: Params,
        windows: WholeWindows,
        gains: Array | None = None,
        along_start: Lanes = (),
    ) -> tuple[Lanes, Lanes]:
        one = unknown_one(windows.states[0])
        if gains is None and make_gains is not None:
            gains = make_gains(params, windows)
        count = jax.tree.leaves(directions)[0].shape[0]
        u = acting(windows, params)
        along = jax.vmap(lambda d: jax.jvp(partial(acting, windows), (params,), (d,))[1], out_axes=1)
        du = along(directions)
        equations, changes = dynamic(params), dynamic(directions)

        def correct_along(x: Lanes, dx: Lanes, *correction: Array) -> tuple[Lanes, Lanes]:
            change = jax.vmap(lambda *d: jax.jvp(lambda *x: correct(x, *correction), x, d)[1])(*dx)
            return correct(x, *correction), change

        def advance_row(carry: tuple[Lanes, Lanes], row: Any) -> tuple[Any, Any]:
            u, du, *correction = row
            carry = jax.lax.scan(
                lambda c, _: (step_along(one, c, u, equations, du, changes), None), carry, length=substeps
            )[0]
            # Held states jump; the same sums hold along every direction.
            carry = after_step(carry[0], u, dt), after_step(carry[1], du, dt)
            carry = correct_along(*carry, *correction) if observed else carry
            return carry, (carry[0][:table], carry[1][:table])

        begin = start(windows)
        turned = [jnp.zeros((count, *x.shape), x.dtype) for x in begin]
        for i, direction in enumerate(along_start):
            turned[i] += direction
        after, change = jax.lax.scan(advance_row, (begin, tuple(turned)), (u, du, *rows(windows, gains)))[1]
        return tuple(x[before:] for x in after), tuple(x[before:] for x in change)

    return HistoryRollout(states, sensitivities, make_gains)
