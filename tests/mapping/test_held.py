"""Columns of a slower sensor that repeat each value in the rows of a faster recorder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mapping.made_logs import DT, by_channel, drive, raw
from pct.api.imports import import_logs
from pct.doctor.read_logs import read_recordings
from pct.doctor.resampling import held, interpolated
from pct.logs.map_files import read_map
from pct.logs.readers import csv
from pct.mapping import Proposal, propose
from pct.recordings.folder import read_file
from pct.recordings.held import samples_of
from pct.types import Column

POSE = ("x", "y", "psi")


def with_held(rows_apart: float, *names: str, jitter: int = 0) -> dict[str, Column]:
    """The made drive, of which some columns have a value of their own every so many rows only."""
    log = drive()
    count = len(log["t"])
    samples = np.floor(np.arange(0, count, rows_apart)).astype(int)
    samples[1:] += np.random.default_rng(3).integers(-jitter, jitter + 1, len(samples) - 1)
    last = samples[np.searchsorted(samples, np.arange(count), side="right") - 1]
    return {name: column[last] if name in names else column for name, column in log.items()}


def proposal_of(log: dict[str, Column]) -> Proposal:
    return propose(Path("log.csv"), raw({name: column for name, column in log.items() if name != "vy"}))


@pytest.mark.parametrize(("rows_apart", "jitter"), [(10, 0), (10, 1), (2.5, 0), (20, 2)])
def test_held_positions_are_read_where_they_change(tmp_path: Path, rows_apart: float, jitter: int) -> None:
    log, true = with_held(rows_apart, "x", "y", jitter=jitter), drive()
    proposal = proposal_of(log)
    lines = by_channel(proposal)
    assert {name for name, line in lines.items() if line.keys.get("held")} == {"x", "y"}
    assert {lines[name].sure for name in ("x", "y", "psi", "vx", "psi_dot")} == {"high"}
    # What is held is behind by half a step, and the others ahead of it.
    assert "delay" not in {*lines["vx"].keys, *lines["psi_dot"].keys}
    pl.DataFrame(log).write_csv(tmp_path / "log.csv")
    (tmp_path / "signals.toml").write_text(proposal.to_toml())
    (read,) = read_file(tmp_path / "log.csv", read_map(tmp_path / "signals.toml"))
    rows = slice(0, len(read))
    off = np.hypot(read.channels["x"] - true["x"][rows], read.channels["y"] - true["y"][rows])
    steps = np.hypot(log["x"] - true["x"], log["y"] - true["y"])
    assert np.sqrt(np.mean(off**2)) < 0.25 * np.sqrt(np.mean(steps**2))
    # The doctor has nothing to say of what the map reads so, and says what to write where it does not.
    (recording,) = read_recordings(tmp_path)
    assert not held(recording) + interpolated(recording)
    (tmp_path / "signals.toml").write_text(proposal.to_toml().replace("held = true", ""))
    findings = held(*read_recordings(tmp_path))
    assert {key for finding in findings for key in finding.lines} == {"channels.x.held", "channels.y.held"}


def test_a_command_that_is_held_acts_as_it_stands() -> None:
    log = with_held(5, *POSE, "delta")
    log["steer_cmd"] = log.pop("delta")
    lines = by_channel(proposal_of(log))
    assert {name for name, line in lines.items() if line.keys.get("held")} == set(POSE)


def test_values_in_coarse_steps_are_not_held() -> None:
    log = drive()
    for name, step in (("delta", 0.05), ("vx", 0.2), ("psi_dot", 0.2), ("x", 0.2), ("y", 0.2)):
        log[name] = step * np.round(log[name] / step)
    lines = by_channel(proposal_of(log))
    assert not [name for name, line in lines.items() if line.keys.get("held")]


def test_what_stays_was_read_again() -> None:
    """A vehicle stands for 100 rows; a sample that is lost is none."""
    rows = np.arange(1000) // 10
    column = np.where(rows < 50, rows, np.maximum(rows - 10, 50)).astype(float)
    assert samples_of(column).tolist() == list(range(0, 1000, 10))


@pytest.mark.parametrize("long", [False, True])
def test_a_held_angle_goes_the_short_way_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, long: bool
) -> None:
    """Also in a file that passes through temporary files."""
    if long:
        monkeypatch.setattr(csv, "SPOOLED", 0)
    true = drive()
    log = with_held(5, *POSE)
    log["psi"] = (log["psi"] - 0.3 + np.pi) % (2 * np.pi) - np.pi
    (tmp_path / "signals.toml").write_text(
        '[time]\ncolumn = "t"\n[channels.psi]\ncolumn = "psi"\nheld = true\n[channels.vx]\ncolumn = "vx"\n'
    )
    pl.DataFrame(log).write_csv(tmp_path / "log.csv")
    (read,) = read_file(tmp_path / "log.csv", read_map(tmp_path / "signals.toml"))
    off = np.unwrap(read.channels["psi"]) + 0.3 - true["psi"][: len(read)]
    assert np.abs(off - np.round(off.mean() / (2 * np.pi)) * 2 * np.pi).max() < 5 * DT


def test_a_dataset_says_what_was_held(tmp_path: Path) -> None:
    """The doctor does not tell of a dataset what its import has done on purpose."""
    log = {name: column for name, column in with_held(5, "x", "y").items() if name != "vy"}
    pl.DataFrame(log).write_csv(tmp_path / "log.csv")
    made = import_logs(tmp_path / "log.csv", tmp_path / "set", map="auto", processes=1)
    (recording,) = read_recordings(made.parts["train"])
    assert set(recording.held) == {"x", "y"}
    assert not held(recording) + interpolated(recording)
