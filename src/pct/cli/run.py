"""`pct run`: from logs to parameters in one command."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from pct.choices.plan import WHEELBASE
from pct.cli.console import command, flush, print_table, say, say_error, someone_is_there
from pct.cli.flags import TIME_STEP, ComputeFlags, as_flags, parse
from pct.errors import PctError


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """From driving logs to parameters: map, import, check, choose, fit, judge on a part that is held out.

    Says each choice with its reason and keeps them in run.toml. Edit that, and run it again:
    pct run run.toml --output NEW.

    Example: pct run logs/monday.csv
    """

    logs: tyro.conf.Positional[tuple[Path, ...]]
    """Log files or folders of them, of any readable format; or the run.toml of an earlier run."""
    output: Path | None = None
    """The new folder of all that is made. Default: <name of the first log>_run in the working directory."""
    map: str | None = None
    """A signals.toml, the name of a preset, or auto: what `pct data map` proposes. Default: the signals.toml
    beside the logs, else auto."""
    hold_out: Literal["block", "recording"] | None = None
    """What is kept for the judgement: the end of each recording, or whole recordings. Default: block."""
    model: str | None = None
    """Dynamics model. Default: of those that the channels feed, the one that predicts the held-out part
    best."""
    vehicle: str | None = None
    """Bounds and defaults of a named vehicle. Default: by wheelbase, speed and acceleration."""
    wheelbase: Annotated[float, WHEELBASE] | None = None
    """Wheelbase of the car [m]. Default: what steering, speed and yaw rate say."""
    dt: Annotated[int, TIME_STEP] | None = None
    """Time step of the rollout [hundredths of a second]. Default: a multiple of the logs', 4 at least."""
    export: tuple[str, ...] = ()
    """Programs that `pct export` writes for, e.g. forzaeth casadi: their files go into the folder exports. A
    car that one cannot say is refitted to it, and its file states the loss."""
    yes: bool = False
    """Ask nothing. Else a question comes on a terminal where the map or the wheelbase is not sure."""
    report: bool = True
    """Draw the figures and write the pages."""
    common: tyro.conf.OmitArgPrefixes[ComputeFlags] = dataclasses.field(default_factory=ComputeFlags)


CONFIG = RunConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags, run, and print one screen of results."""
    args = parse(RunConfig, argv, prog="pct run")
    import pct
    from pct.api.running import PLAN
    from pct.cli.device import settle_device
    from pct.cli.folders import free_path
    from pct.cli.progress import RunProgress
    from pct.evaluation.fit_report import text_columns
    from pct.evaluation.text import verdicts
    from pct.export.targets import TARGETS, target_of
    from pct.runs.directory import PREDICTED, after_saving

    pct.keep_compiled_code()
    for target in args.export:
        target_of(target)  # what is unknown or not installed is said before the work, not after it
    device = settle_device(args.common.device, fits=True)
    output = args.output or Path(f"{args.logs[0].stem}_run")
    say_error(device)
    with RunProgress() as progress:
        outcome = pct.run(
            args.logs,
            output,
            progress=progress,
            report=False,
            ask=progress.ask if someone_is_there() and not args.yes else None,
            map=args.map,
            hold_out=args.hold_out,
            model=args.model,
            vehicle=args.vehicle,
            wheelbase=args.wheelbase,
            dt=None if args.dt is None else args.dt / 100,
        )
    for warning in (*outcome.doubts, *outcome.fit.warnings):
        say_error(f"warning: {as_flags(warning, RunConfig)}")
    head, rows = outcome.fit.cells()
    print_table(f"Parameters of {outcome.fit.model.spec.name}", head, rows, texts=text_columns(head))
    say(f"Trust: {', '.join(map(outcome.qualified, outcome.trusted)) or 'none'}")
    if outcome.doubtful:
        say("Do not trust: " + ", ".join(f"{name} ({why})" for name, why in outcome.doubtful.items()))
    if outcome.fit.advice:
        say("Drive next:", *(f"  {line}" for line in outcome.fit.advice))
    if outcome.fit.design_arguments:
        designed = command("design", outcome.folder / "fit", *outcome.fit.design_arguments)
        say(f"  All at once, in the area that you have: {designed}")
    if outcome.score is None:
        say("Not judged: no part was long enough to hold out")
    else:
        say("On the part that was held out:", *(f"  {line}" for line in verdicts(outcome.score.result)))
    say(
        f"Parameters: {outcome.folder / 'fit' / PREDICTED}",
        f"Choices: {outcome.folder / PLAN}",
        f"Edit it, and run it again: {command('run', outcome.folder / PLAN, '--output', free_path(output))}",
        f"Export: {command('export c', outcome.folder / 'fit', '--output', free_path(Path('car.c')))}",
    )
    exports = outcome.folder / "exports"
    if args.export:
        exports.mkdir()
    for target in args.export:
        try:
            say(f"Wrote {outcome.fit.export(target, exports / TARGETS[target].file, refit=True)}")
        except PctError as error:
            say_error(f"warning: {error}")
    if args.report:
        flush()  # nobody waits for the figures to read the results
        with after_saving("the report"):
            say(f"Report: {outcome.write_report()}", f"Data: {outcome.dataset.card}")
