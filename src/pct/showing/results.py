"""A result as the page shows it: what it was made of, how it ended, and its numbers."""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Nobody has to read a number to more digits.
DIGITS = 4


@dataclasses.dataclass(frozen=True)
class Quantity:
    """A number of a result: a parameter or a score.

    Attributes:
        name, unit: as in the tables of the model.
        value: None where it is not finite.
        low, high: 95 % interval of a fit or score; of a network the range over its windows.
        note: the verdict on a parameter.
    """

    name: str
    unit: str
    value: float | None
    low: float | None = None
    high: float | None = None
    note: str = ""

    @property
    def text(self) -> str:
        """Value and unit.

        Examples:
            >>> Quantity("mu", "1", 0.70716).text, Quantity("v", "m/s", 0.043).text
            ('0.7072', '0.043 m/s')
        """
        return with_unit(number(self.value), self.unit)

    @property
    def interval(self) -> str:
        """Both ends; empty where they are not known."""
        return "" if self.low is None or self.high is None else f"{number(self.low)} to {number(self.high)}"


@dataclasses.dataclass(frozen=True)
class Result:
    """A result of PCT.

    Attributes:
        id: a short name for addresses, made from the place.
        path: its folder, or file.
        place: the same from the folder of all results.
        kind: fit, train, evaluate, track, compare, design, sweep, run.
        state: running, done, failed, stopped or damaged.
        reason: why it failed or is damaged.
        model, data: its model, and names of its data.
        started, finished: ISO 8601; empty where not known.
        headline: what it found in a few words.
        scores, parameters: its numbers.
        settings: every setting with its value as text.
        facts: what else is known: command, versions, hashes.
        pages, figures: its own, from the folder of all results.
        epochs: of a training, so many are asked for; None for anything else.
    """

    id: str
    path: Path
    place: str
    kind: str
    state: str = "done"
    reason: str = ""
    model: str = ""
    data: tuple[str, ...] = ()
    started: str = ""
    finished: str = ""
    headline: str = ""
    scores: tuple[Quantity, ...] = ()
    parameters: tuple[Quantity, ...] = ()
    settings: Mapping[str, str] = dataclasses.field(default_factory=dict)
    facts: Mapping[str, str] = dataclasses.field(default_factory=dict)
    pages: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    epochs: int | None = None

    @property
    def interval_means(self) -> str:
        """What the ends of a parameter's interval are."""
        return "range over the windows" if self.kind == "train" else "95 % interval"

    @property
    def next_commands(self) -> tuple[str, ...]:
        """What to do with it now, as lines to copy into a shell; none where that is not safe.

        Examples:
            >>> Result("a", Path("my runs/a"), "a", "train", "stopped").next_commands
            ("pct train --resume 'my runs/a'",)
        """
        path = str(self.path)
        lines = NEXT.get((self.kind, self.state), ()) if path.isprintable() else ()
        return tuple(line.format(shlex.quote(path)) for line in lines)


# What to do with a result now, by its kind and state.
NEXT = {
    ("fit", "done"): ("pct evaluate {} --dataset UNSEEN_DRIVES", "pct export c {}"),
    ("train", "done"): ("pct evaluate {} --dataset UNSEEN_DRIVES", "pct export onnx {}"),
    ("train", "stopped"): ("pct train --resume {}",),
    ("train", "failed"): ("pct train --resume {}",),
    ("fleet", "done"): ("pct fit --prior {} --dataset NEXT_CAR",),
    ("run", "done"): ("pct evaluate {}/fit --dataset UNSEEN_DRIVES", "pct run {}/run.toml"),
}


def setting_text(value: Any) -> str:
    """A setting as text, as JSON has it."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def number(value: float | None) -> str:
    """A number to as many digits as somebody reads."""
    return "–" if value is None else f"{value:.{DIGITS}g}"


def with_unit(text: str, unit: str) -> str:
    """A number with its unit, where it has one."""
    return text if unit in ("", "1") else f"{text} {unit}"
