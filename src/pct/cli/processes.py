"""Several processes that train together, over JAX's own distributed runtime."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pct.cli.config import TrainConfig
from pct.errors import PctError, UsageError

# A process that was not heard of for so long counts as dead, in s.
SILENCE = 20


def join(args: TrainConfig, jax: Any) -> None:
    """Connect with the other processes, where flags or environment say that there are any.

    Raises:
        UsageError: one of address, count and number is missing, or they do not fit.
        PctError: the others cannot be reached.
    """
    address = args.coordinator or os.environ.get("PCT_COORDINATOR")
    count = _number("PCT_NUM_PROCESSES", args.num_processes)
    number = _number("PCT_PROCESS_ID", args.process_id)
    if address is None and count is None and number is None:
        return
    if address is None or count is None or number is None:
        raise UsageError(
            "--coordinator, --num-processes and --process-id belong together: "
            f"got {address}, {count} and {number}"
        )
    if not number < count:
        raise UsageError(f"--process-id {number}: expected 0 ... {count - 1} with --num-processes {count}")
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            address, count, number, initialization_timeout=60, heartbeat_timeout_seconds=SILENCE
        )
    except Exception as error:
        raise PctError(
            f"process {number} of {count}: could not meet the others at {address} "
            f"({str(error).splitlines()[0]}): start all processes within a minute, with the same address"
        ) from None


@contextmanager
def others_may_end(jax: Any) -> Iterator[None]:
    """Turn the failure of a sum over all processes into a message."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if jax.process_count() == 1:
            raise
        raise PctError(
            f"process {jax.process_index()} of {jax.process_count()}: another process ended or cannot be "
            f"reached ({str(error).splitlines()[0][:120]}): start all again with --resume RUN"
        ) from None


def _number(variable: str, flag: int | None) -> int | None:
    text = os.environ.get(variable)
    if flag is not None or text is None:
        return flag
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{variable}={text}: expected a whole number") from None
