"""`pct simulate`: the folder that it writes, and flags that it refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pct.cli.simulate import SimulateConfig, main, run
from pct.dynamics.channels import known_channels
from pct.dynamics.singletrack import SINGLETRACK
from pct.errors import DataError, UsageError
from pct.recordings.trajectory import read_dataset


def test_same_command_same_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--recordings", "2", "--duration", "2", "--surfaces", "2", "--vary", "m=3:4", "--seed", "7"]
    for name in ("first", "again"):
        main(["--output", str(tmp_path / name), *flags])
    main(["--output", str(tmp_path / "other"), *flags[:-1], "8"])
    first, again, other = (
        {file.name: file.read_bytes() for file in (tmp_path / name).iterdir()}
        for name in ("first", "again", "other")
    )
    assert first == again
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first)
    printed = capsys.readouterr().out
    assert f"Wrote {tmp_path / 'first'}: 2 recordings, 80 rows every 0.05 s" in printed
    assert f"pct train --dataset {tmp_path / 'first'} --model singletrack --fixed C_Sf C_Sr" in printed


def test_dataset_says_how_it_was_made(tmp_path: Path) -> None:
    run(SimulateConfig(tmp_path / "set", recordings=1, duration=2.0, noise=2.0, seed=3))
    manifest = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert manifest["notes"]["simulator"]["seed"] == 3
    assert manifest["notes"]["sensor_noise"]["v"] == 2.0 * known_channels()["v"].noise
    assert manifest["columns"]["truth.mu"] == {"unit": "1", "origin": "truth"}
    (trajectory,) = read_dataset(tmp_path / "set")
    assert len(trajectory) == 40
    assert trajectory.dt == 0.05
    assert set(SINGLETRACK.state_names + SINGLETRACK.control_names) < set(trajectory.channels)


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        (
            {"model": "bicycle"},
            UsageError,
            "unknown model 'bicycle': did you mean 'unicycle'\\? Known: .*singletrack",
        ),
        ({"vary": ("m=3",)}, UsageError, "`vary=m=3`: expected NAME=LOW:HIGH"),
        ({"set": ("h=tall",)}, UsageError, "`set=h=tall`: expected NAME=VALUE"),
        ({"output": Path(__file__).parent, "duration": 1.0}, DataError, "existing one"),
    ],
)
def test_command_refuses(config: dict, error: type[Exception], message: str, tmp_path: Path) -> None:
    with pytest.raises(error, match=message):
        run(SimulateConfig(**{"output": tmp_path / "set", **config}))
    assert list(tmp_path.iterdir()) == []


def test_help_does_not_load_jax() -> None:
    code = "import pct.cli.simulate, sys; sys.exit(bool({'jax', 'polars', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
