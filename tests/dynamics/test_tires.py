"""Tyre functions against CommonRoad's, stage by stage, and against what the Magic Formula's letters mean."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import tires

TYRE = SimpleNamespace(
    **{row.name: row.default for row in tires.COMBINED_SLIP}
    | {"mu": 1.0489, "p_kx1": 22.303, "p_ky1": -21.92}
)

# Slip, slip angle and load; then, with the tyre of commonroad-vehicle-models 3.0.2 (utils/tire_model.py,
# camber zero), the pure forces along and across, their weights, the induced side force and the forces of
# combined slip.
STAGES = [
    (
        (0.05, -0.03, 3000.0),
        (-2623.402293240323, 1743.4161003284414),
        (0.948511918769076, 0.9318283380743319),
        66.142896282126,
        (-2488.328342864573, 1690.7074236232102),
    ),
    (
        (-0.15, 0.1, 5000.0),
        (5864.7070787155635, -5115.210737670902),
        (0.7974523895110173, 0.785181690248391),
        -87.06927029644203,
        (4676.8246737039035, -4103.4390832776),
    ),
    (
        (0.6, -0.3, 1500.0),
        (-1399.9677886521984, 1518.1297687299977),
        (0.8620152960723747, 0.4288264466071884),
        5.055492086077038,
        (-1206.7936478268125, 656.0696862991547),
    ),
]


@pytest.mark.parametrize(("at", "pure", "weights", "induced", "combined"), STAGES)
def test_published_tyre_stage_by_stage(
    at: tuple, pure: tuple, weights: tuple, induced: float, combined: tuple
) -> None:
    slip, alpha, load = at
    found = (tires.longitudinal_force(slip, load, TYRE, np), tires.lateral_force(alpha, load, TYRE, np))
    np.testing.assert_allclose(found, pure, rtol=1e-14)
    found = (tires.longitudinal_weight(slip, alpha, TYRE, np), tires.lateral_weight(slip, alpha, TYRE, np))
    np.testing.assert_allclose(found, weights, rtol=1e-14)
    np.testing.assert_allclose(tires.induced_side_force(slip, alpha, load, TYRE, np), induced, rtol=1e-12)
    np.testing.assert_allclose(tires.combined_slip_forces(slip, alpha, load, TYRE, np), combined, rtol=1e-14)


def test_letters_of_the_magic_formula() -> None:
    """B C D is the slope, D the peak for C >= 1, and D sin(C pi / 2) the force far out for E < 1."""
    B, D = 8.0, 20.0
    for C in (1.0, 1.3, 1.9):
        for E in (-1.5, 0.0, 0.8):
            slip = np.concatenate([np.linspace(0.0, 3.0, 300_001), [1e9]])
            force = tires.magic_formula(slip, B, C, D, E, np)
            assert force[1] / slip[1] == pytest.approx(B * C * D, rel=1e-6)
            if C > 1.0:
                assert force.max() == pytest.approx(D, rel=1e-8)
            assert force.max() <= D
            assert force[-1] == pytest.approx(D * np.sin(C * np.pi / 2), rel=1e-6)
            np.testing.assert_array_equal(tires.magic_formula(-slip, B, C, D, E, np), -force)


def test_curvature_moves_the_peak() -> None:
    """At the peak B s - E (B s - atan(B s)) = tan(pi / (2 C)), which gives E from the slip of the peak."""
    B, C, peak = 8.0, 1.3, 0.3
    E = (B * peak - np.tan(np.pi / (2 * C))) / (B * peak - np.arctan(B * peak))
    slip = np.linspace(0.0, 1.0, 100_001)
    force = tires.magic_formula(slip, B, C, 1.0, E, np)
    assert slip[force.argmax()] == pytest.approx(peak, abs=1e-4)


def test_stiffness_factor_gives_the_slope() -> None:
    B = tires.stiffness_factor(94.3, C=1.35, D=20.0)
    slope = jax.grad(lambda s: tires.magic_formula(s, B, 1.35, 20.0, 0.3, jnp))(0.0)
    assert slope == pytest.approx(94.3, rel=1e-12)


def test_slopes_of_the_combined_slip_tyre() -> None:
    """``p_kx1`` and ``p_ky1`` times the load, whatever the friction; the peaks are friction times load."""
    load = 3000.0
    for mu in (0.3, 1.0489):
        tyre = SimpleNamespace(**vars(TYRE) | {"mu": mu, "p_hx1": 0.0, "p_vx1": 0.0})
        step = 1e-7
        along, across = (
            tires.longitudinal_force(-step, load, tyre, np),
            tires.lateral_force(step, load, tyre, np),
        )
        np.testing.assert_allclose((along / step, across / step), (22.303 * load, -21.92 * load), rtol=1e-5)
        slip = np.linspace(-1.0, 1.0, 20_001)
        along, across = (
            tires.longitudinal_force(slip, load, tyre, np),
            tires.lateral_force(slip, load, tyre, np),
        )
        np.testing.assert_allclose(
            (along.max(), across.max()), (tyre.mu_xy * mu * load, mu * load), rtol=1e-6
        )


def test_other_slip_takes_force() -> None:
    """Without it nothing is taken; a wheel that spins or locks hardly steers."""
    np.testing.assert_array_equal(tires.longitudinal_weight(0.1, 0.0, TYRE, np), 1.0)
    np.testing.assert_array_equal(tires.lateral_weight(0.0, 0.1, TYRE, np), 1.0)
    left = [tires.lateral_weight(slip, 0.1, TYRE, np) for slip in (-1.0, 1.0)]
    assert max(np.abs(left)) < 0.3
    assert tires.longitudinal_weight(0.05, 0.3, TYRE, np) < 0.5


def test_an_unloaded_tyre_has_no_force() -> None:
    """And finite gradients."""
    gradient = jax.jit(
        jax.jacrev(lambda at: jnp.stack(tires.combined_slip_forces(at[0], at[1], at[2], TYRE, jnp)))
    )
    at = jnp.array([0.1, 0.05, 0.0])
    np.testing.assert_array_equal(tires.combined_slip_forces(*at, TYRE, jnp), 0.0)
    assert jnp.isfinite(gradient(at)).all()
