"""The card of a dataset: its facts and figures, the outcome of each file, and the settings of the import."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from pct.files import temporary_folder, write_output
from pct.importing.card import Drives, Summary, card_facts, collect, fact_lines, put_together, stored_drives
from pct.importing.file import Imported
from pct.importing.settings import ImportSettings
from pct.plots import plot_card
from pct.plots.page import bullets, figure, heading, page, table
from pct.recordings.trajectory import read_manifest

PARTS = {"train": "Training", "val": "Validation", "test": "Test"}
HASH = 12
CARD = "card.html"


Figures: TypeAlias = dict[str, list[str]]


def draw_figures(stored: Iterable[tuple[str, Summary]]) -> Figures:
    """The figures of each part, of part and summary of all recordings."""
    by_part: dict[str, list[Summary]] = {}
    for part, summary in stored:
        by_part.setdefault(part, []).append(summary)
    return {part: _figures(put_together(one)) for part, one in by_part.items()}


def write_card(
    path: Path,
    vehicle: str,
    parts: Iterable[str],
    files: Sequence[Imported],
    settings: ImportSettings,
    figures: Figures | None = None,
) -> None:
    """Write the page.

    Args:
        path: the new file.
        vehicle: what drove.
        parts: of the dataset.
        files: outcome of each.
        settings: how they were imported.
        figures: from `draw_figures`, where they are drawn already.
    """
    usable = [one for one in files if not one.error]
    stored = [stored for one in usable for stored in one.stored]
    drives = {part: put_together(one.summary for one in stored if one.part == part) for part in parts}
    figures = figures or draw_figures((one.part, one.summary) for one in stored)
    body = [_facts(drives)]
    for part in drives:
        body += [heading(f"{PARTS[part]} recordings" if len(drives) > 1 else "Recordings"), *figures[part]]
    channels = [[name, unit, origin] for name, (unit, origin) in usable[0].columns.items()]
    body += [
        heading("Channels"),
        table(["channel", "unit", "origin"], channels, texts=[2]),
        heading("Sources"),
        table(_SOURCES, map(_source, usable), texts=[len(_SOURCES) - 1]),
    ]
    failed = [f"{Path(one.file).name}: {_short(one)}" for one in files if one.error]
    if failed:
        body += [heading("Files that could not be used"), bullets(failed)]
    body += [heading("Settings"), bullets(f"{name}: {value}" for name, value in vars(settings).items())]
    # Named from the folder of the page, so that the same logs give the same bytes wherever they go.
    folders = {part: part if len(drives) > 1 else "." for part in drives}
    fit = "".join(
        f" {flag} {folders[part]}"
        for part, flag in (("train", "--dataset"), ("val", "--val-dataset"))
        if part in folders
    )
    commands = [f"pct data check {' '.join(folders.values())}", f"pct fit{fit}"]
    body += [heading("Next, in this folder"), bullets(commands)]
    write_output(path, page(f"Dataset: {vehicle}", body).encode())


def write_repaired_card(folder: Path) -> None:
    """Write the card of a dataset that the doctor has mended; its repairs come first.

    Args:
        folder: the mended dataset.
    """
    manifest = read_manifest(folder)
    drives = collect(stored_drives(folder))
    columns = [[name, row["unit"], row["origin"]] for name, row in manifest["columns"].items()]
    body = [
        _facts({"train": drives}),
        heading("Repairs by pct data check"),
        bullets(map(str, manifest["notes"]["repairs"])),
        heading("Recordings"),
        *_figures(drives),
        heading("Channels"),
        table(["channel", "unit", "origin"], columns, texts=[2]),
    ]
    write_output(folder / CARD, page(f"Dataset: {manifest.get('vehicle', '')}", body).encode())


def _facts(drives: Mapping[str, Drives]) -> str:
    """The facts of all parts side by side."""
    lines = {part: dict(fact_lines(card_facts(one))) for part, one in drives.items()}
    names = list(dict.fromkeys(name for one in lines.values() for name in one))
    rows = [[name, *(one.get(name, "") for one in lines.values())] for name in names]
    return table(["", *(PARTS[part].lower() for part in lines)], rows, texts=range(1, len(lines) + 1))


def _figures(drives: Drives) -> list[str]:
    with temporary_folder() as folder:
        return [figure(path.read_bytes(), title, "png") for title, path in plot_card(folder, drives.samples)]


_SOURCES = (
    "file",
    "SHA-256",
    "rows",
    "cut",
    "dropped",
    "seams",
    "recordings",
    "laps",
    "response delay",
    "spikes and bridged samples",
)


def _source(one: Imported) -> list[str]:
    mended: dict[str, Any] = {
        name: f"{one.bridged.get(name, 0)} bridged, {one.spikes.get(name, 0)} of them spikes"
        for name in (one.bridged | one.spikes)
    }
    return [
        one.name,
        one.sha256[:HASH],
        f"{one.rows}",
        f"{one.cut}",
        f"{one.left_out}",
        f"{one.seams}",
        f"{len(one.stored)}",
        f"{one.laps}",
        ", ".join(f"{name} {delay.seconds:.2f} ± {delay.error:.2f} s" for name, delay in one.delays.items()),
        "; ".join(f"{name}: {text}" for name, text in mended.items()),
    ]


def _short(one: Imported) -> str:
    """The message without the folder, which is another one elsewhere."""
    return one.error.replace(one.file, Path(one.file).name)
