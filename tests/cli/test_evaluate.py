"""`pct evaluate` from a run folder to a report: figures, refusals, what is left out."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest

from pages.read import figures_of_page
from pct.cli.main import main
from pct.dynamics import MODEL_SPECS
from pct.evaluation.baselines import constant_parameters
from pct.evaluation.datasets import training_data_of_run
from pct.evaluation.scenarios import open_loop_errors
from pct.evaluation.windows import load_windows
from pct.recordings.trajectory import Trajectory, read_dataset, write_dataset
from pct.runs.model_files import load_network
from pct.runs.overlap import FINGERPRINT
from pct.simulation.drive import simulate
from pct.windows.loading import data_hashes
from pct.windows.splits import HELD_OUT, rows_of_windows, spans_of, split_rows, split_starts

BASELINES = [
    *("hold last value", "constant acceleration", "ridge ARX"),
    *("kinematic", "default parameters", "constant fit"),
]


def run_pct(*arguments: object) -> int:
    try:
        main([*map(str, arguments)])
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the kinematic model on ``drives``, with ``test`` beside them: two recordings of 6 s each."""
    folder = tmp_path_factory.mktemp("trained")
    for name, seed in (("drives", 0), ("test", 1)):
        drives = simulate(
            MODEL_SPECS["singletrack"], recordings=2, duration=6.0, dt=0.05, noise=0.1, seed=seed
        )
        write_dataset(folder / name, drives, vehicle="simulated")
    # A vehicle whose geometry is not the kinematic baseline's own.
    flags = "--model kinematic-singletrack --vehicle bmw-320i --horizon 4 --history 4 --stride 2 --epochs 1"
    flags += (
        " --batch-size 32 --model-hidden 4 --integrator euler --substeps 1 --no-history-fit --no-analysis"
    )
    with jax.enable_x64(False):
        drives, results = folder / "drives", folder / "results"
        assert run_pct("train", "--dataset", drives, *flags.split(), "--results", results) == 0
    (run,) = (folder / "results" / "kinematic-singletrack").iterdir()
    return run


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A run folder and training drives of a test's own."""
    copy = shutil.copytree(trained, tmp_path / "run")
    shutil.copytree(trained.parents[2] / "drives", tmp_path / "drives")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "dataset": [str(tmp_path / "drives")]}))
    return copy


@pytest.fixture
def unseen(trained: Path) -> Path:
    """Drives that the run has not seen."""
    return trained.parents[2] / "test"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search of the constant fit takes longer than all the rest, and is tested once."""
    found = SimpleNamespace(params=lambda spec: spec.default_params)
    monkeypatch.setattr(constant_parameters, "fit_parameters", lambda *_, **__: found)


def evaluation(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "evaluation.json").read_text())


def test_a_stop_while_figures_are_drawn_loses_no_result(
    run: Path,
    unseen: Path,
    quick: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    folder = run / "evaluation" / "test"
    folder.mkdir(parents=True)
    (folder / "report.html").write_text("of other numbers")
    monkeypatch.setattr("pct.evaluation.page.evaluation_page", stop)
    assert run_pct("evaluate", run, "--dataset", unseen, "--at", 0.2) == 130
    assert {path.name for path in folder.iterdir()} == {"evaluation.json"}
    assert list(evaluation(folder)["rows"]) == ["this run", *BASELINES]
    assert "Over 0.2 s this run beats hold last value: position" in capsys.readouterr().out


def test_a_run_is_judged_beside_its_baselines(
    run: Path, unseen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_pct("evaluate", run, "--dataset", unseen, "--at", 0.1, 0.2) == 0
    told = capsys.readouterr()
    folder = run / "evaluation" / "test"
    assert {path.name for path in folder.iterdir()} == {"evaluation.json", "report.html"}
    found = evaluation(folder)
    assert list(found["rows"]) == ["this run", *BASELINES]
    assert found["left_out"] == {}
    assert found["overlap"]["share"] == 0.0

    # The figures are those of the run's network on the run's windows.
    network = load_network(run)
    windows = load_windows(network, [unseen], "test").batch
    expected = open_loop_errors(network.predict_states(windows), windows, network.spec)
    assert found["windows"]["count"] == windows.targets.shape[0]
    for seconds, step in (("0.1", 1), ("0.2", 3)):
        for i, name in enumerate(network.spec.state_names):
            score = found["rows"]["this run"]["scores"][seconds][name]
            np.testing.assert_allclose(score["final_rmse"]["value"], expected[step, i], rtol=1e-5)
            path = np.sqrt(np.mean(expected[: step + 1, i] ** 2))
            np.testing.assert_allclose(score["path_rmse"]["value"], path, rtol=1e-5)
    # A run of the kinematic model starts as the kinematic baseline: read anew, the rows are the same.
    default, kinematic = (found["rows"][name]["scores"] for name in ("default parameters", "kinematic"))
    for name in ("x", "psi", "v", "position"):
        values = [scores["0.2"][name]["path_rmse"]["value"] for scores in (default, kinematic)]
        np.testing.assert_allclose(*values, rtol=1e-5)
    # Holding the position is worse than going on, and the run is compared with both.
    hold, going_on = (found["rows"][name] for name in BASELINES[:2])
    assert hold["scores"]["0.2"]["position"]["mean_final"]["value"] > 0.3
    assert going_on["scores"]["0.2"]["position"]["mean_final"]["value"] < 0.3
    ratio = hold["ratios"]["0.2"]["position"]["value"]
    ours = found["rows"]["this run"]["scores"]["0.2"]["position"]["path_rmse"]["value"]
    np.testing.assert_allclose(ratio, ours / hold["scores"]["0.2"]["position"]["path_rmse"]["value"])

    for name in found["rows"]:
        assert f"│ {name} " in told.out
    assert "Over 0.2 s this run beats hold last value: position" in told.out
    assert found["comparison"]["0.2"]["hold last value"]["position"] == "better"
    assert all(row["exploded"] == {"0.1": 0, "0.2": 0} for row in found["rows"].values())
    assert "block bootstrap over" in told.out
    assert told.err.count("judging: ") == 7
    page = (folder / "report.html").read_text()
    assert {"window-channels", "map", "growth", "ladder-0-1-position", "condition-1"} <= set(
        figures_of_page(page)
    )
    assert all(name in page for name in found["rows"])
    # What to trust: beside each baseline by channel, and by what the predicted parameters vary.
    assert "Errors of this run beside each baseline over 0.2 s" in page
    assert set(found["parameters"]) == {*network.spec.param_keys}
    assert "Parameters as they are predicted over the windows" in page
    assert "To predict moment by moment, in place of one constant value, " in page
    # Baselines beside measured and simulated, the one with the smallest error first.
    offered = re.search(r'id="control-beside".*?</select>', page, re.DOTALL)
    assert offered is not None
    names = re.findall(r"<option[^>]*>([^<]+)<", offered[0])
    assert names[-2:] == ["all", "none"]
    errors = [found["rows"][name]["scores"]["0.2"]["position"]["path_rmse"]["value"] for name in names[:-2]]
    assert sorted(names[:-2]) == sorted(BASELINES)
    assert errors == sorted(errors)
    assert f"{ours:.3g} [" in page or f"<td>{ours:.3g}</td>" in page


def test_training_data_is_refused_under_another_name(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], quick: None
) -> None:
    drive = read_dataset(run.parent / "drives")[0]
    write_dataset(tmp_path / "new", [drive.slice(7, len(drive))], vehicle="another")
    assert run_pct("evaluate", run, "--dataset", tmp_path / "new") == 3
    told = capsys.readouterr().err
    assert "found 100 % of" in told
    assert "rows in its training data" in told
    assert "--allow-overlap" in told
    assert len(told.strip().splitlines()) <= 2
    assert not (run / "evaluation").exists()

    # Without its fingerprint the run is compared with the data that it names.
    (run / FINGERPRINT).unlink()
    assert run_pct("evaluate", run, "--dataset", tmp_path / "new") == 3
    assert "found 100 % of" in capsys.readouterr().err

    output = tmp_path / "judged"
    assert run_pct("evaluate", run, "--dataset", tmp_path / "new", "--allow-overlap", "--output", output) == 0
    assert "NO TEST: 100 % of" in capsys.readouterr().out
    assert "NO TEST: 100 % of" in (output / "report.html").read_text()
    assert evaluation(output)["overlap"]["share"] == 1.0


def test_without_its_training_data_a_run_lacks_what_is_fitted(
    run: Path, unseen: Path, capsys: pytest.CaptureFixture[str], quick: None
) -> None:
    drives = run.parent / "drives"
    shutil.rmtree(drives)
    assert run_pct("evaluate", run, "--dataset", unseen) == 0
    found = evaluation(run / "evaluation" / "test")
    assert set(found["left_out"]) == {"ridge ARX", "constant fit"}
    assert found["left_out"]["ridge ARX"] == f"the training data is gone: {drives}"
    assert "Left out: ridge ARX: the training data is gone" in capsys.readouterr().out
    assert len(found["rows"]) == 5

    (run / FINGERPRINT).unlink()
    assert run_pct("evaluate", run, "--dataset", unseen) == 3
    told = capsys.readouterr().err
    assert "cannot tell whether the run was trained on the test data (the training data is gone" in told
    assert run_pct("evaluate", run, "--dataset", unseen, "--allow-overlap") == 0
    assert "NOT CHECKED" in capsys.readouterr().out
    assert evaluation(run / "evaluation" / "test")["overlap"] is None


def test_a_horizon_may_be_longer_than_in_training(run: Path, unseen: Path, quick: None) -> None:
    assert run_pct("evaluate", run, "--dataset", unseen, "--at", 0.6, "--stride", 5) == 0
    found = evaluation(run / "evaluation" / "test")
    assert (found["windows"]["horizon_steps"], found["windows"]["stride_steps"]) == (12, 5)
    assert len(found["rows"]["this run"]["growth"]["position"]) == 12
    assert "ridge ARX" in found["rows"]
    assert found["bootstrap"]["least_rows_of_a_block"] > 12 + 4


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        ("--at 0.12", 2, "--at 0.12: expected a positive multiple of the time step, 0.05 s"),
        ("--at -0.1", 2, "--at: expected a number above 0 and up to 1000000 s, got -0.1"),
        ("--at 9", 3, "expected a recording of at least 185 rows"),
        ("--stride 0", 2, "--stride: expected a whole number from 1 to 1000000000, got 0"),
        ("--dataset no/such/folder", 3, "expected a folder, found nothing at"),
    ],
)
def test_what_cannot_be_used_is_told(
    trained: Path, unseen: Path, capsys: pytest.CaptureFixture[str], flags: str, code: int, message: str
) -> None:
    dataset = [] if "--dataset" in flags else ["--dataset", unseen]
    assert run_pct("evaluate", trained, *dataset, *flags.split()) == code
    assert message in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_told(
    unseen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_pct("evaluate", tmp_path, "--dataset", unseen) == 3
    assert "expected the folder of a finished run with network.json or fit.json" in capsys.readouterr().err
    assert run_pct("evaluate", tmp_path / "nothing", "--dataset", unseen) == 3
    assert "found no folder" in capsys.readouterr().err
    assert run_pct("evaluate", tmp_path) == 2


def test_files_that_chose_the_best_epoch_are_told(
    run: Path, unseen: Path, capsys: pytest.CaptureFixture[str], quick: None
) -> None:
    said = "The run chose its best epoch by some of these files"
    provenance = json.loads((run / "provenance.json").read_text())
    hashes = data_hashes([unseen])
    for named, told in ((["dataset.json"], False), (["dataset.json", "recording_00.parquet"], True)):
        data = {path: content for path, content in hashes.items() if Path(path).name in named}
        assert len(data) == len(named)
        (run / "provenance.json").write_text(json.dumps({**provenance, "data": data}))
        assert run_pct("evaluate", run, "--dataset", unseen) == 0
        assert (said in capsys.readouterr().out) is told


def test_baselines_are_fitted_to_what_training_read_alone(run: Path, unseen: Path, quick: None) -> None:
    config = json.loads((run / "config.json").read_text())
    model = load_network(run)
    shape = {"horizon": 4, "history": 4}
    store, every = training_data_of_run(run, model).rows_read(model)
    training, held_out = split_starts(store, 0.3, stride=2, **shape)
    # What a run has held out stands with its network; an older version has only its flags.
    described = json.loads((run / "network.json").read_text())
    held = split_rows(store, 0.3, gap=8) == HELD_OUT
    settings = {**described["settings"], "held_out": [span._asdict() for span in spans_of(store, held)]}
    (run / "network.json").write_text(json.dumps({**described, "settings": settings}))
    model = load_network(run)
    _, of_network = training_data_of_run(run, model).rows_read(model)
    del settings["held_out"]
    (run / "network.json").write_text(json.dumps({**described, "settings": settings}))
    (run / "config.json").write_text(json.dumps({**config, "val_split": 0.3}))
    model = load_network(run)
    data = training_data_of_run(run, model)
    _, read = data.rows_read(model)
    windows = data.windows(model, horizon=4, samples=1000)
    np.testing.assert_array_equal(read, of_network)
    assert every.sum() > read.sum() > 0
    np.testing.assert_array_equal(read, rows_of_windows(training, store.recording.size, **shape))
    assert not (rows_of_windows(held_out, read.size, **shape) & read).any()
    assert not (rows_of_windows(windows.starts, read.size, **shape) & ~read).any()
    # What is left is enough to choose the ridge by.
    assert run_pct("evaluate", run, "--dataset", unseen) == 0
    assert evaluation(run / "evaluation" / "test")["left_out"] == {}


def test_controls_that_are_derived_from_the_answer_are_told(
    run: Path, unseen: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], quick: None
) -> None:
    said = "Not logged but derived from what is predicted: accel."
    assert run_pct("evaluate", run, "--dataset", unseen) == 0
    assert said not in capsys.readouterr().out
    write_dataset(
        tmp_path / "bare", [without(drive, "accel") for drive in read_dataset(unseen)], vehicle="simulated"
    )
    assert run_pct("evaluate", run, "--dataset", tmp_path / "bare") == 0
    assert said in capsys.readouterr().out
    scores = evaluation(run / "evaluation" / "bare")["rows"]["kinematic"]["scores"]["0.2"]
    assert set(scores) == {"x", "y", "psi", "delta", "position"}


def without(drive: Trajectory, name: str) -> Trajectory:
    """The same recording without a channel."""
    channels, units, origins = (
        {key: value for key, value in table.items() if key != name}
        for table in (drive.channels, drive.units, drive.origins)
    )
    return dataclasses.replace(drive, channels=channels, units=units, origins=origins)


def test_a_fit_is_judged_from_its_history(trained: Path, unseen: Path, tmp_path: Path, quick: None) -> None:
    flags = "--model unicycle --horizon 4 --history 4 --integrator euler --substeps 1 --iterations 2"
    drives = trained.parents[2] / "drives"
    assert run_pct("fit", "--dataset", drives, *flags.split(), "--results", tmp_path) == 0
    (run,) = (tmp_path / "unicycle").iterdir()
    assert run_pct("evaluate", run, "--dataset", unseen) == 0
    found = evaluation(run / "evaluation" / "test")
    assert found["left_out"] == {"constant fit": "the run is a constant fit itself"}
    ours, default = (
        found["rows"][name]["scores"]["0.2"]["psi"]["path_rmse"]["value"]
        for name in ("this run", "default parameters")
    )
    # The defaults are the truth here: the fit is near them, yet not the same.
    assert ours == pytest.approx(default, rel=0.3)
    assert ours != default
    assert run_pct("evaluate", run, "--dataset", drives) == 3
