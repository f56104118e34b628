"""A rollout from a moment of a drive, beside what was logged."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.api.drives import as_drive
from pct.api.notebook import Shown
from pct.errors import DataError, UsageError
from pct.optimization.settings import HORIZON
from pct.rollout.compiled import in_single_precision
from pct.types import Float
from pct.within import Within, check_number

START = Within(0, 1e9, "s")

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from pct.dynamics.core import ModelSpec


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Prediction(Shown):
    """States over a horizon, predicted from their start and the logged controls.

    Attributes:
        spec: the model, whose tables name the channels and their units.
        start: time of the first row in s.
        dt: time step in s.
        predicted, logged: states at the start and after each step, (T + 1, S), from the pose at the start.
        controls: over each step, (T, C).
        title: of the figure.
    """

    spec: ModelSpec
    start: float
    dt: float
    predicted: Float[np.ndarray, "T1 S"]
    logged: Float[np.ndarray, "T1 S"]
    controls: Float[np.ndarray, "T C"]
    title: str

    @property
    def t(self) -> np.ndarray:
        """Time of each row in s, (T + 1,)."""
        return self.start + self.dt * np.arange(len(self.predicted))

    def table(self) -> pl.DataFrame:
        """One row a time: ``t``, each predicted state, and behind ``logged.`` each that the drive holds."""
        import polars as pl

        columns = {name: self.predicted[:, i] for i, name in enumerate(self.spec.state_names)}
        logged = {
            f"logged.{name}": self.logged[:, i]
            for i, name in enumerate(self.spec.state_names)
            if name not in self.spec.unlogged
        }
        return pl.DataFrame({"t": self.t, **columns, **logged})

    def plot(self) -> Figure:
        """Path, states and controls over time, predicted beside logged."""
        from pct.plots import draw_scenario, in_style

        return in_style(
            draw_scenario,
            spec=self.spec,
            times=self.dt * np.arange(len(self.predicted)),
            true_states=self.logged,
            predicted_states=self.predicted,
            controls=self.controls,
            title=self.title,
            predicted_label="predicted",
        )

    def shown(self) -> tuple[str, pl.DataFrame, Sequence[str]]:
        """Title, table and notes."""
        return self.title, self.table(), ()


@in_single_precision
def predict(model: Any, drive: Any, *, start: float, horizon: int | None) -> Prediction:
    """Roll a fitted or trained model out over a part of a drive.

    Args:
        model: a `pct.optimization.model.Model`.
        drive: holds the model's channels; a drive, or what `load` reads one from.
        start: time of the first row in s, from the beginning of the drive.
        horizon: steps that are predicted; those of the fit or training when left out.

    Raises:
        UsageError: there is too little drive before or after the start.
        DataError: the drive lacks a channel.
    """
    from pct.evaluation.windows import as_logged, windows_at
    from pct.windows.inputs import with_unlogged
    from pct.windows.store import make_window_store

    drive = as_drive(drive)
    check_number("start", start, START)
    if horizon is not None:
        check_number("horizon", horizon, HORIZON)
    store = make_window_store([(drive.name, drive.trajectory)], model.spec, dt=model.dt, label="drive")
    model = as_logged(model, store)
    steps, history = horizon or model.settings["horizon"], model.settings["history"]
    row, last = round(start / model.dt), len(store.times) - 1 - steps
    if not history <= row <= last:
        raise UsageError(
            f"`start={start:g}`: expected {history * model.dt:g} to {last * model.dt:g} s, which leaves "
            f"{history} rows of history before and {steps} steps ahead of it in {drive.duration:g} s"
        )
    windows = windows_at(model, store, np.array([row]), "drive", steps)
    dataset = model.prepare(windows).gather()
    predicted = np.asarray(model.predict_states(dataset))[0]
    if not np.isfinite(predicted).all():
        raise DataError(f"{drive.name}: the rollout from {start:g} s diverged: shorten the `horizon`")
    begin = np.array(windows.gather().initial_states)
    assumed = [i for i, name in enumerate(model.spec.state_names) if name in model.spec.unlogged]
    unknown = [i for i in assumed if i not in model.spec.pose_indices]
    # What nothing shows is as the model has it a step later.
    begin[:, unknown] = predicted[:1, unknown]
    return Prediction(
        with_unlogged(model.spec, store.origins),
        float(store.times[row]),
        model.dt,
        np.concatenate([begin, predicted]),
        np.concatenate([begin, np.asarray(dataset.targets)[0]]),
        np.asarray(dataset.controls)[0],
        f"{drive.name} from {store.times[row]:.2f} s",
    )
