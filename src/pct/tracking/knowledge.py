"""What is known of the parameters before a drive: ranges, bounds, and the covariance of a fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.errors import UsageError
from pct.measurement.base import Layer
from pct.measurement.chain import effects_of
from pct.measurement.filter import noise_names
from pct.tracking.equations import parts_of
from pct.tracking.problem import UNIFORM
from pct.types import Float
from pct.within import FINITE, check_numbers

MOST = 3
Ends = tuple[float, float]


def ranges_of(
    spec: ModelSpec, vary: str | Sequence[str] | Mapping[str, Ends | None]
) -> dict[str, Ends | None]:
    """The varying parameters with their ranges; None where their bounds are meant.

    Raises:
        UsageError: unknown, no scalars, too many, one twice, or a range that leaves the bounds.
    """
    if isinstance(vary, str):
        vary = [vary]
    ranges = dict(vary) if isinstance(vary, Mapping) else dict.fromkeys(vary)
    if not 1 <= len(ranges) <= MOST:
        raise UsageError(f"`vary`: expected one to {MOST} parameters, got {len(ranges)}")
    outside = {
        row.name
        for effect in effects_of(spec)
        if effect.layer is Layer.CLOCK
        for row in effect.parameters(spec)
    }
    named = [part for name in ranges for part in parts_of(name)]
    if twice := sorted({part for part in named if named.count(part) > 1}):
        raise UsageError(f"`vary`: expected each parameter once, found {', '.join(twice)} more than once")
    for name, ends in ranges.items():
        for part in parts_of(name):
            row = spec.parameter(part)
            if row.shape or part in noise_names(spec) or part in outside:
                raise UsageError(f"`vary={name}`: expected a scalar parameter of the equations: {row.doc}")
        if ends is not None:
            check_numbers("vary", ends, FINITE)
            low, high = spec.param_bounds.get(name, (0.0, np.inf))
            if not float(low) <= ends[0] < ends[1] <= float(high):
                raise UsageError(
                    f"`vary={name}={ends[0]:g}:{ends[1]:g}`: expected LOW:HIGH within {float(low):g} and "
                    f"{float(high):g}"
                )
    return ranges


def check_factors(params: Mapping[str, Any], vary: Sequence[str]) -> None:
    """Refuse a common factor on what is zero.

    Raises:
        UsageError: a factor would change nothing there.
    """
    for name in vary:
        parts = parts_of(name)
        if nothing := [part for part in parts if len(parts) > 1 and float(params[part]) == 0.0]:
            raise UsageError(
                f"`vary={name}`: a factor changes nothing of {', '.join(nothing)}, which is zero"
            )


def known_of_bounds(spec: ModelSpec, vary: Sequence[str]) -> tuple[tuple[str, ...], Float[np.ndarray, "Q Q"]]:
    """The learned scalars of a model but the varying ones, and a covariance as wide as their bounds."""
    held = _held(spec, vary)
    widths = [float(spec.param_bounds[name][1]) - float(spec.param_bounds[name][0]) for name in held]
    return held, np.diag(np.square(np.array(widths) * UNIFORM))


def covariance_of(
    spec: ModelSpec,
    params: Mapping[str, Any],
    solution: Any,
    deviations: Mapping[str, Any],
    vary: Sequence[str],
) -> tuple[tuple[str, ...], Float[np.ndarray, "Q Q"]]:
    """The fitted scalars but the varying ones, and their covariance in their units.

    Args:
        spec: the fitted model.
        params: fitted values.
        solution: with the covariance on the unbounded axis; None where only standard errors are known.
        deviations: standard errors in the units; one that is not finite counts as wide as the bounds.
        vary: names that are left out.
    """
    held = _held(spec, vary)
    known, wide = (
        np.array([float(deviations[name]) for name in held]),
        np.sqrt(np.diag(known_of_bounds(spec, vary)[1])),
    )
    sizes = np.where(np.isfinite(known), np.minimum(known, wide), wide)
    if solution is None:
        return held, np.diag(sizes**2)
    ends = np.cumsum([int(np.prod(spec.full_shapes[key])) for key in spec.param_keys])
    places = [int(ends[spec.param_keys.index(name)]) - 1 for name in held]
    matrix = np.asarray(solution.covariance)[np.ix_(places, places)]
    spread = np.sqrt(np.diag(matrix))
    with np.errstate(all="ignore"):
        correlation = matrix / np.outer(spread, spread)
    sound = np.isfinite(correlation).all()
    return held, (correlation if sound else np.eye(len(held))) * np.outer(sizes, sizes)


def _held(spec: ModelSpec, vary: Sequence[str]) -> tuple[str, ...]:
    """Learned scalars of the equations that do not vary."""
    outside = {
        row.name
        for effect in effects_of(spec)
        if effect.layer is Layer.CLOCK
        for row in effect.parameters(spec)
    }
    skipped = {*(part for name in vary for part in parts_of(name)), *outside, *noise_names(spec)}
    return tuple(name for name in spec.param_keys if not spec.full_shapes[name] and name not in skipped)
