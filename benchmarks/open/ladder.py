"""The rows of the open benchmark on one split: baselines, default parameters, a fit, and a network on top.

All rows are computed on the same windows by `pct.evaluate`. A row that is told more than a prediction may
know (a control that was derived from what is predicted) is marked.
"""

from __future__ import annotations

import dataclasses
import math
import time
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
    car: pct.Car, train: pct.Drives, test: pct.Drives, fit: dict[str, Any], *, network: bool
) -> dict[str, Any]:
    """Windows and rows of one split.

    Raises:
        DataError: the network's windows are others than those of the fit.
    """
    begin = time.perf_counter()
    fitted = pct.fit(car, train, **fit)
    seconds = time.perf_counter() - begin
    result = pct.evaluate(fitted, test, at=(AT,), stride=STRIDE).result
    rows = [row_of(result, name) for name in result.rows if name != RUN]
    rows.append(row_of(result, RUN, name=FIT, seconds=seconds))
    if network:
        begin = time.perf_counter()
        trained = pct.train(fitted, train, horizon=fit["horizon"], **TRAIN)
        seconds += time.perf_counter() - begin
        other = pct.evaluate(trained, test, at=(AT,), stride=STRIDE).result
        if other.windows != result.windows:
            raise DataError(f"expected {result.windows} windows of the network, found {other.windows}")
        rows.append(row_of(other, RUN, name=NETWORK, seconds=seconds))
    return {"windows": result.windows, "rows": [dataclasses.asdict(row) for row in rows]}


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
