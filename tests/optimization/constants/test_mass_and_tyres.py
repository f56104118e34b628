"""What two fits say of mass and tyres: by which factor forces over mass changed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, with_fixed
from pct.optimization.constants.comparison import Compared
from pct.optimization.constants.mass_and_tyres import mass_and_tyres

CAR = MODEL_SPECS["singletrack-pacejka"]


def rows(drive: float, side: float, drag: float, error: float = 0.01) -> dict[str, Compared]:
    """Quantities that changed by these factors, each with a relative error."""
    factors = {"C_m1": drive, "C_b": drive, "C_r2": drag}
    factors |= {f"side force {axle} 0.06 rad": side for axle in ("front", "rear")}
    return {
        name: Compared("N", np.array([10.0, 10 * by]), np.full(2, 10 * error), np.ones(2, bool))
        for name, by in factors.items()
    }


@pytest.mark.parametrize(
    ("drive", "side", "drag", "said"),
    [
        (1.0, 1.0, 1.0, "Neither mass nor tyres changed"),
        (
            1 / 1.2,
            1.0,
            1 / 1.2,
            "As by a mass 1.2 [1.16, 1.24] times that before, whose tyres grip in proportion",
        ),
        (1 / 1.2, 1.0, 1 / 1.2, "the air drag over mass changed alike, which no motor does"),
        (0.8, 1.0, 1.0, "the air drag over mass did not change, so that it is motor and brakes that did"),
        (1.0, 0.85, 1.0, "The mass is the same within these errors, and the tyres or the floor are others"),
        (0.8, 0.8, 0.8, "All forces changed alike, as by a mass 1.25"),
        (0.8, 0.6, 0.8, "Tyres changed, and the drive as by a mass 1.25"),
        (0.8, 1.0, 0.9, "motion cannot tell it from another motor and brake: weigh the car"),
    ],
)
def test_factors_are_read(drive: float, side: float, drag: float, said: str) -> None:
    (line,) = mass_and_tyres([CAR, CAR], rows(drive, side, drag, 0.05 if drag == 0.9 else 0.01))
    assert said in line


def test_it_says_what_it_cannot_know() -> None:
    only_tyres = {name: row for name, row in rows(1.0, 0.9, 1.0).items() if name.startswith("side")}
    (line,) = mass_and_tyres([CAR, CAR], only_tyres)
    assert line.startswith("Nothing tells of the mass: motion shows forces over mass only, and no drive")
    linear = with_fixed(MODEL_SPECS["singletrack"], {"m": None})
    (line,) = mass_and_tyres([linear, linear], only_tyres)
    assert "no drive or brake force is in this model, which is driven by accelerations" in line
    only_drive = {name: row for name, row in rows(0.8, 1.0, 1.0).items() if name == "C_m1"}
    assert "Nothing is known of the tyres" in mass_and_tyres([CAR, CAR], only_drive)[0]


def test_no_word_where_masses_are_not_held_alike() -> None:
    other = dataclasses.replace(CAR, default_params={**CAR.default_params, "m": 4.0})
    learned = MODEL_SPECS["singletrack"]
    for pair in ([CAR, other], [learned, learned], [CAR, CAR, CAR], [MODEL_SPECS["unicycle"]] * 2):
        assert mass_and_tyres(pair, rows(0.8, 1.0, 0.8)) == []
