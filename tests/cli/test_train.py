"""`pct train` from folder to folder: what a run leaves behind, every flag, every model."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from flax import serialization

from pages.read import figures_of_page
from pct import plots
from pct.cli.flags import flag_values
from pct.cli.train import main
from pct.cli.train_config import parse_args
from pct.cli.train_steps import resolve_start
from pct.dynamics import MODEL_SPECS
from pct.errors import PctError, UsageError
from pct.evaluation.windows import load_windows
from pct.optimization.network.model import TrainedModel
from pct.optimization.network.step import make_eval_loss_fn
from pct.runs import trainings
from pct.runs.model_files import load_network
from pct.runs.overlap import load_fingerprint, row_hashes
from pct.windows.loading import load_window_store

ROOT = Path(__file__).parents[2]
Train = Callable[..., tuple[int, Path]]

ALWAYS = {
    "DONE",
    "config.json",
    "metrics.jsonl",
    "network.json",
    "pct_best_params.msgpack",
    "pct_model_params.msgpack",
    "pct_network_loss.json",
    "pct_network_loss.png",
    "pct_optimizer_state.msgpack",
    "pct_predicted_params.json",
    "provenance.json",
    "training_rows.npy",
}


def files(run: Path) -> set[str]:
    """All but the checkpoints, of which there are one or two."""
    found = {path.relative_to(run) for path in run.rglob("*") if path.is_file()}
    checkpoints = {path for path in found if path.parts[0] == "checkpoints"}
    assert 1 <= len(checkpoints) <= 2
    assert {path.suffix for path in checkpoints} == {".msgpack"}
    return {str(path) for path in found - checkpoints}


def read(path: Path) -> Any:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{path}: {constant} is no JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def metrics(run: Path) -> list[dict[str, Any]]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


def step_losses(run: Path) -> list[float]:
    return [row["train/loss"] for row in metrics(run) if "train/loss" in row]


# The documented command.


def walkthrough(*flags: str, environment: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [
        *(sys.executable, ROOT / "bin" / "optimize_network.py", "--dataset", "datasets/surfaces/train"),
        *("--epochs", "2", "--batch-size", "64", "--lr", "1e-3", "--model", "singletrack-augmented"),
        *flags,
    ]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, timeout=600)


def test_the_walkthrough_works_from_another_folder(tmp_path: Path, environment: dict[str, str]) -> None:
    small = "--samples 100 --horizon 3 --history 4 --no-history-fit --model-hidden 8 --substeps 1"
    analysis = "--integrator euler --analysis-scenarios 1"
    done = walkthrough(
        *small.split(), *analysis.split(), "--results", "made here", environment=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "made here" / "singletrack-augmented").iterdir()
    plots = {"training_error_growth", "training_parameters", "training_scenario_50th_percentile"}
    assert files(run) == ALWAYS | {"report.html"} | {f"analysis/{name}.png" for name in plots}
    assert (run / "pct_network_loss.png").read_bytes().startswith(b"\x89PNG")
    # Off a terminal: a line an epoch on stderr, no bar, no colours; results on stdout.
    lines = done.stderr.splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("epoch")] == [
        ["epoch", "1/2"],
        ["epoch", "2/2"],
    ]
    assert not set("\x1b\r━╸") & set(done.stderr)
    assert "\x1b" not in done.stdout
    assert "singletrack-augmented: 100 training windows" in done.stderr
    assert f"run folder: {run}" in done.stderr
    assert "epoch" not in done.stdout
    for learned in MODEL_SPECS["singletrack-augmented"].param_keys:
        assert f"│ {learned} " in done.stdout
    assert "the default parameters: position error after 0.15 s" in done.stdout
    assert str(run / "pct_predicted_params.json") in done.stdout
    assert str(run / "analysis") in done.stdout
    provenance = read(run / "provenance.json")
    assert provenance["command"][0].endswith("optimize_network.py")
    assert "datasets/surfaces/train" in provenance["command"]


@pytest.mark.slow
def test_the_walkthrough_works_word_for_word(tmp_path: Path, environment: dict[str, str]) -> None:
    # Here training takes longer than compiling.
    optimised = {**environment, "JAX_DISABLE_MOST_OPTIMIZATIONS": "false"}
    done = walkthrough("--results", str(tmp_path), environment=optimised, cwd=ROOT.parent)
    assert done.returncode == 0, done.stderr
    (run,) = (tmp_path / "singletrack-augmented").iterdir()
    assert files(run) >= ALWAYS


# What a run leaves behind.


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> list[TrainedModel]:
    """Trained models as the command had them in memory."""
    trained_models: list[TrainedModel] = []
    save = trainings.save_network
    monkeypatch.setattr(
        trainings, "save_network", lambda run, trained: (trained_models.append(trained), save(run, trained))
    )
    return trained_models


def test_a_run_leaves_every_file(train: Train, data: Path, kept: list[TrainedModel]) -> None:
    code, run = train(
        *("--val-dataset", data / "val", "--analysis", "--analysis-scenarios", 2, "--seed", 5),
        *("--history-fit", "--stride", 2),
    )
    assert code == 0
    plots = [
        f"analysis/{label}_{name}.png"
        for label in ("training", "validation")
        for name in ("error_growth", "parameters", "scenario_10th_percentile", "scenario_90th_percentile")
    ]
    assert files(run) == ALWAYS | {"report.html"} | set(plots)
    shown = figures_of_page((run / "report.html").read_text())
    assert {"parameters", "window-channels", "map", "residuals", "losses"} <= set(shown)
    assert len(shown["losses"]["data"]) == 5
    assert run.parent.name == "unicycle"

    config = read(run / "config.json")
    assert (config["model"], config["seed"], config["model_hidden"]) == ("unicycle", 5, [8])
    assert config["dataset"] == [str(data / "train")]
    assert set(config) == set(flag_values(parse_args(["--dataset", "x"])))
    hashes = read(run / "provenance.json")["data"]
    assert set(hashes) == {str(path) for path in data.rglob("*") if path.is_file()}

    rows = metrics(run)
    steps = [row for row in rows if "train/loss" in row]
    assert [(row["step"], row["epoch"]) for row in steps] == [(1, 1), (2, 1), (3, 2), (4, 2)]
    assert {"train/grad_norm", "train/learning_rate", "train/horizon"} <= set(steps[0])
    epochs = [row for row in rows if "val/loss" in row]
    assert [(row["epoch"], row["step"]) for row in epochs] == [(1, 2), (2, 4)]
    facts = rows[-1]["summary"]
    assert facts["best_val_loss"] == min(row["val/loss"] for row in epochs)
    done = read(run / "DONE")
    assert done["final_position_rmse_m"] == facts["final_position_rmse_m"]
    assert set(done["final_rmse"]["trained"]) == set(MODEL_SPECS["unicycle"].state_names)

    curves = read(run / "pct_network_loss.json")
    assert curves["train_loss"] == [row["train/loss"] for row in steps]
    assert curves["val_loss"] == [row["val/loss"] for row in epochs]
    assert curves["val_step"] == [2, 4]

    # The folder alone gives the network back, digit for digit, and the windows that it was checked on.
    (trained,) = kept
    loaded = load_network(run)
    assert (loaded.dt, loaded.integrator_name, loaded.substeps) == (0.05, "euler", 1)
    windows = load_windows(loaded, [data / "val"], "validation").gather()
    assert windows.origin.feature_names == tuple(loaded.settings["feature_names"])
    np.testing.assert_array_equal(loaded.predict_states(windows), trained.predict_states(windows))
    for name, values in trained.predict_parameters(windows).items():
        np.testing.assert_array_equal(loaded.predict_parameters(windows)[name], values)
    eval_loss_fn = make_eval_loss_fn(loaded.network, loaded.base_params, loaded.spec, loaded.integrator)
    assert eval_loss_fn(loaded.params, windows) == pytest.approx(facts["best_val_loss"], rel=1e-5)


def test_a_stop_while_figures_are_drawn_loses_no_result(
    train: Train, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(plots, "to_png", stop)
        code, run = train("--analysis")
    told = capsys.readouterr()
    assert code == 130
    drawn = {"pct_network_loss.png", "DONE"}
    assert files(run) == ALWAYS - drawn | {"FAILED"}
    assert "The network " in told.out
    assert f"Predicted parameters: {run / 'pct_predicted_params.json'}" in told.out
    # The run goes on at its end, and says the same.
    code, again = train("--resume", run)
    assert (code, again) == (0, None)
    assert files(run) >= ALWAYS
    assert capsys.readouterr().out.startswith(told.out)


def test_the_answer_names_unit_bounds_and_default(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "answer.json"
    code, run = train("--output", output, "--analysis", "--analysis-scenarios", 0)
    assert code == 0
    assert files(run) == ALWAYS - {"pct_predicted_params.json"} | {
        "analysis/training_error_growth.png",
        "analysis/training_parameters.png",
        "report.html",
    }
    learned = read(output)
    spec = MODEL_SPECS["unicycle"]
    assert tuple(learned) == spec.param_keys
    for name, row in learned.items():
        low, high = spec.param_bounds[name]
        assert low <= row["min"] <= row["mean"] <= row["max"] <= high
        assert row["std"] >= 0
        assert row["bounds"] == [low, high]
        assert (row["unit"], row["default"]) == (spec.parameter(name).unit, spec.default_params[name])
    told = capsys.readouterr().out
    assert f"Predicted parameters: {output}" in told
    assert f"Look next at {run / 'analysis'}" in told
    # Without validation data nothing is claimed to be checked.
    assert "No validation data: these windows were trained on" in told
    assert not any("val/loss" in row for row in metrics(run))
    assert read(run / "DONE")["split"] == "training"


def test_the_best_parameters_are_those_that_are_summarised(train: Train, kept: list[TrainedModel]) -> None:
    """At a rate that only makes things worse, the last parameters are not the best ones."""
    code, run = train("--epochs", 4, "--lr", 30)
    assert code == 0
    best, last = (
        serialization.msgpack_restore((run / f"pct_{name}_params.msgpack").read_bytes())
        for name in ("best", "model")
    )
    assert read(run / "pct_network_loss.json")["best_epoch"] < 4
    leaves = [jax.tree.leaves(tree) for tree in (best, last)]
    assert any(not np.array_equal(one, other) for one, other in zip(*leaves, strict=True))
    for one, other in zip(leaves[0], jax.tree.leaves(kept[0].params), strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(leaves[0], jax.tree.leaves(load_network(run).params), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_same_seed_gives_the_same_run(train: Train) -> None:
    (_, one), (_, again), (_, other) = (train("--seed", seed) for seed in (1, 1, 2))
    assert len({one, again, other}) == 3
    best = "pct_best_params.msgpack"
    assert (one / best).read_bytes() == (again / best).read_bytes()
    assert step_losses(one) == step_losses(again)
    assert step_losses(one) != step_losses(other)


# Flags.


@pytest.mark.parametrize("mode", ["full", "context", "features"])
def test_an_ablation_names_the_run_folder(train: Train, mode: str) -> None:
    code, run = train("--feature-mode", mode)
    assert code == 0
    assert run.name.endswith(f"_ablation_{mode}") == (mode != "full")
    names = read(run / "network.json")["settings"]["feature_names"]
    exogenous = [name for name in names if name.startswith("feature.")]
    assert bool(exogenous) == (mode != "context")
    assert (len(names) > len(exogenous)) == (mode != "features")


# The walkthrough trains the one that is left out.
@pytest.mark.parametrize("model", sorted(set(MODEL_SPECS) - {"singletrack-augmented"}))
def test_every_model_trains(train: Train, model: str) -> None:
    code, run = train("--model", model, "--epochs", 1, "--dynamics-hidden-size", 3)
    assert code == 0
    assert run.parent.name == model
    answer = read(run / "pct_predicted_params.json")
    assert tuple(answer) == MODEL_SPECS[model].param_keys
    if model == "mlp-dynamics":
        assert np.shape(answer["W1"]["mean"]) == (3, 6)
        assert load_network(run).spec.full_shapes["W1"] == (3, 6)
    (last, *_) = [row for row in metrics(run) if "train/epoch_loss" in row]
    assert np.isfinite(last["train/epoch_loss"])


def test_held_parameters_are_not_learned(train: Train) -> None:
    code, run = train(
        *("--fixed", "beta_accel=-0.5", "alpha_accel", "--lr", "2e-3", "--fixed", "beta_psi_dot=0.1")
    )
    assert code == 0
    assert set(read(run / "pct_predicted_params.json")) == {"alpha_psi_dot"}
    spec = load_network(run).spec
    assert spec.default_params["beta_accel"] == -0.5
    assert spec.default_params["beta_psi_dot"] == 0.1
    assert spec.default_params["alpha_accel"] == 1.0


def test_flags_reach_what_they_steer(train: Train) -> None:
    code, run = train(
        *("--epochs", 3, "--curriculum-batches", 3, "--curriculum-timesteps", 2, "--batch-size", 4),
        *("--lr", "1e-9", "--lr-patience", 1, "--lr-factor", "0.1", "--min-lr", "5e-10"),
        *("--dt", 10, "--stride", 2, "--samples", 5, "--model-hidden", 6),
    )
    assert code == 0
    rows = [row for row in metrics(run) if "train/loss" in row]
    assert [row["train/horizon"] for row in rows] == [2, 2, 2, 3, 3, 3]
    network = read(run / "network.json")
    assert (network["dt"], network["hidden_sizes"]) == (0.1, [8, 6])
    settings = network["settings"]
    assert (settings["horizon"], settings["history"], settings["stride"]) == (3, 4, 2)
    assert rows[0]["train/learning_rate"] == pytest.approx(1e-9)
    assert rows[-1]["train/learning_rate"] >= 5e-10 * (1 - 1e-6)


def test_the_cache_is_made_and_used(
    train: Train, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    flags = ("--val-dataset", data / "val", "--val-samples", 6, "--dataset-cache", tmp_path / "train.npz")
    flags += ("--val-dataset-cache", tmp_path / "val.npz")
    _, fresh = train(*flags)
    made = [(tmp_path / f"{name}.npz").read_bytes() for name in ("train", "val")]
    _, cached = train(*flags)
    assert [(tmp_path / f"{name}.npz").read_bytes() for name in ("train", "val")] == made
    assert step_losses(cached) == step_losses(fresh)
    assert caplog.text == ""


def test_several_folders_are_trained_on_together(
    train: Train, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, run = train("--dataset", data / "val")
    assert code == 0
    assert read(run / "config.json")["dataset"] == [str(data / "train"), str(data / "val")]
    assert "from 3 recordings" in capsys.readouterr().err


def test_a_repeated_flag_adds_to_a_list() -> None:
    flags = (
        "--dataset a b --model-hidden 8 --dataset=c --fixed mu=0.7 --seed 3 --fixed C_Sf --model_hidden 16"
    )
    args = parse_args(flags.split())
    assert args.data.dataset == ("a", "b", "c")
    assert args.model.fixed == ("mu=0.7", "C_Sf")
    assert (args.settings.model_hidden, args.settings.seed) == ((8, 16), 3)
    assert args.model.fixed_values() == {"mu": 0.7, "C_Sf": None}


def test_the_hidden_size_of_the_learned_dynamics_is_patched() -> None:
    flags = ["--dataset", "x", "--model", "mlp-dynamics", "--dynamics-hidden-size", "5"]
    spec = resolve_start(parse_args(flags))[1].spec
    assert spec.full_shapes["W2"] == (3, 5)
    assert MODEL_SPECS["mlp-dynamics"].full_shapes["W2"] == (3, 8)


def test_another_vehicle_sets_bounds_and_defaults() -> None:
    own, other = (
        resolve_start(parse_args(f"--dataset x --model singletrack {flags}".split()))[1].spec
        for flags in ("", "--vehicle bmw-320i")
    )
    assert other.default_params["m"] > 100 * own.default_params["m"]


# Values that cannot be used.


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--summary-chunk-size 0", "--summary-chunk-size: expected a whole number from 1 to 1000000, got 0"),
        ("--horizon 0", "--horizon: expected a whole number from 1 to 100000"),
        ("--samples 0", "--samples: expected a whole number from 1"),
        ("--lr nan", "--lr: expected a number above 0 and up to 1e+38, got nan"),
        ("--lr inf", "--lr: expected a number above 0 and up to 1e+38, got inf"),
        ("--batch-size -1", "--batch-size: expected a whole number from 1 to 1000000, got -1"),
        ("--lr-factor 1.5", "--lr-factor: expected a number above 0 and below 1, got 1.5"),
        ("--min-lr -1", "--min-lr: expected a number from 0 to 10, got -1"),
        ("--model-hidden 8 0", "--model-hidden: expected a whole number from 1 to 65536, got 0"),
        ("--fixed alpha_accel=much", "--fixed alpha_accel=much: expected NAME or NAME=NUMBER"),
        ("--fixed drag", "unknown parameter 'drag' of model 'unicycle'. Known: alpha_psi_dot, beta_psi_dot"),
        ("--fixed alpha_accel=7", "expected a value within [0.0, 2.0] 1"),
        (
            "--fixed alpha_psi_dot beta_psi_dot alpha_accel beta_accel",
            "holds every parameter of 'unicycle': nothing is left to learn",
        ),
        (
            "--model bicycle",
            "unknown model 'bicycle': did you mean 'unicycle'? Known: double-track, kinematic-singletrack",
        ),
        ("--vehicle tank", "bmw-320i"),
        ("--val-split 1", "--val-split: expected a number of at least 0 and below 1, got 1"),
        ("--val-split 0.5 --val-dataset x", "pass one of them"),
        ("--output no/such/folder/answer.json", "expected a path in an existing folder"),
    ],
)
def test_a_flag_that_cannot_be_used(
    train: Train, capsys: pytest.CaptureFixture[str], flags: str, message: str
) -> None:
    code, run = train(*flags.split())
    told = capsys.readouterr().err.strip()
    assert code == 2
    assert run is None
    assert told.startswith("error: ")
    assert message in told
    assert len(told.splitlines()) <= 2


def test_in_a_program_they_are_value_errors(data: Path) -> None:
    with pytest.raises(ValueError, match="`summary_chunk_size`: expected a whole number") as error:
        main(["--dataset", str(data / "train"), "--summary-chunk-size", "0"])
    assert isinstance(error.value, UsageError)
    assert isinstance(error.value, PctError)


@pytest.mark.parametrize(
    "flags", ["--epochs many", "--no-such-flag", "--feature-mode half", "--integrator rk5"]
)
def test_a_flag_that_cannot_be_read(train: Train, capsys: pytest.CaptureFixture[str], flags: str) -> None:
    code, run = train(*flags.split())
    assert (code, run) == (2, None)
    assert flags.split()[0] in capsys.readouterr().err


def test_no_dataset_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    from pct.cli.main import main as pct

    for arguments in (["train"], ["train", "--dataset"]):
        with pytest.raises(SystemExit) as stop:
            pct(arguments)
        assert stop.value.code == 2
        assert "dataset" in capsys.readouterr().err


# Held-out windows.


def test_val_split_holds_windows_out_of_the_training_data(train: Train, data: Path) -> None:
    code, run = train("--val-split", 0.5)
    assert code == 0
    facts = read(run / "DONE")
    assert facts["split"] == "validation"
    assert facts["best_val_loss"] == min(row["val/loss"] for row in metrics(run) if "val/loss" in row)
    # One of two recordings is held out: the fingerprint holds rows of the other alone.
    spec = MODEL_SPECS["unicycle"]
    store = load_window_store([data / "train"], spec, inputs="auto")
    first, second = (row_hashes(store, spec.pose_indices, store.recording == i) for i in (0, 1))
    assert np.isin(first, load_fingerprint(run)).any()
    assert not np.isin(second, load_fingerprint(run)).any()
