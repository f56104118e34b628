"""Each planted wrong unit and sign is refused with the map line that mends it, and honest logs pass."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import pct
from pct.errors import DataError
from pct.recordings.checks import check_trajectory
from pct.recordings.trajectory import Trajectory
from pct.types import Column

DT = 0.04
COLUMNS = {
    name: (f"raw_{name}", "") for name in ("x", "psi", "psi_dot", "v", "vx", "delta", "delta_dot", "accel")
}
UNITS = {
    "x": "m",
    "y": "m",
    "v": "m/s",
    "vx": "m/s",
    "accel": "m/s^2",
    "psi_dot": "rad/s",
    "delta_dot": "rad/s",
}


def log(wheelbase: float = 0.33, steer: float = 0.25, noise: float = 1.0, **scaled: float) -> Trajectory:
    """A noisy drive through bends at changing speed; named channels are multiplied, as by a wrong unit."""
    random = np.random.default_rng(3)
    t = DT * np.arange(600)
    size = wheelbase / 0.33
    v = size * (3.0 + np.sin(0.5 * t))
    delta = steer * np.sin(0.9 * t)
    psi_dot = v / wheelbase * np.tan(delta)
    psi = np.concatenate([[0.0], np.cumsum(psi_dot[:-1] * DT)])
    x, y = (np.concatenate([[0.0], np.cumsum((v * f(psi))[:-1] * DT)]) for f in (np.cos, np.sin))
    exact = {
        "x": x,
        "y": y,
        "psi": psi,
        "psi_dot": psi_dot,
        "v": v,
        "delta": delta,
        "delta_dot": 0.9 * steer * np.cos(0.9 * t),
        "accel": size * 0.5 * np.cos(0.5 * t),
    }
    sigma = {"x": 0.01, "y": 0.01, "psi": 0.005, "psi_dot": 0.1, "v": 0.05, "accel": 0.2}
    channels: dict[str, Column] = {
        name: (column + noise * sigma.get(name, 0.005) * random.normal(size=len(t))) * scaled.get(name, 1.0)
        for name, column in exact.items()
    }
    units = {name: UNITS.get(name, "rad") for name in channels}
    return Trajectory("log", DT, channels, units, dict.fromkeys(channels, "measured"))


@pytest.mark.parametrize(
    ("wheelbase", "steer", "noise"), [(0.062, 0.25, 0.2), (0.33, 0.25, 1.0), (3.0, 0.02, 0.2)]
)
def test_an_honest_log_passes(wheelbase: float, steer: float, noise: float) -> None:
    check_trajectory(log(wheelbase, steer, noise), "log.csv", COLUMNS)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_a_car_that_drifts_for_most_of_a_drive_passes(side: float) -> None:
    """It slides at 60 degrees around a circle after a straight start; a wrong zero shows at once."""
    t = DT * np.arange(500)
    drifting = np.clip((t - 3.0) / 0.5, 0.0, 1.0)
    slip = -side * drifting * np.pi / 3
    course = side * np.cumsum(1.5 * drifting) * DT
    v = 1.0 + 0.0 * t
    channels: dict[str, Column] = {
        "x": np.cumsum(v * np.cos(course)) * DT,
        "y": np.cumsum(v * np.sin(course)) * DT,
        "psi": course - slip,
        "v": v,
    }

    def drive(**changed: Column) -> Trajectory:
        columns = channels | changed
        units = {name: UNITS.get(name, "rad") for name in columns}
        return Trajectory("log", DT, columns, units, dict.fromkeys(columns, "measured"))

    check_trajectory(drive(), "log.csv")
    for wrong in (channels["psi"] + 1.2 * side, -channels["psi"], DEG * channels["psi"]):
        with pytest.raises(DataError, match="point where the positions go"):
            check_trajectory(drive(psi=wrong), "log.csv")


DEG = 180 / np.pi


@pytest.mark.parametrize(
    ("planted", "evidence", "fix"),
    [
        (log(3.0, 0.02, 0.1, psi_dot=DEG), "57", '[channels.psi_dot] unit = "deg/s"'),
        (log(psi=DEG), "point where the positions go", '[channels.psi] unit = "deg"'),
        (log(v=3.6), "3.6", '[channels.v] unit = "km/h"'),
        (log(x=1000.0, y=1000.0), "0.001", '[channels.x] unit = "mm" or [channels.y] unit = "mm"'),
        (log(3.0, 0.02, 0.1, delta=DEG, delta_dot=DEG), "a wheelbase in m", '[channels.delta] unit = "deg"'),
        (log(delta_dot=DEG), "the rate of 'delta'", '[channels.delta_dot] unit = "deg/s"'),
        (log(accel=1 / 9.80665), "the rate of the speed", '[channels.accel] unit = "g"'),
        (log(psi_dot=-1.0), "-1", "[channels.psi_dot] sign = -1"),
        (log(delta=-1.0, delta_dot=-1.0), "a wheelbase in m", "[channels.delta] sign = -1"),
        (log(accel=-1.0), "the rate of the speed", "[channels.accel] sign = -1"),
        (log(x=-1.0), "point where the positions go", "[channels.psi]"),
    ],
)
def test_a_wrong_unit_or_sign_is_refused(planted: Trajectory, evidence: str, fix: str) -> None:
    """No value is beyond its channel's limit: only the comparison can tell."""
    with pytest.raises(DataError) as error:
        check_trajectory(planted, "log.csv", COLUMNS)
    assert "log.csv: expected" in str(error.value)
    assert evidence in str(error.value)
    assert fix in str(error.value)
    assert len(str(error.value).splitlines()) <= 2


def test_a_heading_in_degrees_without_positions_is_refused() -> None:
    planted = log(3.0, 0.02, 0.1, psi=DEG)
    channels = {name: planted.channels[name] for name in ("psi", "psi_dot", "v")}
    with pytest.raises(DataError, match=r'0\.0175[\s\S]*\[channels\.psi\] unit = "deg"'):
        check_trajectory(dataclasses.replace(planted, channels=channels), "log.csv", COLUMNS)


def test_a_unit_declared_for_nothing_is_refused() -> None:
    """The map says deg/s, the log is in rad/s."""
    with pytest.raises(DataError, match=r'\[channels\.psi_dot\] unit = "rad/s"'):
        check_trajectory(log(psi_dot=1 / DEG), "log.csv", {"psi_dot": ("w", "deg/s")})


def test_a_command_need_not_be_what_happens() -> None:
    asked = log(accel=-5.0)
    check_trajectory(
        dataclasses.replace(asked, origins={**asked.origins, "accel": "command"}), "log.csv", COLUMNS
    )


def test_noise_is_no_evidence() -> None:
    """A parked car: every ratio is one of noises."""
    parked = log(v=0.0, x=0.0, y=0.0, psi=0.0, psi_dot=0.0, accel=0.0)
    random = np.random.default_rng(0)
    channels = {name: 0.01 * random.normal(size=600) for name in parked.channels}
    check_trajectory(dataclasses.replace(parked, channels=channels), "log.csv", COLUMNS)


def test_ratios_that_rows_do_not_agree_on_are_no_evidence() -> None:
    """Wheels that spin now and then: far too fast, but not by one factor."""
    honest = log()
    factors = np.repeat(np.geomspace(3.0, 25.0, 12), 50)
    channels = {"x": honest.channels["x"], "y": honest.channels["y"], "v": honest.channels["v"] * factors}
    check_trajectory(dataclasses.replace(honest, channels=channels), "log.csv", COLUMNS)


@pytest.mark.parametrize(
    ("value", "message"), [(np.nan, "found nan"), (np.inf, "found inf"), (150.0, "found 150")]
)
def test_impossible_values_are_refused(value: float, message: str) -> None:
    bad = log()
    bad.channels["v"][17] = value
    with pytest.raises(DataError, match=f"log.csv: expected 'v' within 120 m/s, {message} in row 17"):
        check_trajectory(bad, "log.csv", COLUMNS)


def test_a_drive_that_begins_at_speed_behind_a_standstill_is_cut_there(tmp_path: Path) -> None:
    """A recording from elsewhere begins there; the noise of the car that stands agrees with nothing."""
    t, random = 0.02 * np.arange(1000), np.random.default_rng(3)
    goes = np.maximum(t - 5.0, 0.0)
    log = {"t": t, "x": 20.0 * goes, "y": 0.0 * t, "psi": 0.0 * t, "v": 20.0 * (goes > 0), "psi_dot": 0.0 * t}
    table = np.column_stack([c + random.normal(0, 0.005, len(t)) * (n != "t") for n, c in log.items()])
    np.savetxt(tmp_path / "log.csv", table, delimiter=",", header=",".join(log), comments="")
    (tmp_path / "signals.toml").write_text(
        '[time]\ncolumn = "t"\n' + "".join(f'[channels.{n}]\ncolumn = "{n}"\n' for n in log if n != "t")
    )
    pct.import_logs(tmp_path / "log.csv", tmp_path / "car", split="none", processes=1)
    _, drive = pct.load(tmp_path / "car")
    assert drive.duration == pytest.approx(15.0, abs=0.1)
    assert drive.trajectory.channels["v"][1:].min() > 19.0
