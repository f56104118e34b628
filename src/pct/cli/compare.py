"""`pct compare`: fits beside each other, parameter by parameter and side force by side force."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tyro

from pct.cli.console import print_table, say
from pct.cli.flags import DebugFlags, parse
from pct.errors import UsageError


@dataclasses.dataclass(frozen=True)
class CompareConfig:
    """Compare fits of one model: new tyres, another load, a worn part.

    Prints each parameter and side force of the runs with the difference, its 95 % interval, and whether they
    are the same. Errors are those that the fits state.

    Example: pct compare results/singletrack/run_20261123-181650 results/singletrack/run_20261124-090011
    """

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders of `pct fit`, two or more."""
    json: Path | None = None
    """File for all numbers as JSON."""
    page: Path | None = None
    """File for an HTML page with all of it, whose figures can be explored."""
    figure: Path | None = None
    """File for a figure of the values as PNG."""
    curves: Path | None = None
    """File for a figure of the side forces as PNG."""
    model: Path | None = None
    """Python file with the equations of the runs' model, where that is not installed."""
    debug: tyro.conf.OmitArgPrefixes[DebugFlags] = dataclasses.field(default_factory=DebugFlags)

    def validate(self) -> None:
        """Raise UsageError for a value that cannot be used."""
        if len(self.runs) < 2:
            raise UsageError(f"`runs`: expected two run folders or more, got {len(self.runs)}")


CONFIG = CompareConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags, compare, and print."""
    args = parse(CompareConfig, argv, prog="pct compare")
    import pct
    from pct.api.opening import open_fit

    comparison = pct.compare([open_fit(run, model=args.model) for run in args.runs])
    head, rows = comparison.cells()
    texts = (0, len(head) - 2, len(head) - 1)
    print_table(f"{comparison.runs[0].spec.name}: the same or different?", head, rows, texts=texts)
    say(*(f"run {k}: {run}" for k, run in enumerate(args.runs, 1)))
    say(*comparison.facts)
    if args.json is not None:
        say(f"Numbers: {comparison.save(args.json)}")
    if args.page is not None:
        say(f"Page: {comparison.save_page(args.page)}")
    for path, kind in ((args.figure, "values"), (args.curves, "curves")):
        if path is not None:
            say(f"Figure: {comparison.save_figure(path, kind)}")
