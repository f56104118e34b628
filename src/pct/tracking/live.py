"""The tracker row by row, as it drives: bounded memory, and one call of native code a row."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from pct.errors import UsageError
from pct.measurement.base import Layer
from pct.measurement.chain import effects_of
from pct.tracking.drives import make_filter
from pct.tracking.problem import Levels, Problem

Values = Sequence[float] | Mapping[str, float] | np.ndarray


class Estimate(NamedTuple):
    """What is known after a row, by varying parameter in order, in their units.

    Attributes:
        t: time of the row in s.
        median, low, high: and ends of the 95 % band.
        told: from 0, where the drive tells nothing of a change, to 1.
        recent: probability of a change within the last two seconds.
    """

    t: float
    median: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    told: tuple[float, ...]
    recent: tuple[float, ...]


class LiveFilter:
    """Takes rows one by one."""

    def __init__(self, problem: Problem, levels: Levels) -> None:
        """Compile, or take the compiled code from the cache.

        Raises:
            UsageError: the equations or the machine do not allow it.
        """
        spec = problem.spec
        self._filter = make_filter(problem, levels)
        self._names = spec.state_names, spec.control_names
        self._logarithmic = [problem.is_logarithmic(name) for name in problem.vary]
        self._ramped = np.array([name in spec.interpolated for name in spec.control_names], bool)
        self._delays = [
            (spec.control_names.index(name), float(problem.params[f"delay_{name}"]))
            for effect in effects_of(spec)
            if effect.layer is Layer.CLOCK
            for name in effect.channels
        ]
        longest = max((delay for _, delay in self._delays), default=0.0)
        self._reach = longest + 0.1
        self._past: deque[tuple[float, np.ndarray]] = deque(maxlen=4096)
        self._last: tuple[float, np.ndarray] | None = None

    def update(self, t: float, state: Values, control: Values) -> Estimate:
        """Take a row.

        Args:
            t: time in s, later than that of the row before.
            state: as logged, in the model's order or by name, in its units; NaN, or no such name, where
                there is no reading.
            control: from this row on, in the model's order or by name; the one before holds where it is NaN.

        Raises:
            UsageError: a time that does not grow, or another number of values.
        """
        y, u = (self._row(values, names) for values, names in zip((state, control), self._names, strict=True))
        if not math.isfinite(t) or (self._last is not None and t <= self._last[0]):
            before = "" if self._last is None else f" after {self._last[0]:g} s"
            raise UsageError(f"`t={t}`: expected a time that grows from row to row{before}")
        u = self._complete(u)
        over = u if self._last is None else self._over_step(t, u)
        self._last = t, u
        numbers = self._filter.update(t, y, over).tolist()
        count = len(self._logarithmic)
        middle, low, high, _, _, recent, told = (
            tuple(numbers[k * count : (k + 1) * count]) for k in range(7)
        )
        if any(self._logarithmic):
            middle, low, high = (self._in_units(values) for values in (middle, low, high))
        return Estimate(t, middle, low, high, told, recent)

    def _row(self, values: Values, names: Sequence[str]) -> np.ndarray:
        if isinstance(values, Mapping):
            values = [values.get(name, math.nan) for name in names]
        row = np.asarray(values, float)
        if row.shape != (len(names),):
            raise UsageError(f"expected {len(names)} values ({', '.join(names)}), got {np.shape(values)}")
        return row

    def _complete(self, u: np.ndarray) -> np.ndarray:
        """The control without gaps: the one before holds."""
        missing = ~np.isfinite(u)
        if not missing.any():
            return u
        return np.where(missing, 0.0 if self._last is None else self._last[1], u)

    def _over_step(self, t: float, u: np.ndarray) -> np.ndarray:
        """The control over the step that ends now."""
        assert self._last is not None
        before, last = self._last
        over = np.where(self._ramped, (last + u) / 2, last)
        if self._delays:
            self._past.append((before, over))
            while len(self._past) > 2 and self._past[1][0] < before - self._reach:
                self._past.popleft()
            times, rows = [time for time, _ in self._past], np.array([row for _, row in self._past])
            over = over.copy()
            for place, delay in self._delays:
                over[place] = np.interp(before - delay, times, rows[:, place])
        return over

    def _in_units(self, values: tuple[float, ...]) -> tuple[float, ...]:
        pairs = zip(values, self._logarithmic, strict=True)
        return tuple(math.exp(value) if logarithmic else value for value, logarithmic in pairs)
