"""`pct data import`: logs of any kind to a dataset that is ready to train on."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from pct.cli.console import command, print_table, progress_bar, say, say_json
from pct.cli.flags import DebugFlags, parse
from pct.importing.settings import PROCESSES, ImportSettings
from pct.within import Within

if TYPE_CHECKING:
    from pct.api.imports import ImportedDataset

# Files that the table on the screen names; all are in dataset.json.
SHOWN = 40
HEAD = (
    *("file", "rows", "cut", "dropped", "bridged", "seams", "recordings", "laps", "min", "km"),
    "response delay",
)
# Leaves with this where a file could not be used; the others are imported.
SOME_FAILED = 3


@dataclasses.dataclass(frozen=True)
class ImportFlags(ImportSettings):
    """How logs are imported."""

    dt: Annotated[float, Within(1e-4, 360_000, "hundredths of a second")] | None = None
    """Time step of the dataset [hundredths of a second]. Default: that of each log."""


@dataclasses.dataclass(frozen=True)
class ImportConfig:
    """Make a dataset of logs: faults cut out or bridged, one clock, uniform steps, parts held out.

    Writes OUTPUT with the recordings, dataset.json and card.html; with --split the folders OUTPUT/train,
    OUTPUT/val and OUTPUT/test. A file that cannot be used is listed, and the exit code is 3.

    Example: pct data import logs --output datasets/car --split lap
    """

    logs: tyro.conf.Positional[tuple[Path, ...]]
    """Log files, or folders of logs with a signals.toml."""
    output: Path
    """The new dataset folder; an existing one is refused."""
    map: str | None = None
    """A signals.toml elsewhere, the name of a preset, or auto: what `pct data map` proposes."""
    settings: tyro.conf.OmitArgPrefixes[ImportFlags] = dataclasses.field(default_factory=ImportFlags)
    processes: Annotated[int | None, PROCESSES, tyro.conf.arg(metavar="N")] = None
    """Files that are imported at once. Default: one a core."""
    json: bool = False
    """Print one JSON object instead of the table."""
    common: tyro.conf.OmitArgPrefixes[DebugFlags] = dataclasses.field(default_factory=DebugFlags)


CONFIG = ImportConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags and import; leaves with 3 where a file could not be used."""
    args = parse(ImportConfig, argv, prog="pct data import")
    from pct.api.imports import import_logs

    settings = vars(args.settings)
    if args.settings.dt is not None:
        settings = {**settings, "dt": args.settings.dt / 100}
    with _progress_bar() as progress:
        dataset = import_logs(
            args.logs,
            args.output,
            map=args.map,
            processes=args.processes,
            progress=progress,
            **settings,
        )
    if args.json:
        say_json(dataset.to_dict())
    else:
        _print(dataset)
    if dataset.failed:
        sys.exit(SOME_FAILED)


@contextmanager
def _progress_bar() -> Iterator[Any]:
    """A bar on stderr, where that is a terminal."""
    bar = progress_bar("importing", "{task.fields[count]}", "{task.fields[last]}")
    with bar:
        task = bar.add_task("", total=None, count="", last="")

        def progress(done: int, total: int, name: str) -> None:
            bar.update(task, completed=done, total=total, count=f"{done}/{total}", last=name)

        yield progress


def _print(dataset: ImportedDataset) -> None:
    rows = []
    for file, row in zip(dataset.usable[:SHOWN], dataset.table().iter_rows(), strict=False):
        name, *counts, seconds, metres = row
        delays = ", ".join(f"{name} {delay.seconds:+.2f} s" for name, delay in file.delays.items())
        length = f"{seconds / 60:.1f}", f"{metres / 1000:.2f}"
        rows.append((name, *(f"{count}" for count in counts), *length, delays))
    print_table("", HEAD, rows, texts=(0, len(HEAD) - 1), unbroken=())
    if len(dataset.usable) > SHOWN:
        say(f"and {len(dataset.usable) - SHOWN} more files, see {dataset.card}")
    for file in dataset.failed:
        say(f"not used {file.error}")
    for part, place in dataset.parts.items():
        stored = dataset.stored(part)
        minutes = sum(s.seconds for s in stored) / 60
        kilometres = sum(s.metres for s in stored) / 1000
        count = f"{len(stored)} recording{'s' * (len(stored) != 1)}"
        say(f"Wrote {place}: {count}, {minutes:.1f} min, {kilometres:.2f} km")
    say(*dataset.feeds)
    say(f"Card: {dataset.card}")
    if dataset.map:
        say(f"The map was proposed: read {dataset.map} before you trust it")
    parts = dataset.parts
    say(f"Next: {command('data check', *parts.values())}")
    say(f"Then: {command('fit', '--dataset', parts['train'])}")
