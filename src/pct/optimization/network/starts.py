"""Windows that begin where an observer puts the car: what a network needs on top of a fit.

The parameters of the measurement (lags, delays, gains) stay as they were fitted. So each window's start,
hidden states included, is computed once, and training rolls out from there as from any other start.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import ModelSpec
from pct.measurement.chain import acting_controls
from pct.rollout.history import make_history_rollout
from pct.windows.window_set import WindowSet

# Windows whose histories are in memory at once.
CHUNK = 4096


def observe(windows: WindowSet, spec: ModelSpec, integrator: str, substeps: int) -> WindowSet:
    """The windows with their observed starts and with controls as they act.

    Args:
        windows: of the states and controls of ``spec``.
        spec: a model, also one from `pct.measurement.with_measurement`, with every parameter of the
            measurement at its default; a model without one gets its windows back as they are.
        integrator, substeps: how a time step is integrated.

    Returns:
        Windows whose states at the start have the hidden ones last, and whose features end with those.
    """
    if spec.measurement is None:
        return windows
    dt = windows.store.dt
    params = {key: value for key, value in spec.base_params(dt).items() if key != "dt"}
    roll = make_history_rollout(spec, {**params, "dt": dt}, integrator, substeps, windows.history)
    short = windows.with_horizon(1)
    states_at_start = jax.jit(lambda whole: jnp.stack(roll.states({}, whole)[0], axis=-1))
    count = len(windows)
    parts = []
    for first in range(0, count, CHUNK):
        numbers = np.minimum(np.arange(first, first + min(CHUNK, count)), count - 1)
        parts.append(np.asarray(states_at_start(short.whole(numbers))))
    begin = np.concatenate(parts)[:count]
    hidden = [channel.name for channel in spec.hidden]
    return windows.observed(begin, hidden, partial(acting_controls, spec, params, dt=dt))
