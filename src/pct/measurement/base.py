"""What an effect of a sensor or actuator defines: one class in one file, with all that belongs to it.

An effect stands between the log and the vehicle's equations. Inwards it takes values of the log to values
nearer to the vehicle; outwards it takes rates of the vehicle to rates of what the log shows. What it has to
remember is a hidden state, what is unknown about it a parameter. `pct.measurement.chain` puts effects
together, `pct.measurement.options` lists them.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from pct.dynamics.core import Channel, ModelSpec, Parameter
from pct.types import Array

Values = Mapping[str, Array]


# What identifies the time in which an error fades.
FADE_ADVICE = "Drive longer, for minutes, so that the error comes and goes several times."


class Layer(enum.IntEnum):
    """Where an effect stands, from the log inwards to the vehicle; within one layer as options are listed."""

    CLOCK = enum.auto()
    """When a logged row acts; on whole columns, outside the equations."""
    OUTPUT = enum.auto()
    """What a sensor adds to its reading."""
    RESPONSE = enum.auto()
    """How fast a sensor or an actuator follows."""
    AXES = enum.auto()
    """The axes that a sensor measures along."""
    PLACE = enum.auto()
    """The point that a sensor measures at."""
    ACCELERATION = enum.auto()
    """What an accelerometer feels of the rates of the vehicle."""
    RATE = enum.auto()
    """What moves the vehicle beside its equations."""
    LINKAGE = enum.auto()
    """What lies between an actuator and the wheel."""
    COMMAND = enum.auto()
    """Which commands the log has in place of the model's controls."""
    TYRE = enum.auto()
    """How forces follow the motion."""


class Hidden(NamedTuple):
    """A state that no log holds, beside a channel of the log; its name is ``<channel>_<kind>``.

    Attributes:
        channel: name of the state or control that it belongs to, whose unit and scale it has.
        kind: what it is.
        per: what its unit has after that of the channel.
        start: what it begins with, in shares of the channel's logged value.
        follows: whether the observer's gains begin by correcting it with the channel's error.
        reach: bound of those gains, in scales of the state over scales of the channel.
    """

    channel: str
    kind: str
    per: str = ""
    start: float = 0.0
    follows: bool = False
    reach: float = 3.0

    @property
    def name(self) -> str:
        """Name of the state."""
        return f"{self.channel}_{self.kind}"


@dataclasses.dataclass(frozen=True)
class Effect:
    """One effect of sensors or actuators, applied to channels. By itself it changes nothing.

    Attributes:
        option: name of its field in `pct.measurement.options.Measurement`, and so of its argument and flag.
        help: what the command line says about it.
        layer: where it stands.
        acts_on: which channels its option may name, ``states`` (those that move), ``controls`` and
            ``accelerations``, ``ax`` and ``ay``.
        needs: channels that a model must have for an effect that is a switch; empty for one whose option
            names the channels it is applied to.
        repeats: whether a channel may be named more than once.
        needs_observer: whether its hidden states stay at zero without an observer.
        note: what it does, for an exported model, where no parameter says so.
        channels: what it is applied to; of a switch, what it needs.
    """

    option: ClassVar[str]
    help: ClassVar[str]
    layer: ClassVar[Layer]
    acts_on: ClassVar[tuple[str, ...]] = ("states",)
    needs: ClassVar[tuple[str, ...]] = ()
    repeats: ClassVar[bool] = False
    needs_observer: ClassVar[bool] = False
    note: ClassVar[str] = ""

    channels: tuple[str, ...]

    def logged_controls(self, controls: tuple[Channel, ...]) -> tuple[Channel, ...]:
        """The controls that the log has, for those that the model has."""
        return controls

    def logged_states(self, states: tuple[Channel, ...]) -> tuple[Channel, ...]:
        """The states that the log has, for those that the model has."""
        return states

    def reads(self) -> tuple[str, ...]:
        """Channels of the log that `inward` needs."""
        return self.channels

    def hidden(self) -> tuple[Hidden, ...]:
        """Its hidden states."""
        return ()

    def parameters(self, spec: ModelSpec) -> tuple[Parameter, ...]:
        """Its parameters, by `constant`; ``spec`` gives sizes of the vehicle."""
        return tuple(self.parameter(name) for name in dict.fromkeys(self.channels) if not self.needs)

    def parameter(self, name: str) -> Parameter:
        """The parameter of a channel, where each that the option names has one."""
        raise NotImplementedError

    def inward(self, values: Values, p: Any, xp: Any) -> Values:
        """What changes on the way from the log to the vehicle.

        Args:
            values: states, hidden states and controls by name as they arrive from the log's side, of any
                common shape. An effect without hidden states may be given what it `reads` and no more.
            p: parameters by attribute.
            xp: array namespace.
        """
        return {}

    def tuned(self, values: Values, p: Any, xp: Any) -> Values:
        """Parameters of the vehicle that change with its motion, by name; arguments as of `inward`."""
        return {}

    def outward(self, rates: Values, values: Values, p: Any, xp: Any) -> Values:
        """What changes in the rates on the way from the vehicle to the log, and the rates of hidden states.

        Args:
            rates: of states as they arrive from the vehicle's side, by name.
            values: what `inward` was given.
            p: parameters by attribute.
            xp: array namespace.
        """
        return {}

    def on_columns(self, controls: Values, params: Mapping[str, Any], dt: float) -> Values:
        """Whole columns of controls that change, (T, B) each, rows ``dt`` s apart; for `Layer.CLOCK` only."""
        return {}


def constant(name: str, unit: str, low: Any, high: Any, default: Any, doc: str, **more: Any) -> Parameter:
    """A parameter of an effect: one learned constant for all windows."""
    symbol = name.replace("_", r"\_")
    return Parameter(name, rf"\mathrm{{{symbol}}}", unit, low, high, default, doc, scope="global", **more)


def fade(name: str, kind: str) -> Parameter:
    """The time in which the hidden state of a kind of a channel fades."""
    doc = f"time in which the {kind} of {name} fades"
    return constant(f"fade_{name}_{kind}", "s", 0.05, 20.0, 1.0, doc, log=True, role=FADE_ADVICE)
