"""Imported recordings to the folders of a dataset: which part each is in, and their ``dataset.json``."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pct.errors import DataError
from pct.importing.file import Imported, Stored
from pct.importing.settings import ImportSettings
from pct.recordings.segments import TEST, TRAIN, VAL
from pct.recordings.trajectory import write_manifest


def deal_out(imported: Sequence[Imported], settings: ImportSettings) -> list[Imported]:
    """Give whole recordings to parts, where that is wanted: whole files where there are enough of them.

    Files without recordings, and such whose channels are others than those of the first, are left as they are
    or told of in ``error``.

    Raises:
        DataError: there are too few recordings to hold any out.
    """
    usable = [one for one in imported if not one.error]
    imported = [_same_channels(one, usable[0]) for one in imported] if usable else list(imported)
    if settings.split != "recording" or not usable:
        return imported
    usable = [one for one in imported if not one.error]
    recordings = [(one.file, stored.row["file"]) for one in usable for stored in one.stored]
    least = min(share for share in (settings.val_split, settings.test_split) if share > 0)
    units: list[Any] = [one.file for one in usable]
    if len(units) * least < 1:
        units = recordings
    if len(units) < 2 or len(units) * least < 0.5:
        raise DataError(
            f"`split=recording`: expected {max(2, round(1 / least))} recordings or more to hold out a share "
            f"of {least:g}, found {len(units)}: pass `split=lap` or `split=block`"
        )
    parts = dict.fromkeys(units, TRAIN)
    for part, share in ((VAL, settings.val_split), (TEST, settings.test_split)):
        free = [unit for unit in units if parts[unit] == TRAIN]
        held = min(round(len(units) * share), len(free) - 1)
        for k in range(held):
            parts[free[int((k + 0.5) * len(free) / held)]] = part
    return [
        dataclasses.replace(
            one,
            stored=[
                stored._replace(part=parts.get(one.file) or parts[one.file, stored.row["file"]])
                for stored in one.stored
            ],
        )
        for one in imported
    ]


def write_parts(
    building: Path,
    work: Path,
    imported: Sequence[Imported],
    settings: ImportSettings,
    *,
    vehicle: str,
    notes: Mapping[str, Any],
) -> dict[str, Path]:
    """Move recordings to their part's folder and write its ``dataset.json``.

    Args:
        building: folder of the dataset.
        work: holds a folder for each file with its recordings; removed afterwards.
        imported: what was made of each file.
        settings: how.
        vehicle: what drove.
        notes: further facts.

    Returns:
        The folder of each part: ``building`` itself where nothing is held out.
    """
    places: dict[str, Path] = {}
    usable = [one for one in imported if not one.error]
    for part in (TRAIN, VAL, TEST):
        recordings: list[tuple[Imported, Stored]] = [
            (one, stored) for one in usable for stored in one.stored if stored.part == part
        ]
        if not recordings:
            continue
        places[part] = building if settings.split == "none" else building / part
        places[part].mkdir(exist_ok=True)
        for one, stored in recordings:
            (work / one.name / stored.row["file"]).rename(places[part] / stored.row["file"])
        write_manifest(
            places[part],
            [stored.row for _, stored in recordings],
            columns=usable[0].columns,
            vehicle=vehicle,
            notes={**notes, "sources": {one.name: _source(one) for one in usable}},
        )
    shutil.rmtree(work)
    return places


def _same_channels(one: Imported, first: Imported) -> Imported:
    for column in sorted(one.stated.keys() & first.stated.keys()):
        if one.stated[column] != first.stated[column]:
            return dataclasses.replace(
                one,
                stored=[],
                error=(
                    f"{one.file}: expected '{column}' in {first.stated[column]} as {first.file} states, "
                    f"found {one.stated[column]} under a map with one unit for both: take its `unit` out of "
                    "the map, and each file is read by its own header"
                ),
            )
    if one.error or one.columns == first.columns:
        return one
    unlike = sorted(dict(set(one.columns.items()) ^ set(first.columns.items())))
    return dataclasses.replace(
        one,
        stored=[],
        error=(
            f"{one.file}: expected the channels of {first.file}, found a difference in {', '.join(unlike)}: "
            "import it into a dataset of its own"
        ),
    )


def _source(one: Imported) -> dict[str, Any]:
    """What is kept of a file in ``dataset.json``."""
    held = {"held": list(one.held)} if one.held else {}
    return {
        "sha256": one.sha256,
        "rows": one.rows,
        "rows_cut_for_faults": one.cut,
        "rows_left_out": one.left_out,
        "spikes": one.spikes,
        "bridged_samples": one.bridged,
        "answers_to_commands": {name: delay._asdict() for name, delay in one.delays.items()},
        "seams": one.seams,
        "laps": one.laps,
        **held,
    }
