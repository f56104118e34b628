"""`pct demo`: the main job on data that PCT brings along, from any folder."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tyro

from pct.cli.console import command, say
from pct.cli.flags import DebugFlags, parse

# Beside the package's modules; see datasets/README.md in the repository.
DATA = Path(__file__).resolve().parents[1] / "demo" / "surfaces"
LEARNED = ("--model", "singletrack", "--fixed", "C_Sf", "C_Sr", "m", "I", "--epochs", "15")


@dataclasses.dataclass(frozen=True)
class DemoConfig:
    """Train a network that finds the friction of simulated drives, and judge it on other drives.

    Leaves a run folder under results/singletrack/ with the network, plots and report.html, which is opened
    in a browser where there is a screen.

    Example: pct demo
    """

    results: Path | None = None
    """Folder of all runs. Default: results/ in the current folder."""
    browser: bool = True
    """Open the report in a browser, where there is a screen."""
    debug: tyro.conf.OmitArgPrefixes[DebugFlags] = dataclasses.field(default_factory=DebugFlags)


CONFIG = DemoConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Train, evaluate, and show the report."""
    args = parse(DemoConfig, argv, prog="pct demo")
    from pct.cli import evaluate, train
    from pct.cli.browser import open_page
    from pct.cli.folders import default_results
    from pct.evaluation.report import REPORT

    results = args.results or default_results()
    runs = results / "singletrack"
    before = set(runs.glob("run_*"))
    train.main(
        [
            "--dataset",
            str(DATA / "train"),
            "--val-dataset",
            str(DATA / "val"),
            *LEARNED,
            "--results",
            str(results),
        ]
    )
    (run,) = set(runs.glob("run_*")) - before
    folder = run / "evaluation" / "val"
    evaluate.main([str(run), "--dataset", str(DATA / "val"), "--output", str(folder)])
    say(
        f"All results on one page: {command('show', *([results] if args.results else []))}",
        "Next, with a log of your own: pct run my_log.csv",
    )
    if args.browser:
        open_page((folder / REPORT).resolve().as_uri())
