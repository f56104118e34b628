"""Which options of a model `run` keeps."""

from __future__ import annotations

import pytest

import pct
from pct.api import trials
from pct.choices.car import Size
from pct.choices.plan import Plan
from pct.choices.steps import Steps

DRIVES = pct.simulate(pct.model("unicycle"), duration=5.0, noise=0.0)


def chosen(
    monkeypatch: pytest.MonkeyPatch, errors: dict[str, float], lateral: float = 6.0, **given: object
) -> tuple[pct.Car, str]:
    """The car and the reason, where a fit of each model leaves the error of the longest name that it has."""

    def tried(car: pct.Car) -> float:
        return min(error for part, error in errors.items() if part in car.base.name)

    monkeypatch.setattr(trials.Grounds, "tried", lambda _, car: tried(car))
    plan = Plan({f"car.{key}": value for key, value in given.items()}, lambda line: None)
    car = pct.model("singletrack-pacejka").hold("C_b").measured(steering=True)
    size = Size(0.33, 5.0, lateral)
    held_out = None if "alone" in errors else DRIVES
    grounds = trials.Grounds(plan, DRIVES, held_out, {}, Steps(lambda line: None))
    found = trials.with_options(car, grounds, pct.model, size)
    assert found.held == car.held
    assert found.measurement == car.measurement
    return found, plan.chosen["car.options"][1]


def test_each_option_that_predicts_better_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = {"pacejka": -3.0, "combined-slip": -3.1, "load-transfer": -3.11, "motor-curve": -3.2}
    car, why = chosen(monkeypatch, errors)
    assert car.base.name == "singletrack-pacejka+combined-slip+motor-curve"
    assert why == "with them, errors on the part held out are 18% smaller"


@pytest.mark.parametrize(
    ("errors", "lateral", "why"),
    [
        ({"pacejka": -3.0}, 6.0, "none makes errors on the part held out smaller"),
        ({"pacejka": -3.0, "combined-slip": -3.5}, 2.0, "bends of up to 2.0 m/s² do not make tyres slide"),
        ({"pacejka": -3.0, "alone": -3.5}, 6.0, "nothing is held out to try them on"),
    ],
)
def test_otherwise_the_model_stays_as_it_is(
    errors: dict[str, float], lateral: float, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    car, found = chosen(monkeypatch, errors, lateral)
    assert (car.base.name, found) == ("singletrack-pacejka", why)


@pytest.mark.parametrize(
    ("name", "better", "lateral", "why"),
    [
        ("singletrack-pacejka", 0.1, 6.0, "with it, errors on the part held out are 10% smaller"),
        ("singletrack-pacejka", 0.01, 6.0, "with it, errors on the part held out are 1% smaller"),
        ("singletrack-pacejka", 0.1, 2.0, "bends of up to 2.0 m/s² hardly make tyres slip"),
        ("singletrack", 0.1, 6.0, None),
    ],
)
def test_a_relaxation_length_that_predicts_much_better_is_kept(
    name: str, better: float, lateral: float, why: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tried(car: pct.Car) -> float:
        return -3.0 - better * ("relaxation_length" in car.spec.default_params)

    monkeypatch.setattr(trials.Grounds, "tried", lambda _, car: tried(car))
    plan, car = Plan({}, lambda line: None), pct.model(name).measured(steering=True)
    size = Size(0.33, 5.0, lateral)
    grounds = trials.Grounds(plan, DRIVES, DRIVES, {}, Steps(lambda line: None))
    found = trials.with_relaxation(car, grounds, size)
    kept = why is not None and "10%" in why
    assert found.measurement is not None
    assert (found.measurement.relaxation, found.measurement.steering) == (kept, True)
    assert plan.chosen == ({} if why is None else {"measurement.relaxation": (kept, why)})


def test_given_options_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    car, why = chosen(monkeypatch, {"pacejka": 0.0}, options=["load-sensitivity"])
    assert (car.base.name, why) == ("singletrack-pacejka+load-sensitivity", "given")
