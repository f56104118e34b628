"""`pct design`: the drive that tells most about parameters, as tables, a picture and commands."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro

from pct.api.rankings import Seconds
from pct.cli.console import print_table, say, say_error
from pct.cli.flags import DebugFlags, as_flags, fixed_values, parse
from pct.designing.settings import DesignSettings
from pct.errors import UsageError


@dataclasses.dataclass(frozen=True)
class DesignConfig:
    """Design the drive that tells most about parameters, within an area and limits.

    From a fit (RUN), or from a vehicle and its bounds (--model, --vehicle): a path with speeds and steering
    for a path follower, which maximises the expected information (D-optimal) over draws of what is not
    known yet. Limits hold on these draws, too. Writes drive.csv, path.csv, cones.csv, design.json,
    design.png and design.html.

    Example: pct design results/singletrack-pacejka/run_20261123-181650 --identify D_f D_r --area 20 12
        --speed 5
    """

    run: tyro.conf.Positional[Path | None] = None
    """Run folder of `pct fit`: what it left unknown is what the drive is for."""
    output: Path | None = None
    """The new folder; design/, design_2/, ... in the run folder, or here without a run, when left out."""
    identify: tuple[str, ...] = ()
    """Parameters to tell about; the others stay unknown, too. Default: all that are learned."""
    track: Path | None = None
    """CSV file of a closed road in place of a free area: columns x, y, right, left [m], as in the TUM race
    track
    database."""
    model: str | None = None
    """Without a run: the model, by name or by the Python file that defines it. With a run: the file that
    defines
    the run's model."""
    vehicle: str | None = None
    """With --model: bounds and defaults of a named vehicle; the model's own (a 1:10 car) when left out."""
    fixed: tuple[str, ...] = ()
    """With --model: parameters that are known: NAME at its default, NAME=VALUE."""
    bag: bool = False
    """Write the commands as a ROS 2 bag, too (needs rosbags)."""
    from_logs: tuple[str, ...] = ()
    """Design nothing, but rank what has been driven, with RUN: dataset folders or logs. Prints which pieces
    of it
    carry the information, and which add nothing."""
    piece: Seconds = 10.0
    """With --from-logs: length of a piece [s]."""
    settings: tyro.conf.OmitArgPrefixes[DesignSettings] = dataclasses.field(default_factory=DesignSettings)
    common: tyro.conf.OmitArgPrefixes[DebugFlags] = dataclasses.field(default_factory=DebugFlags)

    def validate(self) -> None:
        """Raise UsageError for flags that cannot be used together."""
        if self.run is None and self.model is None:
            raise UsageError("expected a run folder or `model=NAME`")
        if self.from_logs and self.run is None:
            raise UsageError("`from_logs` needs the run folder of a fit: its parameters and windows count")
        if self.run is not None and (self.vehicle is not None or self.fixed):
            name = "vehicle" if self.vehicle is not None else "fixed"
            raise UsageError(f"`{name}` goes with `model` alone: a run has its own parameters")
        fixed_values(self.fixed)


CONFIG = DesignConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags, design, write and print."""
    args = parse(DesignConfig, argv, prog="pct design")
    import pct
    from pct.designing.bags import require_rosbags
    from pct.designing.drives import Progress

    if args.bag:
        require_rosbags()
    pct.keep_compiled_code()
    if args.from_logs:
        _rank(args)
        return
    output = _free_folder(args)

    def report(line: Any) -> None:
        if not isinstance(line, Progress) or line.generation % 20 == 0 or line.generation == line.of:
            say_error(line)

    found = pct.design(
        _car(args),
        args.identify,
        track=args.track,
        progress=report,
        **dataclasses.asdict(args.settings),
    )
    folder = found.save(output, bag=args.bag)
    head, rows = found.cells()
    print_table("Standard errors to expect", head, rows, texts=(0, len(head) - 1))
    say(*found.facts)
    for warning in found.warnings:
        say_error(f"warning: {as_flags(warning, DesignConfig)}")
    say(
        f"Wrote {folder}: drive.csv, path.csv, cones.csv, design.json, design.png, design.html"
        f"{', bag/' if args.bag else ''}",
        "Next: drive it at walking pace first, then as written, and give the log to pct fit.",
    )


def _rank(args: DesignConfig) -> None:
    """Print what driven logs are worth."""
    import pct
    from pct.api.opening import open_fit
    from pct.cli.folders import resolve_place

    assert args.run is not None
    fit = open_fit(args.run, model=args.model)
    drives = pct.load([resolve_place(path, "--from-logs") for path in args.from_logs])
    ranking = pct.rank(fit, drives, args.identify, piece=args.piece)
    head, rows = ranking.cells()
    print_table("What each piece of driving tells, the best first", head, rows, texts=(0, len(head) - 1))
    say(*ranking.facts)
    if args.output is not None:
        say(f"Table: {ranking.save(args.output)}")


def _car(args: DesignConfig) -> Any:
    import pct
    from pct.api.opening import open_fit

    if args.run is not None:
        return open_fit(args.run, model=args.model)
    car = pct.model(args.model or "", vehicle=args.vehicle)
    return car.hold_all(fixed_values(args.fixed)) if args.fixed else car


def _free_folder(args: DesignConfig) -> Path:
    """The folder that is asked for, or the first free one of the usual name."""
    from pct.cli.folders import free_path

    if args.output is not None:
        if args.output.exists():
            raise UsageError(f"`output={args.output}`: expected a new folder, found one: name another")
        return args.output
    return free_path((args.run or Path()) / "design")
