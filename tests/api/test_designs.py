"""What to drive next, and what was worth driving: the public values, their files and refusals."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pct
from pct.designing import bags
from pct.designing.ranking import NOTHING
from pct.errors import DataError, UsageError

TINY: dict[str, Any] = {"duration": 3.0, "dt": 0.05, "draws": 2, "candidates": 4, "generations": 4}


@pytest.fixture(scope="module")
def designed(fit: pct.Fit) -> pct.Design:
    return pct.design(fit, ["alpha_psi_dot"], **TINY, speed=3.0)


def read(path: Path) -> dict[str, np.ndarray]:
    with path.open() as file:
        head, *rows = csv.reader(file)
    return dict(zip(head, np.array(rows, float).T, strict=True))


def test_a_fit_says_what_is_known(designed: pct.Design, fit: pct.Fit) -> None:
    (row,) = designed.table().iter_rows(named=True)
    assert row["parameter"] == "alpha_psi_dot"
    assert row["value"] == pytest.approx(float(fit.params["alpha_psi_dot"]))
    assert row["std. error now"] == pytest.approx(float(fit.model.deviations["alpha_psi_dot"]), rel=0.05)
    assert row["with the drive"] < row["std. error now"]
    assert "the fit's standard errors" in designed.facts[2]


def test_files_hold_one_drive(designed: pct.Design, tmp_path: Path) -> None:
    folder = designed.save(tmp_path / "next", bag=True)
    drive, path = read(folder / "drive.csv"), read(folder / "path.csv")
    assert list(drive) == ["t", *designed.drive.spec.state_names, *designed.drive.spec.control_names]
    assert drive["t"][-1] == pytest.approx(2.95)
    assert drive["v"].max() <= 3.0
    place = np.stack([path["x"], path["y"]])
    near = np.hypot(*(place[:, :, None] - np.stack([drive["x"], drive["y"]])[:, None])).min(axis=0)
    assert near.max() < 0.5
    np.testing.assert_allclose(np.diff(path["s"]), np.hypot(*np.diff(place, axis=1)), atol=0.02)
    said = json.loads((folder / "design.json").read_text())
    assert said["parameters"][0]["parameter"] == "alpha_psi_dot"
    assert said["limits"]["speed"] == 3.0
    assert (folder / "design.png").read_bytes().startswith(b"\x89PNG")
    assert "Standard" not in (folder / "design.html").read_text()[:200]
    with pytest.raises(DataError, match="next"):
        designed.save(folder)


def test_the_bag_plays_the_drive(designed: pct.Design, tmp_path: Path) -> None:
    from pct.logs.readers.rosbag import read_bag

    bag = bags.write_bag(designed.drive, tmp_path / "bag")
    log = read_bag(bag, ["/drive.drive.speed", "/drive.time"], {})
    speed = designed.drive.guess[0][:, designed.drive.spec.state_indices["v"]]
    np.testing.assert_allclose(log.columns["/drive.drive.speed"], speed, atol=1e-6)


def test_without_rosbags_there_is_no_bag(
    designed: pct.Design, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bags, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install .pct-vehicle\[rosbag\]"):
        designed.save(tmp_path / "next", bag=True)
    assert not (tmp_path / "next").exists()
    assert importlib.util.find_spec("rosbags") is not None


def test_pieces_that_tell_come_first(fit: pct.Fit, drives: pct.Drives) -> None:
    """A car that stands still tells nothing of the gains, and of the biases less than one that drives."""
    still = drives[0].trajectory
    channels = {name: 0.0 * values for name, values in still.channels.items()}
    idle = pct.Drive("idle", type(still)("idle", still.dt, channels, still.units, still.origins))
    ranking = pct.rank(fit, [drives[0], idle], ["alpha_psi_dot"], piece=2.0)
    table = ranking.table()
    assert table["drive"].to_list()[:2] == [drives[0].name] * 2
    assert table["drive"].to_list()[2:] == ["idle"] * 2
    assert table["errors over those of all"].to_list()[-1] == pytest.approx(1.0)
    left = table["errors over those of all"].to_numpy()
    assert (np.diff(left) <= 1e-9).all()
    assert all(piece.lowers < NOTHING for piece in ranking.pieces if not piece.worth)
    assert ranking.facts[1].endswith("add nothing once the others are known.")
    (best,) = ranking.best(4.0)
    assert best.duration == pytest.approx(4.0, abs=0.1)
    assert best.name.startswith(drives[0].name)


def test_what_cannot_be_ranked_is_refused(fit: pct.Fit, drives: pct.Drives) -> None:
    with pytest.raises(UsageError, match="`piece`"):
        pct.rank(fit, drives, piece=0.0)
    with pytest.raises(
        UsageError, match="`identify=beta_accel`: expected a parameter that the fit has learned"
    ):
        pct.rank(fit, drives, ["beta_accel"])
    with pytest.raises(DataError, match=r"expected one of 0\.5 s or less"):
        pct.rank(fit, drives, piece=2.0).best(0.5)
    with pytest.raises(UsageError, match="did you mean 'speed'"):
        pct.design(fit, sped=3.0)


def test_a_fit_offers_the_command_with_its_numbers(fit: pct.Fit, drives: pct.Drives) -> None:
    arguments = fit.design_arguments
    short = [n for n, v in fit.verdicts.items() if v["verdict"].split()[0] in ("weak", "not", "traded")]
    own = [name for name in short if name in {row.name for row in pct.model("unicycle").base.parameters}]
    if not own:
        assert arguments == ()
    from pct.designing.advice import design_arguments

    assert fit.result is not None
    verdicts = {
        "alpha_psi_dot": {"verdict": "weak"},
        "tau_v": {"verdict": "weak"},
        "beta_accel": {"verdict": "identified"},
    }
    said = design_arguments("unicycle", verdicts, fit.result.windows.store)
    assert said[:3] == ("--identify", "alpha_psi_dot", "--area")
    assert float(said[-1]) == pytest.approx(max(d.trajectory.channels["v"].max() for d in drives), rel=0.1)
    assert design_arguments("unicycle", {}, fit.result.windows.store) == ()
    assert design_arguments("tv-linear", {"A": {"verdict": "weak"}}, fit.result.windows.store) == ()


def test_a_rehearsal_is_the_log_of_another_car(designed: pct.Design, fit: pct.Fit) -> None:
    spec = designed.drive.spec
    own = pct.model(spec.name)
    exact = designed.rehearse(own.hold(alpha_psi_dot=0.9), noise=0.0)[0]
    assert exact.dt == designed.drive.settings.dt
    assert len(exact) == len(designed.drive.guess[0])
    assert set(exact.channels) == {*spec.state_names, *spec.control_names}
    away = np.hypot(
        *(exact.table()[name] - designed.drive.guess[0][:, spec.state_indices[name]] for name in "xy")
    )
    assert 0.0 < away.max() < 1.0
    noisy = designed.rehearse(own.hold(alpha_psi_dot=0.9), seed=1)[0].table()
    assert (noisy["x"] - exact.table()["x"]).std() > 0
    with pytest.raises(UsageError, match="expected a car of"):
        designed.rehearse(pct.model("singletrack"))
