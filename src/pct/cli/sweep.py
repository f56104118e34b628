"""`pct sweep`: trainings with many settings, and the best of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tyro

from pct.api.sweeps import Seed, Trials
from pct.cli.console import command, print_table, say, say_error
from pct.cli.flags import DebugFlags, parse


@dataclasses.dataclass(frozen=True)
class SweepConfig:
    """Look for the best settings of a training, and of the measurement and fit below it, by validation loss.

    SPACE is a TOML file with the data, what is held, and the settings to try. The same command goes on with a
    sweep that was stopped, and joins one that runs, from any machine that reaches its storage. Each completed
    trial is a run folder. Needs Optuna: pip install "pct-vehicle[sweep]".

    Example: pct sweep space.toml --trials 50
    """

    space: tyro.conf.Positional[Path]
    """TOML file: sections data, car, measurement, fit, train and space."""
    trials: Trials = 20
    """Trials of the whole study, ended ones among them, whoever ran them."""
    study: str | None = None
    """Name of the study, by which workers join. Default: the name of the file."""
    storage: str | None = None
    """Address of the study's database, e.g. postgresql://user@host/name. Default: study.db in the folder."""
    output: Path | None = None
    """Folder of the trials. Default: results/sweeps/STUDY in the current folder."""
    seed: Seed = 0
    """Seed of the proposals."""
    common: tyro.conf.OmitArgPrefixes[DebugFlags] = dataclasses.field(default_factory=DebugFlags)


CONFIG = SweepConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags, run trials, and print the best."""
    args = parse(SweepConfig, argv, prog="pct sweep")
    import pct

    pct.keep_compiled_code()
    found = pct.sweep(
        args.space,
        trials=args.trials,
        folder=args.output,
        study=args.study,
        storage=args.storage,
        seed=args.seed,
        progress=say_error,
    )
    if found.trials:
        table = found.table(5)
        rows = [["" if cell is None else _text(cell) for cell in row] for row in table.iter_rows()]
        print_table("The best trials", table.columns, rows, texts=range(3, len(table.columns)))
    say(*found.facts)
    if found.best is not None:
        say(
            f"Best run: {found.best}",
            f"Next: {command('evaluate', found.best, '--dataset', 'UNSEEN_DRIVES')}",
        )
    say(f"Look into it: {found.dashboard}    # pip install optuna-dashboard")


def _text(cell: object) -> str:
    return f"{cell:.5g}" if isinstance(cell, float) else str(cell)
