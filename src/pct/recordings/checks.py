"""Checks that refuse a recording whose values contradict each other or no vehicle can show.

A wrong unit or sign in a log's map trains a network without any error, so each channel is compared with what
other channels say of it: yaw rate with heading, speed with positions, and so on. A check speaks only
where the evidence is plain: a ratio far from one that most rows agree on.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping

import numpy as np

from pct.dynamics.channels import known_channels
from pct.errors import DataError
from pct.logs.blocks import blocks
from pct.logs.units import USUAL_UNITS
from pct.recordings.derive import derive
from pct.recordings.relations import RELATIONS, WALK, Reading, Relation, Values
from pct.recordings.time_steps import rows_of
from pct.recordings.trajectory import Trajectory
from pct.types import Column

# No value of a log is larger in SI units, and no time; squares are finite still. A time since 1970 in ns that
# is taken for s is less.
LARGEST, LATEST = 1e15, 1e20
# A check speaks only where the middle half of the ratios lies within this factor.
AGREEMENT = 2.0
# On how many rows at least.
ROWS = 20
# And on so many at most.
COMPARED_ROWS = 500_000
# Rates are compared by what they add up to over this time in s: long against noise, short against a turn.
SPAN = 0.4
# Of a car that drifts: how much its slip angles lean to one side, and the share of rows at least in which it
# goes where it points, within so many rad. A wrong unit or sign scatters, a wrong zero leaves no such rows.
ONE_SIDED, CALM_SHARE, CALM_HEADING = 0.5, 0.1, 0.25
# The doctor judges their signs, which a reversing vehicle leaves open.
SPEEDS = ("v", "vx")


def check_trajectory(
    trajectory: Trajectory, where: str, columns: Mapping[str, tuple[str, str]] | None = None
) -> None:
    """Refuse a recording that cannot be what it says.

    Args:
        trajectory: the recording.
        where: what to call it in messages: file, and rows where it is a part of one.
        columns: raw column and unit by channel, where the recording comes through a map.

    Raises:
        DataError: a value is not finite or beyond its channel's limit, or a channel contradicts others in
            unit or sign; says the evidence and the likely fix.
    """
    check_values(trajectory, where)
    check_agreement(trajectory, where, columns)


def check_values(trajectory: Trajectory, where: str) -> None:
    """Refuse values that are not finite or beyond their limits; arguments as in `check_trajectory`.

    Raises:
        DataError: names the first such value, its limit and its row.
    """
    known = known_channels()
    for name, column in trajectory.channels.items():
        limit = known[name].limit if name in known else math.inf
        if all_within(column, limit):
            continue
        wrong = ~(np.isfinite(column) & (np.abs(column) <= limit))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            expected = f"within {limit:g} {known[name].unit}" if math.isfinite(limit) else "finite"
            raise DataError(
                f"{where}: expected '{name}' {expected}, found {column[row]:g} in row {row}: "
                "correct the recording, or cut it there"
            )


def check_agreement(
    trajectory: Trajectory, where: str, columns: Mapping[str, tuple[str, str]] | None = None
) -> None:
    """Refuse channels that contradict each other in unit or sign; arguments as in `check_trajectory`."""
    # What is wrong with a unit or sign is so from the start.
    trajectory = trajectory.slice(0, COMPARED_ROWS) if len(trajectory) > COMPARED_ROWS else trajectory
    _check_heading(trajectory, where)
    for relation in RELATIONS:
        if relation.refused is not None and relation.name in trajectory.channels:
            _compare(trajectory, relation, where, columns or {})


def without_absurd(column: Column, factor: float = 1.0, *, limit: float = LARGEST) -> Column:
    """A column in SI units, not a number where no log has such a value: nothing can be computed with it.

    Args:
        column: raw values.
        factor: how many SI units one of theirs is.
        limit: the largest value, in SI units.
    """
    with np.errstate(over="ignore"):
        scaled = column * factor
    scaled[~(np.abs(scaled) <= limit)] = np.nan
    return scaled


def all_within(column: Column, limit: float) -> bool:
    """Whether all values are finite and within a limit to either side."""
    least = min(limit, sys.float_info.max)
    # Not so where one is no number.
    return all(
        -least <= column[start:stop].min() and column[start:stop].max() <= least
        for start, stop in blocks(len(column))
    )


def unit_hint(name: str, unit: str, declared: str = "") -> str:
    """What a value that is too large may be, beside what the map says, and the map line for it; or empty."""
    usual = [other for other, factor in USUAL_UNITS.get(unit, {}).items() if factor > 1 and other != declared]
    if name == "delta" and declared in ("deg", "degree", "degrees"):
        return 'Is it that of a steering wheel? Then divide by its ratio: [channels.delta] unit = "deg/15". '
    return f'Is it {" or ".join(usual)}? Then write [channels.{name}] unit = "{usual[0]}". ' if usual else ""


def _over_span(dt: float) -> Reading:
    """Columns over `SPAN`: what a rate adds up to, and the change of its integral; noise hides in neither."""
    rows = _span(dt)

    def mean(column: Column) -> Values:
        total = np.concatenate([[0.0], np.cumsum(column)])
        return (total[rows:-1] - total[: -rows - 1]) / rows

    return Reading(mean, lambda column: (column[rows:] - column[:-rows]) / (rows * dt), rows * dt)


def _span(dt: float) -> int:
    return rows_of(SPAN, dt, most=COMPARED_ROWS)


def _compare(
    trajectory: Trajectory, relation: Relation, where: str, columns: Mapping[str, tuple[str, str]]
) -> None:
    name, dt = relation.name, trajectory.dt
    # What was asked for is not what happened.
    if trajectory.origins[name] == "command" or len(trajectory) < ROWS + _span(dt):
        return
    sides = relation.sides(
        _over_span(dt), trajectory.channels, lambda need: derive(need, trajectory.channels, dt)
    )
    if sides is None:
        return
    value, reference = sides
    size = np.abs(reference)
    # Only where much happens: near zero a ratio is noise.
    much = size[size > relation.least]
    if len(much) < ROWS:
        return
    strong = size > max(np.median(much) * 0.999, 0.1 * np.quantile(much, 0.95))
    if strong.sum() < ROWS:
        return
    ratios = value[strong] / reference[strong]
    low, ratio, high = np.quantile(np.abs(ratios) if name in SPEEDS else ratios, [0.25, 0.5, 0.75])
    if low * high <= 0 or max(low / high, high / low) > AGREEMENT:
        return
    assert relation.refused is not None
    if relation.refused[0] <= ratio <= relation.refused[1]:
        return
    column = columns.get(name, ("", ""))[0]
    what = f"'{name}'{f' (column {column!r})' if column else ''}"
    meaning = f", as {relation.ratio}" if relation.ratio else ""
    evidence = (
        f"{where}: expected {what} to agree with {relation.means}, found it {ratio:.4g} times that{meaning} "
        f"(half of {strong.sum()} rows between {min(low, high):.3g} and {max(low, high):.3g})"
    )
    wrong = "sign" if ratio < 0 else "unit"
    fixes = (
        [f"[channels.{name}] sign = -1"]
        if ratio < 0
        else [
            f'[channels.{suspect}] unit = "{fix}"'
            for suspect, factor in ((name, ratio), *((other, 1 / ratio) for other in relation.suspects))
            for fix in _looks_like(suspect, factor, columns.get(suspect, ("", ""))[1], relation.explained)
        ]
    )
    fix = " or ".join(fixes) or f"look up the unit of {what}"
    raise DataError(f"{evidence}: the {wrong} is wrong. Fix in the map of the log: {fix}")


def _looks_like(name: str, ratio: float, declared: str, explained: tuple[float, float]) -> list[str]:
    """Units that explain why a channel declared in another one is ``ratio`` times too large."""
    si = known_channels()[name].unit
    factors = {si: 1.0, **USUAL_UNITS.get(si, {})}
    raw = ratio * factors.get(declared, 1.0)
    return [unit for unit, factor in factors.items() if explained[0] <= raw / factor <= explained[1]]


def _check_heading(trajectory: Trajectory, where: str) -> None:
    """Refuse a heading that is not where the vehicle goes."""
    x, y, psi = (trajectory.channels.get(name) for name in ("x", "y", "psi"))
    v = derive("v", trajectory.channels, trajectory.dt)
    if x is None or y is None or psi is None or v is None:
        return
    rows = _span(trajectory.dt)
    if len(v) <= rows:
        return
    rate = _over_span(trajectory.dt).rate
    dx, dy = rate(x), rate(y)
    covered = np.hypot(dx, dy)
    moving = (covered > max(0.3 * np.quantile(covered, 0.95), WALK)) & (v[rows:] > 0) & (v[:-rows] > 0)
    if moving.sum() < ROWS:
        return
    difference = np.arctan2(dy, dx)[moving] - 0.5 * (psi[rows:] + psi[:-rows])[moving]
    apart = np.abs((difference + math.pi) % (2 * math.pi) - math.pi)
    median = float(np.median(apart))
    # A car that drifts for most of a drive slides to one side, and goes straight before and after.
    one_sided = abs(np.exp(1j * difference).mean()) > ONE_SIDED
    drifts = one_sided and float(np.quantile(apart, CALM_SHARE)) < CALM_HEADING
    if median > 1.0 and not drifts:
        raise DataError(
            f"{where}: expected the heading 'psi' to point where the positions go, found {median:.2f} rad "
            "between them (median of the moving rows): wrong unit, sign or zero. "
            'Fix: [channels.psi] unit = "deg"; for a heading from north, clockwise: sign = -1, offset = -90'
        )
