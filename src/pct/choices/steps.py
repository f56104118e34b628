"""The steps of one run that take time: which one goes on, and about how long all that follows takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

# Kinds of steps in their order: how long one takes beside a short fit, and how many there usually are.
KINDS = {"import": (5.0, 1), "check": (2.0, 1), "trial": (1.0, 6), "fit": (5.0, 1), "judge": (1.0, 7)}


class Step(NamedTuple):
    """A step that begins.

    Attributes:
        text: what it does.
        done: share of the run that lies behind, 0 to 1.
        left: seconds that the run still takes, this step included; None where nothing tells yet.
    """

    text: str
    done: float
    left: float | None

    def __str__(self) -> str:
        return self.text if self.left is None else f"{self.text} ({about(self.left)} left)"


class Steps:
    """Says each step as it begins, with the time that is left.

    What is left takes as long, by its share of the work, as what is done took. A choice that is given already
    has no trials, so that the time left may fall at once; trials that come unexpectedly make it longer.
    """

    def __init__(self, say: Callable[[Any], object], clock: Callable[[], float] = time.perf_counter) -> None:
        """``say`` is called with a `Step`, and with each line in between; ``clock`` gives seconds."""
        self.say = say
        self._clock, self._begin = clock, clock()
        self._left = {kind: count for kind, (_, count) in KINDS.items()}
        self._done, self._doing = 0.0, 0.0

    def start(self, kind: str, text: str) -> None:
        """Begin a step of a kind; those of the kinds before it are over."""
        self._done += self._doing
        self._doing = KINDS[kind][0]
        kinds = list(KINDS)
        for before in kinds[: kinds.index(kind)]:
            self._left[before] = 0
        self._left[kind] = max(self._left[kind] - 1, 0)
        left = self._doing + sum(KINDS[name][0] * count for name, count in self._left.items())
        elapsed = self._clock() - self._begin
        seconds = elapsed * left / self._done if self._done else None
        self.say(Step(text, self._done / (self._done + left), seconds))

    def trying(self, what: str) -> None:
        """Begin a short fit that a choice rests on."""
        self.start("trial", f"trying {what}")

    def expect(self, trials: int) -> None:
        """How many short fits are still to come."""
        self._left["trial"] = trials

    def not_counted(self, ask: Callable[[str], str]) -> Callable[[str], str]:
        """A way to ask a person whose time to answer is none of the run's."""

        def waits(question: str) -> str:
            asked = self._clock()
            try:
                return ask(question)
            finally:
                self._begin += self._clock() - asked

        return waits


def about(seconds: float) -> str:
    """A rough time in words.

    Examples:
        >>> about(3.2), about(23.0), about(200.0), about(8000.0)
        ('a few seconds', 'about 25 s', 'about 3 min', 'about 2.2 h')
    """
    if seconds < 7.5:
        return "a few seconds"
    if seconds < 57.5:
        return f"about {5 * round(seconds / 5)} s"
    minutes = seconds / 60
    return f"about {max(round(minutes), 1)} min" if minutes < 60 else f"about {minutes / 60:.1f} h"
