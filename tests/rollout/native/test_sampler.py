"""Rollouts for sampling controllers: states and costs as JAX and the documented formula have them."""

from __future__ import annotations

import dataclasses
import inspect
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS
from pct.errors import UsageError
from pct.rollout.lanes import plain_rollout
from pct.rollout.native.sampler import Rollout
from rollout.native.windows import DT, make_windows, needs_compiler

pytestmark = needs_compiler

# The annotations of shapes, which only tests check, refuse what a user is told of in words.
STATES, COSTS = (inspect.unwrap(method) for method in (Rollout.states, Rollout.costs))


@cache
def unicycle() -> Rollout:
    return Rollout(MODEL_SPECS["unicycle"], dt=DT)


def drive(name: str, count: int, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """A start that turns at speed, and controls over the model's whole range."""
    w = make_windows(MODEL_SPECS[name], count + 4, steps)
    return w.start[-1].astype(np.float64), w.controls[4:].astype(np.float64)


def expected_states(name: str, params: dict[str, float], substeps: int, start: Any, controls: Any) -> Any:
    spec = MODEL_SPECS[name]
    roll = plain_rollout(spec, {**spec.default_params, **params, "dt": DT}, "rk4", substeps)
    starts = jnp.broadcast_to(jnp.asarray(start), (len(controls), len(start)))
    return np.asarray(roll(starts, jnp.asarray(controls), {}))


def expected_costs(states: np.ndarray, reference: Any, scales: Any, weights: Any, angles: Any) -> Any:
    """The formula of the docstring."""
    off = states - reference
    off = np.where(angles, (off + np.pi) % (2 * np.pi) - np.pi, off)
    return (np.asarray(weights)[:, None] * (off / scales) ** 2).sum(axis=(1, 2))


@pytest.mark.parametrize(
    ("name", "params", "substeps"), [("unicycle", {}, 2), ("kinematic-singletrack", {"lf": 0.2}, 1)]
)
@pytest.mark.parametrize("count", [1, 37])
def test_states_are_those_of_double_precision(
    name: str, params: dict[str, float], substeps: int, count: int
) -> None:
    start, controls = drive(name, count, 12)
    found = Rollout(MODEL_SPECS[name], params, dt=DT, substeps=substeps).states(start, controls)
    wanted = expected_states(name, params, substeps, start, controls)
    assert found.dtype == np.float32
    assert found.shape == wanted.shape == (count, 12, len(MODEL_SPECS[name].states))
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-5)


def test_costs_follow_the_documented_formula() -> None:
    spec = MODEL_SPECS["unicycle"]
    car, rng = unicycle(), np.random.default_rng(0)
    start, controls = drive("unicycle", 37, 9)
    start[2] = 3.0
    # Headings on both sides of the cut, and some turns off.
    reference = start + rng.uniform(-7.0, 7.0, (9, 4))
    states = car.states(start, controls).astype(np.float64)
    weights = rng.uniform(0.0, 2.0, 9)
    weights[[0, 4, 8]] = 0.0
    scales = np.array([0.5, 2.0, 0.3, np.inf])
    given: list[dict[str, Any]] = [
        {},
        {"scales": scales},
        {"weights": weights},
        {"scales": scales, "weights": weights},
    ]
    for kwargs in given:
        full = {"scales": spec.scales, "weights": np.ones(9), **kwargs}
        wanted = expected_costs(states, reference, angles=spec.angle_mask, **full)
        np.testing.assert_allclose(car.costs(start, controls, reference, **kwargs), wanted, rtol=2e-5)


def test_no_weight_no_cost() -> None:
    start, controls = drive("unicycle", 5, 3)
    costs = unicycle().costs(start, controls, np.full((3, 4), np.nan), weights=np.zeros(3))
    np.testing.assert_array_equal(costs, np.zeros(5))


def test_each_rollout_is_what_it_is_alone() -> None:
    start, controls = drive("unicycle", 65, 5)
    whole, reference = unicycle().states(start, controls), np.zeros((5, 4))
    costs = unicycle().costs(start, controls, reference)
    for count in (0, 1, 15, 16, 17, 33):
        np.testing.assert_array_equal(unicycle().states(start, controls[:count]), whole[:count])
        np.testing.assert_array_equal(unicycle().costs(start, controls[:count], reference), costs[:count])


def test_arrays_of_any_order_and_precision() -> None:
    start, controls = drive("unicycle", 6, 4)
    wanted = unicycle().states(start, controls)
    turned = np.asfortranarray(controls.astype(np.float32))
    np.testing.assert_array_equal(unicycle().states(start.astype(np.float32), turned), wanted)
    np.testing.assert_array_equal(unicycle().states(start, controls[::-1]), wanted[::-1])


def test_a_rollout_that_diverges_costs_no_number() -> None:
    start, controls = drive("unicycle", 20, 4)
    controls[3, 1] = np.nan
    controls[17, 0] = 1e38
    costs = unicycle().costs(start, controls, np.zeros((4, 4)))
    assert np.isnan(costs[3])
    assert not costs[17] < 1e30
    assert np.isfinite(np.delete(costs, [3, 17])).all()
    # Also where no state counts.
    costs = unicycle().costs(start, controls, np.zeros((4, 4)), scales=np.full(4, np.inf))
    assert np.flatnonzero(costs).tolist() == [3]
    assert np.isnan(unicycle().states(start, controls)[3, -1]).any()


def test_wrong_shapes_are_named() -> None:
    car = unicycle()
    start, controls = drive("unicycle", 5, 3)
    reference = np.zeros((3, 4))
    for method, arguments, said in (
        (STATES, (start[:3], controls), r"`start`: expected shape \(4\), got \(3,\)"),
        (STATES, (start, controls[..., :1]), r"`controls`: expected shape \(5, 3, 2\), got \(5, 3, 1\)"),
        (STATES, (start, controls[0]), r"`controls`: expected shape \(K, T, 2\), got \(3, 2\)"),
        (COSTS, (start, controls, reference[:2]), r"`reference`: expected shape \(3, 4\), got \(2, 4\)"),
        (COSTS, (start, controls, reference, np.ones(3)), r"`scales`: expected shape \(4\), got \(3,\)"),
        (COSTS, (start, controls, reference, None, np.ones(4)), r"`weights`: expected shape \(3\), got"),
    ):
        with pytest.raises(UsageError, match=said):
            method(car, *arguments)


def test_values_that_no_cost_can_be_made_of() -> None:
    start, controls = drive("unicycle", 5, 3)
    arguments = start, controls, np.zeros((3, 4))
    for scales in (np.array([1.0, 0.0, 1.0, 1.0]), -np.ones(4), np.full(4, np.nan)):
        with pytest.raises(UsageError, match="`scales`: expected numbers above zero, got"):
            unicycle().costs(*arguments, scales=scales)
    for weights in (np.array([1.0, -1.0, 1.0]), np.array([1.0, np.nan, 1.0])):
        with pytest.raises(UsageError, match="`weights`: expected numbers of zero or more, got"):
            unicycle().costs(*arguments, weights=weights)


def test_other_parameters_are_taken_at_once() -> None:
    start, controls = drive("kinematic-singletrack", 3, 12)
    car = Rollout(MODEL_SPECS["kinematic-singletrack"], {"lf": 0.2}, dt=DT)
    for params in ({"lf": 0.25}, {}):
        car.set(params)
        wanted = Rollout(MODEL_SPECS["kinematic-singletrack"], params, dt=DT).states(start, controls)
        np.testing.assert_array_equal(car.states(start, controls), wanted)


def test_an_unknown_parameter_is_named() -> None:
    with pytest.raises(UsageError, match="unknown parameter 'grip' of model"):
        Rollout(MODEL_SPECS["unicycle"], {"grip": 1.0}, dt=DT)
    with pytest.raises(UsageError, match="unknown parameter 'grip' of model"):
        unicycle().set({"grip": 1.0})


def test_hidden_states_are_started_and_not_shown() -> None:
    """As a model with a measurement has them: `start` holds them last, `states` leaves them out."""
    spec = MODEL_SPECS["unicycle"]
    # The speed as a state that nobody sees.
    hiding = dataclasses.replace(spec, states=spec.states[:3], hidden=spec.states[3:])
    start, controls = drive("unicycle", 5, 3)
    found = Rollout(hiding, dt=DT).states(start, controls)
    np.testing.assert_allclose(found, unicycle().states(start, controls)[..., :3], rtol=1e-6)


def test_the_example_of_the_guide() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "native.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    car, start, plan = names["car"], names["start"], names["plan"]
    plans = np.stack([np.zeros_like(plan), plan])
    before, after = car.costs(start, plans, names["reference"], names["scales"])
    assert after < 0.2 * before
    # In the lane to the left, along it.
    end = car.states(start, plans)[1, -1]
    assert abs(end[1] - 0.5) < 0.1
    assert abs(end[4]) < 0.1


def test_jax_is_not_needed() -> None:
    program = (
        "import sys, numpy as np\n"
        "from pct.dynamics import MODEL_SPECS\n"
        "from pct.rollout.native.sampler import Rollout\n"
        f"car = Rollout(MODEL_SPECS['unicycle'], dt={DT})\n"
        "print(car.states(np.zeros(4), np.zeros((2, 3, 2))).shape, 'jax' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "(2, 3, 4) False\n"
