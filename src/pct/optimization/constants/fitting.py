"""The recipe of a fit: windows, Levenberg-Marquardt, profiles, draws. It prints and writes nothing."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from pct.dynamics.core import ModelSpec, unflatten_params
from pct.errors import DataError, UsageError
from pct.measurement.filter import noise_values
from pct.optimization.constants.clipped import share_without_clipped
from pct.optimization.constants.constant_fit import ConstantFit, describe_windows, exact_channels
from pct.optimization.constants.estimate import Estimate
from pct.optimization.constants.groups import group_windows
from pct.optimization.constants.model import FittedModel
from pct.optimization.constants.posterior.posterior import DRAWS, draw_posterior
from pct.optimization.constants.prior import Prior
from pct.optimization.constants.profile import make_profile, require_scalar
from pct.optimization.constants.rollout_errors import RolloutErrors, make_rollout_errors
from pct.optimization.constants.starts import fit_from_start, fit_from_starts, prior_of
from pct.optimization.settings import FitSettings
from pct.recordings.unlogged import SMOOTHED
from pct.rollout.integration import choose_substeps
from pct.windows.inputs import DIFFERENCE, told_by_controls
from pct.windows.store import WindowStore, window_starts
from pct.windows.window_set import WindowSet, make_window_set
from pct.within import FINITE, check_numbers


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
        return make_rollout_errors(
            spec, spec.base_params(windows.store.dt), windows.history, **{**options, **own}
        )

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
    remaining = dict(zip(compared, estimate.sigma.tolist(), strict=True))
    result = ConstantFit(
        _fitted_model(spec, estimate, windows, settings, remaining),
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
    return fit.with_more(profiles=(*fit.profiles, *profiles))


def with_posterior(
    fit: ConstantFit, draws: int = DRAWS, progress: Callable[[Any], None] | None = None
) -> ConstantFit:
    """The fit with draws of its posterior; arguments and errors as of `draw_posterior`."""
    return fit.with_more(posterior=draw_posterior(fit, draws, progress))


def _fitted_model(
    spec: ModelSpec,
    estimate: Estimate,
    windows: WindowSet,
    settings: FitSettings,
    remaining_error: Mapping[str, float],
) -> FittedModel:
    """The model with the values of an estimate, its filter tuned as it was in the fit."""
    if estimate.noise is not None:
        tuned = {**spec.default_params, **noise_values(spec, estimate.noise)}
        spec = dataclasses.replace(spec, default_params=tuned)
    return FittedModel(
        spec=spec,
        params=estimate.params(spec),
        deviations=unflatten_params(estimate.deviations(spec), spec.param_keys, spec.full_shapes),
        dt=windows.store.dt,
        integrator_name=settings.integrator,
        substeps=choose_substeps(windows.store.dt, settings.substeps),
        settings={
            "horizon": settings.horizon,
            "history": settings.history,
            "stride": stride_of(settings),
            "feature_mode": "context",
            "history_fit": False,
            "feature_names": windows.feature_names,
        },
        remaining_error=remaining_error,
        engine=settings.engine,
    )


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
