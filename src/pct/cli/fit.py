"""`pct fit`: one value of each parameter for a vehicle, with its error, from minutes of driving."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from pct.cli.console import command, flush, print_table, say, say_error
from pct.cli.flags import TIME_STEP, DataFlags, ModelFlags, RunFlags, as_flags, flag_values, parse
from pct.measurement import Measurement
from pct.optimization.settings import DRAWS, FitSettings

# Varying parameters that a printed command follows at once.
FOLLOWED = 3


@dataclasses.dataclass(frozen=True)
class FitConfig:
    """Fit constant parameters of a vehicle model to driving logs, in seconds.

    Rolls the model out over windows of the logs and moves the parameters, within their bounds, until the
    rollouts meet the logs (Levenberg-Marquardt). Prints each value with its standard error and a verdict, and
    leaves a run folder that `pct evaluate` and `pct train --init-from` read.

    Example: pct fit --dataset datasets/surfaces/val --model singletrack --fixed C_Sf C_Sr m I
    """

    data: tyro.conf.OmitArgPrefixes[DataFlags] = dataclasses.field(default_factory=DataFlags)
    model: tyro.conf.OmitArgPrefixes[ModelFlags] = dataclasses.field(default_factory=ModelFlags)
    measurement: tyro.conf.OmitArgPrefixes[Measurement] = dataclasses.field(
        default_factory=lambda: Measurement(observer=True)
    )
    dt: Annotated[int, TIME_STEP] | None = None
    """Time step of the rollout [hundredths of a second]. Default: that of the recordings."""
    settings: tyro.conf.OmitArgPrefixes[FitSettings] = dataclasses.field(default_factory=FitSettings)
    start: Path | None = None
    """Run folder of a fit that the search begins at, of this model or a simpler one: its values of the
    parameters that both learn. Default: the vehicle's values."""
    double: bool = False
    """Compute in double precision: for data without noise."""
    profile: tuple[str, ...] = ()
    """Parameters whose likelihood is profiled: each is held at points about its value, the others are fitted
    anew. Takes as long as some ten fits each."""
    by: Literal["recording", "file", "lap"] | None = None
    """Fit each recording, file or lap alone, too, and print how they agree; from two on. Default: recordings
    are compared from four on."""
    sample: bool = False
    """Draw the posterior by NUTS, too: intervals that need not be normal, and bands of the curves. Takes some
    thousand rollouts of all windows; needs the package blackjax."""
    draws: Annotated[int, DRAWS] = 1000
    """Draws of the posterior that are kept, of four chains together [draws]."""
    report: bool = True
    """Draw the figures and write report.html."""
    run: tyro.conf.OmitArgPrefixes[RunFlags] = dataclasses.field(default_factory=RunFlags)


CONFIG = FitConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags, fit, save, and print the results."""
    args = parse(FitConfig, argv, prog="pct fit")
    import jax

    import pct
    from pct.api.fitting import observed
    from pct.api.opening import open_fit
    from pct.cli.device import settle_device
    from pct.cli.folders import default_results, resolve_folder
    from pct.evaluation.fit_report import report_facts, save_curves, text_columns
    from pct.optimization.constants.agreement import ENOUGH
    from pct.optimization.constants.posterior.nuts import require_sampler
    from pct.optimization.constants.posterior.posterior import posterior_cells
    from pct.optimization.constants.profile import require_scalar
    from pct.optimization.constants.verdicts import varying_names
    from pct.runs.directory import (
        PREDICTED,
        after_saving,
        create_run_directory,
        recorded,
        write_provenance,
    )

    if args.run.compile_cache:
        pct.keep_compiled_code()
    device = settle_device(args.run.device, fits=True)
    if args.double:
        jax.config.update("jax_enable_x64", True)
    car = pct.model(args.model.model, vehicle=args.model.vehicle)
    car = observed(dataclasses.replace(car, measurement=args.measurement))
    car = car.hold_all(args.model.fixed_values())
    folders = tuple(str(resolve_folder(path, "--dataset")) for path in args.data.dataset)
    drives = pct.load(folders)
    start = None if args.start is None else open_fit(args.start)
    run = create_run_directory(args.run.results or default_results(), car.base.name, "full")
    config = {**flag_values(args), "dataset": folders}
    write_provenance(run, config=config, command=sys.argv, data=drives.hashes)
    outcome: dict[str, Any] = {}
    with recorded(run, outcome):
        say_error(f"run folder: {run}")
        say_error(device)
        for name in args.profile:
            require_scalar(car.spec, name)
        if args.sample:
            require_sampler()
        fit = pct.fit(
            car,
            drives,
            dt=None if args.dt is None else args.dt / 100,
            start=start,
            by=args.by,
            progress=say_error,
            **dataclasses.asdict(args.settings),
        )
        if args.by is not None or len(drives) >= ENOUGH:
            say_error(f"fitting each {args.by or 'recording'} alone")
        outcome |= fit.write(run)
        if args.profile:
            with after_saving("the profiles"):
                fit = fit.profile(*args.profile, progress=say_error)
                fit.write(run)
        if args.sample:
            with after_saving("the posterior"):
                fit = fit.sample(args.draws, progress=say_error)
                fit.write(run)
        for warning in fit.warnings:
            say_error(f"warning: {as_flags(warning, FitConfig)}")
        with after_saving("the table of parameters"):
            head, rows = fit.cells()
            print_table(f"Parameters of {fit.model.spec.name}", head, rows, texts=text_columns(head))
            if args.by is not None:
                head, rows = fit.agreement_cells()
                print_table(f"Each {args.by} fitted alone", head, rows, texts=(0, 7, 8))
            if fit.posterior is not None:
                head, rows = posterior_cells(fit.posterior, fit.model.spec)
                print_table(f"Posterior of {fit.model.spec.name}", head, rows, texts=(0, 3, 4, 7))
            if fit.advice:
                say("To identify the remaining parameters:", *(f"  {line}" for line in fit.advice))
            if fit.design_arguments:
                designed = command("design", run, *fit.design_arguments)
                say(f"  All at once, in the area that you have: {designed}")
            if varying := varying_names(fit.verdicts)[:FOLLOWED]:
                followed = command("track", run, *folders, "--vary", *varying)
                say(f"  When it changes, and by how much: {followed}")
        say(*(as_flags(line, FitConfig) for line in fit.facts))
        if args.report:
            with after_saving("the curves"):
                save_curves(run, fit.report)
                say(*report_facts(fit.report))
        say(
            f"{outcome['iterations']} iterations, {outcome['seconds']:.1f} s. Parameters: {run / PREDICTED}",
            f"Evaluate it on other drives: {command('evaluate', run, '--dataset', _other_drives(folders))}",
        )
        if args.report:
            flush()  # nobody waits for the figures to read the results
            from pct.evaluation.fit_page import draw_fit_report

            with after_saving("the report"):
                say(f"Report: {draw_fit_report(run, fit.report)}")


def _other_drives(folders: Sequence[str]) -> Path:
    """The part that was held out beside what was fitted, or a name for drives of the user."""
    from pct.recordings.trajectory import MANIFEST

    held_out = Path(folders[0]).with_name("val")
    known = str(held_out) not in folders and (held_out / MANIFEST).is_file()
    return held_out if known else Path("UNSEEN_DRIVES")
