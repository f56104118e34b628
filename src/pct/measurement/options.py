"""Which effects of sensors and actuators there are: a new one is a file and a line in `Measurement`."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any, TypeVar

from pct.errors import UsageError
from pct.measurement.accelerometer import Accelerometer, AccelerometerPlace, AccelerometerTilt
from pct.measurement.actuator_lag import ActuatorLag
from pct.measurement.base import Effect
from pct.measurement.bias import Bias
from pct.measurement.delay import Delay
from pct.measurement.drift import Drift
from pct.measurement.lag import Lag
from pct.measurement.lever_arm import LeverArm
from pct.measurement.misaligned import Misaligned
from pct.measurement.pedals import Pedals
from pct.measurement.relaxation import Relaxation
from pct.measurement.steering import Steering
from pct.measurement.steering_clock import SteeringClock
from pct.within import shown

T = TypeVar("T")


def option(effect: type[Effect]) -> Any:
    """The field of an effect: names of channels, none by default, or a switch, off by default."""
    default: Any = False if effect.needs else ()
    return dataclasses.field(default=default, metadata={"effect": effect})


def option_fields(options: type[Any]) -> dict[str, type[Effect]]:
    """The effect of each field that stands for one, by the field's name."""
    fields = dataclasses.fields(options)
    return {field.name: field.metadata["effect"] for field in fields if "effect" in field.metadata}


def with_help(options: type[T]) -> type[T]:
    """The class with the help of each effect among the attributes of its docstring, for the command line."""
    lines = (f"    {name}: {effect.help}." for name, effect in option_fields(options).items())
    options.__doc__ = "\n".join([str(inspect.getdoc(options)), *lines])
    return options


@with_help
@dataclasses.dataclass(frozen=True)
class Measurement:
    """Effects of sensors and actuators between a model and its log, as names of channels. None by default.

    Attributes:
        observer: Estimate the state at the start of a window from the rows before it.
    """

    # In the order in which their parameters and hidden states join the tables of a model.
    lag: tuple[str, ...] = option(Lag)
    actuator_lag: tuple[str, ...] = option(ActuatorLag)
    delay: tuple[str, ...] = option(Delay)
    drift: tuple[str, ...] = option(Drift)
    bias: tuple[str, ...] = option(Bias)
    steering: bool = option(Steering)
    lever_arm: bool = option(LeverArm)
    misaligned: bool = option(Misaligned)
    pedals: bool = option(Pedals)
    accelerometer: tuple[str, ...] = option(Accelerometer)
    accelerometer_place: bool = option(AccelerometerPlace)
    accelerometer_tilt: tuple[str, ...] = option(AccelerometerTilt)
    relaxation: bool = option(Relaxation)
    steering_clock: bool = option(SteeringClock)
    observer: bool = False

    @classmethod
    def of(cls: type[T], **options: Any) -> T:
        """Options with names of channels in a list, as JSON and notebooks have them, or one name alone.

        Raises:
            UsageError: a value that is no names of channels, or no switch.

        Examples:
            >>> Measurement.of(lag=["vx", "vy"], delay="drive").delay
            ('drive',)
        """
        effects = option_fields(cls)
        for name, value in options.items():
            if name not in effects or effects[name].needs:
                if value not in (True, False):
                    raise UsageError(f"`{name}`: expected True or False, got {shown(value)}")
            elif isinstance(value, str):
                options[name] = (value,)
            elif isinstance(value, list | tuple) and all(isinstance(channel, str) for channel in value):
                options[name] = tuple(value)
            else:
                raise UsageError(f"`{name}`: expected names of channels, got {shown(value)}")
        return cls(**options)

    @property
    def effects(self) -> tuple[Effect, ...]:
        """The effects that are asked for, in the order of the options."""
        options = option_fields(type(self)).items()
        return tuple(
            effect(effect.needs or getattr(self, name)) for name, effect in options if getattr(self, name)
        )

    def validate(self) -> None:
        """Refuse effects that nothing can estimate.

        Raises:
            UsageError: an effect whose hidden states stay at zero without an observer, and no observer; or a
                place or tilt of an accelerometer that is not compared.
        """
        named = {*self.accelerometer_tilt} - {*self.accelerometer}
        if named or (self.accelerometer_place and not self.accelerometer):
            which = "accelerometer_tilt" if named else "accelerometer_place"
            what = sorted(named) or ["ax", "ay"]
            raise UsageError(f"`{which}`: no such reading is compared; add `accelerometer` {' '.join(what)}")
        idle = [f"`{effect.option}`" for effect in self.effects if effect.needs_observer]
        if idle and not self.observer:
            raise UsageError(f"{' and '.join(idle)}: only the observer estimates them; add `observer=True`")
