"""`check`: examine logs, draw the evidence, write a repaired copy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from pct.api.notebook import Shown
from pct.doctor.examine import examine_all
from pct.doctor.finding import SEVERITIES, Finding, Severity
from pct.doctor.raw_recording import Recording
from pct.doctor.read_logs import read_recordings
from pct.doctor.repair import write_repaired
from pct.dynamics import resolve_model
from pct.errors import DataError, UsageError
from pct.mapping.log_files import AUTO
from pct.recordings.feeding import feeding_lines, shared_channels
from pct.recordings.trajectory import MANIFEST

Examined: TypeAlias = Sequence[tuple[Recording, Sequence[Finding]]]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class LogCheck(Shown):
    """What is wrong with logs.

    Attributes:
        recordings: each with its findings, the worst first.
        figures: file of the figure by finding, where figures were asked for.
        repairs: lines that say what was repaired, by the folder of the repaired copy; no lines where nothing
            could be repaired safely, and nothing is written then.
    """

    recordings: Examined
    figures: Mapping[Finding, Path]
    repairs: Mapping[Path, Sequence[str]]

    @property
    def findings(self) -> list[Finding]:
        """Those of all recordings."""
        return [finding for _, findings in self.recordings for finding in findings]

    @property
    def worst(self) -> Severity | None:
        """The worst severity; None where nothing was found."""
        severities = {finding.severity for finding in self.findings}
        return next((severity for severity in reversed(SEVERITIES) if severity in severities), None)

    @property
    def feeds(self) -> list[str]:
        """Which models the logs feed, and what each of the others would need, a line each."""
        return feeding_lines(shared_channels(recording.channels for recording, _ in self.recordings))

    def table(self) -> pl.DataFrame:
        """One row a finding."""
        names = ("where", "severity", "check", "confidence", "message", "fix")
        return pl.DataFrame(
            [{name: getattr(finding, name) for name in names} for finding in self.findings],
            schema={name: pl.Float64 if name == "confidence" else pl.String for name in names},
        )

    def shown(self) -> tuple[str, pl.DataFrame, Sequence[str]]:
        """Title, table and notes."""
        return f"{len(self.findings)} findings in {len(self.recordings)} recordings", self.table(), self.feeds

    def to_dict(self) -> dict[str, Any]:
        """Everything in a form that JSON takes."""
        return {
            "worst": self.worst,
            "feeds": self.feeds,
            "recordings": [
                {
                    "file": recording.where,
                    "rows": len(recording),
                    "findings": [self._finding(recording, finding) for finding in findings],
                }
                for recording, findings in self.recordings
            ],
            "mended": {str(folder): list(lines) for folder, lines in self.repairs.items()},
        }

    def _finding(self, recording: Recording, finding: Finding) -> dict[str, Any]:
        return {
            "check": finding.check,
            "severity": finding.severity,
            "confidence": round(finding.confidence, 3),
            "message": finding.message,
            "channels": list(finding.channels),
            recording.place + "s": list(finding.rows),
            "seconds": list(finding.seconds),
            "fix": finding.fix,
            "lines": dict(finding.lines),
            "figure": str(self.figures[finding]) if finding in self.figures else None,
        }


def check(
    logs: str | Path | Sequence[str | Path],
    *,
    map: str | Path | None = None,
    model: str | Path = "singletrack",
    figures: str | Path | None = None,
    fix: str | Path | None = None,
) -> LogCheck:
    """Find what is wrong with logs: units, signs, frames, clocks, lags, spikes, seams, leaks between splits.

    Args:
        logs: dataset folders, log files, or folders of logs with a ``signals.toml``; rows that two share are
            a leak.
        map: a ``signals.toml`` elsewhere, the name of a preset, or ``auto`` for a proposal.
        model: that is to be trained: its name, or the file that defines it.
        figures: folder for a figure of each finding.
        fix: new folder for a copy without what can be repaired safely; one inside it for each of several.

    Returns:
        The findings of each recording; `LogCheck.table` is a polars frame.

    Raises:
        UsageError: an unknown model, or ``fix`` without a map that can be written anew.
        DataError: a folder or file cannot be read or written.

    Examples:
        >>> check("datasets/surfaces/val").table().columns[:3]
        ['where', 'severity', 'check']
    """
    name, map = resolve_model(model).name, None if map is None else str(map)
    places = [Path(place) for place in ([logs] if isinstance(logs, str | Path) else logs)]
    if not places:
        raise UsageError("`logs`: expected a folder of logs, got none")
    if fix is not None and (map == AUTO or not all(folder.is_dir() for folder in places)):
        raise UsageError(
            "`fix` repairs a folder with a signals.toml: write one with `pct data map`, or a dataset with "
            "`pct data import`, and check that"
        )
    folders = [read_recordings(folder, map) for folder in places]
    examined = examine_all(folders, name)
    drawn = {} if figures is None else _draw(Path(figures), examined)
    repairs: dict[Path, list[str]] = {}
    if fix is not None:
        start = 0
        for folder, recordings in zip(places, folders, strict=True):
            output = Path(fix) if len(folders) == 1 else Path(fix) / folder.name
            part = examined[start : start + len(recordings)]
            repairs[output] = write_repaired(folder, output, part, map)
            if (output / MANIFEST).is_file():
                from pct.importing.card_page import write_repaired_card

                write_repaired_card(output)
            start += len(recordings)
    return LogCheck(examined, drawn, repairs)


def _draw(folder: Path, examined: Examined) -> dict[Finding, Path]:
    # Loads the library for figures.
    from pct.plots import draw_finding, to_png

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
                to_png(path, draw_finding, title=title, message=finding.message, panels=finding.panels)
                paths[finding] = path
    return paths
