"""The report of a fit: curves, correlations and residuals as numbers, sentences and PNG figures."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.designing.advice import design_arguments
from pct.dynamics.core import ModelSpec
from pct.evaluation.baselines.constant_parameters import diverged_as_infinite
from pct.evaluation.explosions import explosion_lines, find_exploded, name_explosions
from pct.evaluation.scores import errors_of
from pct.evaluation.simulated import Simulated
from pct.optimization.constants.agreed import Agreement
from pct.optimization.constants.constant_fit import ConstantFit
from pct.optimization.constants.curves import AXLES, NORMAL_95, Curve, Curves, curves_table, make_curves
from pct.optimization.constants.model import FittedModel
from pct.optimization.constants.posterior.posterior import Posterior
from pct.optimization.constants.profile import LIMIT, Profile
from pct.optimization.constants.verdicts import strongest_pairs
from pct.runs.directory import write_json
from pct.windows.store import spread
from pct.windows.window_set import WindowSet

if TYPE_CHECKING:
    from pct import plots  # imports Matplotlib, which a fit does not wait for

# Windows that the figures show; more are too many to see.
SHOWN = 2000


@dataclasses.dataclass(frozen=True, eq=False)
class FitReport:
    """Contents of the report of a fit.

    Attributes:
        fitted: the model with its parameters.
        verdicts: from `pct.optimization.constants.verdicts.make_verdicts`.
        facts: sentences on what was fitted to what.
        names, correlation: of the scalar parameters, (N, N).
        curves: None for a model without tyres.
        channels: the compared states, in order.
        times: driving time at the start of each shown window in s, recordings side by side, (B,).
        breaks: times at which another recording begins.
        errors: of each shown window at its end, by compared state, (B, C).
        accepted: which of them the fit did not reject, (B,).
        explosions: sentences that count and name the shown windows that explode.
        profiles: profile likelihoods.
        agreement: of single drives; None where they were too few.
        posterior: draws, where they were asked for; the bands of the curves are theirs.
        drive: the shown windows as they were driven and simulated; None leaves them out of the page.
        design: arguments of ``pct design RUN`` for what is not identified; empty where nothing helps.
    """

    fitted: FittedModel
    verdicts: Mapping[str, Mapping[str, Any]]
    facts: Sequence[str]
    names: list[str]
    correlation: np.ndarray
    curves: Curves | None
    channels: tuple[str, ...]
    times: np.ndarray
    breaks: list[float]
    errors: np.ndarray
    accepted: np.ndarray
    explosions: Sequence[str] = ()
    profiles: Sequence[Profile] = ()
    agreement: Agreement | None = None
    posterior: Posterior | None = None
    drive: Simulated | None = None
    design: tuple[str, ...] = ()

    @property
    def spec(self) -> ModelSpec:
        """The model that was fitted."""
        return self.fitted.spec


def make_fit_report(fit: ConstantFit, most: int = SHOWN) -> FitReport:
    """Put the report of a fit together, with at most so many of its windows in the figures."""
    spec, model = fit.spec, fit.model
    chosen = spread(np.arange(len(fit.windows)), most)
    windows, accepted = fit.windows.select(chosen), fit.estimate.accepted[chosen]
    dataset = model.prepare(windows).batch
    predicted, targets = model.predict_states(dataset), np.asarray(dataset.targets)
    errors = errors_of(diverged_as_infinite(predicted), targets, spec)
    beyond = find_exploded(errors, targets, spec)
    named = name_explosions(beyond, errors.names, windows.origin(np.arange(len(windows))))
    count = int(beyond.any(axis=(1, 2)).sum())
    columns = [errors.names.index(name) for name in fit.compared]
    names, correlation = fit.correlations
    times, breaks = _side_by_side(windows)
    return FitReport(
        model,
        fit.verdicts,
        fit.facts,
        names,
        correlation,
        make_curves(
            fit.stated,
            spec,
            predicted[accepted],
            np.asarray(dataset.controls),
            () if fit.posterior is None else list(fit.posterior.params(spec)),
        ),
        fit.compared,
        times,
        breaks,
        errors.values[:, -1, columns],
        accepted,
        explosion_lines(count, len(windows), named, "the fit"),
        fit.profiles,
        fit.agreement,
        fit.posterior,
        Simulated(spec, windows, predicted, errors, fit.compared, {**spec.default_params, **model.params}),
        design_arguments(spec.name, fit.verdicts, windows.store),
    )


def save_curves(run: Path, report: FitReport) -> None:
    """Write ``curves.json`` of a model with tyres.

    Raises:
        DataError: the folder cannot be written.
    """
    if report.curves is not None:
        write_json(run / "curves.json", curves_table(report.curves))


def report_facts(report: FitReport) -> list[str]:
    """Windows that explode, curves and correlations in sentences."""
    curves = [] if report.curves is None else curve_facts(report.curves)
    return [*report.explosions, *curves, *pair_facts(report)]


def pair_facts(report: FitReport) -> list[str]:
    """The strongest correlations in words."""
    pairs = strongest_pairs(report.names, report.correlation)
    if not pairs:
        return ["No two parameters are strongly correlated."]
    listed = ", ".join(f"{first} and {second} {strength:+.2f}" for first, second, strength in pairs)
    return [f"Strongest correlations of the errors: {listed}."]


def curve_facts(curves: Curves) -> list[str]:
    """The understeer gradient, and how well the side forces are known where they were driven."""
    gradient, error = curves.understeer_gradient
    what = "understeers" if gradient > NORMAL_95 * error else "oversteers"
    if abs(gradient) <= NORMAL_95 * error:
        what = "may understeer or oversteer"
    lines = [
        f"Understeer gradient without side force: {gradient:.3g} ± {error:.2g} rad s²/m: the car {what}."
    ]
    for axle, curve in curves.side_force.items():
        inside = curve.inside
        if not inside.any():
            continue
        largest = float(np.abs(curve.value[inside]).max())
        share = NORMAL_95 * float(curve.std[inside].mean()) / largest if largest > 0 else np.inf
        low, high = curve.reached
        lines.append(
            f"Side force {axle}: slip angles from {low:.3g} to {high:.3g} rad were driven; it is known there "
            f"to ± {100 * share:.2g} % of its largest value, on average."
        )
    return lines


def figures_of(report: FitReport) -> dict[str, plots.Drawing]:
    """What draws each figure, by name."""
    from pct import plots

    spec = report.spec
    title = f"Fit of {spec.name}"
    figures: dict[str, plots.Drawing] = {}
    if report.curves is not None:
        what = f"{title}: what the car does, with 95 % bands"
        figures["curves"] = partial(plots.draw_curves, panels=curve_panels(report.curves), title=what)
    if report.agreement is not None:
        what = f"{title}: each {report.agreement.by} alone"
        figures["agreement"] = partial(
            plots.draw_agreement,
            names=report.agreement.names,
            forests=agreement_forests(report.agreement, spec),
            title=what,
        )
    if report.posterior is not None:
        posterior = report.posterior
        figures["posterior"] = partial(
            plots.draw_posterior,
            labels=[(spec.parameter(name).symbol, spec.parameter(name).unit) for name in posterior.names],
            draws=posterior.draws.reshape(-1, len(posterior.names)),
            interval=posterior.interval,
            normal=posterior.normal,
            title=f"{title}: posterior",
        )
    for profile in report.profiles:
        row = spec.parameter(profile.name)
        figures[f"profile_{profile.name}"] = partial(
            plots.draw_profile,
            symbol=row.symbol,
            unit=row.unit,
            values=profile.values,
            excess=profile.excess,
            limit=LIMIT,
            interval=profile.interval,
            best=float(report.fitted.params[profile.name]),
            default=float(spec.default_params[profile.name]),
            title=f"{title}: profile of {profile.name}",
        )
    figures["correlations"] = partial(
        plots.draw_correlations,
        names=report.names,
        correlation=report.correlation,
        title=f"{title}: correlations",
    )
    horizon = report.fitted.settings["horizon"] * report.fitted.dt
    figures["residuals"] = partial(
        plots.draw_residuals,
        channels=[spec.states[spec.state_indices[name]] for name in report.channels],
        times=report.times,
        errors=report.errors,
        accepted=report.accepted,
        breaks=report.breaks,
        title=f"{title}: error after {horizon:g} s, predicted minus logged",
    )
    return figures


def agreement_forests(agreement: Agreement, spec: ModelSpec) -> list[plots.Forest]:
    """Panels of the parameters that were compared, and of the side forces at the largest slip angles."""
    from pct import plots

    compared = {name: item for name, item in agreement.parameters.items() if item.effects is not None}
    symbols = {name: spec.parameter(name).symbol for name in compared}
    for axle in AXLES:
        points = [
            (float(name.split()[1]), name, item)
            for name, item in agreement.curves.items()
            if name.startswith(axle) and item.effects is not None
        ]
        if points:
            slip, _, item = max(points, key=lambda point: point[0])
            title = f"side force {axle}, {slip:g} rad"
            compared[title], symbols[title] = item, "F_y"
    return [
        plots.Forest(
            symbols[name],
            item.unit,
            f"{name}: varies" if item.varies else name,
            item.values,
            item.errors,
            item.used,
            item.pooled,
            None if item.effects is None else (item.effects.low, item.effects.high),
            None if item.effects is None else (item.effects.next_low, item.effects.next_high),
            item.varies,
        )
        for name, item in compared.items()
    ]


def curve_panels(curves: Curves) -> list[plots.Panel]:
    """The curves with the names and units of their axes."""
    from pct import plots

    what = "side force" if curves.force_unit == "N" else "side force over static load"
    panels = [
        plots.Panel(
            f"{axle} axle", ("slip angle", "rad"), (what, curves.force_unit), {"side force": _band(curve)}
        )
        for axle, curve in curves.side_force.items()
    ]
    if curves.handling is not None:
        panels.append(
            plots.Panel(
                "handling: rising is understeer",
                ("lateral acceleration", "m/s^2"),
                ("slip angle front less rear", "rad"),
                {"difference": _band(curves.handling)},
            )
        )
    if curves.drive_force:
        bands = {f"drive command {drive:.2g}": _band(curve) for drive, curve in curves.drive_force.items()}
        panels.append(plots.Panel("along the car", ("speed", "m/s"), ("drive force", "N"), bands))
    return panels


def _band(curve: Curve) -> plots.Band:
    from pct import plots

    return plots.Band(curve.x, curve.value, curve.low, curve.high, curve.reached)


def parameter_cells(
    model: FittedModel, verdicts: Mapping[str, Mapping[str, Any]]
) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table of parameters; an array parameter shows its shape."""
    between = any(entry.get("between") is not None for entry in verdicts.values())
    head = ["parameter", "value", "std. error", "between", "default", "bounds", "unit", "verdict"]
    spec, rows = model.spec, []
    for name in spec.param_keys:
        row = spec.parameter(name)
        if spec.full_shapes[name]:
            shape = " x ".join(map(str, spec.full_shapes[name]))
            rows.append([name, f"({shape} entries)", "", "", "", "", row.unit, ""])
            continue
        entry = verdicts.get(name, {})
        std, tau = entry.get("std"), entry.get("between")
        rows.append(
            [
                name,
                f"{float(model.params[name]):.4g}",
                f"{float(model.deviations[name] if std is None else std):.2g}",
                "" if tau is None else f"{tau:.3g}",
                f"{float(row.default):.4g}",
                f"{float(row.low):g} to {float(row.high):g}",
                row.unit,
                entry.get("verdict", "no verdict"),
            ]
        )
    if not between:  # the drives were not compared
        head, *rows = [[*row[:3], *row[4:]] for row in (head, *rows)]
    return head, rows


def text_columns(head: Sequence[str]) -> tuple[int, ...]:
    """Columns of a table of parameters that are text."""
    return tuple(n for n, name in enumerate(head) if name in ("parameter", "unit", "verdict"))


def _side_by_side(windows: WindowSet) -> tuple[np.ndarray, list[float]]:
    """Driving time of each window with one recording after another, and where they meet, in s."""
    store = windows.store
    counted = windows.dt * np.arange(store.recording.size)
    begins = np.flatnonzero(np.diff(store.recording)) + 1
    return counted[windows.starts], [float(counted[row]) for row in begins]
