"""What `pct run` asks a person, and only where it is not sure: the wheelbase, and columns of a map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from pct.choices.plan import WHEELBASE
from pct.errors import DataError

# Answers a question; empty where there is no answer.
Ask: TypeAlias = Callable[[str], str]
# So often a length is asked for.
TRIES = 3


def ask_wheelbase(ask: Ask, doubt: str) -> float | None:
    """The wheelbase in m that a person has measured; None where they do not know it.

    Args:
        ask: asks them.
        doubt: why it is not sure.

    Examples:
        >>> answers = iter(["about a foot", "0,33 m"])
        >>> ask_wheelbase(lambda question: next(answers), "wheelbase: the drives do not tell it")
        0.33
    """
    question = f"{doubt}. Wheelbase in m, or Enter to go on without it:"
    for _ in range(TRIES):
        answer = ask(question).strip()
        if not answer:
            return None
        try:
            length = float(answer.removesuffix("m").strip().replace(",", "."))
        except ValueError:
            length = float("nan")
        if length in WHEELBASE:
            return length
        question = f"Expected {WHEELBASE}, got '{answer[:40]}'. Wheelbase in m, or Enter to go on without it:"
    return None


def ask_columns(ask: Ask, unsure: Sequence[str], place: Path | None) -> None:
    """Have a person confirm the columns of a proposed map of which it is not sure at all.

    Args:
        ask: asks them, once for each.
        unsure: channel and reason of each.
        place: where the map is.

    Raises:
        DataError: they do not; says which line of which file to correct.
    """
    for line in unsure:
        answer = ask(f"The map is not sure: {line}. Go on with it? [Y/n]").strip().lower()
        if answer.startswith("n"):
            raise DataError(
                f"{place}: stopped at {line.partition(' is ')[0]}, as you asked: correct it there, and pass "
                "the file as `map` with a new `output`"
            )
