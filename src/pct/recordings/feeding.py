"""Which models a log can feed, and what each of the others would need."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable

import numpy as np

from pct.dynamics.core import MODEL_SPECS, ModelSpec
from pct.recordings.trajectory import Trajectory
from pct.recordings.unlogged import ASSUMED, SMOOTHED, complete, has

# Rows of the recording that stands for a log.
ROWS = 8


@dataclasses.dataclass(frozen=True)
class Feeding:
    """What a log has for a model.

    Attributes:
        model: its name.
        missing: channels that the log lacks and that nothing stands in for.
        assumed: states that it lacks, that are not compared.
        compared: states that are compared.
        needs: what would give something to compare, where there is nothing.
    """

    model: str
    missing: tuple[str, ...]
    assumed: tuple[str, ...]
    compared: tuple[str, ...]
    needs: tuple[str, ...] = ()

    @property
    def feeds(self) -> bool:
        """Whether a fit has something to compare."""
        return not self.missing and bool(self.compared)

    def __str__(self) -> str:
        """In a line.

        Examples:
            >>> print(Feeding("unicycle", ("psi_dot",), (), ("v",)))
            unicycle: needs psi_dot
        """
        if self.missing:
            return f"{self.model}: needs {', '.join(self.missing)}"
        if not self.compared:
            return f"{self.model}: nothing to compare; needs {' or '.join(self.needs) or 'a position'}"
        without = f"; without {', '.join(self.assumed)}" if self.assumed else ""
        return f"{self.model}: yes, compares {', '.join(self.compared)}{without}"


def feeding(spec: ModelSpec, logged: Collection[str]) -> Feeding:
    """What a log has for a model.

    Args:
        spec: the model.
        logged: names of the channels of the log.
    """
    names = [channel.name for channel in (*spec.states, *spec.controls)]
    sample = complete(_sample(logged), spec)
    missing = tuple(name for name in names if not has(name, sample.channels))
    # Without a speed no pose can be reckoned: the speed is what is needed.
    missing = tuple(name for name in missing if name not in spec.pose) or missing
    assumed = {name for name in spec.state_names if sample.origins.get(name) == ASSUMED}
    # A control that is derived from a state predicts it to rounding.
    told = {
        state
        for state, rate in spec.rates.items()
        if state not in spec.pose and sample.origins.get(rate, SMOOTHED) == SMOOTHED
    }
    compared = tuple(name for name in spec.state_names if name not in assumed | told)
    needs = tuple(spec.rates[state] for state in spec.state_names if state in told - assumed)
    return Feeding(
        spec.name, missing, tuple(name for name in spec.state_names if name in assumed), compared, needs
    )


def feeding_lines(logged: Collection[str]) -> list[str]:
    """A line for each registered model: those that the log feeds first."""
    found = [feeding(spec, logged) for spec in MODEL_SPECS.values()]
    return [str(item) for item in sorted(found, key=lambda item: not item.feeds)]


def shared_channels(recordings: Iterable[Collection[str]]) -> tuple[str, ...]:
    """Names of the channels that all recordings hold, in the order of the first."""
    every = [list(channels) for channels in recordings]
    return tuple(name for name in (every[0] if every else ()) if all(name in names for names in every))


def _sample(logged: Collection[str]) -> Trajectory:
    column = np.linspace(0.0, 1.0, ROWS)
    return Trajectory(
        "log",
        0.05,
        dict.fromkeys(logged, column),
        dict.fromkeys(logged, ""),
        dict.fromkeys(logged, "measured"),
    )
