"""`pct evaluate`: a run's open-loop errors on drives that it has not seen, beside those of baselines."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from pct.cli.console import flush, print_table, say, say_error
from pct.cli.flags import ComputeFlags, DataFlags, parse
from pct.optimization.settings import AT, ROWS


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """Evaluate a trained or fitted run on unseen drives.

    Prints the open-loop errors of the run and of baselines on the same windows, with 95 % intervals, and
    leaves evaluation.json and report.html in the run folder under evaluation/.

    Example: pct evaluate results/singletrack/run_20261123-181650 --dataset datasets/surfaces/val --at 0.3 1.0
    """

    run: tyro.conf.Positional[Path]
    """Run folder of `pct train` or `pct fit`."""
    data: tyro.conf.OmitArgPrefixes[DataFlags] = dataclasses.field(default_factory=DataFlags)
    at: tuple[Annotated[float, AT], ...] = ()
    """Horizons of the errors [s]; may be longer than in training. Default: that of training."""
    stride: Annotated[int, ROWS] | None = None
    """Steps from one window's start to the next [time steps]. Default: that of training."""
    allow_overlap: bool = False
    """Evaluate on training data, too; every output says so."""
    model: Path | None = None
    """Python file with the equations of the run's model, where that is not installed."""
    output: Path | None = None
    """Folder of the results. Default: evaluation/<names of the datasets> in the run folder."""
    common: tyro.conf.OmitArgPrefixes[ComputeFlags] = dataclasses.field(default_factory=ComputeFlags)


CONFIG = EvaluateConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags, evaluate, and print the results."""
    args = parse(EvaluateConfig, argv, prog="pct evaluate")
    import pct
    from pct.cli.device import settle_device
    from pct.cli.folders import resolve_folder
    from pct.evaluation.report import save_numbers
    from pct.evaluation.text import bin_cells, facts, ladder_cells, ladder_title, number, run_cells, verdicts
    from pct.runs.directory import after_saving, require_own

    pct.keep_compiled_code()
    device = settle_device(args.common.device, fits=True)
    folders = [resolve_folder(path, "--dataset") for path in args.data.dataset]
    say_error(device)
    score = pct.evaluate(
        pct.open(args.run, model=args.model),
        pct.load(folders),
        at=args.at,
        stride=args.stride,
        allow_overlap=args.allow_overlap,
        progress=lambda name: say_error(f"judging: {name}"),
    )
    output = args.output
    if output is None:
        output = args.run / "evaluation" / "+".join(path.name for path in folders)
        require_own(args.run, output)
    result = score.result
    save_numbers(output, result, run=args.run, paths=score.drives.paths)
    say(*facts(result))
    for seconds in result.at:
        title = f"{ladder_title(result)}, over {seconds:g} s"
        print_table(title, *ladder_cells(result, seconds, number))
        title = f"This run over {seconds:g} s, with 95 % intervals"
        print_table(title, *run_cells(result, seconds), texts=(0, 5))
    for condition in result.conditions:
        head, rows = bin_cells(result, condition, number)
        print_table(f"{head[0][0].upper()}{head[0][1:]}, over {max(result.at):g} s", ["", *head[1:]], rows)
    say(*(f"Left out: {name}: {reason}" for name, reason in result.missing.items()))
    say(*verdicts(result))
    flush()  # nobody waits for the figures to read the results
    with after_saving("the report"):
        say(f"Report: {score.save(output, run=args.run)}")
