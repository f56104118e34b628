"""The one derivative of a model as rollouts call it: by channel, on stacked vectors, within limits."""

from __future__ import annotations

import dataclasses
import functools
from collections import namedtuple
from collections.abc import Callable, Mapping
from typing import Any

from pct.types import Array


@dataclasses.dataclass(frozen=True)
class LaneRates:
    """A derivative on tuples of arrays and a mapping of parameters, which it gets under their names.

    ``held`` has the position of each state that a step holds, and that of its rate control.
    """

    derivative: Callable[..., Any]
    states: tuple[str, ...]
    controls: tuple[str, ...]
    parameters: tuple[str, ...]
    held: tuple[tuple[int, int], ...] = ()

    def __call__(
        self, x: tuple[Array, ...], u: tuple[Array, ...], params: Mapping[str, Any], xp: Any
    ) -> tuple[Array, ...]:
        """Time derivative of every state.

        Args:
            x, u: states and controls in the order of the tables, of shape (...) each.
            params: value by name, scalars of shape () or (...), arrays with their axes last.
            xp: array namespace.

        Returns:
            One array a state; of shape () where the rate is a constant.
        """
        state, control, named = self._tuples
        p = named(*(params[name] for name in self.parameters))
        return tuple(self.derivative(state(*x), control(*u), p, xp))

    def within_step(
        self, x: tuple[Array, ...], u: tuple[Array, ...], params: Mapping[str, Any], xp: Any
    ) -> tuple[Array, ...]:
        """The same inside a time step, where held states stay."""
        rates = list(self(x, u, params, xp))
        for state, _ in self.held:
            rates[state] = 0.0 * x[state]
        return tuple(rates)

    def after_step(self, x: tuple[Array, ...], u: tuple[Array, ...], dt: Any) -> tuple[Array, ...]:
        """The state at the end of a time step of ``dt`` s: held states jump to their next value."""
        after = list(x)
        for state, control in self.held:
            after[state] = x[state] + dt * u[control]
        return tuple(after)

    def __getstate__(self) -> dict[str, Any]:
        # The named tuples are classes of no module, which nobody can pickle.
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    @functools.cached_property
    def _tuples(self) -> tuple[Any, Any, Any]:
        # mypy knows named tuples with literal fields only.
        State = namedtuple("State", self.states)  # type: ignore[misc]
        Control = namedtuple("Control", self.controls)  # type: ignore[misc]
        Params = namedtuple("Params", self.parameters)  # type: ignore[misc]
        return State, Control, Params


@dataclasses.dataclass(frozen=True)
class StackedRates:
    """The derivative on stacked vectors, as documented: zeros in the control slots."""

    lanes: LaneRates

    def __call__(self, x_and_u: Array, params: Mapping[str, Any], xp: Any = None) -> Array:
        """Time derivative of the concatenated state and control.

        Args:
            x_and_u: states then controls on the last axis, shape (..., S + C).
            params: value by name, scalars of shape () or (...), arrays with their axes last.
            xp: array namespace; ``jax.numpy`` when left out.

        Returns:
            Shape (..., S + C), zeros in the control slots.
        """
        if xp is None:
            import jax.numpy as xp
        states, controls = len(self.lanes.states), len(self.lanes.controls)
        lanes = [x_and_u[..., i] for i in range(states + controls)]
        rates = self.lanes(tuple(lanes[:states]), tuple(lanes[states:]), params, xp)
        zero = xp.zeros_like(x_and_u[..., 0])
        return xp.stack([zero + rate for rate in rates] + [zero] * controls, axis=-1)

    @property
    def held(self) -> tuple[tuple[int, int], ...]:
        """Position of each state that a step holds, and of its rate control, in the stacked vector."""
        return tuple((state, len(self.lanes.states) + control) for state, control in self.lanes.held)


@dataclasses.dataclass(frozen=True)
class WithinLimits:
    """A derivative whose controls pass limits first; one object for one model, so that caches know it."""

    derivative: Callable[..., Any]
    limits: Callable[..., Mapping[str, Any]]
    limited: tuple[str, ...]

    def __call__(self, x: Any, u: Any, p: Any, xp: Any) -> Any:
        """Arguments as of `define_model`'s derivative."""
        within = self.limits(x, u, p, xp)
        return self.derivative(
            x, u._replace(**{name: within[name] for name in self.limited if name in within}), p, xp
        )


def within_limits(
    derivative: Callable[..., Any], limits: Callable[..., Mapping[str, Any]] | None, limited: tuple[str, ...]
) -> Callable[..., Any]:
    """The derivative behind limits on some of its controls.

    A derivative that wraps a vehicle's, such as that of a measurement, puts them before the vehicle itself,
    with a method ``within_limits(limits, limited)``.
    """
    inside = getattr(derivative, "within_limits", None)
    if inside is not None:
        inner: Callable[..., Any] = inside(limits, limited)
        return inner
    return derivative if limits is None or not limited else WithinLimits(derivative, limits, limited)
