"""The page of an evaluation: who is better where, how the run drives beside the log, and all figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pct.evaluation.drive_parts import map_parts, residual_parts, simulated_parts
from pct.evaluation.evaluate import RUN, Evaluation
from pct.evaluation.ladder import CONSTANT
from pct.evaluation.scores import BEYOND, DISTANCE, headline
from pct.evaluation.text import (
    BETTER,
    MARK,
    SAME,
    WORSE,
    bin_cells,
    channels_of,
    comparison,
    comparison_cells,
    comparisons,
    facts,
    label,
    ladder_cells,
    ladder_title,
    not_compared,
    number,
    row_docs,
    rows_ahead,
    run_cells,
    with_interval,
)
from pct.evaluation.trust_parts import (
    doubted_table,
    trust_clause,
    trusted_names,
    trusted_table,
    varying_clause,
    varying_table,
)
from pct.optimization.constants.model import FittedModel
from pct.pages import (
    Part,
    Section,
    Tone,
    bullets,
    details,
    figure,
    grid,
    page,
    paragraph,
    subheading,
    table,
    verdict,
)
from pct.pages.figures import axis_title
from pct.pages.ladders import bins_figure, growth_figure, ladder_figure
from pct.runs.provenance_parts import provenance_parts
from pct.windows.bootstrap import Interval, difference

# Channels that the growth of errors shows.
PANELS = 8
# A condition whose error is so many times that of all windows is worth another drive.
LARGER = 1.3
HOW_TO_READ = (
    "Path RMSE: root mean square over all steps up to the horizon. ADE and FDE: mean distance along the "
    "path and at its end. In brackets: the 95 % interval. A dash: the row does not predict it. Exploded: "
    "windows in which a state is not finite, beyond the limit of its channel, or wrong by more than three "
    "times what the test data span."
)


def evaluation_page(result: Evaluation, *, run: Path, paths: Sequence[Path]) -> str:
    """The evaluation as one HTML document.

    Args:
        result: all figures.
        run: the run folder, whose record says where the model comes from.
        paths: of the test data.
    """
    drives = ", ".join(path.name for path in paths)
    title = f"Evaluation of {result.spec.name}: {run.resolve().name} on {drives}"
    return page(title, evaluation_sections(result, run), lead=[evaluation_verdict(result)])


def evaluation_sections(result: Evaluation, run: Path) -> list[Section]:
    """The page's sections; one without parts is left out."""
    drive, longest = result.drive, max(result.at)
    return [
        Section("What to trust", _trusted(result)),
        Section("What to drive next", _next(result)),
        Section("Measured beside simulated", [] if drive is None else simulated_parts(drive)),
        Section("The drive on the map", [] if drive is None else map_parts(drive)),
        *(
            Section(f"Beside its baselines over {seconds:g} s", _ladder(result, seconds))
            for seconds in result.at
        ),
        Section("Growth of the error", _growth(result)),
        Section(f"By how it was driven, over {longest:g} s", _conditions(result)),
        Section("Residuals", _residuals(result)),
        Section("What the rows are", [bullets(row_docs(result)), *_missing(result)]),
        Section("How the run was made", provenance_parts(run)),
    ]


def evaluation_verdict(result: Evaluation) -> Part:
    """How far the run is off over the longest horizon and which baselines it beats, in one sentence."""
    longest, shown = max(result.at), headline(result.spec)
    compared = comparison(result, longest)
    ahead = sorted(name for name, channels in compared.items() if WORSE in channels.values())
    behind = [name for name, channels in compared.items() if channels.get(shown.name) == BETTER]
    score = result.rows[RUN].scores[longest].get(shown.name)
    off = ""
    if score is not None and score.path_rmse.value < BEYOND:
        off = f"{shown.name} is off by {with_interval(score.path_rmse)} {shown.unit} and "
    elif score is not None:
        off = f"{shown.name} diverges and "
    beaten = (
        f"beats {len(behind)} of {len(compared)} baselines in {shown.name}"
        if compared
        else "has no baseline beside it"
    )
    led = f"; in some channel {', '.join(ahead)} {'is' if len(ahead) == 1 else 'are'} better" if ahead else ""
    no_test = result.overlap is not None and result.overlap.alarming
    tone: Tone = "bad" if no_test or not behind else "mixed" if ahead else "good"
    warned = "No test, as the run was trained on these drives. " if no_test else ""
    return verdict(f"{warned}Over {longest:g} s {off}this run {beaten}{led}.", tone)


def _trusted(result: Evaluation) -> list[Part]:
    """The run beside each baseline, what its parameters are worth, and its own errors."""
    longest = max(result.at)
    head, rows = comparison_cells(result, longest)
    parts = [bullets([*rows_ahead(result), *not_compared(result)])]
    if rows:
        caption = f"Errors of this run beside each baseline over {longest:g} s"
        parts.append(table(head, rows, caption=caption, texts=range(1, len(head))))
        parts.append(details("Against each baseline, in words", [bullets(comparisons(result))]))
    parts += _parameters(result)
    for seconds in result.at:
        head, rows = run_cells(result, seconds)
        texts = (len(head) - 1,)
        parts.append(table(head, rows, caption=f"Errors of this run over {seconds:g} s", texts=texts))
    return [*parts, details("Windows, intervals and limits of the figures", [bullets(facts(result))])]


def _parameters(result: Evaluation) -> list[Part]:
    """Verdicts of a fit on its parameters; of a network, by what they vary and whether that pays."""
    if isinstance(result.model, FittedModel):
        judged = result.parameter_verdicts()
        parts: list[Part | None] = [paragraph(f"Of the fit: {trust_clause(judged)}.")]
        if trusted_names(judged):
            parts.append(trusted_table(result.model, judged))
        parts.append(doubted_table(result.model, judged))
        return [part for part in parts if part is not None]
    if not result.varying:
        return []
    return [
        paragraph(varying_clause(result.varying), *_worth_predicting(result)),
        varying_table(result.spec, result.varying),
    ]


def _worth_predicting(result: Evaluation) -> list[str]:
    """Whether predicting the parameters by the moment beats one value of each, in a sentence."""
    longest, shown = max(result.at), headline(result.spec)
    found = comparison(result, longest).get(CONSTANT, {}).get(shown.name)
    if found is None:
        return []
    ratio = difference(result.rows[CONSTANT].ratios[longest][shown.name])
    said = {BETTER: f"pays: {ratio}", WORSE: f"does NOT pay: {ratio}", SAME: "shows no gain"}[found]
    return [f"To predict moment by moment, in place of one constant value, {said} of {shown.name}."]


def _next(result: Evaluation) -> list[Part]:
    """Conditions in which errors are largest: driving there tells most of what the model lacks."""
    shown, longest = headline(result.spec), max(result.at)
    row = result.rows[RUN]
    score = row.scores[longest].get(shown.name)
    if score is None:
        return []
    lines = []
    for condition in result.conditions:
        errors = [scores[shown.name].value for scores in row.bins[condition.name] if shown.name in scores]
        if len(errors) != len(condition.inside):
            continue
        worst = int(np.argmax(errors))
        if errors[worst] > LARGER * score.path_rmse.value:
            low, high = condition.edges[worst], condition.edges[worst + 1]
            lines.append(
                f"At a {condition.name} of {low:.3g} to {high:.3g} {condition.unit} the {shown.name} is off "
                f"by {number(errors[worst])} {shown.unit}, against {number(score.path_rmse)} {shown.unit} "
                "over all windows: drive more like this, and fit again."
            )
    return [bullets(lines)] if lines else []


def _ladder(result: Evaluation, seconds: float) -> list[Part]:
    """Each channel of the run beside its baselines, as figures and as a table."""
    rows = result.rows
    labels = [label(result, name) for name in rows]
    apart = np.flatnonzero([not row.comparable for row in rows.values()])
    shown = []
    for channel in channels_of(result):
        intervals = [
            row.scores[seconds][channel.name].path_rmse if channel.name in row.scores[seconds] else NOTHING
            for row in rows.values()
        ]
        says = f"Path RMSE of {channel.name} over {seconds:g} s: " + "; ".join(
            f"{name} {number(interval)}" for name, interval in zip(labels, intervals, strict=True)
        )
        title = f"path RMSE of {axis_title(channel.name, channel.unit)}"
        drawn = ladder_figure(labels, np.array(intervals, float), apart, title, f"{says}.")
        shown.append(figure(f"ladder-{seconds:g}-{channel.name}", drawn))
    head, cells = ladder_cells(result, seconds, with_interval)
    notes = [HOW_TO_READ]
    if apart.size:
        notes.append(f"{MARK}: told what this run is not, and not compared.")
    return [grid(shown), table(head, cells, caption=ladder_title(result), strong=RUN), paragraph(*notes)]


NOTHING = Interval(np.nan, np.nan, np.nan)


def _growth(result: Evaluation) -> list[Part]:
    channels = [(channel.name, channel.unit) for channel in channels_of(result)][:PANELS]
    errors = {
        label(result, name): {channel: np.array(values, float) for channel, values in row.growth.items()}
        for name, row in result.rows.items()
    }
    says = f"RMSE of {', '.join(name for name, _ in channels)} against the time that a prediction ran."
    shown = growth_figure(result.dt, channels, errors, says)
    return [
        figure("growth", shown, "RMSE after each time, logarithmic; the band is this run's 95 % interval.")
    ]


def _conditions(result: Evaluation) -> list[Part]:
    shown, drawn, tables = headline(result.spec), [], []
    for n, condition in enumerate(result.conditions, 1):
        errors = {
            label(result, name): np.array([scores[shown.name] for scores in row.bins[condition.name]], float)
            for name, row in result.rows.items()
            if all(shown.name in scores for scores in row.bins[condition.name])
        }
        if not errors:
            continue
        title = f"path RMSE of {axis_title(shown.name, shown.unit)}"
        one = bins_figure(condition.name, condition.unit, condition.edges, errors, title)
        drawn.append(figure(f"condition-{n}", one))
        head, rows = bin_cells(result, condition, with_interval)
        tables += [subheading(condition.name), table(["row", *head[1:]], rows, caption=head[0], strong=RUN)]
    return [grid(drawn), details("The same as tables", tables)] if drawn else []


def _residuals(result: Evaluation) -> list[Part]:
    drive = result.drive
    if drive is None:
        return []
    names = [channel.name for channel in channels_of(result) if channel is not DISTANCE][:PANELS]
    columns = [drive.errors.names.index(name) for name in names if name in drive.errors.names]
    channels = [(drive.errors.names[n], drive.channel(drive.errors.names[n]).unit) for n in columns]
    store, windows = drive.windows.store, drive.windows
    begins = windows.dt * (np.flatnonzero(np.diff(store.recording)) + 1)
    errors = drive.errors.values[:, -1, columns]
    finite = np.isfinite(errors).all(axis=1)
    return residual_parts(
        drive, channels, windows.dt * windows.starts, errors, finite, begins.tolist(), drive.horizon
    )


def _missing(result: Evaluation) -> list[Part]:
    if not result.missing:
        return []
    return [
        subheading("Missing baselines"),
        bullets(f"{name}: {why}" for name, why in result.missing.items()),
    ]
