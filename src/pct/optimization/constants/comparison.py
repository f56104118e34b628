"""Fits of two or more runs beside each other: what is the same, and what differs?

A team sees new tyres, a heavier car or a worn damper this way. Compared are the scalar parameters that each
run knows, and the side force of each axle at slip angles that all of them reached. The error of a value is
that which its fit states: where single drives were compared, that of the mean across them, else that of the
jackknife, which holds for those drives only. Where another run knows how much drives differ, that is added.

For two runs the test is Welch's for unequal variances; for more, that of Cochran's Q with Welch's correction,
which is the same for two. All quantities are one family to Holm's method.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.errors import UsageError
from pct.measurement.filter import noise_names
from pct.optimization.constants.agreed import DIFFERENT, Agreement
from pct.optimization.constants.curves import AXLES, differences, force_at, has_curves
from pct.optimization.constants.estimate import raw_slopes, scalar_places
from pct.optimization.constants.mass_and_tyres import mass_and_tyres
from pct.optimization.constants.model import FittedModel
from pct.optimization.constants.quantities import SLIPS
from pct.optimization.constants.random_effects import CONFIDENCE, holm, random_effects
from pct.types import Bool, Float

# Verdicts that leave nothing to compare.
UNKNOWN = ("not excited", "at bound", "error not known", "leans on clipped rows")
# Points of a curve that is drawn.
POINTS = 41


class Solution(NamedTuple):
    """What a run keeps of the solution of its fit.

    Attributes:
        raw: parameters on the unbounded axis, (P,).
        covariance: of ``raw``, (P, P).
        blocks: that it rests on.
        reached: the largest slip angle in rad that was driven, by axle.
        information: of the data alone, as if the model were right, (P, P); None where the run is older.
        sound: whether the covariance can be trusted.
    """

    raw: np.ndarray
    covariance: np.ndarray
    blocks: int
    reached: Mapping[str, float]
    information: np.ndarray | None = None
    sound: bool = True


class Candidate(NamedTuple):
    """One run of a comparison.

    Attributes:
        name: of the run, unique.
        model: its fitted model.
        verdicts: by parameter.
        solution: None where the run is older than that; then its curves are left out.
        agreement: of its single drives; None where they were not compared.
    """

    name: str
    model: FittedModel
    verdicts: Mapping[str, Mapping[str, Any]]
    solution: Solution | None
    agreement: Agreement | None

    @property
    def spec(self) -> ModelSpec:
        """The model that was fitted."""
        return self.model.spec

    @property
    def freedom(self) -> float:
        """Degrees of freedom of its errors."""
        if self.agreement is not None:
            return max(1.0, len(self.agreement.names) - 1.0)
        return 1e6 if self.solution is None else max(1.0, self.solution.blocks - 1.0)


class Compared(NamedTuple):
    """One quantity over R runs, in its unit.

    Attributes:
        unit: of all below.
        values, errors: of each run and its standard error, (R,).
        known: which of them know it, (R,).
        difference: last less first, of two runs; NaN with more.
        low, high: its 95 % interval.
        z: difference over its standard error.
        p, p_holm: that the runs are equal, before and after Holm; NaN where fewer than two know it.
    """

    unit: str
    values: Float[np.ndarray, " R"]
    errors: Float[np.ndarray, " R"]
    known: Bool[np.ndarray, " R"]
    difference: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    z: float = float("nan")
    p: float = float("nan")
    p_holm: float = float("nan")

    @property
    def verdict(self) -> str:
        """Whether the runs differ."""
        if not np.isfinite(self.p_holm):
            return "not compared"
        return "differs" if self.p_holm < DIFFERENT else "the same"


def compare_runs(runs: Sequence[Candidate]) -> dict[str, Compared]:
    """Every quantity that two runs or more have, by name.

    Raises:
        UsageError: fewer than two runs, or of different models.
    """
    if len(runs) < 2:
        raise UsageError(f"`runs`: expected two runs or more to compare, got {len(runs)}")
    models = {run.spec.name: run.name for run in runs}
    if len(models) > 1:
        found = ", ".join(f"{model} ({name})" for model, name in models.items())
        raise UsageError(f"`runs`: expected runs of one model, found {found}")
    rows = {**_parameters(runs), **_side_forces(runs)}
    freedom = np.array([run.freedom for run in runs])
    tested = {name: _tested(row, freedom) for name, row in rows.items()}
    adjusted = holm(np.array([row.p for row in tested.values()]))
    return {
        name: row._replace(p_holm=float(p)) for (name, row), p in zip(tested.items(), adjusted, strict=True)
    }


def notes_of(runs: Sequence[Candidate], rows: Mapping[str, Compared]) -> list[str]:
    """What a reader must know of a comparison, in sentences."""
    lines = []
    apart = [name for name, row in rows.items() if row.verdict == "differs"]
    same = sum(row.verdict == "the same" for row in rows.values())
    lines.append(
        f"Different: {', '.join(apart) or 'nothing'}. The same within their errors: {same} of {len(rows)} "
        "quantities."
    )
    unknown = [name for name, row in rows.items() if row.verdict == "not compared"]
    if unknown:
        lines.append(f"Not compared, since fewer than two runs know them: {', '.join(unknown)}.")
    single = [run.name for run in runs if run.agreement is None]
    if len(single) == len(runs):
        lines.append(
            "No run knows how much one drive differs from the next (that takes four recordings), so a "
            "difference may be one of drives, not of cars."
        )
    elif single:
        lines.append(
            f"{', '.join(single)}: too few drives to know how much they differ; taken from the other runs."
        )
    old = [run.name for run in runs if run.solution is None]
    if old:
        lines.append(f"Curves are left out: {', '.join(old)} holds no covariance (an older run); fit again.")
    return [*lines, *_held_apart(runs), *mass_and_tyres([run.spec for run in runs], rows)]


def side_force_bands(
    runs: Sequence[Candidate],
) -> dict[str, tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]]:
    """By axle: slip angles (K,) up to what all runs reached, and force and standard error of each run."""
    bands = {}
    for axle, reach in _common_reach(runs).items():
        slips = np.linspace(0.0, reach, POINTS)
        bands[axle] = slips, [_force(run, axle, slips) for run in runs]
    return bands


def _parameters(runs: Sequence[Candidate]) -> dict[str, Compared]:
    """The scalar parameters that two runs or more have learned."""
    rows = {}
    places = [scalar_places(run.spec) for run in runs]
    for name in dict.fromkeys(name for row in places for name in row):
        learned = np.array([name in row for row in places])
        if learned.sum() < 2:
            continue
        values = np.array(
            [float(run.model.params[name]) if has else np.nan for run, has in zip(runs, learned, strict=True)]
        )
        errors, taus = np.full(len(runs), np.nan), np.zeros(len(runs))
        for r, run in enumerate(runs):
            if learned[r]:
                entry = run.verdicts.get(name, {})
                std = entry.get("std")
                errors[r] = float(run.model.deviations[name] if std is None else std)
                taus[r] = np.nan if entry.get("between") is None else entry["between"]
        known = learned & np.array([run.verdicts.get(name, {}).get("verdict") not in UNKNOWN for run in runs])
        unit = runs[int(np.argmax(learned))].spec.parameter(name).unit
        rows[name] = Compared(unit, values, _with_spread(errors, taus), known)
    return rows


def _side_forces(runs: Sequence[Candidate]) -> dict[str, Compared]:
    """Side force of each axle at slip angles that all runs reached."""
    rows = {}
    for axle, reach in _common_reach(runs).items():
        for slip in (slip for slip in SLIPS if slip <= reach):
            values, errors, taus = np.empty(len(runs)), np.empty(len(runs)), np.full(len(runs), np.nan)
            for r, run in enumerate(runs):
                value, error = _force(run, axle, np.array([slip]))
                values[r], errors[r] = value[0], error[0]
                item = None if run.agreement is None else run.agreement.curves.get(f"{axle} {slip:g}")
                if item is not None and item.effects is not None:
                    errors[r], taus[r] = item.error, item.effects.tau
            unit = "1" if "m" in runs[0].spec.param_keys else "N"
            known = np.isfinite(errors) & (errors > 0)
            rows[f"side force {axle} {slip:g} rad"] = Compared(
                unit, values, _with_spread(errors, taus), known
            )
    return rows


def _common_reach(runs: Sequence[Candidate]) -> dict[str, float]:
    """The largest slip angle that all runs reached, by axle; empty where their forces cannot be compared."""
    if not all(has_curves(run.spec) and run.solution is not None for run in runs):
        return {}
    if len({"m" in run.spec.param_keys for run in runs}) > 1:
        return {}
    reached = [run.solution.reached for run in runs if run.solution is not None]
    return {
        axle: min(by_axle[axle] for by_axle in reached)
        for axle in AXLES
        if all(axle in one for one in reached)
    }


def _force(run: Candidate, axle: str, slips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Side force at slip angles, and its standard error by the run's covariance, (K,) each."""
    spec, solution = run.spec, run.solution
    assert solution is not None

    def force(p: SimpleNamespace) -> np.ndarray:
        return np.asarray(force_at(spec, axle, slips, p))

    value, slopes = differences(force, spec, {**spec.default_params, **run.model.params})
    numbers = list(scalar_places(spec).values())
    steep = raw_slopes(spec, solution.raw)[numbers]
    covariance = solution.covariance[np.ix_(numbers, numbers)] * np.outer(steep, steep)
    variance = np.einsum("pk,pq,qk->k", slopes, covariance, slopes)
    return value, np.sqrt(np.maximum(variance, 0.0))


def _with_spread(errors: np.ndarray, taus: np.ndarray) -> np.ndarray:
    """Errors of runs with few drives, with what drives of the other runs differ by, where that is known."""
    if np.isnan(taus).all():
        return errors
    return np.where(np.isnan(taus), np.hypot(errors, np.nanmax(taus)), errors)


def _tested(row: Compared, freedom: np.ndarray) -> Compared:
    """The row with its difference and test."""
    from scipy.special import stdtrit

    known = row.known & np.isfinite(row.values) & np.isfinite(row.errors) & (row.errors > 0)
    row = row._replace(known=known)
    if known.sum() < 2:
        return row
    values, errors, free = row.values[known], row.errors[known], freedom[known]
    row = row._replace(p=random_effects(values, errors, free).p)
    if len(row.values) > 2:
        return row
    variances = errors**2
    error = float(np.sqrt(variances.sum()))
    welch = variances.sum() ** 2 / np.sum(variances**2 / free)
    reach = float(stdtrit(welch, (1 + CONFIDENCE) / 2)) * error
    difference = float(values[1] - values[0])
    return row._replace(
        difference=difference, low=difference - reach, high=difference + reach, z=difference / error
    )


def _held_apart(runs: Sequence[Candidate]) -> list[str]:
    """Parameters that runs hold at different values, or only some of them hold; the filter's are its own."""
    lines = []
    of_filters = {name for run in runs for name in noise_names(run.spec)}
    names = dict.fromkeys(name for run in runs for name in run.spec.default_params)
    for name in (name for name in names if name not in of_filters):
        scalar = [run for run in runs if np.ndim(run.spec.default_params.get(name, 0.0)) == 0]
        held = {
            run.name: float(run.spec.default_params[name])
            for run in scalar
            if name in run.spec.default_params and name not in run.spec.param_keys
        }
        learned = [run.name for run in scalar if name in run.spec.param_keys]
        if held and learned:
            lines.append(f"{name} is held in {', '.join(held)} and fitted in {', '.join(learned)}.")
        elif len(set(held.values())) > 1:
            values = ", ".join(f"{value:g} in {run}" for run, value in held.items())
            lines.append(f"{name} is held at different values: {values}.")
    return lines
