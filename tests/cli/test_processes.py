"""Two processes train as one does; where one ends, the other says so within a minute, and the run goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np
import pytest
from flax import serialization

from pct.cli.processes import join
from pct.cli.train_config import TrainRunFlags
from pct.errors import UsageError

FLAGS = [
    *("--model", "unicycle", "--model-hidden", "8", "--horizon", "3", "--history", "4"),
    *("--batch-size", "8", "--samples", "37", "--integrator", "euler", "--substeps", "1"),
    *("--no-history-fit", "--no-analysis"),
]
PROGRAM = "from pct.cli import main; main.main()"
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(data: Path, environment: dict[str, str]) -> Iterator[Start]:
    """``start(results, number, *flags)``: `pct train` as one of two processes; None: on its own."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    started = []

    def run(results: Path, number: int | None, *flags: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", PROGRAM, "train", "--dataset", data / "train", *FLAGS]
        command += ["--val-dataset", data / "val", "--results", results, *flags]
        shared = {}
        if number is not None:
            shared = {"PCT_COORDINATOR": f"127.0.0.1:{port}", "PCT_NUM_PROCESSES": "2"}
            shared["PCT_PROCESS_ID"] = str(number)
        started.append(
            subprocess.Popen(
                [*map(str, command)],
                env=environment | shared,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield run
    for process in started:
        with process:
            process.kill()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit code and what was said on stderr."""
    told = process.communicate(timeout=120)[1]
    return process.returncode, told


def losses(run: Path) -> list[float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [line[name] for line in lines for name in ("train/loss", "val/loss") if name in line]


def only_run(results: Path) -> Path:
    (run,) = (results / "unicycle").iterdir()
    return run


def test_two_processes_train_as_one(start: Start, tmp_path: Path) -> None:
    alone = start(tmp_path / "alone", None, "--epochs", "4")
    assert ended(alone)[0] == 0
    both = [start(tmp_path / "both", number, "--epochs", "4") for number in (0, 1)]
    assert [ended(process)[0] for process in both] == [0, 0]
    one, two = (only_run(tmp_path / name) for name in ("alone", "both"))
    np.testing.assert_allclose(losses(two), losses(one), rtol=1e-4)
    weights = [
        jax.tree.leaves(serialization.msgpack_restore((run / "pct_model_params.msgpack").read_bytes()))
        for run in (one, two)
    ]
    for expected, found in zip(*weights, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5)


# 127.0.0.1 as Linux shows it (that of IPv6 ends with it), and the state of a socket that listens.
LOOPBACK, LISTENS = "0100007F", "0A"


def listening(process: subprocess.Popen[str]) -> set[str]:
    """Addresses, in hexadecimal, at which a process can be reached."""
    links = [os.readlink(link) for link in Path(f"/proc/{process.pid}/fd").iterdir()]
    sockets = {link.removeprefix("socket:[").removesuffix("]") for link in links}
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{process.pid}/net/{table}").read_text().splitlines()[1:]
    ]
    return {row[1].rpartition(":")[0] for row in rows if row[3] == LISTENS and row[9] in sockets}


# The same watcher sees either; to lose process 0, which the others meet at, is the harder case.
@pytest.mark.parametrize("killed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_the_other_says_that_one_ended_and_the_run_goes_on(start: Start, tmp_path: Path, killed: int) -> None:
    both = [start(tmp_path, number, "--epochs", "100000") for number in (0, 1)]
    deadline = time.monotonic() + 100
    while not list(tmp_path.glob("unicycle/*/checkpoints/*")) and time.monotonic() < deadline:
        assert [process.poll() for process in both] == [None, None]
        time.sleep(0.1)
    addresses = {address for process in both for address in listening(process)}
    assert addresses
    assert all(address.endswith(LOOPBACK) for address in addresses)
    both[killed].send_signal(signal.SIGKILL)
    since = time.monotonic()
    code, told = ended(both[1 - killed])
    assert time.monotonic() - since < 60
    assert code != 0
    # JAX may print a stack trace of its own around it.
    (said,) = {line.partition("(")[0] for line in told.splitlines() if line.startswith("error: ")}
    assert said.startswith(f"error: process {1 - killed} of 2: another process did not come, ended or")
    assert "start all again, with --resume" in told
    assert ended(both[killed])[0] == -signal.SIGKILL
    run = only_run(tmp_path)
    done = losses(run)
    more = ("--resume", run, "--epochs", "100000")
    again = [start(tmp_path, number, *more) for number in (0, 1)]
    while len(losses(run)) < len(done) + 20 and time.monotonic() < deadline:
        assert [process.poll() for process in again] == [None, None]
        time.sleep(0.1)
    again[1].terminate()  # one is told, both stop
    assert [ended(process)[0] for process in again] == [130, 130]
    kept = losses(run)
    # Steps of an epoch that was cut short are done again, with the same losses.
    assert kept[: len(done)] == done
    assert len(kept) > len(done)


def test_other_flags_are_refused(start: Start, tmp_path: Path) -> None:
    both = [start(tmp_path, number, "--lr", f"1e-{number + 2}") for number in (0, 1)]
    for code, told in map(ended, both):
        assert code == 2
        assert "--lr differs between the processes" in told.splitlines()[-1]
    assert not (tmp_path / "unicycle").exists()


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1:{taken}", "in use"),
        ("192.0.2.1:23456", "assign"),
        ("no.invalid:23456", ""),
    ],
)
def test_an_address_where_nobody_can_listen(address: str, reason: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        args = TrainRunFlags(
            coordinator=address.format(taken=server.getsockname()[1]), num_processes=2, process_id=0
        )
        with pytest.raises(UsageError, match=f"process 0 cannot listen there.*{reason}.*free port"):
            join(args, jax)


@pytest.mark.slow
def test_a_process_that_never_comes(start: Start, tmp_path: Path) -> None:
    code, told = ended(start(tmp_path, 0))
    assert code != 0
    assert told.splitlines()[-1].startswith("error: process 0 of 2: another process did not come")
