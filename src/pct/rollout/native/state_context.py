"""What a network reads of the rows before windows, gathered by native code over the threads of XLA's pool.

XLA makes a dozen passes over a batch for it, on one thread. Single precision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from pct.rollout.native.shared_library import prepare
from pct.types import Array, Float, Int


def state_context(
    states: Float[Array, "N S"],
    controls: Float[Array, "N C"],
    means: Mapping[int, Float[Array, "N K"]],
    starts: Int[Array, " B"],
    parts: Sequence[tuple[int, int]],
    pose: tuple[int, int, int],
) -> Float[Array, "B F"]:
    """As `pct.windows.context.means_of`, which describes arguments and features.

    Raises:
        NoCompiler: see `pct.rollout.native.shared_library.prepare`.
    """
    moving = states.shape[1] + controls.shape[1] - len(set(pose))
    width = moving + len(parts) * (moving + len(pose))
    result = jax.ShapeDtypeStruct((starts.shape[0], width), jnp.float32)
    call = jax.ffi.ffi_call(prepare()["pct_context"], result, vmap_method="sequential")
    layout = np.array([*pose, *(back for _, back in parts)], np.int32)
    features: Array = call(states, controls, starts, layout, *(means[length] for length, _ in parts))
    return features
