"""The sentences and figures that console and report have in common."""

from __future__ import annotations

import math

import numpy as np

from pct.evaluation.bootstrap import Estimate
from pct.evaluation.evaluate import RUN, Evaluation
from pct.evaluation.scores import POSITION


def facts(found: Evaluation) -> list[str]:
    """What was judged on, and how the intervals were made."""
    return [
        f"{found.spec.name}: {found.windows} windows of {len(found.recordings)} recordings, "
        f"{found.horizon} steps of {found.dt:g} s after {found.history} of history, a window every "
        f"{found.stride * found.dt:g} s",
        f"Intervals: 95 %, block bootstrap over {found.blocks} blocks of {found.block_rows} rows "
        f"({found.block_rows * found.dt:g} s) or more.",
        *found.notes,
    ]


def verdicts(found: Evaluation) -> list[str]:
    """The run against each baseline by the position over the longest horizon, from the same draws."""
    lines = []
    seconds = max(found.at)
    for name, row in found.rows.items():
        ratio = row.ratios[seconds].get(POSITION)
        if name == RUN or ratio is None:
            continue
        if not math.isfinite(ratio.value):
            lines.append(f"The run DIVERGED in a window, so that it cannot be compared with {name}")
            continue
        if ratio.value == 0:  # over an infinite error
            lines.append(f"The run beats {name}, which diverged in a window")
            continue
        if ratio.high < 1:
            verdict = "beats"
        elif ratio.low > 1:
            verdict = "is WORSE than"
        else:
            verdict = "cannot be told from"
        lines.append(
            f"The run {verdict} {name}: {percent(ratio)} of its position path RMSE over {seconds:g} s"
        )
    return lines


def number(estimate: Estimate | float | None) -> str:
    """Three digits; a dash where nothing is predicted.

    Examples:
        >>> number(Estimate(0.012345, 0.01, 0.02)), number(None), number(math.inf)
        ('0.0123', '–', 'diverged')
    """
    if estimate is None:
        return "–"
    value = estimate.value if isinstance(estimate, Estimate) else estimate
    if math.isinf(value):
        return "diverged"
    return "–" if math.isnan(value) else f"{value:.3g}"


def with_interval(estimate: Estimate | None) -> str:
    """Value and interval.

    Examples:
        >>> with_interval(Estimate(0.5, 0.25, 0.75)), with_interval(Estimate(0.5, math.nan, math.nan))
        ('0.5 [0.25, 0.75]', '0.5')
    """
    if estimate is None or np.isnan(estimate.low):
        return number(estimate)
    return f"{number(estimate)} [{number(estimate.low)}, {number(estimate.high)}]"


def percent(estimate: Estimate) -> str:
    """A ratio in percent with its interval.

    Examples:
        >>> percent(Estimate(0.5, 0.25, 0.75))
        '50 % [25, 75]'
    """
    value = f"{100 * estimate.value:.3g} %"
    if np.isnan(estimate.low):
        return value
    return f"{value} [{100 * estimate.low:.3g}, {100 * estimate.high:.3g}]"
