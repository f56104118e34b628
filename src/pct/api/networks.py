"""Networks that predict parameters: `train`, and the value that it returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.api.cars import Car, as_car, require_learned
from pct.api.drives import Drive, Drives, as_drives
from pct.api.fits import Fit
from pct.api.notebook import Shown
from pct.api.predictions import Prediction, predict
from pct.errors import DataError, UsageError
from pct.optimization.settings import TrainSettings, make_settings
from pct.rollout.compiled import in_single_precision
from pct.within import check_callable

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from pct.dynamics.core import ModelSpec
    from pct.optimization.network.loop import EpochReport, StepReport, TrainResult
    from pct.optimization.network.model import TrainedModel
    from pct.optimization.network.training import Learner
    from pct.optimization.network.validation import Seen
    from pct.windows.window_set import WindowSet


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Network(Shown):
    """A trained network: reads a moment's context and predicts physical parameters.

    Attributes:
        model: the network with the model that it predicts for.
        summary: mean, spread, unit and bounds of each predicted parameter over the training windows.
        learner, result: how it was trained, and the reports of that; None where it was opened.
        drives: what it was trained on; None where it was opened.
        run: its run folder; None where it was not saved.
    """

    model: TrainedModel
    summary: Mapping[str, Mapping[str, Any]]
    learner: Learner | None = None
    result: TrainResult | None = None
    drives: Drives | None = None
    run: Path | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Compiled training steps are not pickled: the network arrives as if it had been opened.
        return {**self.__dict__, "learner": None}

    @property
    def training_windows(self) -> WindowSet | None:
        """The windows that it was trained on; None where it was opened."""
        return None if self.learner is None else self.learner.windows.training

    @property
    @in_single_precision
    def facts(self) -> list[str]:
        """What was held out, and whether it is better than the fit that it is on top of, in sentences."""
        if self.learner is not None and self.result is not None:
            return self.learner.verdicts(self.result.state)
        if self.model.settings.get("beats_fit") is False:
            return ["No epoch was better than the fit on held-out rows: the network is the fit."]
        return []

    @property
    def input_facts(self) -> list[str]:
        """How the inputs of the training data act, and its rows at limits, in sentences; empty where it was
        opened.
        """
        return [] if self.learner is None else self.learner.input_facts

    def table(self) -> pl.DataFrame:
        """One row a scalar parameter: mean and spread of the predictions, default, bounds and unit."""
        import polars as pl

        shapes = self.model.spec.full_shapes
        return pl.DataFrame(
            {
                "parameter": name,
                "mean": float(row["mean"]),
                "spread": float(row["std"]),
                "default": float(row["default"]),
                "low": float(row["bounds"][0]),
                "high": float(row["bounds"][1]),
                "unit": row["unit"],
            }
            for name, row in self.summary.items()
            if not shapes[name]
        )

    @in_single_precision
    def parameters(self, drives: Any) -> pl.DataFrame:
        """Predicted parameters along drives: one row a window, with its drive and time ``t`` in s, and behind
        ``truth.`` what a simulated drive knows of them.
        """
        import numpy as np
        import polars as pl

        dataset = self._windows(drives).gather()
        origin = dataset.origin
        assert origin is not None
        columns = {
            name: values
            for name, values in self.model.predict_parameters(dataset).items()
            if np.ndim(values) == 1
        }
        named = [origin.recordings[int(i)] for i in origin.recording]
        truth = {f"truth.{name}": values for name, values in origin.truth.items()}
        return pl.DataFrame({"drive": named, "t": origin.times, **columns, **truth})

    def predict(self, drive: Any, *, start: float, horizon: int | None = None) -> Prediction:
        """Roll the model out over a part of a drive with the parameters that the network predicts there.

        Args:
            drive: holds the model's channels; a drive, or what `pct.load` reads one from.
            start: time of the first row in s, from the beginning of the drive.
            horizon: steps that are predicted; those of training when left out.

        Raises:
            UsageError: there is too little drive before or after the start.
        """
        return predict(self.model, drive, start=start, horizon=horizon)

    @in_single_precision
    def plot(self, kind: str = "losses", drives: Any = None) -> Figure:
        """A figure of the network.

        Args:
            kind: ``losses``, or, along drives, ``parameters`` or ``error_growth``.
            drives: for the latter; those of training when left out.

        Raises:
            UsageError: there is no such figure.
        """
        from pct.evaluation.scenarios import split_figures
        from pct.plots import draw_losses, in_style
        from pct.runs.trainings import loss_figure

        if kind == "losses" and self.result is not None:
            return in_style(draw_losses, **loss_figure(self.result))
        driven = self.drives if drives is None else drives
        if kind not in ("parameters", "error_growth") or driven is None:
            raise UsageError(
                f"`kind={kind}`: expected losses (of a training in memory), parameters or error_growth, "
                "of an opened network with `drives`"
            )
        figures = split_figures("driven", self._windows(driven).gather(), self.model, scenarios=0)
        return in_style(figures[kind])

    @in_single_precision
    def save(self, folder: str | Path) -> Path:
        """Write a run folder, which `pct.open` and every command reads.

        Raises:
            UsageError: the network was opened, and lies in its run folder already.
            DataError: the folder holds a run already or cannot be written.
        """
        import jax

        from pct.evaluation.scenarios import save_loss_figure
        from pct.runs.directory import (
            PREDICTED,
            after_saving,
            begin_run,
            mark_done,
            write_json,
        )
        from pct.runs.trainings import write_training

        if self.learner is None or self.result is None:
            if self.run is None:
                raise UsageError("save: a network that was pickled cannot be saved: save it before")
            raise UsageError(f"save: an opened network lies in its run folder already: {self.run}")
        drives = self.drives or Drives(())
        with begin_run(
            Path(folder), settings=self.learner.settings, paths=drives.paths, data=drives.hashes
        ) as run:
            write_training(run, self.learner, self.result, jax.device_get(self.result.state))
            write_json(run / PREDICTED, self.summary)
            with after_saving("the loss curves"):
                save_loss_figure(run, self.result)
            facts = {"best_epoch": self.result.best_epoch, "best_loss": self.result.best_loss}
            mark_done(run, {**facts, **self.learner.facts(self.result.state)})
        return run

    def export(self, target: str, path: str | Path, *, refit: bool = False) -> Path:
        """Write the model with the mean of the predicted parameters for another program.

        By ``onnx`` and ``stablehlo`` the whole network is written. Arguments, value and errors as of
        `Fit.export`.
        """
        from pct.api.exporting import write_export
        from pct.export.source import from_network

        means = {name: row["mean"] for name, row in self.summary.items()}
        spreads = {name: row["std"] for name, row in self.summary.items()}
        source = from_network(self.model, means, "a trained network: mean of its predictions", spreads)
        return write_export(target, source, Path(path), refit=refit)

    def _windows(self, drives: Any) -> Any:
        from pct.evaluation.windows import all_windows
        from pct.windows.store import make_window_store

        model = self.model
        store = make_window_store(as_drives(drives).recordings, model.spec, dt=model.dt, label="driven")
        return model.prepare(all_windows(model, store, "driven"))

    def shown(self) -> tuple[str, pl.DataFrame, Sequence[str]]:
        """Title, table and notes."""
        return (
            f"Predicted parameters of {self.model.spec.name}",
            self.table(),
            [*self.facts, *self.input_facts],
        )


@in_single_precision
def train(
    start: Car | Fit,
    drives: Drives | Drive | Sequence[Drive] | str | Path,
    *,
    validation: Drives | Drive | Sequence[Drive] | str | Path | None = None,
    dt: float | None = None,
    progress: Callable[[Any], None] | None = None,
    **settings: Any,
) -> Network:
    """Train a network that predicts the learned parameters from the context; prints and writes nothing.

    Args:
        start: a car, which begins at its defaults, or a fit, which begins at its values and holds its
            measurement.
        drives: from `pct.load`, or what that reads.
        validation: drives that choose the best epoch; ``val_split`` holds out a part of the training data
            instead. On top of a fit, rows that it has not used are taken, as far as there are any; the result
            is never below the fit, see `Network.facts`.
        dt: time step of the rollout in s; that of the fit or of the drives when left out.
        progress: called with the report of each epoch, e.g. ``print``.
        settings: of `pct.optimization.settings.TrainSettings`: ``epochs``, ``horizon``, ``lr``, ``seed``, ...

    Raises:
        UsageError: an unknown setting, or a value that cannot be used.
        DataError: the drives lack a channel or are too short.
        DivergedError: a loss or gradient stopped being finite.

    Examples:
        >>> import pct
        >>> car = pct.model("unicycle").hold("alpha_accel", "beta_accel")
        >>> drives = pct.simulate(pct.model("singletrack"), duration=4.0, mu=(0.9,))
        >>> net = pct.train(car, drives, epochs=1, horizon=4, history=4, history_fit=False, engine="jax")
        >>> net.table()["parameter"].to_list()
        ['alpha_psi_dot', 'beta_psi_dot']
    """
    from pct.optimization.network.training import make_learner, training_windows
    from pct.windows.inputs import with_inputs, with_unlogged
    from pct.windows.store import make_window_store

    check_callable("progress", progress)
    checked = make_settings(TrainSettings, settings)
    car = start.car if isinstance(start, Fit) else as_car(start, "start")
    spec, checked, fitted_dt = trainable(car, checked)
    drives = as_drives(drives)
    inputs = checked.inputs if fitted_dt is None else None
    store = make_window_store(drives.recordings, spec, dt=fitted_dt or dt, inputs=inputs)
    # A fit has decided how its inputs act, but its drives may hold more than these.
    known = with_unlogged(spec, store.origins, only=False)
    spec = known if inputs is None else with_inputs(spec, store.origins, inputs)
    val_store = None
    if validation is not None:
        held_out = as_drives(validation)
        val_store = make_window_store(held_out.recordings, spec, dt=store.dt, label="validation")
        spec = with_unlogged(spec, val_store.origins, only=False)
        # Validation chose the best epoch: an evaluation on its files has to say so.
        drives = dataclasses.replace(drives, hashes={**drives.hashes, **held_out.hashes})
    seen = rows_seen_by(start) if isinstance(start, Fit) else None
    learner = make_learner(spec, training_windows(spec, store, val_store, checked, seen=seen), checked)
    result = learner.train(learner.start(), reporter=_Reporter(progress))
    if result.failure is not None:
        raise result.failure
    trained = learner.trained(result.state.best_params, beats_fit=learner.beats_fit(result.state))
    return Network(trained, learner.summarize(trained), learner, result, drives)


def rows_seen_by(fit: Fit) -> Seen:
    """Which rows a fit may have used; all where nobody knows."""
    import numpy as np

    from pct.evaluation.datasets import training_data_of
    from pct.optimization.network.validation import Seen
    from pct.runs.overlap import rows_seen

    model = fit.model
    hashes = fit.drives.hashes if fit.drives else {}
    try:
        fingerprint = training_data_of(model, fit.training_windows, hashes, fit.run).row_hashes(model)
    except DataError:
        return Seen(lambda store: np.ones(store.recording.size, bool), None)
    return Seen(lambda store: rows_seen(store, model.spec.pose_indices, fingerprint), fingerprint)


def trainable(start: Car, settings: TrainSettings) -> tuple[ModelSpec, TrainSettings, float | None]:
    """The model to train, the settings with what a fit decides, and the time step of the fit in s.

    Raises:
        UsageError: a car with a measurement, which a fit has to estimate first.
    """
    from pct.optimization.network.training import settings_on_top, with_huber

    require_learned(start.spec)
    if (fitted := start.fitted) is not None:
        return with_huber(start.spec, settings.huber), settings_on_top(fitted, settings), fitted.dt
    if start.measurement is not None:
        raise UsageError(
            "`start`: expected a car without measurement, or a fit: fit the measurement first with pct.fit, "
            "then train on top of it"
        )
    return with_huber(start.spec, settings.huber), settings, None


class _Reporter:
    """Passes the reports of epochs on."""

    def __init__(self, progress: Callable[[Any], None] | None) -> None:
        self._progress = progress

    def on_step(self, report: StepReport) -> None:
        """Steps are too many to report."""

    def on_epoch(self, report: EpochReport) -> None:
        if self._progress is not None:
            self._progress(report)
