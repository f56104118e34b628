"""`import_logs`: logs of any kind to a dataset that is ready to train on."""

from __future__ import annotations

import dataclasses
import importlib
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import polars as pl

from pct.api.notebook import Shown
from pct.errors import DataError, UsageError
from pct.files import new_folder, write_output
from pct.importing.card import Summary
from pct.importing.file import Imported, Settings, Stored
from pct.importing.parts import deal_out, write_parts
from pct.importing.pool import import_files
from pct.logs.signals import MAP
from pct.mapping.log_files import find_logs

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
        return f"Dataset {self.output}: {', '.join(self.parts)}", self.table(), failed

    def to_dict(self) -> dict[str, Any]:
        """Everything in a form that JSON takes."""
        return {
            "parts": {part: str(place) for part, place in self.parts.items()},
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
    dt: float | None = None,
    gap: float = 0.1,
    spikes: bool = True,
    smooth: Literal["none", "savgol", "rts"] = "none",
    standstill: float = 5.0,
    shortest: float = 2.0,
    split: Literal["none", "recording", "lap", "block"] = "none",
    val_split: float = 0.2,
    test_split: float = 0.0,
    split_gap: float = 2.0,
    processes: int | None = None,
    progress: Callable[[int, int, str], object] | None = None,
) -> ImportedDataset:
    """Make a dataset of logs: faults cut out or bridged, one clock, uniform steps, parts held out.

    Args:
        logs: log files, or folders of logs with a ``signals.toml``.
        output: the new dataset folder; an existing one is refused.
        map: a ``signals.toml`` elsewhere, the name of a preset, or ``auto`` for a proposal.
        dt: time step of the dataset in s; that of each log when left out.
        gap: samples at most this far apart in s are bridged; recordings are cut at longer gaps.
        spikes: whether samples that leave their neighbours and come back count as gaps.
        smooth: how derived channels are added: by Savitzky-Golay or by a Kalman smoother (RTS).
        standstill: longer standstills in s are left out.
        shortest: shorter recordings in s are left out.
        split: what is held out: whole recordings, laps, or the end of each recording.
        val_split, test_split: shares that are held out.
        split_gap: time in s between two parts of a recording that is in none.
        processes: files that are imported at once; one a core when left out.
        progress: called with the number of files that are done, of all files, and the name of the last one.

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
    settings = Settings(
        dt, gap, spikes, smooth, standstill, shortest, split, val_split, test_split, split_gap
    )
    _check(places, settings, processes)
    # Loaded while the logs are read, the library for figures costs no time.
    threading.Thread(target=importlib.import_module, args=("pct.importing.card_page",), daemon=True).start()
    with new_folder(output) as building:
        found, proposal = find_logs(places, None if map is None else str(map))
        work = building / ".work"
        work.mkdir()
        figures: dict[str, list[str]] = {}

        def draw(stored: list[tuple[str, Summary]]) -> None:
            from pct.importing.card_page import draw_figures

            figures.update(draw_figures(stored))

        # A single log's figures are drawn while it is written, unless its recordings are held out later.
        meanwhile = draw if len(found) == 1 and settings.split != "recording" else None
        outcomes: dict[int, Imported] = {}
        for number, outcome in import_files(found, settings, work, processes, meanwhile):
            outcomes[number] = outcome
            if progress is not None:
                progress(len(outcomes), len(found), outcome.name)
        files = deal_out([outcomes[number] for number in range(len(found))], settings)
        if all(file.error for file in files):
            others = f"\nNor could the other {len(files) - 1} files be used" if len(files) > 1 else ""
            raise DataError(files[0].error + others)
        notes: dict[str, Any] = {"imported_by": f"pct {version('pct')}", "settings": settings._asdict()}
        vehicle = found[0].signals.vehicle or "unknown"
        parts = write_parts(building, work, files, settings, vehicle=vehicle, notes=notes)
        if proposal:
            write_output(building / MAP, proposal.encode())
        from pct.importing.card_page import write_card

        write_card(building / CARD, vehicle, parts, files, settings, figures)
    places_of_parts = {part: output / place.relative_to(building) for part, place in parts.items()}
    return ImportedDataset(output, places_of_parts, tuple(files), proposal)


def _check(logs: Sequence[Path], settings: Settings, processes: int | None) -> None:
    """Raise UsageError for a value that cannot be used."""
    if not logs:
        raise UsageError("`logs`: expected log files or folders, got none")
    shares = settings.val, settings.test
    if min(shares) < 0 or not 0 < sum(shares) < 1:
        raise UsageError(
            "`val_split`, `test_split`: expected shares that add up to more than 0 and less than 1, got "
            f"{shares[0]:g} and {shares[1]:g}"
        )
    for name in ("gap", "standstill", "shortest", "split_gap"):
        if not getattr(settings, name) >= 0:
            raise UsageError(f"`{name}`: expected 0 s or more, got {getattr(settings, name)}")
    if settings.dt is not None and not settings.dt > 0:
        raise UsageError(f"`dt`: expected a time step above 0 s, got {settings.dt}")
    if processes is not None and processes < 1:
        raise UsageError(f"`processes`: expected 1 or more, got {processes}")
