"""Jobs of SLURM, by submitit: one a task, as many at once as there are workers.

A job that died is submitted again. ``slurm=PARTITION`` names the partition; ``slurm=local`` runs the same
jobs in processes of this machine, to try it out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from pct.errors import UsageError
from pct.executors.base import RETRIES, Answer, Workers, call, require
from pct.files import TemporaryFolder

LOCAL = "local"
# Seconds from one look at the jobs to the next, and most minutes of a job.
LOOK, MINUTES = 1.0, 24 * 60


class SlurmExecutor:
    """Submits jobs."""

    def __init__(self, workers: Workers) -> None:
        """Look for SLURM.

        Raises:
            UsageError: submitit is not installed, or there is no SLURM here.
        """
        require("submitit", "slurm")
        import submitit

        self._count = workers.many
        self._jobs: list[Any] = []
        local = workers.address == LOCAL
        if not local and submitit.SlurmExecutor.affinity() <= 0:
            raise UsageError("`executor=slurm`: this machine submits no jobs of SLURM (there is no srun)")
        # Shared by the machines of a cluster where its users' folders are.
        self._folder = TemporaryFolder() if local else None
        place = self._folder.path if self._folder else "pct_jobs"
        self._executor = submitit.AutoExecutor(folder=str(place), cluster="local" if local else "slurm")
        self._executor.update_parameters(timeout_min=MINUTES, name="pct")
        if not local:
            threads = int(workers.environment["OMP_NUM_THREADS"])
            exports = [f"export {name}={value}" for name, value in workers.environment.items()]
            self._executor.update_parameters(cpus_per_task=threads, slurm_setup=exports)
            if workers.address:
                self._executor.update_parameters(slurm_partition=workers.address)

    def run(self, function: str, arguments: Sequence[str], alone: int = 0) -> Iterator[Answer]:
        """The answers as they come; see `pct.executors.base.Executor`."""
        for numbers in (range(alone), range(alone, len(arguments))):
            waiting, tries = list(numbers), dict.fromkeys(numbers, 0)
            running: dict[int, Any] = {}
            while waiting or running:
                while waiting and len(running) < self._count:
                    number = waiting.pop(0)
                    job = self._executor.submit(call, function, arguments[number])
                    self._jobs.append(job)
                    running[number] = job
                for number, job in [(n, job) for n, job in running.items() if job.done()]:
                    del running[number]
                    tries[number] += 1
                    error = job.exception()
                    if error is None:
                        yield Answer(number, job.result())
                    elif tries[number] <= RETRIES:
                        waiting.append(number)
                    else:
                        last = str(error).strip().splitlines()[-1:] or [repr(error)]
                        yield Answer(number, None, f"its job failed {tries[number]} times: {last[0]}")
                if running:
                    time.sleep(LOOK if self._folder is None else LOOK / 10)

    def close(self) -> None:
        """Cancel what still runs."""
        for job in self._jobs:
            if not job.done():
                job.cancel()
        if self._folder is not None:
            self._folder.remove()
