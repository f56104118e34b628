"""Tiny simulated drives and a training command that takes a second."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import pytest

from pct import plots
from pct.cli.main import main
from pct.dynamics import MODEL_SPECS
from pct.recordings.trajectory import Trajectory, write_dataset
from pct.simulation.drive import simulate

ROOT = Path(__file__).parents[2]

# One Euler step on few short windows: what is tested is the way through the program.
TINY = [
    *("--model", "unicycle", "--model-hidden", "8", "--horizon", "3", "--history", "4", "--epochs", "2"),
    *("--batch-size", "8", "--samples", "12", "--integrator", "euler", "--substeps", "1"),
    *("--no-history-fit", "--no-analysis", "--engine", "jax"),
]


@pytest.fixture(autouse=True)
def single_precision() -> Iterator[None]:
    """As the program runs: the other tests are in double precision."""
    with jax.enable_x64(False):
        yield


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``train`` and ``val``: two and one recordings of 2 s, which every model can be trained on."""
    folder = tmp_path_factory.mktemp("data")
    for name, recordings, seed in (("train", 2, 0), ("val", 1, 1)):
        drives = simulate(
            MODEL_SPECS["singletrack"], recordings=recordings, duration=2.0, dt=0.05, noise=0.1, seed=seed
        )
        write_dataset(folder / name, [with_drivetrain(drive) for drive in drives], vehicle="simulated")
    return folder


def with_drivetrain(recording: Trajectory) -> Trajectory:
    """The same recording with what only a car's own bus shows: drive command and wheel speeds."""
    v, accel = recording.channels["v"], recording.channels["accel"]
    more = {
        "drive": (accel / 9.51, "1", "command"),
        "omega_f": (v / 0.049, "rad/s", "measured"),
        "omega_r": (v / 0.049, "rad/s", "measured"),
    }
    channels, units, origins = ({name: row[i] for name, row in more.items()} for i in range(3))
    return dataclasses.replace(
        recording,
        channels={**recording.channels, **channels},
        units={**recording.units, **units},
        origins={**recording.origins, **origins},
    )


Train = Callable[..., tuple[int, Path | None]]


@pytest.fixture
def train(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Train:
    """``train(*flags)``: run `pct train` on the tiny drives; its exit code and run folder, if any.

    Later flags replace earlier ones, but those that take a list: ``dataset`` replaces the data.
    """
    # Drawing takes longer than training, and has tests of its own.
    monkeypatch.setattr(plots, "to_png", lambda path, draw, **_: path.touch())

    def run(*flags: object, dataset: Path = data / "train") -> tuple[int, Path | None]:
        results = tmp_path / "results"
        before = set(results.glob("*/*"))
        command = ["train", "--dataset", str(dataset), *TINY, "--results", str(results)]
        code = 0
        try:
            main([*command, *map(str, flags)])
        except SystemExit as stop:
            code = int(stop.code or 0)
        made = set(results.glob("*/*")) - before
        assert len(made) <= 1
        return code, made.pop() if made else None

    return run


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """For programs of their own: compiled as in the tests, and kept."""
    return {
        **os.environ,
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "true",
        "JAX_TRACEBACK_IN_LOCATIONS_LIMIT": "0",
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
