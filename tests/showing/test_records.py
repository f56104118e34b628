"""What is found below a folder, and what is read of it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from pct.runs.lock import RunLock
from pct.showing.folders import find
from pct.showing.index import Index
from pct.showing.records import read
from pct.showing.results import Result
from showing.made_results import (
    COMPARISON,
    DESIGN,
    EVALUATION,
    FLEET,
    PLAN,
    TRACK,
    TRAINED,
    fit,
    training,
    write,
)


def results(root: Path) -> dict[str, Result]:
    return {f"{one.place} {one.kind}": one for one in Index(root).results()}


def only(root: Path) -> Result:
    (result,) = Index(root).results()
    return result


def test_each_kind_is_known_by_its_files(tmp_path: Path) -> None:
    run = fit(tmp_path / "singletrack" / "run_20261129-021957")
    training(tmp_path / "unicycle" / "my run", **TRAINED)
    write(run / "evaluation" / "val", {"evaluation.json": EVALUATION})
    write(run / "track", {"track.json": TRACK})
    write(run / "design", {"design.json": DESIGN})
    write(run, {"tyres.json": COMPARISON, "tyres.html": "<p>"})
    write(tmp_path / "monday_run", {"run.toml": PLAN})
    write(tmp_path / "fleets" / "monday", {"fleet.json": FLEET})
    # Nothing of these is ours.
    write(tmp_path / "data", {"dataset.json": {}, "card.html": "", "config.json": {"epochs": 3}})
    write(run / "checkpoints" / "run_20261129-021957", {"DONE": {}})
    write(tmp_path / ".hidden" / "run_20261129-021957", {"DONE": {}})
    inside = "singletrack/run_20261129-021957"
    assert {name: one.headline for name, one in results(tmp_path).items()} == {
        f"{inside} fit": "mu 0.76 [0.662 to 0.858], I 0.048 [0.04604 to 0.04996]",
        f"{inside}/evaluation/val evaluate": "error of position after 1 s 0.3 m, "
        "better in every channel than 1 of 2 baselines",
        f"{inside}/track track": "mu: 1 change in 2 drives",
        f"{inside}/design design": "error of D_f 19.4 times smaller",
        f"{inside}/tyres.json compare": "1 of 2 differ: mu",
        "unicycle/my run train": "validation loss 0.06, position error 0.06 m",
        "monday_run run": "",
        "fleets/monday fleet": "2 cars, 1 failed, unlike the others: a",
    }
    assert [one.interval for one in results(tmp_path)["fleets/monday fleet"].parameters] == ["0.6 to 0.8"]
    assert results(tmp_path)[f"{inside}/tyres.json compare"].pages == (f"{inside}/tyres.html",)


def test_a_fit_says_what_it_was_made_of(tmp_path: Path) -> None:
    fit(tmp_path / "run", horizon=20)
    found = only(tmp_path)
    assert (found.state, found.model, found.data) == ("done", "singletrack", ("/data/train",))
    assert found.settings == {"model": "singletrack", "iterations": "50", "horizon": "20"}
    assert found.facts["versions"] == "pct 0.2.0, jax 0.10.2"
    assert found.facts["commit"] == "5d87, with changes"
    assert [(one.name, one.text, one.interval, one.note) for one in found.parameters] == [
        ("mu", "0.76", "0.662 to 0.858", "identified"),
        ("I", "0.048 kg m^2", "0.04604 to 0.04996", "weak"),
        ("gains", "–", "", "several values"),
    ]
    assert [one.text for one in found.scores] == ["0.02 m", "1"]
    assert found.pages == ("run/report.html",)
    assert found.figures == ("run/analysis/curves.png",)


def test_an_error_that_is_not_known_gives_no_interval(tmp_path: Path) -> None:
    fit(tmp_path / "run", std=None)
    assert only(tmp_path).parameters[0].interval == ""


def test_a_network_has_the_range_over_its_windows(tmp_path: Path) -> None:
    training(tmp_path / "run", **TRAINED)
    found = only(tmp_path)
    assert (found.parameters[0].interval, found.interval_means) == ("0.4 to 1.1", "range over the windows")


def test_a_run_is_running_stopped_failed_or_done(tmp_path: Path) -> None:
    run = training(tmp_path / "run")
    assert only(tmp_path).state == "stopped"
    lock = RunLock()
    lock.take(run)
    try:
        assert only(tmp_path).state == "running"
    finally:
        lock.release()
    write(run, {"FAILED": {"reason": "interrupted"}})
    assert (only(tmp_path).state, only(tmp_path).reason) == ("failed", "interrupted")
    write(run, TRAINED)
    assert only(tmp_path).state == "done"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("DONE", "{", "DONE: expected the summary of a run, found no JSON at line 1, column 2"),
        ("DONE", '{"remaining_error": {"x": "far"}}', "DONE: 'remaining_error.x': expected a number or null"),
        ("config.json", "", "config.json: expected the settings of a run, found an empty file"),
        ("provenance.json", "[1]", "provenance.json: expected the provenance of a run, an object, found a"),
        ("pct_predicted_params.json", '{"mu": {"mean": 1e300, "std": 1}}', "pct_predicted_params.json: 'mu."),
        ("pct_predicted_params.json", "[" * 100_000, "pct_predicted_params.json: expected predicted parame"),
    ],
)
def test_a_damaged_run_is_listed_with_the_reason(
    tmp_path: Path, name: str, content: str, reason: str
) -> None:
    write(fit(tmp_path / "run"), {name: content})
    found = only(tmp_path)
    assert (found.kind, found.state) == ("fit", "damaged")
    assert found.reason.startswith(reason)
    assert found.pages == ("run/report.html",)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("evaluation.json", "evaluate"),
        ("track.json", "track"),
        ("design.json", "design"),
        ("run.toml", "run"),
    ],
)
def test_what_was_made_of_a_run_may_be_damaged(tmp_path: Path, name: str, kind: str) -> None:
    write(tmp_path / "made", {name: '{"model": 3'})
    assert (only(tmp_path).kind, only(tmp_path).state) == (kind, "damaged")
    assert only(tmp_path).reason.startswith(f"{name}: ")


def test_links_are_not_followed(tmp_path: Path) -> None:
    elsewhere = fit(tmp_path / "elsewhere" / "run")
    root = tmp_path / "results"
    run = fit(root / "run")
    (run / "DONE").unlink()
    (run / "DONE").symlink_to(elsewhere / "DONE")
    (root / "linked").symlink_to(elsewhere, target_is_directory=True)
    (root / "round").symlink_to(root, target_is_directory=True)
    found = only(root)
    assert found.state == "damaged"
    assert found.reason == "DONE: expected a file, found a link"


def test_a_folder_that_cannot_be_read_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit(tmp_path / "run")
    fit(tmp_path / "locked")
    scan = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name in ("locked", "analysis"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = {one.place: (one.reason, one.figures) for one in Index(tmp_path).results()}
    assert found == {"run": ("", ()), "locked": ("cannot be read (Permission denied)", ())}


@pytest.mark.parametrize(("silent", "state"), [("-60 seconds", "running"), ("-1 day", "stopped")])
def test_a_sweep_counts_its_trials_without_optuna(tmp_path: Path, silent: str, state: str) -> None:
    folder = tmp_path / "sweeps" / "grip"
    folder.mkdir(parents=True)
    with closing(sqlite3.connect(folder / "study.db")) as base:
        base.execute("CREATE TABLE trials (trial_id INTEGER, state TEXT)")
        base.execute("CREATE TABLE trial_values (trial_id INTEGER, value REAL)")
        base.execute("CREATE TABLE trial_heartbeats (trial_id INTEGER, heartbeat DATETIME)")
        base.executemany("INSERT INTO trials VALUES (?, ?)", [(1, "COMPLETE"), (2, "RUNNING"), (3, "PRUNED")])
        base.executemany("INSERT INTO trial_values VALUES (?, ?)", [(1, 0.25), (3, 0.1)])
        base.execute("INSERT INTO trial_heartbeats VALUES (1, datetime('now'))")
        base.execute("INSERT INTO trial_heartbeats VALUES (2, datetime('now', ?))", [silent])
        base.commit()
    found = only(tmp_path)
    assert found.state == state
    assert found.headline == "3 trials, 1 complete, 1 pruned, 1 running, best loss 0.25"


def test_a_file_that_is_no_database_is_listed(tmp_path: Path) -> None:
    write(tmp_path / "grip", {"study.db": "no database, but long enough to look into" * 9})
    assert only(tmp_path).reason.startswith("study.db: expected the trials of a sweep, cannot read them")


@pytest.mark.slow
def test_a_study_of_optuna_is_read(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna", reason="the extra sweep installs it")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=f"sqlite:///{tmp_path}/study.db")
    study.optimize(lambda trial: trial.suggest_float("x", 1.0, 2.0), n_trials=2)
    assert only(tmp_path).headline.startswith("2 trials, 2 complete, best loss 1.")


def test_a_folder_of_pct_run_hangs_on_its_fit(tmp_path: Path) -> None:
    made = write(tmp_path / "monday_run", {"run.toml": PLAN, "dataset/card.html": "<p>"})
    index = Index(tmp_path)
    (found,) = index.results()
    assert (found.state, found.model, found.data) == ("stopped", "singletrack", ("/logs/monday.csv",))
    assert found.settings == {"data.map": "auto", "car.model": "singletrack"}
    assert found.pages == ("monday_run/dataset/card.html",)
    fit(made / "fit")
    assert [one.state for one in index.results()] == ["done", "done"]


def test_only_what_has_changed_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = fit(tmp_path / "a"), fit(tmp_path / "b")
    times = []
    monkeypatch.setattr(
        "pct.showing.index.read", lambda root, found: times.append(found) or read(root, found)
    )
    index = Index(tmp_path)
    index.results()
    before = index.version
    index.results()
    assert (len(times), index.version) == (2, before)
    write(first, {"DONE": {"remaining_error": {"x": 0.5}}})
    assert [one.scores[0].value for one in index.results() if one.place == "a"] == [0.5]
    assert (len(times), index.version) == (3, before + 1)


def test_a_disk_is_not_searched_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fit(tmp_path.joinpath(*"abcdefgh") / "run")
    assert list(find(tmp_path)) == []
    fit(tmp_path / "a" / "run")
    assert len(list(find(tmp_path))) == 1
    monkeypatch.setattr("pct.showing.folders.MOST", 2)
    assert list(find(tmp_path)) == []
