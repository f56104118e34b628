"""Processes that this package starts run nothing of the working directory, and do not outlive it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from logs.readers.conftest import write
from pct.children import environment, python_command, search_path, started_safely

SOURCE = str(Path(__file__).parent.parent / "src")
# What Python, multiprocessing, the readers and we import.
NAMES = (
    "asammdf", "contextlib", "json", "multiprocessing", "numexpr", "numpy", "pandas", "pct", "pickle",
    "polars", "random", "resource", "rosbags", "selectors", "signal", "sitecustomize", "sympy", "tempfile",
    "threading",
)  # fmt: skip
# Time for the last of a group to see that it is alone, in s; usually a fraction of one.
SOON = 10.0


def pct(
    *arguments: object, folder: Path, safe: bool = True, output: int = subprocess.PIPE
) -> subprocess.Popen[str]:
    """The command from a folder, which as with the installed program is not on the search path."""
    return subprocess.Popen(
        [sys.executable, *(["-P"] if safe else []), "-m", "pct", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": SOURCE},
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def drive(path: Path, rows: int = 300) -> None:
    t = 0.05 * np.arange(rows)
    psi = 0.6 * t
    columns = {"t": t, "x": 5 * np.sin(psi), "y": 5 - 5 * np.cos(psi), "psi": psi, "v": 3 + 0 * t}
    pl.DataFrame({**columns, "delta": 0.1 * np.sin(t)}).write_csv(path)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder of logs with modules that leave a trace beside it."""
    folder = tmp_path / "logs"
    folder.mkdir()
    for name in NAMES:
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / name)!r}, 'w').close()\n")
    drive(folder / "a.csv")
    drive(folder / "b.csv")
    for kind in ("mdf", "mcap"):
        write(kind, folder)
    (folder / "c.json").write_text('{"t": [0, 1, 2], "v": [1, 2, 3]}')
    return folder


def ran(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.parent.iterdir() if path.name in NAMES)


@pytest.mark.parametrize(
    "command",
    [
        "data import a.csv b.csv log.mf4 --map plain-csv --processes 2 --output ../out",
        "data check log.mcap log.mf4 c.json --map plain-csv",
        "data map log.mf4",
    ],
)
def test_modules_in_a_folder_of_logs_are_not_run(hostile: Path, command: str) -> None:
    process = pct(*command.split(), folder=hostile)
    output, _ = process.communicate(timeout=120)
    assert ran(hostile) == []
    # It came as far as to the logs.
    assert process.returncode in (0, 3, 5, 6)
    assert "log." in output


def test_the_module_drops_the_working_directory_before_it_imports(tmp_path: Path) -> None:
    """Python itself looks there for what it imports before us; that is said in the README."""
    for name in ("tyro", "rich", "numpy"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    drive(tmp_path / "a.csv")
    process = pct("data", "map", "a.csv", folder=tmp_path, safe=False)
    output, _ = process.communicate(timeout=120)
    assert not (tmp_path / "ran").exists()
    assert process.returncode == 0, output


def test_the_search_path_of_a_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", ["", ".", "relative", tmp_path, *sys.path])
    monkeypatch.setenv("PYTHONPATH", ":/somewhere:relative")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "colorsys.py").write_text("raise SystemExit(7)")
    assert not {"", ".", "relative"} & set(search_path())
    assert environment()["PYTHONPATH"] == "/somewhere"
    with started_safely():
        assert (sys.path, os.environ["PYTHONPATH"]) == (search_path(), "/somewhere")
        assert os.environ["PYTHONSAFEPATH"] == "1"
    assert (sys.path[0], os.environ["PYTHONPATH"]) == ("", ":/somewhere:relative")
    assert "PYTHONSAFEPATH" not in os.environ
    command = python_command("colorsys", "hls_to_rgb", "1")
    assert subprocess.run(command, env=environment(), capture_output=True).returncode == 1  # of TypeError


def members(group: int) -> list[str]:
    """Commands of the processes of a group that are not over."""
    found = []
    for folder in Path("/proc").iterdir():
        try:
            state, _, member = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            if member == str(group) and state != "Z":
                found.append((folder / "cmdline").read_text())
        except (OSError, ValueError):
            continue
    return found


def until(done: Callable[[], bool]) -> bool:
    end = time.monotonic() + SOON
    while not done() and time.monotonic() < end:
        time.sleep(0.02)
    return done()


READ_WITHOUT_END = """
import sys
from pathlib import Path
from pct.logs.readers import apart
sys.path.insert(0, sys.argv[1])
apart.read_apart(Path(sys.argv[1]), None, "endless", {})
"""


@pytest.fixture
def group() -> Iterator[list[int]]:
    """Numbers of groups of processes that are killed at last."""
    groups: list[int] = []
    yield groups
    for number in groups:
        if members(number):
            os.killpg(number, signal.SIGKILL)


def test_a_reader_at_work_goes_with_its_parent(tmp_path: Path, group: list[int]) -> None:
    mark = tmp_path / "begun"
    (tmp_path / "endless.py").write_text(
        "import tempfile\n"
        "def read_here(*_):\n"
        f"    open({str(mark)!r}, 'w').write(tempfile.mkdtemp())\n"
        "    while True: pass\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", READ_WITHOUT_END, tmp_path],
        env={**os.environ, "PYTHONPATH": SOURCE},
        start_new_session=True,
    )
    group.append(process.pid)
    assert until(mark.exists)
    assert len(members(process.pid)) == 2
    process.kill()
    process.wait()
    assert until(lambda: not members(process.pid))
    assert not Path(mark.read_text()).exists()


def test_workers_of_an_import_go_with_it(tmp_path: Path, group: list[int]) -> None:
    for name in "abc":
        drive(tmp_path / f"{name}.csv", rows=100_000)
    flags = ("--map", "plain-csv", "--processes", "2", "--output", "out")
    logs = (tmp_path / f"{name}.csv" for name in "abc")
    process = pct("data", "import", *logs, *flags, folder=tmp_path, output=subprocess.DEVNULL)
    group.append(process.pid)
    workers = "from pct.executors.local import serve"
    assert until(lambda: sum(workers in command for command in members(process.pid)) == 2)
    process.kill()
    process.wait()
    assert until(lambda: not members(process.pid))
