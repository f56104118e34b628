"""Compiled code is kept sealed: what is damaged is compiled anew, without a word and never run."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import pytest
from jax._src import compilation_cache

import pct
from pct.files import Cache
from pct.rollout.kept_code import serve


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """JAX without a cache, as a program starts."""
    former: Any = jax.config.jax_compilation_cache_dir  # type: ignore[attr-defined]
    monkeypatch.setattr(compilation_cache, "get_file_cache", compilation_cache.get_file_cache)
    compilation_cache.reset_cache()
    jax.config.update("jax_compilation_cache_dir", None)
    yield
    jax.config.update("jax_compilation_cache_dir", former)
    compilation_cache.reset_cache()


@pytest.fixture
def cache(fresh: None, tmp_path: Path) -> Cache:
    """JAX keeps its compiled code here."""
    cache = Cache(tmp_path, 1 << 30)
    serve(cache)
    jax.config.update("jax_compilation_cache_dir", str(tmp_path))
    return cache


def answers() -> tuple[float, float]:
    """Of two programs, compiled or from the cache."""
    jax.clear_caches()

    def more(x: jax.Array) -> jax.Array:
        return x + 3.0

    def less(x: jax.Array) -> jax.Array:
        return x - 3.0

    return float(jax.jit(more)(1.0)), float(jax.jit(less)(1.0))


def entries(cache: Cache) -> list[Path]:
    return sorted(path for path in cache.folder.iterdir() if path.name.startswith(("jit_more", "jit_less")))


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.write_bytes(content)


def swapped(path: Path) -> None:
    other = next(one for one in path.parent.glob("jit_*") if one != path)
    one, two = path.read_bytes(), other.read_bytes()
    path.write_bytes(two)
    other.write_bytes(one)


def in_its_place(path: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "flipped": flipped,
    "swapped": swapped,
    "foreign": lambda path: path.write_bytes(b"PK\x03\x04" * 99),
    "of JAX alone": lambda path: path.write_bytes(path.read_bytes()[:-32]),
    "folder": in_its_place,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_what_is_damaged_is_compiled_anew(damage: Callable[[Path], object], cache: Cache) -> None:
    assert answers() == (4.0, -2.0)
    kept = entries(cache)
    assert len(kept) == 2
    damage(kept[0])
    assert cache.get(kept[0].name) is None
    assert answers() == (4.0, -2.0)  # warnings are errors here
    assert entries(cache) == kept
    assert all(cache.get(path.name) for path in kept)


def test_what_is_kept_is_not_compiled_again(cache: Cache) -> None:
    answers()
    written = [path.stat().st_ino for path in entries(cache)]
    answers()
    assert [path.stat().st_ino for path in entries(cache)] == written


def test_a_full_disk_is_said_once(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "put", full)
    assert answers() == (4.0, -2.0)
    (record,) = caplog.records
    assert record.getMessage() == f"{cache.folder}: compiled code is not kept (No space left on device)"


@pytest.mark.usefixtures("fresh")
def test_a_folder_that_others_can_write_to_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What lies in it is run: whoever can write there runs programs as this user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = tmp_path / "pct" / "compiled"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    pct.keep_compiled_code()
    assert jax.config.jax_compilation_cache_dir is None  # type: ignore[attr-defined]
    (record,) = caplog.records
    assert f"the folder {folder} is not one that only this user can write to" in record.getMessage()
    assert list(folder.iterdir()) == []


def test_a_program_keeps_sealed_code_for_its_user_alone(tmp_path: Path) -> None:
    code = (
        "import os; os.umask(0); import pct, jax; pct.keep_compiled_code(); jax.jit(lambda x: x + 3.0)(1.0)"
    )
    own = {"XDG_CACHE_HOME": str(tmp_path), "JAX_PLATFORMS": "cpu"}
    program = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**program, **own}, capture_output=True, check=True
    )
    assert done.stderr == b""
    folder = tmp_path / "pct" / "compiled"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    names = [path.name for path in folder.iterdir()]
    assert names
    assert all(Cache(folder, 1 << 30).get(name) for name in names)


def test_the_folder_of_the_environment_is_left_to_jax(cache: Cache, tmp_path: Path) -> None:
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "own"))
    pct.keep_compiled_code()
    answers()
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "own")  # type: ignore[attr-defined]
    assert entries(cache) == []
    assert len(list((tmp_path / "own").glob("jit_*-cache"))) >= 2
