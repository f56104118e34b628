"""Several processes that train together, over JAX's own distributed runtime.

Where another process does not come, ends or falls silent, JAX either raises an error from the sum that both
take part in, which becomes a message here, or aborts this process with a stack trace. A small program
watches for the latter and says what to do. The processes do not authenticate each other: on trusted networks
only.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pct.cli import console
from pct.cli.train_config import NUM_PROCESSES, PROCESS_ID, TrainRunFlags
from pct.errors import DataError, PctError, UsageError
from pct.within import Within

# Time for all processes to be started, in s.
MEETING = 60
# A process that does not answer for so long counts as gone, in s.
SILENCE = 20
# Process 0 serves the others: with an error that is theirs too, it leaves this much later, in s.
GRACE = 1
# Waits for the end of its standard input; says its argument unless something was written there before.
WATCH = "import sys; sys.stdin.buffer.read() or sys.exit(sys.argv[1])"
# What messages of sums over several processes name.
COLLECTIVES = ("Gloo", "NCCL")


def join(args: TrainRunFlags, jax: Any) -> Group:
    """Connect with the other processes, where flags or environment say that there are any.

    Raises:
        UsageError: one of address, count and number is missing, or they do not fit.
    """
    address = args.coordinator or os.environ.get("PCT_COORDINATOR")
    count = _number("PCT_NUM_PROCESSES", NUM_PROCESSES, args.num_processes)
    number = _number("PCT_PROCESS_ID", PROCESS_ID, args.process_id)
    if address is None and count is None and number is None:
        return Group(0, 1, jax)
    if address is None or count is None or number is None:
        raise UsageError(
            "--coordinator, --num-processes and --process-id belong together: "
            f"got {address}, {count} and {number}"
        )
    if not 0 <= number < count:
        raise UsageError(f"--process-id {number}: expected 0 ... {count - 1} with --num-processes {count}")
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"--coordinator {address}: expected HOST:PORT, e.g. 192.168.1.7:23456")
    group = Group(number, count, jax)
    if count > 1:
        group.meet(address)
    return group


class Group:
    """This process among those that train together; also where it is the only one."""

    def __init__(self, number: int, count: int, jax: Any) -> None:
        self._number, self._count, self._jax = number, count, jax
        self._together = False
        self._code = 1

    def meet(self, address: str) -> None:
        """Wait until all processes are there; JAX aborts where they are not in time.

        Process 0 listens at this address and no other one.

        Raises:
            UsageError: it is no address of this machine, or taken.
        """
        if self._number == 0:
            _require_free(address)
        watch = subprocess.Popen(
            [sys.executable, "-Ic", WATCH, f"error: {self._farewell('see above')}"],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is not for it
        )
        self._together = True
        # Runs before what JAX does at exit, which was registered when it was imported.
        atexit.register(self._at_exit, watch)
        self._jax.config.update("jax_cpu_collectives_implementation", "gloo")
        self._jax.config.update("jax_enable_preemption_service", False)  # SIGTERM is ours, see stopping.py
        self._jax.distributed.initialize(
            address,
            self._count,
            self._number,
            coordinator_bind_address=address if self._number == 0 else None,
            initialization_timeout=MEETING,
            heartbeat_timeout_seconds=SILENCE,
        )

    def agree_on_flags(self, flags: Mapping[str, Any]) -> None:
        """Raise UsageError where the processes were started with different flags."""
        mine = np.stack([_digest((flag, value)) for flag, value in flags.items()])
        theirs = self._gather(mine)
        for flag, differs in zip(flags, (theirs != theirs[0]).any(axis=(0, 2)), strict=True):
            if differs:
                raise UsageError(f"{flag} differs between the processes: start all with the same flags")

    def agree(self, what: str, mine: object) -> None:
        """Raise DataError where the processes hold different values of something read from files."""
        theirs = self._gather(_digest(mine))
        if (theirs != theirs[0]).any():
            raise DataError(f"{what} differs between the processes: give all of them the same files")

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """For what is done together; afterwards each goes on alone.

        Raises:
            PctError: another process ended.
        """
        with self._sums():
            yield
        if self._together:
            self._jax.distributed.shutdown()
            self._together = False

    def leave(self, error: BaseException) -> None:
        """Note the exit code of an error that ends this process before the others are done with it."""
        code = 130 if isinstance(error, KeyboardInterrupt) else getattr(error, "code", 1)
        self._code = getattr(error, "exit_code", code)

    def _gather(self, mine: np.ndarray) -> np.ndarray:
        """The array of every process, in their order."""
        if not self._together:
            return mine[None]
        from jax.experimental.multihost_utils import process_allgather

        with self._sums():
            return np.asarray(process_allgather(mine))

    @contextlib.contextmanager
    def _sums(self) -> Iterator[None]:
        """Turn the failure of a sum over all processes into a message."""
        try:
            yield
        except (self._jax.errors.JaxRuntimeError, ValueError) as error:
            if not any(name in str(error) for name in COLLECTIVES):
                raise
            reason = str(error).rpartition("]")[0].rpartition("]")[2].partition("[")[0].strip()
            raise PctError(self._farewell(reason or "its connection closed")) from None

    def _farewell(self, why: str) -> str:
        return (
            f"process {self._number} of {self._count}: another process did not come, ended or cannot be "
            f"reached ({why}): start all again, with --resume and the run folder if process 0 named one"
        )

    def _at_exit(self, watch: subprocess.Popen[bytes]) -> None:
        """All was said; and where the others still count on this process, let them notice at once."""
        watch.communicate(b".")
        if self._together:
            console.flush()
            if self._number == 0:
                time.sleep(GRACE)
            os._exit(self._code)


def _require_free(address: str) -> None:
    """Refuse an address at which this process cannot listen; of JAX the process would die without a word."""
    host, _, port = address.rpartition(":")
    name = host.removeprefix("[").removesuffix("]")
    try:
        family, kind, _, _, place = socket.getaddrinfo(name, int(port), type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
            probe.listen()
    except OSError as error:
        raise UsageError(
            f"--coordinator {address}: process 0 cannot listen there ({error.strerror}): "
            "give an address of the machine of process 0, and a free port"
        ) from None


def _digest(value: object) -> np.ndarray:
    """Hash of a value's text, 32 bytes."""
    return np.frombuffer(hashlib.sha256(repr(value).encode()).digest(), np.uint8)


def _number(variable: str, within: Within, flag: int | None) -> int | None:
    text = os.environ.get(variable)
    if flag is not None or text is None:
        return flag
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
    if number not in within:
        raise UsageError(f"{variable}={text[:40]}: expected {within}")
    return number
