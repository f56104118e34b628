"""Every command that reads and writes, on inputs so small that it takes a second or two."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import re
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

import pct
from faults.processes import Place, run
from pct.recordings.trajectory import write_dataset

SMALL = "--horizon 3 --history 4 --integrator euler --substeps 1"
NETWORK = (
    "--model unicycle --model-hidden 8 --epochs 4 --batch-size 8 --samples 37 --no-history-fit --no-analysis "
    f"--curriculum-batches 7 --curriculum-timesteps 2 {SMALL}"
)

SPACE = """
[data]
train = ["{train}"]
validation = ["{val}"]
[car]
model = "unicycle"
[train]
epochs = 2
horizon = 3
history = 4
history_fit = false
samples = 12
batch_size = 8
model_hidden = [8]
integrator = "euler"
substeps = 1
engine = "jax"
[space.train]
lr = {{low = 1e-4, high = 1e-2, log = true}}
"""


class Inputs:
    """Logs, datasets and runs in a folder, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        """Take a folder; what it holds already is not made again."""
        self.folder = folder

    @property
    def train(self) -> Path:
        """A dataset folder of two recordings of 2.5 s."""
        return self._made("train", lambda folder: _write_drives(folder, recordings=2))

    @property
    def val(self) -> Path:
        """Another, of one."""
        return self._made("val", lambda folder: _write_drives(folder, recordings=1, seed=1))

    @property
    def logs(self) -> Path:
        """Three CSV logs with their map."""

        def write(folder: Path) -> None:
            drives = pct.load(self.train)
            folder.mkdir()
            for number in range(3):
                drives[number % 2].table().write_csv(folder / f"log{number}.csv")
            (folder / "signals.toml").write_text(map_of(drives[0].channels))

        return self._made("logs", write)

    @property
    def log(self) -> Path:
        """A CSV log of 15 s without a map."""

        def write(folder: Path) -> None:
            drive = pct.simulate(pct.model("singletrack"), duration=15.0, mu=(0.7,), noise=0.05)[0]
            folder.mkdir()
            drive.table().select("t", "x", "y", "psi", "v").write_csv(folder / "log.csv")

        return self._made("log", write)

    @property
    def space(self) -> Path:
        """What a sweep tries."""

        def write(folder: Path) -> None:
            folder.mkdir()
            text = SPACE.format(train=self.train, val=self.val)
            (folder / "space.toml").write_text(text)

        return self._made("space", write)

    @property
    def faulty(self) -> Path:
        """A log whose yaw rate is in deg/s, which the doctor repairs."""

        def write(folder: Path) -> None:
            drive = pct.simulate(pct.model("singletrack"), duration=20.0, mu=(0.7,), noise=0.1)[0]
            table = drive.table()
            folder.mkdir()
            table.with_columns(table["psi_dot"] * np.degrees(1.0)).write_csv(folder / "log.csv")
            (folder / "signals.toml").write_text(map_of(drive.channels))

        return self._made("faulty", write)

    @property
    def fit(self) -> Path:
        """A run of `pct.fit`."""
        return self._made("fit", functools.partial(_fit, self.train, by="recording"))

    @property
    def other(self) -> Path:
        """Another."""
        return self._made("other", functools.partial(_fit, self.val))

    @property
    def network(self) -> Path:
        """A run of `pct.train`."""
        return self._made("network", functools.partial(_train, self.train))

    @property
    def training(self) -> Path:
        """A run of `pct train`, which has checkpoints and metrics, too."""

        def write(folder: Path) -> None:
            place = Place.make(folder.with_name("place"))
            line = f"{TRAIN} --engine jax".format(train=self.train, val=self.val, out=place.work)
            ended = run(line.split(), place)
            assert ended.code == 0, ended.err
            (made,) = place.work.glob("*/run_*")
            made.rename(folder)
            shutil.rmtree(place.folder)

        return self._made("training", write)

    def prepare(self, names: Iterable[str]) -> None:
        """Make some, so that two processes do not do so at once."""
        for name in names:
            getattr(self, name)

    def _made(self, name: str, write: Callable[[Path], object]) -> Path:
        folder = self.folder / name
        if not folder.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            write(folder)
        return folder


def _write_drives(folder: Path, **options: Any) -> None:
    drives = pct.simulate(pct.model("singletrack"), duration=2.5, mu=(0.7,), noise=0.1, **options)
    write_dataset(folder, [drive.trajectory for drive in drives], vehicle="simulated")


def _fit(dataset: Path, folder: Path, **settings: Any) -> None:
    settings = {"horizon": 3, "history": 4, "iterations": 3, **settings}
    pct.fit(pct.model("unicycle"), pct.load(dataset), **settings).save(folder, report=False)


def _train(dataset: Path, folder: Path) -> None:
    settings: dict[str, Any] = {"epochs": 2, "horizon": 3, "history": 4, "model_hidden": (8,)}
    network = pct.train(pct.model("unicycle"), pct.load(dataset), history_fit=False, engine="jax", **settings)
    network.save(folder)


def map_of(channels: tuple[str, ...]) -> str:
    """A ``signals.toml`` of columns that have the names of their channels."""
    named = "".join(f'[channels."{name}"]\ncolumn = "{name}"\n' for name in channels)
    return f'[time]\ncolumn = "t"\n{named}'


VARIES = r"config\.json|provenance\.json|DONE|metrics\.jsonl|.*\.html|.*\.png"


@dataclasses.dataclass(frozen=True)
class Command:
    """A command on small inputs.

    Attributes:
        name: as on the command line.
        line: its arguments; ``{out}`` is the folder where it writes, other names are properties of `Inputs`.
        codes: exit codes of its success.
        varies: names of files whose content is not the same at each start: they hold times or paths.
        resumes: whether it is `pct train`, which goes on where it was stopped.
    """

    name: str
    line: str
    codes: tuple[int, ...] = (0,)
    varies: str = VARIES
    resumes: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the inputs that it reads."""
        return tuple(name for name in dict.fromkeys(re.findall(r"{(\w+)}", self.line)) if name != "out")

    def arguments(self, inputs: Inputs, out: Path) -> list[str]:
        """Its arguments with paths in the place of names."""
        paths = {"out": out, **{name: getattr(inputs, name) for name in self.needs}}
        return [word.format(**paths) for word in self.line.split()]


FIT = f"fit --dataset {{train}} --model unicycle {SMALL} --results {{out}}"
TRAIN = f"train --dataset {{train}} --val-dataset {{val}} {NETWORK} --results {{out}}"
COMMANDS = (
    Command("simulate", "simulate --output {out}/ds --recordings 2 --duration 2"),
    Command("data map", "data map {logs}/log0.csv --output {out}/map.toml --force"),
    Command("data check", "data check {logs} --figures {out}/figures", codes=(0, 5, 6)),
    Command("data check --fix", "data check {faulty} --fix {out}/fixed", codes=(5, 6)),
    Command("data import", "data import {logs} --output {out}/imported --processes 2"),
    Command("fit", FIT),
    Command("fit --by", f"{FIT} --by recording --no-report"),
    Command("train", f"{TRAIN} --engine jax --dataset-cache {{out}}/rows.npz", resumes=True),
    Command("train native", TRAIN, resumes=True),
    Command("evaluate", "evaluate {fit} --dataset {val} --at 0.15 --output {out}/evaluation"),
    Command("compare", "compare {fit} {other} --json {out}/c.json --figure {out}/c.png"),
    Command("export c", "export c --model singletrack --output {out}/car.c"),
    Command("export ros2", "export ros2 --model singletrack --output {out}/car.yaml"),
    Command("data open", "data open {logs}/log0.csv --figure {out}/columns.png"),
    Command("track", "track {fit} {val} --vary alpha_accel --output {out}/track"),
    Command("run", "run {log}/log.csv --model unicycle --yes --output {out}/run"),
    Command(
        "design",
        "design --model unicycle --duration 2 --generations 3 --draws 2 --candidates 4 --output {out}/design",
    ),
    Command("race", "race --controller pursuit --body drift --output {out}/race"),
    Command(
        "sweep", "sweep {space}/space.toml --trials 2 --output {out}/sweep", varies=rf"{VARIES}|study\.db.*"
    ),
)


def contents(folder: Path) -> dict[str, str]:
    """Hash of every file by its path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def anonymous(path: str) -> str:
    """A path without the time in the name of its run folder."""
    return re.sub(r"run_[0-9-]+(_\d+)?", "run", path)
