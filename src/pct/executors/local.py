"""Processes of this machine. One that is killed costs its task a new start, and the others nothing.

Each process reads tasks from its standard input and writes answers, a line of JSON each, so that nothing of
the program that started it is run again there, and nothing is pickled.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

from pct.children import end_with, environment, python_command
from pct.errors import PctError, UsageError
from pct.executors.base import RETRIES, Answer, Workers, call
from pct.interpreter import collect_rarely


class LocalExecutor:
    """As many processes as there are workers, each for one task after another."""

    def __init__(self, workers: Workers) -> None:
        """Nothing is started before there is a task.

        Raises:
            UsageError: an address is given.
        """
        if workers.address:
            raise UsageError(f"`executor=local={workers.address}`: this machine has no address: leave it out")
        self._workers = workers
        # A worker is there for whoever takes it; None stands for one that is not started yet.
        self._free: queue.SimpleQueue[_Worker | None] = queue.SimpleQueue()
        self._started: set[_Worker] = set()
        self._closed = False
        for _ in range(workers.many):
            self._free.put(None)

    def run(self, function: str, arguments: Sequence[str], alone: int = 0) -> Iterator[Answer]:
        """The answers as they come; see `pct.executors.base.Executor`."""
        with ThreadPoolExecutor(self._workers.many) as pool:
            try:
                for numbers in (range(alone), range(alone, len(arguments))):
                    waiting = {pool.submit(self._one, function, arguments[n], n) for n in numbers}
                    while waiting:
                        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                        for future in done:
                            yield future.result()
            except BaseException:
                self.close()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def close(self) -> None:
        """End all processes."""
        self._closed = True
        for worker in list(self._started):
            worker.end()

    def _one(self, function: str, argument: str, number: int) -> Answer:
        """The answer to one task, by a worker that is free."""
        worker, reason = self._free.get(), ""
        try:
            for _ in range(1 + RETRIES):
                if self._closed:
                    break
                if worker is None:
                    worker = _Worker(self._workers.environment)
                    self._started.add(worker)
                text = worker.ask(function, argument)
                if text is not None:
                    return Answer(number, text)
                reason = f"its process was ended {1 + RETRIES} times, the last time by {worker.cause()}"
                worker.end()
                self._started.discard(worker)
                worker = None
            return Answer(number, None, reason)
        finally:
            self._free.put(worker)


class _Worker:
    """One process that waits for tasks."""

    def __init__(self, variables: Any) -> None:
        try:
            self._process = subprocess.Popen(
                python_command("pct.executors.local", "serve", os.getpid()),
                env={**environment(), **variables},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # What a task has to say stands in its answer.
                stderr=subprocess.DEVNULL,
                text=True,
            )
        except OSError as error:
            raise PctError(f"no worker can be started ({error.strerror})") from error

    def ask(self, function: str, argument: str) -> str | None:
        """The answer of a task; None where the process dies."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps([function, argument]) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except (OSError, ValueError):  # it is gone, or was ended by another thread
            return None
        return str(json.loads(line)) if line.endswith("\n") else None

    def cause(self) -> str:
        """What ended the process."""
        code = self._process.wait()
        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
        return f"exit status {code}"

    def end(self) -> None:
        """End the process now."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # what it did not read any more
                if pipe is not None:
                    pipe.close()


def serve(parent: str) -> None:
    """Do one task after another until there are no more; in a process of its own."""
    end_with(int(parent))
    collect_rarely()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that collects
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # what a library prints is no answer
        for line in sys.stdin:
            answers.write(json.dumps(call(*json.loads(line))) + "\n")
            answers.flush()
