"""Logs of every kind that strangers bring are read rightly, or named: inputs made here, and shared ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pct
from cases.kinds import KINDS, Case
from pct.errors import DataError

SHARED = Path(__file__).parents[2].parent / "shared" / "cases"


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_of_log_is_right(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    KINDS[name].make(folder)
    KINDS[name].right(Case(folder, tmp_path))


def bag(case: Case) -> None:
    found = case.tables
    assert 'column = "/odom.pose.pose.orientation.yaw"' in found["channels.psi"]
    assert 'column = "/steer.data"' in found["channels.delta"]


def killed(case: Case) -> None:
    assert "% are lost" in case.tables["head"]
    bag(case)


def rounding(case: Case) -> None:
    """What a derived control predicts to rounding is not compared: mu is identified, as the truth is."""
    pct.import_logs(case.log, case.output / "data", map=case.folder / "signals.toml")
    car = pct.model("singletrack").hold("C_Sf", "C_Sr", "m", "I")
    fitted = pct.fit(car, case.output / "data", dt=0.02)
    assert fitted.verdicts["mu"]["verdict"] == "identified"
    assert abs(float(fitted.params["mu"]) - 0.9) < max(0.03, 3 * float(fitted.deviations["mu"]))


def hostile(case: Case) -> None:
    subprocess.run([sys.executable, case.folder / "make.py", case.output], check=True)
    for name in ("harmless", "code", "endless", "clock"):
        with pytest.raises(DataError) as refused:
            pct.check(case.output / f"{name}.mf4", map="plain-csv")
        assert len(str(refused.value).splitlines()) <= 2
    assert not (case.output / "RAN").exists()


ALL = {
    **{name: kind.right for name, kind in KINDS.items()},
    "bag-empty-storage-id": bag,
    "bag-killed-recorder": killed,
    "fit-rounding-channels": rounding,
    "hostile-mdf": hostile,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_a_shared_case_is_right(name: str, tmp_path: Path) -> None:
    if not (SHARED / name).is_dir():
        pytest.skip("the shared cases are not here")
    ALL[name](Case(SHARED / name, tmp_path))


def test_every_shared_case_has_its_check() -> None:
    if not SHARED.is_dir():
        pytest.skip("the shared cases are not here")
    assert {path.name for path in SHARED.iterdir() if path.is_dir()} <= set(ALL)
