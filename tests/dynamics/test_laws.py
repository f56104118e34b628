"""Laws that every registered model obeys; a new model gets every one of them, and a wrong one is caught."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, get_model
from pct.simulation.laws import LAWS, check_law, check_laws

UNICYCLE = get_model("unicycle")


# All options of a model together, and, slow, each alone.
OPTIONS = [
    pytest.param(
        "+".join((name, *options)), marks=[pytest.mark.slow] if len(options) < len(spec.options) else []
    )
    for name, spec in sorted(MODEL_SPECS.items())
    for options in (tuple(spec.options), *((option,) for option in spec.options))
    if options
]


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("model", [*sorted(MODEL_SPECS), *OPTIONS])
def test_law(model: str, law: str) -> None:
    result = check_law(get_model(model), law)
    assert result.passed, result.message


def test_equations_in_the_frame_of_the_window_are_linear() -> None:
    """A linear map of position and heading cannot be invariant; the law of `tv-linear` is superposition."""
    spec = get_model("tv-linear")
    rng = np.random.default_rng(2)
    one, other = rng.normal(size=(2, 300, 7))
    both, rates, more = (
        spec.dynamics_fn(z, spec.default_params, np) for z in (2 * one - 3 * other, one, other)
    )
    np.testing.assert_allclose(both, 2.0 * rates - 3.0 * more, rtol=1e-9, atol=1e-9)


def wind(x: Any, u: Any, p: Any, xp: Any, rates: Any) -> Any:
    return rates._replace(x=rates.x + 1.0)


def drag(x: Any, u: Any, p: Any, xp: Any, rates: Any) -> Any:
    return rates._replace(v=rates.v - xp.sqrt(xp.abs(x.v)))


def pull(x: Any, u: Any, p: Any, xp: Any, rates: Any) -> Any:
    return rates._replace(psi=rates.psi + 0.1)


def steps(x: Any, u: Any, p: Any, xp: Any, rates: Any) -> Any:
    return rates._replace(v=rates.v + xp.floor(40.0 * x.psi))


def numpy_alone(x: Any, u: Any, p: Any, xp: Any, rates: Any) -> Any:
    return rates._replace(v=rates.v * float(np.mean(x.v)))


def other_library(x: Any, u: Any, p: Any, xp: Any, rates: Any) -> Any:
    return rates._replace(v=rates.v + (1e-3 if xp is np else 0.0))


def of_the_batch(x: Any, u: Any, p: Any, xp: Any, rates: Any) -> Any:
    return rates._replace(v=rates.v + xp.mean(x.v))


@pytest.mark.parametrize(
    ("change", "law", "message"),
    [
        (wind, "the pose does not matter", "the rate of x"),
        (
            drag,
            "values and gradients are finite",
            "derivatives by states and controls are not finite at x 0, y 0",
        ),
        (pull, "mirror symmetry", "the rate of psi: expected"),
        (steps, "integrators have their order", "rk4: expected order 4"),
        (numpy_alone, "numpy equals jax", "the equations fail: "),
        (other_library, "numpy equals jax", "the rate of v: expected"),
        (of_the_batch, "batched parameters equal a loop", "the rate of v: expected"),
    ],
)
def test_wrong_equations_are_caught(change: Any, law: str, message: str) -> None:
    def derivative(x: Any, u: Any, p: Any, xp: Any) -> Any:
        return change(x, u, p, xp, UNICYCLE.derivative(x, u, p, xp))

    results = {
        result.law: result for result in check_laws(dataclasses.replace(UNICYCLE, derivative=derivative))
    }
    assert not results[law].passed
    assert message in results[law].message


def test_a_gradient_that_is_cut_is_caught() -> None:
    import jax

    def derivative(x: Any, u: Any, p: Any, xp: Any) -> Any:
        rates = UNICYCLE.derivative(x, u, p, xp)
        return rates._replace(v=rates.v + (x.v if xp is np else jax.lax.stop_gradient(x.v)))

    result = check_law(
        dataclasses.replace(UNICYCLE, derivative=derivative), "gradients are finite differences"
    )
    assert "the derivative of v is" in result.message


def test_incomplete_tables_are_caught() -> None:
    rows = tuple(dataclasses.replace(row, doc="") for row in UNICYCLE.parameters)
    result = check_law(dataclasses.replace(UNICYCLE, parameters=rows), "tables are complete")
    assert result.message == "parameter alpha_psi_dot: expected a unit, a symbol and a line of doc"
    result = check_law(dataclasses.replace(UNICYCLE, pose=("x", "y", "yaw")), "tables are complete")
    assert result.message == "pose: no state is called yaw; the states are x, y, psi, v"
