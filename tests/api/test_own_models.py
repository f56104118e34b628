"""A user's own model in Python: what is wrong with it is said in one sentence, and its cell runs again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import pct
from pct.dynamics import MODEL_SPECS
from pct.errors import UsageError

STATES = (
    pct.Channel("x", "x", "m"),
    pct.Channel("y", "y", "m", odd=True),
    pct.Channel("psi", "p", "rad", angle=True, odd=True),
    pct.Channel("v", "v", "m/s"),
)
DRAG = pct.Parameter("drag", "d", "1/s", 0.0, 1.0, 0.1, "share of the speed that is lost per second")


def slide(x: Any, u: Any, p: Any, xp: Any) -> Any:
    return x._replace(x=x.v * xp.cos(x.psi), y=x.v * xp.sin(x.psi), psi=0.0 * x.psi, v=u.accel - p.drag * x.v)


def sled(**tables: Any) -> Any:
    usual = {"states": STATES, "controls": (pct.Channel("accel", "a", "m/s^2"),), "parameters": (DRAG,)}
    return pct.define_model("sled", **{**usual, "derivative": slide, **tables})


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """What a test registers does not stay."""
    before = dict(MODEL_SPECS)
    yield
    MODEL_SPECS.clear()
    MODEL_SPECS.update(before)


def test_a_cell_that_registers_a_model_may_run_again() -> None:
    pct.register(sled())
    changed = pct.register(sled(parameters=(dataclasses.replace(DRAG, default=0.2),)))
    assert pct.model("sled").base is changed
    assert pct.model(changed).learned == ("drag",)
    assert repr(changed) == "ModelSpec('sled': states x y psi v, controls accel, learns drag)"
    with pytest.raises(UsageError, match="'unicycle' is already registered: choose another name"):
        pct.register(dataclasses.replace(changed, name="unicycle"))


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"states": ()}, "model 'sled': expected states, found none"),
        ({"parameters": (DRAG, DRAG)}, "parameters: expected each name once, found 'drag' twice"),
        ({"controls": (pct.Channel("lambda", "l", "1"),)}, "names that Python can say, found 'lambda'"),
        ({"states": STATES[3:]}, "expected the states x, y, psi, of position and heading, found no 'x'"),
    ],
)
def test_tables_that_do_not_hold_together(tables: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as error:
        sled(**tables)
    assert message in str(error.value)


def test_a_model_without_parameters_has_nothing_to_learn(drives: pct.Drives) -> None:
    car = pct.model(sled(parameters=(), derivative=lambda x, u, p, xp: x._replace(v=u.accel)))
    for learn in (pct.fit, pct.train):
        with pytest.raises(UsageError, match="model 'sled' has no parameter to learn"):
            learn(car, drives)


def asks_too_much(x: Any, u: Any, p: Any, xp: Any) -> Any:
    return x._replace(v=p.drga)


@pytest.mark.parametrize(
    ("derivative", "message"),
    [
        (lambda x, u: x, "TypeError: "),
        (asks_too_much, f"line {asks_too_much.__code__.co_firstlineno + 1} of {__file__}: AttributeError: "),
        (lambda x, u, p, xp: (x.v, x.v), "expected a rate of each of x, y, psi, v, found 2 rates"),
        (lambda x, u, p, xp: x._replace(x=np.cos(x.psi)), "call the functions of `xp`, not those of NumPy"),
        (lambda x, u, p, xp: x._replace(x=x.v if x.v > 0 else 0.0), "write `xp.where(condition, a, b)`"),
        (lambda x, u, p, xp: 1 / 0, "ZeroDivisionError: division by zero"),
    ],
)
def test_equations_that_fail_name_their_line(derivative: Any, message: str) -> None:
    with pytest.raises(UsageError) as error:
        pct.model(sled(derivative=derivative))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
