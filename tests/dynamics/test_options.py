"""Options of `singletrack-pacejka`: equations against published ones and closed forms, and names."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import pct
from pct.dynamics import MODEL_SPECS, ModelSpec, get_model
from pct.dynamics.tires import on_friction_ellipse
from pct.dynamics.vehicles import VEHICLES, with_vehicle
from pct.errors import UsageError
from pct.runs.directory import to_json
from pct.runs.model_tables import spec_from_table, spec_table

PLAIN = MODEL_SPECS["singletrack-pacejka"]
COMBINED = get_model("singletrack-pacejka+combined-slip")
G = 9.81


def rates(spec: ModelSpec, rows: np.ndarray, **changes: float) -> SimpleNamespace:
    """Rates of rows of ``vx, vy, psi_dot, delta, drive``, (N, 5), with other parameters than the default."""
    z = np.zeros((len(rows), 9))
    z[:, 3:7], z[:, 8] = rows[:, :4], rows[:, 4]
    found = spec.dynamics_fn(z, {**spec.default_params, **changes}, np)
    return SimpleNamespace(**dict(zip(spec.state_names, found.T[:7], strict=True)))


def drives(points: int = 300, seed: int = 0) -> np.ndarray:
    """Rows of a car that slides in any way, forward."""
    rng = np.random.default_rng(seed)
    low, high = np.array([[2.0, -4.0, -5.0, -0.4, -1.0], [9.0, 4.0, 5.0, 0.4, 1.0]])
    return rng.uniform(low, high, (points, 5))


# The friction ellipse.


def test_a_driven_wheel_is_on_the_friction_ellipse() -> None:
    """Forces of each axle from the three sums, against ``F_y = F_y0 sqrt(1 - (F_x / (mu_x F_z))^2)``.

    K. Berntorp et al., Vehicle System Dynamics 52 (2014): friction ellipse. The rear wheels drive, the force
    of pure slip is the plain model's, and the load of an axle stays.
    """
    p = {**COMBINED.default_params, "h": 0.0, "T_se": 0.0, "T_sb": 0.0, "C_b": 20.0, "C_r0": 0.0, "C_r2": 0.0}
    rows = drives()
    rows[:, 3] = 0.0
    found, plain = (rates(spec, rows, **{k: p[k] for k in spec.default_params}) for spec in (COMBINED, PLAIN))
    vx, vy, psi_dot, _, drive = rows.T

    def sides(of: SimpleNamespace) -> np.ndarray:
        sums = np.stack([p["m"] * (of.vy + vx * psi_dot), p["I"] * of.psi_dot])
        return np.linalg.solve([[1.0, 1.0], [p["lf"], -p["lr"]]], sums)

    along = p["m"] * (found.vx - vy * psi_dot)
    (front, rear), (front_alone, rear_alone) = sides(found), sides(plain)
    most = p["mu_xy"] * p["D_r"]
    np.testing.assert_allclose(front, front_alone, rtol=1e-9)
    np.testing.assert_allclose(rear, rear_alone * np.sqrt(1.0 - (along / most) ** 2), atol=1e-6)
    wanted = (p["C_m1"] - p["C_m2"] * vx) * drive + p["C_b"] * np.minimum(drive, 0.0)
    small, large = np.abs(wanted) < 0.5 * most, np.abs(wanted) > 1.8 * most
    assert small.sum() > 20
    np.testing.assert_allclose(along[small], wanted[small], rtol=0.016)
    assert large.sum() > 20
    assert (np.abs(along[large]) > 0.97 * most).all()


def test_wheels_that_roll_are_those_of_the_plain_model() -> None:
    rows = drives()
    rows[:, 4] = 0.0
    one, other = rates(COMBINED, rows), rates(PLAIN, rows)
    for name in ("vx", "vy", "psi_dot"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("vx", [6.0, 0.2])
def test_no_car_brakes_or_starts_harder_than_its_tyres_hold(vx: float) -> None:
    """At speed, and where it rolls, too; the load that moves to an axle leaves the other."""
    p = COMBINED.default_params
    row = np.array([[vx, 0.0, 0.0, 0.0, drive] for drive in (1.0, -1.0)])
    found = rates(COMBINED, row, C_m1=80.0, C_b=80.0, C_r0=0.0, C_r2=0.0)
    hold = p["mu_xy"] * (p["D_f"] + p["D_r"]) / p["m"]
    assert (np.abs(found.vx) < hold * (1 + 1e-9)).all()
    assert (np.abs(found.vx) > 0.8 * hold).all()


def test_drive_in_front_turns_the_car_and_behind_it_slides() -> None:
    """The same throttle in a corner: driven in front the car turns in less, driven behind more."""
    corner = np.array([[5.0, -1.0, 0.5, 0.0, 0.4]])
    idle = rates(COMBINED, corner * [1, 1, 1, 1, 0], h=0.0).psi_dot
    behind, ahead = (rates(COMBINED, corner, h=0.0, T_se=share).psi_dot for share in (0.0, 1.0))
    assert ahead < idle < behind


def test_an_ellipse_is_finite_for_any_demand() -> None:
    force, share = on_friction_ellipse(np.array([-1e4, 0.0, 1e4], np.float32), np.float32(1.0), np)
    np.testing.assert_allclose(force, [-1.0, 0.0, 1.0], rtol=1e-6)
    np.testing.assert_allclose(share, [0.0, 1.0, 0.0], atol=1e-6)


# Load and motor.


def test_friction_falls_with_load_as_published() -> None:
    """Peak ``(D + PDY2 (F_z - F_z0) / F_z0) F_z`` of Open-Car-Dynamics' extended tyre, D friction at rest."""
    spec = get_model("singletrack-pacejka+load-sensitivity")
    p = {**spec.default_params, "k_d": 0.2, "C_r0": 0.0, "C_r2": 0.0, "C_m2": 0.0}
    # A slide in which the tyres are at their peaks, C = 1, under a drive that moves load to the rear.
    row = np.array([[5.0, -40.0, 0.0, 0.0, 0.5]])
    p |= {"C_f": 1.0, "C_r": 1.0, "B_f": 40.0, "B_r": 40.0}
    found = rates(spec, row, **p)
    total, moment = p["m"] * found.vy[0], p["I"] * found.psi_dot[0]
    front, rear = np.linalg.solve([[1.0, 1.0], [p["lf"], -p["lr"]]], [total, moment])
    wheelbase, along = p["lf"] + p["lr"], 0.5 * p["C_m1"]
    for force, D, arm, sign in ((front, p["D_f"], p["lr"], -1.0), (rear, p["D_r"], p["lf"], 1.0)):
        rest = p["m"] * G * arm / wheelbase
        load = rest + sign * along * p["h"] / wheelbase
        expected = (D / rest - 0.2 * (D / rest) * (load - rest) / rest) * load
        assert force == pytest.approx(expected, rel=2e-4)


def test_learned_load_transfer_is_that_of_the_plain_model() -> None:
    spec = get_model("singletrack-pacejka+load-transfer")
    assert {*spec.param_keys} - {*PLAIN.param_keys} == {"h"}
    rows = drives()
    for name, value in vars(rates(spec, rows, h=0.11)).items():
        np.testing.assert_array_equal(value, getattr(rates(PLAIN, rows, h=0.11), name))


@pytest.mark.parametrize("drive", [-1.0, -0.6, -0.05, 0.0, 0.05, 0.6, 1.0])
def test_motor_curve_is_the_closed_form(drive: float) -> None:
    spec = get_model("singletrack-pacejka+motor-curve")
    row = np.array([[4.0, 0.0, 0.0, 0.0, drive]])
    beyond = max(abs(drive) - 0.1, 0.0) / 0.9
    share = np.sign(drive) * beyond * (1.0 + 0.4 * (beyond - 1.0))
    found = rates(spec, row, d_0=0.1, c_d=0.4, C_r0=0.0, C_r2=0.0).vx
    full = rates(PLAIN, np.array([[4.0, 0.0, 0.0, 0.0, 1.0]]), C_r0=0.0, C_r2=0.0).vx
    np.testing.assert_allclose(found, share * full, rtol=1e-12)


# Names.


def test_an_option_is_part_of_the_name_in_one_order() -> None:
    one = get_model("singletrack-pacejka+motor-curve+combined-slip")
    assert one.name == "singletrack-pacejka+combined-slip+motor-curve"
    assert get_model("singletrack-pacejka+motor-curve+combined-slip") is one
    assert {"mu_xy", "d_0", "c_d"} <= {*one.param_keys}
    assert {"T_se", "T_sb"} <= {*one.default_params} - {*one.param_keys}
    assert "mu_xy" not in PLAIN.default_params


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "singletrack-pacejka+combined",
            "unknown option 'combined' of model .* did you mean 'combined-slip'",
        ),
        ("singletrack+combined-slip", "unknown option 'combined-slip' of model 'singletrack'"),
        ("singletrack-pacejka+motor-curve+motor-curve", "expected each option once"),
        ("singletrak+motor-curve", "did you mean 'singletrack'"),
    ],
)
def test_an_option_that_is_not_there_is_refused(name: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        pct.model(name)


@pytest.mark.parametrize("vehicle", sorted(VEHICLES))
def test_vehicles_have_values_for_all_options(vehicle: str) -> None:
    spec = with_vehicle(get_model("+".join((PLAIN.name, *PLAIN.options))), vehicle)
    given = VEHICLES[vehicle].values
    for name in ("T_se", "T_sb", "h"):
        value = given.get(name, spec.parameter(name).default)
        assert spec.default_params[name] == (value[1] if isinstance(value, tuple) else value)


def test_a_run_folder_knows_the_options() -> None:
    car = pct.model("singletrack-pacejka+combined-slip", vehicle="av-21").hold("k_b").measured(steering=True)
    saved = json.loads(json.dumps(to_json(spec_table(car.spec))))
    spec = spec_from_table(saved)
    assert spec.name == car.spec.name
    assert spec.param_keys == car.spec.param_keys
    assert spec.default_params["T_se"] == 0.0
    saved["model"] = "singletrack-pacejka"
    with pytest.raises(ValueError, match=r"'param_keys': expected a parameter of .*, found 'mu_xy'"):
        spec_from_table(saved)
