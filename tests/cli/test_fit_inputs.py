"""`pct fit` on logs of the usual kinds, by the plain command line: what is found is the truth."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import pct
from pct.cli.main import main
from pct.dynamics.core import MODEL_SPECS
from pct.recordings.trajectory import Trajectory, read_dataset, write_dataset
from pct.rollout.integration import make_integrator, rollout

DT, ROWS = 0.02, 600
Fitted = tuple[dict[str, Any], str]
FitCommand = Callable[..., Fitted]


@pytest.fixture
def fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> FitCommand:
    """``fit(folder, *flags)``: what ``fit.json`` says, and what was printed."""

    def run(folder: Path, *flags: str) -> Fitted:
        results = tmp_path / f"results{len(list(tmp_path.iterdir()))}"
        command = [
            "fit",
            "--dataset",
            str(folder),
            "--results",
            str(results),
            "--no-report",
            "--no-compile-cache",
        ]
        main([*command, *flags])
        (saved,) = results.glob("*/*/fit.json")
        return json.loads(saved.read_text()), capsys.readouterr().out

    return run


def test_the_commonest_log_tells_friction(tmp_path: Path, fit: FitCommand) -> None:
    """Pose, speed, yaw rate and steering with noise: the controls are derived, and nothing is flagged."""
    main(
        [
            *("simulate", "--output", str(tmp_path / "all"), "--recordings", "1", "--duration", "30"),
            *("--dt", "2", "--mu", "0.9"),
        ]
    )
    (drive,) = read_dataset(tmp_path / "all")
    v, beta = drive.channels["v"], drive.channels["beta"]
    kept = {name: drive.channels[name] for name in ("x", "y", "psi", "psi_dot", "delta")}
    kept["vx"] = v * np.cos(beta)
    units = {**{name: drive.units[name] for name in kept if name != "vx"}, "vx": "m/s"}
    log = dataclasses.replace(drive, channels=kept, units=units, origins=dict.fromkeys(kept, "measured"))
    write_dataset(tmp_path / "log", [log], vehicle="simulated")
    saved, printed = fit(tmp_path / "log", "--model", "singletrack", "--fixed", "C_Sf", "C_Sr", "m", "I")
    value, error = float(saved["params"]["mu"]), float(saved["deviations"]["mu"])
    assert abs(value - 0.9) < 0.03
    assert error < 0.02
    assert saved["verdicts"]["mu"]["verdict"] == "identified"
    assert saved["limited"] == []
    assert not {"v", "delta"} & set(saved["remaining_error"])
    assert "Not compared: delta, v," in printed
    assert "0 windows rejected" in printed


def test_held_commands_give_the_truth_back(tmp_path: Path, fit: FitCommand) -> None:
    """Steering and drive that jump from row to row, without noise: within 1 % by default, not as ramps."""
    truth = {"D_f": 17.0, "D_r": 21.0, "I": 0.055, "C_m1": 30.0}
    write_dataset(tmp_path / "held", [held_drive(truth)], vehicle="simulated")
    learned = MODEL_SPECS["singletrack-pacejka"].param_keys
    fixed = [name for name in learned if name not in truth]
    flags = ["--model", "singletrack-pacejka", "--double", "--no-observer", "--fixed", *fixed]
    saved, printed = fit(tmp_path / "held", *flags)
    for name, value in truth.items():
        assert saved["params"][name] == pytest.approx(value, rel=1e-3), name
        assert saved["verdicts"][name]["verdict"] == "identified"
    assert saved["held"] == ["delta"]
    assert "delta as a command that holds over each step" in printed
    ramped, _ = fit(tmp_path / "held", *flags, "--inputs", "ramped")
    assert ramped["held"] == []
    assert abs(ramped["params"]["I"] / truth["I"] - 1) > 0.02
    again = pct.open(next((tmp_path).glob("results*/*/*"))).model
    assert again.spec.held == ("delta",)


def held_drive(truth: dict[str, float]) -> Trajectory:
    """A drive of the Pacejka model whose steering angle is held over each step."""
    spec = dataclasses.replace(MODEL_SPECS["singletrack-pacejka"], held=("delta",))
    rng, time = np.random.default_rng(0), DT * np.arange(ROWS)
    # A controller that corrects at every row.
    delta = 0.12 * np.sin(1.5 * time) + 0.05 * rng.standard_normal(ROWS)
    drive = 0.25 + 0.1 * np.sin(0.7 * time) + 0.1 * rng.standard_normal(ROWS)
    controls = np.stack([np.diff(delta, append=delta[-1]) / DT, drive], axis=-1)
    start = np.zeros(len(spec.states))
    start[spec.state_indices["vx"]], start[spec.state_indices["delta"]] = 4.0, delta[0]
    with jax.enable_x64(True):
        params = {**spec.default_params, **truth}
        after = rollout(
            dataclasses.replace(spec, limited=()).dynamics_fn, make_integrator("rk4"),
            start, controls, params, DT,
        )  # fmt: skip
    states = np.concatenate([start[None], np.asarray(after)[:-1]])
    channels = {name: states[:, i] for name, i in spec.state_indices.items()}
    assert np.allclose(channels["delta"], delta)
    channels["drive"] = drive
    units = {row.name: row.unit for row in (*spec.states, *spec.controls) if row.name in channels}
    origins = {**dict.fromkeys(channels, "measured"), "delta": "command", "drive": "command"}
    return Trajectory("held", DT, channels, units, origins)
