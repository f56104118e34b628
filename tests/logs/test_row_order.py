"""Rows in another order than their time: newest first, mixed, written twice."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

import pct
from mapping.made_logs import drive, raw
from pct.logs.readers.base import RawLog
from pct.logs.row_order import in_time_order
from pct.mapping import propose
from pct.types import Column

ROWS = 600


def shuffled(kind: str) -> np.ndarray:
    rows = np.arange(ROWS)
    if kind == "newest first":
        return rows[::-1]
    if kind == "mixed":
        return np.argsort(rows + np.random.default_rng(1).integers(0, 4, ROWS), kind="stable")
    return np.sort(np.concatenate([rows, rows[::9]]))


def log_of(rows: np.ndarray) -> RawLog:
    return raw({name: column[rows] for name, column in drive(ROWS).items()})


@pytest.mark.parametrize(
    ("kind", "note"),
    [
        ("newest first", "newest first by 't'"),
        ("mixed", "not in the order of 't', by up to"),
        ("twice", "67 of 667 rows"),
    ],
)  # fmt: skip
def test_rows_come_in_the_order_of_their_time(kind: str, note: str) -> None:
    ordered = in_time_order(log_of(shuffled(kind)), "t")
    for name, column in drive(ROWS).items():
        np.testing.assert_array_equal(ordered.columns[name], column)
    assert note in ordered.notes[-1]


def set_back(log: dict[str, Column]) -> dict[str, Column]:
    return {**log, "t": np.where(np.arange(ROWS) < 300, log["t"], log["t"] - 2.0)}


def test_other_logs_stay_as_they_are() -> None:
    """In order; set back once; a counter that starts again and again; two sensors with one stamp each."""
    log = drive(ROWS)
    lap = {**log, "t": log["t"] % 1.0}
    stands = {**log, "t": np.repeat(log["t"][::2], 2)}
    for columns in (log, set_back(log), lap, stands):
        made = raw(columns)
        assert in_time_order(made, "t") is made
    several = dataclasses.replace(raw({**log, "t": log["t"][::-1]}), clocks={"x": "t"})
    assert in_time_order(several, "t") is several


@pytest.mark.parametrize("kind", ["newest first", "mixed", "twice"])
def test_a_log_in_another_order_is_mapped_and_imported(kind: str, tmp_path: Path) -> None:
    made = log_of(shuffled(kind))
    proposal = propose(Path("log.csv"), made)
    assert proposal.head["faults"] == "cut"
    assert {line.channel: line.sure for line in proposal.lines}["psi_dot"] == "high"
    np.savetxt(
        tmp_path / "log.csv",
        np.column_stack(list(made.columns.values())),
        delimiter=",",
        header=",".join(made.columns),
        comments="",
    )
    (tmp_path / "signals.toml").write_text(proposal.to_toml(), encoding="utf-8")
    (recording,) = pct.load(tmp_path)
    assert len(recording) == pytest.approx(ROWS, abs=2)
