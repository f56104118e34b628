"""Whether equations that somebody has written can be computed at all, in one sentence where not."""

from __future__ import annotations

import functools
import traceback

import jax
import jax.numpy as jnp

from pct.dynamics.core import ModelSpec
from pct.errors import UsageError

# What the errors of JAX come from, and what to write instead.
CURES = (
    (jax.errors.TracerArrayConversionError, "call the functions of `xp`, not those of NumPy"),
    (jax.errors.TracerBoolConversionError, "write `xp.where(condition, a, b)`, not `if`"),
    (jax.errors.ConcretizationTypeError, "write `xp.where(condition, a, b)`, not `if`"),
)


@functools.cache
def check_equations(spec: ModelSpec) -> None:
    """Trace the derivative of a model once, without computing anything.

    Raises:
        UsageError: it fails, or does not give one rate a state; the message names the line.
    """
    row = jax.ShapeDtypeStruct((1,), jnp.float32)
    states, controls = spec.lane_rates.states, spec.lane_rates.controls
    params = {
        row.name: jax.ShapeDtypeStruct(spec.param_shapes.get(row.name, ()), jnp.float32)
        for row in spec.parameters
    }

    def rates(x: tuple[jax.Array, ...], u: tuple[jax.Array, ...], p: dict[str, jax.Array]) -> object:
        return [jnp.broadcast_to(rate, (1,)) for rate in spec.lane_rates(x, u, p, jnp)]

    try:
        given = jax.eval_shape(rates, (row,) * len(states), (row,) * len(controls), params)
    except Exception as error:
        cure = next((f": {cure}" for kind, cure in CURES if isinstance(error, kind)), "")
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"model '{spec.name}': its equations fail{_line_of(spec, error)}: "
            f"{type(error).__name__}: {reason}{cure}"
        ) from error
    if len(given) != len(states):
        raise UsageError(
            f"model '{spec.name}': expected a rate of each of {', '.join(states)}, found {len(given)} rates: "
            "return x._replace(...) with each of them"
        )


def _line_of(spec: ModelSpec, error: Exception) -> str:
    """Where in the derivative's own file an error comes from; empty where that is not known."""
    code = getattr(spec.derivative, "__code__", None)
    if code is None:
        return ""
    own = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if (frame.filename, frame.name) == (code.co_filename, code.co_name)
    ]
    return f" in line {own[-1]} of {code.co_filename}" if own else ""
