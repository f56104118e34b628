"""Fleets: a task a car, done once whatever happens, and what all cars are together."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import pytest

import pct
from pct.api.fleet_plans import Member, find_places, plan_members, run_task
from pct.errors import DataError, UsageError
from pct.executors.base import Answer, call
from pct.recordings.trajectory import write_dataset
from pct.runs.fleets import FLEET, load_fleet_prior

CAR = pct.model("singletrack").hold("C_Sf", "C_Sr", "m", "I").measured(observer=False)
SETTINGS = {"horizon": 10, "iterations": 8, "stride": 5}
FRICTIONS = (0.62, 0.7, 0.74, 0.8)


class Here:
    """Runs tasks in this process, or only counts them; can be ended in the middle."""

    def __init__(self, most: int = 100, *, counts: bool = False) -> None:
        self.most, self.counts = most, counts
        self.names: list[str] = []
        self.closed = False

    def run(self, function: str, arguments: Sequence[str], alone: int = 0) -> Iterator[Answer]:
        for number, argument in enumerate(arguments):
            if number == self.most:
                raise KeyboardInterrupt
            self.names.append(json.loads(argument)["name"])
            yield Answer(number, None if self.counts else call(function, argument), "only counted")

    def close(self) -> None:
        self.closed = True


@pytest.fixture(autouse=True)
def single_precision() -> Iterator[None]:
    with jax.enable_x64(False):
        yield


@pytest.fixture(scope="module")
def cars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dataset folders of four cars with one recording each."""
    folder = tmp_path_factory.mktemp("cars")
    for k, mu in enumerate(FRICTIONS):
        drives = pct.simulate(CAR, duration=6.0, mu=(mu,), noise=1.0, seed=k)
        write_dataset(folder / f"car {k}", [drives[0].trajectory], vehicle="simulated")
    return folder


@pytest.fixture(scope="module")
def fitted(cars: Path, tmp_path_factory: pytest.TempPathFactory) -> pct.Fleet:
    with jax.enable_x64(False):
        folder = tmp_path_factory.mktemp("fleet") / "fleet"
        return pct.fleet(CAR, f"{cars}/*", folder=folder, executor=Here(), **SETTINGS)


def fit_fleet(cars: Path, folder: Path, executor: Here, **settings: object) -> pct.Fleet:
    return pct.fleet(CAR, f"{cars}/*", folder=folder, executor=executor, **{**SETTINGS, **settings})


def test_each_car_is_fitted_as_by_itself(fitted: pct.Fleet, cars: Path) -> None:
    assert [car.name for car in fitted.cars] == [f"car {k}" for k in range(4)]
    alone, opened = pct.fit(CAR, cars / "car 2", **SETTINGS), pct.open(fitted.cars[2].run)
    assert float(opened.params["mu"]) == float(alone.params["mu"])
    assert opened.verdicts["mu"]["verdict"] == alone.verdicts["mu"]["verdict"]


def test_the_fleet_has_mean_spread_and_the_cars(fitted: pct.Fleet) -> None:
    assert fitted.summary is not None
    effects = fitted.summary.parameters["mu"].effects
    assert effects is not None
    assert effects.mean == pytest.approx(0.715, abs=0.03)
    assert effects.tau == pytest.approx(0.075, abs=0.04)
    table = fitted.table()
    assert table["value"].to_list() == pytest.approx(FRICTIONS, abs=0.03)
    assert (table["low 95 %"] < table["value"]).all()
    assert "4 fitted, 0 fitted before, 0 failed" in fitted.facts[0]
    assert "They differ in mu" in fitted.facts[1]
    saved = json.loads((fitted.folder / FLEET).read_text())
    assert [car["name"] for car in saved["cars"]] == [car.name for car in fitted.cars]
    assert saved["parameters"]["mu"]["effects"]["mean"] == effects.mean
    assert fitted.plot().get_suptitle() == "Fleet of singletrack: 4 vehicles"


def test_what_is_done_is_done_once(fitted: pct.Fleet, cars: Path) -> None:
    nobody = Here(most=0)
    again = fit_fleet(cars, fitted.folder, nobody)
    assert nobody.names == []
    assert again.table().equals(fitted.table())
    assert "0 fitted, 4 fitted before, 0 failed" in again.facts[0]


def test_other_data_and_other_settings_are_other_tasks(fitted: pct.Fleet, cars: Path, tmp_path: Path) -> None:
    shutil.copytree(fitted.folder, tmp_path / "fleet")
    moved = tmp_path / "elsewhere"
    shutil.copytree(cars, moved)
    nobody, one, all_four = (Here(counts=True) for _ in range(3))
    fit_fleet(moved, tmp_path / "fleet", nobody)
    shutil.rmtree(moved / "car 1")
    drives = pct.simulate(CAR, duration=6.0, mu=(0.7,), noise=1.0, seed=9)
    write_dataset(moved / "car 1", [drives[0].trajectory], vehicle="simulated")
    fit_fleet(moved, tmp_path / "fleet", one)
    fit_fleet(moved, tmp_path / "fleet", all_four, horizon=8)
    assert (nobody.names, one.names, len(all_four.names)) == ([], ["car 1"], 4)


def test_a_fleet_that_was_stopped_goes_on_with_the_same_bits(
    fitted: pct.Fleet, cars: Path, tmp_path: Path
) -> None:
    shutil.copytree(fitted.folder, tmp_path, dirs_exist_ok=True)
    for car in fitted.cars[1:]:
        shutil.rmtree(tmp_path / "runs" / car.run.name)
    # The run of a worker that was killed while it wrote.
    killed = tmp_path / "runs" / fitted.cars[2].run.name
    (killed / "analysis").mkdir(parents=True)
    (killed / "fit.json").write_text("{")
    stopped, rest = Here(most=1), Here()
    with pytest.raises(KeyboardInterrupt):
        fit_fleet(cars, tmp_path, stopped)
    assert stopped.closed
    again = fit_fleet(cars, tmp_path, rest)
    assert (stopped.names, rest.names) == (["car 1"], ["car 2", "car 3"])
    assert again.table().equals(fitted.table())


def test_a_car_that_cannot_be_fitted_is_recorded_and_the_others_go_on(
    fitted: pct.Fleet, cars: Path, tmp_path: Path
) -> None:
    shutil.copytree(fitted.folder, tmp_path / "fleet")
    short = tmp_path / "cars" / "a short drive"
    drives = pct.simulate(CAR, duration=1.0, seed=9)
    write_dataset(short, [drives[0].trajectory], vehicle="simulated")
    for k in range(2):
        os.symlink(cars / f"car {k}", tmp_path / "cars" / f"car {k}")
    found = pct.fleet(CAR, tmp_path / "cars" / "*", folder=tmp_path / "fleet", executor=Here(), **SETTINGS)
    (failed,) = found.failed
    assert failed.name == "a short drive"
    assert "too short" in str(failed.reason) or "rows" in str(failed.reason)
    assert json.loads((failed.run / "FAILED").read_text())["reason"] == failed.reason
    assert found.summary is not None
    assert found.summary.names == ("car 0", "car 1")
    again = Here(counts=True)
    pct.fleet(CAR, tmp_path / "cars" / "*", folder=tmp_path / "fleet", executor=again, **SETTINGS)
    assert again.names == ["a short drive"]


def test_a_task_says_why_it_fails(tmp_path: Path) -> None:
    task = {"run": str(tmp_path / "run"), "model": None, "sources": [[str(tmp_path / "gone"), None]]}
    found = json.loads(run_task(json.dumps(task)))
    assert "expected a log or a folder of logs, found nothing" in found["reason"]


def test_the_fleet_is_a_prior_for_the_next_car(fitted: pct.Fleet) -> None:
    """A second of slow driving tells next to nothing of the friction: it is that of the fleet."""
    calm = pct.simulate(CAR, duration=2.5, mu=(0.72,), speed=(1.6, 2.0), grip=0.1, noise=3.0, seed=5)
    usual = pct.fit(CAR, calm, **SETTINGS)
    by_folder = pct.fit(CAR, calm, prior=fitted.folder, **SETTINGS)
    known = pct.fit(CAR, calm, prior=fitted, **SETTINGS)
    assert float(known.params["mu"]) == float(by_folder.params["mu"])
    assert abs(float(known.params["mu"]) - 0.72) < 0.5 * abs(float(usual.params["mu"]) - 0.72)
    assert float(known.deviations["mu"]) < float(usual.deviations["mu"])
    assert known.model.spec.default_params["mu"] == pytest.approx(0.715, abs=0.03)


def test_a_fleet_with_a_fleet_as_prior(fitted: pct.Fleet, cars: Path, tmp_path: Path) -> None:
    places = [cars / "car 0", cars / "car 3"]
    again = pct.fleet(
        CAR, places, folder=tmp_path, executor=Here(), **{**SETTINGS, "prior": str(fitted.folder)}
    )
    assert again.summary is not None
    assert fitted.summary is not None
    alone = fitted.summary.parameters["mu"].values[[0, 3]]
    assert again.summary.parameters["mu"].values == pytest.approx(alone, abs=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"prior": None}, "expected a fleet of two fitted cars or more"),
        ({"model": "no-such-car"}, "no-such-car"),
        ({"format": 99}, "expected format 1, found 99"),
        ({"prior": {"names": ["mu"], "mean": [0.0], "covariance": [[-1.0]], "cars": 4}}, "positive definite"),
        ({"prior": {"names": ["v_max"], "mean": [0.0], "covariance": [[1.0]], "cars": 4}}, "'prior.names'"),
        ({"prior": {"names": ["mu"], "mean": [0.0, 1.0], "covariance": [[1.0]], "cars": 4}}, "'prior.mean'"),
    ],
)
def test_a_damaged_fleet_is_refused(
    fitted: pct.Fleet, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    table = json.loads((fitted.folder / FLEET).read_text())
    (tmp_path / FLEET).write_text(json.dumps({**table, **change}))
    with pytest.raises(DataError, match=message) as caught:
        load_fleet_prior(tmp_path)
    assert str(tmp_path / FLEET) in str(caught.value)


def test_a_prior_that_is_no_fleet_is_refused(tmp_path: Path, cars: Path) -> None:
    with pytest.raises(DataError, match="expected the description of a fleet"):
        pct.fit(CAR, cars / "car 0", prior=tmp_path, **SETTINGS)


def names_of(members: list[Member]) -> list[tuple[str, list[tuple[str, ...] | None]]]:
    return [(member.name, [source.names for source in member.sources]) for member in members]


def test_cars_are_vehicles_recordings_or_days(tmp_path: Path) -> None:
    (drive,) = pct.simulate(CAR, duration=1.0)
    for place, recordings in (
        ("a/set", ("x_2026-01-31_1", "x_2026-01-31_2", "x_20260201")),
        ("b/set", ("z",)),
    ):
        rows = [drive.trajectory.slice(0, 20, name) for name in recordings]
        write_dataset(tmp_path / place, rows, vehicle="simulated")
    places = find_places(f"{tmp_path}/*/set")
    assert names_of(plan_members(places, "vehicle")) == [("a/set", [None]), ("b/set", [None])]
    assert names_of(plan_members(places, "recording")) == [
        ("a/set/x_2026-01-31_1", [("x_2026-01-31_1",)]),
        ("a/set/x_2026-01-31_2", [("x_2026-01-31_2",)]),
        ("a/set/x_20260201", [("x_20260201",)]),
        ("b/set", [("z",)]),
    ]
    assert names_of(plan_members(places[:1], "day")) == [
        ("set/2026-01-31", [("x_2026-01-31_1", "x_2026-01-31_2")]),
        ("set/2026-02-01", [("x_20260201",)]),
    ]
    with pytest.raises(UsageError, match=r"`by=day`: .*no date is known of 'z "):
        plan_members(places, "day")
    with pytest.raises(UsageError, match="`by=week`: expected one of vehicle, recording, day"):
        plan_members(places, "week")
    part = pct.load(places[0], names=["x_20260201"])
    assert [one.name for one in part] == ["set/x_20260201"]
    assert not any("x_2026-01-31" in path for path in part.hashes)


def test_recordings_of_a_raw_folder_are_read_by_file(tmp_path: Path) -> None:
    for name in ("monday", "tuesday"):
        (drive,) = pct.simulate(CAR, duration=1.0)
        drive.table().select("t", "x", "y", "psi", "v", "delta").write_csv(tmp_path / f"{name}.csv")
    columns = "".join(f'[channels.{name}]\ncolumn = "{name}"\n' for name in ("x", "y", "psi", "v", "delta"))
    (tmp_path / "signals.toml").write_text(f'[time]\ncolumn = "t"\n{columns}')
    members = plan_members((tmp_path,), "recording")
    assert [(one.name.rpartition("/")[2], one.sources[0].place.name) for one in members] == [
        ("monday", "monday.csv"),
        ("tuesday", "tuesday.csv"),
    ]
    (source,) = members[1].sources
    assert [one.name for one in pct.load(source.place, names=source.names)] == ["tuesday"]
    (whole,) = plan_members((tmp_path,), "vehicle")
    assert len(whole.sources[0].content) == 3
