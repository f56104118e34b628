"""`--device`: what a command says and does, with and without a GPU that is only pretended."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jax
import pytest

from cli.conftest import Train
from pct.cli import device as flag
from pct.cli.main import main
from pct.rollout import device
from pct.rollout.device import DeviceChoice

COMMANDS: dict[str, list[str]] = {
    "fit": ["--dataset", "nowhere"],
    "train": ["--dataset", "nowhere"],
    "evaluate": ["nowhere", "--dataset", "nowhere"],
    "run": ["nowhere"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_gpu_is_one_line(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, *COMMANDS[command], "--device", "gpu"])
    assert stop.value.code == 2
    assert " ".join(capsys.readouterr().err.split()) == (
        "error: --device gpu: JAX sees no GPU: install pct-vehicle[cuda] and an NVIDIA driver, or use "
        "--device cpu"
    )


def test_the_choice_is_said(train: Train, capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = train("--epochs", "1")
    assert code == 0
    assert "device: cpu (no GPU is visible)" in capsys.readouterr().err.splitlines()


def test_a_training_beside_a_gpu_times_one_batch(
    train: Train, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    there, devices = ("gpu", "cpu"), jax.devices
    for module in (device, flag):
        monkeypatch.setattr(module, "visible_platforms", lambda: there)
    monkeypatch.setattr(jax, "devices", lambda *_: devices("cpu"))
    taken: list[Any] = []
    monkeypatch.setattr(device, "use_device", taken.append)
    for how in ("timed just now", "as timed before"):
        code, _ = train("--epochs", "1")
        assert code == 0
        said = re.search(
            r"device: (\w+) \((a batch takes .* ms on gpu, .* ms on cpu), (.*)\)", capsys.readouterr().err
        )
        assert said is not None
        assert said[3] == how
    assert isinstance(taken[0], DeviceChoice)
    assert taken[0].platform == taken[1].platform
    assert taken[0].platform in there
