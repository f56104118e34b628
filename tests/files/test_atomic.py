"""Files and folders are written whole or not at all, with the rights that the umask leaves."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from pct.errors import DataError
from pct.files import Lock, new_folder, write_atomic, write_output
from pct.files.leftovers import MACHINE


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_umask_decides_who_may_read(umask: int, tmp_path: Path) -> None:
    former = os.umask(umask)
    try:
        write_atomic(tmp_path / "file", b"1")
        with new_folder(tmp_path / "folder") as building:
            (building / "one").write_text("")
    finally:
        os.umask(former)
    assert mode(tmp_path / "file") == 0o666 & ~umask
    assert mode(tmp_path / "folder") == 0o777 & ~umask


def test_the_umask_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is one for all threads: between two changes another thread would write files for everybody."""
    monkeypatch.setattr(os, "umask", lambda _: pytest.fail("the umask was changed"))
    write_atomic(tmp_path / "file", b"1")
    with new_folder(tmp_path / "folder"):
        pass


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, os.fsdecode(b"\xff" * 255), "a\nb", "[1]?#%"])
def test_every_name_that_the_system_takes(name: str, tmp_path: Path) -> None:
    write_atomic(tmp_path / name, b"1")
    write_atomic(tmp_path / name, b"2")
    assert (tmp_path / name).read_bytes() == b"2"
    with new_folder(tmp_path / "inside" / name) as building:
        assert building.name.startswith(".")
    assert names(tmp_path / "inside") == [name]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def fail(file: Any) -> None:
        file.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_atomic(path, fail)
    with pytest.raises(DataError, match=r"cannot write \(File name too long\)"):
        write_output(tmp_path / ("n" * 256), b"")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_a_file_under_work_has_a_name_that_says_so(tmp_path: Path) -> None:
    seen: list[str] = []
    write_atomic(tmp_path / "car.c", lambda file: seen.extend(names(tmp_path)))
    (name,) = seen
    assert name.startswith(f".car.c.{MACHINE}")
    assert name.endswith(".tmp")


@pytest.mark.parametrize("kind", ["file", "empty folder", "link to nothing"])
def test_a_name_that_is_taken_meanwhile_is_not_taken_away(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "set"

    def take() -> None:
        if kind == "file":
            target.write_text("of another")
        elif kind == "empty folder":
            target.mkdir()
        else:
            target.symlink_to("nowhere")

    def build() -> None:
        with new_folder(target) as building:
            (building / "one").write_text("1")
            take()

    with pytest.raises(DataError, match="expected a new folder, found an existing one"):
        build()
    assert names(tmp_path) == ["set"]
    with pytest.raises(DataError, match="found an existing one"), new_folder(target):
        pytest.fail("it exists")


def test_a_second_folder_of_one_name_is_refused_at_once(tmp_path: Path) -> None:
    with new_folder(tmp_path / "set"):
        with (
            pytest.raises(DataError, match=r"set: another process is writing it"),
            new_folder(tmp_path / "set"),
        ):
            pytest.fail("there is one already")
        with new_folder(tmp_path / "set2"):
            pass
    assert names(tmp_path) == ["set", "set2"]


def test_a_place_that_somebody_has_locked_is_not_waited_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pct.files import atomic

    monkeypatch.setattr(atomic, "PATIENCE", 0.02)
    held = Lock()
    held.take(tmp_path)
    with new_folder(tmp_path / "set"):
        pass
    held.release()
    assert names(tmp_path) == ["set"]


def test_of_four_processes_that_start_together_one_makes_the_folder(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from pct.errors import DataError
        from pct.files import new_folder
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            with new_folder(Path(sys.argv[1])) as building:
                (building / "one").write_text("1")
                print("filling", flush=True)
                sys.stdin.readline()
        except DataError as error:
            print(error, flush=True)
    """)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "set")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]

    def tell(process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()

    def line(process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline().strip()

    assert [line(process) for process in started] == ["ready"] * 4
    for process in started:
        tell(process)
    said = [line(process) for process in started]
    assert said.count("filling") == 1
    refused = f"{tmp_path / 'set'}: another process is writing it: wait for that or choose another name"
    assert said.count(refused) == 3
    for process in started:
        process.communicate("go\n" if process.poll() is None else None)
    assert names(tmp_path) == ["set"]
    assert names(tmp_path / "set") == ["one"]
