"""A fit of constant parameters: the value that `pct.fit` returns."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.api.cars import Car
from pct.api.drives import Drives
from pct.api.notebook import Shown
from pct.api.predictions import Prediction, predict
from pct.errors import UsageError
from pct.optimization.settings import DRAWS as DRAWS_WITHIN
from pct.within import Within, check_callable, check_number, check_numbers

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from pct.evaluation.fit_report import FitReport
    from pct.optimization.constants.agreed import Agreement
    from pct.optimization.constants.constant_fit import ConstantFit
    from pct.optimization.constants.model import FittedModel
    from pct.optimization.constants.posterior.posterior import Posterior
    from pct.rollout.native.sampler import Rollout
    from pct.windows.window_set import WindowSet

STEP = Within(0, 60, "s", open_low=True)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Fit(Shown):
    """Constant parameters of a vehicle, each with its standard error and a verdict.

    Attributes:
        model: the fitted model.
        result: the whole fit with its windows; None where it was opened from a run folder.
        drives: what it was fitted to; None where it was opened.
        run: its run folder; None where it was not saved.
        stored_verdicts: verdicts of its run folder, where it was opened.
    """

    model: FittedModel
    result: ConstantFit | None
    drives: Drives | None = None
    run: Path | None = None
    stored_verdicts: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def verdicts(self) -> Mapping[str, Mapping[str, Any]]:
        """Verdict, advice and more by parameter: made when first read, so that a fit can be saved before."""
        return self.stored_verdicts if self.result is None else self.result.verdicts

    @property
    def params(self) -> dict[str, Any]:
        """Fitted values by name, in the unit of each parameter."""
        return dict(self.model.params)

    @property
    def deviations(self) -> dict[str, Any]:
        """Standard errors by name, in the unit of each parameter; of the mean across drives where these were
        compared."""
        stated = {name: entry["std"] for name, entry in self.verdicts.items() if entry.get("std") is not None}
        return {**self.model.deviations, **stated}

    @functools.cached_property
    def agreement(self) -> Agreement | None:
        """Each drive fitted alone and compared; None where there were too few."""
        from pct.runs.model_files import load_agreement

        if self.result is not None:
            return self.result.agreement
        return None if self.run is None else load_agreement(self.run, self.model.spec)

    @property
    def training_windows(self) -> WindowSet | None:
        """The windows that it was fitted to; None where it was opened."""
        return None if self.result is None else self.result.windows

    @property
    def car(self) -> Car:
        """The car to train a network on: it begins at the fitted values; its measurement stays as fitted."""
        return Car(self.model.spec_to_train(), fitted=self.model)

    @property
    def facts(self) -> list[str]:
        """What was fitted to what and how well, in sentences; empty where it was opened."""
        if self.result is None:
            return []
        from pct.optimization.constants.profile import profile_fact

        units = {item.name: self.model.spec.parameter(item.name).unit for item in self.result.profiles}
        return [*self.result.facts, *(profile_fact(item, units[item.name]) for item in self.result.profiles)]

    @functools.cached_property
    def report(self) -> FitReport:
        """Curves, correlations and residuals, as its figures and ``report.html`` show them.

        Raises:
            UsageError: it was opened from a run folder.
        """
        from pct.evaluation.fit_report import make_fit_report

        return make_fit_report(self._whole("report"))

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before trusting the figures; empty where it was opened."""
        return [] if self.result is None else self.result.warnings

    @property
    def advice(self) -> list[str]:
        """How to identify the parameters that are not identified yet, in sentences."""
        from pct.optimization.constants.verdicts import advice_lines

        return advice_lines(self.verdicts)

    @property
    def design_arguments(self) -> tuple[str, ...]:
        """Arguments of ``pct design RUN`` for a drive that tells about what is not identified yet; empty
        where
        nothing is short of information, the model cannot be steered, or the fit was opened."""
        from pct.designing.advice import design_arguments

        if self.result is None:
            return ()
        return design_arguments(self.model.spec.name, self.verdicts, self.result.windows.store)

    def table(self) -> pl.DataFrame:
        """One row a scalar parameter: value, standard error, standard deviation between drives (null where
        they were not compared), default, bounds, unit and verdict."""
        import polars as pl

        spec, rows, deviations = self.model.spec, [], self.deviations
        for name in spec.param_keys:
            if spec.full_shapes[name]:
                continue
            low, high = spec.param_bounds[name]
            rows.append(
                {
                    "parameter": name,
                    "value": float(self.model.params[name]),
                    "std. error": float(deviations[name]),
                    "between": self.verdicts.get(name, {}).get("between"),
                    "default": float(spec.default_params[name]),
                    "low": float(low),
                    "high": float(high),
                    "unit": spec.parameter(name).unit,
                    "verdict": self.verdicts.get(name, {}).get("verdict"),
                }
            )
        return pl.DataFrame(rows, schema_overrides={"between": pl.Float64})

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows of the parameters as text, array parameters included."""
        from pct.evaluation.fit_report import parameter_cells

        return parameter_cells(self.model, self.verdicts)

    def agreement_cells(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows of how single drives agree, as text; no rows where they were not compared."""
        from pct.optimization.constants.agreement_text import agreement_cells

        return ([], []) if self.agreement is None else agreement_cells(self.agreement, self.verdicts)

    def plot(self, kind: str = "curves") -> Figure:
        """A figure of the fit.

        Args:
            kind: ``curves`` (side force, handling, drive force with bands), ``agreement`` of single drives,
                ``posterior`` where it was drawn, ``correlations``, ``residuals``, or ``profile_NAME`` of a
                profiled parameter.

        Raises:
            UsageError: there is no such figure of this fit.
        """
        from pct.evaluation.fit_report import figures_of
        from pct.plots import in_style

        figures = figures_of(self.report)
        if kind not in figures:
            raise UsageError(f"`kind={kind}`: expected one of {', '.join(figures)}")
        return in_style(figures[kind])

    def predict(self, drive: Any, *, start: float, horizon: int | None = None) -> Prediction:
        """Roll the fitted model out over a part of a drive.

        Args:
            drive: holds the model's channels; a drive, or what `pct.load` reads one from.
            start: time of the first row in s, from the beginning of the drive.
            horizon: steps that are predicted; those of the fit when left out.

        Raises:
            UsageError: there is too little drive before or after the start.
        """
        return predict(self.model, drive, start=start, horizon=horizon)

    def profile(self, *names: str, progress: Callable[[Any], None] | None = None) -> Fit:
        """The fit with the profile likelihood of these parameters; each takes some ten fits.

        Raises:
            UsageError: a name is no fitted scalar parameter.
        """
        from pct.optimization.constants.fitting import with_profiles

        check_callable("progress", progress)
        result = with_profiles(self._whole("profile"), names, progress)
        return dataclasses.replace(self, result=result)

    def sample(self, draws: int | None = None, progress: Callable[[Any], None] | None = None) -> Fit:
        """The fit with draws of its posterior: ``result.posterior``, and bands of the curves.

        Args:
            draws: that are kept, of four chains together; 1000 when left out.
            progress: called with a line after each chain.

        Raises:
            UsageError: blackjax is not installed, or the fit has no covariance.
        """
        from pct.optimization.constants.fitting import with_posterior
        from pct.optimization.constants.posterior.posterior import DRAWS

        check_callable("progress", progress)
        number = DRAWS if draws is None else draws
        check_numbers("draws", (number,), DRAWS_WITHIN)
        return dataclasses.replace(self, result=with_posterior(self._whole("sample"), number, progress))

    @property
    def posterior(self) -> Posterior | None:
        """Draws of the parameters; None where none were asked for, or the fit was opened."""
        return None if self.result is None else self.result.posterior

    def save(self, folder: str | Path, *, report: bool = True) -> Path:
        """Write a run folder, which `pct.open` and every command reads.

        Args:
            folder: is made; must not hold a run.
            report: whether figures and ``report.html`` are made.

        Raises:
            DataError: the folder holds a run already or cannot be written.
        """
        from pct.runs.directory import after_saving, begin_run, mark_done

        drives = self.drives or Drives(())
        settings = self._whole("save").settings
        with begin_run(Path(folder), settings=settings, paths=drives.paths, data=drives.hashes) as run:
            facts = self.write(run)
            if report:
                with after_saving("the report"):
                    self.write_report(run)
            mark_done(run, facts)
        return run

    def write(self, run: Path) -> dict[str, Any]:
        """Write the fit's files into a run folder that is there already; its facts for the end of the run.

        Raises:
            DataError: the folder cannot be written.
        """
        from pct.runs.fits import write_fit

        result = self._whole("write")
        write_fit(run, result)
        return {
            "iterations": len(result.estimate.cost),
            "seconds": result.seconds,
            "remaining_error": dict(self.model.remaining_error),
        }

    def write_report(self, run: Path) -> list[str]:
        """Write figures and ``report.html`` into a run folder; what they add to the table, in sentences."""
        from pct.evaluation.fit_page import save_fit_report
        from pct.evaluation.fit_report import report_facts

        return [*report_facts(self.report), f"Report: {save_fit_report(run, self.report)}"]

    def export(self, target: str, path: str | Path, *, refit: bool = False) -> Path:
        """Write the model with its fitted parameters for another program, verified or refused.

        Args:
            target: ``c``, ``cpp``, ``f1tenth-gym``, ``commonroad``, ``forzaeth``, ...: key of
                `pct.export.targets.TARGETS`.
            path: of the file, or of the folder where a target has several.
            refit: whether a car that the target cannot say becomes the nearest that it can; the file states
                the loss.

        Returns:
            The file or folder.

        Raises:
            UsageError: an unknown target, a package that it needs is missing, or it cannot say this car.
            DataError: the file cannot be written.
            PctError: what would be written differs from the model.
        """
        from pct.api.exporting import write_export
        from pct.export.source import from_fit
        from pct.runs.model_files import driven_rows, load_driven

        if self.result is not None:
            driven = driven_rows(self.result)
        else:
            driven = {} if self.run is None else load_driven(self.run)
        source = from_fit(
            self.model, "a fit of constants to driving logs", verdicts=self.verdicts, driven=driven
        )
        return write_export(target, source, Path(path), refit=refit)

    def sampler(self, *, dt: float | None = None) -> Rollout:
        """Rollouts of many control sequences from one state, in native code, for sampling controllers.

        The vehicle's own equations with the fitted values, in single precision. What the fit has beside them
        (lags, delays, the observer) is left out, as in an export; states and controls are those of the
        model's tables.

        Args:
            dt: time step in s; that of the fit when left out. Its parts are no longer than those of the fit.

        Raises:
            UsageError: a time step out of range.
            PctError: there is no C++ compiler, or the equations cannot be traced.
        """
        from pct.export.source import from_fit
        from pct.rollout.native.sampler import Rollout

        source = from_fit(self.model, "a fit")
        step = self.model.dt if dt is None else dt
        check_number("dt", step, STEP)
        substeps = max(1, math.ceil(step / self.model.dt * source.substeps - 1e-9))
        return Rollout(
            source.spec,
            source.values,
            dt=step,
            integrator_name=source.integrator_name,
            substeps=substeps,
        )

    def _whole(self, what: str) -> ConstantFit:
        if self.result is None:
            raise UsageError(
                f"{what}: an opened fit has no windows: see its run folder {self.run}, or fit again"
            )
        return self.result

    def shown(self) -> tuple[str, pl.DataFrame, Sequence[str]]:
        """Title, table and notes."""
        return (
            f"Parameters of {self.model.spec.name}",
            self.table(),
            [*self.facts, *self.warnings, *self.advice],
        )
