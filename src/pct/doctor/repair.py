"""Writes a repaired copy of a folder, for faults that can be repaired safely."""

from __future__ import annotations

import shutil
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pct.doctor.finding import Finding
from pct.doctor.raw_recording import Recording
from pct.dynamics.channels import known_channels
from pct.errors import DataError
from pct.files import new_folder, write_atomic
from pct.logs.map_files import presets
from pct.logs.signals import MAP, MOTION
from pct.recordings.trajectory import MANIFEST, Trajectory, read_manifest, write_dataset

Examined = Sequence[tuple[Recording, Sequence[Finding]]]

# Delays that several files agree on are rounded to this, in s, before they are counted.
DELAY_DIGITS = 2


def write_repaired(folder: Path, output: Path, examined: Examined, signals: str | None = None) -> list[str]:
    """Write a mended copy of a folder and say what was mended.

    A raw folder becomes a copy with another ``signals.toml``, whose comment lists the repairs. A dataset
    folder becomes a new one with the repairs under ``notes`` of its ``dataset.json``.

    Args:
        folder: what was examined.
        output: the new folder.
        examined: its recordings and their findings.
        signals: as in `read_recordings`.

    Returns:
        One line a repair; empty where nothing could be mended, and nothing is written then.

    Raises:
        DataError: the new folder exists or cannot be written.
    """
    if output.exists():
        raise DataError(f"{output}: expected a new folder, found an existing one: choose another name")
    if signals is None and (folder / MANIFEST).is_file():
        return _write_dataset(folder, output, examined)
    lines = agreed_lines(examined)
    if lines:
        _write_raw(folder, output, lines, signals)
    return [f"{key} = {_toml(value)}" for key, value in lines.items()]


def agreed_lines(examined: Examined) -> dict[str, Any]:
    """Lines of the map that more than half of the files call for; one map serves them all."""
    votes: dict[str, Counter[Any]] = {}
    for _, findings in examined:
        for key, value in {k: v for finding in findings for k, v in finding.lines.items()}.items():
            rounded = round(value, DELAY_DIGITS) if key.endswith(".delay") else value
            votes.setdefault(key, Counter())[rounded] += 1
    lines = {}
    for key, counter in votes.items():
        value, count = counter.most_common(1)[0]
        # A fault of the files themselves is one even where a single file has it.
        if key == "faults" or count > 0.5 * len(examined):
            lines[key] = value
    return lines


def _write_raw(folder: Path, output: Path, lines: dict[str, Any], signals: str | None) -> None:
    if signals in presets():
        content: dict[str, Any] = {"preset": signals}
    else:
        content = tomllib.loads((Path(signals) if signals else folder / MAP).read_text())
    for key, value in lines.items():
        *parts, last = key.split(".")
        table = content
        for part in parts:
            table = table.setdefault(part, {})
        # Another sign than the one that the map gives already.
        table[last] = -table.get("sign", 1) if last == "sign" and value != MOTION else value
    repairs = "".join(f"#   {key} = {_toml(value)}\n" for key, value in lines.items())
    text = f"# Mended by pct data check:\n{repairs}\n{_emit(content)}"
    with new_folder(output) as building:
        for path in sorted(folder.iterdir()):
            if path.is_file() and path.name != MAP:
                shutil.copyfile(path, building / path.name)
        write_atomic(building / MAP, text.encode())


def _write_dataset(folder: Path, output: Path, examined: Examined) -> list[str]:
    manifest = read_manifest(folder)
    repairs: list[str] = []
    trajectories = []
    units = {name: channel.unit for name, channel in known_channels().items()}
    for recording, findings in examined:
        mended = recording
        for finding in findings:
            safe = finding.check == "spikes" or any(key.startswith("channels.") for key in finding.lines)
            if finding.mend is not None and safe:
                mended = finding.mend(mended)
                repairs.append(f"{recording.name}: {finding.check}: {finding.message}")
        for number, piece in enumerate(mended.pieces):
            name = recording.name if len(mended.pieces) == 1 else f"{recording.name}_{number:02d}"
            trajectories.append(
                Trajectory(
                    name=name,
                    dt=piece.dt,
                    channels=piece.columns,
                    units={key: units.get(key, "1") for key in piece.columns},
                    origins={key: recording.origins.get(key, "measured") for key in piece.columns},
                    source=recording.where,
                    start=piece.start,
                )
            )
    if repairs:
        notes = manifest.get("notes", {})
        former = notes.get("repairs")
        repaired = {**notes, "repairs": [*(former if isinstance(former, list) else []), *repairs]}
        write_dataset(output, trajectories, vehicle=manifest.get("vehicle", ""), notes=repaired)
    return repairs


def _emit(content: dict[str, Any], prefix: str = "") -> str:
    """TOML of nested tables of texts, numbers and truth values."""
    plain = {key: value for key, value in content.items() if not isinstance(value, dict)}
    text = "".join(f"{key} = {_toml(value)}\n" for key, value in plain.items())
    for key, table in content.items():
        if isinstance(table, dict):
            inner = _emit(table, f"{prefix}{_key(key)}.")
            text += (
                f"\n[{prefix}{_key(key)}]\n{inner}"
                if any(not isinstance(value, dict) for value in table.values())
                else inner
            )
    return text


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() else _toml(key)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return repr(value)
