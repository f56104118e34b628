"""`pct track`: parameters that change while the car drives, with bands and change points."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from pct.cli.console import flush, print_table, quoted, say, say_error, say_json
from pct.cli.flags import TIME_STEP, DebugFlags, fixed_values, parse
from pct.errors import UsageError
from pct.within import Within

if TYPE_CHECKING:
    from pct.api.cars import Car
    from pct.api.fits import Fit
    from pct.cli.export_c import ExportConfig


@dataclasses.dataclass(frozen=True)
class TrackConfig:
    """Track parameters that change along drives: grip, load, a worn part.

    Prints when what changed, with bands, and leaves track.parquet, track.json and track.html. With --follow
    it reads rows as they come and prints a JSON line for each.

    Example: pct track results/singletrack/run_20261123-181650 logs/monday.csv --vary mu
    """

    run: tyro.conf.Positional[Path]
    """Run folder of `pct fit`; or a model, by name or by the Python file that defines it, whose parameters
    are then as uncertain as their bounds, but for those of --fixed."""
    logs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Dataset folders, log files, or folders of logs with a signals.toml. With --follow: one CSV or MCAP file
    that grows; standard input where none is given."""
    vary: tuple[str, ...] = ("mu",)
    """NAME or NAME=LOW:HIGH ...: one to three parameters that may change, each within its bounds or a
    narrower range, in the parameter's unit. D_f+D_r/B_f/B_r: a common factor, and its inverse behind a
    slash."""
    map: str | None = None
    """A signals.toml elsewhere, the name of a preset, or auto: what `pct data map` proposes."""
    vehicle: str | None = None
    """Without a run: parameters of a named vehicle; the model's own when left out."""
    fixed: tuple[str, ...] = ()
    """Without a run: parameters that are known: NAME at its default, NAME=VALUE in the parameter's unit."""
    dt: Annotated[int, TIME_STEP] | None = None
    """Time step [hundredths of a second]. Default: that of the drives."""
    levels: Path | None = None
    """track.json of another drive, whose noise and rates of change are taken. Default: those of the drives;
    with --follow usual ones."""
    output: Path | None = None
    """Folder of the files. Default: track/ in the run folder, or in the working directory."""
    follow: bool = False
    """Read rows as they come, CSV or JSON lines with t [s] and channels in SI units, and print JSON lines."""
    ros: bool = False
    """With --follow: read the topics that the map names from ROS 2, by rclpy."""
    wait: Annotated[float, Within(0, 1e9, "s")] | None = None
    """With --follow and a file or --ros: end after so long without a new row [s]. Default: never."""
    debug: tyro.conf.OmitArgPrefixes[DebugFlags] = dataclasses.field(default_factory=DebugFlags)

    def validate(self) -> None:
        """Raise UsageError for flags that cannot be used together."""
        if not self.follow and not self.logs:
            raise UsageError(
                "`logs`: expected a log or a dataset folder, got none; `follow=True` reads standard input"
            )
        if self.follow and len(self.logs) > 1:
            raise UsageError(f"`follow=True`: expected one file at most, got {len(self.logs)}")
        if self.ros and (self.logs or not self.follow):
            raise UsageError("`ros=True` goes with `follow=True`, and without a file")
        if self.wait is not None and not (self.follow and (self.logs or self.ros)):
            raise UsageError("`wait` goes with `follow=True` and a file or `ros=True`")


CONFIG = TrackConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags, track, and print or follow."""
    args = parse(TrackConfig, argv, prog="pct track")
    import pct
    from pct.tracking.report import change_cells, read_levels

    model, vary = open_model(str(args.run), args.vehicle, args.fixed), read_ranges(args.vary)
    levels = None if args.levels is None else read_levels(args.levels)
    if args.follow:
        _follow(args, pct.Tracker(model, vary=vary, levels=levels))
        return
    drives = pct.load(list(args.logs), map=args.map)
    found = pct.track(
        model,
        drives,
        vary=vary,
        levels=levels,
        dt=None if args.dt is None else args.dt / 100,
        progress=say_error,
    )
    head, rows = found.cells()
    print_table(
        f"{', '.join(found.problem.vary)} of {found.problem.spec.name}",
        head,
        rows,
        texts=(0, 1, len(head) - 1),
    )
    head, rows = change_cells(found.problem, found.tracked)
    if rows:
        print_table("Changes", head, rows, texts=(0, 1))
    else:
        say("No change was found.")
    say(*found.facts)
    flush()  # nobody waits for the figures to read the results
    output = args.output or (args.run / "track" if args.run.is_dir() else Path("track"))
    say(f"Page: {found.save(output)}")


def export_tracker(args: ExportConfig) -> None:
    """Write the tracker as one C99 file, and say how it was checked."""
    import pct
    from pct.dynamics import resolve_model
    from pct.tracking.report import read_levels

    if args.run is not None and args.model is not None:
        resolve_model(args.model)
    model = open_model(str(args.run or args.model), args.vehicle, args.fixed)
    levels = None if args.levels is None else read_levels(args.levels)
    tracker = pct.Tracker(model, vary=read_ranges(args.vary), levels=levels)
    path = args.output or (args.run or Path()) / "pct_tracker.c"
    difference = tracker.export(path)
    say(f"Wrote {path}: the tracker of {', '.join(tracker.vary)}")
    if difference is None:
        say_error("no C compiler was found (CC, or cc, gcc, clang): the file was never compiled")
    else:
        say(f"Checked against Python row by row: largest difference {difference:.1e} standard deviations")
    say(f"Next: cc -std=c99 -O2 -c {quoted(path)}, and link with -lm; its head says how to call it")


def open_model(run: str, vehicle: str | None, fixed: Sequence[str]) -> Car | Fit:
    """The fit of a run folder, or a model with what is held.

    Raises:
        UsageError: flags that do not go together, or an unknown name.
    """
    import pct
    from pct.api.opening import open_fit

    if Path(run).is_dir():
        if vehicle or fixed:
            raise UsageError("`vehicle` and `fixed` go without a run: a run has its own parameters")
        return open_fit(run)
    car = pct.model(run, vehicle=vehicle)
    return car.hold_all(fixed_values(fixed)) if fixed else car


def read_ranges(texts: Sequence[str]) -> dict[str, tuple[float, float] | None]:
    """Read NAME or NAME=LOW:HIGH.

    Raises:
        UsageError: an entry is neither.
    """
    ranges: dict[str, tuple[float, float] | None] = {}
    for text in texts:
        name, equals, ends = text.partition("=")
        try:
            low, high = map(float, ends.split(":")) if equals else (0.0, 0.0)
        except ValueError:
            raise UsageError(f"`vary={text}`: expected NAME or NAME=LOW:HIGH with numbers") from None
        ranges[name] = (low, high) if equals else None
    return ranges


def _follow(args: TrackConfig, tracker: Any) -> None:
    """Print a JSON line for each row of a stream."""
    for row in _rows(args, tracker.channels):
        try:
            if isinstance(row, str):
                say_error(row)
                continue
            estimate = tracker.update(row["t"], row, row)
        except UsageError as error:
            say_error(f"{error}, left out")
            continue
        say_json({"t": estimate.t, **{name: _numbers(estimate, k) for k, name in enumerate(tracker.vary)}})
        flush()


def _rows(args: TrackConfig, channels: Sequence[str]) -> Iterable[dict[str, float] | str]:
    """Rows by name as they come, and sentences on what is not one."""
    from pct.tracking.follow import grown_lines, grown_rows, read_rows

    if args.ros:
        from pct.logs.map_files import find_map
        from pct.tracking.ros_topics import topic_rows

        return topic_rows(find_map(Path(), args.map), channels, args.wait)
    if not args.logs:
        return read_rows(sys.stdin, channels)
    (log,) = args.logs
    if log.suffix.lower() != ".mcap":
        return read_rows(grown_lines(log, args.wait), channels)
    import pct

    def read() -> list[Any]:
        return [drive.trajectory for drive in pct.load(log, map=args.map)]

    return grown_rows(log, read, channels, args.wait)


def _numbers(estimate: Any, place: int) -> dict[str, float]:
    """What is known of a parameter, rounded to what counts."""
    return {field: float(f"{getattr(estimate, field)[place]:.6g}") for field in estimate._fields[1:]}
