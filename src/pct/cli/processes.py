"""Several processes that train together, over JAX's own distributed runtime.

Process 0 serves the others. JAX aborts a process, with a stack trace and no advice, when one of them does
not come, or when its connection to process 0 closes. So the processes meet here first, over a line of their
own by which each notices the end of the other; and JAX's connections go through threads that keep the near
end open when the far end is gone.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from pct.cli.config import TrainConfig, shared_flags
from pct.errors import DataError, PctError, UsageError

# Time for all processes to be started, in s.
MEETING = 60
# A process whose machine does not answer for so long counts as gone, in s.
SILENCE = 20
# Time for the sum that a process takes part in to fail, which ends it in better order, in s.
GRACE = 5
# Time that process 0 may take for summaries and plots while the others wait for it, in s.
CONCLUSION = 24 * 3600


def join(args: TrainConfig, jax: Any) -> Others:
    """Connect with the other processes, where flags or environment say that there are any.

    Raises:
        UsageError: one of address, count and number is missing, or they do not fit; or another process
            was started with other flags.
        PctError: the others cannot be reached.
    """
    address = args.coordinator or os.environ.get("PCT_COORDINATOR")
    count = _number("PCT_NUM_PROCESSES", args.num_processes)
    number = _number("PCT_PROCESS_ID", args.process_id)
    if address is None and count is None and number is None:
        return Others(0, 1)
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
    others = Others(number, count)
    atexit.register(others.at_exit)  # runs before JAX's own, which was registered when it was imported
    try:
        service = others.meet((host.strip("[]"), int(port)), shared_flags(args))
    except OSError as error:
        raise PctError(
            f"process {number} of {count}: could not meet the others at {address} ({error}): "
            f"start all processes within {MEETING} s, with the same address"
        ) from None
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_enable_preemption_service", False)  # SIGTERM is ours, see stopping.py
    jax.distributed.initialize(
        service,
        count,
        number,
        shutdown_timeout_seconds=CONCLUSION,
        coordinator_bind_address=service,
    )
    return others


class Others:
    """The other processes, as far as this one has to do with them."""

    def __init__(self, number: int, count: int) -> None:
        self._number, self._count = number, count
        self._needed = count > 1
        self._gone = False
        self._leaving = False
        self._code = 1

    def meet(self, address: tuple[str, int], flags: dict[str, Any]) -> str:
        """Wait until all processes are there.

        Args:
            address: host and port of process 0.
            flags: those that have to be the same everywhere.

        Returns:
            The address at which JAX of this process finds the service of process 0.

        Raises:
            OSError: not all came.
            UsageError: one was started with other flags.
        """
        if self._number == 0:
            dual = socket.has_dualstack_ipv6()
            family = socket.AF_INET6 if dual else socket.AF_INET
            gate = socket.create_server(("", address[1]), family=family, dualstack_ipv6=dual)
            lines = self._gather(gate, flags)
            service = ("127.0.0.1", _free_port())
            _start(_carry, gate, service, inwards=True)
        else:
            lines = self._report(address, flags)
            gate = socket.create_server(("127.0.0.1", 0))
            service = gate.getsockname()
            _start(_carry, gate, address, inwards=False)
        for line in lines:
            _notice_silence(line)
            _start(self._watch, line)
        return f"{service[0]}:{service[1]}"

    @contextlib.contextmanager
    def needed(self, jax: Any) -> Iterator[None]:
        """For what is done together; afterwards each can do alone.

        Raises:
            PctError: another process ended.
        """
        with self._together(jax):
            yield
        self._needed, self._code = False, 0

    def agree(self, jax: Any, what: str, mine: object) -> None:
        """Make sure that all processes hold the same of something that is read from files.

        Raises:
            DataError: they do not.
        """
        if self._count == 1:
            return
        from jax.experimental.multihost_utils import process_allgather

        digest = hashlib.sha256(repr(mine).encode()).digest()
        with self._together(jax):
            digests = process_allgather(np.frombuffer(digest, np.uint8))
        if (digests != digests[0]).any():
            raise DataError(f"{what} differs between the processes: give all of them the same files")

    def leave(self, error: BaseException) -> None:
        """Note the exit code of an error, for a process that leaves before the others are done with it."""
        code = 130 if isinstance(error, KeyboardInterrupt) else getattr(error, "code", 1)
        self._code = getattr(error, "exit_code", code)

    def at_exit(self) -> None:
        """Wait for each other where all is well; else leave at once, so that the others notice."""
        if self._needed or self._gone:
            self._exit()
        self._leaving = True

    @contextlib.contextmanager
    def _together(self, jax: Any) -> Iterator[None]:
        """Turn the failure of a sum over all processes into a message."""
        try:
            yield
        except jax.errors.JaxRuntimeError as error:
            if self._count == 1:
                raise
            raise PctError(self._farewell(str(error).partition(":")[2].partition(":")[0])) from None

    def _gather(self, gate: socket.socket, flags: dict[str, Any]) -> list[socket.socket]:
        """Process 0: a line to each of the others."""
        lines: dict[int, socket.socket] = {}
        last = time.monotonic() + MEETING
        while missing := {*range(1, self._count)} - {*lines}:
            gate.settimeout(max(1e-3, last - time.monotonic()))
            try:
                line, _ = gate.accept()
            except TimeoutError:
                raise OSError(f"process {min(missing)} did not come") from None
            said = _read(line)
            if said.get("number") not in missing:  # not one of ours
                line.close()
                continue
            lines[said["number"]] = line
            wrong = [flag for flag, value in flags.items() if said["flags"].get(flag) != value]
            if said["count"] != self._count:
                wrong.append("--num-processes")
            if wrong:
                refusal = (
                    f"{wrong[0]} differs between process 0 and process {said['number']}: start all alike"
                )
                for line in lines.values():
                    _write(line, refusal=refusal)
                raise UsageError(refusal)
        gate.settimeout(None)
        for line in lines.values():
            _write(line, welcome=True)
        return [*lines.values()]

    def _report(self, address: tuple[str, int], flags: dict[str, Any]) -> list[socket.socket]:
        """Any other: its line to process 0."""
        line = _dial(address)
        _write(line, number=self._number, count=self._count, flags=flags)
        answer = _read(line)
        if "refusal" in answer:
            raise UsageError(answer["refusal"])
        if not answer:
            raise OSError("process 0 did not take this one in")
        return [line]

    def _watch(self, line: socket.socket) -> None:
        """Leave when the process at the other end is gone."""
        with contextlib.suppress(OSError):
            line.recv(1)  # nothing is said any more
        self._gone = True
        time.sleep(GRACE)
        if self._needed:
            print(f"error: {self._farewell('its line closed')}", file=sys.stderr, flush=True)
        if self._needed or self._leaving:
            self._exit()

    def _farewell(self, why: str) -> str:
        return (
            f"process {self._number} of {self._count}: another process ended or cannot be reached "
            f"({why.strip()}): start all again with --resume and the run folder that process 0 named"
        )

    def _exit(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(self._code)


def _carry(gate: socket.socket, target: tuple[str, int], *, inwards: bool) -> None:
    """Join every connection that comes in with one to the target."""
    while True:
        accepted, _ = gate.accept()
        try:
            dialled = _dial(target)
        except OSError:
            accepted.close()
            continue
        near, far = (dialled, accepted) if inwards else (accepted, dialled)
        _start(_pass_on, near, far, close=True)
        _start(_pass_on, far, near, close=False)  # JAX is not to know


def _pass_on(source: socket.socket, sink: socket.socket, *, close: bool) -> None:
    """Send on what comes, until there is no more."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        if close:
            sink.shutdown(socket.SHUT_RDWR)


def _start(target: Any, *args: Any, **kwargs: Any) -> None:
    threading.Thread(target=target, args=args, kwargs=kwargs, daemon=True).start()


def _dial(target: tuple[str, int]) -> socket.socket:
    """A connection to the target, which may yet have to be started."""
    last = time.monotonic() + MEETING
    while True:
        try:
            return socket.create_connection(target)
        except OSError:
            if time.monotonic() > last:
                raise
            time.sleep(0.1)


def _write(line: socket.socket, **said: Any) -> None:
    line.sendall(json.dumps(said).encode() + b"\n")


def _read(line: socket.socket) -> dict[str, Any]:
    """What the other end says; empty where it is gone, silent or not one of ours."""
    line.settimeout(MEETING)
    said = b""
    try:
        while not said.endswith(b"\n") and (data := line.recv(65536)):
            said += data
        return dict(json.loads(said))
    except (OSError, ValueError, TypeError):
        return {}
    finally:
        line.settimeout(None)


def _notice_silence(line: socket.socket) -> None:
    """Let the system close a line whose other machine is gone."""
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    options = {"TCP_KEEPIDLE": SILENCE // 2, "TCP_KEEPINTVL": 2, "TCP_KEEPCNT": SILENCE // 4}
    for name, value in options.items():
        if hasattr(socket, name):  # not every system has all
            line.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _number(variable: str, flag: int | None) -> int | None:
    text = os.environ.get(variable)
    if flag is not None or text is None:
        return flag
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{variable}={text}: expected a whole number") from None
