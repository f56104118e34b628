"""The facts of a dataset for its card, and samples of its drives to draw.

`collect` reads the recordings once, one in memory at a time; `card_facts` gives their facts as numbers,
`fact_lines` as text, and `pct.pages.driven` draws the samples.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from pct.dynamics.channels import is_heading
from pct.logs.blocks import unwrap_if_needed
from pct.recordings.derive import derive, local_parabola
from pct.recordings.relations import STANDSTILL
from pct.recordings.segments import distance
from pct.recordings.time_steps import rows_of
from pct.recordings.trajectory import Trajectory, read_manifest
from pct.types import Column

# As many rows are kept for figures and quantiles, and at least half of that.
MOST_SAMPLES = 50_000
# Accelerations are slopes of a local parabola over this time in s.
SPAN = 0.4
# Rows that follow one another faster than this, in s, tell a card no more, unless there are only so few.
FINEST = 0.05
FEWEST = 20
# What the card shows, and what that is derived from.
SHOWN = ("x", "y", "psi", "yaw", "course", "v", "vx", "vy", "beta", "psi_dot", "delta")


class Summary(NamedTuple):
    """The part of a card that comes from one recording.

    Attributes:
        samples: every so many rows, see `Drives`.
        sums: over all rows.
        channels: unit and origin by name.
    """

    samples: Mapping[str, Column]
    sums: Mapping[str, float]
    channels: Mapping[str, tuple[str, str]]


class Drives(NamedTuple):
    """Samples and sums of the recordings of a dataset.

    Attributes:
        samples: every so many rows of ``x``, ``y``, ``v``, ``beta``, ``delta``, ``psi_dot`` and the
            accelerations along and across the vehicle, ``ax`` and ``ay``, (K,) each; NaN where a recording
            does not show one, without those that no recording shows. Beside them the number of the
            ``recording`` and the ``seconds`` that a row stands for.
        recordings: sums over all rows of each.
        channels: unit and origin by name.
    """

    samples: Mapping[str, Column]
    recordings: list[Mapping[str, float]]
    channels: Mapping[str, tuple[str, str]]


def collect(trajectories: Iterable[Trajectory]) -> Drives:
    """Read the recordings of a dataset, at least one."""
    return put_together(map(summarise, trajectories))


def summarise(trajectory: Trajectory, most: int | None = None) -> Summary:
    """The part of a card that comes from one recording.

    Args:
        trajectory: the recording.
        most: samples that are kept; all that tell something when left out.
    """
    coarse = _coarse(trajectory)
    columns = _columns(coarse)
    every = 1 if most is None else -(-len(coarse) // most)
    columns["seconds"] = np.full(len(coarse), every * coarse.dt)
    return Summary(
        # Copied, they let go of the columns that they are from.
        {name: column[::every].copy() for name, column in columns.items()},
        _sums(trajectory, coarse.dt, columns),
        {name: (unit, trajectory.origins[name]) for name, unit in trajectory.units.items()},
    )


def put_together(summaries: Iterable[Summary]) -> Drives:
    """The summaries of all recordings, at least one, put together."""
    recordings: list[Mapping[str, float]] = []
    channels: dict[str, tuple[str, str]] = {}
    batches: list[dict[str, Column]] = []
    every, count = 1, 0
    for summary in summaries:
        channels |= summary.channels
        columns = {name: column[::every] for name, column in summary.samples.items()}
        columns["seconds"] = every * columns["seconds"]
        columns["recording"] = np.full(len(columns["seconds"]), float(len(recordings)))
        recordings.append(summary.sums)
        batches.append(columns)
        count += len(batches[-1]["seconds"])
        while count > MOST_SAMPLES:
            every *= 2
            batches = [
                {name: column[::2] * (2 if name == "seconds" else 1) for name, column in part.items()}
                for part in batches
            ]
            count = sum(len(part["seconds"]) for part in batches)
    samples = {name: np.concatenate([part[name] for part in batches]) for name in batches[0]}
    known = {name: column for name, column in samples.items() if np.isfinite(column).any()}
    return Drives(known, recordings, channels)


def stored_drives(folder: Path) -> Iterator[Trajectory]:
    """The recordings of a dataset folder that was just written, with the channels that a card shows."""
    manifest = read_manifest(folder)
    known = {name: row for name, row in manifest["columns"].items() if name in SHOWN}
    for row in manifest["recordings"]:
        table = pl.read_parquet(folder / row["file"], columns=["t", *known], glob=False)
        yield Trajectory(
            name=Path(row["file"]).stem,
            dt=row["dt"],
            channels={name: table[name].cast(pl.Float64).to_numpy() for name in known},
            units={name: column["unit"] for name, column in known.items()},
            origins={name: column["origin"] for name, column in known.items()},
            start=table["t"][0],
        )


def _coarse(trajectory: Trajectory) -> Trajectory:
    """The drive with every so many rows."""
    step = max(1, min(math.floor(FINEST / trajectory.dt + 1e-6), len(trajectory) // FEWEST))
    if step == 1:
        return trajectory
    columns = {
        name: unwrap_if_needed(trajectory.channels[name])[::step]
        if is_heading(name)
        else trajectory.channels[name][::step]
        for name in SHOWN
        if name in trajectory.channels
    }
    return dataclasses.replace(trajectory, dt=step * trajectory.dt, channels=columns)


def _columns(trajectory: Trajectory) -> dict[str, Column]:
    """What the card shows of a recording, all rows; NaN where it does not tell."""
    dt, logged = trajectory.dt, trajectory.channels
    unknown = np.full(len(trajectory), np.nan)

    def column(name: str) -> Column:
        derived = derive(name, logged, dt)
        return unknown if derived is None else derived

    columns = {name: column(name) for name in ("x", "y", "v", "beta", "delta", "psi_dot")}
    # Without a slip angle the vehicle moves where it points.
    slip = np.nan_to_num(columns["beta"])
    vx, vy = columns["v"] * np.cos(slip), columns["v"] * np.sin(slip)
    turn = _parabola(columns["psi_dot"], dt, 0)
    columns["ax"] = _parabola(vx, dt, 1) - turn * _parabola(vy, dt, 0)
    columns["ay"] = _parabola(vy, dt, 1) + turn * _parabola(vx, dt, 0)
    columns["beta"] = np.where(np.abs(columns["v"]) < STANDSTILL, np.nan, columns["beta"])
    return columns


def _parabola(column: Column, dt: float, derivative: int) -> Column:
    """Value or slope of the local least-squares parabola over `SPAN`."""
    if np.isnan(column).any():
        return column
    rows = min(max(5, rows_of(SPAN, dt, most=len(column)) // 2 * 2 + 1), (len(column) - 1) // 2 * 2 + 1)
    if rows < 5:
        return np.gradient(column, dt) if derivative and len(column) > 1 else column
    return local_parabola(column, rows, derivative=derivative) / dt**derivative


def _sums(trajectory: Trajectory, dt: float, columns: Mapping[str, Column]) -> dict[str, float]:
    """Sums of a recording; ``dt`` is the time step of the columns in s."""
    turn, steer = np.nan_to_num(columns["psi_dot"]), columns["delta"]
    return {
        "rows": float(len(trajectory)),
        "dt": trajectory.dt,
        "metres": distance(trajectory),
        "still": float(np.count_nonzero(np.abs(columns["v"]) < STANDSTILL)) * dt,
        "left": float(turn[turn > 0].sum()) * dt,
        "right": -float(turn[turn < 0].sum()) * dt,
        "steer_low": float(steer.min()),
        "steer_high": float(steer.max()),
    }


def card_facts(drives: Drives) -> dict[str, Any]:
    """The facts of a dataset, SI and shares; None where its channels do not tell.

    Returns:
        ``recordings``, ``rows``, ``hours``, ``metres``; ``dt``, smallest and largest; ``standstill``, share
        of the time; ``speed``, quantiles by name; ``acceleration``: what is exceeded in 1 % of the time to
        either side, driving and braking; ``steering``, smallest and largest; ``left``, share of all turning;
        ``channels``, unit and origin by name.
    """
    sums = {name: np.array([one[name] for one in drives.recordings]) for name in drives.recordings[0]}
    seconds = float(sums["rows"] @ sums["dt"])
    left, right = float(sums["left"].sum()), float(sums["right"].sum())
    v, ax, ay = (drives.samples.get(name) for name in ("v", "ax", "ay"))
    speed = acceleration = None
    if v is not None:
        quantiles = {"5 %": 0.05, "median": 0.5, "95 %": 0.95, "largest": 1.0}
        speed = {name: float(np.nanquantile(v, at)) for name, at in quantiles.items()}
    if ax is not None and ay is not None:
        acceleration = {
            "across": float(np.nanquantile(np.abs(ay), 0.99)),
            "driving": float(np.nanquantile(ax, 0.99)),
            "braking": -float(np.nanquantile(ax, 0.01)),
        }
    return {
        "recordings": len(drives.recordings),
        "rows": int(sums["rows"].sum()),
        "hours": seconds / 3600.0,
        "metres": float(sums["metres"].sum()),
        "dt": [float(sums["dt"].min()), float(sums["dt"].max())],
        "standstill": None if v is None else float(sums["still"].sum()) / seconds,
        "speed": speed,
        "acceleration": acceleration,
        "steering": (
            [float(np.nanmin(sums["steer_low"])), float(np.nanmax(sums["steer_high"]))]
            if "delta" in drives.samples
            else None
        ),
        "left": left / (left + right) if left + right > 0 else None,
        "channels": {name: list(row) for name, row in drives.channels.items()},
    }


def fact_lines(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and text of each fact but the channels, for a table."""
    low, high = facts["dt"]
    kilometres = f"{facts['metres'] / 1000:.3g} km"
    duration = f"{facts['hours']:.2f} h" if facts["hours"] >= 1 else f"{60 * facts['hours']:.1f} min"
    count = f"{facts['recordings']} recording{'s' * (facts['recordings'] != 1)}"
    lines = [
        ("driven", f"{duration}, {kilometres}, {count}, {facts['rows']} rows"),
        ("time step", f"{low:g} s" if high - low < 1e-6 * high else f"{low:g} to {high:g} s"),
    ]
    if facts["speed"] is not None:
        lines.append(("standstill", f"{100 * facts['standstill']:.1f} % of the time"))
        speeds = ", ".join(f"{name} {value:.3g}" for name, value in facts["speed"].items())
        lines.append(("speed in m/s", speeds))
    if facts["acceleration"] is not None:
        reached = ", ".join(f"{name} {value:.2g}" for name, value in facts["acceleration"].items())
        lines.append(("acceleration in m/s², exceeded in 1 % of the time", reached))
    if facts["steering"] is not None:
        low, high = facts["steering"]
        lines.append(("steering angle in rad", f"{low:.3g} to {high:.3g}"))
    if facts["left"] is not None:
        lines.append(
            ("turning", f"{100 * facts['left']:.0f} % left, {100 - 100 * facts['left']:.0f} % right")
        )
    return lines
