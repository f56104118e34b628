"""Every scalar parameter of every model has a manoeuvre that settles it."""

from __future__ import annotations

import pytest

from pct.dynamics import MODEL_SPECS
from pct.dynamics.core import ModelSpec
from pct.errors import UsageError
from pct.measurement import Measurement, with_measurement
from pct.optimization.constants.manoeuvres import MANOEUVRES, ROLES, settles


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
            observer=True,
        ),
    )


@pytest.mark.parametrize("name", MODEL_SPECS)
def test_every_scalar_parameter_has_a_manoeuvre(name: str) -> None:
    spec = everything(MODEL_SPECS[name])
    scalars = [row.name for row in spec.parameters if not row.shape]
    assert all(settles(scalar) in MANOEUVRES.values() for scalar in scalars)


def test_no_role_and_no_manoeuvre_is_left_over() -> None:
    names = {row.name for spec in MODEL_SPECS.values() for row in everything(spec).parameters}
    assert set(ROLES) <= names
    by_name = {"actuator lag", "sensor lag", "delay", "fade"}
    assert set(MANOEUVRES) == set(ROLES.values()) | by_name


def test_roles_are_told_apart() -> None:
    assert "limit of grip" in settles("D_f")
    assert "gentle" in settles("B_r")
    assert "standstill" in settles("C_m1")
    assert settles("tau_vx") != settles("tau_vx_acting")


def test_a_new_parameter_asks_for_a_role() -> None:
    with pytest.raises(UsageError, match="no manoeuvre is known for 'C_new'"):
        settles("C_new")
