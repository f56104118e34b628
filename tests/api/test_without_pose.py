"""Drives that hold no position: fitted, trained, judged, saved, drawn and exported on what is there."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import pct
from api.conftest import SMALL
from pct.errors import DataError, UsageError

POSE = ("x", "y", "psi")
CAR = pct.model("singletrack").hold("C_Sf", "C_Sr", "m")


def without(drives: pct.Drives, *names: str) -> pct.Drives:
    """The drives without these channels."""
    made = []
    for drive in drives:
        one = drive.trajectory
        kept = [name for name in one.channels if name not in names]
        tables = [{name: table[name] for name in kept} for table in (one.channels, one.units, one.origins)]
        changed = dataclasses.replace(one, channels=tables[0], units=tables[1], origins=tables[2])
        made.append(pct.Drive(drive.name, changed))
    return pct.Drives(tuple(made))


@pytest.fixture(scope="module")
def long() -> pct.Drives:
    return pct.simulate(CAR, recordings=2, duration=30.0, mu=(0.7,), seed=3)


@pytest.fixture(scope="module")
def blind(long: pct.Drives) -> pct.Fit:
    """Of drives without pose and slip angle."""
    return pct.fit(CAR, without(long, *POSE, "beta"))


def test_parameters_are_those_of_the_fit_with_the_pose(long: pct.Drives, blind: pct.Fit) -> None:
    whole, placeless = (pct.fit(CAR, without(long, *names)) for names in ((), POSE))
    for name, truth in (("mu", 0.7), ("I", float(CAR.spec.default_params["I"]))):
        for fit in (placeless, blind):
            error = np.hypot(fit.deviations[name], whole.deviations[name])
            assert abs(fit.params[name] - whole.params[name]) < 3 * error
            assert abs(fit.params[name] - truth) < 3.5 * fit.deviations[name]
        assert placeless.verdicts[name]["verdict"] == "identified"
    assert set(placeless.result.compared) == {"delta", "v", "psi_dot", "beta"}  # type: ignore[union-attr]
    facts = " ".join(blind.facts)
    assert "Not logged: x, y, psi; reckoned from the motion, and not compared." in facts
    assert "Not logged: beta; it begins as that of wheels that roll without slip, the observer" in facts


def test_it_is_saved_judged_and_drawn(blind: pct.Fit, long: pct.Drives, tmp_path: Path) -> None:
    opened = pct.open(blind.save(tmp_path / "run", report=False))
    assert opened.model.spec.unlogged == (*POSE, "beta")
    unseen = pct.simulate(CAR, duration=10.0, mu=(0.7,), seed=8)
    score = pct.evaluate(opened, without(unseen, *POSE, "beta"), stride=10)
    assert {*score.table()["channel"]} == {"delta", "v", "psi_dot"}
    prediction = opened.predict(without(unseen, *POSE, "beta")[0], start=2.0)
    assert "logged.psi_dot" in prediction.table().columns
    assert not {"logged.x", "logged.beta"} & set(prediction.table().columns)
    assert "reckoned from speed and yaw rate" in [
        text.get_text() for legend in prediction.plot().legends for text in legend.get_texts()
    ]


def test_a_network_trains_on_them(drives: pct.Drives) -> None:
    network = pct.train(
        pct.model("unicycle"), without(drives, *POSE), epochs=1, horizon=4, history=4, model_hidden=(4,),
        history_fit=False, feature_mode="context", engine="jax",
    )  # fmt: skip
    assert network.model.spec.unlogged == POSE
    assert any(line.startswith("Not logged: x, y, psi") for line in network.input_facts)


def test_what_cannot_be_compared_is_said(drives: pct.Drives) -> None:
    with pytest.raises(DataError, match="unicycle: nothing to compare: the drives hold no x, y, psi"):
        pct.fit(pct.model("unicycle"), without(drives, *POSE, "accel"), **SMALL)
    with pytest.raises(UsageError, match="`compare=x`: the drives do not hold it"):
        pct.fit(CAR, without(drives, *POSE), **SMALL, compare=("x", "psi_dot"))
    with pytest.raises(UsageError, match="`by=lap`: the drives hold no position"):
        pct.fit(CAR, without(drives, *POSE), **SMALL, by="lap", iterations=1)
    with pytest.raises(DataError, match="expected channel 'v' in m/s"):
        pct.fit(CAR, without(drives, *POSE, "v"), **SMALL)


@pytest.mark.slow
def test_where_a_drive_holds_a_position_it_is_judged_and_what_it_lacks_is_not_read(
    long: pct.Drives, blind: pct.Fit
) -> None:
    """What stands in place of a slip angle would lead the observer of a fit with one astray."""
    fit = pct.fit(CAR, long)
    unseen = pct.simulate(CAR, duration=20.0, mu=(0.7,), seed=8)
    assert {"position", "beta"} <= {*pct.evaluate(blind, unseen).table()["channel"]}
    whole, without_slip = (
        pct.evaluate(fit, drives).result.rows["this run"].scores[1.0]["psi_dot"].path_rmse.value
        for drives in (unseen, without(unseen, *POSE, "beta"))
    )
    assert without_slip < 1.1 * whole


@pytest.mark.slow
def test_a_brake_test_is_run_from_its_file(tmp_path: Path) -> None:
    """Speed, acceleration and brake: neither pose, nor yaw rate, nor steering, nor throttle."""
    dt, rng = 0.05, np.random.default_rng(1)
    pieces = []
    for strength in (1.0, 0.5, 0.8, 0.6):
        brake = np.concatenate([np.zeros(30), np.full(round(20.0 / (6.0 * strength) / dt), strength)])
        v = np.maximum(25.0 - np.cumsum((6.0 * brake + 0.2) * dt), 0.0)
        pieces.append(np.stack([v, brake]))
    v, brake = np.concatenate(pieces, axis=1)
    log = {"t": dt * np.arange(len(v)), "v_kmh": 3.6 * v + 0.1 * rng.standard_normal(len(v))}
    pl.DataFrame({**log, "brake_pct": 100 * brake}).write_csv(tmp_path / "stops.csv")
    made = pct.run(tmp_path / "stops.csv", tmp_path / "run", report=False, hold_out="block")
    assert made.choices["car.model"] == ("singletrack-pacejka", "the richest that the channels feed")
    assert made.trusted == ["C_b"]
    spec = made.fit.model.spec
    np.testing.assert_allclose(made.fit.params["C_b"] / spec.default_params["m"], 6.0, rtol=0.08)
    assert "singletrack: nothing to compare; needs accel" in made.dataset.feeds
    assert made.dataset.feeds == made.checked.feeds
