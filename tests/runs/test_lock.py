"""One process at a time writes into a run folder, and a dead one blocks nobody."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pct.errors import DataError
from pct.files.leftovers import MACHINE
from pct.optimization.settings import FitSettings
from pct.runs import lock as locks
from pct.runs.directory import begin_run, create_run_directory, mark_done, recorded
from pct.runs.lock import RunLock, writing, writing_in_turn

REFUSED = r"run: another process is writing to it: wait for that or choose another folder$"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def test_the_lock_dies_with_its_owner_and_leaves_nothing(run: Path) -> None:
    # What the owner started lives on.
    program = """if True:
        import subprocess, sys
        from pathlib import Path
        from pct.runs.lock import RunLock
        lock = RunLock()
        lock.take(Path(sys.argv[1]))
        subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], close_fds=False)
        print("locked", flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", program, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "locked\n"
        with pytest.raises(DataError, match=REFUSED), writing(run):
            pytest.fail("another process has the lock")
        owner.kill()
        owner.wait()
        with writing(run):
            assert os.listdir(run) == []


def test_it_is_free_when_the_block_ends(run: Path) -> None:
    with writing(run), pytest.raises(DataError, match=REFUSED), writing(run):
        pytest.fail("it is held")
    with writing(run):
        pass


def test_a_folder_that_was_made_anew_is_locked_anew(run: Path) -> None:
    lock = RunLock()
    lock.take(run)
    shutil.rmtree(run)
    with pytest.raises(DataError, match=r"run: cannot open the folder \(No such file or directory\)"):
        lock.take(run)
    run.mkdir()
    lock.take(run)
    with pytest.raises(DataError, match=REFUSED):
        RunLock().take(run)
    lock.release()


def test_a_run_is_locked_until_it_is_recorded(run: Path) -> None:
    with recorded(run, {}), pytest.raises(DataError, match=REFUSED):
        RunLock().take(run)
    before = sorted(os.listdir(run))
    lock = RunLock()
    lock.take(run)
    with pytest.raises(DataError, match=REFUSED), recorded(run, {}):
        pytest.fail("it is held")
    lock.release()
    assert sorted(os.listdir(run)) == before == ["DONE"]


def test_a_run_that_another_begins_is_refused_as_it_is(run: Path) -> None:
    def begin() -> None:
        with begin_run(run, settings=FitSettings(), paths=[]):
            pytest.fail("it is held")

    lock = RunLock()
    lock.take(run)
    with pytest.raises(DataError, match=REFUSED):
        begin()
    assert os.listdir(run) == []
    lock.release()
    # Neither the lock nor what a killed process left counts as content.
    (run / f".config.json.{MACHINE}00000000.tmp").write_text("{")
    with begin_run(run, settings=FitSettings(), paths=[]), pytest.raises(DataError, match=REFUSED):
        begin()
    assert sorted(os.listdir(run)) == ["config.json", "provenance.json"]


def test_files_that_belong_together_are_written_in_turn(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.02)
    with writing(run), pytest.raises(DataError, match=REFUSED), writing_in_turn(run):
        pytest.fail("it is held")
    with writing_in_turn(run):
        pass


def test_a_new_run_sweeps_what_killed_ones_were_writing(tmp_path: Path) -> None:
    killed = create_run_directory(tmp_path, "m", "full", "20250102-030405")
    (killed / "checkpoints").mkdir()
    for folder in (killed, killed / "checkpoints"):
        (folder / f".a.{MACHINE}00000000.tmp").write_text("half")
    (killed / "config.json").write_text("{}")
    whole = create_run_directory(tmp_path, "m", "full", "20250102-030406")
    mark_done(whole, {})
    assert [str(path.relative_to(killed)) for path in sorted(killed.rglob("*"))] == [
        "checkpoints",
        "config.json",
    ]
