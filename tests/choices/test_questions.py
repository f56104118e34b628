"""What a person is asked, and what becomes of the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

import pct
from pct.api.sizing import choose_size
from pct.choices.plan import Plan
from pct.choices.questions import ask_columns, ask_wheelbase
from pct.choices.steps import Steps
from pct.errors import DataError


@pytest.mark.parametrize(
    ("answers", "length", "asked"),
    [
        ([""], None, 1),
        (["2.6"], 2.6, 1),
        (["-1", "nan", "0.33m"], 0.33, 3),
        (["what", "inf", "1e9", "2"], None, 3),
    ],
)
def test_a_wheelbase_is_a_length_of_a_vehicle(answers: list[str], length: float | None, asked: int) -> None:
    questions: list[str] = []

    def ask(question: str) -> str:
        questions.append(question)
        return answers[len(questions) - 1]

    assert ask_wheelbase(ask, "wheelbase: the drives do not tell it") == length
    assert len(questions) == asked
    if asked > 1:
        assert questions[1].startswith(f"Expected a number from 0.01 to 20 m, got '{answers[0]}'")


def test_a_column_is_confirmed_or_the_place_to_correct_is_named() -> None:
    unsure = ["channels.delta is low: a share of full lock", "channels.v is low: another"]
    asked: list[str] = []
    ask_columns(lambda question: asked.append(question) or "", unsure, Path("run/dataset/signals.toml"))
    assert asked[0] == f"The map is not sure: {unsure[0]}. Go on with it? [Y/n]"
    assert len(asked) == 2
    with pytest.raises(DataError, match=r"run/dataset/signals.toml: stopped at channels.delta, as you asked"):
        ask_columns(lambda question: "No", unsure, Path("run/dataset/signals.toml"))


def test_the_answer_is_a_given_choice_and_its_doubt_is_gone() -> None:
    drive = pct.simulate(pct.model("singletrack"), duration=3.0, mu=(0.7,), noise=0.0)[0]
    drives = pct.load(drive.table().select("t", "x", "y", "psi", "v"))
    asked: list[str] = []
    for answer, length, doubts in (("0.4", 0.4, 0), ("", None, 1)):
        plan = Plan({}, lambda line: None)
        asked.clear()
        _, found, unsure = choose_size(
            plan, drives, None, Steps(print), lambda question, a=answer: asked.append(question) or a
        )
        assert (found, len(unsure), len(asked)) == (length, doubts, 1)
        assert plan.chosen.get("car.wheelbase") == (None if length is None else (0.4, "given"))
    assert asked[0].startswith("wheelbase: the drives do not tell it, so that f1tenth is a guess")
    plan = Plan({"car.wheelbase": 0.33}, lambda line: None)
    # Who gave it is not asked.
    choose_size(plan, drives, None, Steps(print), lambda question: pytest.fail(question))
