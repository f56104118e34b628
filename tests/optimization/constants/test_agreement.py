"""Drives that differ in one parameter are told from drives that do not, from simulated logs."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

import pct
from pct.errors import UsageError
from pct.optimization.constants.agreed import Agreement, agreement_from_table, agreement_table
from pct.optimization.constants.agreement import agreement_of as compare
from pct.optimization.constants.agreement_text import agreement_facts
from pct.optimization.constants.covariance import solve_positive
from pct.optimization.constants.estimate import with_blocks
from pct.optimization.constants.verdicts import make_verdicts
from pct.runs.directory import to_json

SETTINGS: Any = {"horizon": 8, "history": 4, "stride": 8, "iterations": 12}
CAR = pct.model("singletrack").hold("C_Sf", "C_Sr", "m").measured(observer=False)


def drives_of(frictions: tuple[float, ...], seed: int = 0) -> pct.Drives:
    """Drives of one car, each on a floor of its own."""
    parts = [
        pct.simulate(CAR, duration=8.0, mu=(friction,), noise=1.0, seed=seed + k)
        for k, friction in enumerate(frictions)
    ]
    named = [dataclasses.replace(part[0], name=f"floor/drive_{k:02d}") for k, part in enumerate(parts)]
    return pct.Drives(tuple(named))


@pytest.fixture(scope="module")
def apart() -> pct.Fit:
    return pct.fit(CAR, drives_of((0.5, 0.65, 0.8, 0.95)), **SETTINGS)


@pytest.fixture(scope="module")
def equal() -> pct.Fit:
    return pct.fit(CAR, drives_of((0.7,) * 5, seed=20), **SETTINGS)


def agreement_of(fit: pct.Fit) -> Agreement:
    assert fit.agreement is not None
    return fit.agreement


def test_what_differs_between_drives_is_said_to_vary(apart: pct.Fit) -> None:
    mu = agreement_of(apart).parameters["mu"]
    assert mu.effects is not None
    np.testing.assert_allclose(mu.values, [0.5, 0.65, 0.8, 0.95], rtol=0.06)
    assert mu.effects.tau == pytest.approx(np.std([0.5, 0.65, 0.8, 0.95], ddof=1), rel=0.25)
    assert mu.effects.next_low < 0.5 < 0.95 < mu.effects.next_high
    entry = apart.verdicts["mu"]
    assert entry["verdict"].startswith("varies between recordings (from 0.")
    assert entry["between"] == mu.effects.tau
    assert not mu.within
    assert entry["advice"].startswith("The car or the floor changed")
    assert not agreement_of(apart).parameters["I"].varies


def test_what_does_not_differ_is_identified(equal: pct.Fit) -> None:
    agreement = agreement_of(equal)
    assert not any(item.varies for item in agreement.quantities.values())
    mu = agreement.parameters["mu"]
    assert mu.effects is not None
    assert equal.verdicts["mu"]["verdict"] == "identified"
    assert mu.effects.next_low < 0.7 < mu.effects.next_high
    assert equal.deviations["mu"] == mu.error
    assert equal.table().row(0, named=True)["between"] == mu.effects.tau


def test_side_forces_vary_with_the_grip(apart: pct.Fit, equal: pct.Fit) -> None:
    assert [name for name, item in agreement_of(apart).curves.items() if item.varies]
    assert all(item.unit == "N" for item in agreement_of(apart).curves.values())
    tested = [item for item in agreement_of(equal).curves.values() if item.effects is not None]
    assert len(tested) >= 2
    # The band of a curve holds for the next drive.
    result = apart.result
    assert result is not None
    pooled, stated = (np.diag(e.covariance) for e in (result.estimate, result.stated))
    assert stated[0] > 25 * pooled[0]


def test_the_prior_pulls_no_drive_away_from_the_others(apart: pct.Fit) -> None:
    """With a prior as narrow as the errors, values would be drawn together by half; that is undone."""
    narrow = agreement_of(pct.fit(CAR, drives_of((0.5, 0.65, 0.8, 0.95)), prior=0.05, **SETTINGS))
    wide, drawn = agreement_of(apart).parameters["mu"], narrow.parameters["mu"]
    assert np.ptp(drawn.values) == pytest.approx(np.ptp(wide.values), rel=0.15)


def test_the_interval_that_is_shown_counts_the_prior(equal: pct.Fit) -> None:
    """With a narrow prior single drives stay at the pooled value: their scatter is not its error."""
    narrow = agreement_of(pct.fit(CAR, drives_of((0.7,) * 5, seed=20), prior=0.02, **SETTINGS))
    for agreement in (narrow, agreement_of(equal)):
        compared = [item for item in agreement.parameters.values() if item.effects is not None]
        assert compared
        for item in compared:
            effects = item.effects
            assert effects.low < item.pooled < effects.high
            assert 0.99 * 2 * 1.96 * item.error < effects.high - effects.low
            assert effects.next_low < effects.low < effects.high < effects.next_high


def test_a_drive_that_the_fit_to_all_rejects_is_compared(apart: pct.Fit) -> None:
    result = apart.result
    assert result is not None
    accepted = result.windows.store.recording[result.windows.starts] != 3
    estimate = dataclasses.replace(result.estimate, accepted=accepted)
    mu = compare(dataclasses.replace(result, estimate=estimate))
    assert mu is not None
    assert mu.parameters["mu"].used.all()
    assert mu.parameters["mu"].values[3] == pytest.approx(0.95, rel=0.06)


def test_what_single_drives_do_not_tell_has_the_error_of_the_jackknife_over_drives(apart: pct.Fit) -> None:
    """The friction differs from drive to drive, which blocks within drives know in part only."""
    result = apart.result
    assert result is not None
    estimate, recording = result.estimate, result.windows.store.recording[result.windows.starts]
    options: Any = {"prior": result.settings.prior, "huber": result.settings.huber}
    whole = with_blocks(result.errors, result.windows, estimate, recording, **options)
    assert whole.blocks == 4
    np.testing.assert_allclose(whole.information, estimate.information, rtol=1e-3, atol=1e-3)
    values = np.array([0.5, 0.65, 0.8, 0.95])
    spread = np.std(values, ddof=1) / np.sqrt(4)
    assert whole.deviations(result.spec)[0] == pytest.approx(spread, rel=0.5)
    agreement = agreement_of(apart)
    mu = agreement.parameters["mu"]._replace(effects=None, p_holm=np.nan, error=0.11, freedom=3.0)
    untold = dataclasses.replace(agreement, parameters={**agreement.parameters, "mu": mu})
    entry = make_verdicts(estimate, result.spec, 1.0, untold)["mu"]
    assert (entry["std"], entry["between"]) == (0.11, None)
    assert entry["share_of_value"] == pytest.approx(0.11 / apart.params["mu"] * 3.182 / 1.96, rel=1e-3)


def test_below_four_drives_nothing_is_compared_unless_asked() -> None:
    drives = drives_of((0.5, 0.8))
    fit = pct.fit(CAR, drives, **SETTINGS)
    assert fit.agreement is None
    assert fit.verdicts["mu"]["between"] is None
    assert any("hold for these 2 drives only" in fact for fact in fit.facts)
    asked = pct.fit(CAR, drives, by="recording", **SETTINGS)
    assert agreement_of(asked).names == ("floor/drive_00", "floor/drive_01")
    head, rows = asked.agreement_cells()
    assert [row[0] for row in rows] == ["mu", "I"]
    assert len(head) == len(rows[0])


def test_drives_are_compared_by_file_and_by_lap() -> None:
    one = pct.simulate(CAR, duration=16.0, mu=(0.7,), noise=0.0)[0].trajectory
    half = len(one) // 2
    pieces = [
        dataclasses.replace(one.slice(a, b, f"log_{k:02d}"), source=f"car: log.csv, rows {a}-{b}")
        for k, (a, b) in enumerate(((0, half), (half, len(one))))
    ]
    whole = dataclasses.replace(one, name="other", source="car: other.csv, rows 1-320")
    drives = pct.Drives(tuple(pct.Drive(f"f/{t.name}", t) for t in (*pieces, whole)))
    fit = pct.fit(CAR, drives, by="file", **SETTINGS)
    assert agreement_of(fit).names == ("f/car: log.csv", "f/car: other.csv")
    with pytest.raises(UsageError, match="`by=lap`: expected two laps or more to compare, found 0"):
        pct.fit(CAR, pct.Drives(drives.drives[:1]), by="lap", **SETTINGS)
    with pytest.raises(UsageError, match="`by=day`: expected one of recording, file, lap"):
        pct.fit(CAR, drives, by="day", **SETTINGS)  # type: ignore[arg-type]


def test_it_is_kept_in_the_run_folder(apart: pct.Fit, tmp_path: Any) -> None:
    agreement = agreement_of(apart)
    saved = json.loads(json.dumps(to_json(agreement_table(agreement))))
    again = agreement_from_table(saved)
    np.testing.assert_allclose(again.parameters["mu"].values, agreement.parameters["mu"].values)
    opened = pct.open(apart.save(tmp_path / "run", report=False))
    assert isinstance(opened, pct.Fit)
    assert opened.verdicts["mu"] == apart.verdicts["mu"]
    assert opened.deviations["mu"] == apart.deviations["mu"]
    kept = agreement_of(opened)
    assert kept.parameters["mu"].effects == agreement.parameters["mu"].effects
    assert agreement_facts(kept, 4) == agreement_facts(agreement, 4)
    table = json.loads((tmp_path / "run" / "pct_predicted_params.json").read_text())
    assert table["mu"]["between"] == pytest.approx(apart.verdicts["mu"]["between"])
    assert table["mu"]["std"] == pytest.approx(apart.deviations["mu"])


def test_a_fit_whose_covariance_is_not_sound_says_so(equal: pct.Fit) -> None:
    result = equal.result
    assert result is not None
    nothing = np.full_like(result.estimate.covariance, np.nan)
    broken = dataclasses.replace(
        result, estimate=dataclasses.replace(result.estimate, covariance=nothing, sound=False)
    )
    vars(broken)["agreement"] = None
    assert {entry["verdict"] for entry in broken.verdicts.values()} == {"error not known"}
    assert "no standard error is known and no parameter is identified" in broken.warnings[0]
    assert not solve_positive(nothing, np.ones(len(nothing)))[1]
