"""Every scalar parameter of every model has a role, and with it a manoeuvre that identifies it."""

from __future__ import annotations

import dataclasses

import pytest

from pct.dynamics import MODEL_SPECS, get_model
from pct.dynamics.core import ModelSpec
from pct.dynamics.roles import GENERAL, ROLES, manoeuvre, showing
from pct.dynamics.variants import with_options
from pct.errors import UsageError
from pct.measurement import Measurement, with_measurement


def everything(spec: ModelSpec) -> ModelSpec:
    """The model behind all that a measurement can put there."""
    moving = tuple(name for name in spec.state_names if name not in spec.pose)
    pedals = "drive" in spec.control_names
    controls = tuple(name for name in spec.control_names if name != "drive")
    controls += ("throttle", "brake") if pedals else ()
    has = set(spec.state_names)
    return with_measurement(
        spec,
        Measurement(
            lag=moving,
            bias=moving,
            drift=moving,
            actuator_lag=controls,
            delay=controls,
            steering="delta" in has,
            lever_arm={"vx", "vy", "psi_dot"} <= has,
            misaligned={"vx", "vy"} <= has,
            pedals=pedals,
            relaxation="S_hf" in spec.default_params,
            steering_clock={"delta", "delta_dot"} <= {*has, *spec.control_names},
            observer=True,
        ),
    )


@pytest.mark.parametrize("name", MODEL_SPECS)
def test_every_scalar_parameter_has_a_role(name: str) -> None:
    spec = everything(MODEL_SPECS[name])
    scalars = [row.name for row in spec.parameters if not row.shape]
    assert [scalar for scalar in scalars if manoeuvre(spec, scalar) == GENERAL] == []


def test_no_role_is_left_over() -> None:
    specs = [everything(with_options(spec, spec.options)) for spec in MODEL_SPECS.values()]
    used = {row.role for spec in specs for row in spec.parameters}
    assert set(ROLES) == {role for role in used if role and not role.endswith(".")}


def test_roles_are_told_apart() -> None:
    pacejka = everything(get_model("singletrack-pacejka"))
    assert "limit of grip" in manoeuvre(pacejka, "D_f")
    assert "gentle" in manoeuvre(pacejka, "B_r")
    assert "standstill" in manoeuvre(pacejka, "C_m1")
    assert manoeuvre(pacejka, "tau_vx") != manoeuvre(pacejka, "tau_brake_acting")


def test_a_parameter_without_a_role_gets_a_general_sentence() -> None:
    spec = get_model("unicycle")
    for role in ("", "witchcraft"):
        rows = tuple(dataclasses.replace(row, role=role) for row in spec.parameters)
        assert manoeuvre(dataclasses.replace(spec, parameters=rows), "alpha_accel") == GENERAL
    with pytest.raises(UsageError, match="unknown parameter 'C_new'"):
        manoeuvre(spec, "C_new")


def test_learned_parameters_are_found_by_their_roles() -> None:
    assert showing(get_model("singletrack"), {"peak", "height"}) == ["mu"]
    assert showing(get_model("singletrack"), {"peak", "height"}, learned=False) == ["mu", "h"]
