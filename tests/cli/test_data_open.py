"""`pct data open`: what every column of a log holds, before any map."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pct.cli.console import sparkline
from pct.cli.main import main
from pct.logs.readers.base import RawLog
from pct.mapping.columns import view
from pct.plots import Curve, columns, draw_columns, in_style

HOSTILE = "v\u202e"


def write(path: Path) -> None:
    """50 Hz; a speed in km/h, a sensor of 10 Hz that is held, one in every tenth row, a text."""
    rows = ["t,speed [km/h],held,sparse,lap," + HOSTILE]
    for k in range(200):
        sparse = f"{k / 10:g}" if k % 10 == 0 else ""
        rows.append(f"{0.02 * k:.2f},{np.sin(0.1 * k):.4f},{k // 5},{sparse},fast,{k}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def test_json_states_unit_rate_range_and_shares(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "lap.csv")
    main(["data", "open", str(tmp_path / "lap.csv"), "--json", "--figure", str(tmp_path / "columns.png")])
    (log,) = json.loads(capsys.readouterr().out)["logs"]
    columns = {column["name"]: column for column in log["columns"]}
    assert log["time"] == "t"
    assert list(log["texts"]) == ["lap"]
    assert columns["speed [km/h]"]["unit"] == "km/h"
    assert columns["held"]["rate"] == pytest.approx(50)
    assert columns["held"]["repeated"] == pytest.approx(160 / 199)
    assert (columns["held"]["low"], columns["held"]["high"]) == (0, 39)
    assert columns["sparse"]["rate"] == pytest.approx(5)
    assert columns["sparse"]["missing"] == pytest.approx(0.9)
    assert columns["t"]["repeated"] == 0
    assert (tmp_path / "columns.png").read_bytes().startswith(b"\x89PNG")


def test_the_table_has_a_plot_and_no_name_steers_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "lap.csv")
    main(["data", "open", str(tmp_path / "lap.csv")])
    out = capsys.readouterr().out
    assert "\u202e" not in out
    assert r"v\u202e" in out
    assert "▁" in out
    assert "Time: t (high:" in out
    assert "Text, no numbers: lap, such as 'fast'" in out
    assert out.splitlines()[-1] == f"Next: pct data map {tmp_path}/lap.csv"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["gone.csv"], 3, "expected a log, found nothing there"),
        (["a.csv", "a.csv", "--figure", "f.png"], 2, "--figure: expected one log, got 2"),
    ],
)
def test_what_cannot_be_shown_is_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "a.csv")
    with pytest.raises(SystemExit) as stop:
        main(["data", "open", *arguments])
    assert stop.value.code == code
    assert message in capsys.readouterr().err


def test_each_column_has_the_clock_that_the_file_states() -> None:
    made = {
        "/a.time": np.arange(0, 1, 0.1),
        "/a.v": np.arange(10.0),
        "/b.time": np.arange(0, 1, 0.01),
        "/b.w": np.full(100, np.nan),
    }
    raw = RawLog(made, np.arange(100), "message", clocks={"/a.v": "/a.time", "/b.w": "/b.time"})
    found = {column.name: column for column in view(Path("bag"), raw).columns}
    assert found["/a.v"].rate == pytest.approx(10)
    assert found["/b.time"].rate == pytest.approx(100)
    empty = found["/b.w"]
    assert (empty.rate, empty.low, empty.missing, empty.levels(3)) == (None, None, 1.0, [None] * 3)
    assert found["/a.v"].levels(2) == [0.0, 1.0]


def test_a_log_without_a_time_is_shown_without_rates() -> None:
    found = view(Path("a.csv"), RawLog({"v": np.array([2.0, 1.0, 2.0, 2.0])}, np.arange(4), "line"))
    assert found.columns[0].rate is None
    assert found.notes[0].startswith("no rates: expected a column of the time")


def test_a_sparkline_leaves_gaps() -> None:
    assert sparkline([0.0, None, 1.0, 0.5]) == "▁ █▅"


def test_a_figure_keeps_spikes_and_shows_the_first_of_many_columns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(columns, "MOST", 3)
    spike = np.zeros(100_000)
    spike[77_777] = 9.0
    figure = in_style(draw_columns, title="log", curves=[Curve("v$", "m/s", spike, None)] * 5)
    drawn = figure.axes[0].lines[0].get_ydata()
    assert np.max(drawn) == 9.0
    assert len(drawn) <= 800
    assert len(figure.axes) == 3
