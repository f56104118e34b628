"""What every executor is: it calls a function, by name, with many texts, each in a process of its own.

Texts are all that goes there and back, so that a task means the same in a thread, in a process and on
another machine. A function raises nothing that its caller wants to know: its answer says it. What an executor
adds is the worker that dies: its task is started again, and given up after `RETRIES` more tries.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import NamedTuple, Protocol, runtime_checkable

from pct.errors import UsageError

RETRIES = 3
"""Times that the task of a dead worker is started again."""


class Answer(NamedTuple):
    """What came of a task.

    Attributes:
        task: its number.
        text: its answer; None where its worker died each time.
        reason: of that.
    """

    task: int
    text: str | None
    reason: str = ""


@runtime_checkable  # the annotations are checked while the tests run
class Executor(Protocol):
    """Runs tasks side by side."""

    def run(self, function: str, arguments: Sequence[str], alone: int = 0) -> Iterator[Answer]:
        """Call a function with each argument.

        Args:
            function: ``module:name``; takes a text and gives one.
            arguments: of the tasks.
            alone: so many of the first tasks run before all others: what they compile serves those.

        Yields:
            The answers, in the order in which they come.

        Raises:
            PctError: no worker can be started.
        """

    def close(self) -> None:
        """End all workers, those that work among them."""


class Workers(NamedTuple):
    """How workers are started.

    Attributes:
        many: how many at once.
        environment: variables that each has beside its own.
        address: of what is there already, or a partition; empty for new ones.
    """

    many: int
    environment: Mapping[str, str]
    address: str = ""


def call(function: str, argument: str) -> str:
    """Call a function of this package or another by its name.

    Examples:
        >>> call("json:loads", '"a"')
        'a'
    """
    module, _, name = function.partition(":")
    answer: str = getattr(importlib.import_module(module), name)(argument)
    return answer


def require(package: str, executor: str) -> None:
    """Refuse an executor whose package is not installed.

    Raises:
        UsageError: it names the command that installs it.
    """
    if find_spec(package) is None:
        raise UsageError(
            f'`executor={executor}`: needs another package: pip install "pct-vehicle[{executor}]"'
        )
