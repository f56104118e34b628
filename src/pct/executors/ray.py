"""Workers of Ray: new ones on this machine, or those of a cluster that runs already.

Ray starts the task of a dead worker again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any

from pct.errors import PctError
from pct.executors.base import RETRIES, Answer, Workers, call, require


class RayExecutor:
    """A driver of Ray."""

    def __init__(self, workers: Workers) -> None:
        """Start Ray on this machine, or join the cluster of the address.

        Raises:
            UsageError: Ray is not installed.
            PctError: the cluster is not reached.
        """
        require("ray", "ray")
        import ray

        self._ray: Any = ray
        self._environment = dict(workers.environment)
        where: dict[str, Any] = (
            {"address": workers.address} if workers.address else {"num_cpus": workers.many}
        )
        try:
            ray.init(
                **where,
                include_dashboard=False if not workers.address else None,
                log_to_driver=False,
                logging_level=logging.ERROR,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise PctError(f"ray: no workers at {workers.address or 'this machine'}: {error}") from None

    def run(self, function: str, arguments: Sequence[str], alone: int = 0) -> Iterator[Answer]:
        """The answers as they come; see `pct.executors.base.Executor`."""
        task = self._ray.remote(num_cpus=1, max_retries=RETRIES)(call_with)
        for numbers in (range(alone), range(alone, len(arguments))):
            waiting = {task.remote(self._environment, function, arguments[n]): n for n in numbers}
            while waiting:
                done, _ = self._ray.wait(list(waiting))
                for reference in done:
                    number = waiting.pop(reference)
                    try:
                        yield Answer(number, self._ray.get(reference))
                    except self._ray.exceptions.RayError as error:
                        yield Answer(number, None, f"its worker died: {type(error).__name__}")

    def close(self) -> None:
        """Let the workers go."""
        self._ray.shutdown()


def call_with(environment: dict[str, str], function: str, argument: str) -> str:
    """Call a function in a worker with these variables, before it loads any library.

    Ray would set them itself, by an agent that its plain package does not have.
    """
    os.environ.update(environment)
    return call(function, argument)
