"""Parameter files say the car as their readers compute it, or are refused; what is lost is stated.

Readers that the package index has are run; of the others, values are held that their code gave once.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pct.dynamics.limits import GRAVITY
from pct.errors import PctError, UsageError
from pct.export.f1tenth_gym import TARGET as GYM
from pct.export.f1tenth_gym import limited, single_track
from pct.export.forzaeth import TARGET as FORZAETH
from pct.export.forzaeth import analyser
from pct.export.magic import without
from pct.export.motion import Rows, body_rates, driven_rows, model_rates, slip_angles, usual_rows
from pct.export.mpcc import KEYS
from pct.export.mpcc import TARGET as MPCC
from pct.export.parameters import REFITTED, ParameterTarget, entries_of
from pct.export.source import Source, from_model
from pct.export.targets import TARGETS, target_of
from pct.export.tum import DYNAMICS, mf_simple, tables

SHARED = Path(__file__).parents[3] / "shared" / "data" / "readers"
SAYABLE = [
    ("f1tenth-gym", "singletrack", None),
    ("f1tenth-gym-jax", "singletrack", "av-21"),
    ("commonroad", "singletrack", "bmw-320i"),
    ("commonroad", "singletrack-drift", "bmw-320i"),
    ("forzaeth", "singletrack-pacejka", None),
    ("mpcc", "singletrack-pacejka", "orca"),
    ("tum", "singletrack-pacejka", "av-21"),
    ("ros2", "singletrack-pacejka", None),
    ("autoware", "singletrack", "lincoln-mkz"),
]


def learned(source: Source, **changes: Any) -> Source:
    """As of a fit: every parameter that a fit learns is identified, with a standard error of a percent."""
    keys = source.spec.param_keys
    return dataclasses.replace(
        source,
        origins={**source.origins, **dict.fromkeys(keys, "learned")},
        deviations={key: 0.01 * abs(float(source.values[key])) for key in keys},
        verdicts=dict.fromkeys(keys, "identified"),
        **changes,
    )


def columns(**values: float) -> dict[str, np.ndarray]:
    return {name: np.array([value]) for name, value in values.items()}


def rows_of(data: dict[str, Any]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = data["rows"]
    return rows


# The equations of readers that are not packaged: what their code gave.


def test_the_gym_s_published_derivative() -> None:
    """f1tenth_gym's own test of vehicle_dynamics_st, for the car of CommonRoad's vehicle 2."""
    p = {
        "mu": 1.0489, "C_Sf": 21.92 / 1.0489, "C_Sr": 21.92 / 1.0489, "lf": 0.3048 * 3.793293,
        "lr": 0.3048 * 4.667707, "h": 0.3048 * 2.01355, "m": 4.4482216152605 / 0.3048 * 74.91452,
        "I": 4.4482216152605 * 0.3048 * 1321.416, "s_min": -1.066, "s_max": 1.066, "sv_min": -0.4,
        "sv_max": 0.4, "v_switch": 7.319, "a_max": 11.5, "v_min": -13.6, "v_max": 50.8,
    }  # fmt: skip
    x = columns(
        delta=0.0197545248559617, v=15.7216236334290116, psi_dot=0.0529001056654038, beta=0.0033012170610298
    )
    rates = single_track(p, Rows(x, columns(delta_dot=0.15, accel=0.63 * GRAVITY)), rolls=0.5)
    assert rates["v"][0] == pytest.approx(5.3536773276413925, rel=1e-12)
    assert rates["psi_dot"][0] == pytest.approx(0.6435589397748606, rel=1e-12)
    assert rates["beta"][0] == pytest.approx(0.0313297971641291, rel=1e-12)


TYRES = {"Bf": 5.5, "Cf": 1.45, "Br": 6.5, "Cr": 1.3}
# alexliniger/MPCC, C++ Model::getF with getForceFriction: rates of vx, vy, r.
GET_F = [
    ((4.0, 0.3, 1.2, 0.2, 0.5), (3.4935052508037767, -3.2428315504136163, 47.416505407018789)),
    ((6.0, -0.5, -2.0, -0.15, -0.4), (-2.3844250067871404, 12.620739915910844, -22.836561951740148)),
]
# ForzaETH race_stack, id_analyser/helpers/vehicle_dynamics.py: rates of vy and psi_dot.
ANALYSED = [
    ((4.0, 0.3, 1.2, 0.2, 2.0), (-3.3305844656641295, 47.200055725868374)),
    ((6.0, -0.5, -2.0, -0.15, -3.0), (12.41786055552091, -21.60792145480815)),
]
# TUMFTM Open-Car-Dynamics, MF_Simple::evaluate_static over the load: B, C, D, E, slip angle; force.
MF_SIMPLE = [
    ((5.5, 1.45, 0.95, -0.4, 0.12), 0.73215205625681246),
    ((6.5, 1.3, 1.1, 0.3, -0.25), -1.0491714250466728),
]


@pytest.mark.parametrize(("state", "rates"), GET_F)
def test_mpcc_s_equations(state: tuple[float, ...], rates: tuple[float, ...]) -> None:
    p = {"Cm1": 35.6, "Cm2": 1.43, "Cr0": 1.0, "Cr2": 0.015, "Df": 18.0, "Dr": 20.0, "m": 3.74, "Iz": 0.047}
    p |= {**TYRES, "lf": 0.159, "lr": 0.171}
    vx, vy, r, delta, drive = state
    found = MPCC.rates(
        p,
        from_model("singletrack-pacejka"),
        Rows(columns(vx=vx, vy=vy, psi_dot=r, delta=delta), columns(drive=drive)),
    )
    np.testing.assert_allclose([found[name][0] for name in ("vx", "vy", "psi_dot")], rates, rtol=1e-13)


@pytest.mark.parametrize(("state", "rates"), ANALYSED)
def test_forzaeth_s_equations(state: tuple[float, ...], rates: tuple[float, ...]) -> None:
    p = {
        **TYRES,
        "Df": 0.95,
        "Ef": -0.4,
        "Dr": 1.1,
        "Er": 0.3,
        "friction_coeff": 1.0,
        "lf": 0.159,
        "lr": 0.171,
    }
    p |= {"h_cg": 0.05, "m": 3.74, "Iz": 0.047}
    found = analyser(p, *(np.array([value]) for value in state))
    np.testing.assert_allclose([found["vy"][0], found["psi_dot"][0]], rates, rtol=1e-13)


@pytest.mark.parametrize(("tyre", "force"), MF_SIMPLE)
def test_tum_s_formula(tyre: tuple[float, ...], force: float) -> None:
    *numbers, angle = tyre
    assert float(mf_simple(np.array(angle), *numbers)) == pytest.approx(force, rel=1e-14)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the readers' values are not on this machine")
def test_every_value_of_the_readers() -> None:
    """Their files with all rows, where a checkout has them."""
    gym, mpcc = (
        rows_of(json.loads((SHARED / f"{name}.json").read_text())) for name in ("f1tenth_gym_st", "mpcc")
    )
    assert gym
    assert mpcc
    for row in gym:
        x = dict(zip(("x", "y", "delta", "v", "psi", "psi_dot", "beta"), row["state"], strict=True))
        u = dict(zip(("delta_dot", "accel"), row["control"], strict=True))
        found = single_track(row["params"], Rows(columns(**x), columns(**u)), rolls=0.5)
        expected = (row["rates"][3], row["rates"][5], row["rates"][6])
        np.testing.assert_allclose(
            [found[n][0] for n in ("v", "psi_dot", "beta")], expected, rtol=1e-9, atol=1e-11
        )
    pacejka = from_model("singletrack-pacejka")
    for row in mpcc:
        x = dict(zip(("x", "y", "psi", "vx", "vy", "psi_dot", "delta"), row["state"], strict=True))
        found = MPCC.rates(row["params"], pacejka, Rows(columns(**x), columns(drive=row["drive"])))
        np.testing.assert_allclose(
            [found[n][0] for n in ("vx", "vy", "psi_dot")], row["rates"][3:], rtol=1e-9
        )
    for row in rows_of(json.loads((SHARED / "forzaeth_pacejka.json").read_text())):
        _, _, _, vx, vy, r = row["state"]
        steer, accel = row["control"]
        given = (np.array([value]) for value in (vx, vy, r, steer, accel))
        found = analyser({**row["tyre"], **row["car"]}, *given)
        np.testing.assert_allclose([found["vy"][0], found["psi_dot"][0]], row["rates"][4:], rtol=1e-9)
    for row in rows_of(json.loads((SHARED / "tum_mf_simple.json").read_text())):
        force = 30.0 * mf_simple(np.array(row["slip_angle"]), *(row[name] for name in "BCDE"))
        assert float(force) == pytest.approx(row["force"], rel=1e-12)


# What is written.


def read(path: Path) -> dict[str, float]:
    """Every number of a target's files by its key, as their readers read them; nested keys by points."""
    found: dict[str, Any] = {}
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        text = file.read_text()
        if file.suffix == ".py":
            exec(text, names := {})
            found |= names["params"]
        elif file.suffix in (".yaml", ".yml"):
            found |= flat(yaml.safe_load(text))
        elif file.suffix == ".json" and ".pct" not in file.name:
            found |= json.loads(text)
    return {key: value for key, value in found.items() if isinstance(value, float)}


def flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in table.items():
        inside = prefix if key in ("/**", "ros__parameters", "params") else f"{prefix}{key}."
        found |= flat(value, inside) if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


@pytest.mark.parametrize(("name", "model", "vehicle"), SAYABLE)
def test_what_is_written_is_read_back_to_the_last_bit(
    name: str, model: str, vehicle: str | None, tmp_path: Path
) -> None:
    source = learned(from_model(model, vehicle))
    target: ParameterTarget = importlib.import_module(TARGETS[name].module).TARGET
    exported = target_of(name)(source, tmp_path / target.file)
    found = read(exported.path)
    assert found == {**found, **target.translate(source)}
    text = "".join(file.read_text() for file in exported.files)
    assert "+- " in text or "std_error" in text
    assert "identified" in text
    assert f"`pct export {name}`" in text
    assert exported.checked in text
    for note in exported.notes[:-1]:
        assert note.split(":")[0] in text


@pytest.mark.parametrize(("name", "model", "vehicle"), SAYABLE[:7])
def test_what_the_reader_does_not_compute_is_not_written(
    name: str, model: str, vehicle: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that means something else there: a millionth of a number is enough."""
    target = importlib.import_module(TARGETS[name].module).TARGET
    source = from_model(model, vehicle)
    wrong = {key: value * (1 + 1e-6) for key, value in target.translate(source).items()}
    monkeypatch.setattr(type(target), "translate", lambda self, source: wrong)
    with pytest.raises(PctError, match=r"expected .*, found .*nothing was written"):
        target.export(source, tmp_path / "out")
    assert not list(tmp_path.iterdir())


REFUSED = [
    ("f1tenth-gym", "singletrack-pacejka", {}, "its tyres are linear"),
    ("f1tenth-gym", "singletrack", {"tau_delta_acting": 0.1}, "a lag of the steering of 0.1 s"),
    ("commonroad", "singletrack", {}, "one cornering stiffness"),
    ("commonroad", "singletrack-drift", {}, "tau_w = 0.02 s"),
    ("forzaeth", "singletrack-pacejka", {"S_hf": 0.01}, "S_hf = 0.01: no shifts there"),
    ("forzaeth", "singletrack-pacejka", {"delay_delta_dot": 0.05}, "a delay of the steering"),
    (
        "forzaeth",
        "singletrack-pacejka",
        {"relaxation_length": 0.1},
        "a relaxation length of the tyres of 0.1 m",
    ),
    ("mpcc", "singletrack-pacejka", {"E_f": -0.5}, "E_f = -0.5: no E there; h = 0.074 m: no load transfer"),
    ("mpcc", "singletrack-pacejka", {"C_b": 9.0}, "C_b = 9 N"),
    ("tum", "singletrack-pacejka", {"S_vr": 0.3}, "S_vr = 0.3: no shifts"),
]


@pytest.mark.parametrize(("name", "model", "changes", "reason"), REFUSED)
def test_what_a_target_cannot_say_is_refused_or_refitted(
    name: str, model: str, changes: dict[str, float], reason: str, tmp_path: Path
) -> None:
    source = learned(from_model(model))
    measured = {key: value for key, value in changes.items() if key not in source.values}
    source = dataclasses.replace(source, measured=measured)
    source = dataclasses.replace(
        source, values={**source.values, **{k: v for k, v in changes.items() if k in source.values}}
    )
    export = target_of(name)
    with pytest.raises(UsageError, match=f"{name} cannot say this car: .*{reason}.*pass `refit`"):
        export(source, tmp_path / "out")
    exported = export(source, tmp_path / "out", refit=True)
    loss = exported.notes[0]
    assert re.search("off by at most|left out|in place of|sooner|no load transfer", loss), loss
    assert loss.split(",")[0] in "".join(file.read_text() for file in exported.files)


@pytest.mark.parametrize(
    ("name", "model", "told"),
    [
        ("f1tenth-gym", "unicycle", "expected one of singletrack, singletrack-pacejka, singletrack-drift"),
        (
            "commonroad",
            "singletrack-augmented",
            "no car with linear tyres says the model singletrack-augmented",
        ),
        ("mpcc", "singletrack", "has the Magic Formula and a drive command"),
        ("autoware", "unicycle", "has no wheelbase"),
        ("ros2", "tv-linear", "are arrays"),
    ],
)
def test_models_that_nothing_there_is_near_to(name: str, model: str, told: str, tmp_path: Path) -> None:
    for refit in (False, True):
        with pytest.raises(UsageError, match=told):
            target_of(name)(from_model(model), tmp_path / "out", refit=refit)
    assert not list(tmp_path.iterdir())


def test_refitted_tyres_are_the_nearest() -> None:
    """Without shifts a symmetric tyre comes back; a shifted one is off by what the shift is on both sides."""
    source = from_model("singletrack-pacejka", "av-21")
    said, lost = FORZAETH.refit(without(source, S_hf=0.01), usual_rows(source, 100))
    assert "front: side force off by at most" in lost[0]
    assert said.origins["B_f"] == REFITTED
    assert said.values["S_hf"] == 0.0
    slip = np.linspace(-0.1, 0.1, 51)
    shifted, plain = (
        one.spec.side_force("front", slip + 0 * slip, _namespace(one.values), np)  # type: ignore[misc]
        for one in (without(source, S_hf=0.01), said)
    )
    slope = source.values["B_f"] * source.values["C_f"] * source.values["D_f"]
    assert 0.2 < np.abs(plain - shifted).max() / (slope * 0.01) < 1.2


def _namespace(values: Any) -> Any:
    from types import SimpleNamespace

    return SimpleNamespace(**values)


# Uncertainty, and what was driven.


def test_status_and_error_of_each_number() -> None:
    source = learned(from_model("singletrack-pacejka"))
    source = dataclasses.replace(
        source, verdicts={**source.verdicts, "B_f": "weak", "I": "traded off with D_f"}
    )
    found = {entry.key: entry for entry in entries_of(FORZAETH, source)}
    assert found["Bf"].status == "nominal: weak"
    assert found["Iz"].status == "nominal: traded off with D_f"
    assert found["Df"].status == "identified"  # over a mass that was held
    assert found["Df"].made_of == ("D_f", "m", "lf", "lr")
    # The error of D over the load is that of D: mass and distances were held.
    assert found["Df"].deviation == pytest.approx(0.01 * found["Df"].value, rel=1e-6)
    assert found["m"].status == "nominal: default"
    assert found["friction_coeff"].status == "nominal: of the target"


def test_tyres_that_are_not_identified_stay_so_when_they_are_refitted() -> None:
    source = learned(from_model("singletrack-pacejka", "av-21"))
    source = dataclasses.replace(source, verdicts={**source.verdicts, "D_r": "weak"})
    rows = usual_rows(source, 50)
    said, _ = FORZAETH.refit(without(source, S_hf=0.01), rows)
    found = {entry.key: entry.status for entry in entries_of(FORZAETH, said)}
    assert (found["Df"], found["Dr"]) == ("refitted", "refitted, nominal: weak")
    linear, _ = GYM.refit(source, rows)
    found = {entry.key: entry.status for entry in entries_of(GYM, linear)}
    assert found["C_Sf"] == "refitted, nominal: D_r not identified"
    assert found["I"] == "identified"


def test_measured_lags_go_where_there_is_a_place(tmp_path: Path) -> None:
    source = learned(from_model("singletrack-pacejka"))
    source = dataclasses.replace(
        source,
        measured={"tau_delta_acting": 0.09, "delay_delta_dot": 0.03},
        deviations={**source.deviations, "tau_delta_acting": 0.004},
    )
    assert read(target_of("tum")(source, tmp_path / "tum").path)["steering_actuator.T_PT1"] == 0.09
    autoware = target_of("autoware")(source, tmp_path / "autoware")
    found = read(autoware.path)
    assert (found["vehicle_model_steer_tau"], found["input_delay"]) == (0.09, 0.03)
    assert (
        "vehicle_model_steer_tau: 0.09  # identified, +- 0.004"
        in (autoware.path / "mpc.param.yaml").read_text()
    )
    ros2 = read(target_of("ros2")(source, tmp_path / "car.yaml").path)
    assert ros2["steering.time_constant"] == 0.09


def test_differences_are_told_on_rows_that_were_driven(tmp_path: Path) -> None:
    source = learned(from_model("singletrack-pacejka"))
    slow = usual_rows(source, 60, seed=5)
    driven = {**slow.x, **slow.u}
    source = dataclasses.replace(
        source, driven={name: column * (0.3 if name == "delta" else 1) for name, column in driven.items()}
    )
    rows, was_driven = driven_rows(source)
    assert was_driven
    exported = target_of("forzaeth")(source, tmp_path / "out")
    (told,) = [note for note in exported.notes if note.startswith("together")]
    assert "60 rows that were driven" in told
    # The largest difference, computed apart.
    values = FORZAETH.translate(source)
    off = np.abs(
        FORZAETH.rates(values, source, rows)["vy"] - body_rates(rows.x, model_rates(source, rows))["vy"]
    )
    assert f"rate of vy by at most {off.max():.2g} m/s^2" in told
    pedals = dataclasses.replace(
        source, driven={**driven, "throttle": driven["drive"], "brake": 0 * driven["drive"]}
    )
    assert driven_rows(pedals)[1]
    assert not driven_rows(dataclasses.replace(source, driven={"vx": driven["vx"]}))[1]
    crawling = dataclasses.replace(source, driven={**driven, "vx": 0.01 * driven["vx"]})
    (told,) = [
        note
        for note in target_of("forzaeth")(crawling, tmp_path / "slow").notes
        if note.startswith("together")
    ]
    assert "(no row that was driven has all channels at a speed above v_blend_high)" in told


# Readers that the package index has.


def test_commonroad_reads_it_and_drives_the_same(tmp_path: Path) -> None:
    from omegaconf import OmegaConf
    from vehiclemodels.vehicle_dynamics_st import vehicle_dynamics_st
    from vehiclemodels.vehicle_dynamics_std import vehicle_dynamics_std
    from vehiclemodels.vehicle_parameters import VehicleParameters

    for model, function in (
        ("singletrack", vehicle_dynamics_st),
        ("singletrack-drift", vehicle_dynamics_std),
    ):
        source = from_model(model, "bmw-320i")
        file = target_of("commonroad")(source, tmp_path / f"{model}.yaml").path
        merged = OmegaConf.merge(OmegaConf.structured(VehicleParameters), OmegaConf.load(file))
        p = OmegaConf.to_object(merged)
        rows = usual_rows(source, 20, seed=9)
        own = model_rates(source, rows)
        for i in range(20):
            x = [float(rows.x[name][i]) for name in source.spec.state_names]
            theirs = function(x, [float(rows.u["delta_dot"][i]), float(rows.u["accel"][i])], p)
            np.testing.assert_allclose(
                theirs, [own[n][i] for n in source.spec.state_names], rtol=1e-10, atol=1e-10
            )


def test_the_look_up_table_holds_the_reader_s_steady_turns(tmp_path: Path) -> None:
    """As its generator: the analyser's equations for 2 s at constant speed and steering."""
    from scipy.integrate import solve_ivp

    source = from_model("singletrack-pacejka")
    folder = target_of("forzaeth")(source, tmp_path / "car").path
    table = np.loadtxt(folder / "lookup_table.csv", delimiter=",")
    speeds, steers, lateral = table[0, 1:], table[1:, 0], table[1:, 1:]
    assert (np.diff(speeds) > 0).all()
    assert (np.diff(steers) > 0).all()
    assert np.isnan(lateral).any()
    p = FORZAETH.translate(source)
    for row, column in ((3, 5), (20, 30), (35, 12)):
        v, delta = speeds[column], steers[row]

        def rates(_t: float, x: np.ndarray, v: float = v, delta: float = delta) -> list[float]:
            found = analyser(p, *(np.array([value]) for value in (v, x[0], x[1], delta, 0.0)))
            return [float(found["vy"][0]), float(found["psi_dot"][0])]

        end = solve_ivp(rates, (0.0, 2.0), [0.0, 0.0], rtol=1e-9, atol=1e-10).y[:, -1]
        assert lateral[row, column] == pytest.approx(v * end[1], rel=1e-5)
    # Every column grows up to its end.
    for column in lateral.T:
        known = column[~np.isnan(column)]
        assert (np.diff(known) > 0).all()


def test_ggv_and_machines_are_read_by_trajectory_planning_helpers(tmp_path: Path) -> None:
    """By its importer where it is installed (a stale pin keeps it out of the extras), and by its rules."""
    source = from_model("singletrack-pacejka", "av-21")
    folder = target_of("tum")(source, tmp_path / "tum").path
    ggv, machines = (
        np.loadtxt(folder / name, comments="#", delimiter=",") for name in ("ggv.csv", "ax_max_machines.csv")
    )
    own_ggv, own_machines = tables(source)
    np.testing.assert_allclose(ggv, own_ggv, rtol=1e-5)
    np.testing.assert_allclose(machines, own_machines, rtol=1e-5, atol=1e-6)
    assert (ggv[:, 0] >= 0).all()
    assert ((ggv[:, 1:] >= 0) & (ggv[:, 1:] <= 50)).all()
    assert ((machines[:, 1] >= 0) & (machines[:, 1] <= 20)).all()
    assert ggv[0, 2] == pytest.approx(1.4 * GRAVITY, rel=1e-5)
    if (spec := importlib.util.find_spec("trajectory_planning_helpers")) is not None:
        assert spec.submodule_search_locations
        # The package imports a solver that it does not bring.
        file = Path(spec.submodule_search_locations[0]) / "import_veh_dyn_info.py"
        alone = importlib.util.spec_from_file_location("import_veh_dyn_info", file)
        assert alone is not None
        assert alone.loader is not None
        module = importlib.util.module_from_spec(alone)
        alone.loader.exec_module(module)
        theirs = module.import_veh_dyn_info(str(folder / "ggv.csv"), str(folder / "ax_max_machines.csv"))
        np.testing.assert_array_equal(theirs[0], ggv)
        np.testing.assert_array_equal(theirs[1], machines)


def test_keys_are_those_of_the_readers(tmp_path: Path) -> None:
    """Of MPCC's loader every key; of Autoware's files only known ones."""
    loader = {
        *KEYS, "g", "car_l", "car_w", "R_in", "R_out", "max_dist_proj", "E_long", "E_eps", "maxAlpha",
        "initial_velocity", "s_trust_region", "vx_zero",
    }  # fmt: skip
    model = json.loads(
        (
            target_of("mpcc")(from_model("singletrack-pacejka", "orca"), tmp_path / "m").path / "model.json"
        ).read_text()
    )
    assert {key for key in model if not key.startswith("_")} == loader
    assert all(isinstance(model[key], float) for key in loader)
    assert GYM.translate(from_model("singletrack"))["mu"] == 1.0489
    stops = {"s_min": -1.0, "s_max": 1.0, "sv_min": -2.0, "sv_max": 2.0}
    drive = {"v_switch": 5.0, "a_max": 8.0, "v_min": -1.0, "v_max": 9.0}
    # At the stop and at the top speed nothing goes further.
    assert limited({**stops, **drive}, *(np.array([v]) for v in (1.0, 0.5, 10.0, 3.0))) == (0.0, 0.0)
    tum = json.loads(
        (
            target_of("tum")(from_model("singletrack-pacejka"), tmp_path / "t").path
            / "open_car_dynamics.json"
        ).read_text()
    )
    assert f"{DYNAMICS}.z.tire_model.front_left.lateral.B" in tum
    assert slip_angles(from_model("singletrack-pacejka"), usual_rows(from_model("singletrack-pacejka"), 3).x)[
        "rear"
    ].shape == (3,)
