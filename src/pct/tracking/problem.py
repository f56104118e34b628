"""What is tracked, in numbers: a model, its varying and held parameters, and the levels of noise and
change."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec, Parameter
from pct.measurement.chain import effects_of
from pct.tracking.equations import Layout, parts_of, powers_of
from pct.types import Float

# Seconds between changes that are tried, that each is kept, and since which a change is a recent one.
SPACING, GRACE, RECENT = 0.05, 0.4, 2.0
# Rows further apart than this begin anew, s.
LONGEST_GAP = 0.5
# Hypotheses beside those whose grace is not over.
MATURE = 6
# Range of a common factor on several parameters, within their bounds.
LEAST_FACTOR, MOST_FACTOR = 0.05, 2.0
# What a parameter usually wanders in a second, in standard deviations of its range.
WANDER = 1e-3
# Standard deviation of a uniform distribution over its width.
UNIFORM = 12**-0.5


@dataclasses.dataclass(frozen=True)
class Levels:
    """Noise of a drive and how its parameters change.

    Attributes:
        reading: standard deviation of each reading, in its unit, by channel.
        process: that of what moves each filtered state beside the equations, in its unit after one second.
        jumps: changes a second, all varying parameters together.
        wander: standard deviation of what each varying parameter wanders in one second, in its unit, or as a
            share where it counts by its logarithm.
        huber: standard deviations beyond which an error counts linearly.
    """

    reading: Mapping[str, float]
    process: Mapping[str, float]
    jumps: float = 1 / 20
    wander: Mapping[str, float] = dataclasses.field(default_factory=dict)
    huber: float = 4.0


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """A model and what is known of it.

    Attributes:
        spec: the model.
        params: value of every parameter by name.
        vary: names of the parameters that change; ``D_f+D_r`` is a common factor on both, a name behind a
            slash has its inverse.
        held: names of those that do not, but are uncertain.
        covariance: of the held ones, (Q, Q), in their units.
        ranges: of varying ones after a change, in their units; their bounds where there is none.
        rate_errors: whether rates have errors that fade, as the observer of a fit has them; zero otherwise.
        integrator: key of `pct.rollout.integration.TABLEAUS`.
        longest: longest integration step in s.
    """

    spec: ModelSpec
    params: Mapping[str, Any]
    vary: tuple[str, ...]
    held: tuple[str, ...] = ()
    covariance: Float[np.ndarray, "Q Q"] = dataclasses.field(default_factory=lambda: np.zeros((0, 0)))
    ranges: Mapping[str, tuple[float, float]] = dataclasses.field(default_factory=dict)
    rate_errors: bool = False
    integrator: str = "rk4"
    longest: float = 0.025

    @property
    def filtered(self) -> list[int]:
        """Positions of the filtered states: all but the position, which moves nothing."""
        x, y, _ = self.spec.pose_indices
        drifts = () if self.rate_errors or self.spec.measurement is None else _drifts(self.spec)
        rows = (*self.spec.states, *self.spec.hidden)
        return [i for i, row in enumerate(rows) if i not in (x, y) and row.name not in drifts]

    @property
    def names(self) -> list[str]:
        """Names of the filtered states."""
        rows = (*self.spec.states, *self.spec.hidden)
        return [rows[i].name for i in self.filtered]

    def is_logarithmic(self, name: str) -> bool:
        """Whether a varying parameter counts by its logarithm."""
        return name in self.vary and self.row(name).log

    def row(self, name: str) -> Parameter:
        """Symbol, unit and bounds of a varying parameter, or of a common factor."""
        parts = [self.spec.parameter(part) for part in parts_of(name)]
        if len(parts) == 1:
            return parts[0]
        powers = powers_of(name)
        with np.errstate(divide="ignore"):  # a bound of zero bounds no inverse
            ends = np.array([np.array([row.low, row.high]) / float(self.params[row.name]) for row in parts])
            ends = np.sort(ends ** np.array(powers, float)[:, None], axis=1)
        low, high = float(ends[:, 0].max()), float(ends[:, 1].min())
        symbol = r"\,".join(
            f"{'/' * (power < 0)}{row.symbol}" for row, power in zip(parts, powers, strict=True)
        )
        low, high = max(low, LEAST_FACTOR), min(high, MOST_FACTOR)
        return Parameter(
            name, rf"\mathrm{{factor}}({symbol})", "1", low, high, 1.0, f"common factor on {name}"
        )

    def layout(self, stages: int) -> Layout:
        """See `Layout`."""
        filtered = tuple(self.filtered)
        return Layout(
            filtered,
            sum(i < len(self.spec.states) for i in filtered),
            self.vary,
            self.held,
            tuple(self.is_logarithmic(name) for name in (*self.vary, *self.held)),
            MATURE + round(GRACE / SPACING),
            stages,
        )

    def prior(self, name: str) -> tuple[float, float, float, float]:
        """Mean, variance and bounds of a varying parameter, of its logarithm where that counts."""
        scale = np.log if self.is_logarithmic(name) else np.asarray
        row = self.row(name)
        low, high = float(scale(row.low)), float(scale(row.high))
        least, most = (float(scale(end)) for end in self.ranges.get(name, (row.low, row.high)))
        return (least + most) / 2, ((most - least) * UNIFORM) ** 2, low, high

    def shares(self) -> list[float]:
        """What hidden states begin with, in shares of the logged value; zero for others."""
        starts = {state.name: state.start for effect in effects_of(self.spec) for state in effect.hidden()}
        return [starts.get(name, 0.0) for name in self.names]


def usual_levels(problem: Problem) -> Levels:
    """Levels by the tables: usual sensors, and equations that are nearly right."""
    spec, names = problem.spec, problem.names
    rows = {row.name: row for row in (*spec.states, *spec.hidden)}
    reading = {row.name: row.noise or 0.1 * row.scale for row in spec.states if row.name in names}
    wander = {name: WANDER * problem.prior(name)[1] ** 0.5 for name in problem.vary}
    return Levels(reading, {name: 0.02 * rows[name].scale for name in names}, wander=wander)


def _drifts(spec: ModelSpec) -> tuple[str, ...]:
    return tuple(f"{name}_drift" for name in spec.measurement.drift)
