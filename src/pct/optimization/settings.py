"""Settings of a fit and of a training: one dataclass each, with a unit in the help of each field.

A notebook passes them as keyword arguments, the command line as flags. Each number states its range in its
annotation, see `pct.within`: wide enough for any use, and such that memory and time stay sane.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pct.errors import UsageError
from pct.within import Within, check_ranges

Settings = TypeVar("Settings")

HORIZON = Within(1, 100_000, whole=True)
"""Time steps of a horizon or a history."""
ROWS = Within(1, 1_000_000_000, whole=True)
"""Rows of a stride, or windows."""
SUBSTEPS = Within(1, 10_000, whole=True)
HIDDEN_SIZE = Within(1, 4096, whole=True)
"""Hidden units inside the model mlp-dynamics."""
AT = Within(0, 1e6, "s", open_low=True)
"""Horizon of an evaluation."""
DRAWS = Within(4, 10_000_000, whole=True)
"""Draws of a posterior."""
HUBER = Within(0, 1e6, open_low=True)


@dataclasses.dataclass(frozen=True)
class FitSettings:
    """How constant parameters are fitted to recordings."""

    horizon: Annotated[int, HORIZON] = 20
    """Steps that are predicted and compared [time steps]."""
    history: Annotated[int, HORIZON] = 20
    """Steps before a window that the observer reads [time steps]."""
    stride: Annotated[int, ROWS] | None = None
    """Steps from one window's start to the next [time steps]; a fifth of the horizon when left out."""
    samples: Annotated[int, ROWS] | None = None
    """Most windows to use, spread evenly over the recordings [windows]; all when left out."""
    free_start: bool = False
    """Without the observer: the compared states at each window's start are unknown and fitted along. The best
    choice where readings are noisy and the car is as modelled."""
    compare: tuple[str, ...] = ()
    """States whose errors count; all when left out."""
    prior: Annotated[float, Within(1e-6, 1e6)] | str = 1.0
    """Prior standard deviation of each parameter about its default (logit space) [1]; 1 is 27 to 73 % of the
    range, 0.5 is half as far. Or the folder of a fleet (pct fleet fit): then mean and spread of its cars."""
    huber: Annotated[float, HUBER] = 3.0
    """Error, in units of its channel's typical error, above which it counts linearly, not squared [1]."""
    iterations: Annotated[int, Within(1, 100_000)] = 50
    """Most iterations of Levenberg-Marquardt [1]."""
    starts: Annotated[int, Within(1, 10_000)] = 1
    """Points to begin at [points]: the defaults, and others that are drawn within the bounds. The best of
    all is the fit, which says how many led there."""
    seed: Annotated[int, Within(0, 2**32 - 1)] = 0
    """Seed of the starts."""
    inputs: Literal["auto", "held", "ramped"] = "auto"
    """How controls and the steering angle act between logged rows: held over each step, or ramped along
    straight lines. auto goes by their origin: commands are held, measured ones ramped."""
    integrator: Literal["rk4", "heun", "euler"] = "rk4"
    """Integration method of the rollout."""
    substeps: Annotated[int, SUBSTEPS] | None = None
    """Integration steps per time step [1]; when left out, enough for steps of 0.025 s or less."""
    engine: Literal["auto", "jax", "native"] = "auto"
    """What computes rollouts and their derivatives: C++ that is generated from the model's equations and
    compiled once (native), or JAX alone. auto: native where a C++ compiler is and the model allows it."""


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
    samples: Annotated[int, ROWS] | None = None
    """Most training windows to use, spread evenly over the recordings [windows]; all when left out."""
    val_samples: Annotated[int, ROWS] | None = None
    """Most validation windows to use [windows]; all when left out."""
    val_split: Annotated[float, Within(0, 1, open_high=True)] = 0.0
    """Share of the training data to hold out as validation data [1]: whole recordings where there are
    enough of them, else the end of each, behind a gap of history and horizon."""
    horizon: Annotated[int, HORIZON] = 20
    """Steps that are predicted and compared [time steps]."""
    history: Annotated[int, HORIZON] = 20
    """Steps before a window that the network reads [time steps]."""
    stride: Annotated[int, ROWS] = 1
    """Steps from one window's start to the next [time steps]."""
    epochs: Annotated[int, Within(1, 1_000_000)] = 40
    """Passes over the training windows [passes]."""
    batch_size: Annotated[int, Within(1, 1_000_000)] = 256
    """Windows in one optimiser step [windows]."""
    lr: Annotated[float, Within(0, 1e38, open_low=True)] = 2e-3
    """Initial learning rate of AdamW [1]."""
    lr_patience: Annotated[int, Within(1, 1_000_000)] = 4
    """Epochs without a better validation loss before the rate drops [epochs]."""
    lr_factor: Annotated[float, Within(0, 1, open_low=True, open_high=True)] = 0.5
    """Factor by which the rate is multiplied when it drops [1]."""
    min_lr: Annotated[float, Within(0, 10)] = 1e-5
    """Lowest learning rate [1]."""
    weight_decay: Annotated[float, Within(0, 1000)] = 1.0
    """Decay of AdamW on the network's weights, not its biases, so not on the defaults [1]."""
    max_grad_norm: Annotated[float, Within(0, 1e6, open_low=True)] = 1.0
    """The gradient of a batch is clipped to this norm [1]."""
    max_window_grad: Annotated[float, Within(0, math.inf, open_low=True)] = 10.0
    """The gradient of one window is clipped to this many times the mean of its batch [1]; inf for never."""
    huber: Annotated[float, HUBER] | None = None
    """Residual over a channel's scale above which an error counts linearly, not squared [1]; squared
    throughout when left out. Use 3 or so where logs hold spins and impacts."""
    curriculum_batches: Annotated[int, Within(0, 1_000_000_000)] = 0
    """Optimiser steps that train on a shorter horizon first [steps]; 0 for none."""
    curriculum_timesteps: Annotated[int, HORIZON] = 5
    """Horizon of the curriculum [time steps]."""
    model_hidden: tuple[Annotated[int, Within(1, 65_536)], ...] = (64, 64)
    """Width of each hidden layer of the network [units]."""
    ensemble: Annotated[int, Within(1, 256)] = 1
    """Networks that are trained side by side from different starts [networks]. Their mean is the prediction;
    their spread tells how far to trust it."""
    inputs: Literal["auto", "held", "ramped"] = "auto"
    """How controls and the steering angle act between logged rows: held over each step, or ramped along
    straight lines. auto goes by their origin: commands are held, measured ones ramped."""
    integrator: Literal["rk4", "heun", "euler"] = "rk4"
    """Integration method of the rollout."""
    substeps: Annotated[int, SUBSTEPS] | None = None
    """Integration steps per time step [1]; when left out, enough for steps of 0.025 s or less."""
    engine: Literal["auto", "jax", "native"] = "auto"
    """What rolls windows out on a CPU: code that is generated from the model's equations and compiled once
    (native), or JAX alone. auto takes native code where there is a C++ compiler and the model allows it."""
    summary_chunk_size: Annotated[int, Within(1, 1_000_000)] = 1024
    """Windows that are summarised or evaluated at once [windows]."""
    seed: Annotated[int, Within(0, 2**32 - 1)] = 0
    """Seed of initialisation and shuffling."""


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
    if isinstance(values.get("compare"), str):
        lists["compare"] = (values["compare"],)
    settings: Any = kind(**{**values, **lists})
    check_ranges(settings)
    if hasattr(settings, "validate"):
        settings.validate()
    return settings
