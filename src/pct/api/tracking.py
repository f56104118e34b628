"""Parameters that change while the car drives: `track`, and the live `Tracker`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.api.cars import Car
from pct.api.drives import Drive, Drives, as_drives
from pct.api.fits import Fit
from pct.api.fitting import observed
from pct.api.notebook import Shown
from pct.errors import UsageError
from pct.tracking.changes import Change
from pct.tracking.drives import Tracked
from pct.tracking.problem import Levels, Problem
from pct.within import listener

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

Vary = str | Sequence[str] | Mapping[str, tuple[float, float] | None]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Track(Shown):
    """Parameters over time on drives, with 95 % bands: as a car could have known them, and with hindsight.

    Attributes:
        problem: model, varying and held parameters.
        levels: noise of the drives and how the parameters change.
        tracked: what was found on each drive.
        estimated: whether the levels are of these drives, so that the bands have seen the whole of them.
    """

    problem: Problem
    levels: Levels
    tracked: tuple[Tracked, ...]
    estimated: bool = True

    @property
    def changes(self) -> list[tuple[str, Change]]:
        """Each change with the name of its drive, in order."""
        return [(one.name, change) for one in self.tracked for change in one.changes]

    def table(self) -> pl.DataFrame:
        """One row a row of the drives: time, position, and of each parameter the causal and the smoothed
        median with its band, how much the drive tells (0 to 1) and the probability of a recent change.
        """
        from pct.tracking.report import frame

        return frame(self.tracked)

    def change_table(self) -> pl.DataFrame:
        """One row a change: drive, parameter, time with its band in s, probability, values, when seen."""
        import polars as pl

        rows = [{"drive": name, **change._asdict()} for name, change in self.changes]
        kinds = {"drive": pl.String, **dict.fromkeys(Change._fields, pl.Float64), "parameter": pl.String}
        return pl.DataFrame(rows, schema=kinds)

    @property
    def facts(self) -> list[str]:
        """What was held, what the levels are, and where the drives told nothing, in sentences."""
        from pct.tracking.report import facts

        return facts(self.problem, self.levels, self.tracked, estimated=self.estimated)

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows of a summary as text: a row a drive and parameter."""
        from pct.tracking.report import cells

        return cells(self.problem, self.tracked)

    def plot(self, kind: str = "time", drive: int = 0) -> Figure:
        """A figure of one drive.

        Args:
            kind: ``time``, or ``map``: where it was, for drives with a position.
            drive: its number.

        Raises:
            UsageError: there is no such figure or drive.
        """
        from pct.plots import in_style
        from pct.tracking.report import figures_of

        if not 0 <= drive < len(self.tracked):
            raise UsageError(f"`drive={drive}`: expected 0 to {len(self.tracked) - 1}")
        figures = figures_of(self.problem, self.tracked[drive])
        if kind not in figures:
            raise UsageError(f"`kind={kind}`: expected one of {', '.join(figures)}")
        return in_style(figures[kind])

    def as_features(self, drives: Drives) -> Drives:
        """The drives with what a car could know at each row as features, which a network reads.

        They are ``feature.NAME_tracked``, the causal median, and ``feature.NAME_width``, the logarithm of the
        width of its band, for `pct.train` with ``feature_mode="full"``; other features are left out.

        Args:
            drives: those that were tracked, in the same order and at the same time step.

        Raises:
            UsageError: they are others.
        """
        rows = [len(one.t) for one in self.tracked]
        if (found := [len(drive) for drive in drives]) != rows:
            raise UsageError(f"`drives`: expected the drives that were tracked, of {rows} rows, got {found}")
        pairs = zip(drives, self.tracked, strict=True)
        changed = tuple(_with_features(drive, one) for drive, one in pairs)
        return dataclasses.replace(drives, drives=changed)

    def save(self, folder: str | Path) -> Path:
        """Write ``track.parquet``, ``track.json`` and ``track.html`` into a folder; the page's path.

        Raises:
            DataError: the folder cannot be made or written.
        """
        from pct.tracking.report import save

        return save(Path(folder), self.problem, self.levels, self.tracked, estimated=self.estimated)

    def shown(self) -> tuple[str, pl.DataFrame, Sequence[str]]:
        """Title, table and notes."""
        return (
            f"{', '.join(self.problem.vary)} on {len(self.tracked)} drives",
            self.change_table(),
            self.facts,
        )


def _with_features(drive: Drive, one: Tracked) -> Drive:
    known = {}
    for name, course in one.causal.items():
        known[f"feature.{name}_tracked"] = course.middle
        known[f"feature.{name}_width"] = np.log(course.high - course.low)
    old = drive.trajectory
    channels = {name: column for name, column in old.channels.items() if not name.startswith("feature.")}
    # A recording may say nothing of a channel.
    units = {name: unit for name, unit in old.units.items() if name in channels}
    origins = {name: origin for name, origin in old.origins.items() if name in channels}
    return dataclasses.replace(
        drive,
        trajectory=dataclasses.replace(
            old,
            channels={**channels, **known},
            units={**units, **dict.fromkeys(known, "1")},
            origins={**origins, **dict.fromkeys(known, "derived")},
        ),
    )


def track(
    model: Car | Fit | str | Path,
    drives: Drives | Drive | Sequence[Drive] | str | Path,
    *,
    vary: Vary = "mu",
    levels: Levels | None = None,
    dt: float | None = None,
    progress: Callable[[Any], None] | None = None,
) -> Track:
    """Track parameters that change along drives; prints and writes nothing.

    All other parameters are held, and their uncertainty is in the bands: the covariance of a fit, or, of a
    car, the bounds of what is not held by `Car.hold`.

    Args:
        model: a fit or its run folder, or a car.
        drives: from `pct.load`, or what that reads.
        vary: one to three scalar parameters; or their range by name, as ``{"mu": (0.3, 1.1)}``; None for
            their bounds. ``D_f+D_r/B_f/B_r`` is a common factor on the first two, and its inverse on those
            behind a slash.
        levels: noise and rates of change; estimated from the drives when left out.
        dt: time step in s; that of the drives when left out.
        progress: called with a line for each step.

    Raises:
        UsageError: an unknown parameter, a range out of bounds, or equations that the filter cannot read.
        DataError: the drives lack a channel.

    Examples:
        >>> import pct
        >>> car = pct.model("singletrack").hold("C_Sf", "C_Sr", "m", "I")
        >>> drives = pct.simulate(car, duration=8.0, mu=(0.5, 0.8, 0.8), surfaces=1, seed=1)
        >>> found = pct.track(car, drives, levels=pct.track_levels(car))
        >>> bool(abs(found.table()["mu"][-1] - drives[0].table()["truth.mu"][-1]) < 0.02)
        True
    """
    from pct.tracking.drives import read_drives, track_drive
    from pct.tracking.levels import estimate_levels
    from pct.tracking.problem import usual_levels

    progress = listener("progress", progress)
    recordings = as_drives(drives).recordings
    problem, rows = read_drives(make_problem(model, vary), recordings, dt)
    estimated = levels is None
    if levels is None:
        progress("estimating the levels of noise and change")
        levels = estimate_levels(problem, rows, usual_levels(problem))
    tracked = []
    for (name, trajectory), own in zip(recordings, rows, strict=True):
        progress(f"tracking {name}")
        tracked.append(track_drive(problem, levels, name, own, trajectory.start))
    return Track(problem, levels, tuple(tracked), estimated)


def track_levels(
    model: Car | Fit | str | Path, drives: Any = None, *, vary: Vary = "mu", dt: float | None = None
) -> Levels:
    """Levels of noise and change: usual ones, or those of drives that are not to be tracked.

    Args:
        model: as of `track`.
        vary: likewise.
        dt: likewise.
        drives: what they are estimated from; the usual ones when left out.

    Raises:
        UsageError, DataError: as of `track`.

    Examples:
        >>> import pct
        >>> pct.track_levels(pct.model("singletrack").hold("m", "I", "C_Sf", "C_Sr")).jumps  # a second
        0.05
    """
    from pct.tracking.drives import read_drives
    from pct.tracking.levels import estimate_levels
    from pct.tracking.problem import usual_levels

    problem = make_problem(model, vary)
    if drives is None:
        return usual_levels(problem)
    problem, rows = read_drives(problem, as_drives(drives).recordings, dt)
    return estimate_levels(problem, rows, usual_levels(problem))


def make_problem(model: Car | Fit | str | Path, vary: Vary) -> Problem:
    """What is known of a model, and what varies.

    Raises:
        UsageError: see `track`.
        DataError: the run folder cannot be read.
    """
    from pct.api.opening import as_fit
    from pct.rollout.integration import LONGEST_STEP
    from pct.tracking.knowledge import check_factors, covariance_of, known_of_bounds, ranges_of

    if not isinstance(model, Car):
        model = as_fit(model, "model", "a car, ")
    spec = observed(model).spec if isinstance(model, Car) else model.model.spec
    ranges = ranges_of(spec, vary)
    if isinstance(model, Car):
        held, covariance = known_of_bounds(spec, tuple(ranges))
        params, longest, integrator = dict(spec.default_params), LONGEST_STEP, "rk4"
    else:
        params = {**spec.default_params, **model.params}
        held, covariance = covariance_of(spec, params, _solution(model), model.deviations, tuple(ranges))
        longest, integrator = model.model.dt / model.model.substeps, model.model.integrator_name
    check_factors(params, tuple(ranges))
    return Problem(
        spec,
        params,
        tuple(ranges),
        held,
        covariance,
        ranges={name: ends for name, ends in ranges.items() if ends is not None},
        integrator=integrator,
        longest=longest,
    )


def _solution(fit: Fit) -> Any:
    """Raw values and covariance of a fit; None where its run is older than that."""
    from pct.runs.model_files import load_solution

    if fit.result is not None:
        return fit.result.stated
    return None if fit.run is None else load_solution(fit.run)


class Tracker:
    """Parameters that change, row by row as the car drives.

    Memory and time of a row are bounded.

    Attributes:
        vary: names of the parameters, in the order of the estimates.
        channels: names of the states and controls that it reads.

    Examples:
        >>> import pct
        >>> car = pct.model("singletrack").hold("C_Sf", "C_Sr", "m", "I")
        >>> table = pct.simulate(car, duration=6.0, mu=(0.7,), seed=1)[0].table()
        >>> tracker = pct.Tracker(car)
        >>> for row in table.iter_rows(named=True):
        ...     estimate = tracker.update(row["t"], row, row)
        >>> estimate.low[0] < 0.7 < estimate.high[0]
        True
    """

    def __init__(
        self, model: Car | Fit | str | Path, *, vary: Vary = "mu", levels: Levels | None = None
    ) -> None:
        """Compile the filter, or take it from the cache.

        Args:
            model: as of `track`.
            vary: likewise.
            levels: from `track` or `track_levels`; usual ones when left out.

        Raises:
            UsageError: an unknown parameter, or equations that the filter cannot read.
            DataError: the run folder cannot be read.
        """
        from pct.tracking.live import LiveFilter
        from pct.tracking.problem import usual_levels

        problem = make_problem(model, vary)
        self.vary = problem.vary
        self.channels = (*problem.spec.state_names, *problem.spec.control_names)
        self._problem, self._levels = problem, levels or usual_levels(problem)
        self._filter = LiveFilter(problem, self._levels)
        self.update = self._filter.update

    def export(self, path: str | Path) -> float | None:
        """Write the tracker as one C99 file, once it gives what Python gives on a drive of the model.

        Returns:
            The largest difference in standard deviations; None where there is no C compiler to check with.

        Raises:
            PctError: they differ, or the compiler fails; nothing is written.
            DataError: the file cannot be written.
        """
        from pct.export.c.trial import find_compiler
        from pct.tracking.c_export import export_tracker, trial_drive

        rows = trial_drive(self._problem)
        return export_tracker(self._problem, self._levels, Path(path), rows, find_compiler()).difference
