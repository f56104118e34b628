"""Fits beside each other: what was changed between two cars is found, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import pct
from pct.errors import UsageError

SETTINGS: Any = {"horizon": 8, "history": 4, "stride": 8, "iterations": 12}
CAR = pct.model("singletrack").hold("C_Sf", "C_Sr", "m").measured(observer=False)


def fit_of(inertia: float, friction: float, seed: int, car: pct.Car = CAR, recordings: int = 1) -> pct.Fit:
    drives = pct.simulate(
        CAR, recordings=recordings, duration=12.0, mu=(friction,), fixed={"I": inertia}, noise=0.5, seed=seed
    )
    return pct.fit(car, drives, **SETTINGS)


@pytest.fixture(scope="module")
def base() -> pct.Fit:
    return fit_of(0.047, 0.7, 1)


@pytest.fixture(scope="module")
def again() -> pct.Fit:
    return fit_of(0.047, 0.7, 2)


@pytest.fixture(scope="module")
def heavier() -> pct.Fit:
    """Another yaw inertia, the same tyres."""
    return fit_of(0.06, 0.7, 3)


def test_a_changed_part_is_found_and_nothing_else(base: pct.Fit, heavier: pct.Fit) -> None:
    comparison = pct.compare([base, heavier])
    assert comparison.differs == ("I",)
    row = comparison.rows["I"]
    assert row.difference == pytest.approx(0.013, rel=0.15)
    assert row.low < 0.013 < row.high
    assert row.z > 4
    assert comparison.rows["mu"].verdict == "the same"
    assert any(name.startswith("side force front") for name in comparison.rows)
    assert comparison.facts[0].startswith("Different: I. The same within their errors: ")
    assert any("a difference may be one of drives" in fact for fact in comparison.facts)


def test_equal_cars_are_the_same(base: pct.Fit, again: pct.Fit) -> None:
    comparison = pct.compare([base, again])
    assert comparison.differs == ()
    assert set(comparison.table()["verdict"]) == {"the same"}


def test_three_runs_have_one_test_and_no_difference(base: pct.Fit, again: pct.Fit, heavier: pct.Fit) -> None:
    comparison = pct.compare([base, again, heavier])
    assert comparison.differs == ("I",)
    assert "difference" not in comparison.table().columns
    assert np.isnan(comparison.rows["I"].difference)
    head, rows = comparison.cells()
    assert all(len(row) == len(head) for row in rows)


def test_other_tyres_show_in_the_side_forces(base: pct.Fit) -> None:
    comparison = pct.compare([base, fit_of(0.047, 0.8, 4)])
    forces = {row.verdict for name, row in comparison.rows.items() if name.startswith("side force")}
    assert forces == {"differs"}
    assert isinstance(comparison.plot(), Figure)
    assert isinstance(comparison.plot("curves"), Figure)
    with pytest.raises(UsageError, match="`kind=tyres`: expected one of values, curves"):
        comparison.plot("tyres")


def test_a_fit_to_many_drives_lends_its_spread_to_one_of_a_single_drive(base: pct.Fit) -> None:
    many = fit_of(0.047, 0.7, 5, recordings=4)
    comparison = pct.compare([base, many])
    between = many.verdicts["mu"]["between"]
    expected = np.hypot(base.deviations["mu"], between)
    np.testing.assert_allclose(comparison.rows["mu"].errors, [expected, many.deviations["mu"]])
    assert any("too few drives to know how much they differ" in fact for fact in comparison.facts)


def test_what_is_held_is_said_and_other_models_are_refused(base: pct.Fit) -> None:
    held = fit_of(0.047, 0.7, 6, car=CAR.hold(I=0.047))
    comparison = pct.compare([base, held])
    assert "I" not in comparison.rows
    assert "I is held in run 2 and fitted in run 1." in comparison.facts
    other = pct.fit(pct.model("unicycle").measured(observer=False), held.drives, **SETTINGS)
    with pytest.raises(
        UsageError, match=r"expected runs of one model, found singletrack \(run 1\), unicycle"
    ):
        pct.compare([base, other])
    with pytest.raises(UsageError, match="expected two runs or more to compare, got 1"):
        pct.compare([base])


def test_run_folders_compare_as_the_fits_do(base: pct.Fit, heavier: pct.Fit, tmp_path: Path) -> None:
    runs = [fit.save(tmp_path / name, report=False) for fit, name in ((base, "before"), (heavier, "after"))]
    opened, direct = pct.compare(runs), pct.compare([base, heavier])
    assert opened.names == ("before", "after")
    for name, row in direct.rows.items():
        np.testing.assert_allclose(opened.rows[name].values, row.values, rtol=1e-5)
        np.testing.assert_allclose(opened.rows[name].errors, row.errors, rtol=1e-4)
    path = opened.save(tmp_path / "out.json")
    assert json.loads(path.read_text())["quantities"]["I"]["verdict"] == "differs"
    for kind in ("values", "curves"):
        assert opened.save_figure(tmp_path / f"{kind}.png", kind).stat().st_size > 100


def test_an_older_run_compares_by_its_errors(base: pct.Fit, heavier: pct.Fit, tmp_path: Path) -> None:
    runs = [fit.save(tmp_path / name, report=False) for fit, name in ((base, "before"), (heavier, "after"))]
    path = runs[0] / "fit.json"
    saved = json.loads(path.read_text())
    del saved["estimate"], saved["reached"]
    for entry in saved["verdicts"].values():
        del entry["std"], entry["between"]
    path.write_text(json.dumps(saved))
    comparison = pct.compare(runs)
    assert comparison.differs == ("I",)
    assert list(comparison.rows) == ["mu", "I"]
    assert "Curves are left out: before holds no covariance (an older run); fit again." in comparison.facts
