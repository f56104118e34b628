"""A verdict is as sure as its interval, by channel, in words that cannot be misread."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest

from pct.dynamics import MODEL_SPECS
from pct.evaluation.evaluate import RUN, Evaluation, Row
from pct.evaluation.explosions import Explosion
from pct.evaluation.report import as_json
from pct.evaluation.scores import Score
from pct.evaluation.text import facts, ladder_cells, row_docs, verdicts
from pct.runs.overlap import Overlap
from pct.windows.bootstrap import Interval

NAN = math.nan


def errors(value: float = 1.0) -> Score:
    interval = Interval(value, value, value)
    return Score(interval, interval, interval, interval, interval, value)


def evaluation(spec: str = "unicycle", **ratios: Interval) -> Evaluation:
    """One baseline that the run has these ratios to, over 1 s."""
    row = Row(
        doc="It holds.",
        told=(),
        comparable=True,
        exploded={1.0: 0},
        explosions=[],
        scores={1.0: dict.fromkeys(ratios, errors())},
        ratios={1.0: ratios},
        bins={},
        growth={},
    )
    return Evaluation(
        spec=MODEL_SPECS[spec],
        dt=0.05,
        at=(1.0,),
        windows=7,
        recordings=("a", "b"),
        history=10,
        horizon=20,
        stride=2,
        block_rows=60,
        blocks=12,
        overlap=Overlap(0.0, 5),
        notes=["A note."],
        conditions=[],
        rows={RUN: row, "hold": row},
        missing={},
    )


def with_row(result: Evaluation, name: str, **changes: Any) -> Evaluation:
    row = dataclasses.replace(result.rows[name], **changes)
    return dataclasses.replace(result, rows={**result.rows, name: row})


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (Interval(0.64, 0.55, 0.75), "beats hold: position 36 % lower error [25 to 45 %]."),
        (Interval(0.8, 0.7, 1.1), "no difference to hold shown: position."),
        (Interval(1.12, 1.05, 1.3), "is WORSE than hold: position 12 % higher error [5 to 30 %]."),
        (
            Interval(3.5, 1.5, 4.0),
            "is WORSE than hold: position 3.5 times the error [50 % higher to 4 times].",
        ),
        (Interval(0.002, 0.001, 0.003), "beats hold: position 99.8 % lower error [99.7 to 99.9 %]."),
        (Interval(0.1, NAN, NAN), "no difference to hold shown: position."),
        (Interval(math.inf, NAN, NAN), "is WORSE than hold: position an error that is not finite."),
        (Interval(NAN, NAN, NAN), "no difference to hold shown: position."),
    ],
)
def test_a_verdict_goes_by_the_interval(ratio: Interval, said: str) -> None:
    first, summary = verdicts(evaluation(position=ratio))
    assert first == f"Over 1 s this run {said}"
    ahead = "AHEAD of this run: hold (position)." if "WORSE" in said else "no row is ahead of this run."
    assert summary == f"Over 1 s {ahead}"


def test_a_row_that_diverged_is_beaten() -> None:
    result = evaluation(position=Interval(0.0, 0.0, 1.3))
    result = with_row(result, "hold", scores={1.0: {"position": errors(math.inf)}})
    assert verdicts(result)[0].endswith("beats hold: position finite with this run alone.")


def test_channels_are_judged_one_by_one() -> None:
    better, worse = Interval(0.5, 0.4, 0.6), Interval(1.5, 1.2, 1.8)
    lines = verdicts(evaluation(position=better, v=worse, psi=Interval(1.0, 0.9, 1.1)))
    assert lines[0] == (
        "Over 1 s this run beats hold: position 50 % lower error [40 to 60 %]; is WORSE than hold: v 50 % "
        "higher error [20 to 80 %]; no difference to hold shown: psi."
    )
    assert lines[1] == "Over 1 s AHEAD of this run: hold (v)."


def test_a_row_that_is_told_more_than_the_run_is_not_held_against_it() -> None:
    result = evaluation(position=Interval(1.5, 1.2, 1.8))
    result = with_row(result, "hold", told=("accel",), comparable=False)
    assert verdicts(result) == [
        "Over 1 s no row is ahead of this run.",
        "† hold is told accel over the horizon, derived from what is predicted, and this run is not: not "
        "compared.",
    ]
    _, rows = ladder_cells(result, 1.0, str)
    assert rows[1][0] == "hold †"
    assert row_docs(result)[1] == "hold †: It holds. Is told: derived accel."
    assert as_json(result, run=Path("."), paths=[])["comparison"] == {"1": {}}


def test_what_a_derived_control_drives_is_no_prediction() -> None:
    """The run is told the derived acceleration, so that its speed says nothing."""
    better = Interval(0.5, 0.4, 0.6)
    result = evaluation("kinematic-singletrack", position=better, v=better)
    assert "v 50 % lower" in verdicts(result)[0]
    result = with_row(result, RUN, told=("accel",))
    assert "v 50 % lower" not in verdicts(result)[0]
    assert "position 50 % lower" in verdicts(result)[0]


def test_a_row_without_predictions_has_no_verdict() -> None:
    assert verdicts(evaluation()) == ["Over 1 s no row is ahead of this run."]


def test_facts_name_windows_blocks_and_explosions() -> None:
    result = evaluation(position=Interval(0.5, 0.4, 0.6))
    told = "\n".join(facts(result))
    assert "7 windows of 2 recordings, 20 steps of 0.05 s after 10 of history, a window every 0.1 s" in told
    assert "12 blocks of 60 rows (3 s)" in told
    assert told.endswith("A note.")
    named = [Explosion("a", 2.0, 0.35, "v")]
    result = with_row(result, RUN, exploded={1.0: 3}, explosions=named)
    said = "3 of 7 windows EXPLODE with this run: 'a' from 2.00 s (v after 0.35 s) and 2 more."
    assert facts(result)[-1] == said
    head, (run, hold) = ladder_cells(result, 1.0, str)
    assert head[1] == "exploded"
    assert (run[1], hold[1]) == ("3", "0")
