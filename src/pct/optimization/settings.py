"""Settings of a fit and of a training: one dataclass each, with a unit in the help of each field.

A notebook passes them as keyword arguments, the command line as flags; both are checked here.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from pct.errors import UsageError

Settings = TypeVar("Settings")


@dataclasses.dataclass(frozen=True)
class FitSettings:
    """How constant parameters are fitted to recordings."""

    horizon: int = 20
    """Steps that are predicted and compared [time steps]."""
    history: int = 20
    """Steps before a window that the observer reads [time steps]."""
    stride: int | None = None
    """Steps from one window's start to the next [time steps]; a fifth of the horizon when left out."""
    samples: int | None = None
    """Most windows to use, spread evenly over the recordings [windows]; all when left out."""
    free_start: bool = False
    """Without the observer: the compared states at each window's start are unknown and fitted along. The best
    choice where readings are noisy and the car is as modelled."""
    compare: tuple[str, ...] = ()
    """States whose errors count; all when left out."""
    prior: float = 1.0
    """Prior standard deviation of each parameter about its default (logit space) [1]; 1 is 27 to 73 % of the
    range, 0.5 is half as far."""
    huber: float = 3.0
    """Error, in units of its channel's typical error, above which it counts linearly, not squared [1]."""
    iterations: int = 50
    """Most iterations of Levenberg-Marquardt [1]."""
    inputs: Literal["auto", "held", "ramped"] = "auto"
    """How controls and the steering angle act between logged rows: held over each step, or ramped along
    straight lines. auto goes by their origin: commands are held, measured ones ramped."""
    integrator: Literal["rk4", "heun", "euler"] = "rk4"
    """Integration method of the rollout."""
    substeps: int | None = None
    """Integration steps per time step [1]; when left out, enough for steps of 0.025 s or less."""

    def validate(self) -> None:
        """Raise UsageError for a value that cannot be used."""
        require_positive(
            self, "horizon", "history", "iterations", "prior", "huber", "stride", "samples", "substeps"
        )


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """How a network is trained."""

    feature_mode: Literal["full", "context", "features"] = "full"
    """What the network reads: feature.* columns with the state context, or either alone (ablation)."""
    encoder: Literal["mlp", "gru"] = "mlp"
    """How the network reads the history: as means over its quarters, or also step by step with a gated
    recurrent unit."""
    history_fit: bool = True
    """Let the network also read a fit of the model's parameters to the history before each window."""
    samples: int | None = None
    """Most training windows to use, spread evenly over the recordings [windows]; all when left out."""
    val_samples: int | None = None
    """Most validation windows to use [windows]; all when left out."""
    val_split: float = 0.0
    """Share of the training data to hold out as validation data [1]: whole recordings where there are
    enough of them, else the end of each, behind a gap of history and horizon."""
    horizon: int = 20
    """Steps that are predicted and compared [time steps]."""
    history: int = 20
    """Steps before a window that the network reads [time steps]."""
    stride: int = 1
    """Steps from one window's start to the next [time steps]."""
    epochs: int = 40
    """Passes over the training windows [passes]."""
    batch_size: int = 256
    """Windows in one optimiser step [windows]."""
    lr: float = 2e-3
    """Initial learning rate of AdamW [1]."""
    lr_patience: int = 4
    """Epochs without a better validation loss before the rate drops [epochs]."""
    lr_factor: float = 0.5
    """Factor by which the rate is multiplied when it drops [1]."""
    min_lr: float = 1e-5
    """Lowest learning rate [1]."""
    weight_decay: float = 1.0
    """Decay of AdamW on the network's weights, not its biases, so not on the defaults [1]."""
    max_grad_norm: float = 1.0
    """The gradient of a batch is clipped to this norm [1]."""
    max_window_grad: float = 10.0
    """The gradient of one window is clipped to this many times the mean of its batch [1]; inf for never."""
    huber: float | None = None
    """Residual over a channel's scale above which an error counts linearly, not squared [1]; squared
    throughout when left out. Use 3 or so where logs hold spins and impacts."""
    curriculum_batches: int = 0
    """Optimiser steps that train on a shorter horizon first [steps]; 0 for none."""
    curriculum_timesteps: int = 5
    """Horizon of the curriculum [time steps]."""
    model_hidden: tuple[int, ...] = (64, 64)
    """Width of each hidden layer of the network [units]."""
    ensemble: int = 1
    """Networks that are trained side by side from different starts [networks]. Their mean is the prediction;
    their spread tells how far to trust it."""
    inputs: Literal["auto", "held", "ramped"] = "auto"
    """How controls and the steering angle act between logged rows: held over each step, or ramped along
    straight lines. auto goes by their origin: commands are held, measured ones ramped."""
    integrator: Literal["rk4", "heun", "euler"] = "rk4"
    """Integration method of the rollout."""
    substeps: int | None = None
    """Integration steps per time step [1]; when left out, enough for steps of 0.025 s or less."""
    engine: Literal["auto", "jax", "native"] = "auto"
    """What rolls windows out on a CPU: code that is generated from the model's equations and compiled once
    (native), or JAX alone. auto takes native code where there is a C++ compiler and the model allows it."""
    summary_chunk_size: int = 1024
    """Windows that are summarised or evaluated at once [windows]."""
    seed: int = 0
    """Seed of initialisation and shuffling."""

    def validate(self) -> None:
        """Raise UsageError for a value that cannot be used."""
        require_positive(
            self, "horizon", "history", "stride", "epochs", "batch_size", "summary_chunk_size",
            "curriculum_timesteps", "lr_patience", "lr", "max_grad_norm", "huber", "samples", "val_samples",
            "substeps", "ensemble",
        )  # fmt: skip
        require_not_negative(self, "curriculum_batches", "min_lr", "weight_decay")
        if not 0 <= self.val_split < 1:
            raise UsageError(f"`val_split` must be 0 or more and less than 1, got {self.val_split}")
        if not self.max_window_grad > 0:
            raise UsageError(f"`max_window_grad` must be a positive number, got {self.max_window_grad}")
        if not 0 < self.lr_factor < 1:
            raise UsageError(f"`lr_factor` must lie between 0 and 1, got {self.lr_factor}")
        if any(size <= 0 for size in self.model_hidden):
            raise UsageError(f"`model_hidden` sizes must be positive, got {self.model_hidden}")


def make_settings(kind: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Settings from keyword arguments, checked.

    Raises:
        UsageError: an unknown name, with the nearest known one, or a value that cannot be used.

    Examples:
        >>> make_settings(FitSettings, {"horizon": 30}).horizon
        30
        >>> make_settings(FitSettings, {"horizn": 30})
        Traceback (most recent call last):
        pct.errors.UsageError: unknown setting 'horizn': did you mean 'horizon'?
    """
    known = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(known)}"
            raise UsageError(f"unknown setting '{name}': {hint}")
    lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    settings: Any = kind(**{**values, **lists})
    settings.validate()
    return settings


def require_positive(settings: Any, *names: str) -> None:
    """Raise UsageError where one of these settings is given and not a positive, finite number."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not 0 < value < math.inf:
            raise UsageError(f"`{name}`: expected a positive number, got {value}")


def require_not_negative(settings: Any, *names: str) -> None:
    """Raise UsageError where one of these settings is negative."""
    for name in names:
        value = getattr(settings, name)
        if value is not None and not value >= 0:
            raise UsageError(f"`{name}`: expected zero or more, got {value}")
