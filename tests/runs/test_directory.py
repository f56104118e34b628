"""The run folder: never shared, complete, and honest about how the run ended."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pct
from pct.errors import DataError
from pct.runs import directory
from pct.runs.directory import create_run_directory, git_state, mark_done, mark_failed, write_provenance

STAMP = "20250102-030405"


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("full", f"run_{STAMP}"),
        ("context", f"run_{STAMP}_ablation_context"),
        ("features", f"run_{STAMP}_ablation_features"),
    ],
)
def test_the_name_tells_model_time_and_ablation(tmp_path, mode, name):
    run = create_run_directory(tmp_path / "results", "unicycle", mode, STAMP)
    assert run == (tmp_path / "results" / "unicycle" / name).resolve()
    assert list(run.iterdir()) == []


def test_without_a_timestamp_the_clock_names_it(tmp_path):
    import datetime

    run = create_run_directory(tmp_path, "unicycle", "full")
    stamp = datetime.datetime.strptime(run.name, "run_%Y%m%d-%H%M%S")
    assert abs(datetime.datetime.now() - stamp) < datetime.timedelta(minutes=1)


def test_a_second_run_of_the_same_second_gets_a_number(tmp_path):
    names = [create_run_directory(tmp_path, "m", "context", STAMP).name for _ in range(3)]
    base = f"run_{STAMP}_ablation_context"
    assert names == [base, base + "_01", base + "_02"]


def test_processes_that_start_together_never_share_a_folder(tmp_path):
    code = (
        "import sys; from pathlib import Path; from pct.runs.directory import create_run_directory\n"
        "sys.stdin.readline()\n"
        f"for _ in range(25): print(create_run_directory(Path(sys.argv[1]), 'm', 'full', '{STAMP}'))"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    runs = [line for process in processes for line in process.communicate()[0].split()]
    assert [process.returncode for process in processes] == [0] * 4
    assert len(runs) == len(set(runs)) == 100


def test_a_file_in_the_place_of_the_results_folder_is_a_data_error(tmp_path):
    (tmp_path / "results").write_text("")
    with pytest.raises(DataError, match=r"results/m/run_.*cannot make the run folder \(.*\): choose"):
        create_run_directory(tmp_path / "results", "m", "full", STAMP)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_a_data_error(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(DataError, match="Permission denied"):
        create_run_directory(tmp_path, "m", "full", STAMP)


def test_a_full_disk_is_a_data_error(tmp_path, monkeypatch):
    def full(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"provenance.json: cannot write \(No space left on device\): free"):
        write_provenance(tmp_path, config={}, command=[], data={})
    assert list(tmp_path.iterdir()) == []


def test_settings_stand_only_where_the_data_is_recorded(tmp_path, monkeypatch):
    """A run with settings can be resumed, whenever it was killed, and its data is compared then."""
    write = directory.write_json

    def killed(path, value):
        write(path, value)
        raise KeyboardInterrupt

    monkeypatch.setattr(directory, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        write_provenance(tmp_path, config={}, command=[], data={})
    assert [path.name for path in tmp_path.iterdir()] == ["provenance.json"]


def test_provenance_holds_what_a_second_run_needs(tmp_path):
    config = {"lr": 1e-3, "model_hidden": (64, 64), "dataset": [Path("datasets/a")], "seed": np.int64(3)}
    write_provenance(tmp_path, config=config, command=["pct", "train"], data={"a.parquet": "12ab"})
    assert json.loads((tmp_path / "config.json").read_text()) == {
        "lr": 1e-3,
        "model_hidden": [64, 64],
        "dataset": ["datasets/a"],
        "seed": 3,
    }
    provenance = json.loads((tmp_path / "provenance.json").read_text())
    assert provenance["command"] == ["pct", "train"]
    assert provenance["data"] == {"a.parquet": "12ab"}
    assert provenance["python"] == ".".join(map(str, sys.version_info[:3]))
    assert set(provenance["packages"]) == {"pct", "jax", "jaxlib", "optax", "numpy"}
    assert provenance["packages"]["numpy"] == np.__version__
    assert provenance["git"] == git_state(Path(pct.__file__).parent)
    assert {"started", "platform", "cpus", "working_directory"} <= set(provenance)


def test_the_last_ending_is_the_only_one(tmp_path):
    mark_failed(tmp_path, "loss is not finite")
    assert json.loads((tmp_path / "FAILED").read_text())["reason"] == "loss is not finite"
    mark_done(tmp_path, {"best": float("inf"), "loss": np.float32(0.5)})
    assert [path.name for path in tmp_path.iterdir()] == ["DONE"]
    done = json.loads((tmp_path / "DONE").read_text())
    assert (done["best"], done["loss"]) == (None, 0.5)
    mark_failed(tmp_path, "again")
    assert [path.name for path in tmp_path.iterdir()] == ["FAILED"]


def test_git_state_of_a_repository(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        return subprocess.run(
            ["git", "-C", tmp_path, *identity, *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    assert git_state(tmp_path) is None
    git("init", "-q")
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "installed").mkdir()
    assert git_state(tmp_path) is None  # no commit yet
    git("add", "a.py")
    git("commit", "-qm", "first")
    commit = git("rev-parse", "HEAD")
    assert git_state(tmp_path) == {"commit": commit, "dirty": False}
    (tmp_path / "a.py").write_text("2")
    assert git_state(tmp_path) == {"commit": commit, "dirty": True}
    assert git_state(tmp_path / "installed") is None  # the code in there is not of this repository


def test_git_state_without_git(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(Path(pct.__file__).parent) is None


def test_the_module_is_quick_to_import():
    code = "import sys, pct.runs.directory, pct.runs.sinks; print({'jax', 'wandb'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "set()"
