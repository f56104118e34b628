"""The smoother knows drives better than their sensors and differences do, and how well it knows them."""

import dataclasses
from functools import cache

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS
from pct.dynamics.channels import known_channels
from pct.errors import DataError
from pct.importing import kalman, smoothing
from pct.importing.kalman import Sensors, fit_noise, look_back, run_filter, score
from pct.importing.smoothing import find_sensors, smooth
from pct.logs.spool import Spool
from pct.recordings.derive import forward_difference
from pct.recordings.relations import slip_angle, speed
from pct.recordings.trajectory import Trajectory
from pct.simulation.drive import simulate
from pct.types import Column

DT = 0.02
UNITS = {"x": "m", "y": "m", "psi": "rad", "psi_dot": "rad/s", "course": "rad", "beta": "rad", "delta": "rad"}


@pytest.fixture(autouse=True)
def fit_fewer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A simulated drive shows its noise on half of them."""
    monkeypatch.setattr(kalman, "PIECE_ROWS", 60)


def log(channels: dict[str, Column], **origins: str) -> Trajectory:
    units = {name: UNITS.get(name, "m/s") for name in channels}
    return Trajectory("log", DT, channels, units, dict.fromkeys(channels, "measured") | origins)


def without(trajectory: Trajectory, *names: str) -> Trajectory:
    channels = {name: column for name, column in trajectory.channels.items() if name not in names}
    return dataclasses.replace(
        trajectory,
        channels=channels,
        units={name: trajectory.units[name] for name in channels},
        origins={name: trajectory.origins[name] for name in channels},
    )


@cache
def drive(model: str, noise: float) -> Trajectory:
    """A simulated drive without its commands for the speed; the manoeuvres do not depend on the noise."""
    (found,) = simulate(
        MODEL_SPECS[model], recordings=1, duration=14.0, dt=DT, mu=(0.8,), noise=noise, seed=4
    )
    return without(found, "accel", "drive")


def truth(model: str) -> dict[str, Column]:
    exact = drive(model, 0.0).channels
    if "vx" in exact:
        v = speed(exact["vx"], exact["vy"])
        exact = {**exact, "v": v, "beta": slip_angle(exact["vx"], exact["vy"])}
    else:
        exact = {**exact, "vx": exact["v"] * np.cos(exact["beta"]), "vy": exact["v"] * np.sin(exact["beta"])}
    return {**exact, "accel": forward_difference(exact["v"], DT)}


@cache
def estimated(model: str) -> Trajectory:
    return smooth(drive(model, 1.0), "rts")


@cache
def from_pose(method: str) -> Trajectory:
    return smooth(without(drive("singletrack", 1.0), "v", "beta", "psi_dot"), method)


@cache
def fitted(model: str = "singletrack") -> Sensors:
    return fit_noise(find_sensors(drive(model, 1.0)), DT)


def error(found: Trajectory, exact: dict[str, Column], name: str) -> float:
    return float(np.sqrt(np.mean((found.channels[name] - exact[name])[:-1] ** 2)))


# --- Estimates


@pytest.mark.parametrize("model", ["singletrack", "singletrack-pacejka"])
def test_estimates_beat_sensors_and_differences(model: str) -> None:
    exact, found, other = truth(model), estimated(model), smooth(drive(model, 1.0), "savgol")
    for name in ("x", "y", "psi", "vx", "vy", "psi_dot", "v"):
        assert error(found, exact, name) < 0.7 * error(other, exact, name), name
    for name in ("accel", "beta"):
        assert error(found, exact, name) < error(other, exact, name), name


def test_velocities_from_the_pose_alone() -> None:
    exact, found, other = truth("singletrack"), from_pose("rts"), from_pose("savgol")
    for name in ("vx", "vy", "psi_dot", "accel"):
        assert error(found, exact, name) < 0.8 * error(other, exact, name), name


def test_a_speed_without_direction_is_read_with_the_pose() -> None:
    exact, given = truth("singletrack"), without(drive("singletrack", 1.0), "beta", "psi_dot")
    assert find_sensors(given).names == ("psi", "x", "y", "v")
    assert error(smooth(given, "rts"), exact, "vx") < 0.8 * error(from_pose("rts"), exact, "vx")


def test_sound_accelerometers_are_read_and_others_are_not() -> None:
    model = "singletrack-pacejka"
    exact, noisy = truth(model), drive(model, 1.0)
    rates = {name: np.gradient(exact[name], DT) for name in ("vx", "vy")}
    ax = rates["vx"] - exact["vy"] * exact["psi_dot"]
    ay = rates["vy"] + exact["vx"] * exact["psi_dot"]
    noise = 0.1 * np.random.default_rng(0).standard_normal((2, len(ax)))

    def with_sensors(x: Column, y: Column) -> Trajectory:
        channels = {**noisy.channels, "ax": x, "ay": y}
        units = {**noisy.units, "ax": "m/s^2", "ay": "m/s^2"}
        return dataclasses.replace(
            noisy, channels=channels, units=units, origins=dict.fromkeys(channels, "measured")
        )

    # An offset is no harm.
    sound = with_sensors(ax + noise[0] + 0.3, ay + noise[1])
    assert find_sensors(sound).names[-2:] == ("ax", "ay")
    assert error(smooth(sound, "rts"), exact, "accel") < 0.7 * error(estimated(model), exact, "accel")
    wrong = with_sensors(-ax + noise[0], ay / 9.81 + noise[1] / 9.81)
    assert not {"ax", "ay"} & set(find_sensors(wrong).names)


# --- Noise


@pytest.mark.parametrize("model", ["singletrack", "singletrack-pacejka"])
def test_innovations_are_as_large_as_expected(model: str) -> None:
    sensors = fitted(model)
    forwards = run_filter(sensors, np.array([0]), len(sensors.readings), DT)
    innovation, precision = forwards.innovation[50:, 0], forwards.precision[50:, 0]
    squared = np.einsum("li,lij,lj->l", innovation, precision, innovation) / len(sensors.names)
    assert 0.9 < squared.mean() < 1.1
    # And white: one does not tell the next.
    scaled = innovation * np.sqrt(np.einsum("lii->li", precision))
    assert np.all(np.abs(np.mean(scaled[1:] * scaled[:-1], axis=0)) < 0.2)


def test_noise_of_each_sensor_is_found() -> None:
    sensors = fitted("singletrack-pacejka")
    assert len(sensors.names) >= 6
    for name, noise in zip(sensors.names, sensors.noise, strict=True):
        assert 0.8 < noise / known_channels()[name].noise < 1.25, name


def test_a_sensor_that_contradicts_the_others_hardly_counts() -> None:
    noisy = drive("singletrack-pacejka", 1.0)
    wrong = dataclasses.replace(
        noisy, channels={**noisy.channels, "psi_dot": 1.2 * noisy.channels["psi_dot"] + 0.1}
    )
    exact = truth("singletrack-pacejka")
    assert error(smooth(wrong, "rts"), exact, "psi_dot") < 0.3 * error(wrong, exact, "psi_dot")


def test_score_is_the_gradient_of_the_likelihood() -> None:
    # All sensors are linear and only psi, well known, turns the Jacobians.
    sensors = find_sensors(drive("singletrack-pacejka", 1.0))
    starts, count = np.array([0, 300]), 3 + len(sensors.names)

    def likelihood(logs: np.ndarray) -> float:
        tried = dataclasses.replace(
            sensors, walk=sensors.walk * np.exp(logs[:3]), noise=sensors.noise * np.exp(0.5 * logs[3:])
        )
        return float(run_filter(tried, starts, 60, DT).log_likelihood.sum())

    found = score(sensors, run_filter(sensors, starts, 60, DT), DT)
    numeric = [(likelihood(step) - likelihood(-step)) / 2e-4 for step in 1e-4 * np.eye(count)]
    np.testing.assert_allclose(found, numeric, rtol=0.02, atol=0.3)


# --- The smoother


def test_it_is_the_smoother_of_rauch_tung_and_striebel() -> None:
    forwards = run_filter(fitted(), np.array([100]), 40, DT)
    adjoint, information = look_back(forwards)
    smoothed = forwards.smoothed(adjoint)[:, 0]
    prior, cov = forwards.prior[:, 0], forwards.prior_cov[:, 0]
    # The textbook's form: gain from the filtered covariance, carried to the next row, and the inverse.
    expected, spread = np.empty_like(prior), np.empty_like(cov)
    for k in range(39, -1, -1):
        gain = cov[k] @ forwards.shown[k, 0].T @ forwards.precision[k, 0]
        state = prior[k] + gain @ forwards.innovation[k, 0]
        filtered = cov[k] - gain @ forwards.shown[k, 0] @ cov[k]
        if k == 39:
            expected[k], spread[k] = state, filtered
            continue
        # What carries the prior over carries it through the update: undo that.
        moved = forwards.carried[k, 0] @ np.linalg.inv(np.eye(9) - gain @ forwards.shown[k, 0])
        back = filtered @ moved.T @ np.linalg.inv(cov[k + 1])
        expected[k] = state + back @ (expected[k + 1] - prior[k + 1])
        spread[k] = filtered + back @ (spread[k + 1] - cov[k + 1]) @ back.T
    scale = np.sqrt(np.einsum("lii->li", spread))
    assert np.abs((smoothed - expected) / scale).max() < 1e-3
    ours = np.einsum("lii->li", cov - cov @ information[:, 0] @ cov)
    np.testing.assert_allclose(np.sqrt(ours), scale, rtol=1e-3)


def test_blocks_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    noisy, whole = drive("singletrack", 1.0), estimated("singletrack")
    monkeypatch.setattr(smoothing, "fit_noise", lambda sensors, dt: fitted())
    monkeypatch.setattr(smoothing, "BLOCK_ROWS", 200)
    monkeypatch.setattr(smoothing, "LEAD_ROWS", 100)
    monkeypatch.setattr(smoothing, "ABREAST", 2)
    parts = smooth(noisy, "rts")
    for name, limit in (("x", 1e-5), ("psi", 1e-5), ("vx", 1e-4), ("psi_dot", 1e-4)):
        assert np.abs(whole.channels[name] - parts.channels[name]).max() < limit, name


def test_standstill_reverse_and_spin() -> None:
    t = DT * np.arange(1200)
    # 4 s standing, 8 s forwards, then backwards to the end, turning; the last 5 s it spins three times.
    v = np.select([t < 4, t < 12, t < 14], [0.0, 2.0 * np.sin(np.pi * (t - 4) / 8), 14 - t - 2], -2.0)
    v = np.where((t >= 12) & (t < 14), -(t - 12), v)
    psi = 0.3 * np.cumsum(v) * DT + np.where(t > 19, 6 * np.pi * (t - 19) / 5, 0.0)
    course = 0.3 * np.cumsum(v) * DT
    vx, vy = v * np.cos(course - psi), v * np.sin(course - psi)
    x, y = np.cumsum(v * np.cos(course)) * DT, np.cumsum(v * np.sin(course)) * DT
    exact = {"x": x, "y": y, "psi": psi, "vx": vx, "vy": vy}
    rng = np.random.default_rng(1)
    noisy = {name: column + 0.01 * rng.standard_normal(len(t)) for name, column in exact.items()}
    noisy["psi"] = (noisy["psi"] + np.pi) % (2 * np.pi) - np.pi
    found = smooth(log(noisy), "rts")
    assert all(np.isfinite(column).all() for column in found.channels.values())
    np.testing.assert_allclose(found.channels["psi"], psi, atol=0.1)
    np.testing.assert_allclose(found.channels["vx"], vx, atol=0.15)
    assert np.all(found.channels["v"][(t > 14) & (t < 18)] < -1.8)
    # A log that stands from the first to the last row.
    still = smooth(log({name: np.full(50, 3.0) * (name == "x") for name in exact}), "rts")
    np.testing.assert_allclose(
        [still.channels[name] for name in ("vx", "vy", "psi_dot", "beta")], 0, atol=1e-6
    )


@pytest.mark.parametrize("rows", [2, 3, 6])
def test_short_logs(rows: int) -> None:
    short = smooth(drive("singletrack", 1.0).slice(100, 100 + rows), "rts")
    assert {"x", "y", "psi", "vx", "vy", "psi_dot"} <= short.channels.keys()
    assert all(len(column) == rows and np.isfinite(column).all() for column in short.channels.values())


# --- What is read and what is given


def test_a_direction_of_travel_tells_the_heading_only_where_the_car_moves() -> None:
    exact, noisy = truth("singletrack-pacejka"), drive("singletrack-pacejka", 1.0).channels
    channels = {name: noisy[name] for name in ("x", "y", "vx", "vy")}
    channels["course"] = noisy["psi"] + np.arctan2(noisy["vy"], noisy["vx"])
    standing = {name: np.concatenate([np.full(200, column[0]), column]) for name, column in channels.items()}
    for name in ("vx", "vy"):
        standing[name][:200] = 0.0
    standing["course"][:200] += 1.0
    found = smooth(log(standing), "rts").channels["psi"][200:]
    np.testing.assert_allclose(found[20:], exact["psi"][20:], atol=0.02)


def test_velocities_without_a_pose() -> None:
    noisy = drive("singletrack-pacejka", 1.0).channels
    found = smooth(log({name: noisy[name] for name in ("vx", "vy", "psi_dot")}), "rts")
    assert set(found.channels) == {"vx", "vy", "psi_dot", "v", "beta", "accel"}
    exact = truth("singletrack-pacejka")
    assert error(found, exact, "vy") < 0.6 * float(np.std(noisy["vy"] - exact["vy"]))


@pytest.mark.parametrize("names", [("x", "y"), ("vx", "psi"), ("v", "psi_dot"), ("delta",)])
def test_neither_pose_nor_velocities_is_refused(names: tuple[str, ...]) -> None:
    channels = {name: drive("singletrack-pacejka", 1.0).channels.get(name, np.ones(50)) for name in names}
    with pytest.raises(DataError, match=f"expected x, y and a heading.*{', '.join(names)}"):
        smooth(log(channels), "rts")


def test_commands_and_other_channels_stay() -> None:
    noisy = drive("singletrack", 1.0)
    command = np.sign(noisy.channels["psi"])
    given = dataclasses.replace(
        noisy,
        channels={**noisy.channels, "psi_dot": command, "accel": command},
        units={**noisy.units, "accel": "m/s^2"},
        origins={**noisy.origins, "psi_dot": "command", "accel": "measured"},
    )
    found = smooth(given, "rts")
    for name in ("delta", "psi_dot", "accel", "feature.vibration"):
        assert found.channels[name] is given.channels[name], name
    assert "psi_dot" not in find_sensors(given).names
    assert {name for name in found.units if found.origins[name] == "derived"} == {
        *("x", "y", "psi", "vx", "vy", "v", "beta")
    }
    assert found.units["vx"] == "m/s"


def test_savgol_adds_what_the_log_lacks() -> None:
    exact, noisy = truth("singletrack"), drive("singletrack", 0.0)
    given = without(noisy, "v", "beta", "psi_dot", "delta_dot")
    found = smooth(given, "savgol")
    for name in given.channels:
        assert found.channels[name] is given.channels[name]
    added = set(found.channels) - set(given.channels)
    assert added == {"vx", "vy", "v", "beta", "psi_dot", "delta_dot", "accel"}
    assert {found.origins[name] for name in added} == {"derived"}
    assert found.units["delta_dot"] == "rad/s"
    inner = slice(10, -10)
    # Means over the step that begins at a row: half a step later than the rate at it.
    followed = {
        lag: np.std(found.channels["accel"][inner] - np.roll(exact["accel"], lag)[inner])
        for lag in (-1, 0, 1)
    }
    assert min(followed, key=lambda lag: followed[lag]) == 0
    assert np.sqrt(np.mean((found.channels["vx"] - exact["vx"])[inner] ** 2)) < 0.02


# A spool that nobody holds any more warns of its folder.
@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")
def test_long_recordings_stay_in_their_files() -> None:
    noisy = without(drive("singletrack", 1.0), "delta_dot")
    spool = Spool()
    for name, column in noisy.channels.items():
        spool[name] = column
    found = smooth(dataclasses.replace(noisy, channels=spool), "savgol")
    assert isinstance(found.channels, Spool)
    assert "accel" not in spool
    np.testing.assert_array_equal(found.channels["accel"], smooth(noisy, "savgol").channels["accel"])
    del found, spool
