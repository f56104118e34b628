"""The page of `pct run`: what to trust, how it drives beside the part held out, what was chosen and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from pct.doctor.finding import SEVERITIES
from pct.evaluation.drive_parts import map_parts, simulated_parts
from pct.evaluation.fit_page import fit_sections, fit_verdict
from pct.evaluation.page import evaluation_verdict
from pct.evaluation.text import not_compared, rows_ahead
from pct.pages import Part, Section, bullets, links, page, paragraph, table

if TYPE_CHECKING:
    from pct.api.running import Outcome

# Findings that the page lists; the worst come first.
FINDINGS = 100
# Of the fit's sections, those above what was held out and those below it.
ABOVE = ("What to trust", "What not to trust, and why", "What to drive next")
BELOW = ("What the car does",)


def run_page(outcome: Outcome) -> str:
    """All that a run has made, as one HTML document beside its files."""
    report = outcome.fit.report
    fit = {section.title: section for section in fit_sections(report, outcome.folder / "fit")}
    sections = [
        *(fit[title] for title in ABOVE),
        Section("On the part that was held out", _held_out(outcome)),
        *_drives(outcome, fit),
        *(fit[title] for title in BELOW),
        Section("What the doctor says", _findings(outcome)),
        Section("What is not sure", _doubts(outcome)),
        Section("What was chosen, and why", [_choices(outcome)]),
        Section("More", [_more(outcome)]),
    ]
    title = f"From logs to parameters: {outcome.folder.name}"
    return page(title, sections, lead=[fit_verdict(report), paragraph(_judged(outcome))])


def _judged(outcome: Outcome) -> str:
    """The judgement in a sentence."""
    if outcome.score is None:
        return "Not judged: no part was long enough to hold out."
    said = evaluation_verdict(outcome.score.result).values["sentence"]
    return f"On the part that was held out: {said}"


def _held_out(outcome: Outcome) -> list[Part]:
    if outcome.score is None:
        return []
    result = outcome.score.result
    return [bullets([*rows_ahead(result), *not_compared(result)])]


def _drives(outcome: Outcome, fit: dict[str, Section]) -> list[Section]:
    """Measured beside simulated, where the fit has seen nothing of the drive if there is such a part."""
    drive = None if outcome.score is None else outcome.score.result.drive
    if drive is None:
        return [fit["Measured beside simulated"], fit["The drive on the map"]]
    return [
        Section("Measured beside simulated, held out", simulated_parts(drive)),
        Section("The drive on the map", map_parts(drive)),
    ]


def _findings(outcome: Outcome) -> list[Part]:
    """Findings in the logs, the worst first."""
    findings = sorted(outcome.checked.findings, key=lambda one: -SEVERITIES.index(one.severity))
    if not findings:
        return [paragraph("Nothing was found in the logs.")]
    rows = [
        [one.severity, one.message, one.fix, _within(outcome.folder, one.where)]
        for one in findings[:FINDINGS]
    ]
    left = len(findings) - len(rows)
    parts = [table(["severity", "finding", "fix", "where"], rows, caption="Findings", texts=(1, 2, 3))]
    return [*parts, paragraph(f"{left} more are left out: pct data check lists them.")] if left else parts


def _within(folder: Path, place: str) -> str:
    """A file's path from the folder of the run, where it lies there."""
    return str(Path(place).relative_to(folder)) if Path(place).is_relative_to(folder) else place


def _doubts(outcome: Outcome) -> list[Part]:
    """What was not certain on the way, but for what the doctor has said above."""
    said = {f"{one.where}: {one.message}" for one in outcome.checked.findings}
    lines = [line for line in outcome.doubts if line not in said]
    return [bullets(lines)] if lines else []


def _choices(outcome: Outcome) -> Part:
    """Value and reason of each choice, as in ``run.toml``."""
    rows = [
        [key, json.dumps(value, ensure_ascii=False), reason]
        for key, (value, reason) in outcome.choices.items()
    ]
    return table(["choice", "value", "reason"], rows, caption="Choices, as in run.toml", texts=(1, 2))


def _more(outcome: Outcome) -> Part:
    places = {
        "All figures of the fit": "fit/report.html",
        "The fitted values": "fit/pct_predicted_params.json",
        "The choices, to edit and run again": "run.toml",
    }
    if outcome.score is not None:
        places["All figures of the judgement, beside its baselines"] = "evaluation/report.html"
    if outcome.dataset.card.is_file():
        places["The data"] = outcome.dataset.card.relative_to(outcome.folder).as_posix()
    return links(places)
