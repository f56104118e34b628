"""`pct fleet fit`: many cars, each fitted by a task of its own, and what they are together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pct.api.fleets import Workers
from pct.cli.console import command, flush, print_table, say, say_error
from pct.cli.flags import TIME_STEP, DebugFlags, ModelFlags, as_flags, parse
from pct.errors import UsageError
from pct.measurement import Measurement
from pct.optimization.settings import FitSettings

# Cars that a terminal shows.
SHOWN = 20


@dataclasses.dataclass(frozen=True)
class FleetConfig:
    """Fit many cars side by side, and say how they differ.

    Each folder or log that PATTERN matches is one vehicle. Every car is fitted alone, by a task with a run
    folder of its own: the same command skips what is done and goes on with what is not. Prints mean, spread
    and unlike cars. The folder is a prior for the next car: pct fit --prior FOLDER.

    Example: pct fleet fit "my_cars/*" --model singletrack --fixed mu m I
    """

    pattern: tyro.conf.Positional[tuple[str, ...]]
    """Dataset folders, folders of logs with a signals.toml, log files, or patterns of them in quotes."""
    by: Literal["vehicle", "recording", "day"] = "vehicle"
    """What is fitted as one car: a vehicle with all its recordings, each recording, or those of one day, by
    the date in their names."""
    executor: str = "local"
    """Where tasks run: local (processes of this machine), dask, ray or slurm, each of the last three from an
    extra of its name. NAME=ADDRESS takes a scheduler or cluster that runs, or a partition of SLURM."""
    workers: Workers | None = None
    """Cars that are fitted at once; the cores are shared among them. Default: one a core."""
    output: Path | None = None
    """Folder of the fleet. Default: results/fleets/NAME, by the name of the folder that the pattern starts
    in, in the current folder."""
    model: tyro.conf.OmitArgPrefixes[ModelFlags] = dataclasses.field(default_factory=ModelFlags)
    measurement: tyro.conf.OmitArgPrefixes[Measurement] = dataclasses.field(
        default_factory=lambda: Measurement(observer=True)
    )
    dt: Annotated[int, TIME_STEP] | None = None
    """Time step of the rollout [hundredths of a second]. Default: that of the recordings."""
    settings: tyro.conf.OmitArgPrefixes[FitSettings] = dataclasses.field(default_factory=FitSettings)
    report: bool = True
    """Draw the figure and write report.html."""
    common: tyro.conf.OmitArgPrefixes[DebugFlags] = dataclasses.field(default_factory=DebugFlags)

    def validate(self) -> None:
        """Raise UsageError where there is no pattern."""
        if not self.pattern:
            raise UsageError("`pattern`: expected one or more, got none")


CONFIG = FleetConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags, fit the cars, and print the fleet."""
    args = parse(FleetConfig, argv, prog="pct fleet fit")
    import pct
    from pct.api.fitting import observed
    from pct.cli.folders import default_results
    from pct.dynamics.registry import is_model_file

    car = pct.model(args.model.model, vehicle=args.model.vehicle)
    car = observed(dataclasses.replace(car, measurement=args.measurement))
    car = car.hold_all(args.model.fixed_values())
    found = pct.fleet(
        car,
        args.pattern,
        folder=args.output or default_results() / "fleets" / name_of(args.pattern),
        by=args.by,
        executor=args.executor,
        workers=args.workers,
        dt=None if args.dt is None else args.dt / 100,
        model=args.model.model if is_model_file(args.model.model) else None,
        progress=say_error,
        **dataclasses.asdict(args.settings),
    )
    for warning in found.warnings:
        say_error(f"warning: {as_flags(warning, FleetConfig)}")
    head, rows = found.cells()
    if rows:
        print_table("The fleet", head, rows, texts=(0, len(head) - 2, len(head) - 1))
        head, rows = found.car_cells(SHOWN)
        print_table("Its cars, with the fleet known", head, rows, texts=(0, len(head) - 1))
    say(*found.facts, f"Fleet: {found.folder}")
    if found.summary is not None:
        # As it was asked for, also where the model is in a file.
        same = [
            "--model",
            args.model.model,
            *(["--vehicle", args.model.vehicle] if args.model.vehicle else []),
        ]
        same += ["--fixed", *args.model.fixed] if args.model.fixed else []
        line = command("fit", "--prior", found.folder, "--dataset", "NEXT_CAR", *same)
        say(f"As prior for the next car: {line}")
    if args.report:
        flush()  # nobody waits for the figure to read the results
        say(f"Report: {found.write_report()}")


def name_of(patterns: Sequence[str]) -> str:
    """Name of a fleet: that of the folder that its patterns have in common.

    Examples:
        >>> name_of(["data/cars/*"]), name_of(["cars/a", "cars/b"]), name_of(["*/train"])
        ('cars', 'cars', 'fleet')
    """
    parts = [Path(pattern).parts[:-1] for pattern in patterns]
    plain = [tuple(part for part in one if not set(part) & set("*?[")) for one in parts]
    shared = [names[0] for names in zip(*plain, strict=False) if len(set(names)) == 1]
    names = [name for name in shared if name not in (".", "..", "/")]
    return names[-1] if names else "fleet"
