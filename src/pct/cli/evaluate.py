"""`pct evaluate`: a run's open-loop errors on drives that it has not seen, beside those of baselines."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import tyro

from pct.cli.config import merge_repeated
from pct.cli.folders import keep_compiled_code, resolve_folder
from pct.errors import DataError, UsageError


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """Judge a trained run on drives that it has not seen.

    Prints the open-loop errors of the run and of baselines on the same windows, with 95 % intervals, and
    leaves evaluation.json and report.html in the run folder under evaluation/.

    Example: pct evaluate results/singletrack/run_20261123-181650 --dataset datasets/surfaces/val --at 0.3 1.0
    """

    run: tyro.conf.Positional[Path]
    """Run folder of `pct train`."""
    dataset: tuple[str, ...] = ()
    """Test data: one or more dataset folders, or raw folders with a signals.toml; absolute, or relative to
    the repository root."""
    at: tuple[float, ...] = ()
    """Horizons of the errors [s]; may be longer than in training. That of training when left out."""
    stride: int | None = None
    """Steps from one window's start to the next [time steps]; that of training when left out."""
    model: str | None = None
    """The Python file that defines the run's model, where it is no registered one."""
    allow_overlap: bool = False
    """Judge on data that was trained on, too; every output says so."""
    output: Path | None = None
    """Folder of the results; evaluation/<names of the datasets> in the run folder when left out."""
    debug: bool = False
    """Show the traceback of an error."""

    def validate(self) -> None:
        """Raise UsageError for a value that cannot be used."""
        if not self.dataset:
            raise UsageError("--dataset: expected one folder or more, got none.")
        if self.stride is not None and self.stride <= 0:
            raise UsageError(f"--stride must be a positive number, got {self.stride}.")


CONFIG = EvaluateConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags and judge."""
    arguments = merge_repeated(list(sys.argv[1:] if argv is None else argv), ("--dataset", "--at"))
    args = tyro.cli(EvaluateConfig, prog="pct evaluate", args=arguments)
    args.validate()
    import jax

    from pct.cli.evaluation_tables import print_evaluation
    from pct.dynamics import resolve_model
    from pct.evaluation.evaluate import evaluate, horizon_steps, measure_overlap
    from pct.evaluation.report import save_evaluation
    from pct.evaluation.windows import load_test_windows
    from pct.runs.models import open_run

    keep_compiled_code(jax)
    if args.model is not None:
        resolve_model(args.model)
    model = open_run(args.run)
    paths = [resolve_folder(path, "--dataset") for path in args.dataset]
    stride = args.stride or model.settings["stride"]
    at = tuple(sorted(set(args.at))) or (model.settings["horizon"] * model.dt,)
    windows = load_test_windows(model, paths, horizon=horizon_steps(at, model.dt), stride=stride)
    try:
        overlap = measure_overlap(model, args.run, windows)
    except DataError as error:
        if not args.allow_overlap:
            raise DataError(
                f"{args.run}: cannot tell whether it was trained on the test data ({error}): "
                "pass --allow-overlap to judge all the same"
            ) from None
        overlap = None
    if overlap is not None and overlap.alarming and not args.allow_overlap:
        raise DataError(
            f"test data: expected drives that the run was not trained on, found {100 * overlap.share:.0f} % "
            f"of {overlap.compared} compared rows in its training data: "
            "give other drives, or pass --allow-overlap to judge all the same"
        )
    found = evaluate(
        model,
        args.run,
        windows,
        paths,
        at=at,
        stride=stride,
        overlap=overlap,
        tell=lambda text: print(f"judging: {text}", file=sys.stderr),
    )
    output = args.output or args.run / "evaluation" / "+".join(path.name for path in paths)
    report = save_evaluation(output, found, run=args.run, paths=paths)
    print_evaluation(found, report)
