"""`check_logs`: examine logs, draw the evidence, write a repaired copy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import polars as pl

from pct.doctor.examine import examine_all
from pct.doctor.finding import SEVERITIES, Finding, Severity
from pct.doctor.raw_recording import Recording
from pct.doctor.read_logs import read_recordings
from pct.doctor.repair import write_repaired
from pct.errors import DataError, UsageError
from pct.mapping.log_files import AUTO

Examined: TypeAlias = Sequence[tuple[Recording, Sequence[Finding]]]


@dataclasses.dataclass(frozen=True, eq=False)
class LogCheck:
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

    def table(self) -> pl.DataFrame:
        """One row a finding."""
        names = ("where", "severity", "check", "confidence", "message", "fix")
        return pl.DataFrame(
            [{name: getattr(finding, name) for name in names} for finding in self.findings],
            schema={name: pl.Float64 if name == "confidence" else pl.String for name in names},
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything in a form that JSON takes."""
        return {
            "worst": self.worst,
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


def check_logs(
    logs: Sequence[Path],
    *,
    map: str | None = None,
    model: str = "singletrack",
    figures: Path | None = None,
    fix: Path | None = None,
) -> LogCheck:
    """Examine logs.

    Args:
        logs: dataset folders, log files, or folders of logs with a ``signals.toml``; rows that two share are
            a leak.
        map: as in `read_recordings`.
        model: name of the model that is to be trained.
        figures: folder for a figure of each finding.
        fix: new folder for a copy without what can be repaired safely; one inside it for each of several.

    Raises:
        UsageError: no logs, or ``fix`` without a map that can be written anew.
        DataError: a folder or file cannot be read or written.
    """
    if not logs:
        raise UsageError("`logs`: expected a folder of logs, got none")
    if fix is not None and (map == AUTO or not all(folder.is_dir() for folder in logs)):
        raise UsageError(
            "`fix` repairs a folder with a signals.toml: write one with `pct data map`, or a dataset with "
            "`pct data import`, and check that"
        )
    folders = [read_recordings(folder, map) for folder in logs]
    examined = examine_all(folders, model)
    drawn = {} if figures is None else _draw(figures, examined)
    repairs: dict[Path, list[str]] = {}
    if fix is not None:
        start = 0
        for folder, recordings in zip(logs, folders, strict=True):
            output = fix if len(folders) == 1 else fix / folder.name
            part = examined[start : start + len(recordings)]
            repairs[output] = write_repaired(folder, output, part, map)
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
