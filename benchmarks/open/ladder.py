"""The rows of the open benchmark on one split: baselines, default parameters, a fit, and a network on top.

All rows are computed on the same windows by `pct.evaluate`. A row that is told more than a prediction may
know (a control that was derived from what is predicted) is marked.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pct
from pct.errors import DataError
from pct.evaluation.evaluate import RUN, Evaluation

AT, STRIDE = 1.0, 3
# Label, unit and the channels that it may be called by.
JUDGED = {
    "position": ("m", ("position",)),
    "heading": ("rad", ("psi", "yaw")),
    "speed": ("m/s", ("vx", "v")),
    "yaw rate": ("rad/s", ("psi_dot",)),
}
FIT, NETWORK, DEFAULT = "pct fit", "pct train on top", "default parameters"
# Of the settings of a fit, what makes its windows and rollouts.
SHAPE = ("dt", "horizon", "history", "stride", "substeps")
TRAIN: dict[str, Any] = {
    "epochs": 8,
    "batch_size": 64,
    "lr": 1e-3,
    "model_hidden": (32, 32),
    "feature_mode": "context",
}


@dataclasses.dataclass(frozen=True)
class Row:
    """Errors of one row of the ladder.

    Attributes:
        name: of the row.
        errors: path RMSE over `AT` seconds with its 95 % interval, by label of `JUDGED`; None where there
            are too few blocks for one.
        exploded: windows that explode.
        told: derived controls that it reads over the horizon; what they drive directly is no prediction.
        rival: whether it is told nothing that the fit is not.
        seconds: of learning; None for a baseline.
    """

    name: str
    errors: dict[str, tuple[float | None, ...]]
    exploded: int
    told: str
    rival: bool = True
    seconds: float | None = None


def climb(
    car: pct.Car,
    train: pct.Drives,
    test: pct.Drives,
    fit: dict[str, Any],
    *,
    network: bool,
    others: Mapping[str, pct.Car] = MappingProxyType({}),
) -> dict[str, Any]:
    """Windows and rows of one split.

    Args:
        car: that is fitted.
        train, test: drives.
        fit: settings of the fit.
        network: whether a network is trained on top.
        others: cars with published parameters, which are run as they are, by name of their row.

    Raises:
        DataError: the windows of the network or of another car are others than those of the fit.
    """
    begin = time.perf_counter()
    fitted = pct.fit(car, train, **fit)
    seconds = time.perf_counter() - begin
    result = pct.evaluate(fitted, test, at=(AT,), stride=STRIDE).result
    rows = [row_of(result, name) for name in result.rows if name != RUN]
    rows += [published_row(name, other, train, test, fit, result) for name, other in others.items()]
    rows.append(row_of(result, RUN, name=FIT, seconds=seconds))
    if network:
        begin = time.perf_counter()
        trained = pct.train(fitted, train, horizon=fit["horizon"], **TRAIN)
        seconds += time.perf_counter() - begin
        other = pct.evaluate(trained, test, at=(AT,), stride=STRIDE).result
        check_windows(NETWORK, other, result)
        rows.append(row_of(other, RUN, name=NETWORK, seconds=seconds))
    return {"windows": result.windows, "rows": [dataclasses.asdict(row) for row in rows]}


def published_row(
    name: str, car: pct.Car, train: pct.Drives, test: pct.Drives, fit: dict[str, Any], beside: Evaluation
) -> Row:
    """A car as it is published: the default parameters of a fit that nobody looks at."""
    shape = {key: fit[key] for key in SHAPE if key in fit}
    result = pct.evaluate(pct.fit(car, train, iterations=1, **shape), test, at=(AT,), stride=STRIDE).result
    check_windows(name, result, beside)
    row = row_of(result, DEFAULT, name=name)
    more = set(result.rows[DEFAULT].told) - set(beside.rows[RUN].told)
    return dataclasses.replace(row, rival=not more)


def check_windows(name: str, result: Evaluation, beside: Evaluation) -> None:
    """Raise DataError where a row is of other windows than the fit."""
    if result.windows != beside.windows:
        raise DataError(f"{name}: expected {beside.windows} windows, found {result.windows}")


def row_of(result: Evaluation, row: str, *, name: str = "", seconds: float | None = None) -> Row:
    """A row of an evaluation under a name of the benchmark."""
    found = result.rows[row]
    (at,) = result.at
    errors = {}
    for label, (_, channels) in JUDGED.items():
        for channel in channels:
            if channel in found.scores[at]:
                error = found.scores[at][channel].path_rmse
                numbers = (error.value, error.low, error.high)
                errors[label] = tuple(number if math.isfinite(number) else None for number in numbers)
                break
    told, rival = ", ".join(found.told), bool(found.comparable)
    return Row(name or row, errors, found.exploded[at], told, rival, seconds)
