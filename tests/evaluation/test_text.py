"""A verdict is as sure as its interval."""

import math

import pytest

from pct.dynamics import MODEL_SPECS
from pct.evaluation.bootstrap import Interval
from pct.evaluation.evaluate import RUN, Evaluation, Row
from pct.evaluation.text import facts, verdicts
from pct.runs.overlap import Overlap


def evaluation(ratio: Interval | None) -> Evaluation:
    """One baseline that the run has this ratio to, over 1 s; over 0.5 s it is another."""
    other = {"position": Interval(9.0, 8.0, 9.5)}
    row = Row("", {}, {0.5: other, 1.0: {} if ratio is None else {"position": ratio}}, {}, {})
    return Evaluation(
        spec=MODEL_SPECS["unicycle"],
        dt=0.05,
        at=(0.5, 1.0),
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


@pytest.mark.parametrize(
    ("ratio", "said"),
    [
        (Interval(0.8, 0.7, 0.9), "The run beats hold: 80 % [70, 90] of its position path RMSE over 1 s"),
        (Interval(0.8, 0.7, 1.1), "The run cannot be told from hold: 80 % [70, 110]"),
        (Interval(1.2, 1.1, 1.3), "The run is WORSE than hold: 120 % [110, 130]"),
        (Interval(0.1, math.nan, math.nan), "The run cannot be told from hold: 10 % of"),
        (Interval(math.inf, math.nan, math.nan), "The run DIVERGED in a window"),
        (Interval(0.0, math.nan, math.nan), "The run beats hold, which diverged in a window"),
        (Interval(math.nan, math.nan, math.nan), "The run DIVERGED in a window"),
    ],
)
def test_a_verdict_goes_by_the_interval(ratio: Interval, said: str) -> None:
    (line,) = verdicts(evaluation(ratio))
    assert line.startswith(said)


def test_a_row_without_a_position_has_no_verdict() -> None:
    assert verdicts(evaluation(None)) == []


def test_facts_name_windows_and_blocks() -> None:
    told = "\n".join(facts(evaluation(None)))
    assert "7 windows of 2 recordings, 20 steps of 0.05 s after 10 of history, a window every 0.1 s" in told
    assert "12 blocks of 60 rows (3 s)" in told
    assert told.endswith("A note.")
