"""The range of a number, declared beside its name, and the one check of all of them.

A field of settings or flags says its range in its annotation, and so does a constant for an argument::

    horizon: Annotated[int, Within(1, 100_000)] = 20

`check_ranges` reads these annotations, `check_number` takes one range. Both let nothing through that is not a
finite number within its range, and say so in one form: ```horizon`: expected a whole number from 1 to 100000,
got -1``.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import sys
import types
import typing
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pct.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Within:
    """The range of a number.

    Attributes:
        low: the smallest value.
        high: the largest value; where it is infinite, infinity is allowed.
        unit: of the number, for messages; none for a whole number of something.
        open_low: whether ``low`` itself is excluded.
        open_high: whether ``high`` itself is excluded.
        whole: whether the number is whole; a field says so by its type.
    """

    low: float | int
    high: float | int
    unit: str = ""
    open_low: bool = False
    open_high: bool = False
    whole: bool = False

    def __contains__(self, value: object) -> bool:
        number = _number(value)
        if number is None or (self.whole and not isinstance(number, int)):
            return False
        if not self.whole and abs(number) > sys.float_info.max and number != math.inf:
            return False  # digits that no floating point number holds
        above = number > self.low if self.open_low else number >= self.low
        return above and (number < self.high if self.open_high else number <= self.high)

    def __str__(self) -> str:
        noun = "a whole number" if self.whole else "a number"
        if (self.low, self.high) == (-sys.float_info.max, sys.float_info.max):
            return f"{noun} {self.unit}".rstrip()
        high = _limit(self.high)
        if not self.open_low and not self.open_high:
            span = f"from {_limit(self.low)} to {high}"
        else:
            low = f"above {_limit(self.low)}" if self.open_low else f"of at least {_limit(self.low)}"
            span = f"{low} and {'below' if self.open_high else 'up to'} {high}"
        return f"{noun} {span} {self.unit}".rstrip()


class Declared(NamedTuple):
    """A number among the fields of a dataclass.

    Attributes:
        name: of the field.
        within: its range; None where it has none.
        optional: whether the field may be None.
        text: whether it may hold a text in its place.
    """

    name: str
    within: Within | None
    optional: bool
    text: bool = False


FINITE = Within(-sys.float_info.max, sys.float_info.max)
"""Any number, for a value that is compared with bounds of its own."""


def check_ranges(settings: Any) -> None:
    """Check every number, choice and switch of a dataclass and of the dataclasses in it.

    The numbers of a tuple share one range. A choice is a field whose type is a ``Literal``.

    Raises:
        UsageError: the first field that is outside its declared range or choices; the message names it.

    Examples:
        >>> @dataclasses.dataclass
        ... class Drive:
        ...     seconds: Annotated[float, Within(0, 3600, "s", open_low=True)] = 1.0
        ...     speeds: tuple[Annotated[float, Within(0, 150, "m/s")], ...] = ()
        >>> check_ranges(Drive(2.0, (3.0, 4.0)))
        >>> check_ranges(Drive(math.nan))
        Traceback (most recent call last):
        pct.errors.UsageError: `seconds`: expected a number above 0 and up to 3600 s, got nan
    """
    kind: Any = type(settings)
    for number in declared_numbers(kind):
        value = getattr(settings, number.name)
        if number.within is None or (value is None and number.optional):
            continue
        if number.text and isinstance(value, str):
            continue
        for one in value if isinstance(value, tuple | list) else (value,):
            check_number(number.name, one, number.within)
    for name, choices in declared_choices(kind).items():
        value = getattr(settings, name)
        if not isinstance(value, Hashable) or value not in choices:
            raise UsageError(f"`{name}`: expected {_listed(choices)}, got {shown(value)}")
    for field in dataclasses.fields(settings):
        if dataclasses.is_dataclass(value := getattr(settings, field.name)):
            check_ranges(value)


def check_number(name: str, value: Any, within: Within) -> None:
    """Check one number.

    Raises:
        UsageError: it is no number, not finite or outside the range; the message has the name in backticks.

    Examples:
        >>> check_number("processes", 0, Within(1, 1024, whole=True))
        Traceback (most recent call last):
        pct.errors.UsageError: `processes`: expected a whole number from 1 to 1024, got 0
    """
    if value not in within:
        raise UsageError(f"`{name}`: expected {within}, got {shown(value)}")


def check_numbers(name: str, values: Any, within: Within) -> None:
    """`check_number` of each value of a sequence.

    Raises:
        UsageError: as `check_number` does, or it is no sequence.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise UsageError(f"`{name}`: expected numbers in a sequence, got {shown(values)}")
    for value in values:
        check_number(name, value, within)


def check_callable(name: str, value: Any) -> None:
    """Check a function that may be left out.

    Raises:
        UsageError: it is none.
    """
    if value is not None and not callable(value):
        raise UsageError(f"`{name}`: expected a function, such as print, got {shown(value)}")


def listener(name: str, value: Callable[..., Any] | None) -> Callable[..., Any]:
    """A function that is told something, or one that does nothing where it was left out.

    Raises:
        UsageError: it is no function.
    """
    check_callable(name, value)
    return value or (lambda *told: None)


@functools.cache
def declared_numbers(kind: Any) -> tuple[Declared, ...]:
    """The numbers among the fields of a dataclass itself, with or without a range."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return tuple(
        number for field in dataclasses.fields(kind) for number in _numbers(field.name, hints[field.name])
    )


@functools.cache
def declared_choices(kind: Any) -> Mapping[str, tuple[Any, ...]]:
    """Values that each field of a dataclass may have, of those that are a choice or a switch."""
    hints = typing.get_type_hints(kind)
    known = {field.name: _choices(hints[field.name]) for field in dataclasses.fields(kind)}
    return {name: choices for name, choices in known.items() if choices}


def shown(value: Any) -> str:
    """A value as a message has it: short, whatever it is.

    Examples:
        >>> shown(0.1), shown(10**400), shown("a" * 60)
        ('0.1', 'a number of more than 18 digits', "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...")
        >>> shown(dataclasses.field), shown([1, "a"])
        ('a function', "[1, 'a']")
    """
    number = _number(value)
    if isinstance(number, int):
        return str(number) if abs(number) <= 2**63 else "a number of more than 18 digits"
    if number is not None:
        return f"{number:.15g}" if number == number else "nan"
    if isinstance(value, str):
        value = str(value)
    elif not isinstance(value, bool | bytes | list | tuple | set | dict | types.NoneType):
        return f"a {type(value).__name__}"
    text = repr(value)
    return text if len(text) <= 41 else f"{text[:41]}..."


def _numbers(
    name: str, kind: Any, within: Within | None = None, optional: bool = False, text: bool = False
) -> Iterator[Declared]:
    """The numbers that an annotation holds."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        own = next((entry for entry in arguments[1:] if isinstance(entry, Within)), within)
        yield from _numbers(name, arguments[0], own, optional, text)
    elif origin in (typing.Union, types.UnionType):
        for argument in arguments:
            yield from _numbers(name, argument, within, type(None) in arguments, str in arguments)
    elif origin is tuple:
        for argument in dict.fromkeys(arguments):
            yield from _numbers(name, argument, within, optional, text)
    elif kind in (int, float):
        whole = within and dataclasses.replace(within, whole=kind is int)
        yield Declared(name, whole, optional, text)


def _choices(kind: Any) -> tuple[Any, ...]:
    """The values of an annotation that allows only so many; none of any other."""
    if kind is bool:
        return (True, False)
    if kind is type(None):
        return (None,)
    if typing.get_origin(kind) is Literal:
        return typing.get_args(kind)
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        parts = [_choices(part) for part in typing.get_args(kind)]
        return tuple(value for part in parts for value in part) if all(parts) else ()
    return ()


def _number(value: Any) -> int | float | None:
    """A number of any library as Python's own; None where it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):  # an array of one number
        return _number(value.item())
    return None


def _listed(choices: tuple[Any, ...]) -> str:
    names = [str(choice) for choice in choices]
    return " or ".join(names) if len(names) < 3 else f"one of {', '.join(names)}"


def _limit(value: float | int) -> str:
    """A limit in full where it is whole, so that a command line can take it."""
    return str(int(value)) if math.isfinite(value) and value == int(value) and value < 2**64 else f"{value:g}"
