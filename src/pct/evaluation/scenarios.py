"""Figures of a trained network on one data split, and its open-loop errors beside those of the defaults."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.dynamics.core import Channel, ModelSpec
from pct.dynamics.losses import channel_residual
from pct.evaluation.baselines.constant_parameters import diverged_as_infinite
from pct.evaluation.explosions import Explosion, explosion_lines, find_exploded, name_explosions
from pct.evaluation.scores import DISTANCE, errors_of, headline
from pct.optimization.network.loop import TrainResult
from pct.optimization.network.model import TrainedModel
from pct.runs.trainings import loss_figure
from pct.types import Float
from pct.windows.batch import FeatureDataset
from pct.windows.bootstrap import SAME, Interval, difference

if TYPE_CHECKING:
    from pct import plots


def open_loop_errors(
    predicted: np.ndarray, dataset: FeatureDataset, spec: ModelSpec
) -> Float[np.ndarray, "T S"]:
    """Root mean square error over all windows by step and state, in each state's unit, (T, S)."""
    residual = channel_residual(predicted, np.asarray(dataset.targets), spec.angle_mask)
    return np.sqrt(np.mean(np.square(np.asarray(residual, np.float64)), axis=0))


def position_errors(
    predicted: np.ndarray, dataset: FeatureDataset, spec: ModelSpec
) -> Float[np.ndarray, " T"]:
    """Root mean square distance between predicted and true position by step, in m, (T,)."""
    x, y, _ = spec.pose_indices
    errors = open_loop_errors(predicted, dataset, spec)
    return np.hypot(errors[:, x], errors[:, y])


def final_error(predicted: np.ndarray, dataset: FeatureDataset, spec: ModelSpec, shown: Channel) -> float:
    """Root mean square error of the channel that stands for all, at the end of the horizon, in its unit."""
    if shown is DISTANCE:
        return float(position_errors(predicted, dataset, spec)[-1])
    return float(open_loop_errors(predicted, dataset, spec)[-1, spec.state_indices[shown.name]])


@dataclasses.dataclass(frozen=True, eq=False)
class AgainstDefaults:
    """Errors at the end of the horizon of a trained network, and of the parameters that it began with.

    Attributes:
        shown: the channel that stands for all: the position where it is logged.
        rival: what these are: the default parameters, or the fit below.
        split: ``training`` or ``validation``.
        windows: how many were rolled out.
        horizon: in s.
        names: the states, in order.
        errors: root mean square error of each state in its unit, (S,), by ``trained`` and ``default``.
        size: root mean square error of ``shown`` in its unit, likewise.
        exploded: windows that explode, likewise.
        explosions: the first of the network's.
    """

    shown: Channel
    rival: str
    split: str
    windows: int
    horizon: float
    names: tuple[str, ...]
    errors: Mapping[str, Float[np.ndarray, " S"]]
    size: Mapping[str, float]
    exploded: Mapping[str, int]
    explosions: list[Explosion]

    @property
    def warnings(self) -> list[str]:
        """The windows that explode, in a sentence; nothing where none does."""
        return explosion_lines(self.exploded["trained"], self.windows, self.explosions, "the network")

    @property
    def verdict(self) -> str:
        """Whether the network beats what it began with, in a sentence."""
        trained, default = self.size["trained"], self.size["default"]
        share = trained / default if default > 0 else 1.0
        words = difference(Interval(share, math.nan, math.nan))
        verb = "is as good as" if words == SAME else "beats" if share < 1 else "does NOT beat"
        return (
            f"The network {verb} the {self.rival}: {self.shown.name} error after "
            f"{self.horizon:g} s is {trained:.3g} {self.shown.unit} against {default:.3g} {self.shown.unit} "
            f"({words}) on {self.windows} "
            f"{self.split} windows."
        )

    @property
    def facts(self) -> dict[str, Any]:
        """The figures by name, for a JSON file."""
        return {
            "split": self.split,
            "horizon_s": self.horizon,
            f"final_{self.shown.name}_rmse{'_m' if self.shown is DISTANCE else ''}": {
                key: float(value) for key, value in self.size.items()
            },
            "final_rmse": {
                key: dict(zip(self.names, values.tolist(), strict=True))
                for key, values in self.errors.items()
            },
            "exploded_windows": dict(self.exploded),
        }


def against_defaults(
    trained: TrainedModel, dataset: FeatureDataset, split: str, *, chunk_size: int = 1024
) -> AgainstDefaults:
    """Roll a network and the default parameters out over the same windows."""
    spec = trained.spec
    states = {
        "trained": trained.predict_states(dataset, chunk_size=chunk_size),
        "default": trained.predict_default(dataset, chunk_size=chunk_size),
    }
    count, steps, _ = states["trained"].shape
    targets = np.asarray(dataset.targets)
    errors = {key: errors_of(diverged_as_infinite(values), targets, spec) for key, values in states.items()}
    beyond = {key: find_exploded(values, targets, spec) for key, values in errors.items()}
    assert dataset.origin is not None
    shown = headline(spec)
    return AgainstDefaults(
        shown,
        began_with(trained),
        split,
        count,
        steps * trained.dt,
        spec.state_names,
        {key: open_loop_errors(values, dataset, spec)[-1] for key, values in states.items()},
        {key: float(final_error(values, dataset, spec, shown)) for key, values in states.items()},
        {key: int(values.any(axis=(1, 2)).sum()) for key, values in beyond.items()},
        name_explosions(beyond["trained"], errors["trained"].names, dataset.origin),
    )


def began_with(trained: TrainedModel) -> str:
    """What the defaults of a network's model are."""
    return "default parameters" if trained.settings.get("beats_fit") is None else "fit below"


def learned_cells(
    spec: ModelSpec, summary: Mapping[str, Mapping[str, Any]]
) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table of what was learned; an array parameter shows its shape."""
    rows = []
    for name, values in summary.items():
        if spec.full_shapes[name]:
            shape = " x ".join(map(str, spec.full_shapes[name]))
            rows.append([name, f"({shape} entries)", "", "", "", values["unit"]])
            continue
        low, high = values["bounds"]
        rows.append(
            [
                name,
                f"{values['mean']:.4g}",
                f"{values['std']:.2g}",
                f"{values['default']:.4g}",
                f"{low:g} .. {high:g}",
                values["unit"],
            ]
        )
    return ["parameter", "mean", "spread", "default", "bounds", "unit"], rows


def split_figures(
    label: str, dataset: FeatureDataset, trained: TrainedModel, *, scenarios: int = 3, chunk_size: int = 1024
) -> dict[str, plots.Drawing]:
    """What draws each figure of a data split, by name.

    Args:
        label: of the split, e.g. ``validation``.
        dataset: windows with their origin.
        trained: the network and model.
        scenarios: windows that are drawn, at evenly spaced ranks of their error.
        chunk_size: windows that are rolled out at once.
    """
    from pct import plots  # imports Matplotlib, which training does not wait for

    spec, origin = trained.spec, dataset.origin
    assert origin is not None
    predicted = trained.predict_states(dataset, chunk_size=chunk_size)
    default = trained.predict_default(dataset, chunk_size=chunk_size)
    figures: dict[str, plots.Drawing] = {
        "error_growth": partial(
            plots.draw_error_growth,
            spec=spec,
            dt=trained.dt,
            errors={
                "trained": open_loop_errors(predicted, dataset, spec),
                began_with(trained): open_loop_errors(default, dataset, spec),
            },
            title=f"Open-loop error on the {label} windows",
        ),
        "parameters": partial(
            plots.draw_parameters,
            spec=spec,
            times=origin.times,
            recording=origin.recording,
            values=trained.predict_parameters(dataset, chunk_size=chunk_size),
            truth=origin.truth or None,
            title=f"Predicted parameters along the {label} drives",
        ),
    }
    for rank, row in _typical_windows(predicted, dataset, spec, scenarios):
        start = np.asarray(dataset.initial_states[row])[None]
        name = origin.recordings[int(origin.recording[row])]
        figures[f"scenario_{rank}"] = partial(
            plots.draw_scenario,
            spec=spec,
            times=trained.dt * np.arange(predicted.shape[1] + 1),
            true_states=np.concatenate([start, np.asarray(dataset.targets[row])]),
            predicted_states=np.concatenate([start, predicted[row]]),
            controls=np.asarray(dataset.controls[row]),
            title=f"{label}: '{name}' from {origin.times[row]:.2f} s, {rank.replace('_', ' ')} error",
            baseline_states=np.concatenate([start, default[row]]),
            baseline_label=began_with(trained),
        )
    return figures


def generate_analysis_artifacts(
    label: str, dataset: FeatureDataset, trained: TrainedModel, folder: Path, **options: int
) -> list[Path]:
    """Write the figures of one data split as ``<label>_<name>.png``; arguments as in `split_figures`.

    Returns:
        The files written; their folder is made where it is missing.
    """
    from pct import plots

    folder.mkdir(parents=True, exist_ok=True)
    figures = split_figures(label, dataset, trained, **options)
    files = [folder / f"{label}_{name}.png" for name in figures]
    for path, draw in zip(files, figures.values(), strict=True):
        plots.to_png(path, draw)
    return files


def save_loss_figure(run: Path, result: TrainResult) -> None:
    """Write ``pct_network_loss.png`` into a run folder, once a step was made."""
    from pct import plots

    if result.steps:
        plots.to_png(run / "pct_network_loss.png", plots.draw_losses, **loss_figure(result))


def _typical_windows(
    predicted: np.ndarray, dataset: FeatureDataset, spec: ModelSpec, count: int
) -> list[tuple[str, int]]:
    """Windows at evenly spaced ranks of the loss, so that the plots show good and bad alike."""
    x, y, _ = spec.pose_indices
    shown = headline(spec)
    columns = [x, y] if shown is DISTANCE else [spec.state_indices[shown.name]]
    gap = predicted[:, -1, columns] - np.asarray(dataset.targets)[:, -1, columns]
    order = np.argsort(np.linalg.norm(gap, axis=1))
    shares = np.linspace(0.1, 0.9, count) if count > 1 else np.array([0.5] * count)
    return [
        (f"{round(100 * share):02d}th_percentile", int(order[round(share * (len(order) - 1))]))
        for share in shares
    ]
