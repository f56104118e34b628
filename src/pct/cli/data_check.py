"""`pct data check`: what is wrong with logs, with evidence and a fix, before anything is trained on them."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from pct.cli.console import print_table, say, say_json
from pct.cli.flags import DebugFlags, parse

if TYPE_CHECKING:
    from pct.api.log_checks import LogCheck
    from pct.doctor import Finding, Recording

# By worst severity; what cannot be read leaves with 3 as everywhere.
EXIT_CODES = {None: 0, "info": 0, "warning": 5, "error": 6}
COLOURS = {"info": "dim", "warning": "yellow", "error": "red"}


@dataclasses.dataclass(frozen=True)
class CheckConfig:
    """Find what is wrong with logs: units, signs, frames, clocks, lags, spikes, seams, leaks between splits.

    Exit code: 0 clean or information only, 5 warnings, 6 errors; 3 where a file cannot be read.

    Example: pct data check logs/train logs/val --figures findings
    """

    logs: tyro.conf.Positional[tuple[Path, ...]]
    """Dataset folders, log files, or folders of logs with a signals.toml; rows that two share are a leak."""
    map: str | None = None
    """A signals.toml elsewhere, the name of a preset, or auto: what `pct data map` proposes."""
    model: str = "singletrack"
    """Model that is to be trained: a name, or a Python file that defines one; `pct models` lists them."""
    json: bool = False
    """Print one JSON object instead of the table."""
    figures: Path | None = None
    """Folder for a figure of each finding."""
    fix: Path | None = None
    """New folder for a copy without what can be repaired safely; one inside it for each of several."""
    common: tyro.conf.OmitArgPrefixes[DebugFlags] = dataclasses.field(default_factory=DebugFlags)


CONFIG = CheckConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags and check; leaves with the exit code of the worst finding."""
    args = parse(CheckConfig, argv, prog="pct data check")
    from pct.api.log_checks import check

    result = check(args.logs, map=args.map, model=args.model, figures=args.figures, fix=args.fix)
    if args.json:
        say_json(result.to_dict())
    else:
        _print(result)
    sys.exit(EXIT_CODES[result.worst])


def _print(result: LogCheck) -> None:
    for recording, findings in result.recordings:
        title = f"{recording.where}: {len(recording)} rows"
        if not findings:
            say(f"{title}, nothing found")
            continue
        rows = [
            (
                (finding.severity, COLOURS[finding.severity]),
                finding.check.replace("_", " "),
                f"{finding.confidence:.2f}",
                finding.message,
                _place(recording, finding),
                finding.fix,
            )
            for finding in findings
        ]
        head = ("severity", "check", "sure", "what", "where", "fix")
        print_table(title, head, rows, texts=range(len(head)), unbroken=(0, 2))
    severities = [finding.severity for finding in result.findings]
    total = ", ".join(f"{severities.count(s)} of severity {s}" for s in COLOURS if s in severities)
    count = len(result.recordings)
    say(f"{count} recording{'s' * (count != 1)}: {total or 'nothing found'}")
    say(*result.feeds)
    if result.figures:
        say(f"Figures: {next(iter(result.figures.values())).parent}")
    for folder, lines in result.repairs.items():
        if not lines:
            say("Nothing of this can be repaired safely; nothing was written")
        else:
            say(f"Wrote {folder}, repaired:", *(f"  {line}" for line in lines))


def _place(recording: Recording, finding: Finding) -> str:
    if not finding.rows:
        return ""
    first, last = (_clock(seconds - recording.begin) for seconds in finding.seconds)
    return f"{recording.place} {finding.rows[0]}, {first}{f' to {last}' if last != first else ''}"


def _clock(seconds: float) -> str:
    """A time from the start of a log as a player shows it.

    Examples:
        >>> _clock(0.0), _clock(75.25), _clock(3725.0)
        ('0:00.00', '1:15.25', '1:02:05.00')
    """
    hours, rest = divmod(max(round(seconds, 2), 0.0), 3600)
    minutes, rest = divmod(rest, 60)
    return f"{hours:.0f}:{minutes:02.0f}:{rest:05.2f}" if hours else f"{minutes:.0f}:{rest:05.2f}"
