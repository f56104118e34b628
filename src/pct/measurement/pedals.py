"""`pedals`: a log that holds throttle and brake instead of the drive command."""

from __future__ import annotations

from typing import Any

from pct.dynamics.channels import PEDALS
from pct.dynamics.core import Channel
from pct.measurement.base import Effect, Layer, Values


class Pedals(Effect):
    """drive = throttle - brake.

    Not the brake alone where it is pressed: behind a lag, or with noise, it never is quite zero.
    """

    option = "pedals"
    help = "The log holds throttle and brake instead of the drive command"
    layer = Layer.COMMAND
    acts_on = ("controls",)
    needs = ("drive",)
    note = "throttle and brake: the control is drive = throttle - brake"

    def logged_controls(self, controls: tuple[Channel, ...]) -> tuple[Channel, ...]:
        """Two pedals in place of the drive command."""
        return tuple(c for c in controls if c.name not in self.needs) + PEDALS

    def reads(self) -> tuple[str, ...]:
        """The pedals."""
        return tuple(pedal.name for pedal in PEDALS)

    def inward(self, values: Values, p: Any, xp: Any) -> Values:
        """The drive command."""
        return {"drive": values["throttle"] - values["brake"]}
