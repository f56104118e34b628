"""The page of a training: whether the network beats what it began with, what it learned, how it drives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pct.evaluation.baselines.constant_parameters import diverged_as_infinite
from pct.evaluation.drive_parts import map_parts, residual_parts, simulated_parts
from pct.evaluation.scenarios import AgainstDefaults, learned_cells
from pct.evaluation.scores import errors_of
from pct.evaluation.simulated import Simulated
from pct.evaluation.trust_parts import varying_clause, varying_table
from pct.evaluation.varying import varying_parameters
from pct.optimization.network.model import TrainedModel
from pct.pages import Part, Section, bullets, details, figure, page, paragraph, table, verdict
from pct.pages.trainings import course_figure, loss_figure
from pct.runs.provenance_parts import provenance_parts
from pct.windows.store import spread
from pct.windows.window_set import WindowSet

REPORT = "report.html"
# Windows that the page shows; more are too many to see.
SHOWN = 2000
# Scalar parameters that are shown along the drive.
PANELS = 12
ALL = "Predictions over the windows"


def train_page(
    trained: TrainedModel,
    windows: WindowSet,
    comparison: AgainstDefaults,
    summary: Mapping[str, Mapping[str, Any]],
    losses: Mapping[str, Any] | None,
    notes: Sequence[str],
    run: Path,
) -> str:
    """A training as one HTML document.

    Args:
        trained: the network and its model.
        windows: to show it on, those of validation where there are any.
        comparison: with what it began with.
        summary: of its predictions by parameter, as ``pct_predicted_params.json`` holds it.
        losses: arguments of `pct.plots.draw_losses`; None leaves them out.
        notes: what else a reader must know, in sentences.
        run: the run folder, whose record says where it comes from.
    """
    spec = trained.spec
    windows = windows.select(spread(np.arange(len(windows)), SHOWN))
    drive = _simulated(trained, windows)
    beats = comparison.size["trained"] < comparison.size["default"]
    head, rows = learned_cells(spec, summary)
    begins = windows.dt * (np.flatnonzero(np.diff(windows.store.recording)) + 1)
    names = list(drive.channels)
    columns = [drive.errors.names.index(name) for name in names]
    channels = [(name, drive.channel(name).unit) for name in names]
    errors = drive.errors.values[:, -1, columns]
    finite = np.isfinite(errors).all(axis=1)
    times = windows.dt * windows.starts
    if comparison.split == "training":
        notes = [*notes, "There was no validation data: these windows were trained on."]
    notes = [*comparison.warnings, *notes]
    sections = [
        Section("What to trust", [bullets(notes)] if notes else []),
        Section(
            "What was learned",
            [
                *_varying(trained, windows, drive),
                details("All parameters, with their bounds", [table(head, rows, caption=ALL, texts=(0, 5))]),
            ],
        ),
        Section("Parameters along the drive", _parameters(trained, windows)),
        Section("Measured beside simulated", simulated_parts(drive)),
        Section("The drive on the map", map_parts(drive)),
        Section(
            "Residuals",
            residual_parts(drive, channels, times, errors, finite, begins.tolist(), drive.horizon),
        ),
        Section("Losses", [] if losses is None else [figure("losses", loss_figure(**losses))]),
        Section("How the run was made", provenance_parts(run)),
    ]
    title = f"Training of {spec.name}: {run.name}"
    return page(title, sections, lead=[verdict(comparison.verdict, "good" if beats else "bad")])


def _simulated(trained: TrainedModel, windows: WindowSet) -> Simulated:
    """The windows as the network's parameters drive them."""
    dataset, spec = windows.gather(), trained.spec
    predicted = trained.predict_states(dataset)
    errors = errors_of(diverged_as_infinite(predicted), np.asarray(dataset.targets), spec)
    channels = tuple(name for name in spec.state_names if name in errors.names)
    return Simulated(spec, windows, predicted, errors, channels, spec.default_params)


def _varying(trained: TrainedModel, windows: WindowSet, drive: Simulated) -> list[Part]:
    """By what the predictions vary."""
    varying = varying_parameters(trained, windows.gather(), drive)
    return [paragraph(varying_clause(varying)), varying_table(trained.spec, varying)] if varying else []


def _parameters(trained: TrainedModel, windows: WindowSet) -> list[Part]:
    """Predictions over time, beside the truth where drives are simulated."""
    dataset = windows.gather()
    assert dataset.origin is not None
    scalars = {
        name: np.asarray(values, float)
        for name, values in trained.predict_parameters(dataset).items()
        if np.ndim(values) == 1
    }
    shown = list(scalars)[:PANELS]
    if not shown:
        return [paragraph("No single number is predicted.")]
    units = {name: trained.spec.parameter(name).unit for name in shown}
    known = dataset.origin.truth
    truth = {name: np.asarray(known[name], float) for name in shown if name in known}
    times, recording = windows.dt * windows.starts, windows.store.recording[windows.starts]
    drawn = course_figure(times, units, scalars, truth, recording)
    return [figure("parameters", drawn, "One recording after another.")]
