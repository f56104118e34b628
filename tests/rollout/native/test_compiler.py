"""Compiling once, safely: what the cache keeps, what it refuses, and what is said without a compiler."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pct.files import Cache, caches, private_folder
from pct.rollout.native import compiler
from pct.rollout.native.compiler import NoCompiler, cache_folder, find_compiler, load_library
from rollout.native.windows import has_compiler, needs_compiler

ONE = 'extern "C" __attribute__((visibility("default"))) int one() { return 1; }\n'
BROKEN = 'extern "C" int one() { return nothing_of_this_name; }\n'


@pytest.fixture(autouse=True)
def empty_cache(kept_libraries: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """``calls()``: how often the compiler was started."""
    log, script = tmp_path / "calls", tmp_path / "c++"
    script.write_text(f'#!/bin/sh\necho call >>"{log}"\nexec {" ".join(find_compiler())} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    return lambda: len(log.read_text().splitlines()) if log.exists() else 0


def kept() -> list[Path]:
    """All that the cache holds."""
    return sorted(cache_folder().iterdir())


def load(key: str = "one", source: str = ONE) -> int:
    return load_library(key, lambda: source, None).one()


@needs_compiler
def test_compiled_once(calls: Callable[[], int]) -> None:
    assert load() == 1
    assert calls() == 1
    assert load_library("one", lambda: pytest.fail("the source is not needed"), None).one() == 1
    assert calls() == 1
    assert [path.suffix for path in kept()] == [".so"]


@needs_compiler
def test_another_key_compiler_or_flag_gives_another_library(
    calls: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = os.environ["CXX"]
    load()
    load("two")
    monkeypatch.setattr(compiler, "FLAGS", (*compiler.FLAGS, "-DNAME"))
    load()
    monkeypatch.setenv("CXX", f"{script} -g")
    load()
    # Newer versions under the same name.
    Path(script).write_text(Path(script).read_text() + "\n")
    load()
    os.utime(script, ns=(0, 0))
    load()
    monkeypatch.setattr(compiler, "processor", lambda: "another")
    load()
    assert calls() == len(kept()) == 7


@needs_compiler
@pytest.mark.parametrize(
    "damage",
    [lambda code: code[:-1], lambda code: b"", lambda code: b"?" + code[1:]],
    ids=["cut", "empty", "changed"],
)
def test_a_damaged_library_is_made_anew(damage: Callable[[bytes], bytes], calls: Callable[[], int]) -> None:
    load()
    (path,) = kept()
    whole = path.read_bytes()
    # Not in place: this process runs it.
    path.unlink()
    path.write_bytes(damage(whole))
    load()
    assert path.read_bytes() == whole
    assert calls() == 2
    assert kept() == [path]


@needs_compiler
def test_processes_that_start_together_each_get_a_whole_library(
    calls: Callable[[], int], tmp_path: Path
) -> None:
    script = Path(os.environ["CXX"])
    script.write_text(script.read_text().replace("exec", "sleep 0.3; exec"))
    program = textwrap.dedent(f"""
        from pct.rollout.native.compiler import load_library
        print(load_library("one", lambda: {ONE!r}, None).one())
    """)
    started = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [process.communicate() for process in started] == [(b"1\n", b"")] * 2
    # Neither waited for the other.
    assert calls() == 2
    assert len(kept()) == 1
    load()
    assert calls() == 2


@needs_compiler
def test_threads_that_start_together_each_get_a_whole_library(calls: Callable[[], int]) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: load(), range(4))) == [1] * 4
    assert len(kept()) == 1
    assert 1 <= calls() <= 4


def test_no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(NoCompiler, match=r"^no C\+\+ compiler was found \(no-such-compiler\)$"):
        load()
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoCompiler, match=r"^no C\+\+ compiler was found \(g\+\+, clang\+\+, c\+\+\)$"):
        load()
    monkeypatch.setenv("CXX", "'g++")
    with pytest.raises(NoCompiler, match=r"^CXX='g\+\+: No closing quotation$"):
        load()
    assert not cache_folder().exists()


@needs_compiler
def test_a_compiler_that_fails_says_why_and_leaves_nothing() -> None:
    with pytest.raises(NoCompiler) as caught:
        load(source=BROKEN)
    message = str(caught.value)
    assert re.search(r"fails \(.*error: .*nothing_of_this_name", message)
    assert "\n" not in message
    assert kept() == []


@pytest.mark.skipif(os.name != "posix", reason="a program in sh")
@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("echo 'out of memory' >&2; echo 'and more' >&2; exit 4", "out of memory"),
        ("exit 3", "exit status 3"),
        ("exit 0", "wrote no library"),
    ],
)
def test_programs_that_are_no_compiler(
    program: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "c++"
    script.write_text(f"#!/bin/sh\n{program}\n")
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    with pytest.raises(NoCompiler, match=said) as caught:
        load()
    assert "\n" not in str(caught.value)
    assert kept() == []


def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> Path:
    """A program in sh in the place of the compiler."""
    script = tmp_path / "c++"
    script.write_text(f"#!/bin/sh\n{program}\n")
    script.chmod(0o755)
    monkeypatch.setenv("CXX", str(script))
    monkeypatch.setattr(compiler, "_hanging", set())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return script


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_compiler_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = tmp_path / "pid"
    # The child holds the output open and is not ended by a signal to its parent.
    fake(tmp_path, monkeypatch, f"echo x >>'{tmp_path}/calls'; sleep 300 & echo $! >'{pid}'; wait")
    monkeypatch.setattr(compiler, "LONGEST", 0.3)
    started = time.monotonic()
    for _ in range(2):
        with pytest.raises(NoCompiler, match=r"was given up (after 0.3 s|before)$"):
            load()
    assert time.monotonic() - started < 5
    # Neither without the flags of GCC nor for another library is it waited for again.
    assert (tmp_path / "calls").read_text() == "x\n"
    assert not is_alive(int(pid.read_text()))
    assert kept() == []
    assert not list(tmp_path.glob("pct-*"))


def test_a_compiler_that_waits_for_a_processor_is_not_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, monkeypatch, f"until [ -e '{tmp_path}/go' ]; do sleep 0.01; done")
    monkeypatch.setattr(compiler, "LONGEST", 0.05)

    def waits(session: int) -> dict[str, float]:
        (tmp_path / "go").touch()
        return {"1": 60.0}

    monkeypatch.setattr(compiler, "_waits_for_processors", waits)
    with pytest.raises(NoCompiler, match="wrote no library"):
        load()


def test_only_waits_of_the_compiler_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "PROCESSES", tmp_path)
    for pid, session in (("700", 700), ("701", 700), ("9", 1), ("702", 700)):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "stat").write_text(f"{pid} (c (1) 5 700) R 1 {pid} {session} 0 -1\n")
        (tmp_path / pid / "schedstat").write_text(f"12 {pid}000000 3\n")
    # One has ended, one does not tell.
    (tmp_path / "702" / "schedstat").write_text("")
    (tmp_path / "703").mkdir()
    assert compiler._waits_for_processors(700) == {"700": 0.7, "701": 0.701}


def test_a_program_that_is_left_running_does_not_hold_the_compiler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = tmp_path / "pid"
    fake(tmp_path, monkeypatch, f"sleep 300 & echo $! >'{pid}'; echo 'error: no' >&2; exit 1")
    with pytest.raises(NoCompiler, match="error: no"):
        load()
    assert not is_alive(int(pid.read_text()))


def test_what_a_compiler_says_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path, monkeypatch, "echo 'error: first' >&2; head -c 20000000 /dev/zero >&2; exit 1")
    heard: list[bytes] = []
    listen = compiler._listen
    monkeypatch.setattr(
        compiler, "_listen", lambda process: heard.append(listen(process) or b"") or heard[-1]
    )
    with pytest.raises(NoCompiler, match=r"fails \(error: first\)$"):
        load()
    assert [len(said) for said in heard] == [compiler.SAID] * 2


def test_a_compiler_keeps_its_own_files_where_they_are_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path, monkeypatch, f'echo "$TMPDIR" >\'{tmp_path}/where\'; touch "$TMPDIR/cc1.s"; exit 1')
    with pytest.raises(NoCompiler):
        load()
    assert (tmp_path / "where").read_text().startswith(f"{tmp_path}/pct-")
    assert not list(tmp_path.glob("pct-*"))


@needs_compiler
def test_a_library_that_cannot_be_loaded_is_made_anew(
    calls: Callable[[], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole by its seal, but it needs what the machine does not have any more."""
    load()
    (path,) = kept()
    # Elsewhere, as this process has loaded that one already.
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    Cache(private_folder("native"), compiler.MOST).put(path.name, b"no library")
    assert load() == 1
    assert calls() == 2


@needs_compiler
def test_libraries_that_changed_places_are_made_anew(calls: Callable[[], int]) -> None:
    load()
    (one,) = kept()
    load("two", ONE.replace("return 1", "return 2"))
    (two,) = {*kept()} - {one}
    # Not in place: this process runs it.
    content = two.read_bytes()
    one.unlink()
    one.write_bytes(content)
    assert load() == 1
    assert calls() == 3


@pytest.fixture
def some_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that is found; for tests that end before it starts."""
    if not has_compiler():
        monkeypatch.setenv("CXX", sys.executable)


@needs_compiler
def test_nobody_else_can_write_to_the_cache() -> None:
    former = os.umask(0)
    try:
        load()
    finally:
        os.umask(former)
    assert stat.S_IMODE(cache_folder().stat().st_mode) == 0o700


@needs_compiler
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o722])
def test_a_cache_that_others_can_write_to_is_not_used(mode: int, caplog: pytest.LogCaptureFixture) -> None:
    cache_folder().mkdir(parents=True)
    cache_folder().chmod(mode)
    assert load() == 1
    assert kept() == []
    (said,) = caplog.messages
    assert "is not one that only this user can write to: chmod 700" in said


@needs_compiler
def test_a_cache_of_another_user_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: cache_folder().stat().st_uid + 1)
    assert load() == 1
    assert kept() == []
    assert "only this user" in caplog.text


@needs_compiler
def test_without_a_folder_code_is_compiled_at_each_start(
    tmp_path: Path, calls: Callable[[], int], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the folder is to be")
    assert (load(), load(), calls()) == (1, 1, 2)
    (said,) = caplog.messages  # once a process
    assert said.startswith("native code is not kept for the next start: the folder ")
    assert not list(tmp_path.glob("pct-*"))


@needs_compiler
def test_a_full_disk_keeps_nothing(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caches, "write_atomic", full)
    assert load() == 1
    assert kept() == []
    assert "No space left on device" in caplog.text
