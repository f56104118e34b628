"""Axis letters and array aliases, each named once.

| letter | axis |
|---|---|
| B | windows of a batch |
| T | time steps of the horizon |
| H | time steps of the history before a window |
| N | rows of a recording |
| S | state channels of a model |
| C | control channels of a model |
| F | features that the network reads |
| P | flat parameters that the network predicts |

``...`` stands for any leading axes. Arrays are JAX or NumPy.
"""

import sys
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Complex, Float, Int, Shaped
else:
    # Only the tests read axes, and load jaxtyping first; it is a twentieth of what a fit imports.
    class Shaped:
        """An array without its axes: ``Float[np.ndarray, "B T"]`` is ``np.ndarray``."""

        def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
            return item[0]

    Bool = Complex = Float = Int = Shaped

# Either array library; jax.Array is not imported here so that tables load without JAX.
Array: TypeAlias = Any

Features: TypeAlias = Float[Array, "B F"]
Controls: TypeAlias = Float[Array, "B T C"]
# The state of a model behind a measurement is longer than what its log shows.
InitialStates: TypeAlias = Float[Array, "B X"]
States: TypeAlias = Float[Array, "B T S"]
Weights: TypeAlias = Float[Array, "B T"]
StateAndControl: TypeAlias = Float[Array, "... SC"]
FlatParams: TypeAlias = Float[Array, "... P"]
Column: TypeAlias = Float[np.ndarray, " N"]
Rows: TypeAlias = Int[np.ndarray, " B"]

__all__ = [
    "Array",
    "Bool",
    "Column",
    "Complex",
    "Controls",
    "Features",
    "FlatParams",
    "Float",
    "InitialStates",
    "Int",
    "Rows",
    "Shaped",
    "StateAndControl",
    "States",
    "Weights",
    "WholeWindows",
]


class WholeWindows(NamedTuple):
    """History and horizon of windows, one array a channel, rows first; in the frame of each window's start.

    Attributes:
        states: (H + T + 1, B) each.
        controls: control over each step, (H + T, B) each.
    """

    states: tuple[Array, ...]
    controls: tuple[Array, ...]
