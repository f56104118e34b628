"""The files of published vehicles: a source each, figures as published, the rest brought over by scale."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from pct.dynamics import MODEL_SPECS
from pct.dynamics.limits import GRAVITY
from pct.dynamics.vehicles import VEHICLES, with_vehicle
from pct.dynamics.vehicles.library import OF_THE_CAR, vehicle_of

FOLDER = Path(__file__).parents[2] / "src" / "pct" / "dynamics" / "vehicles" / "library"
FILES = {file.stem: tomllib.loads(file.read_text()) for file in sorted(FOLDER.glob("*.toml"))}
MODELS = ("singletrack", "singletrack-pacejka", "singletrack-drift")


def test_there_are_twenty_cars_with_a_source() -> None:
    assert len(FILES) >= 20
    assert set(FILES) <= set(VEHICLES)
    for name, vehicle in VEHICLES.items():
        assert vehicle.source, name
        assert vehicle.url.startswith("https://"), name
    assert len({table["doc"] for table in FILES.values()}) == len(FILES)


@pytest.mark.parametrize("name", FILES)
def test_published_figures_are_those_of_the_car(name: str) -> None:
    published = FILES[name]["published"]
    specs = [with_vehicle(MODEL_SPECS[model], name) for model in MODELS]
    for key, value in published.items():
        if key in OF_THE_CAR:
            continue
        found = [spec.default_params[key] for spec in specs if key in spec.default_params]
        assert found, key
        assert set(found) == {value}, key
    p = specs[1].default_params
    length = published.get("wheelbase", p["lf"] + p["lr"])
    assert p["lf"] + p["lr"] == pytest.approx(length, rel=1e-3)
    # Every length, mass and force is one of such a car: peaks are between half and three times the weight.
    weight = p["m"] * GRAVITY
    assert 0.5 * weight < p["D_f"] + p["D_r"] < 3.0 * weight
    assert 0.05 < p["I"] / (p["m"] * length**2) < 0.6


def a_car(**published: float) -> dict[str, Any]:
    return {"doc": "a car", "source": "us", "where": "https://", "like": "bmw-320i", "published": published}


def test_what_is_not_published_is_brought_to_the_size() -> None:
    like = with_vehicle(MODEL_SPECS["singletrack-pacejka"], "bmw-320i").default_params
    length = like["lf"] + like["lr"]
    values = vehicle_of(a_car(wheelbase=2 * length, m=4 * like["m"])).values
    assert values["lf"][1] == pytest.approx(2 * like["lf"])
    assert values["I"][1] == pytest.approx(16 * like["I"])
    assert values["C_m1"][1] == pytest.approx(4 * like["C_m1"])
    assert values["D_f"][1] == pytest.approx(4 * like["D_f"])
    assert values["B_f"][1] == pytest.approx(like["B_f"])
    assert values["m"] == pytest.approx((2 * like["m"], 4 * like["m"], 8 * like["m"]))
    # Without a mass that of a car of the same shape.
    assert vehicle_of(a_car(wheelbase=2 * length)).values["m"][1] == pytest.approx(8 * like["m"])


def test_a_centre_of_gravity_follows_from_one_distance() -> None:
    values = vehicle_of(a_car(wheelbase=2.6, lf=1.1)).values
    assert values["lr"][1] == pytest.approx(1.5)


@pytest.mark.parametrize("published", [{"m": 1500.0}, {"lf": 1.2, "lr": 1.4, "wheelbase": 2.8}])
def test_a_size_that_is_not_known_or_not_one_is_refused(published: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="a car: expected lf and lr, or a wheelbase that is their sum"):
        vehicle_of(a_car(**published))
