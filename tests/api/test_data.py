"""`pct.check`, `pct.propose_map` and `pct.import_logs` in a notebook: values, no output, no flags."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

import pct
from pct.simulation.drive import simulate as drive_model

MAP = '[time]\ncolumn = "t"\n' + "".join(
    f'[channels.{name}]\ncolumn = "{name}"\n' for name in ("x", "y", "psi", "v", "delta")
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A CSV of a drive of 20 s and its map beside it."""
    (drive,) = drive_model(
        pct.model("singletrack").spec, recordings=1, duration=20.0, dt=0.02, noise=0.1, seed=4
    )
    channels = {name: drive.channels[name] for name in ("x", "y", "psi", "v", "delta")}
    folder = tmp_path / "logs"
    folder.mkdir()
    pl.DataFrame({"t": drive.dt * np.arange(len(drive)), **channels}).write_csv(folder / "lap.csv")
    (folder / "signals.toml").write_text(MAP)
    return folder / "lap.csv"


def test_logs_are_checked_mapped_and_imported(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoiled = pl.read_csv(log).with_columns(psi=pl.col("psi") * 180 / np.pi)
    spoiled.write_csv(log)
    checked = pct.check(str(log.parent), fix=str(tmp_path / "fixed"))
    assert checked.worst == "error"
    assert ("unit", "psi") in {(f.check, *f.channels) for f in checked.findings}
    assert checked.table().columns == ["where", "severity", "check", "confidence", "message", "fix"]
    assert not pct.check(tmp_path / "fixed").table().filter(check="unit").height

    proposal = pct.propose_map(str(log))
    assert 'unit = "deg"' in proposal.text
    assert proposal.outcomes[log].startswith("loads with this map: 1 recording")

    steps: list[tuple[int, int, str]] = []
    dataset = pct.import_logs(
        log,
        str(tmp_path / "car"),
        map="auto",
        split="block",
        progress=lambda *step: steps.append(step),
    )
    assert steps == [(1, 1, "lap")]
    assert set(dataset.parts) == {"train", "val"}
    assert dataset.table()["recordings"].to_list() == [2]
    assert "lap" in repr(dataset)
    assert len(pct.load(dataset.parts["val"])) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda log: pct.check([]), "`logs`: expected a folder of logs"),
        (lambda log: pct.check(log, fix="mended"), "`fix` repairs a folder"),
        (lambda log: pct.check(log, model="singeltrack"), "did you mean 'singletrack'"),
        (lambda log: pct.propose_map([]), "`logs`: expected one log"),
        (lambda log: pct.import_logs(log, "car", dt=-0.1), "`dt`: expected a number from 1e-06"),
        (
            lambda log: pct.import_logs(log, "car", val_split=0.0),
            "`val_split`, `test_split`: expected",
        ),
        (lambda log: pct.load([]), "`source`: expected drives, folders"),
    ],
)
def test_errors_name_arguments(call: object, message: str, log: Path) -> None:
    assert callable(call)
    with pytest.raises(pct.errors.UsageError) as caught:
        call(log)
    assert message in str(caught.value)
    assert "--" not in str(caught.value)
