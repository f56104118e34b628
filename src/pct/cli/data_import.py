"""`pct data import`: logs of any kind to a dataset that is ready to train on."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from pct.errors import DataError, UsageError

if TYPE_CHECKING:
    from pct.importing import Imported, Log, Settings
    from pct.importing.file import Meanwhile, Summary

# Files that the table on the screen names; all are in dataset.json.
SHOWN = 40
# Leaves with this where a file could not be used; the others are imported.
SOME_FAILED = 3
CARD = "card.html"
MAP = "signals.toml"


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
    dt: float | None = None
    """Time step of the dataset [hundredths of a second]; that of each log when left out."""
    gap: float = 0.1
    """Samples at most this far apart are bridged; recordings are cut at longer gaps [s]."""
    spikes: bool = True
    """Take samples that leave their neighbours and come back for gaps."""
    smooth: Literal["none", "savgol", "rts"] = "none"
    """Add derived channels: by Savitzky-Golay, or from a Kalman smoother (RTS) of pose and speeds."""
    standstill: float = 5.0
    """Leave out longer standstills [s]; inf keeps all."""
    shortest: float = 2.0
    """Leave out shorter recordings [s]."""
    split: Literal["none", "recording", "lap", "block"] = "none"
    """Hold out whole recordings, laps, or the end of each recording."""
    val_split: float = 0.2
    """Share that is held out for validation [1]."""
    test_split: float = 0.0
    """Share that is held out for a test [1]."""
    split_gap: float = 2.0
    """Time between two parts of a recording that is in none [s]; at least history and horizon of training."""
    processes: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """Files that are imported at once; one a core when left out."""
    json: bool = False
    """Print one JSON object instead of the table."""
    debug: bool = False
    """Show the traceback of an error."""

    def validate(self) -> None:
        """Raise UsageError for a value that cannot be used."""
        if not self.logs:
            raise UsageError("Expected log files or folders, got none: pct data import LOGS --output FOLDER")
        shares = self.val_split, self.test_split
        if min(shares) < 0 or not 0 < sum(shares) < 1:
            raise UsageError(
                f"--val-split, --test-split: expected shares that add up to more than 0 and less than 1, got "
                f"{shares[0]:g} and {shares[1]:g}"
            )
        for flag in ("gap", "standstill", "shortest", "split_gap"):
            if not getattr(self, flag) >= 0:
                raise UsageError(
                    f"--{flag.replace('_', '-')}: expected 0 s or more, got {getattr(self, flag)}"
                )
        if self.dt is not None and not self.dt > 0:
            raise UsageError(f"--dt: expected hundredths of a second above 0, got {self.dt}")
        if self.processes is not None and self.processes < 1:
            raise UsageError(f"--processes: expected 1 or more, got {self.processes}")

    def settings(self) -> Settings:
        """What the import of one file needs."""
        from pct.importing import Settings

        return Settings(
            dt=None if self.dt is None else self.dt / 100,
            gap=self.gap,
            spikes=self.spikes,
            smoother=self.smooth,
            standstill=self.standstill,
            shortest=self.shortest,
            split=self.split,
            val=self.val_split,
            test=self.test_split,
            split_gap=self.split_gap,
        )


CONFIG = ImportConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags and run; leaves with 3 where a file could not be used."""
    config = tyro.cli(ImportConfig, prog="pct data import", args=argv)
    config.validate()
    if any(one.error for one in run(config)):
        sys.exit(SOME_FAILED)


def run(config: ImportConfig) -> list[Imported]:
    """Import, write the dataset and tell what became of each file.

    Raises:
        DataError: there is no log, no map, no file that can be used, or the output cannot be written.
    """
    from importlib.metadata import version

    from pct.files import new_folder, write_output
    from pct.importing import deal_out, find_logs, write_parts

    settings = config.settings()
    # Loaded while the logs are read, the library for figures costs no time.
    threading.Thread(target=importlib.import_module, args=("pct.cli.dataset_card",), daemon=True).start()
    with new_folder(config.output) as building:
        logs, proposal = find_logs(config.logs, config.map)
        work = building / ".work"
        work.mkdir()
        figures: dict[str, list[str]] = {}

        def draw(stored: list[tuple[str, Summary]]) -> None:
            from pct.cli.dataset_card import draw_figures

            figures.update(draw_figures(stored))

        # The figures of a log that is alone are drawn while it is written, unless it is dealt out later.
        meanwhile = draw if len(logs) == 1 and settings.split != "recording" else None
        found = deal_out(_import_all(logs, settings, work, config.processes, meanwhile), settings)
        if all(one.error for one in found):
            others = f"\nNor could the other {len(found) - 1} files be used" if len(found) > 1 else ""
            raise DataError(found[0].error + others)
        notes: dict[str, Any] = {"imported_by": f"pct {version('pct')}", "settings": settings._asdict()}
        vehicle = logs[0].signals.vehicle or "unknown"
        parts = write_parts(building, work, found, settings, vehicle=vehicle, notes=notes)
        if proposal:
            write_output(building / MAP, proposal.encode())
        from pct.cli.dataset_card import write_card

        write_card(building / CARD, vehicle, parts, found, settings, figures)
        where = {part: config.output / place.relative_to(building) for part, place in parts.items()}
    if config.json:
        print(json.dumps(_as_json(found, where)))
    else:
        _report(config.output, found, where, proposal)
    return found


def _import_all(
    logs: Sequence[Log],
    settings: Settings,
    work: Path,
    processes: int | None,
    meanwhile: Meanwhile | None,
) -> list[Imported]:
    """Import every file, in processes of their own where there are several; progress goes to stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    bar = Progress(
        TextColumn("importing"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[last]}"),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
        console=console,
        disable=not console.is_terminal,
    )
    found: dict[int, Imported] = {}
    with bar:
        task = bar.add_task("", total=len(logs), last="")
        for number, one in _imported(logs, settings, work, processes, meanwhile):
            found[number] = one
            bar.update(task, advance=1, last=logs[number].name)
    return [found[number] for number in range(len(logs))]


def _imported(
    logs: Sequence[Log],
    settings: Settings,
    work: Path,
    processes: int | None,
    meanwhile: Meanwhile | None,
) -> Iterator[tuple[int, Imported]]:
    """Number of each log and what became of it, as they are done."""
    from pct.importing import Imported, import_file
    from pct.importing.card import FEWEST, MOST_SAMPLES

    # All together are more than the card shows, and no more than the memory bears.
    samples = max(FEWEST, 4 * MOST_SAMPLES // len(logs))
    count = min(processes or len(os.sched_getaffinity(0)), len(logs))
    if count == 1:
        for number, log in enumerate(logs):
            yield number, import_file(*log, settings, work / log.name, samples, meanwhile)
        return
    waiting = dict(enumerate(logs))
    while waiting:
        with _pool(count) as pool:
            jobs: dict[Future[Imported], int] = {
                pool.submit(import_file, *log, settings, work / log.name, samples): number
                for number, log in waiting.items()
            }
            try:
                for job in as_completed(jobs):
                    one = job.result()
                    del waiting[jobs[job]]
                    yield jobs[job], one
            except BrokenProcessPool:
                # A file took its process with it. One at a time, it is the first that is not done.
                if count == 1:
                    number, log = next(iter(waiting.items()))
                    del waiting[number]
                    yield (
                        number,
                        Imported(str(log.path), log.name, error=f"{log.path}: its process was killed"),
                    )
                count = 1
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


def _pool(count: int) -> ProcessPoolExecutor:
    from multiprocessing import get_context

    # The threads of polars do not survive a fork.
    return ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_start_worker)


def _start_worker() -> None:
    """One thread a process; Ctrl-C is for the one that collects."""
    import signal

    from pct.cli.main import collect_rarely

    collect_rarely()
    os.environ["POLARS_MAX_THREADS"] = "1"
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _report(output: Path, found: Sequence[Imported], parts: dict[str, Path], proposal: str) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    table = Table()
    table.add_column("file", overflow="fold")
    for heading in ("rows", "cut", "left out", "bridged", "seams", "drives", "laps", "min", "km"):
        table.add_column(heading, justify="right")
    table.add_column("answers after")
    failed = [one for one in found if one.error]
    usable = [one for one in found if not one.error]
    for one in usable[:SHOWN]:
        table.add_row(escape(one.name), *_cells(one))
    console.print(table)
    if len(usable) > SHOWN:
        console.print(f"and {len(usable) - SHOWN} more files, see {output / CARD}")
    for one in failed:
        console.print(f"[red]not used[/] {escape(one.error)}", soft_wrap=True)
    for part, place in parts.items():
        stored = [s for one in usable for s in one.stored if s.part == part]
        minutes = sum(s.seconds for s in stored) / 60
        kilometres = sum(s.metres for s in stored) / 1000
        count = f"{len(stored)} recording{'s' * (len(stored) != 1)}"
        console.print(f"Wrote {place}: {count}, {minutes:.1f} min, {kilometres:.2f} km", soft_wrap=True)
    console.print(f"Card: {output / CARD}", soft_wrap=True)
    if proposal:
        console.print(f"The map was proposed: read {output / MAP} before you trust it", soft_wrap=True)
    folders = [str(place) for place in parts.values()]
    console.print(f"Next: pct data check {' '.join(folders)}", soft_wrap=True)
    train = f"--dataset {parts['train']}" + (f" --val-dataset {parts['val']}" if "val" in parts else "")
    console.print(f"Then: pct fit {train}", soft_wrap=True)


def _cells(one: Imported) -> list[str]:
    """A file's row of the table, behind its name."""
    return [
        f"{one.rows}",
        f"{one.cut}",
        f"{one.left_out}",
        f"{sum(one.bridged.values())}",
        f"{one.seams}",
        f"{len(one.stored)}",
        f"{one.laps}",
        f"{sum(stored.seconds for stored in one.stored) / 60:.1f}",
        f"{sum(stored.metres for stored in one.stored) / 1000:.2f}",
        ", ".join(f"{name} {delay.seconds:+.2f} s" for name, delay in one.delays.items()),
    ]


def _as_json(found: Sequence[Imported], parts: dict[str, Path]) -> dict[str, Any]:
    return {
        "parts": {part: str(place) for part, place in parts.items()},
        "files": [
            {
                **vars(one),
                "delays": {name: delay._asdict() for name, delay in one.delays.items()},
                "stored": [
                    {name: value for name, value in stored._asdict().items() if name != "summary"}
                    for stored in one.stored
                ],
            }
            for one in found
        ],
    }
