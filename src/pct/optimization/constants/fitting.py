"""The recipe of a fit: windows, Levenberg-Marquardt, verdicts, profiles. It prints and writes nothing."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, NamedTuple

import numpy as np

from pct.dynamics.core import ModelSpec, unflatten_params
from pct.errors import DataError, UsageError
from pct.measurement.filter import drifting_states, noise_values
from pct.optimization.constants.agreed import Agreement
from pct.optimization.constants.agreement import ENOUGH, agreement_of, with_agreement
from pct.optimization.constants.agreement_text import agreement_facts
from pct.optimization.constants.clipped import share_without_clipped
from pct.optimization.constants.curves import has_curves, reached_slips
from pct.optimization.constants.estimate import PRIOR, Estimate
from pct.optimization.constants.groups import group_windows
from pct.optimization.constants.model import FittedModel
from pct.optimization.constants.posterior.posterior import DRAWS, Posterior, draw_posterior
from pct.optimization.constants.prior import Prior
from pct.optimization.constants.profile import ROUNDING, Profile, make_profile, require_scalar
from pct.optimization.constants.rollout_errors import RolloutErrors, make_rollout_errors, part_size
from pct.optimization.constants.starts import Starts, fit_from_start, fit_from_starts, prior_of
from pct.optimization.constants.verdicts import correlations, make_verdicts, with_profile
from pct.optimization.settings import FitSettings
from pct.recordings.unlogged import SMOOTHED, assumed_lines
from pct.rollout.integration import choose_substeps
from pct.windows.at_limits import limit_lines
from pct.windows.inputs import DIFFERENCE, inputs_line, told_by_controls
from pct.windows.store import WindowStore, spread, window_starts
from pct.windows.window_set import WindowSet, make_window_set
from pct.within import FINITE, check_numbers

# Independent blocks of driving below which their spread says little.
FEW_BLOCKS = 6
# Windows that tell which slip angles were reached.
SHOWN = 1000


class FitProgress(NamedTuple):
    """Progress of a fit after an iteration.

    Attributes:
        iteration: counts from 1.
        error: lowest typical error of the compared channels so far, as a share of that at the start.
        seconds: since the fit began.
    """

    iteration: int
    error: float
    seconds: float

    def __str__(self) -> str:
        return (
            f"iteration {self.iteration}  error {100 * self.error:.4g} % of the start  {self.seconds:.1f} s"
        )


class ProfileProgress(NamedTuple):
    """Progress of a profile after a point.

    Attributes:
        name: the parameter.
        value: at which it was held, in its unit.
        excess: twice the log likelihood lost there against the best point so far.
    """

    name: str
    value: float
    excess: float

    def __str__(self) -> str:
        return f"profile of {self.name}  {self.value:.5g}  {self.excess:.3g}"


@dataclasses.dataclass(frozen=True, eq=False)
class ConstantFit:
    """Constant parameters of a vehicle with their evidence.

    Attributes:
        model: the fitted model: values, standard errors, and what windows it reads.
        estimate: the solution on the unbounded axis, with its covariance.
        windows: the windows that it was fitted to, in the order of driving.
        settings: of the fit.
        seconds: that the fit took.
        errors: the compiled functions of the fit, for further fits to parts of its windows.
        profiles: profile likelihoods, where they were asked for.
        by: by what the drives were asked to be compared; None: by recording, where there are enough.
        files: the file that each recording is of, for a comparison by file.
        starts: what became of the starts, where there were several.
        posterior: draws, where they were asked for.
        prior: about the model's defaults on the unbounded axis, see `pct.optimization.constants.prior`.
    """

    model: FittedModel
    estimate: Estimate
    windows: WindowSet
    settings: FitSettings
    seconds: float
    errors: RolloutErrors
    profiles: tuple[Profile, ...] = ()
    by: str | None = None
    files: tuple[str, ...] = ()
    starts: Starts | None = None
    posterior: Posterior | None = None
    prior: Prior = PRIOR

    @property
    def spec(self) -> ModelSpec:
        """The model that was fitted, with its measurement."""
        return self.model.spec

    @property
    def rollout_errors(self) -> RolloutErrors:
        """The compiled functions, for parts of as many windows as in the fit: no part compiles again."""
        return dataclasses.replace(self.errors, part=part_size(len(self.windows)))

    @cached_property
    def agreement(self) -> Agreement | None:
        """Each recording, file or lap fitted alone and compared.

        Made when first read, in about the time of the fit. None below four recordings, unless it was asked
        for: then from two on.
        """
        return agreement_of(
            self, self.by or "recording", files=self.files, least=ENOUGH if self.by is None else 2
        )

    @cached_property
    def reached(self) -> dict[str, float]:
        """The largest slip angle in rad that was driven, by axle; empty for a model without tyres."""
        numbers = spread(np.flatnonzero(self.estimate.accepted), SHOWN)
        if not has_curves(self.spec) or not numbers.size:
            return {}
        states = self.model.predict_windows(self.windows.select(numbers))
        return reached_slips(self.spec, self.estimate.params(self.spec), states)

    @cached_property
    def stated(self) -> Estimate:
        """The estimate with a covariance that holds for the next drive, where drives were compared."""
        deviations = self.estimate.deviations(self.spec)
        covariance = with_agreement(self.estimate.covariance, deviations, self.spec, self.agreement)
        return dataclasses.replace(self.estimate, covariance=covariance)

    @cached_property
    def verdicts(self) -> dict[str, dict[str, Any]]:
        """Verdict on each scalar parameter by name; see `make_verdicts`."""
        verdicts = make_verdicts(self.estimate, self.spec, self.prior, self.agreement)
        for item in self.profiles:
            verdicts[item.name] = with_profile(verdicts[item.name], item, self.spec)
        return verdicts

    @cached_property
    def correlations(self) -> tuple[list[str], np.ndarray]:
        """Names of the scalar parameters, and the correlations of their errors, (N, N)."""
        return correlations(self.estimate, self.spec)

    @property
    def compared(self) -> tuple[str, ...]:
        """States whose errors counted."""
        return tuple(self.model.remaining_error)

    @property
    def facts(self) -> list[str]:
        """What was fitted to what, in sentences."""
        errors = ", ".join(
            f"{name} {value:.3g} {self.spec.states[self.spec.state_indices[name]].unit}"
            for name, value in self.model.remaining_error.items()
        )
        lines = [
            f"{describe_windows(self.windows)}; {int((~self.estimate.accepted).sum())} windows rejected; "
            f"{self.estimate.blocks} independent blocks.",
            f"Typical error over the horizon: {errors}.",
            *([f"{self.starts}."] if self.starts else []),
            *agreement_facts(self.agreement, len(self.windows.store.recordings)),
            *([self.posterior.fact] if self.posterior else []),
        ]
        unlogged = self.spec.unlogged
        left_out = [name for name in self.spec.state_names if name not in (*self.compared, *unlogged)]
        if left_out and not self.settings.compare:
            lines.append(
                f"Not compared: {', '.join(left_out)}, which controls that were derived from it predict to "
                "rounding."
            )
        inputs = inputs_line(self.spec)
        limits = limit_lines(self.spec, self.windows.store, self.model.params)
        assumed = assumed_lines(self.spec, self.windows.store.origins)
        return [*lines, *assumed, *self._start_facts(), *([inputs] if inputs else []), *limits]

    def _start_facts(self) -> list[str]:
        """How windows begin, and what the filter finds that the model does not explain."""
        noise = self.estimate.noise
        if noise is None:
            return []
        if not noise.reading:
            return ["Windows begin as logged: on held-out blocks the filter was no better."]
        sizes = ", ".join(
            f"{channel.name} {noise.drift * scale:.2g} {channel.unit}/s".replace("/s/s", "/s^2")
            for channel, scale in zip(drifting_states(self.spec), noise.scale, strict=True)
            if channel.name not in self.spec.unlogged
        )
        return [
            "Windows begin by the filter, which was better on held-out blocks. Not explained by the model: "
            f"rates are off by about {sizes}, for some {noise.fade:.2g} s."
        ]

    @property
    def warnings(self) -> list[str]:
        """What a reader must know before trusting the figures."""
        lines = []
        if self.estimate.blocks < FEW_BLOCKS:
            lines.append(
                f"standard errors rest on {self.estimate.blocks} independent blocks of driving, too few to "
                "trust them: drive longer, or shorten `horizon` and `history`"
            )
        if self.starts is not None and 2 * self.starts.agreed < self.starts.count:
            lines.append(
                f"{self.starts}: there may be a better one; ask for more `starts`, or give narrower bounds"
            )
        if not self.estimate.sound:
            lines.append(
                "the covariance is not finite or beyond double precision, so that no standard error is known "
                "and no parameter is identified: shorten the `horizon`, or hold parameters with `fixed`"
            )
        if exact := exact_channels(self.spec, self.model.remaining_error):
            others = [name for name in self.compared if name not in exact]
            lines.append(
                f"{', '.join(exact)} is predicted to rounding, as the controls determine it: its errors "
                f"weigh as much as real ones. Fit again with `compare` {' '.join(others)}"
            )
        if reason := self.errors.fallback:
            lines.append(f"native code is not used: {reason}; pure JAX is slower, the results are the same")
        if self.posterior is not None:
            lines += self.posterior.warnings
        return lines


def fit_windows(spec: ModelSpec, store: WindowStore, settings: FitSettings) -> WindowSet:
    """The windows of a fit: of the settings' horizon, history and stride, with their state context alone.

    Raises:
        DataError: no recording is long enough.
    """
    shape: Any = {"horizon": settings.horizon, "history": settings.history}
    starts = window_starts(store, stride=stride_of(settings), samples=settings.samples, **shape)
    return make_window_set(store, starts, spec, feature_mode="context", **shape)


def stride_of(settings: FitSettings) -> int:
    """Steps from one window to the next; a fifth of the horizon where none is asked for."""
    return settings.stride or max(1, settings.horizon // 5)


def fit(
    spec: ModelSpec,
    windows: WindowSet,
    settings: FitSettings | None = None,
    *,
    start: Mapping[str, Any] | None = None,
    profiles: Sequence[str] = (),
    by: str | None = None,
    files: Sequence[str] = (),
    prior: Prior | None = None,
    progress: Callable[[Any], None] | None = None,
) -> ConstantFit:
    """Fit one value of each learned parameter of a model to windows.

    Args:
        spec: the model with its measurement and held parameters.
        windows: from `fit_windows`.
        settings: of the fit.
        start: values that the search begins at, by name; the defaults when left out. They are improved on
            single steps first where that predicts better.
        profiles: parameters whose likelihood is profiled afterwards; each takes some ten fits.
        by: by what drives are compared, from two on; by recording, from four on, when left out.
        files: the file that each recording is of, for ``by="file"``.
        prior: about the model's defaults on the unbounded axis; that of the settings when left out.
        progress: called with what is fitted, then with a `FitProgress` after each iteration.

    Raises:
        UsageError: an unknown state in ``compare``, a profile of what is not fitted, or ``by`` what there are
            fewer than two of.
        DivergedError: the rollouts at the start of the search are not finite.
    """
    settings = settings or FitSettings()
    for name, value in (start or {}).items():
        spec.parameter(name)
        check_numbers(f"start={name}", np.ravel(value), FINITE)
    for name in profiles:
        require_scalar(spec, name)
    if by is not None and len(found := group_windows(windows, by, files).names) < 2:
        raise UsageError(f"`by={by}`: expected two {by}s or more to compare, found {len(found)}")
    begin = time.perf_counter()
    dt = windows.store.dt
    options = _rollout_options(spec, windows.store, settings)

    count = itertools.count(1)

    def report(_: int, error: float) -> None:
        if progress is not None:
            progress(FitProgress(next(count), error, time.perf_counter() - begin))

    if progress is not None:
        progress(
            f"{spec.name}: {describe_windows(windows)} ({settings.integrator}, {options['substeps']} "
            f"substeps), {spec.vector_size} unknowns"
        )

    def errors_of(**own: Any) -> RolloutErrors:
        return make_rollout_errors(spec, spec.base_params(dt), windows.history, **{**options, **own})

    errors, starts = errors_of(), None
    prior = prior_of(settings, prior)
    if settings.starts > 1 or start is not None:
        single = errors_of(integrator="euler", substeps=1, free_start=False)
        estimate, starts = fit_from_starts(
            errors, single, windows, settings, start, report, progress or (lambda line: None), prior
        )
    else:
        estimate = fit_from_start(errors, windows, settings, None, report, prior)
    compared = [spec.state_names[i] for i in errors.channels]
    exact = exact_channels(spec, dict(zip(compared, estimate.sigma, strict=True)))
    if exact and not settings.compare:
        # What no table foresaw: an error of rounding would weigh as much as real ones.
        compared = [name for name in compared if name not in exact]
        errors = errors_of(compare=compared)
        estimate = fit_from_start(errors, windows, settings, estimate.params(spec), report, prior)
    share = share_without_clipped(errors, windows, estimate, settings.huber)
    estimate = dataclasses.replace(estimate, clipped_share=share)
    if estimate.noise is not None:
        tuned = {**spec.default_params, **noise_values(spec, estimate.noise)}
        spec = dataclasses.replace(spec, default_params=tuned)
    model = FittedModel(
        spec=spec,
        params=estimate.params(spec),
        deviations=unflatten_params(estimate.deviations(spec), spec.param_keys, spec.full_shapes),
        dt=dt,
        integrator_name=settings.integrator,
        substeps=options["substeps"],
        settings={
            "horizon": settings.horizon,
            "history": settings.history,
            "stride": stride_of(settings),
            "feature_mode": "context",
            "history_fit": False,
            "feature_names": windows.feature_names,
        },
        remaining_error=dict(zip(compared, estimate.sigma.tolist(), strict=True)),
        engine=settings.engine,
    )
    result = ConstantFit(
        model,
        estimate,
        windows,
        settings,
        time.perf_counter() - begin,
        errors,
        by=by,
        files=tuple(files),
        starts=starts if settings.starts > 1 else None,
        prior=prior,
    )
    return with_profiles(result, profiles, progress) if profiles else result


def with_profiles(
    fit: ConstantFit, names: Sequence[str], progress: Callable[[Any], None] | None = None
) -> ConstantFit:
    """The fit with the profile likelihood of some parameters.

    Args:
        fit: whose windows are fitted anew at each point.
        names: scalar parameters that were fitted.
        progress: called with a `ProfileProgress` after each point.

    Raises:
        UsageError: a name is no fitted scalar parameter.
    """
    settings, spec = fit.settings, fit.spec
    for name in names:
        require_scalar(spec, name)

    def report(name: str, value: float, excess: float) -> None:
        if progress is not None:
            progress(ProfileProgress(name, value, excess))

    profiles = []
    for name in names:
        item = make_profile(
            name,
            fit.estimate,
            fit.errors,
            fit.windows,
            np.arange(len(fit.windows)),
            prior=fit.prior,
            huber=settings.huber,
            report=partial(report, name),
        )
        profiles.append(item)
    return _changed(fit, profiles=(*fit.profiles, *profiles))


def with_posterior(
    fit: ConstantFit, draws: int = DRAWS, progress: Callable[[Any], None] | None = None
) -> ConstantFit:
    """The fit with draws of its posterior; arguments and errors as of `draw_posterior`."""
    return _changed(fit, posterior=draw_posterior(fit, draws, progress))


def _changed(fit: ConstantFit, **changes: Any) -> ConstantFit:
    """The fit with more that is known of it."""
    changed = dataclasses.replace(fit, **changes)
    if "agreement" in vars(fit):  # computed already
        vars(changed)["agreement"] = fit.agreement
    return changed


def describe_windows(windows: WindowSet) -> str:
    """How many windows of which size."""
    return (
        f"{len(windows)} windows of {len(windows.store.recordings)} recordings, {windows.horizon} steps of "
        f"{windows.store.dt:g} s"
    )


def exact_channels(spec: ModelSpec, remaining_error: Any) -> list[str]:
    """Compared states that a control predicts to rounding, so that they weigh as much as real errors.

    Args:
        spec: the model.
        remaining_error: typical error of each compared state by name, in its unit.
    """
    exact = [
        name
        for name, error in remaining_error.items()
        if error < ROUNDING * spec.states[spec.state_indices[name]].scale
    ]
    if len(exact) == len(remaining_error):
        return []  # data without noise
    return [name for name in exact if name in spec.rates]


def _rollout_options(spec: ModelSpec, store: WindowStore, settings: FitSettings) -> dict[str, Any]:
    told = told_by_controls(spec, store.origins)
    others = tuple(name for name in spec.state_names if name not in (*told, *spec.unlogged))
    if unlogged := [name for name in settings.compare if name in spec.unlogged]:
        raise UsageError(f"`compare={unlogged[0]}`: the drives do not hold it; leave it out")
    # With a pose, a derived control shows where the car goes; without one, only what it was derived from.
    again = (DIFFERENCE, SMOOTHED)
    derived = [name for name, rate in spec.rates.items() if store.origins.get(rate) in again]
    if not {*others} - {*derived}:
        raise DataError(
            f"{spec.name}: nothing to compare: the drives hold no {', '.join(spec.unlogged)}, and controls "
            f"that were derived from {', '.join(derived)} say it again. Map a sensor or a command to "
            f"{' or '.join(spec.rates[name] for name in derived)}, or choose another model"
        )
    return {
        "integrator": settings.integrator,
        "substeps": choose_substeps(store.dt, settings.substeps),
        "compare": settings.compare or others,
        "free_start": settings.free_start,
        "engine": settings.engine,
        "dtype": store.states.dtype,
    }
