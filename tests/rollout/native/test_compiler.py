"""Compiling once, safely: what the cache keeps, what it refuses, and what is said without a compiler."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

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


@pytest.mark.usefixtures("some_compiler")
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o722])
def test_a_cache_that_others_can_write_to_is_refused(mode: int) -> None:
    cache_folder().mkdir(parents=True)
    cache_folder().chmod(mode)
    with pytest.raises(NoCompiler, match="is not one that only this user can write to: chmod 700"):
        load()
    assert kept() == []


@pytest.mark.usefixtures("some_compiler")
def test_a_cache_of_another_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: cache_folder().stat().st_uid + 1)
    with pytest.raises(NoCompiler, match="only this user"):
        load()


@pytest.mark.usefixtures("some_compiler")
def test_a_cache_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder is to be")
    with pytest.raises(NoCompiler, match="cannot be made"):
        load()


@needs_compiler
def test_a_full_disk_is_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(compiler, "write_atomic", full)
    with pytest.raises(NoCompiler, match="No space left on device"):
        load()
    assert kept() == []
