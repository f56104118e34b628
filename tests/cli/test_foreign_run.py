"""The run folder of a stranger is data: it says what to compute, not where to write or what to execute."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import jax
import pytest

from pct import plots
from pct.cli.main import main
from pct.cli.train_config import parse_args
from pct.errors import DataError, UsageError
from pct.runs.directory import PREDICTED, require_own
from pct.runs.sinks.jsonl import JsonlTracker

Train = Callable[..., tuple[int, Path | None]]


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one epoch; not to be changed."""
    results = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch, jax.enable_x64(False):
        patch.setattr(plots, "to_png", lambda path, draw, **_: path.touch())
        main(
            [
                *("train", "--dataset", str(data / "train"), "--results", str(results), "--epochs", "1"),
                *("--model", "unicycle", "--model-hidden", "8", "--horizon", "3", "--history", "4"),
                *("--batch-size", "8", "--samples", "12", "--integrator", "euler", "--substeps", "1"),
                *("--no-history-fit", "--no-analysis", "--engine", "jax"),
            ]
        )
    (run,) = results.glob("*/*")
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """The same for a test of its own."""
    return shutil.copytree(trained, tmp_path / "run")


def edit(run: Path, **changes: object) -> None:
    path = run / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_nothing_is_written_where_a_run_folder_says(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plots, "to_png", lambda path, draw, **_: path.touch())
    ours = {}
    for name in ("output", "dataset_cache", "val_dataset_cache"):
        ours[name] = tmp_path / f"my {name}"
        ours[name].write_text("mine")
    # Without the package, naming a tracker would end the run.
    edit(
        run,
        results=str(tmp_path / "elsewhere"),
        wandb_project="theirs",
        **{name: str(path) for name, path in ours.items()},
    )
    main(["train", "--resume", str(run), "--epochs", "2"])
    told = capsys.readouterr().err
    assert {path.read_text() for path in ours.values()} == {"mine"}
    assert not (tmp_path / "elsewhere").exists()
    dataset = json.loads((run / "config.json").read_text())["dataset"][0]
    assert f"{run} is resumed with {dataset}\n" in told
    assert f"It was started with --output '{ours['output']}' --dataset-cache" in told
    assert "--wandb-project theirs, which is not used" in told
    assert len(json.loads((run / PREDICTED).read_text())) == 4


def test_no_file_that_a_run_names_is_executed(run: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.py"
    theirs.write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\n")
    edit(run, model=str(theirs))
    with pytest.raises(
        UsageError, match=rf"those of {theirs}, .*: if you trust that file, pass `model={theirs}`"
    ):
        parse_args(["--resume", str(run)])
    with pytest.raises(SystemExit) as stop:
        main(["train", "--resume", str(run)])
    assert stop.value.code == 2
    assert not (tmp_path / "executed").exists()
    again = parse_args(["--resume", str(run), "--model", str(theirs)])
    assert again.model.model == str(theirs)
    assert again.settings.horizon == 3


@pytest.mark.parametrize("name", ["checkpoints", "metrics.jsonl", "analysis"])
def test_links_do_not_lead_out_of_a_run(
    run: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = tmp_path / "ours"
    if (run / name).exists():
        (run / name).rename(ours)
    else:
        ours.mkdir()
    (run / name).symlink_to(ours)
    before = {path: path.stat().st_mtime_ns for path in (ours, *ours.glob("*"))}
    with pytest.raises(SystemExit) as stop:
        main(["train", "--resume", str(run), "--epochs", "2"])
    assert stop.value.code == 3
    assert f"{run / name}: expected a file or folder of the run itself" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in (ours, *ours.glob("*"))} == before


def test_links_within_a_run_are_left_alone(run: Path) -> None:
    (run / "latest").symlink_to(run / "checkpoints")
    require_own(run)


def test_metrics_are_not_added_through_a_link(tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    ours.write_text("mine")
    (tmp_path / "metrics.jsonl").symlink_to(ours)
    with pytest.raises(DataError, match=r"metrics\.jsonl: cannot write"):
        JsonlTracker(tmp_path / "metrics.jsonl")
    assert ours.read_text() == "mine"


def test_an_evaluation_stays_in_the_run(run: Path, data: Path, tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (run / "evaluation").symlink_to(tmp_path / "ours")
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", str(run), "--dataset", str(data / "val")])
    assert stop.value.code == 3
    assert not list((tmp_path / "ours").iterdir())
