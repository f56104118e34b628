"""Raw folders: maps, units, delays, reference points, faults; and every bad input says where it is bad."""

import json
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS
from pct.errors import DataError
from pct.logs.map_files import presets, read_map
from pct.recordings.derive import model_columns
from pct.recordings.folder import read_folder
from pct.recordings.trajectory import Trajectory
from pct.types import Column

DT = 0.05
MAP = """
[time]
column = "t"

[channels.x]
column = "px"
[channels.y]
column = "py"
[channels.psi]
column = "heading"
[channels.v]
column = "speed"
[channels.delta]
column = "steer"
"""


def drive(rows: int = 80) -> dict[str, Column]:
    """A car that weaves at 3 m/s, wheelbase 0.33 m, no slip."""
    t = DT * np.arange(rows)
    steer = 0.3 * np.sin(2.0 * t)
    heading = np.concatenate([[0.0], np.cumsum(3.0 / 0.33 * np.tan(steer[:-1]) * DT)])
    px, py = (np.concatenate([[0.0], np.cumsum(3.0 * f(heading[:-1]) * DT)]) for f in (np.cos, np.sin))
    return {"t": t, "px": px, "py": py, "heading": heading, "speed": np.full(rows, 3.0), "steer": steer}


def csv(columns: Mapping[str, Column]) -> str:
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(repr, row)) for row in rows)]) + "\n"


def raw_folder(folder: Path, text: str, signals: str = MAP) -> Path:
    (folder / "log.csv").write_text(text)
    (folder / "signals.toml").write_text(signals)
    return folder


def read_one(folder: Path) -> Trajectory:
    (trajectory,) = read_folder(folder)
    return trajectory


def test_csv_through_a_map(tmp_path: Path) -> None:
    log = drive()
    trajectory = read_one(raw_folder(tmp_path, csv(log)))
    assert (trajectory.name, trajectory.dt, trajectory.start, len(trajectory)) == ("log", DT, 0.0, 80)
    assert trajectory.source == "log.csv, lines 2-81"
    assert trajectory.units["delta"] == "rad"
    np.testing.assert_array_equal(trajectory.channels["delta"], log["steer"])
    states, controls = model_columns(trajectory, MODEL_SPECS["singletrack"])
    assert states.shape == (80, 7)
    assert controls.shape == (80, 2)


def test_json_and_npz_hold_the_same(tmp_path: Path) -> None:
    log = drive()
    for name in ("json", "npz"):
        (tmp_path / name).mkdir()
    inner = {"car": {name: column.tolist() for name, column in log.items()}}
    (tmp_path / "json" / "log.json").write_text(json.dumps(inner))
    (tmp_path / "json" / "signals.toml").write_text(MAP.replace('column = "', 'column = "car.'))
    states = np.stack([log[name] for name in ("px", "py", "heading", "speed")])
    # An input between samples is one shorter.
    np.savez(tmp_path / "npz" / "log.npz", t=log["t"], states=states, steer=log["steer"][:-1])
    text = MAP
    for index, name in enumerate(("px", "py", "heading", "speed")):
        text = text.replace(f'"{name}"', f'"states[{index}]"')
    (tmp_path / "npz" / "signals.toml").write_text(text)
    first, second = read_one(tmp_path / "json"), read_one(tmp_path / "npz")
    assert (len(first), len(second)) == (80, 79)
    for name, column in first.channels.items():
        np.testing.assert_array_equal(second.channels[name], column[:79])


@pytest.mark.parametrize(
    ("column", "factor", "line"),
    [
        ("steer", 180 / np.pi, '[channels.delta]\nunit = "deg"'),
        ("steer", -1.0, "[channels.delta]\nsign = -1"),
        ("speed", 3.6, '[channels.v]\nunit = "km/h"'),
        ("speed", 4350.0, '[channels.v]\nunit = "m/s/4350"'),
        ("px", 1000.0, '[channels.x]\nunit = "mm"'),
        ("t", 1e9, '[time]\nunit = "ns"'),
    ],
)
def test_units_and_signs(tmp_path: Path, column: str, factor: float, line: str) -> None:
    log = drive()
    header, _, keys = line.partition("\n")
    signals = MAP.replace(header, f"{header}\n{keys}")
    other = read_one(raw_folder(tmp_path, csv({**log, column: log[column] * factor}), signals))
    names = {"px": "x", "py": "y", "heading": "psi", "speed": "v", "steer": "delta"}
    assert other.dt == DT
    for raw, name in names.items():
        np.testing.assert_allclose(other.channels[name], log[raw], atol=1e-9)


@pytest.mark.parametrize(
    "unit", ["m·s^-1", "m s⁻¹", "1000*mm/sec", "m/(s)", "(m/s)", "m*s**-1", "meter per second"]
)
def test_ways_to_write_a_unit(tmp_path: Path, unit: str) -> None:
    """In the map, and by the file itself."""
    log = drive()
    in_map = MAP.replace("[channels.v]", f'[channels.v]\nunit = "{unit}"')
    in_file = csv(log).replace("\n", f"\ns,m,m,rad,{unit},rad\n", 1)
    for text, signals in ((csv(log), in_map), (in_file, MAP)):
        (tmp_path / "log.csv").unlink(missing_ok=True)
        trajectory = read_one(raw_folder(tmp_path, text, signals))
        np.testing.assert_allclose(trajectory.channels["v"], 3.0)


@pytest.mark.parametrize("unit", ["9**9**9**9", "9⁹⁹⁹⁹⁹⁹⁹⁹", "m^99", "x" * 500, "__import__", "m+m"])
def test_what_a_file_writes_for_a_unit_is_worked_out_only_if_it_may_be_one(tmp_path: Path, unit: str) -> None:
    log = drive()
    log[f"speed[{unit}]"] = log.pop("speed")
    trajectory = read_one(raw_folder(tmp_path, csv(log)))
    np.testing.assert_allclose(trajectory.channels["v"], 3.0)


def test_offset_angle_and_free_units(tmp_path: Path) -> None:
    log = drive()
    degrees = (np.degrees(log["heading"]) + 250.0) % 360.0
    assert np.abs(np.diff(degrees)).max() > 300.0
    signals = MAP.replace("[channels.psi]", '[channels.psi]\nunit = "deg"\noffset = -250.0')
    signals += '[channels."feature.load"]\ncolumn = "load"\nunit = "kN"\n'
    raw = {**log, "heading": degrees, "load": np.ones(80)}
    trajectory = read_one(raw_folder(tmp_path, csv(raw), signals))
    np.testing.assert_allclose(trajectory.channels["psi"], log["heading"], atol=1e-9)
    np.testing.assert_allclose(trajectory.channels["feature.load"], 1000.0)


def test_a_g_is_gravity(tmp_path: Path) -> None:
    signals = MAP + '[channels.accel]\ncolumn = "ax"\nunit = "g"\n'
    trajectory = read_one(raw_folder(tmp_path, csv({**drive(), "ax": np.full(80, 0.1)}), signals))
    np.testing.assert_allclose(trajectory.channels["accel"], 0.980665)


@pytest.mark.parametrize("delay", [0.1, -0.1, 0.03])
def test_delay_moves_a_column_against_the_others(tmp_path: Path, delay: float) -> None:
    log = drive()
    late = 0.3 * np.sin(2.0 * (log["t"] - delay))
    signals = MAP.replace("[channels.delta]", f"[channels.delta]\ndelay = {delay}")
    trajectory = read_one(raw_folder(tmp_path, csv({**log, "steer": late}), signals))
    t = trajectory.start + DT * np.arange(len(trajectory))
    assert 0 <= t[0] < 0.11
    assert len(trajectory) >= 77
    np.testing.assert_allclose(trajectory.channels["delta"], 0.3 * np.sin(2.0 * t), atol=1e-3)
    np.testing.assert_allclose(trajectory.channels["x"], np.interp(t, log["t"], log["px"]), atol=1e-9)


def test_reference_point_is_moved_to_the_centre_of_gravity(tmp_path: Path) -> None:
    """A turn with slip, logged 0.2 m behind the centre of gravity."""
    t = DT * np.arange(80)
    psi, psi_dot, vx, vy = 1.5 * t, np.full(80, 1.5), np.full(80, 3.0), np.full(80, -0.1)
    x = 2.0 * np.sin(1.5 * t) - 0.1 / 1.5 * np.cos(1.5 * t)
    y = -2.0 * np.cos(1.5 * t) - 0.1 / 1.5 * np.sin(1.5 * t)
    raw = {"t": t, "x": x - 0.2 * np.cos(psi), "y": y - 0.2 * np.sin(psi), "psi": psi, "vx": vx}
    raw |= {"vy": vy - 0.2 * psi_dot, "w": psi_dot, "delta": np.full(80, 0.16)}
    columns = {"x": "x", "y": "y", "psi": "psi", "vx": "vx", "vy": "vy", "psi_dot": "w", "delta": "delta"}
    signals = 'reference_ahead = -0.2\n[time]\ncolumn = "t"\n' + "".join(
        f'[channels.{name}]\ncolumn = "{column}"\n' for name, column in columns.items()
    )
    trajectory = read_one(raw_folder(tmp_path, csv(raw), signals))
    for name, expected in {"x": x, "y": y, "vx": vx, "vy": vy}.items():
        np.testing.assert_allclose(trajectory.channels[name], expected, atol=1e-9)
    # And what the moved log says is one motion: positions follow from velocities.
    states, _ = model_columns(trajectory, MODEL_SPECS["singletrack"])
    v, course = states[:, 3], states[:, 4] + states[:, 6]
    np.testing.assert_allclose(np.gradient(states[:, 0], DT)[1:-1], (v * np.cos(course))[1:-1], atol=0.01)


def test_jittering_time_is_resampled(tmp_path: Path) -> None:
    log = drive()
    t = log["t"] + np.random.default_rng(1).uniform(-0.07, 0.07, size=80) * DT
    steer = 0.3 * np.sin(2.0 * t)
    trajectory = read_one(raw_folder(tmp_path, csv({**log, "t": t, "steer": steer})))
    assert trajectory.dt == DT
    grid = trajectory.start + DT * np.arange(len(trajectory))
    np.testing.assert_allclose(trajectory.channels["delta"], 0.3 * np.sin(2.0 * grid), atol=5e-4)


def test_commands_hold_their_value_between_samples(tmp_path: Path) -> None:
    log = drive()
    t = log["t"] + np.where(np.arange(80) % 2, 0.2 * DT, 0.0)
    steps = np.floor(np.arange(80) / 7) * 0.01
    signals = MAP.replace("[channels.delta]", '[channels.delta]\norigin = "command"')
    trajectory = read_one(raw_folder(tmp_path, csv({**log, "t": t, "steer": steps}), signals))
    assert set(trajectory.channels["delta"]) <= set(steps)


def test_each_file_keeps_its_own_rate(tmp_path: Path) -> None:
    raw_folder(tmp_path, csv(drive()))
    (tmp_path / "slow.csv").write_text(csv({name: column[::2] for name, column in drive().items()}))
    assert [(t.name, t.dt) for t in read_folder(tmp_path)] == [("log", 0.05), ("slow", 0.1)]


def test_time_stamps_that_are_no_round_numbers(tmp_path: Path) -> None:
    log = drive()
    stamps = {**log, "t": 1692117187.46380758 + log["t"] * (1 - 1e-6)}
    assert read_one(raw_folder(tmp_path, csv(stamps))).dt == 0.05


def damaged(**cells: tuple[int, float]) -> dict[str, Column]:
    log = drive()
    for name, (row, value) in cells.items():
        log[name][row] = value
    return log


FAULTS = [
    (damaged(steer=(7, np.nan)), r"column 'steer', line 9: expected a number, found nan"),
    (damaged(px=(7, np.inf)), r"column 'px', line 9: expected a number, found inf"),
    (damaged(speed=(40, 5596.0)), r"column 'speed', line 42: expected 'v' within 120 m/s, found 5596 m/s"),
    (damaged(t=(30, 0.2)), r"expected time \('t'\) to go on, found 1\.45 s and then 0\.2 s in line 32"),
    (damaged(t=(30, 1.45)), r"expected time \('t'\) to go on, found 1\.45 s and then 1\.45 s in line 32"),
    (
        {name: np.delete(column, 20) for name, column in drive().items()},
        r"to go on in steps of about 0\.05 s, found 0\.95 s and then 1\.05 s in line 22",
    ),
    (
        {name: np.concatenate([column, column]) for name, column in drive().items()},
        r"to go on, found 3\.95 s and then 0 s in line 82",
    ),
]


@pytest.mark.parametrize(("log", "message"), FAULTS)
def test_faults_are_refused(tmp_path: Path, log: dict[str, Column], message: str) -> None:
    with pytest.raises(DataError, match=rf"log\.csv: .*{message}[\s\S]*faults = \"cut\""):
        read_folder(raw_folder(tmp_path, csv(log)))


@pytest.mark.parametrize("log", [log for log, _ in FAULTS])
def test_faults_are_cut_on_request(
    tmp_path: Path, log: dict[str, Column], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        pieces = read_folder(raw_folder(tmp_path, csv(log), f'faults = "cut"\n{MAP}'))
    assert len(pieces) == 2
    assert [piece.name for piece in pieces] == ["log_00", "log_01"]
    kept = sum(map(len, pieces))
    assert 78 <= kept <= 160
    assert f"{len(log['t']) - kept} of {len(log['t'])} rows cut out" in caplog.text
    for piece in pieces:
        assert np.ptp(piece.channels["delta"]) > 0.1
        assert all(np.isfinite(column).all() for column in piece.channels.values())


def test_a_column_in_the_wrong_unit_is_no_glitch_to_cut(tmp_path: Path) -> None:
    log = drive()
    log["steer"] = np.degrees(log["steer"])
    with pytest.raises(DataError, match=r"column 'steer', line 3.*within 1\.3 rad[\s\S]*unit = \"deg\""):
        read_folder(raw_folder(tmp_path, csv(log), f'faults = "cut"\n{MAP}'))


def test_degrees_of_a_steering_wheel_are_no_glitch(tmp_path: Path) -> None:
    signals = MAP + 'unit = "deg"\n'
    content = csv({**drive(), "steer": np.full(len(drive()["t"]), 90.0)})
    with pytest.raises(DataError, match=r"Is it that of a steering wheel\? Then divide by its ratio"):
        read_folder(raw_folder(tmp_path, content, signals))


def test_pedals_are_channels(tmp_path: Path) -> None:
    log = {**drive(), "gas": np.linspace(0.0, 100.0, 80), "stop": np.linspace(1.0, 0.0, 80)}
    more = '[channels.throttle]\ncolumn = "gas"\nunit = "percent"\n[channels.brake]\ncolumn = "stop"\n'
    found = read_one(raw_folder(tmp_path, csv(log), MAP + more))
    np.testing.assert_allclose(found.channels["throttle"], log["gas"] / 100, atol=1e-6)
    np.testing.assert_allclose(found.channels["brake"], log["stop"], atol=1e-6)


def test_a_unit_that_the_map_names_is_not_asked_for(tmp_path: Path) -> None:
    folder = raw_folder(tmp_path, csv(damaged(speed=(40, 5596.0))))
    message = r"expected 'v' within 120 m/s, found 5596 m/s\. Is it km/h or mph or mm/s\?"
    with pytest.raises(DataError, match=message):
        read_folder(folder)
    text = MAP.replace('"speed"', '"speed"\nunit = "km/h"')
    (folder / "signals.toml").write_text(text)
    with pytest.raises(DataError, match=r"found 5596 km/h = 1554\.44 m/s\. Is it mph or mm/s\?"):
        read_folder(folder)


def text(change: Callable[[str], str]) -> str:
    return change(csv(drive(8)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected a header line and samples, found an empty file"),
        ("\n\n", "expected a header line and samples, found an empty file"),
        (text(lambda t: t.split("\n")[0] + "\n"), "expected samples below the header, found none"),
        (text(lambda t: "\n".join(t.split("\n")[:2])), "expected 2 rows or more"),
        (
            text(lambda t: t.replace("steer", "wheel")),
            "expected column 'steer', found: t, px, py, heading, speed, wheel",
        ),
        (
            text(lambda t: t.replace("3.0", "fast", 1)),
            "expected a number in column 'speed', line 2, found 'fast'",
        ),
        (text(lambda t: t.replace("3.0", "", 1)), "column 'speed', line 2: expected a number, found nan"),
        (text(lambda t: t + "1.0,2.0\n"), r"column 'px'|column 'py', line 10: expected a number, found nan"),
        (text(lambda t: t + "1,2,3,4,5,6,7,8\n"), "expected 6 cells in every line"),
        ("\ufffd\x00", "expected text, found bytes that are none in line 1: save it as UTF-8"),
    ],
)
def test_bad_csv(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"log\.csv: ({message})"):
        read_folder(raw_folder(tmp_path, content))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    raw_folder(tmp_path, "")
    (tmp_path / "log.csv").write_bytes(b"t,px\x00\n\xff\xfe\n")
    with pytest.raises(DataError, match=r"log\.csv: expected text"):
        read_folder(tmp_path)


def test_csv_oddities_are_read(tmp_path: Path) -> None:
    """Comments, a commented header, blanks, another separator, one at the line's end, a byte-order mark."""
    lines = csv(drive()).replace(",", " ; ").split("\n")
    odd = "\ufeff% made by hand\n\n# " + "\n".join(
        line + ";" if line[:1] != "t" else line for line in lines if line
    )
    signals = MAP + '[format]\ncomment = "%"\nseparator = ";"\n'
    trajectory = read_one(raw_folder(tmp_path, odd, signals))
    assert trajectory.source == "log.csv, lines 4-83"
    np.testing.assert_array_equal(trajectory.channels["delta"], drive()["steer"])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.json", b'{"t": [0.0, 0.1', "expected JSON"),
        (
            "log.json",
            b"[1, 2]",
            "expected an object of lists or a list of objects, found a list of something",
        ),
        ("log.json", b'{"t": [0, 1, "x"]}', "expected numbers in 't', found 'x' in row 2"),
        ("log.json", b'{"t": {"a": 1}}', "expected numbers in 't', found dict"),
        ("log.json", b'{"t": [[0, 1], [1, 2]]}', r"column 't' names no single signal: .* shape \(2, 2\)"),
        ("log.json", b'{"t": [0, 1, 2], "px": [1]}', "expected column 'py', found: t, px"),
        ("log.npz", b"no archive", "expected plain arrays|expected a NumPy archive"),
        ("log.npz", b"PK\x03\x04broken", "expected a NumPy archive"),
    ],
)
def test_bad_json_and_npz(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "signals.toml").write_text(MAP)
    with pytest.raises(DataError, match=f"{name}: ({message})"):
        read_folder(tmp_path)


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "log.npz", t=np.array([{"a": 1}, None], dtype=object))
    (tmp_path / "signals.toml").write_text(MAP)
    with pytest.raises(DataError, match=r"log\.npz: expected plain arrays, .*pickle"):
        read_folder(tmp_path)


def test_magnitudes_take_the_sign_of_the_motion(tmp_path: Path) -> None:
    """Steering and a speed; the last third goes backwards, which turns the car the other way."""
    t = DT * np.arange(240)
    v = np.where(t < 8.0, 3.0, -2.0)
    steer = 0.3 * np.sin(2.0 * t)
    heading = np.concatenate([[0.0], np.cumsum((v / 0.33 * np.tan(steer))[:-1] * DT)])
    px, py = (np.concatenate([[0.0], np.cumsum((v * f(heading))[:-1] * DT)]) for f in (np.cos, np.sin))
    columns = {"t": t, "px": px, "py": py, "heading": heading, "speed": np.abs(v), "steer": np.abs(steer)}
    signals = MAP.replace('"speed"', '"speed"\nsign = "motion"') + 'sign = "motion"\n'
    recording = read_one(raw_folder(tmp_path, csv(columns), signals))
    inside = (np.abs(np.sin(2.0 * t)) > 0.4) & (np.abs(t - 8.0) > 0.3)
    np.testing.assert_allclose(recording.channels["v"][inside], v[inside])
    np.testing.assert_allclose(recording.channels["delta"][inside], steer[inside])
    without = signals.replace('[channels.psi]\ncolumn = "heading"\n', "")
    with pytest.raises(DataError, match="expected psi in the map for the sign of v, delta"):
        read_one(raw_folder(tmp_path, csv(columns), without))


def test_signals_of_another_rate_are_refused(tmp_path: Path) -> None:
    log = drive()
    np.savez(tmp_path / "log.npz", **{**log, "steer": log["steer"][::2]})
    (tmp_path / "signals.toml").write_text(MAP)
    with pytest.raises(DataError, match="expected columns of one length, found 40 samples in 'steer'"):
        read_folder(tmp_path)


@pytest.mark.parametrize(
    ("signals", "message"),
    [
        ("[channels\n", r"expected TOML, found '.channels' in line 1: write channels in brackets"),
        ('preset = "nope"', "unknown preset 'nope'. Known presets: autoware, bayesrace-npz, f1tenth"),
        (MAP + "colour = 1", r"unknown key 'channels.delta.colour'. Known keys: column, unit, sign"),
        ("color = 1\n" + MAP, "unknown key 'color'"),
        (MAP.replace("channels.psi]", "channels.phi]"), "unknown channel 'phi'. Known channels: x, y"),
        (
            MAP + 'unit = "degg"',
            r"channels.delta.unit to be a unit that converts to rad such as rad, deg, found 'degg'",
        ),
        (MAP + 'unit = "km/h"', "channels.delta.unit to be a unit that converts to rad"),
        (MAP + 'unit = "deg/"', "channels.delta.unit to be a unit that converts to rad"),
        (
            MAP.replace('column = "t"', 'column = "t"\nunit = "furlong"'),
            "time.unit to be a unit that converts to s",
        ),
        (MAP + "unit = 3", "channels.delta.unit to be a text, found 3"),
        (MAP + "sign = 2", "channels.delta.sign to be 1 or -1 or .motion., found 2"),
        (MAP + "sign = true", "channels.delta.sign to be 1 or -1 or .motion., found True"),
        (
            MAP + "[channels.vy]\ncolumn = 'b'\nsign = 'motion'",
            "channels.vy.sign to be 1 or -1, found .motion.",
        ),
        (MAP + 'origin = "guess"', "channels.delta.origin to be one of measured, derived, command"),
        (MAP + 'delay = "0.1 s"', "channels.delta.delay to be a number"),
        (MAP + "delay = 1e300", "channels.delta.delay to be a number from -1000 to 1000 s, found 1e.300"),
        (MAP + "offset = nan", "channels.delta.offset to be a number from .* found nan"),
        (
            MAP + f"offset = 0x{'f' * 9000}",
            "channels.delta.offset to be a number from .* a number without end",
        ),
        (MAP + f"sign = {'9' * 9000}", "expected TOML, found a number of thousands of digits"),
        (MAP + f"offset = {'[' * 20_000}", "expected TOML, found more brackets in each other"),
        (MAP.replace('column = "t"', 'column = "t"\ngap = inf'), "time.gap to be a number above 1"),
        (MAP + 'unit = "9**9**9**9"', r"a unit that converts to rad .* found '9\*\*9\*\*9\*\*9'"),
        (MAP + f'unit = "{"m*" * 20_000}m"', r"a unit that converts to rad .* found '(m\*){30}'$"),
        (MAP + "#" * (1 << 20), "expected a map of a few lines, found 1 MB"),
        (MAP + 'unit = "0 deg"', "a unit that converts to rad .* found '0 deg'"),
        (f'{MAP}[channels."feature.f"]\ncolumn = "t"\nunit = "1e99^9"', "feature.f.unit to be a unit"),
        ('faults = "ignore"\n' + MAP, "faults to be one of refuse, cut, found 'ignore'"),
        ("reference_ahead = true\n" + MAP, "reference_ahead to be a number from -1000 to 1000 m, found True"),
        (MAP.replace('column = "t"', ""), "time.column to be the raw column of the time, found nothing"),
        (
            MAP.replace('column = "t"', 'column = ""'),
            "time.column to be the raw column of the time, found nothing",
        ),
        (
            MAP.replace('column = "speed"', 'column = ""'),
            "channels.v.column to be the name of a raw column, found nothing",
        ),
        (MAP.replace('column = "t"', 'column = "t"\ngap = 0.5'), "time.gap to be a number above 1 and up to"),
        ('[time]\ncolumn = "t"', "expected channels, found none"),
        ("channels = 3\n[time]\ncolumn = 't'", "channels to be a table, found 3"),
    ],
)
def test_bad_maps(tmp_path: Path, signals: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"signals\.toml: .*{message}"):
        read_folder(raw_folder(tmp_path, csv(drive()), signals))


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected a folder of recordings, found none"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match="found an empty folder"):
        read_folder(tmp_path)
    (tmp_path / "signals.toml").write_text(MAP)
    with pytest.raises(DataError, match="expected log files"):
        read_folder(tmp_path)
    (tmp_path / "signals.toml").unlink()
    (tmp_path / "log.csv").write_text(csv(drive()))
    with pytest.raises(DataError, match=r"found 1 entries such as 'log\.csv'[\s\S]*docs/data\.md"):
        read_folder(tmp_path)


def test_a_folder_of_folders_names_them(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    raw_folder(tmp_path / "train", csv(drive()))
    with pytest.raises(DataError, match="pass train in it"):
        read_folder(tmp_path)


def test_two_files_of_one_name(tmp_path: Path) -> None:
    raw_folder(tmp_path, csv(drive()))
    (tmp_path / "log.json").write_text(json.dumps({k: v.tolist() for k, v in drive().items()}))
    with pytest.raises(DataError, match="found two called 'log'"):
        read_folder(tmp_path)


def test_every_preset_is_a_complete_map(tmp_path: Path) -> None:
    assert len(presets()) == 8
    for name in presets():
        (tmp_path / "signals.toml").write_text(f'preset = "{name}"')
        signals = read_map(tmp_path / "signals.toml")
        assert {"x", "y", "delta"} <= set(signals.channels)
        assert signals.vehicle


def test_own_keys_go_before_the_preset(tmp_path: Path) -> None:
    path = tmp_path / "signals.toml"
    path.write_text(
        'preset = "f1tenth-gym-csv"\nvehicle = "mine"\n'
        "[channels]\nvy = false\n[channels.delta]\ndelay = 0.0\n[channels.beta]\ncolumn = 'slip'\n"
    )
    signals = read_map(path)
    assert signals.vehicle == "mine"
    assert "vy" not in signals.channels
    assert signals.channels["beta"].column == "slip"
    assert (signals.channels["delta"].column, signals.channels["delta"].delay) == ("steering_angle", 0.0)
    assert signals.reference_ahead == -0.17145


def test_the_documented_example_is_a_map(tmp_path: Path) -> None:
    document = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    (tmp_path / "signals.toml").write_text(document.split("```toml\n")[1].split("```")[0])
    assert read_map(tmp_path / "signals.toml").channels["psi_dot"].delay == 0.02
    for name in presets():
        assert f"`{name}`" in document


def test_a_piece_that_is_shorter_than_a_delay_is_left_out(tmp_path: Path) -> None:
    log = drive()
    log["px"][[*range(30, 37), *range(40, 47)]] = np.nan
    signals = MAP.replace("[channels.delta]", "[channels.delta]\ndelay = 0.2")
    before, after = read_folder(raw_folder(tmp_path, csv(log), f'faults = "cut"\n{signals}'))
    assert before.start + DT * len(before) < log["t"][30]
    assert after.start >= log["t"][47]
