"""Windows that begin at observed states, for a network on top of a fit.

The parameters of the measurement (lags, delays, gains) stay as they were fitted. So the observer computes
each window's start, hidden states included, once, and training rolls out from there.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from pct.dynamics.core import ModelSpec
from pct.measurement.chain import acting_controls
from pct.optimization.chunks import in_chunks
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
    states_at_start = jax.jit(lambda whole: jnp.stack(roll.states({}, whole)[0], axis=-1))
    numbers = np.arange(len(windows))
    # With the whole horizon: a delay below zero reads controls to come.
    begin = in_chunks(lambda part: states_at_start(windows.whole(part)), numbers, min(CHUNK, len(windows)))
    hidden = [channel.name for channel in spec.hidden]
    return windows.observed(begin, hidden, partial(acting_controls, spec, params, dt=dt))
