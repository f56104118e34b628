"""What the doctor takes for no fault, what it tells for information, and advice that is not followed yet."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import lfilter

from doctor.test_doctor import DT, exact, recording, sensed
from pct.doctor import examine
from pct.doctor.finding import Finding
from pct.doctor.read_logs import read_recordings
from pct.recordings.outliers import find_spikes


def straight_with_flicks(width: float, step: float) -> dict[str, np.ndarray]:
    """A car that goes straight ahead but for short steering inputs, which its yaw rate answers."""
    t = np.arange(0.0, 40.0, step)
    delta = np.zeros(len(t))
    for begin, side in ((5.03, 1), (14.1, -1), (22.01, 1), (31.3, -1)):
        share = np.clip((t - begin) / width, 0.0, 1.0)
        delta += 0.25 * side * np.sin(np.pi * share) ** 2
    pole = np.exp(-step / 0.05)
    psi_dot = lfilter([1 - pole], [1, -pole], 5.0 * np.tan(delta) / 0.33)
    psi = np.cumsum(psi_dot) * step
    x, y = (np.cumsum(5.0 * wave(psi)) * step for wave in (np.cos, np.sin))
    columns = {"x": x, "y": y, "psi": psi, "psi_dot": psi_dot, "delta": delta}
    random = np.random.default_rng(3)
    noise = {"x": 0.005, "y": 0.005, "psi": 0.003, "psi_dot": 0.02, "delta": 0.003}
    return {name: c + noise[name] * random.standard_normal(len(c)) for name, c in columns.items()}


@pytest.mark.parametrize(("width", "step"), [(0.5, 0.05), (0.4, 0.05), (0.5, 0.02), (0.2, 0.01)])
def test_a_smooth_steering_input_is_no_spike(width: float, step: float) -> None:
    columns = straight_with_flicks(width, step)
    assert not find_spikes("delta", columns["delta"]).any()
    assert not find_spikes("psi_dot", columns["psi_dot"]).any()
    # Of the same height, a glitch is one.
    columns["delta"][200:202] += 0.25
    assert np.flatnonzero(find_spikes("delta", columns["delta"])).tolist() == [200, 201]


def spiked(*names: str) -> list[Finding]:
    columns = sensed(exact())
    for name in names:
        column = columns[name].copy()
        column[700] += 2 * np.ptp(column)
        columns[name] = column
    return [finding for finding in examine(recording(columns)) if finding.check == "spikes"]


def test_what_another_channel_of_the_motion_shows_is_no_spike() -> None:
    assert [f.channels for f in spiked("delta")] == [("delta",)]
    assert spiked("delta", "psi_dot") == []
    # A bad packet shows in channels that have nothing to do with each other.
    assert [f.channels for f in spiked("delta", "psi_dot", "x")] == [("x",), ("psi_dot",), ("delta",)]


def test_a_number_without_a_unit_has_none_behind_it() -> None:
    columns = sensed(exact())
    drive = 0.3 + 0.01 * np.random.default_rng(5).standard_normal(len(columns["x"]))
    drive[700] = 0.9
    (found,) = [f for f in examine(recording({**columns, "drive": drive})) if f.check == "spikes"]
    assert re.match(r"'drive' has spikes in 1 row, by up to [\d.]+ where ", found.message)


def test_a_command_at_its_limit_is_told_for_information() -> None:
    columns = sensed(exact())
    columns["delta"] = np.clip(columns["delta"], -0.08, 0.08)
    command = recording(columns)
    command = dataclasses.replace(command, origins={**command.origins, "delta": "command"})
    (found,) = [finding for finding in examine(command) if finding.check == "saturation"]
    assert found.severity == "info"
    assert found.message.startswith("the command 'delta' is at its limit of 0.08 and -0.08 rad in ")


def test_advice_is_not_what_the_map_has_already(tmp_path: Path) -> None:
    columns = sensed(exact())
    columns["vx"][500] = np.nan
    names = ("x", "y", "psi", "vx", "psi_dot")
    time = 1.76e9 + DT * np.arange(len(columns["x"]))
    rows = zip(time, *(columns[name] for name in names), strict=True)
    lines = [",".join(f"{value:.6f}" for value in row) for row in rows]
    (tmp_path / "log.csv").write_text("\n".join([",".join(("t", *names)), *lines]).replace("nan", ""))
    channels = "".join(f'[channels.{name}]\ncolumn = "{name}"\n' for name in names)
    for faults, cuts in (("", False), ('faults = "cut"\n', True)):
        (tmp_path / "signals.toml").write_text(f'{faults}[time]\ncolumn = "t"\n{channels}')
        (log,) = read_recordings(tmp_path)
        (found,) = [finding for finding in examine(log) if finding.check == "missing"]
        assert log.cuts == cuts
        assert found.lines == ({} if cuts else {"faults": "cut"})
        assert found.fix.startswith("the map has" if cuts else "cut the rows: faults")
