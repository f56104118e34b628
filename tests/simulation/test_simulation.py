"""Simulated drives: right physics, truth beside the measurements, the same bytes from the same command."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from pct.dynamics import MODEL_SPECS
from pct.dynamics.channels import known_channels
from pct.errors import UsageError
from pct.recordings.trajectory import Trajectory
from pct.rollout.integration import integrate_rk4
from pct.simulation.drive import simulate
from pct.simulation.driver import is_drivable

SINGLETRACK = MODEL_SPECS["singletrack"]
DRIVABLE = [name for name, spec in MODEL_SPECS.items() if is_drivable(spec)]
ROOT = Path(__file__).parents[2]


def drive(spec=SINGLETRACK, *, recordings=3, duration=6.0, dt=0.05, **settings) -> list[Trajectory]:
    return simulate(spec, recordings=recordings, duration=duration, dt=dt, **settings)


def stack(trajectory: Trajectory, names: tuple[str, ...]) -> np.ndarray:
    return np.stack([trajectory.channels[name] for name in names], axis=-1)


@pytest.mark.parametrize("name", DRIVABLE)
def test_log_obeys_the_model(name: str) -> None:
    """From each row, the logged command and the true parameters give the next row."""
    spec = MODEL_SPECS[name]
    trajectory = drive(spec, noise=0.0, surfaces=2)[1]
    rows = stack(trajectory, spec.state_names + spec.control_names)
    predicted = integrate_rk4(
        lambda x_and_u, params: spec.dynamics_fn(x_and_u, params, np),
        rows,
        {**spec.default_params, "mu": trajectory.channels.get("truth.mu")},
        trajectory.dt,
        substeps=20,
    )
    size = len(spec.states)
    np.testing.assert_allclose(predicted[:-1, :size], rows[1:, :size], atol=1e-12)
    assert np.ptp(trajectory.channels["psi"]) > 0.3
    assert np.ptp(trajectory.channels.get("v", trajectory.channels.get("vx"))) > 0.3


@pytest.mark.parametrize("name", sorted(set(MODEL_SPECS) - set(DRIVABLE)))
def test_a_model_that_cannot_be_driven_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"cannot be simulated.*singletrack"):
        drive(MODEL_SPECS[name])


def test_driver_stays_within_grip_and_speeds() -> None:
    trajectories = drive(recordings=9, duration=30.0, surfaces=3, noise=0.0, speed=(2.5, 7.0), grip=0.8)
    used = []
    for trajectory in trajectories:
        channels = trajectory.channels
        assert channels["v"].min() > 2.2
        assert channels["v"].max() < 7.1
        turning = channels["psi_dot"] + np.gradient(channels["beta"], trajectory.dt)
        used.append(np.abs(channels["v"] * turning) / (9.81 * channels["truth.mu"]))
    share = np.concatenate(used)
    assert np.percentile(share, 99.5) < 0.8
    assert share.max() < 1.2  # just after the car comes to a more slippery surface
    assert np.median(share) > 0.2


def test_a_car_with_a_drive_command_keeps_to_grip_and_speeds() -> None:
    (trajectory,) = drive(
        MODEL_SPECS["singletrack-pacejka"], recordings=1, duration=30.0, noise=0.0, mu=(1.0,), seed=1
    )
    channels = trajectory.channels
    assert 2.2 < channels["vx"].min() < 4.0
    assert 4.0 < channels["vx"].max() < 7.1
    assert -1.0 <= channels["drive"].min() < -0.1 < 0.1 < channels["drive"].max() <= 1.0
    share = np.abs(channels["vx"] * channels["psi_dot"]) / 9.81
    assert 0.5 < np.percentile(share, 99.0) < 0.8
    # Friction is no parameter of this car.
    assert "truth.mu" not in channels


def test_wheels_roll_at_the_start() -> None:
    spec = MODEL_SPECS["singletrack-drift"]
    (trajectory,) = drive(spec, recordings=1, duration=0.2, noise=0.0)
    channels = trajectory.channels
    for wheel in ("omega_f", "omega_r"):
        np.testing.assert_allclose(channels[wheel][0] * spec.default_params["R_w"], channels["v"][0])


def test_every_second_is_exciting() -> None:
    """Friction shows in the rear axle's slip angle only while the car corners."""
    drives = drive(recordings=6, duration=30.0, noise=0.0)
    assert len(drives) == 6
    for trajectory in drives:
        lateral = trajectory.channels["v"] * trajectory.channels["psi_dot"] / trajectory.channels["truth.mu"]
        seconds = np.sqrt(np.mean(lateral.reshape(-1, 20) ** 2, axis=1)) / 9.81
        assert np.mean(seconds > 0.1) > 0.9


def test_sensor_noise_is_white_and_of_the_stated_size() -> None:
    exact, noisy = (drive(recordings=1, duration=60.0, noise=noise)[0] for noise in (0.0, 1.0))
    for name in SINGLETRACK.state_names:
        error = noisy.channels[name] - exact.channels[name]
        assert abs(error.mean()) < 0.15 * known_channels()[name].noise
        np.testing.assert_allclose(error.std(), known_channels()[name].noise, rtol=0.08)
        assert abs(np.corrcoef(error[1:], error[:-1])[0, 1]) < 0.1
    for name in (*SINGLETRACK.control_names, "truth.mu"):
        np.testing.assert_array_equal(noisy.channels[name], exact.channels[name])
    assert noisy.origins["v"] == "measured"
    assert noisy.origins["accel"] == "command"
    assert noisy.origins["truth.mu"] == "truth"


def test_surfaces_share_out_the_range_and_take_turns() -> None:
    trajectories = drive(recordings=6, duration=12.0, surfaces=3, mu=(0.4, 1.0))
    patches = [np.unique(trajectory.channels["truth.mu"]) for trajectory in trajectories]
    assert [len(values) for values in patches] == [1, 2, 3, 1, 2, 3]
    values = np.sort(np.concatenate(patches))
    assert (np.floor((values - 0.4) / 0.05 + 1e-9) == np.arange(12)).all()  # one in each twelfth


def test_friction_as_one_value_and_as_a_list() -> None:
    for mu in ((0.7,), (0.5, 0.8, 0.9)):
        driven = {trajectory.channels["truth.mu"][0] for trajectory in drive(mu=mu)}
        assert driven == set(mu)


def test_mass_changes_between_recordings_with_its_inertia() -> None:
    trajectories = drive(vary={"m": (3.0, 4.5)}, fixed={"h": 0.1})
    masses = stack(trajectories[0], ("truth.m",)).ravel(), stack(trajectories[1], ("truth.m",)).ravel()
    assert all(np.ptp(mass) == 0.0 for mass in masses)
    assert masses[0][0] != masses[1][0]
    assert all(3.0 <= trajectory.channels["truth.m"][0] <= 4.5 for trajectory in trajectories)
    default = SINGLETRACK.default_params
    for trajectory in trajectories:
        ratio = trajectory.channels["truth.I"] / trajectory.channels["truth.m"]
        np.testing.assert_allclose(ratio, default["I"] / default["m"])
    assert "truth.h" not in trajectories[0].channels


def test_launch_starts_at_standstill() -> None:
    trajectories = drive(recordings=4, duration=8.0, launches=0.5, noise=0.0)
    starts = [trajectory.channels["v"][0] for trajectory in trajectories]
    assert sorted(starts)[:2] == [0.0, 0.0]
    assert sorted(starts)[2] >= 2.5
    for trajectory in trajectories:
        assert trajectory.channels["v"][-1] > 2.0


def test_features_tell_little_about_friction() -> None:
    trajectories = drive(recordings=48, duration=30.0)
    mu, shaking, warmth = (
        np.concatenate([trajectory.channels[name] for trajectory in trajectories])
        for name in ("truth.mu", "feature.vibration", "feature.surface_temperature")
    )
    assert 0.02 < np.corrcoef(mu, shaking)[0, 1] < 0.5
    assert abs(np.corrcoef(mu, warmth)[0, 1]) < 0.2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mu": (1.0, 0.4)}, "low end"),
        ({"mu": (0.0,)}, "`mu`: expected a number from 0.05"),
        ({"recordings": 0}, "recordings"),
        ({"duration": 0.01}, "duration"),
        ({"dt": 0.0}, "`dt`: expected"),
        ({"duration": 1e6, "recordings": 2}, "at most 10000000 rows in all"),
        ({"surfaces": 0}, "surfaces"),
        ({"speed": (0.0, 3.0)}, "speed"),
        ({"grip": 1.5}, "grip"),
        ({"launches": 2.0}, "launches"),
        ({"noise": -1.0}, "noise"),
        ({"vary": {"mass": (1.0, 2.0)}}, "unknown parameter 'mass'"),
        ({"vary": {"m": (1.0, 99.0)}}, r"m=1.0:99.0: expected within .* kg"),
        ({"fixed": {"mu": 0.5}}, "friction has its own option"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        drive(**settings)


def test_committed_sample_is_as_documented() -> None:
    """Frictions of the validation recordings lie between those of training, and none is among them."""
    driven = {}
    for part in ("train", "val"):
        tables = [pl.read_parquet(file) for file in (ROOT / "datasets/surfaces" / part).glob("*.parquet")]
        driven[part] = {value for table in tables for value in table["truth.mu"].unique()}
        assert any(table["truth.mu"].n_unique() > 1 for table in tables) == (part == "train")
    assert min(driven["train"]) < 0.45 < 0.95 < max(driven["train"])
    assert min(driven["train"]) < min(driven["val"]) < max(driven["val"]) < max(driven["train"])
    assert driven["train"].isdisjoint(driven["val"])
    size = sum(file.stat().st_size for file in (ROOT / "src/pct/demo").rglob("*") if file.is_file())
    assert size < 500_000
