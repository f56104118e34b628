"""What pages say of parameters: of a fit its verdicts, of a network by what its predictions vary."""

from __future__ import annotations

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS
from pct.evaluation.trust_parts import trust_clause, varies_with, varying_clause, varying_table
from pct.evaluation.varying import vary

SPEC = MODEL_SPECS["singletrack"]
ROWS = np.arange(60.0)
SPEED = 5 + np.sin(ROWS)
GRIP = np.where(ROWS < 30, 0.4, 0.9)
RECORDING = (ROWS >= 30).astype(int)
QUANTITIES = {"speed": SPEED, "feature.grip": GRIP, "still": 0 * ROWS}


def test_what_a_parameter_follows_is_named_with_its_sign() -> None:
    found = vary(0.9 - 0.01 * SPEED, 0.1, RECORDING, QUANTITIES)
    assert (found.follows, found.correlation) == ("speed", pytest.approx(-1.0))
    assert varies_with(found).endswith(", falls with speed, rank correlation -1.00")
    by_grip = vary(GRIP + 0.001 * SPEED, 0.1, RECORDING, QUANTITIES)
    assert by_grip.follows == "feature.grip"
    assert by_grip.between == pytest.approx(1.0, abs=1e-3)
    assert "100 % of its variance between recordings" in varies_with(by_grip)
    # One recording has nothing to differ from.
    assert vary(0.9 - 0.01 * SPEED, 0.1, 0 * RECORDING, QUANTITIES).between is None


def test_chance_and_standing_still_are_no_variation() -> None:
    noise = np.random.default_rng(0).normal(size=60)
    assert varies_with(vary(noise, 0.1, 0 * RECORDING, QUANTITIES)) == "with nothing that was looked at"
    still = vary(0.8 + 1e-4 * SPEED, 0.1, RECORDING, QUANTITIES)
    assert (still.changes, still.follows) == (False, None)
    assert varies_with(still) == "hardly at all"
    assert "a fit of constants says as much" in varying_clause({"mu": still})
    said = varying_clause({"mu": vary(GRIP, 0.1, RECORDING, {}), "I": still})
    assert said == "1 of 2 predicted parameters vary: mu (100 % of its variance between recordings)."


def test_the_truth_of_simulated_drives_stands_beside() -> None:
    truth = np.where(ROWS < 3, np.nan, GRIP)
    found = vary(GRIP + 0.05, 0.1, RECORDING, QUANTITIES, truth)
    assert found.truth_error == pytest.approx(0.05)
    assert found.truth_correlation == pytest.approx(1.0)
    part = varying_table(SPEC, {"mu": found, "I": vary(0 * ROWS + 4, 0.1, RECORDING, QUANTITIES)})
    assert part.values["head"][-1] == "beside the truth"
    (mu, inertia) = part.values["rows"]
    assert mu[-1] == "median error 0.05, correlation 1.00"
    assert inertia[-1] == "not known"
    assert inertia[5] == "hardly at all"


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ((), "No parameter was judged"),
        (("identified",), "Trust a"),
        (("weak",), "Do not trust a yet"),
        (("weak", "weak"), "Trust none of the 2 parameters yet"),
        (("identified", "identified"), "All 2 parameters can be trusted"),
        (("identified", "at bound", "identified"), "Trust 2 of 3 parameters (a, c)"),
        (("weak", *["identified"] * 6), "Trust 6 of 7 parameters (b, c, d, e, f, …)"),
    ],
)
def test_how_many_parameters_of_a_fit_can_be_trusted(verdicts: tuple[str, ...], said: str) -> None:
    judged = dict(zip("abcdefg", ({"verdict": verdict} for verdict in verdicts), strict=False))
    assert trust_clause(judged) == said
