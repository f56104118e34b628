"""What a killed process leaves is removed by the next one; what the living work on is left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from pct.files import TemporaryFolder, leftovers, new_folder, sweep, temporary_folder, write_atomic
from pct.files.leftovers import MACHINE, new_file

# Begins a file, a folder and a temporary folder, starts a program that outlives it, and waits.
WORK = """
    import subprocess, sys
    from pathlib import Path
    from pct.files import new_folder, temporary_folder, write_atomic
    place = Path(sys.argv[1])
    with temporary_folder() as folder, new_folder(place / "set") as building:
        (folder / "one").write_text("1")
        (building / "two").write_text("2")
        subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], close_fds=False)
        def write(file):
            file.write(b"half")
            file.flush()
            print("ready", flush=True)
            sys.stdin.read()
        write_atomic(place / "car.c", write)
"""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A process at work in ``tmp_path/place``, with temporary files in ``tmp_path/tmp``."""
    for name in ("place", "tmp"):
        (tmp_path / name).mkdir()
    command = [sys.executable, "-c", textwrap.dedent(WORK), str(tmp_path / "place")]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.stdin.close()  # ends the program that it started
    process.stdout.close()
    process.wait()


def test_leftovers_go_once_their_owner_is_dead(
    worker: subprocess.Popen[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, tmp = tmp_path / "place", tmp_path / "tmp"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp))
    at_work = sorted(os.listdir(place))
    assert [name.partition(MACHINE)[0] for name in at_work] == [".car.c.", ".set."]
    assert len(os.listdir(tmp)) == 1
    # A process beside it leaves them alone.
    write_atomic(place / "other", b"1")
    with temporary_folder():
        assert len(os.listdir(tmp)) == 2
    assert sorted([*at_work, "other"]) == sorted(os.listdir(place))
    worker.kill()
    worker.wait()
    # The program that it started lives on and has inherited no lock. The next start:
    monkeypatch.setattr(leftovers, "_swept", set())
    write_atomic(place / "other", b"2")
    assert os.listdir(place) == ["other"]
    with temporary_folder():
        assert len(os.listdir(tmp)) == 1
    assert os.listdir(tmp) == []


def test_a_new_folder_sweeps_beside_itself(tmp_path: Path) -> None:
    dead = tmp_path / f".set.{MACHINE}00000000"
    dead.mkdir()
    (dead / "part").write_text("")
    with new_folder(tmp_path / "another"):
        assert not dead.exists()


def test_what_may_be_of_others_is_left(tmp_path: Path) -> None:
    of_others = [
        ".set.tmp",
        ".gitignore",
        ".a.0123456789abcd.tmp",  # of another machine, whose locks may not be seen here
        f"set.{MACHINE}00000000",
        f".set.{MACHINE}00000000.txt",
        f".set.{MACHINE}0000000g",
    ]
    for name in of_others:
        (tmp_path / name).write_text("")
    assert sweep(tmp_path) == []
    assert sorted(os.listdir(tmp_path)) == sorted(of_others)


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "log.csv").write_text("t")
    (tmp_path / f".set.{MACHINE}00000000").symlink_to(tmp_path / "own")
    sweep(tmp_path)
    assert os.listdir(tmp_path / "own") == ["log.csv"]


def test_what_another_user_left_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    path = tmp_path / f".set.{MACHINE}00000000.tmp"
    path.write_text("")
    sweep(tmp_path)
    assert path.exists()


def test_without_locks_nothing_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pct.files import locks

    def missing(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(locks.fcntl, "flock", missing)
    path = tmp_path / f".set.{MACHINE}00000000.tmp"
    path.write_text("")
    write_atomic(tmp_path / "file", b"1")
    with new_folder(tmp_path / "folder"):
        pass
    assert sorted(os.listdir(tmp_path)) == sorted([path.name, "file", "folder"])


def test_a_folder_is_listed_once_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[Path] = []
    monkeypatch.setattr(leftovers, "sweep", listed.append)
    for number in range(3):
        write_atomic(tmp_path / f"{number}", b"")
    assert listed == [tmp_path]


def test_what_is_swept_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the making of a file and its lock another process may take it for dead."""
    real, times = leftovers.lock, iter([True, False])

    def lock(handle: int) -> bool:
        if next(times):
            monkeypatch.setattr(leftovers, "lock", real)
            sweep(tmp_path)
            monkeypatch.setattr(leftovers, "lock", lock)
        return real(handle)

    monkeypatch.setattr(leftovers, "lock", lock)
    path, handle = new_file(tmp_path, "a")
    assert os.listdir(tmp_path) == [path.name]
    os.close(handle)


def test_temporary_folders_go_with_their_holder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first, second = TemporaryFolder(), TemporaryFolder()
    assert first.path.parent == second.path.parent
    assert first.path.parent.stat().st_mode & 0o777 == 0o700
    del first
    assert second.path.is_dir()
    assert len(os.listdir(second.path.parent)) == 1
    del second
    assert os.listdir(tmp_path) == []
