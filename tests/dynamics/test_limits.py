"""The limits against CommonRoad's rules written as branches, at the limits and around them."""

import itertools

import numpy as np
import pytest

from pct.dynamics.limits import limit_acceleration, limit_friction, limit_steering_rate


class Params:
    s_min, s_max, sv_min, sv_max = -0.4, 0.5, -2.0, 3.0
    v_min, v_max, v_switch, a_max = -5.0, 20.0, 7.0, 9.0


def branches(value: float, rate: float, low: float, high: float, slowest: float, fastest: float) -> float:
    """CommonRoad's constraint on a rate, as its document words it."""
    if (value <= low and rate <= 0.0) or (value >= high and rate >= 0.0):
        return 0.0
    return min(max(rate, slowest), fastest)


STEERING = list(itertools.product([-0.6, -0.4, 0.0, 0.5, 0.6], [-9.0, -2.0, -1.0, 0.0, 1.0, 3.0, 9.0]))
DRIVE = list(
    itertools.product([-6.0, -5.0, 0.0, 7.0, 10.0, 20.0, 25.0], [-20.0, -9.0, -1.0, 0.0, 1.0, 9.0, 20.0])
)


@pytest.mark.parametrize(("delta", "delta_dot"), STEERING)
def test_steering_rate(delta: float, delta_dot: float) -> None:
    p = Params
    expected = branches(delta, delta_dot, p.s_min, p.s_max, p.sv_min, p.sv_max)
    assert limit_steering_rate(delta, delta_dot, p, np) == expected


@pytest.mark.parametrize(("v", "accel"), DRIVE)
def test_acceleration(v: float, accel: float) -> None:
    p = Params
    fastest = p.a_max * p.v_switch / v if v > p.v_switch else p.a_max
    expected = branches(v, accel, p.v_min, p.v_max, -p.a_max, fastest)
    assert limit_acceleration(v, accel, p, np) == expected


def test_friction() -> None:
    accel = np.array([-9.0, -1.0, 0.0, 1.0, 9.0])
    np.testing.assert_allclose(limit_friction(accel, 0.5, np), [-4.905, -1.0, 0.0, 1.0, 4.905])


@pytest.mark.parametrize("mu", [0.1, 0.6, 1.4])
@pytest.mark.parametrize(("v", "accel"), DRIVE)
def test_friction_beside_the_drive(v: float, accel: float, mu: float) -> None:
    """Both limits at once are the road's behind the drive's."""
    expected = limit_friction(limit_acceleration(v, accel, Params, np), mu, np)
    assert limit_acceleration(v, accel, Params, np, mu) == expected
