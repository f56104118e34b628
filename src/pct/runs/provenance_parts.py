"""Where a run comes from, as parts of a page."""

from __future__ import annotations

import shlex
from pathlib import Path

from pct.pages import Part, details, table
from pct.runs.directory import provenance_of

# Files that the page names.
FILES = 200


def provenance_parts(run: Path) -> list[Part]:
    """Command, versions, machine and data of a run; nothing where its record is lost.

    Raises:
        DataError: the record is damaged.
    """
    record = provenance_of(run)
    packages, git = record.get("packages", {}), record.get("git")
    commit = "" if git is None else f"{git['commit']}{', changed since' if git['dirty'] else ''}"
    rows = [
        ["run", str(run)],
        ["started", record.get("started", "")],
        ["command", shlex.join(record.get("command", ()))],
        ["packages", ", ".join(f"{name} {version}" for name, version in packages.items() if version)],
        ["commit", commit],
        ["Python", record.get("python", "")],
        ["machine", record.get("platform", "")],
    ]
    known = [row for row in rows[1:] if row[1]]
    if not known:
        return []
    parts = [table(["what", ""], [rows[0], *known], caption="Command, versions and machine", texts=(1,))]
    data = record.get("data", {})
    if data:
        shown = [[path, digest[:16]] for path, digest in list(data.items())[:FILES]]
        more = f", the first {FILES}" if len(data) > FILES else ""
        files = table(["file", "SHA-256"], shown, caption="Files that the run has read", texts=(1,))
        parts.append(details(f"{len(data)} files{more}", [files]))
    return parts
