"""A network against the fit that it is on top of, on held-out windows: it is never worse, or it is the fit.

A network replaces its fit where both hold:

- its loss is lower beyond noise: the 95 % interval of the ratio of the losses, by block bootstrap over the
  same windows, lies below one, and there are `LEAST_BLOCKS` blocks: fewer say too little of other driving;
- no compared channel pays for it: no path RMSE is higher beyond noise, nor by more than `TOLERATED` whether
  beyond noise or not. A loss that sums channels would trade one for another, and little data hides it.

The first condition makes little data decide for the fit. Without it the best of many epochs wins by luck.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any

import jax
import numpy as np

from pct.dynamics.core import ModelSpec
from pct.dynamics.losses import channel_residual
from pct.types import Float, States
from pct.windows.bootstrap import Blocks, Interval, difference, make_blocks
from pct.windows.store import spread
from pct.windows.window_set import WindowSet

# A path RMSE that is higher by this factor is worse, beyond noise or not.
TOLERATED = 1.05
# Fewer blocks hold too few ways of driving: on a circuit a network that had 7 % lower error on a stretch of 8
# blocks had 27 % higher error in speed on the rest (`benchmarks/iac.py`).
LEAST_BLOCKS = 20
# More windows do not change the result.
JUDGED = 20000


@dataclasses.dataclass(frozen=True, eq=False)
class AgainstFit:
    """Errors of a network over those of its fit, below one where the network is better.

    Attributes:
        loss: root of the ratio of the losses.
        channels: ratio of the path RMSEs by compared channel.
        windows, blocks: how many held-out windows, in how many blocks.
    """

    loss: Interval
    channels: Mapping[str, Interval]
    windows: int
    blocks: int

    @property
    def worse(self) -> list[str]:
        """Channels in which the network is worse."""
        return [
            name
            for name, ratio in self.channels.items()
            if ratio.low > 1 or not ratio.value <= TOLERATED  # also where it is not finite
        ]

    @property
    def wins(self) -> bool:
        """Whether the network replaces its fit."""
        return not self.doubts

    @property
    def doubts(self) -> str:
        """Why it does not, in words; empty where it does."""
        if self.worse:
            return f"it is worse in {', '.join(self.worse)}"
        if self.blocks < LEAST_BLOCKS:
            return f"{self.blocks} blocks of held-out rows are too few to tell"
        return "" if self.loss.high < 1 else "that may be noise"

    @property
    def changes(self) -> str:
        """Loss and channels in words."""
        listed = ", ".join(f"{name} {difference(ratio)}" for name, ratio in self.channels.items())
        return f"{difference(self.loss)} on {self.windows} windows in {self.blocks} blocks ({listed})"

    @property
    def facts(self) -> dict[str, Any]:
        """The figures by name, for a JSON file."""
        return {
            "windows": self.windows,
            "blocks": self.blocks,
            "error_ratio": self.loss._asdict(),
            "channel_ratios": {name: ratio._asdict() for name, ratio in self.channels.items()},
        }


@dataclasses.dataclass(eq=False)
class FitJudge:
    """Compares networks with their fit on held-out windows.

    Attributes:
        spec: the model; states whose scale is not finite are not compared.
        windows: held out.
        predict: ``predict(params, batch)``: states, (B, T, S), of the network with these weights.
        as_fit: the weights with which it is the fit.
        refused: the network with the lowest loss that was not better than the fit, and its epoch.
    """

    spec: ModelSpec
    windows: WindowSet
    predict: Callable[[Any, Any], States]
    as_fit: Any
    refused: tuple[int, AgainstFit] | None = None

    def wins(self, params: Any, epoch: int) -> bool:
        """Whether the network with these weights, after an epoch, replaces the fit."""
        found = self.compare(params)
        if not found.wins and (self.refused is None or found.loss.value < self.refused[1].loss.value):
            self.refused = epoch, found
        return found.wins

    def compare(self, params: Any) -> AgainstFit:
        """The network with these weights against the fit."""
        (loss, squares), (loss_fit, squares_fit) = self._errors(params), self._fit
        return AgainstFit(
            self._blocks.root_mean_ratio(loss, loss_fit),
            {
                name: self._blocks.root_mean_ratio(squares[:, i], squares_fit[:, i])
                for name, i in self.spec.state_indices.items()
                if np.isfinite(self._scales[i])
            },
            len(self._chosen),
            len(self._blocks),
        )

    @cached_property
    def _chosen(self) -> WindowSet:
        return self.windows.select(spread(np.arange(len(self.windows)), JUDGED))

    @cached_property
    def _fit(self) -> tuple[Float[np.ndarray, " B"], Float[np.ndarray, "B S"]]:
        return self._errors(self.as_fit)

    @cached_property
    def _blocks(self) -> Blocks:
        chosen = self._chosen
        recording = chosen.store.recording[chosen.starts]
        return make_blocks(chosen.starts, recording, rows=2 * (chosen.history + chosen.horizon))

    @cached_property
    def _scales(self) -> Float[np.ndarray, " S"]:
        return np.asarray(self.spec.eval_loss_kwargs.get("scales", self.spec.scales), float)

    def _errors(self, params: Any) -> tuple[Float[np.ndarray, " B"], Float[np.ndarray, "B S"]]:
        """Loss, and mean square error of each state, by window; infinite where a rollout diverged."""
        batch = self._chosen.batch
        predicted = np.asarray(self.predict(params, batch))
        residual = np.asarray(channel_residual(predicted, batch.targets, self.spec.angle_mask), float)
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.mean(residual**2, axis=1)
        loss_of = jax.vmap(
            lambda one, true: self.spec.loss_fn(one[None], true[None], **self.spec.eval_loss_kwargs)
        )
        loss = np.asarray(loss_of(predicted, batch.targets), float)
        return np.where(np.isfinite(loss), loss, np.inf), np.where(np.isfinite(squares), squares, np.inf)
