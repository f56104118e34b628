"""Inputs act by their origin: limits on commands, held or along straight lines."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pct.dynamics.core import MODEL_SPECS, ModelSpec
from pct.measurement import Measurement, with_measurement
from pct.recordings.trajectory import Trajectory
from pct.windows.at_limits import at_limits, limit_lines
from pct.windows.inputs import inputs_line, origins_of, told_by_controls, with_inputs
from pct.windows.store import WindowStore, make_window_store

DT, ROWS = 0.02, 60
UNITS = {
    "x": "m", "y": "m", "psi": "rad", "vx": "m/s", "vy": "m/s", "v": "m/s", "psi_dot": "rad/s", "beta": "rad",
    "delta": "rad", "delta_dot": "rad/s", "accel": "m/s^2", "drive": "1", "throttle": "1", "brake": "1",
}  # fmt: skip
SINGLETRACK, PACEJKA = MODEL_SPECS["singletrack"], MODEL_SPECS["singletrack-pacejka"]


def recording(
    spec: ModelSpec, *, without: tuple[str, ...] = (), dt: float = DT, **origins: str
) -> Trajectory:
    """Smooth columns of a model's channels, all measured but for those named."""
    time = dt * np.arange(ROWS)
    names = [channel.name for channel in (*spec.states, *spec.controls) if channel.name not in without]
    columns = {name: 0.3 * np.sin(2 * time + i) + 1.0 for i, name in enumerate(names)}
    origin = {**dict.fromkeys(names, "measured"), **origins}
    return Trajectory("drive", dt, columns, {name: UNITS[name] for name in names}, origin)


def test_origins_are_those_of_all_recordings() -> None:
    """A command counts where every recording says so; a rate that the log lacks is a difference."""
    commanded = recording(PACEJKA, without=("delta_dot",), delta="command", drive="command")
    measured = recording(PACEJKA, without=("delta_dot",), delta="command")
    assert origins_of([commanded], PACEJKA) | {"x": ""} == {
        **dict.fromkeys(PACEJKA.state_names, "measured"),
        "x": "", "delta": "command", "delta_dot": "difference", "drive": "command",
    }  # fmt: skip
    assert origins_of([commanded, measured], PACEJKA)["drive"] == "measured"


def test_a_logged_difference_is_recognised() -> None:
    """Somebody else's forward difference is exact as well, whatever its column says."""
    drive = recording(PACEJKA)
    rate = np.diff(drive.channels["delta"], append=0.0) / DT
    channels = {**drive.channels, "delta_dot": rate}
    assert origins_of([drive], PACEJKA)["delta_dot"] == "measured"
    assert origins_of([dataclasses.replace(drive, channels=channels)], PACEJKA)["delta_dot"] == "difference"


def test_pedals_that_are_commands_make_a_command() -> None:
    """What is derived of commands alone is one."""
    log = with_measurement(PACEJKA, Measurement(pedals=True))
    drive = recording(log, throttle="command", brake="command")
    assert origins_of([drive], PACEJKA)["drive"] == "command"
    assert origins_of([recording(log)], PACEJKA)["drive"] == "measured"


@pytest.mark.parametrize(
    ("inputs", "held", "straight"),
    [("auto", ("delta",), ("drive",)), ("held", ("delta",), ()), ("ramped", (), ("drive",))],
)
def test_the_setting_overrides_the_origin(
    inputs: str, held: tuple[str, ...], straight: tuple[str, ...]
) -> None:
    """A commanded angle holds and a measured pedal runs along straight lines, unless somebody says else."""
    origins = origins_of([recording(PACEJKA, without=("delta_dot",), delta="command")], PACEJKA)
    spec = with_inputs(PACEJKA, origins, inputs)  # type: ignore[arg-type]
    assert (spec.held, spec.interpolated) == (held, straight)
    assert with_inputs(PACEJKA, {}, inputs) is PACEJKA  # type: ignore[arg-type]


def test_limits_act_on_commands_alone() -> None:
    """Also where the control passes a measurement first."""
    command = origins_of([recording(SINGLETRACK, accel="command", delta_dot="command")], SINGLETRACK)
    derived = origins_of([recording(SINGLETRACK, without=("accel", "delta_dot"))], SINGLETRACK)
    assert with_inputs(SINGLETRACK, command, "auto").limited == ("delta_dot", "accel")
    assert with_inputs(SINGLETRACK, derived, "auto").limited == ()
    for spec in (SINGLETRACK, with_measurement(SINGLETRACK, Measurement(steering=True))):
        free, bound = (with_inputs(spec, origins, "auto") for origins in (derived, command))
        z = np.zeros(len(spec.states) + 2)
        z[[spec.state_indices["v"], spec.state_indices["delta"], -2, -1]] = 4.0, 0.6, 1.0, 30.0
        rates = [one.dynamics_fn(z, one.default_params, np) for one in (free, bound, spec)]
        at = [spec.state_indices[name] for name in ("delta", "v")]
        np.testing.assert_allclose(rates[0][at], [1.0, 30.0])
        np.testing.assert_allclose(rates[1][at], [0.0, 9.51])
        np.testing.assert_array_equal(rates[1], rates[2])


def test_a_low_speed_gets_the_same_controls() -> None:
    """No model cuts a measured acceleration where it rolls."""
    for name in ("singletrack", "singletrack-drift", "kinematic-singletrack", "mlp-dynamics"):
        spec = dataclasses.replace(MODEL_SPECS[name], limited=())
        z = np.zeros(len(spec.states) + 2)
        z[-1] = 40.0
        assert spec.dynamics_fn(z, spec.default_params, np)[spec.state_indices["v"]] == 40.0


def test_straight_lines_are_means_over_the_step() -> None:
    """The last row repeats; differences stay as they are."""
    drive = recording(PACEJKA, without=("delta_dot",))
    store = make_window_store([("drive", drive)], PACEJKA, inputs="auto")
    logged, delta = drive.channels["drive"], drive.channels["delta"]
    acting = store.controls[:, PACEJKA.control_names.index("drive")]
    np.testing.assert_allclose(acting[:-1], (logged[:-1] + logged[1:]) / 2, rtol=1e-6)
    assert acting[-1] == np.float32(logged[-1])
    rate = store.controls[:, PACEJKA.control_names.index("delta_dot")]
    np.testing.assert_allclose(rate[:-1], np.diff(delta) / DT, rtol=1e-4)
    plain = make_window_store([("drive", drive)], PACEJKA)
    np.testing.assert_allclose(plain.controls[:, 1], logged, rtol=1e-6)


def test_a_coarser_step_takes_the_mean_of_the_straight_lines() -> None:
    """Not the mean of rows that are held, which comes half a step late."""
    drive = recording(PACEJKA, without=("delta_dot",))
    store = make_window_store([("drive", drive)], PACEJKA, dt=3 * DT, inputs="auto")
    logged = drive.channels["drive"]
    expected = [np.trapezoid(logged[k : k + 4]) / 3 for k in range(0, ROWS - 4, 3)]
    np.testing.assert_allclose(store.controls[: len(expected), 1], expected, rtol=1e-6)


def test_a_state_that_its_own_control_predicts_is_told() -> None:
    """Where the rate passes the equations as it is, and was derived from the state."""
    drive = recording(SINGLETRACK, without=("accel", "delta_dot"))
    origins = origins_of([drive], SINGLETRACK)
    assert told_by_controls(with_inputs(SINGLETRACK, origins, "auto"), origins) == ("delta", "v")
    assert told_by_controls(SINGLETRACK, {}) == ()
    augmented = MODEL_SPECS["singletrack-augmented"]
    assert told_by_controls(dataclasses.replace(augmented, limited=()), origins) == ("delta",)
    lagged = with_measurement(SINGLETRACK, Measurement(lag=("v",)))
    assert told_by_controls(with_inputs(lagged, origins, "auto"), origins) == ("delta",)
    logged = origins_of([recording(SINGLETRACK)], SINGLETRACK)
    assert told_by_controls(with_inputs(SINGLETRACK, logged, "auto"), logged) == ()


def test_rows_at_limits_are_counted_by_limit() -> None:
    """Whether a limit acts or not."""
    drive = recording(SINGLETRACK, accel="command", delta_dot="command")
    accel = np.zeros(ROWS)
    accel[:6], accel[6:9] = 9.7, -30.0
    channels = {**drive.channels, "accel": accel, "delta": np.zeros(ROWS), "delta_dot": np.zeros(ROWS)}
    drive = dataclasses.replace(drive, channels=channels)
    store = make_window_store([("drive", drive)], SINGLETRACK, inputs="auto")
    shares = {item.limit: item.rows.mean() for item in at_limits(SINGLETRACK, store) if item.rows.any()}
    assert shares == pytest.approx({"a_max": 9 / ROWS})
    slippery = {item.limit: item.rows.mean() for item in at_limits(SINGLETRACK, store, {"mu": 0.5})}
    assert slippery["mu"] == pytest.approx(9 / ROWS)
    assert slippery["a_max"] == 0
    assert limit_lines(SINGLETRACK, store) == ["Limits: accel at a_max in 15 % of the rows."]
    free = dataclasses.replace(SINGLETRACK, limited=())
    (line,) = limit_lines(free, store)
    assert line.startswith(
        "Limits do not act on measured or derived inputs; they would cut accel at a_max in 15"
    )
    assert limit_lines(SINGLETRACK, store._replace(controls=0 * store.controls)) == [
        "Limits: no row is at a limit."
    ]
    assert at_limits(MODEL_SPECS["unicycle"], store) == []


def test_the_line_on_inputs_names_what_is_unusual() -> None:
    """Nothing is said of commands that are held."""
    assert inputs_line(PACEJKA) == ""
    spec = dataclasses.replace(PACEJKA, held=("delta",), interpolated=("drive",))
    assert inputs_line(spec) == (
        "Inputs: delta as a command that holds over each step; drive along straight lines between rows."
    )


@pytest.mark.parametrize("name", sorted(name for name in MODEL_SPECS if MODEL_SPECS[name].limits))
def test_every_model_counts_rows_at_its_limits(name: str) -> None:
    """The limits get what the equations get."""
    spec = MODEL_SPECS[name]
    rng = np.random.default_rng(0)
    rows = 30
    none = np.zeros((rows, 0))
    store = WindowStore(
        *(
            np.stack([channel.typical * rng.uniform(-1, 1, rows) for channel in table], axis=1)
            for table in (spec.states, spec.controls)
        ),
        none, none, 0.02 * np.arange(rows), np.zeros(rows, np.int32), ("drive",), (), (), 0.02,
    )  # fmt: skip
    assert any(item.rows.any() for item in at_limits(spec, store))


def test_the_filter_leaves_what_controls_tell_out_of_the_cost() -> None:
    """Its drifts do not hide that a derived acceleration predicts the speed."""
    origins = {"v": "measured", "delta": "measured", "accel": "difference", "delta_dot": "difference"}
    plain = dataclasses.replace(SINGLETRACK, limited=())
    filtered = with_measurement(plain, Measurement(observer=True))
    assert "v_drift" in [channel.name for channel in filtered.hidden]
    assert told_by_controls(filtered, origins) == told_by_controls(plain, origins)
    assert {"v", "delta"} <= {*told_by_controls(plain, origins)}
