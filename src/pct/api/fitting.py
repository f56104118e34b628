"""Constant parameters fitted to drives: `fit`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.api.cars import Car, as_car, require_learned
from pct.api.drives import Drive, Drives, as_drives
from pct.api.fits import Fit
from pct.api.opening import as_fit
from pct.errors import UsageError
from pct.measurement import Measurement
from pct.optimization.settings import FitSettings, make_settings
from pct.within import FINITE, check_callable, check_numbers

if TYPE_CHECKING:
    from pct.dynamics.core import ModelSpec
    from pct.optimization.constants.groups import By


def fit(
    car: Car,
    drives: Drives | Drive | Sequence[Drive] | str | Path,
    *,
    dt: float | None = None,
    start: Mapping[str, Any] | Fit | str | Path | None = None,
    profiles: Sequence[str] = (),
    by: By | None = None,
    sample: bool | int = False,
    progress: Callable[[Any], None] | None = None,
    **settings: Any,
) -> Fit:
    """Fit one value of each learned parameter to drives; prints and writes nothing.

    Args:
        car: from `pct.model`; begun by the observer unless ``car.measured(observer=False)``.
        drives: from `pct.load`, or what that reads.
        dt: time step of the rollout in s; that of the drives when left out.
        start: values that the search begins at, by name; the defaults when left out. They are improved on
            single steps first where that predicts better. A fit, of this model or of another, or its run
            folder: its values of the parameters that both have.
        profiles: parameters whose likelihood is profiled afterwards.
        by: ``recording``, ``file`` or ``lap``: each is fitted alone, too, and compared with the others, from
            two on; by recording, from four on, when left out.
        sample: draw the posterior, too: so many draws, 1000 where it is true; needs blackjax.
        progress: called with the progress of each iteration, e.g. ``print``.
        settings: of `pct.optimization.settings.FitSettings`: ``horizon``, ``prior``, ``starts``, ...; as
            ``prior`` also a `pct.Fleet`, or its folder.

    Raises:
        UsageError: an unknown setting, state or parameter, or a value that cannot be used.
        DataError: the drives lack a channel or are too short.
        DivergedError: the rollouts at the start of the search are not finite.

    Examples:
        >>> import pct
        >>> car = pct.model("singletrack").hold("C_Sf", "C_Sr", "m", "I").measured(observer=False)
        >>> drives = pct.simulate(car, duration=6.0, mu=(0.7,), noise=0.0)
        >>> result = pct.fit(car, drives, horizon=10, iterations=8)
        >>> round(float(result.params["mu"]), 2), result.table()["verdict"][0]
        (0.7, 'identified')
    """
    from pct.optimization.constants import fitting
    from pct.windows.inputs import with_inputs
    from pct.windows.store import make_window_store

    car = observed(car)
    check_callable("progress", progress)
    if sample:
        from pct.optimization.constants.posterior.nuts import require_sampler

        require_sampler()
    if (known := settings.get("prior")) is not None and not isinstance(known, float | int | str):
        settings["prior"] = str(getattr(known, "folder", known))
    checked = make_settings(FitSettings, settings)
    spec = require_learned(car.spec)
    drives = as_drives(drives)
    store = make_window_store(drives.recordings, spec, dt=dt, inputs=checked.inputs)
    spec, prior = with_inputs(spec, store.origins, checked.inputs), None
    if isinstance(checked.prior, str):
        from pct.optimization.constants.fleet import with_fleet
        from pct.runs.fleets import load_fleet_prior

        spec, prior = with_fleet(spec, load_fleet_prior(Path(checked.prior)))
    windows = fitting.fit_windows(spec, store, checked)
    files = tuple(_file_of(drive) for drive in drives)
    result = fitting.fit(
        spec,
        windows,
        checked,
        start=None if start is None else _values_for(spec, start),
        profiles=(profiles,) if isinstance(profiles, str) else profiles,
        by=by,
        files=files,
        prior=prior,
        progress=progress,
    )
    fitted = Fit(result.model, result, drives)
    return fitted.sample(None if sample is True else sample, progress) if sample else fitted


def _values_for(spec: ModelSpec, start: Any) -> dict[str, Any]:
    """Values to begin at by name; those of a fit where the model learns the parameter, too.

    Raises:
        UsageError: there are none, or one is outside its bounds.
        DataError: a folder holds no fit.
    """
    import numpy as np

    if isinstance(start, Mapping):
        for name, value in start.items():
            row = spec.parameter(name)
            check_numbers(f"start={name}", np.ravel(value), FINITE)
            low, high = spec.param_bounds[name]
            if not (np.all(np.asarray(low) <= value) and np.all(value <= np.asarray(high))):
                raise UsageError(
                    f"`start={name}`: expected a value within [{low}, {high}] {row.unit}, got {value}"
                )
        return dict(start)
    fit = as_fit(start, "start", "values by parameter, ")
    shapes = fit.model.spec.full_shapes
    values = {name: value for name, value in fit.params.items() if spec.full_shapes.get(name) == shapes[name]}
    if not values:
        raise UsageError(
            f"`start`: a fit of '{fit.model.spec.name}' has none of the parameters that '{spec.name}' "
            f"learns: {', '.join(spec.param_keys)}"
        )
    return values


def _file_of(drive: Drive) -> str:
    """Name of the file that a drive is of: files of several recordings say their rows."""
    pieces = re.fullmatch(r"(.*), \w+ \d+-\d+", drive.trajectory.source)
    return drive.name if pieces is None else f"{drive.name.rpartition('/')[0]}/{pieces[1]}".lstrip("/")


def observed(car: Car) -> Car:
    """The car with the observer, where nothing was said of its measurement.

    Raises:
        UsageError: it is no car, or something is measured that only the observer finds.
    """
    measurement = as_car(car).measurement or Measurement(observer=True)
    measurement.validate()
    return dataclasses.replace(car, measurement=measurement)
