"""The card of a dataset: its facts and figures, the outcome of each file, and the settings of the import."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pct.files import write_output
from pct.importing.card import Drives, card_facts, collect, fact_lines, put_together, stored_drives
from pct.importing.file import Imported
from pct.importing.settings import ImportSettings
from pct.pages import Part, Section, bullets, commands, figure, grid, page, table, verdict
from pct.pages.driven import driven_figures
from pct.recordings.trajectory import read_manifest

PARTS = {"train": "Training", "val": "Validation", "test": "Test"}
HASH = 12
CARD = "card.html"


def write_card(
    path: Path,
    vehicle: str,
    parts: Iterable[str],
    files: Sequence[Imported],
    settings: ImportSettings,
) -> None:
    """Write the page.

    Args:
        path: the new file.
        vehicle: what drove.
        parts: of the dataset.
        files: outcome of each.
        settings: how they were imported.
    """
    usable = [one for one in files if not one.error]
    stored = [stored for one in usable for stored in one.stored]
    drives = {part: put_together(one.summary for one in stored if one.part == part) for part in parts}
    failed = [f"{Path(one.file).name}: {_short(one)}" for one in files if one.error]
    channels = [[name, unit, origin] for name, (unit, origin) in usable[0].columns.items()]
    sources = table(_SOURCES, map(_source, usable), caption="Outcome of each file", texts=[len(_SOURCES) - 1])
    # Named from the folder of the page, so that the same logs give the same bytes wherever they go.
    folders = {part: part if len(drives) > 1 else "." for part in drives}
    fit = "".join(
        f" {flag} {folders[part]}"
        for part, flag in (("train", "--dataset"), ("val", "--val-dataset"))
        if part in folders
    )
    next_steps = [f"pct data check {' '.join(folders.values())}", f"pct fit{fit}"]
    sections = [
        Section("What was driven", [_facts(drives)]),
        *(Section(_heading(part, drives), _figures(part, drives[part])) for part in drives),
        Section("Files that could not be used", [bullets(failed)] if failed else []),
        Section("Channels", [_channels(channels)]),
        Section("Sources", [sources]),
        Section("Settings", [bullets(f"{name}: {value}" for name, value in vars(settings).items())]),
        Section("Next, in this folder", [commands(next_steps)]),
    ]
    count = (
        f"{len(usable)} of {len(files)} files" if failed else f"{len(files)} file{'s' * (len(files) != 1)}"
    )
    lead = verdict(f"{_driven(drives)}, from {count}.", "mixed" if failed else "good")
    write_output(path, page(f"Dataset: {vehicle}", sections, lead=[lead]).encode())


def write_repaired_card(folder: Path) -> None:
    """Write the card of a dataset that the doctor has mended; its repairs come first.

    Args:
        folder: the mended dataset.
    """
    manifest = read_manifest(folder)
    drives = {"train": collect(stored_drives(folder))}
    columns = [[name, row["unit"], row["origin"]] for name, row in manifest["columns"].items()]
    repairs = list(map(str, manifest["notes"]["repairs"]))
    sections = [
        Section("Repairs by pct data check", [bullets(repairs)]),
        Section("What was driven", [_facts(drives)]),
        Section("Recordings", _figures("train", drives["train"])),
        Section("Channels", [_channels(columns)]),
    ]
    lead = verdict(f"{_driven(drives)}, after {len(repairs)} repair{'s' * (len(repairs) != 1)}.")
    write_output(
        folder / CARD, page(f"Dataset: {manifest.get('vehicle', '')}", sections, lead=[lead]).encode()
    )


def _driven(drives: Mapping[str, Drives]) -> str:
    """How much was driven, part by part."""
    driven = {part: dict(fact_lines(card_facts(one)))["driven"] for part, one in drives.items()}
    if len(driven) == 1:
        return next(iter(driven.values()))
    return "; ".join(f"{PARTS[part]} {text}" for part, text in driven.items())


def _heading(part: str, drives: Mapping[str, Drives]) -> str:
    return f"{PARTS[part]} recordings" if len(drives) > 1 else "Recordings"


def _facts(drives: Mapping[str, Drives]) -> Part:
    """The facts of all parts side by side."""
    lines = {part: dict(fact_lines(card_facts(one))) for part, one in drives.items()}
    names = list(dict.fromkeys(name for one in lines.values() for name in one))
    rows = [[name, *(one.get(name, "") for one in lines.values())] for name in names]
    head = ["", *(PARTS[part].lower() for part in lines)]
    return table(head, rows, caption="Facts", texts=range(1, len(lines) + 1))


def _channels(rows: list[list[str]]) -> Part:
    return table(["channel", "unit", "origin"], rows, caption="What each recording holds", texts=[2])


def _figures(part: str, drives: Drives) -> list[Part]:
    found = driven_figures(drives.samples)
    return [grid(figure(f"{part}-{name}", shown, title) for name, (title, shown) in found.items())]


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
