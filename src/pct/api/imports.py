"""`import_logs`: logs of any kind to a dataset that is ready to train on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

import pct
from pct.api.notebook import Shown
from pct.errors import DataError, UsageError
from pct.files import new_folder, write_output
from pct.importing.file import Imported, Stored
from pct.importing.parts import deal_out, write_parts
from pct.importing.pool import import_files
from pct.importing.settings import PROCESSES, ImportSettings
from pct.logs.signals import MAP
from pct.mapping.log_files import find_logs
from pct.optimization.settings import make_settings
from pct.recordings.feeding import feeding_lines, shared_channels
from pct.within import check_number

CARD = "card.html"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ImportedDataset(Shown):
    """A dataset and the logs that it was made of.

    Attributes:
        output: its folder.
        parts: folder of each part: ``train``, and ``val`` and ``test`` where they are held out.
        files: outcome of each log.
        proposed_map: text of the map, where it was proposed; else empty.
    """

    output: Path
    parts: Mapping[str, Path]
    files: tuple[Imported, ...]
    proposed_map: str = ""

    @property
    def failed(self) -> tuple[Imported, ...]:
        """The logs that could not be used, each with its ``error``."""
        return tuple(file for file in self.files if file.error)

    @property
    def usable(self) -> tuple[Imported, ...]:
        """The logs that were imported."""
        return tuple(file for file in self.files if not file.error)

    @property
    def card(self) -> Path:
        """The page that shows the dataset."""
        return self.output / CARD

    @property
    def map(self) -> Path | None:
        """The map that was proposed."""
        return self.output / MAP if self.proposed_map else None

    def stored(self, part: str) -> list[Stored]:
        """The recordings of a part."""
        return [stored for file in self.usable for stored in file.stored if stored.part == part]

    @property
    def feeds(self) -> list[str]:
        """Which models the dataset feeds, and what each of the others would need, a line each."""
        return feeding_lines(shared_channels(file.columns for file in self.usable))

    def table(self) -> pl.DataFrame:
        """One row a usable log: rows, rows cut, samples bridged, recordings, laps, length."""
        return pl.DataFrame(
            [
                {
                    "file": file.name,
                    "rows": file.rows,
                    "cut": file.cut,
                    "left_out": file.left_out,
                    "bridged": sum(file.bridged.values()),
                    "seams": file.seams,
                    "recordings": len(file.stored),
                    "laps": file.laps,
                    "seconds": sum(stored.seconds for stored in file.stored),
                    "metres": sum(stored.metres for stored in file.stored),
                }
                for file in self.usable
            ]
        )

    def shown(self) -> tuple[str, pl.DataFrame, Sequence[str]]:
        """Title, table and notes."""
        failed = [f"not used: {file.error}" for file in self.failed]
        return f"Dataset {self.output}: {', '.join(self.parts)}", self.table(), [*failed, *self.feeds]

    def to_dict(self) -> dict[str, Any]:
        """Everything in a form that JSON takes."""
        return {
            "parts": {part: str(place) for part, place in self.parts.items()},
            "feeds": self.feeds,
            "files": [
                {
                    **vars(file),
                    "delays": {name: delay._asdict() for name, delay in file.delays.items()},
                    "stored": [
                        {name: value for name, value in stored._asdict().items() if name != "summary"}
                        for stored in file.stored
                    ],
                }
                for file in self.files
            ],
        }


def import_logs(
    logs: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    map: str | Path | None = None,
    processes: int | None = None,
    progress: Callable[[int, int, str], object] | None = None,
    **settings: Any,
) -> ImportedDataset:
    """Make a dataset of logs: faults cut out or bridged, one clock, uniform steps, parts held out.

    Args:
        logs: log files, or folders of logs with a ``signals.toml``.
        output: the new dataset folder; an existing one is refused.
        map: a ``signals.toml`` elsewhere, the name of a preset, or ``auto`` for a proposal.
        processes: files that are imported at once; one a core when left out.
        progress: called with the number of files that are done, of all files, and the name of the last one.
        settings: of `pct.importing.settings.ImportSettings`: ``dt``, ``gap``, ``split``, ``smooth``, ...

    Returns:
        The dataset and the outcome of each log; a log that cannot be used does not stop the others.

    Raises:
        UsageError: a value out of range.
        DataError: there is no log, no map, no log that can be used, or the output cannot be written.

    Examples:
        >>> import tempfile, pct
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     frame = pct.load("datasets/surfaces/val")[0].table()
        ...     frame.select("t", "x", "y", "psi", "v", "delta").write_csv(f"{folder}/log.csv")
        ...     dataset = import_logs(f"{folder}/log.csv", f"{folder}/car", map="plain-csv", processes=1)
        ...     dataset.table()["recordings"].to_list()
        [1]
    """
    places = [Path(logs)] if isinstance(logs, str | Path) else [Path(path) for path in logs]
    output = Path(output)
    chosen = make_settings(ImportSettings, settings)
    if not places:
        raise UsageError("`logs`: expected log files or folders, got none")
    if processes is not None:
        check_number("processes", processes, PROCESSES)
    with new_folder(output) as building:
        sources, proposal = find_logs(places, None if map is None else str(map))
        work = building / ".work"
        work.mkdir()
        outcomes: dict[int, Imported] = {}
        for number, outcome in import_files(sources, chosen, work, processes):
            outcomes[number] = outcome
            if progress is not None:
                progress(len(outcomes), len(sources), outcome.name)
        files = deal_out([outcomes[number] for number in range(len(sources))], chosen)
        if all(file.error for file in files):
            others = f". Nor could the other {len(files) - 1} files be used" if len(files) > 1 else ""
            raise DataError(files[0].error + others)
        notes: dict[str, Any] = {"imported_by": f"pct {pct.__version__}", "settings": vars(chosen)}
        vehicle = sources[0].signals.vehicle or "unknown"
        parts = write_parts(building, work, files, chosen, vehicle=vehicle, notes=notes)
        if proposal:
            write_output(building / MAP, proposal.encode())
        from pct.importing.card_page import write_card

        write_card(building / CARD, vehicle, parts, files, chosen)
    places_of_parts = {part: output / place.relative_to(building) for part, place in parts.items()}
    return ImportedDataset(output, places_of_parts, tuple(files), proposal)
