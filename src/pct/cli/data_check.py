"""`pct data check`: what is wrong with logs, with evidence and a fix, before anything is trained on them."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from pct.errors import DataError, UsageError

if TYPE_CHECKING:
    from pct.doctor import Finding, Recording

# By worst severity; what cannot be read leaves with 3 as everywhere.
EXIT_CODES = {"info": 0, "warning": 5, "error": 6}
COLOURS = {"info": "dim", "warning": "yellow", "error": "red"}


@dataclasses.dataclass(frozen=True)
class CheckConfig:
    """Find what is wrong with logs: units, signs, frames, clocks, lags, spikes, seams, leaks between splits.

    Exit code: 0 clean or information only, 5 warnings, 6 errors; 3 where a file cannot be read.

    Example: pct data check logs/train logs/val --figures findings
    """

    folders: tyro.conf.Positional[tuple[Path, ...]]
    """Dataset folders, log files, or folders of logs with a signals.toml; rows that two share are a leak."""
    map: str | None = None
    """A signals.toml elsewhere, the name of a preset, or auto: what `pct data map` proposes."""
    model: str = "singletrack"
    """Model that is to be trained; `pct models` lists them."""
    json: bool = False
    """Print one JSON object instead of the table."""
    figures: Path | None = None
    """Folder for a figure of each finding."""
    fix: Path | None = None
    """New folder for a copy without what can be mended safely; one inside it for each of several."""
    debug: bool = False
    """Show the traceback of an error."""


CONFIG = CheckConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags and run; leaves with the exit code of the worst finding."""
    config = tyro.cli(CheckConfig, prog="pct data check", args=argv)
    sys.exit(EXIT_CODES[run(config)])


def run(config: CheckConfig) -> str:
    """Read, examine, print, draw and mend.

    Returns:
        The worst severity, ``info`` where nothing was found.

    Raises:
        UsageError: no folder, an unknown model, or ``--fix`` without a map that can be written anew.
        DataError: a folder or file cannot be read or written.
    """
    from pct.cli.dataset_card import write_repaired_card
    from pct.doctor import SEVERITIES, examine_all, read_recordings, write_repaired
    from pct.dynamics import get_model
    from pct.mapping.maps import AUTO
    from pct.recordings.trajectory import MANIFEST

    if not config.folders:
        raise UsageError("Expected a folder of logs, got none: pct data check FOLDER")
    get_model(config.model)
    if config.fix is not None and (config.map == AUTO or not all(map(Path.is_dir, config.folders))):
        raise UsageError(
            "--fix mends a folder with a signals.toml: write one with `pct data map`, or a dataset with "
            "`pct data import`, and check that"
        )
    folders = [read_recordings(folder, config.map) for folder in config.folders]
    examined = examine_all(folders, config.model)
    findings = [finding for _, found in examined for finding in found]
    figures = _draw(config.figures, examined) if config.figures else {}
    mended: dict[str, list[str]] = {}
    if config.fix is not None:
        start = 0
        for folder, recordings in zip(config.folders, folders, strict=True):
            output = config.fix if len(folders) == 1 else config.fix / folder.name
            part = examined[start : start + len(recordings)]
            mended[str(output)] = write_repaired(folder, output, part, config.map)
            if (output / MANIFEST).is_file():
                write_repaired_card(output)
            start += len(recordings)
    worst = max((finding.severity for finding in findings), key=SEVERITIES.index, default="info")
    if config.json:
        print(json.dumps(_as_json(examined, figures, mended, worst)))
    else:
        _print(examined, mended, figures)
    return worst


Examined = Sequence[tuple["Recording", list["Finding"]]]


def _print(examined: Examined, mended: dict[str, list[str]], figures: dict[int, str]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    counts = dict.fromkeys(EXIT_CODES, 0)
    for recording, findings in examined:
        if not findings:
            console.print(f"{recording.where}: {len(recording)} rows, nothing found", soft_wrap=True)
            continue
        table = Table(title=f"{recording.where}: {len(recording)} rows", title_justify="left")
        for heading in ("severity", "check", "sure", "what", "where", "fix"):
            table.add_column(heading, no_wrap=heading in ("severity", "sure"))
        for finding in findings:
            counts[finding.severity] += 1
            table.add_row(
                f"[{COLOURS[finding.severity]}]{finding.severity}[/]",
                finding.check.replace("_", " "),
                f"{finding.confidence:.2f}",
                escape(finding.message),
                _place(recording, finding),
                escape(finding.fix),
            )
        console.print(table)
    total = ", ".join(f"{count} of severity {name}" for name, count in counts.items() if count)
    console.print(f"{len(examined)} recording{'s' * (len(examined) != 1)}: {total or 'nothing found'}")
    if figures:
        console.print(f"Figures: {Path(next(iter(figures.values()))).parent}", soft_wrap=True)
    for output, lines in mended.items():
        if not lines:
            console.print("Nothing of this can be mended safely; nothing was written")
        else:
            console.print(f"Wrote {output}, mended:", soft_wrap=True)
        for line in lines:
            console.print(f"  {escape(line)}", soft_wrap=True)


def _place(recording: Recording, finding: Finding) -> str:
    if not finding.rows:
        return ""
    low, high = finding.seconds
    return f"{recording.place} {finding.rows[0]}, {low:.6g} to {high:.6g} s"


def _draw(folder: Path, examined: Examined) -> dict[int, str]:
    from pct.plots import plot_finding

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot write here ({error.strerror}): choose another place") from None
    paths = {}
    for recording, findings in examined:
        for number, finding in enumerate(findings):
            if finding.panels:
                channels = "_".join(finding.channels)
                path = folder / f"{recording.name}_{number:02d}_{finding.check}_{channels}.png"
                title = f"{finding.check.replace('_', ' ')}: {recording.name}"
                plot_finding(path, title=title, message=finding.message, panels=finding.panels)
                paths[id(finding)] = str(path)
    return paths


def _as_json(
    examined: Examined, figures: dict[int, str], mended: dict[str, list[str]], worst: str
) -> dict[str, Any]:
    return {
        "worst": worst if any(findings for _, findings in examined) else None,
        "recordings": [
            {
                "file": recording.where,
                "rows": len(recording),
                "findings": [
                    {
                        "check": finding.check,
                        "severity": finding.severity,
                        "confidence": round(finding.confidence, 3),
                        "message": finding.message,
                        "channels": list(finding.channels),
                        recording.place + "s": list(finding.rows),
                        "seconds": list(finding.seconds),
                        "fix": finding.fix,
                        "lines": dict(finding.lines),
                        "figure": figures.get(id(finding)),
                    }
                    for finding in findings
                ],
            }
            for recording, findings in examined
        ],
        "mended": mended,
    }
