"""A model whose parameters were fitted as constants, and its predictions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import ModelSpec, flatten_params
from pct.measurement.observer import without_observer
from pct.optimization.chunks import in_chunks
from pct.optimization.constants.native_windows import NativeWindows, log_of, native_errors
from pct.optimization.model import Model
from pct.rollout.engine import EngineName
from pct.rollout.history import make_history_rollout
from pct.rollout.native.sensitivities import Log
from pct.types import Int, WholeWindows
from pct.windows.batch import FeatureDataset
from pct.windows.window_set import WindowSet


@dataclasses.dataclass(frozen=True, eq=False, kw_only=True)
class FittedModel(Model):
    """A model with constant parameters; its defaults are the values before the fit.

    Attributes:
        params: value of each learned parameter by name.
        deviations: standard error of each by name.
        remaining_error: typical error of each compared state after the fit, in its unit.
        engine: what computes predictions; see `FitSettings`.
    """

    params: Mapping[str, Any]
    deviations: Mapping[str, Any]
    remaining_error: Mapping[str, float]
    engine: EngineName = "auto"

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

    def predict_windows(self, windows: WindowSet) -> np.ndarray:
        """States of all windows with the fitted parameters, (B, T, S), in each start's frame."""
        log = log_of(windows, jax.dtypes.canonicalize_dtype(windows.store.states.dtype))
        states = self._predict_natively(self.spec, self.params, log, windows.starts.astype(np.int64))
        return self.predict_states(self.prepare(windows).batch) if states is None else states

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
        whole = WholeWindows(
            _joined(dataset.past.states, dataset.targets), _joined(dataset.past.controls, dataset.controls)
        )
        log, rows = _log(whole, history)
        native = self._predict_natively(spec, params, log, rows)
        if native is not None:
            return native
        roll = make_history_rollout(spec, self.base_params, self.integrator_name, self.substeps, history)
        compiled = jax.jit(lambda params, windows: jnp.stack(roll.states(params, windows)[1]))
        values = {key: jnp.asarray(value, dataset.targets.dtype) for key, value in params.items()}
        return in_chunks(
            lambda part: np.asarray(compiled(values, part)).transpose(2, 1, 0), whole, chunk_size, axis=1
        )

    def _predict_natively(
        self, spec: ModelSpec, params: Mapping[str, Any], log: Log, rows: Int[np.ndarray, " B"]
    ) -> np.ndarray | None:
        """States of windows that start at rows of a log, by native code; None without it."""
        native, _ = native_errors(
            self.engine,
            spec,
            self.base_params,
            integrator=self.integrator_name,
            substeps=self.substeps,
            channels=range(len(spec.states)),
            free=(),
            dtype=log.states.dtype,
        )
        if native is None:
            return None
        values = flatten_params(params, spec.param_keys, spec.full_shapes)
        return NativeWindows(native, log, rows).states(values).transpose(2, 1, 0).astype(log.states.dtype)


def _joined(past: tuple[Any, ...], ahead: Any) -> tuple[Any, ...]:
    """Rows of history and horizon, one array a channel."""
    return tuple(np.concatenate([row, np.asarray(ahead)[:, :, i].T]) for i, row in enumerate(past))


def _log(whole: WholeWindows, history: int) -> tuple[Log, Int[np.ndarray, " B"]]:
    """A log of windows one after another, and the rows that they start at."""
    states, controls = (np.stack(part, axis=-1).swapaxes(0, 1) for part in whole)
    count, rows, _ = states.shape
    controls = np.concatenate([controls, controls[:, :1]], axis=1)  # none belongs to a window's last row
    states, controls = (np.ascontiguousarray(part.reshape(count * rows, -1)) for part in (states, controls))
    return Log(states, controls, history, rows - 1 - history), np.arange(count) * rows + history
