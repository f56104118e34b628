"""Several files of one car that state other units: each by its own header, or refused, never mixed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mapping.made_logs import drive
from pct.api.imports import import_logs
from pct.errors import DataError
from pct.mapping.log_files import find_logs
from pct.recordings.folder import read_file
from pct.recordings.mend import read_columns

NAMES = {"t": "Time", "x": "X", "y": "Y", "psi": "Yaw", "vx": "Speed", "psi_dot": "Yaw Rate"}
UNITS = {"t": "s", "x": "m", "y": "m", "psi": "rad", "vx": "m/s", "psi_dot": "rad/s"}
FAST = {"vx": ("km/h", 3.6), "psi_dot": ("deg/s", np.degrees(1.0)), "t": ("ms", 1e3)}
MAP = "".join(
    f'[channels.{n}]\ncolumn = "{NAMES[n]}"\n{unit}'
    for n, unit in (("vx", 'unit = "km/h"\n'), ("psi_dot", ""))
)


def write(path: Path, rows: slice, changed: tuple[str, ...] = (), *, above: bool, says: str = "") -> None:
    """A log with some channels in other units, which stand above the samples or behind the names."""
    log = {name: column[rows] for name, column in drive().items() if name in NAMES}
    units = {**UNITS, **{name: FAST[name][0] for name in changed}}
    log |= {name: FAST[name][1] * log[name] for name in changed}
    if says:
        units["vx"] = says
    heads = [NAMES[name] if above else f"{NAMES[name]} [{units[name]}]" for name in log]
    lines = [",".join(heads), ",".join(units[name] for name in log)][: 1 + above]
    path.write_text("\n".join(lines) + "\n" + pl.DataFrame(log).write_csv(include_header=False))


def refused(path: Path) -> str:
    """Why the second file cannot be read."""
    _, second = find_logs([path], "auto")[0]
    with pytest.raises(DataError) as error:
        read_columns(second.path, second.signals)
    return str(error.value)


@pytest.mark.parametrize("above", [True, False], ids=["units above", "units in names"])
@pytest.mark.parametrize("changed", [("vx", "psi_dot"), ("t",)], ids=["speed and yaw rate", "time"])
def test_each_file_is_read_by_its_own_header(tmp_path: Path, above: bool, changed: tuple[str, ...]) -> None:
    write(tmp_path / "a.csv", slice(0, 900), changed, above=above)
    write(tmp_path / "b.csv", slice(900, 1500), above=above)
    log = drive()
    logs, _ = find_logs([tmp_path], "auto")
    for file, rows in zip(logs, (slice(0, 900), slice(900, 1500)), strict=True):
        (part,) = read_file(file.path, file.signals)
        assert part.dt == pytest.approx(0.02)
        for name, channel in (("vx", "v"), ("psi_dot", "psi_dot")):
            np.testing.assert_allclose(part.channels[channel], log[name][rows], rtol=1e-6, atol=1e-9)


def test_a_unit_in_a_map_holds_for_files_that_state_the_same_only(tmp_path: Path) -> None:
    """Without a pose nothing else tells them apart."""
    write(tmp_path / "a.csv", slice(0, 900), ("vx",), above=True)
    write(tmp_path / "b.csv", slice(900, 1500), above=True)
    (tmp_path / "car.toml").write_text(f'[time]\ncolumn = "Time"\n{MAP}')
    logs = [tmp_path / "a.csv", tmp_path / "b.csv"]
    (failed,) = import_logs(logs, tmp_path / "set", map=tmp_path / "car.toml", processes=1).failed
    assert failed.error == (
        f"{tmp_path / 'b.csv'}: expected 'Speed' in km/h as {tmp_path / 'a.csv'} states, found m/s under a "
        "map with one unit for both: take its `unit` out of the map, and each file is read by its own header"
    )


def test_where_one_header_is_wrong_another_one_is_not_trusted(tmp_path: Path) -> None:
    """The motion of the first says km/h where its header says mph."""
    write(tmp_path / "a.csv", slice(0, 900), ("vx",), above=True, says="mph")
    write(tmp_path / "b.csv", slice(900, 1500), above=True)
    assert refused(tmp_path) == (
        f"{tmp_path / 'b.csv'}: expected 'Speed' in mph as in {tmp_path / 'a.csv'}, found m/s; there the "
        "motion says km/h: map and import each file alone"
    )


def test_a_column_without_a_unit_is_not_taken_for_one_with(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", slice(0, 900), ("vx",), above=False)
    write(tmp_path / "b.csv", slice(900, 1500), above=False)
    text = (tmp_path / "b.csv").read_text().replace("Speed [m/s]", "Speed")
    (tmp_path / "b.csv").write_text(text)
    assert refused(tmp_path) == (
        f"{tmp_path / 'b.csv'}: expected column 'Speed [km/h]' as in {tmp_path / 'a.csv'}, found 'Speed', "
        "whose unit is not sure: map and import each file alone"
    )
