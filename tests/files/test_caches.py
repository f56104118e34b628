"""What is kept for the next process is whole, this user's alone, and of a bounded size."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from pct.files import Cache, NoPrivateFolder, cache_folder, open_cache, private_folder
from pct.files.leftovers import MACHINE


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("")


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": cut,
    "empty": lambda path: path.write_bytes(b""),
    "flipped": flipped,
    "foreign": lambda path: path.write_bytes(b"#!/bin/sh\n" * 99),
    "folder": folder,
    "swapped": lambda path: path.write_bytes((path.parent / "other").read_bytes()),
    "huge": lambda path: os.truncate(path, 1 << 40),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_what_is_damaged_is_not_there_and_replaced(damage: Callable[[Path], object], tmp_path: Path) -> None:
    cache = Cache(private_folder("things"), 1 << 20)
    path = cache.put("one", b"content" * 99)
    cache.put("other", b"x")
    assert cache.get("one") == b"content" * 99
    damage(path)
    assert cache.get("one") is None
    cache.put("one", b"new")
    assert cache.get("one") == b"new"
    assert sorted(os.listdir(cache.folder)) == ["one", "other"]


def test_the_least_recently_used_makes_room() -> None:
    cache = Cache(private_folder("things"), 3500)
    for number, name in enumerate("abc"):
        os.utime(cache.put(name, bytes(1000)), (number, number))
    assert cache.get("a") is not None
    cache.put("d", bytes(1000))
    assert sorted(os.listdir(cache.folder)) == ["a", "c", "d"]


def test_the_size_is_bounded_over_many_writes() -> None:
    cache = Cache(private_folder("things"), 10_000)
    for number in range(50):
        cache.put(f"{number}", bytes(1000))
        assert sum(entry.stat().st_size for entry in os.scandir(cache.folder)) <= 10_000


def test_only_the_user_can_write_whatever_the_umask(home: Path) -> None:
    former = os.umask(0)
    try:
        private_folder("things")
    finally:
        os.umask(former)
    for path in (home / "pct", home / "pct" / "things"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_a_loose_folder_around_is_tightened_and_a_loose_folder_refused(home: Path) -> None:
    folder = private_folder("things")
    folder.parent.chmod(0o777)
    assert private_folder("things") == folder
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    folder.chmod(0o770)
    with pytest.raises(NoPrivateFolder, match="is not one that only this user can write to: chmod 700"):
        private_folder("things")


def test_a_folder_of_another_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    other = private_folder("things").stat().st_uid + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    with pytest.raises(NoPrivateFolder, match="only this user"):
        private_folder("things")


def test_leftovers_in_it_are_swept(home: Path) -> None:
    (home / "pct" / "things").mkdir(parents=True, mode=0o700)
    dead = home / "pct" / "things" / f".a.{MACHINE}00000000.tmp"
    dead.write_text("")
    private_folder("things")
    assert not dead.exists()


def test_without_a_home_or_a_folder_nothing_is_kept_after_one_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    home.write_text("a file where the folder is to be")
    assert open_cache("things", "what was made", 1) is None

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    assert open_cache("things", "what was made", 1) is None
    first, second = (record.getMessage() for record in caplog.records)
    reason = f"the folder {home}/pct/things cannot be made (File exists)"
    assert first == f"what was made is not kept for the next start: {reason}"
    assert second.endswith("there is no home folder: set HOME or XDG_CACHE_HOME")


def test_a_relative_cache_folder_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be another one in every folder, a downloaded one for example."""
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    assert cache_folder() == Path.home() / ".cache" / "pct"
