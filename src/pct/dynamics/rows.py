"""Rows of a model's tables: what a channel, a parameter or an option is called, its unit and its bounds."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any, Literal

import numpy as np

from pct.errors import UsageError

Shape = tuple[int, ...]
Range = tuple[Any, Any]
Scope = Literal["context", "global", "fixed"]


@dataclasses.dataclass(frozen=True, eq=False)
class Channel:
    """One state or control of a model.

    Attributes:
        name: column name in a dataset, e.g. ``psi_dot``.
        symbol: mathtext for axis labels, without dollar signs.
        unit: SI unit, e.g. ``rad/s``; ``""`` is not allowed, use ``1`` for a ratio.
        angle: whether residuals are wrapped to [-pi, pi).
        scale: size of an error that matters, in ``unit``; the loss divides by it.
        odd: whether the value changes sign when left and right are swapped.
        limit: largest magnitude that any vehicle shows, in ``unit``; data beyond it is refused. Positions and
            headings have none.
        noise: standard deviation of its usual sensor, in ``unit``; simulated recordings have it.
        typical: largest usual magnitude, in ``unit``: tests draw states up to it, and controls that nobody
            steers are simulated up to it; 20 scales when left out.
        held: whether a rollout holds it over a time step, as it does commands.
        rate_of: name of the channel whose rate it is; it is derived from that where a log lacks it.
    """

    name: str
    symbol: str
    unit: str
    angle: bool = False
    scale: float = 1.0
    odd: bool = False
    limit: float = np.inf
    noise: float = 0.0
    typical: float = 0.0
    held: bool = False
    rate_of: str = ""

    def __post_init__(self) -> None:
        if not self.typical:
            object.__setattr__(self, "typical", 20.0 * self.scale)

    @property
    def heading(self) -> bool:
        """Whether it is an angle that grows from turn to turn."""
        return self.angle and not np.isfinite(self.limit)


@dataclasses.dataclass(frozen=True, eq=False)
class Parameter:
    """One physical parameter of a model.

    Attributes:
        name: key in ``params``, e.g. ``C_Sf``.
        symbol: mathtext for axis labels, without dollar signs.
        unit: SI unit, ``1`` for a ratio.
        low, high, default: bounds and start in ``unit``; a scalar, or an array of ``shape``.
        doc: one line that says what it is.
        shape: axes of an array parameter, ``()`` for a scalar.
        scope: ``context``: the network predicts it; ``global``: one learned constant;
            ``fixed``: known, never learned.
        log: whether the range spans decades, so that bounds are mapped in the logarithm.
        odd: sign of the parameter under the swap of left and right is -1; a scalar or an array of
            ``shape`` (True where the sign changes).
        role: how it shows in driving, and what identifies it: a key of `pct.dynamics.roles.ROLES`, or a
            sentence that names the manoeuvre.
    """

    name: str
    symbol: str
    unit: str
    low: Any
    high: Any
    default: Any
    doc: str
    shape: Shape = ()
    scope: Scope = "context"
    log: bool = False
    odd: Any = False
    role: str = ""

    def __post_init__(self) -> None:
        low, high, default = (np.broadcast_to(v, self.shape) for v in self.range)
        finite = np.isfinite(low).all() and np.isfinite(high).all()
        if not (finite and np.all(low < high) and np.all(low <= default) and np.all(default <= high)):
            raise UsageError(
                f"Parameter {self.name}: expected finite low < high and low <= default <= high, "
                f"got low={self.low}, default={self.default}, high={self.high}"
            )
        if self.log and not np.all(low > 0):
            raise UsageError(f"Parameter {self.name}: log bounds need low > 0, got {self.low}")

    @property
    def range(self) -> tuple[Any, Any, Any]:
        """Low, high and default."""
        return self.low, self.high, self.default

    def in_force(self, low: Any, high: Any, default: Any, shape: Shape) -> Parameter:
        """The row with other values; not checked, since a fitted default may lie on its bound but for
        rounding.
        """
        row = copy.copy(self)
        for field, value in (("low", low), ("high", high), ("default", default), ("shape", shape)):
            object.__setattr__(row, field, value)
        return row


@dataclasses.dataclass(frozen=True, eq=False)
class Option:
    """What equations can do beyond those of the plain model.

    Attributes:
        doc: one line that says what it adds.
        parameters: rows that join the table; the equations ask ``hasattr(p, name)``. A row of a name in the
            table takes its place.
    """

    doc: str
    parameters: tuple[Parameter, ...]
