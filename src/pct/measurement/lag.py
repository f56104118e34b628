"""`lag`: a sensor that follows what it measures with a first-order lag, or with several in a row."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pct.dynamics.core import Parameter
from pct.measurement.base import Effect, Hidden, Layer, Values, constant

ADVICE = "Change it quickly: steering steps or throttle steps at several speeds."


class Lag(Effect):
    """tau dy/dt = x - y with the reading y and the true value x, which is hidden.

    A state named n times has n lags of tau / n in a row, with n - 1 stages hidden between x and y.
    """

    option = "lag"
    help = (
        "States whose sensor follows with a first-order lag; a state named n times has n equal lags in a "
        "row, which is nearer to a filter or a delay [channels]"
    )
    layer = Layer.RESPONSE
    repeats = True

    def hidden(self) -> tuple[Hidden, ...]:
        """The true value and the stages after it, each as it is logged at the start."""
        return tuple(
            Hidden(name, kind, start=1.0, follows=kind == "true")
            for name, count in Counter(self.channels).items()
            for kind in ("true", *(f"stage{k}" for k in range(1, count)))
        )

    def parameter(self, name: str) -> Parameter:
        """The time of all lags of its sensor together."""
        doc = f"lag of the sensor of {name}"
        return constant(f"tau_{name}", "s", 0.005, 2.0, 0.1, doc, log=True, role=ADVICE)

    def inward(self, values: Values, p: Any, xp: Any) -> Values:
        """The vehicle has the true values."""
        return {name: values[f"{name}_true"] for name in self.channels}

    def outward(self, rates: Values, values: Values, p: Any, xp: Any) -> Values:
        """The vehicle's rate is that of the true value; each stage follows the one before."""
        after = {}
        for name, count in Counter(self.channels).items():
            row = [f"{name}_true", *(f"{name}_stage{k}" for k in range(1, count)), name]
            tau = getattr(p, f"tau_{name}") / count
            after[row[0]] = rates[name]
            after |= {row[k]: (values[row[k - 1]] - values[row[k]]) / tau for k in range(1, len(row))}
        return after
