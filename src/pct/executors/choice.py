"""The executors by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable

from pct.errors import UsageError
from pct.executors.base import Executor, Workers
from pct.executors.dask import DaskExecutor
from pct.executors.local import LocalExecutor
from pct.executors.ray import RayExecutor
from pct.executors.slurm import SlurmExecutor
from pct.interpreter import cores, threads

EXECUTORS: dict[str, Callable[[Workers], Executor]] = {
    "local": LocalExecutor,
    "dask": DaskExecutor,
    "ray": RayExecutor,
    "slurm": SlurmExecutor,
}
# Tasks are fits, which compute on the CPU; several processes could not share a GPU's memory anyway.
ENVIRONMENT = {"JAX_PLATFORMS": "cpu"}


def open_executor(text: str, workers: int | None = None) -> Executor:
    """An executor with its workers; the cores of this machine are shared among them.

    Args:
        text: ``local``, ``dask``, ``ray`` or ``slurm``; ``NAME=ADDRESS`` takes workers that are there
            already (a scheduler of Dask, a cluster of Ray), or a partition of SLURM.
        workers: how many tasks run at once; one a core when left out.

    Raises:
        UsageError: there is no such executor, or its package is not installed.
    """
    name, _, address = text.partition("=")
    if name not in EXECUTORS:
        near = difflib.get_close_matches(name, EXECUTORS, 1)
        hint = f"did you mean '{near[0]}'?" if near else f"expected one of {', '.join(EXECUTORS)}"
        raise UsageError(f"`executor={text}`: unknown executor '{name}': {hint}")
    count = workers or cores()
    environment = {**ENVIRONMENT, **threads(max(1, cores() // count))}
    return EXECUTORS[name](Workers(count, environment, address))
