"""A model whose parameters were fitted as constants, and its predictions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import ModelSpec
from pct.measurement.observer import without_observer
from pct.optimization.chunks import in_chunks
from pct.optimization.model import Model
from pct.rollout.history import make_history_rollout
from pct.types import WholeWindows
from pct.windows.batch import FeatureDataset
from pct.windows.window_set import WindowSet


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FittedModel(Model):
    """A model with constant parameters; its defaults are the values before the fit.

    Attributes:
        params: value of each learned parameter by name.
        deviations: standard error of each by name.
        remaining_error: typical error of each compared state after the fit, in its unit.
    """

    params: Mapping[str, Any]
    deviations: Mapping[str, Any]
    remaining_error: Mapping[str, float]

    def spec_to_train(self) -> ModelSpec:
        """The model for a network on top: its vehicle's parameters begin at the fitted values, those of the
        measurement stay there; errors count in units of what the fit left, and those not compared not at all.
        """
        spec = self.spec
        left = [self.remaining_error.get(name, np.inf) for name in spec.state_names]
        own = {"scales": np.array(left)}
        return dataclasses.replace(
            spec,
            default_params={**spec.default_params, **self.params},
            param_keys=tuple(key for key in spec.param_keys if key not in spec.global_keys),
            global_keys=(),
            train_loss_kwargs={**spec.train_loss_kwargs, **own},
            eval_loss_kwargs={**spec.eval_loss_kwargs, **own},
        )

    def prepare(self, windows: WindowSet) -> WindowSet:
        """The windows with the rows before them, which the observer reads."""
        return windows.with_past()

    def predict_states(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> np.ndarray:
        """States of all windows with the fitted parameters, (B, T, S); the windows need their past."""
        return self._predict(self.spec, self.params, dataset, chunk_size)

    def predict_default(self, dataset: FeatureDataset, *, chunk_size: int = 1024) -> np.ndarray:
        """The same with the values before the fit, begun at the window's first row."""
        spec = without_observer(self.spec)
        values = {key: spec.default_params[key] for key in spec.param_keys}
        return self._predict(spec, values, dataset, chunk_size)

    def _predict(
        self, spec: ModelSpec, params: Mapping[str, Any], dataset: FeatureDataset, chunk_size: int
    ) -> np.ndarray:
        assert dataset.past is not None, "windows of a fitted model need the rows before them"
        history = dataset.past.controls[0].shape[0]
        roll = make_history_rollout(spec, self.base_params, self.integrator_name, self.substeps, history)
        compiled = jax.jit(lambda params, windows: jnp.stack(roll.states(params, windows)[1]))
        values = {key: jnp.asarray(value, dataset.targets.dtype) for key, value in params.items()}
        whole = WholeWindows(
            _joined(dataset.past.states, dataset.targets), _joined(dataset.past.controls, dataset.controls)
        )
        return in_chunks(
            lambda part: np.asarray(compiled(values, part)).transpose(2, 1, 0), whole, chunk_size, axis=1
        )


def _joined(past: tuple[Any, ...], ahead: Any) -> tuple[Any, ...]:
    """Rows of history and horizon, one array a channel."""
    return tuple(jnp.concatenate([row, ahead[:, :, i].T]) for i, row in enumerate(past))
