"""Workers of Dask: new ones on this machine, or those of a scheduler that runs already.

The scheduler gives the task of a dead worker to another one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any

from pct.children import started_safely
from pct.errors import PctError
from pct.executors.base import RETRIES, Answer, Workers, call, require


class DaskExecutor:
    """A client of Dask."""

    def __init__(self, workers: Workers) -> None:
        """Start workers on this machine, or take those of the address.

        Raises:
            UsageError: Dask is not installed.
            PctError: the scheduler is not reached, or no worker can be started.
        """
        require("distributed", "dask")
        import dask
        from distributed import Client, LocalCluster

        self._cluster: Any = None
        # Dask writes those of its workers into our own environment, and leaves them there.
        self._own = {name: os.environ.get(name) for name in workers.environment}
        settings = {
            "distributed.scheduler.allowed-failures": RETRIES,
            # Before Python starts: libraries count threads when they are loaded.
            "distributed.nanny.pre-spawn-environ": dict(workers.environment),
        }
        try:
            with dask.config.set(settings), started_safely():
                if not workers.address:
                    self._cluster = LocalCluster(
                        n_workers=workers.many,
                        threads_per_worker=1,
                        host="127.0.0.1",
                        dashboard_address="127.0.0.1:0",
                        silence_logs=logging.CRITICAL,
                    )
                self._client = Client(self._cluster or workers.address, set_as_default=False)
        except (OSError, ValueError) as error:
            where = workers.address or "this machine"
            raise PctError(f"dask: no workers at {where}: {str(error).splitlines()[0]}") from None
        finally:
            self._restore()

    def run(self, function: str, arguments: Sequence[str], alone: int = 0) -> Iterator[Answer]:
        """The answers as they come; see `pct.executors.base.Executor`."""
        from distributed import as_completed

        for numbers in (range(alone), range(alone, len(arguments))):
            tasks = {self._client.submit(call, function, arguments[n], pure=False): n for n in numbers}
            for future in as_completed(list(tasks), loop=self._client.loop):
                if future.status == "finished":
                    yield Answer(tasks[future], future.result())
                else:
                    reason = f"its worker died {1 + RETRIES} times"
                    error = future.exception()
                    known = type(error).__name__ == "KilledWorker"
                    yield Answer(tasks[future], None, reason if known else f"{error!r}")

    def close(self) -> None:
        """Let the workers go."""
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()
            self._restore()

    def _restore(self) -> None:
        for name, value in self._own.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
