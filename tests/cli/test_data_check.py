"""`pct data check`: findings, figures, repaired copies, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from doctor.test_doctor import DEG, DT, Channels, exact, scaled, sensed, with_spike
from pct.cli.main import main
from pct.doctor import read_recordings
from pct.errors import DataError
from pct.recordings.folder import read_folder
from pct.recordings.trajectory import Trajectory, read_dataset, write_dataset


def write_csv(folder: Path, columns: Channels, signals: str = "") -> Path:
    folder.mkdir()
    table = np.stack([DT * np.arange(len(columns["x"])), *columns.values()], axis=-1)
    np.savetxt(folder / "drive.csv", table, delimiter=",", header=",".join(["t", *columns]), comments="")
    channels = "".join(f'[channels.{name}]\ncolumn = "{name}"\n' for name in columns)
    (folder / "signals.toml").write_text(f'{signals}[time]\ncolumn = "t"\n{channels}')
    return folder


def check(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["data", "check", *map(str, arguments)])
    assert isinstance(stop.value.code, int)
    return stop.value.code


def test_the_command_tells_finds_draws_and_mends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_csv(tmp_path / "logs", scaled("psi_dot", DEG)(sensed(exact())))
    mended = tmp_path / "mended"
    assert check(folder, "--json", "--figures", tmp_path / "figures", "--fix", mended) == 6
    found = json.loads(capsys.readouterr().out)
    (finding,) = [f for f in found["recordings"][0]["findings"] if f["severity"] != "info"]
    assert finding["check"] == "unit"
    assert finding["lines"] == {"channels.psi_dot.unit": "deg/s"}
    assert Path(finding["figure"]).is_file()
    assert "# Mended by pct data check" in (mended / "signals.toml").read_text()
    # The original is refused, the mended copy loads and is clean.
    with pytest.raises(DataError):
        read_folder(folder)
    assert len(read_folder(mended)) == 1
    assert check(mended) == 0
    assert "nothing found" in capsys.readouterr().out


@pytest.mark.parametrize(("place", "maps"), [("drive.csv", []), ("drive.csv", ["auto"]), ("", ["auto"])])
def test_a_file_or_a_proposed_map_is_examined(
    place: str, maps: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_csv(tmp_path / "logs", scaled("vx", 1.3)(sensed(exact())))
    if maps:
        (folder / "signals.toml").unlink()
    assert check(folder / place, *(["--map"] * len(maps)), *maps) == 5
    assert "1.3" in capsys.readouterr().out


def test_a_sign_is_turned_from_what_the_map_says(tmp_path: Path) -> None:
    folder = write_csv(tmp_path / "logs", sensed(exact()))
    text = (folder / "signals.toml").read_text()
    (folder / "signals.toml").write_text(
        text.replace('column = "psi_dot"\n', 'column = "psi_dot"\nsign = -1\n')
    )
    assert check(folder, "--fix", tmp_path / "mended") == 6
    assert check(tmp_path / "mended") == 0


def test_a_dataset_folder_is_examined_and_mended(tmp_path: Path) -> None:
    columns = with_spike(sensed(exact()))
    names = {"x": "m", "y": "m", "psi": "rad", "vx": "m/s", "vy": "m/s", "psi_dot": "rad/s"}
    drive = Trajectory(
        "drive", DT, {name: columns[name] for name in names}, names, dict.fromkeys(names, "measured")
    )
    write_dataset(tmp_path / "set", [drive], vehicle="car")
    assert check(tmp_path / "set", "--fix", tmp_path / "mended") == 5
    (mended,) = read_dataset(tmp_path / "mended")
    assert np.abs(mended.channels["vy"]).max() < 5
    card = (tmp_path / "mended" / "card.html").read_text()
    assert "Dataset: car" in card
    assert "drive: spikes" in card
    assert check(tmp_path / "mended") == 0
    (recording_,) = read_recordings(tmp_path / "set")
    assert np.abs(recording_.channels["vy"]).max() > 1e7


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["missing"], 3, "expected a log or a folder of logs"),
        (["."], 3, "expected log files"),
        ([".", "--map", "no-such"], 3, "Presets: "),
        ([".", "--model", "no-such"], 2, "unknown model"),
        ([], 2, "LOGS: expected a folder"),
        ([".", "--map", "auto", "--fix", "mended"], 2, "write one with `pct data map`"),
    ],
)
def test_what_cannot_be_examined_says_why(
    arguments: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert check(*arguments) == code
    assert message in capsys.readouterr().err


def test_an_existing_folder_is_not_mended_into(tmp_path: Path) -> None:
    folder = write_csv(tmp_path / "logs", sensed(exact()))
    assert check(folder, "--fix", folder) == 3
