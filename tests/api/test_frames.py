"""Data frames as drives: of any library, with any columns, and what is said where they cannot be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import pct
from pct.errors import DataError

pd = pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def frame(drives: pct.Drives) -> Any:
    table = drives[0].table().drop("truth.mu")
    return pd.DataFrame({name: table[name].to_numpy() for name in table.columns})


@pytest.mark.parametrize(
    "of",
    [
        lambda f: f.assign(note="a text that is no channel"),
        lambda f: f.assign(v=f.v.astype("Float64")),
        lambda f: f.assign(v=f.v.astype(object)),
        lambda f: {name: f[name].to_numpy() for name in f},
        lambda f: {name: f[name].tolist() for name in f},
        lambda f: pl.LazyFrame({name: f[name].to_numpy() for name in f}),
    ],
)
def test_a_frame_of_any_kind_is_read(of: Callable[[Any], Any], frame: Any) -> None:
    (drive,) = pct.load(of(frame))
    assert drive.name == "frame"
    np.testing.assert_allclose(drive.table()["v"], frame.v, atol=1e-9)


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (lambda f: f.assign(v="a"), "data frame: expected numbers in 'v'"),
        (
            lambda f: f.assign(v=f.v.where(f.index != 7)),
            "data frame: column 'v', row 7: expected a number",
        ),
        (lambda f: f.assign(v=f.v.where(f.index != 7)), "in a signals.toml and pass it as `map`"),
        (lambda f: pd.concat([f, f[["v"]]], axis=1), "expected each column once, found 'v' twice: drop one"),
        (lambda f: {"t": [0.0, 0.1], "v": [1.0]}, "expected columns of one length, found t 2, v 1 rows"),
        (lambda f: {"t": [0.0, 0.1], "v": object()}, "column 'v': expected one number a row"),
        (lambda f: f.rename(columns={"t": "time"}), "rename the columns, or pass a `map`"),
    ],
)
def test_what_cannot_be_read_is_said_without_a_file(
    of: Callable[[Any], Any], message: str, frame: Any
) -> None:
    with pytest.raises(DataError) as error:
        pct.load(of(frame))
    assert message in str(error.value)
    assert ".parquet" not in str(error.value)


def test_several_frames_are_several_drives(frame: Any) -> None:
    assert [drive.name for drive in pct.load([frame, frame])] == ["frame_1", "frame_2"]


def test_a_map_says_what_columns_are(frame: Any, tmp_path: Path) -> None:
    map = tmp_path / "signals.toml"
    map.write_text('faults = "cut"\n[time]\ncolumn = "zeit"\n[channels.v]\ncolumn = "speed"\nunit = "km/h"\n')
    own = frame.rename(columns={"t": "zeit", "v": "speed"})[["zeit", "speed"]]
    (drive,) = pct.load(own, map=map)
    np.testing.assert_allclose(drive.table()["v"], frame.v / 3.6, atol=1e-9)
