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
    rolling = _Rolling(spec, base_params, integrator, substeps, history)
    gains = None
    if observes(spec):
        gains = rolling.filter_gains if filters(spec) else rolling.former_gains
    return HistoryRollout(
        partial(rolling.states, make_gains=gains), partial(rolling.sensitivities, make_gains=gains), gains
    )


MakeGains = Callable[[Params, WholeWindows], Array] | None


class _Rolling:
    """A model, how it is integrated, and its steps, each one kernel; arguments of `make_history_rollout`."""

    def __init__(
        self, spec: ModelSpec, base_params: Params, integrator: str, substeps: int, history: int
    ) -> None:
        self.spec, self.dt, self.substeps, self.history = spec, base_params["dt"], substeps, history
        self.constants = {key: value for key, value in base_params.items() if key != "dt"}
        self.unread, self.places = outside_equations(spec), layout(spec)
        self.observed = observes(spec)
        self.first = 0 if self.observed else history
        rates = make_rates(spec, base_params)

        def advance(x: Lanes, u: Lanes, params: Params) -> Lanes:
            h = self.dt / substeps
            return explicit_step(TABLEAUS[integrator], lambda x: rates(x, u, params), x, h)

        def advance_along(state: tuple[Lanes, Lanes], u: Lanes, params: Params, du: Lanes, dp: Params) -> Any:
            x, dx = state
            return jax.vmap(lambda *d: jax.jvp(advance, (x, u, params), d), out_axes=(None, 0))(dx, du, dp)

        def advance_each(state: tuple[Lanes, Lanes], u: Lanes, params: Params) -> Any:
            x, dx = state
            along = jax.vmap(lambda *d: jax.jvp(lambda *x: advance(x, u, params), x, d), out_axes=(None, 0))
            return along(*dx)

        self.advance, self.advance_along = one_kernel(advance), one_kernel(advance_along)
        self.advance_each = one_kernel(advance_each)

    def step(self, kernel: Callable[..., Any], one: Array, state: Any, *given: Any) -> Any:
        """A time step of a kernel, in equal parts."""
        return jax.lax.scan(lambda c, _: (kernel(one, c, *given), None), state, length=self.substeps)[0]

    def jump(self, x: Lanes, u: Lanes) -> Lanes:
        """Held states after a step."""
        return self.spec.lane_rates.after_step(x, u, self.dt)

    def equations(self, params: Params) -> dict[str, Any]:
        """The parameters that the equations read."""
        return {key: value for key, value in params.items() if key not in self.unread}

    def rows(self, windows: WholeWindows, gains: Array | None) -> tuple[Lanes, Array, Array]:
        """What is logged after each step, whether it corrects, and by what."""
        logged = tuple(x[self.first + 1 :] for x in windows.states)
        number = jnp.arange(self.first + 1, windows.states[0].shape[0])
        gate = (number <= self.history).astype(logged[0].dtype)
        if gains is None:
            return logged, gate, jnp.zeros((number.size, 0, 0, 1), gate.dtype)
        ahead = jnp.zeros((number.size - self.history, *gains.shape[1:]), gains.dtype)
        return logged, gate, jnp.concatenate([gains, ahead])

    def correct(self, x: Lanes, logged: Lanes, gate: Array, gains: Array) -> Lanes:
        """The state moved towards what is logged."""
        return corrected(self.spec, self.places, x, logged, gains, gate)

    def start(self, windows: WholeWindows) -> Lanes:
        """The state that a rollout begins at."""
        x, u = (tuple(leaf[self.first] for leaf in part) for part in windows)
        return (*x, *hidden_start(self.spec, x, u))

    def acting(self, windows: WholeWindows, params: Params) -> Lanes:
        """Controls as they act, of the rows that are rolled over."""
        columns = acting_controls(self.spec, {**self.constants, **params}, windows.controls, self.dt)
        return tuple(column[self.first :] for column in columns)

    def filter_gains(self, params: Params, windows: WholeWindows) -> Array:
        """Gains of the filter, whose own uncertainty follows the rollout."""
        one = unknown_one(windows.states[0])
        values, dtype = {**self.constants, **params}, windows.states[0].dtype
        uncertain = uncertainty(self.spec, values, self.dt, dtype, jnp)
        equations, estimated = self.equations(params), self.places.estimated
        begin = self.start(windows)
        unit = jnp.eye(len(estimated), dtype=dtype)
        still = jnp.zeros((len(estimated), begin[0].shape[-1]), dtype)
        directions = [still] * len(begin)
        for k, i in enumerate(estimated):
            directions[i] = still + uncertain.scale[k] * unit[:, k, None]

        def advance_row(carry: tuple[Lanes, Array], row: Any) -> tuple[tuple[Lanes, Array], Array]:
            (x, covariance), (u, logged, gate) = carry, row
            x, along = self.step(self.advance_each, one, (x, tuple(directions)), u, equations)
            x = self.jump(x, u)
            move = jnp.stack([along[i] for i in estimated]) / uncertain.scale[:, None, None]
            errors = jnp.stack(errors_read(self.spec, self.places, x, logged))
            errors = errors / uncertain.scale[: len(errors), None]
            covariance, gains = update(predicted(covariance, move, uncertain, jnp), errors, uncertain, jnp)
            gains = jnp.where(uncertain.reading > 0, gains, uncertain.plain[:, :, None])
            gains = gains * (uncertain.scale[:, None] / uncertain.scale[: gains.shape[1]])[:, :, None]
            return (self.correct(x, logged, gate, gains), covariance), gains

        past = windows._replace(states=tuple(x[: self.history + 1] for x in windows.states))
        controls = tuple(u[: self.history] for u in self.acting(windows, params))
        logged, gate, _ = self.rows(past, None)
        covariance = (uncertain.first[:, None] * unit)[:, :, None] + still[None]
        return jax.lax.scan(advance_row, (begin, covariance), (controls, logged, gate))[1]

    def former_gains(self, params: Params, windows: WholeWindows) -> Array:
        """Gains that a run of an earlier version has learned, the same in each row."""
        gains = {**self.constants, **params}[GAINS]
        return jnp.broadcast_to(gains[None, :, :, None], (self.history, *gains.shape, 1))

    def states(
        self, params: Params, windows: WholeWindows, gains: Array | None = None, *, make_gains: MakeGains
    ) -> tuple[Lanes, Lanes]:
        """See `HistoryRollout`."""
        one = unknown_one(windows.states[0])
        if gains is None and make_gains is not None:
            gains = make_gains(params, windows)
        controls, equations = self.acting(windows, params), self.equations(params)

        def advance_row(x: Lanes, row: Any) -> tuple[Lanes, Lanes]:
            u, *correction = row
            x = self.jump(self.step(self.advance, one, x, u, equations), u)
            x = self.correct(x, *correction) if self.observed else x
            return x, x

        begin, before = self.start(windows), self.history - self.first
        after = jax.lax.scan(advance_row, begin, (controls, *self.rows(windows, gains)))[1]
        at_start = tuple(x[before - 1] for x in after) if before else begin
        return at_start, tuple(x[before:] for x in after[: len(self.spec.states)])

    def sensitivities(
        self,
        params: Params,
        directions: Params,
        windows: WholeWindows,
        gains: Array | None = None,
        along_start: Lanes = (),
        *,
        make_gains: MakeGains,
    ) -> tuple[Lanes, Lanes]:
        """See `HistoryRollout`."""
        one = unknown_one(windows.states[0])
        if gains is None and make_gains is not None:
            gains = make_gains(params, windows)
        count, table = jax.tree.leaves(directions)[0].shape[0], len(self.spec.states)
        u = self.acting(windows, params)
        along = jax.vmap(lambda d: jax.jvp(partial(self.acting, windows), (params,), (d,))[1], out_axes=1)
        du = along(directions)
        equations, changes = self.equations(params), self.equations(directions)

        def correct_along(x: Lanes, dx: Lanes, *correction: Array) -> tuple[Lanes, Lanes]:
            change = jax.vmap(lambda *d: jax.jvp(lambda *x: self.correct(x, *correction), x, d)[1])(*dx)
            return self.correct(x, *correction), change

        def advance_row(carry: tuple[Lanes, Lanes], row: Any) -> tuple[Any, Any]:
            u, du, *correction = row
            x, dx = self.step(self.advance_along, one, carry, u, equations, du, changes)
            # Held states jump; the same sums hold along every direction.
            carry = self.jump(x, u), self.jump(dx, du)
            carry = correct_along(*carry, *correction) if self.observed else carry
            return carry, (carry[0][:table], carry[1][:table])

        begin, before = self.start(windows), self.history - self.first
        turned = [jnp.zeros((count, *x.shape), x.dtype) for x in begin]
        for i, direction in enumerate(along_start):
            turned[i] += direction
        rows = (u, du, *self.rows(windows, gains))
        after, change = jax.lax.scan(advance_row, (begin, tuple(turned)), rows)[1]
        return tuple(x[before:] for x in after), tuple(x[before:] for x in change)
