"""The choices of one run with their reasons: said as they are made, kept in ``run.toml``, given again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pct.errors import DataError
from pct.toml_files import NoTomlError, read_toml
from pct.within import Within

T = TypeVar("T")

# Tables and keys of a plan, each with the kind of its value and what that is.
KEYS: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "data.logs": (list, "a list of paths"),
    "data.map": (str, "auto, a preset or the path of a signals.toml"),
    "data.hold_out": (str, "block or recording"),
    "car.wheelbase": ((int, float), "a length in m"),
    "car.vehicle": (str, "the name of a vehicle"),
    "car.model": (str, "the name of a model"),
    "car.options": (list, "a list of options of the model"),
    "car.fixed": (list, 'a list of parameters, "NAME" or "NAME=VALUE"'),
    "measurement.accelerometer": (list, "a list of accelerations, ax or ay"),
    "measurement.steering": (bool, "true or false"),
    "measurement.misaligned": (bool, "true or false"),
    "measurement.actuator_lag": (list, "a list of channels"),
    "measurement.relaxation": (bool, "true or false"),
    "fit.dt": ((int, float), "a time step in s"),
    "fit.horizon": (int, "a number of steps"),
    "fit.history": (int, "a number of steps"),
    "fit.compare": (list, "a list of channels"),
}
LARGEST = 1 << 20
WHEELBASE = Within(0.01, 20.0, "m")


@dataclasses.dataclass
class Plan:
    """Choices by key, ``table.name``, in the order in which they are made.

    Attributes:
        given: values that are not to be chosen, by key.
        say: called with a line for each choice.
        chosen: value and reason by key.
    """

    given: Mapping[str, Any]
    say: Callable[[str], object]
    chosen: dict[str, tuple[Any, str]] = dataclasses.field(default_factory=dict)

    def choose(self, key: str, how: Callable[[], tuple[T, str]]) -> T:
        """The given value, or what ``how`` answers: a value and its reason."""
        value, reason = (self.given[key], "given") if key in self.given else how()
        self.chosen[key] = value, reason
        self.say(f"{key.partition('.')[2].replace('_', ' ')}: {_short(value)} ({reason})")
        return value

    def to_toml(self) -> str:
        """The choices as a file that `read_plan` reads, the reason of each behind it."""
        lines = ["# Made by pct run. Edit it, and run it again: pct run run.toml"]
        table, tables = "", [key.partition(".")[0] for key in KEYS]
        for key, (value, reason) in sorted(
            self.chosen.items(), key=lambda item: tables.index(item[0].partition(".")[0])
        ):
            above, _, name = key.partition(".")
            if above != table:
                lines += ["", f"[{above}]"]
                table = above
            lines.append(f"{name} = {json.dumps(value, ensure_ascii=False)}  # {' '.join(reason.split())}")
        return "\n".join(lines) + "\n"


def read_plan(path: Path) -> dict[str, Any]:
    """The values of a ``run.toml`` by key; paths in it count from its folder.

    Raises:
        DataError: no TOML, an unknown key, or a value of another kind.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise DataError(f"{path}: expected a few lines, found {path.stat().st_size >> 20} MB")
        tables = read_toml(path)
    except OSError as error:
        raise DataError(f"{path}: cannot read it ({error.strerror})") from None
    except NoTomlError as error:
        raise DataError(f"{path}: expected TOML, found {error.what}") from None
    given: dict[str, Any] = {}
    for table, values in tables.items():
        entries: Mapping[str, Any] = values if isinstance(values, dict) else {"": values}
        for name, value in entries.items():
            key = f"{table}.{name}"
            if key not in KEYS:
                raise DataError(f"{path}: unknown key '{key.rstrip('.')}'. Known keys: {', '.join(KEYS)}")
            kind, words = KEYS[key]
            if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
                raise DataError(f"{path}: expected {key} to be {words}, found {_short(value)}")
            if isinstance(value, list) and not all(isinstance(item, str) for item in value):
                raise DataError(f"{path}: expected {key} to be {words}, found other values in it")
            given[key] = value
    for key in ("data.logs", "data.map"):
        if key in given:
            places = list(given[key]) if key == "data.logs" else [str(given[key])]
            found = [
                str(path.parent / place) if (path.parent / place).exists() else place for place in places
            ]
            given[key] = found if key == "data.logs" else found[0]
    return given


def _short(value: Any) -> str:
    """A value on a line."""
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, list):
        shown = [str(item) for item in value[:4]]
        return (", ".join(shown) + (f" and {len(value) - 4} more" if len(value) > 4 else "")) or "none"
    return str(value)[:200]
