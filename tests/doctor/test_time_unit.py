"""A time in the wrong unit is named; whatever else it holds ends soon, in a finding or in a line or two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pct
from pct.doctor import Recording, examine
from pct.doctor.time_unit import time_unit
from pct.errors import PctError

ROWS, DT = 600, 0.05
CHANNELS = ("x", "y", "psi", "v", "delta", "psi_dot")
MAP = '[time]\ncolumn = "t"\n' + "".join(f'[channels.{name}]\ncolumn = "{name}"\n' for name in CHANNELS)
Column = np.ndarray


def drive() -> dict[str, Column]:
    """Through bends at changing speed, with the noise of sensors."""
    random, t = np.random.default_rng(0), DT * np.arange(ROWS)
    delta = 0.25 * np.sin(0.7 * t) + 0.08 * np.sin(2.1 * t + 1)
    v = 3 + np.sin(0.3 * t)
    psi_dot = 0.8 * v * np.tan(delta) / 0.33
    psi = np.cumsum(psi_dot) * DT
    x, y = (np.cumsum(v * part) * DT for part in (np.cos(psi), np.sin(psi)))
    exact = {"x": x, "y": y, "psi": psi, "v": v, "delta": delta, "psi_dot": psi_dot}
    return {"t": t} | {name: c + 0.005 * random.standard_normal(ROWS) for name, c in exact.items()}


def recording(time: Column, **changed: Column) -> Recording:
    channels = {name: column for name, column in drive().items() if name != "t"} | changed
    return Recording(
        name="drive",
        where="drive.csv",
        time=time,
        channels=channels,
        origins=dict.fromkeys(channels, "measured"),
        sources={name: (name, "") for name in channels},
        rows=np.arange(ROWS),
    )


@pytest.mark.parametrize(
    ("unit", "size"),
    [("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9), ("min", 60), ("h", 3600), ("day", 86400)],
)
def test_the_unit_of_the_time_is_named(unit: str, size: float) -> None:
    found = time_unit(recording(drive()["t"] / size))
    assert [finding.lines for finding in found] == [{"time.unit": unit}]
    assert f'unit = "{unit}"' in found[0].fix
    assert found[0].mend is not None
    np.testing.assert_allclose(found[0].mend(recording(drive()["t"] / size)).time, drive()["t"])


def test_a_time_in_seconds_is_left_alone() -> None:
    assert time_unit(recording(drive()["t"])) == []
    assert time_unit(recording(1.7e9 + drive()["t"])) == []


def test_a_speed_in_another_unit_is_not_taken_for_the_time() -> None:
    assert time_unit(recording(drive()["t"], v=3.6 * drive()["v"])) == []


def test_steps_that_no_unit_explains_are_told_without_one() -> None:
    (found,) = time_unit(recording(1e-20 * np.arange(ROWS)))
    assert found.lines == {}
    assert "look up" in found.fix or "multiply" in found.fix


def jump(time: Column, by: float) -> Column:
    return np.where(np.arange(len(time)) < ROWS // 2, time, time + by)


TIMES: dict[str, Callable[[Column], Column]] = {
    "nanoseconds": lambda t: 1e9 * t,
    "nanoseconds since 1970": lambda t: 1.7e18 + 1e9 * t,
    "days": lambda t: 45000 + t / 86400,
    "constant": lambda t: 0 * t + 5,
    "decreasing": lambda t: -t,
    "a leap of 1e9 s": lambda t: jump(t, 1e9),
    "a leap of 1e300 s": lambda t: jump(t, 1e300),
    "steps of 1e-9 s": lambda t: 1e-9 * np.arange(ROWS),
    "steps of 1e-9 s and a gap": lambda t: jump(1e-9 * np.arange(ROWS), 0.09),
    "steps of 1e-7 s and gaps": lambda t: 1e-7 * np.arange(ROWS) + 0.09 * (np.arange(ROWS) // 10),
    "steps of 1e-310 s": lambda t: 1e-310 * np.arange(ROWS),
    "steps of 1e300 s": lambda t: 1e300 * np.arange(ROWS),
    "at random": lambda t: np.random.default_rng(1).uniform(0, 1e9, ROWS),
    "growing": lambda t: np.logspace(-300, 300, ROWS),
    "unknown": lambda t: t * np.nan,
    "half unknown": lambda t: np.where(np.arange(ROWS) % 2, np.nan, t),
    "the largest and the least": lambda t: np.where(np.arange(ROWS) % 2, 1.7e308, -1.7e308),
}
ABSURD = {
    "1e300": 1e300, "infinite": np.inf, "unknown": np.nan, "zero": 0.0, "1e12": 1e12, "1e-320": 1e-320,
    "2^63": 2.0**63,
}  # fmt: skip


def write(folder: Path, columns: dict[str, Column]) -> Path:
    folder.mkdir()
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    text = "\n".join([",".join(columns), *(",".join(map(repr, row)) for row in rows)])
    (folder / "log.csv").write_text(text + "\n")
    (folder / "signals.toml").write_text(MAP)
    return folder


def read_or_refuse(folder: Path) -> None:
    """The log is checked, mapped and read, or refused in a line or two; a warning would be an error here."""
    for read in (pct.check, pct.load, lambda folder: pct.propose_map(folder / "log.csv")):
        said = ""
        try:
            read(folder)
        except PctError as error:
            said = str(error)
        assert len(said.splitlines()) <= 3


@pytest.mark.parametrize("name", TIMES)
def test_whatever_the_time_is_it_is_read_or_refused(name: str, tmp_path: Path) -> None:
    with np.errstate(over="ignore"):
        columns = {**drive(), "t": TIMES[name](drive()["t"])}
    read_or_refuse(write(tmp_path / "logs", columns))


@pytest.mark.parametrize("value", ABSURD)
def test_whatever_a_channel_is_it_is_read_or_refused(value: str, tmp_path: Path) -> None:
    few = {**drive()}
    few["v"] = np.where(np.arange(ROWS) // 10 == 10, ABSURD[value], few["v"])
    read_or_refuse(write(tmp_path / "few", few))
    read_or_refuse(write(tmp_path / "all", {**drive(), "x": np.full(ROWS, ABSURD[value])}))


@pytest.mark.parametrize("rows", [1, 2, 3, 31])
def test_short_logs_are_read_or_refused(rows: int, tmp_path: Path) -> None:
    read_or_refuse(write(tmp_path / "logs", {name: column[:rows] for name, column in drive().items()}))


def test_the_doctor_names_the_unit_among_its_checks() -> None:
    assert examine(recording(1e3 * drive()["t"]))[0].check == "time_unit"
