"""By what the parameters that a network predicts vary: with the moment, and from drive to drive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.evaluation.simulated import Simulated
from pct.optimization.network.model import TrainedModel
from pct.types import Float, Rows
from pct.windows.batch import FeatureDataset

# Less than this share of the value (or, near zero, of a tenth of the range) is no change.
LEAST = 0.01
# A rank correlation below this says nothing: neighbouring windows share rows.
FOLLOWS = 0.3


class Varying(NamedTuple):
    """A scalar parameter as it is predicted over windows.

    Attributes:
        median, low, high: of the predictions, with their 5 and 95 percentiles, in its unit.
        changes: whether these ends differ by more than a hundredth of its size.
        between: share of its variance that lies between recordings; None for one recording.
        follows, correlation: the quantity that it goes along with most, and their rank correlation; None
            where it changes along with none.
        truth_error, truth_correlation: median error and correlation beside the known truth; None without.
    """

    median: float
    low: float
    high: float
    changes: bool
    between: float | None = None
    follows: str | None = None
    correlation: float | None = None
    truth_error: float | None = None
    truth_correlation: float | None = None


def varying_parameters(model: TrainedModel, batch: FeatureDataset, drive: Simulated) -> dict[str, Varying]:
    """How each scalar parameter varies over windows, by name: with how the car is driven, and with features.

    Args:
        model: the network.
        batch: windows as it reads them, with their origin.
        drive: the same windows as they were driven.
    """
    origin = batch.origin
    assert origin is not None
    store = drive.windows.store
    # A name may explain itself behind a colon.
    quantities = {name.partition(":")[0]: values for name, (_, values) in drive.conditions().items()}
    for name, column in zip(store.exogenous_names, store.exogenous[drive.windows.starts].T, strict=True):
        quantities[f"feature.{name}"] = np.asarray(column, float)
    return {
        name: vary(
            np.asarray(values, float),
            size_of(model.spec, name),
            origin.recording,
            quantities,
            origin.truth.get(name),
        )
        for name, values in model.predict_parameters(batch).items()
        if np.ndim(values) == 1
    }


def size_of(spec: ModelSpec, name: str) -> float:
    """A tenth of a parameter's range, in its unit: what a change near zero is compared with."""
    row = spec.parameter(name)
    return 0.1 * float(row.high - row.low)


def vary(
    values: Float[np.ndarray, " B"],
    least: float,
    recording: Rows,
    quantities: Mapping[str, Float[np.ndarray, " B"]],
    truth: Float[np.ndarray, " B"] | None = None,
) -> Varying:
    """How one parameter varies.

    Args:
        values: predictions by window.
        least: size that a change near zero is compared with.
        recording: number of each window's recording.
        quantities: what it may go along with, by name.
        truth: the known parameter at each window, NaN where it is not known.

    Examples:
        >>> speed = np.array([1.0, 2.0, 3.0, 4.0])
        >>> found = vary(0.9 - 0.1 * speed, 0.1, np.array([0, 0, 1, 1]), {"speed": speed})
        >>> found.follows, round(found.correlation, 3), round(found.between, 3)
        ('speed', -1.0, 0.8)
    """
    low, median, high = map(float, np.quantile(values, [0.05, 0.5, 0.95]))
    found = Varying(median, low, high, changes=high - low > LEAST * max(abs(median), least))
    if truth is not None and (known := np.isfinite(truth)).any():
        off = float(np.median(np.abs(values - truth)[known]))
        found = found._replace(truth_error=off, truth_correlation=_correlation(values[known], truth[known]))
    if not found.changes:
        return found
    if len(np.unique(recording)) > 1:
        means = np.array([values[recording == number].mean() for number in recording])
        found = found._replace(between=float(means.var() / values.var()))
    beside = {name: _correlation(_ranks(values), _ranks(other)) for name, other in quantities.items()}
    known = {name: value for name, value in beside.items() if value is not None and abs(value) >= FOLLOWS}
    if known:
        name = max(known, key=lambda name: abs(known[name]))
        found = found._replace(follows=name, correlation=known[name])
    return found


def _ranks(values: Float[np.ndarray, " B"]) -> Float[np.ndarray, " B"]:
    """Rank of each value; equal ones share the mean of theirs."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: np.ndarray = ends - 0.5 * (counts - 1)
    return ranks[places]


def _correlation(a: Float[np.ndarray, " B"], b: Float[np.ndarray, " B"]) -> float | None:
    """Correlation of two rows; None where one of them does not change."""
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size > 1e-12 else None
