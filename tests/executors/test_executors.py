"""Executors: answers of all tasks, and tasks of workers that are killed."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pct.errors import UsageError
from pct.executors.base import RETRIES, Answer, Executor
from pct.executors.choice import open_executor
from pct.interpreter import cores

OTHERS = ("dask", "slurm=local")


def answers(executor: Executor, function: str, arguments: list[str], alone: int = 0) -> list[Answer]:
    with closing(executor):
        return sorted(executor.run(f"executors.tasks:{function}", arguments, alone))


def test_every_task_is_answered() -> None:
    found = answers(open_executor("local", 2), "shout", ["a", "b\n", "ä"], alone=1)
    assert found == [(0, "A", ""), (1, "B\n", ""), (2, "Ä", "")]


def test_the_first_tasks_run_alone(tmp_path: Path) -> None:
    executor = open_executor("local", 2)
    with closing(executor):
        order = [one.task for one in executor.run("executors.tasks:shout", list("abcdef"), 1)]
    assert order[0] == 0
    assert sorted(order) == list(range(6))


def test_a_killed_worker_loses_no_task(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in "abcd"]
    assert [one.text for one in answers(open_executor("local", 2), "die_once", paths)] == list("abcd")


def test_a_task_that_always_kills_is_given_up_and_the_rest_goes_on(tmp_path: Path) -> None:
    first, second = answers(open_executor("local", 1), "die", [str(tmp_path)]) + answers(
        open_executor("local", 1), "shout", ["a"]
    )
    assert (first.text, second.text) == (None, "A")
    assert first.reason == "its process was ended 4 times, the last time by SIGKILL"
    assert len(os.listdir(tmp_path)) == 1 + RETRIES


def test_workers_share_the_cores_and_compute_on_the_cpu() -> None:
    for workers in (1, 2):
        (found,) = answers(open_executor("local", workers), "threads", [""])
        assert found.text == f"{max(1, cores() // workers)}cpu"


def test_no_worker_outlives_its_executor(tmp_path: Path) -> None:
    executor = open_executor("local", 2)
    with closing(executor):
        tasks: Iterator[Answer] = executor.run("executors.tasks:shout", ["a", "b", "c"])
        next(tasks)
        started = [worker._process for worker in executor._started]  # type: ignore[attr-defined]
        tasks.close()  # type: ignore[attr-defined]
    assert started
    assert all(process.poll() is not None for process in started)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lokal", "`executor=lokal`: unknown executor 'lokal': did you mean 'local'"),
        ("local=here", "`executor=local=here`: this machine has no address"),
        ("slurm", "`executor=slurm`: this machine submits no jobs of SLURM"),
    ],
)
def test_what_is_no_executor_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        open_executor(text)


@pytest.mark.parametrize("name", ["dask", "ray", "slurm"])
def test_a_missing_package_names_what_installs_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pct.executors.base.find_spec", lambda package: None)
    with pytest.raises(UsageError, match=rf'`executor={name}`: .* pip install "pct-vehicle\[{name}\]"$'):
        open_executor(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*OTHERS, "ray"])
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_other_executors_answer_and_start_again(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "ray" and importlib.util.find_spec("ray") is None:
        pytest.skip("ray is not installed")
    # Their processes look for functions where ours does.
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    )
    found = answers(open_executor(name, 2), "shout", ["a", "b", "c"], alone=1)
    assert [one.text for one in found] == ["A", "B", "C"]
    paths = [str(tmp_path / one) for one in "ab"]
    assert [one.text for one in answers(open_executor(name, 2), "die_once", paths)] == ["a", "b"]
