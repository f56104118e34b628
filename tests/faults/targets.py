"""Every kind of file that is read, a whole one of each, and how a person has it read."""

from __future__ import annotations

import dataclasses
import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from asammdf import MDF, Signal

import pct
from faults.commands import Inputs, map_of
from logs.readers.conftest import write as write_log

Reading = Callable[[Path, random.Random], object]


@dataclasses.dataclass(frozen=True)
class Target:
    """A kind of file.

    Attributes:
        name: says what it is.
        make: writes a whole one, and what is read with it, into a new folder.
        files: patterns of those that are damaged.
        read: reads the folder; an error of a user is as good as a result.
        weight: share among the targets.
        intact: whether a damaged one must not change the result: of a cache.
    """

    name: str
    make: Callable[[Inputs, Path], object]
    files: tuple[str, ...]
    read: Reading
    weight: float = 1.0
    intact: bool = False


# Logs.


def _table(inputs: Inputs) -> Any:
    return pct.load(inputs.train)[0].table().select("t", "x", "y", "psi", "v", "delta", "accel")


def _make_table(kind: str) -> Callable[[Inputs, Path], None]:
    def make(inputs: Inputs, folder: Path) -> None:
        table, path = _table(inputs), folder / f"log.{kind}"
        if kind == "csv":
            table.write_csv(path)
        elif kind == "json":
            path.write_text(json.dumps(table.to_dict(as_series=False)))
        elif kind == "jsonl":
            table.write_ndjson(path)
        elif kind == "parquet":
            table.write_parquet(path)
        else:
            np.savez(path, **{name: table[name].to_numpy() for name in table.columns})
        (folder / "signals.toml").write_text(map_of(tuple(table.columns[1:])))

    return make


def _make_recorded(kind: str) -> Callable[[Inputs, Path], None]:
    def make(inputs: Inputs, folder: Path) -> None:
        if kind != "mdf":
            write_log(kind, folder)
            return
        table = _table(inputs)
        t = table["t"].to_numpy()
        with MDF(version="4.10") as mdf:
            mdf.append(
                [
                    Signal(table[name].to_numpy(), t, name=name, unit=unit)
                    for name, unit in zip(
                        table.columns[1:], ("m", "m", "rad", "m/s", "rad", "m/s^2"), strict=True
                    )
                ]
            )
            mdf.save(folder / "log.mf4")

    return make


def _read_log(folder: Path, choose: random.Random) -> object:
    """As `pct data map`, `check` or `import` does."""
    (log,) = [path for path in folder.iterdir() if path.name.startswith("log")]
    mapped = (folder / "signals.toml").exists()
    way = choose.random()
    if way < 0.1:
        return pct.check(log, map=folder / "signals.toml" if mapped else "auto").findings
    if way < 0.2 or not mapped:
        return pct.propose_map(log).text
    return pct.load(folder).table()


# Maps and datasets.


def _make_map(inputs: Inputs, folder: Path) -> None:
    _make_table("csv")(inputs, folder)
    (folder / "signals.toml").write_text(
        map_of(("x", "y", "psi"))
        + '[channels.v]\ncolumn = "v"\nunit = "m/s"\noffset = 0.0\nsign = 1\ndelay = 0.01\n'
        + '[channels.delta]\ncolumn = "delta"\nunit = "rad"\norigin = "command"\n'
    )


def _read_dataset(folder: Path, choose: random.Random) -> object:
    if choose.random() < 0.1:
        return pct.check(folder / "train").findings
    return pct.load(folder / "train").table()


# Runs.


def _copy(name: str) -> Callable[[Inputs, Path], object]:
    def make(inputs: Inputs, folder: Path) -> None:
        shutil.copytree(getattr(inputs, name), folder / name)

    return make


def _read_fit(folder: Path, choose: random.Random) -> object:
    run = folder / "fit"
    way = choose.random()
    if way < 0.6:
        fit: Any = pct.open(run)
        return fit.table(), fit.facts, fit.warnings, fit.advice, fit.agreement
    if way < 0.8:
        return pct.compare([run, run]).table()
    return _read_for_evaluation(run), _read_for_export(run)


def _read_network(folder: Path, choose: random.Random) -> object:
    run = folder / "network"
    if choose.random() < 0.8:
        network: Any = pct.open(run)
        return network.table(), network.facts, network.input_facts
    return _read_for_evaluation(run), _read_for_export(run)


def _read_for_evaluation(run: Path) -> object:
    """What `pct evaluate` reads of a run."""
    from pct.evaluation.datasets import training_data_of_run
    from pct.runs.model_files import open_run

    model = open_run(run)
    return training_data_of_run(run, model).row_hashes(model)


def _read_for_export(run: Path) -> object:
    from pct.export.source import from_run

    return from_run(run).flat_values


def _read_to_resume(folder: Path, choose: random.Random) -> object:
    """What `pct train --resume` reads of a run."""
    from pct.cli.train_config import parse_args
    from pct.runs.checkpoint import newest_state
    from pct.runs.directory import data_of
    from pct.runs.sinks import read_metrics

    run = folder / "training"
    try:
        parse_args(["--resume", str(run)])
    except SystemExit as stop:  # a flag that tyro refuses
        if stop.code != 2:
            raise
    return newest_state(run), read_metrics(run, step=1000, epoch=1000), data_of(run)


# Caches.


def _make_rows(inputs: Inputs, folder: Path) -> None:
    shutil.copytree(inputs.train, folder / "train")
    _read_rows(folder, random.Random(0))


def _read_rows(folder: Path, choose: random.Random) -> object:
    from pct.windows.loading import load_window_store

    spec = pct.model("unicycle").spec
    store = load_window_store([folder / "train"], spec, cache=folder / "rows.npz")
    return [np.asarray(value).tolist() for value in store if isinstance(value, np.ndarray)]


def _read_features(folder: Path, choose: random.Random) -> object:
    from pct.files import Cache
    from pct.optimization.network.feature_cache import CachedFeatures

    class Mean:
        names = ("mean",)

        def __call__(self, states: Any, controls: Any, dt: float) -> Any:
            return np.asarray(states, np.float32).mean(axis=1)[:, :1]

    spec = pct.model("unicycle").spec
    (folder / "features").mkdir(mode=0o700, exist_ok=True)
    cached = CachedFeatures(Mean(), spec, {"one": 1}, Cache(folder / "features", 2**20))
    return cached(np.ones((5, 4, 4), np.float32), np.ones((5, 3, 2), np.float32), 0.05).tolist()


def _read_compiled(folder: Path, choose: random.Random) -> object:
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    compilation_cache.reset_cache()
    jax.config.update("jax_compilation_cache_dir", str(folder / "compiled"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return [float(value) for value in jax.jit(lambda x: x * x + 1.0)(np.arange(3.0, dtype=np.float32))]


def _read_library(folder: Path, choose: random.Random) -> object:
    import os

    from pct.rollout.native.compiler import load_library

    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(folder)
    try:
        source = 'extern "C" __attribute__((visibility("default"))) int pct_one() { return 1; }\n'
        return load_library("one", lambda: source, None).pct_one()
    finally:
        if before is None:
            del os.environ["XDG_CACHE_HOME"]
        else:
            os.environ["XDG_CACHE_HOME"] = before


TABLES = tuple(
    Target(f"log.{kind}", _make_table(kind), ("log.*",), _read_log, weight)
    for kind, weight in (("csv", 4), ("json", 3), ("jsonl", 3), ("npz", 3), ("parquet", 4))
)
RECORDED = tuple(
    Target(f"log of {kind}", _make_recorded(kind), ("log.*", "log/*"), _read_log, weight)
    for kind, weight in (
        *(("ros1", 0.5), ("ros1 packed", 0.5), ("sqlite3", 1), ("mcap", 0.5), ("mdf", 1)),
        *(("folder sqlite3", 0.5), ("folder packed", 0.3)),
    )
)
PLAIN = (
    Target("signals.toml", _make_map, ("signals.toml",), _read_log, 4),
    Target("dataset", lambda inputs, folder: shutil.copytree(inputs.train, folder / "train"),
           ("train/dataset.json", "train/*.parquet"), _read_dataset, 5),
)  # fmt: skip
RUNS = (
    Target("fit", _copy("fit"), ("fit/*",), _read_fit, 2),
    Target("network", _copy("network"), ("network/*",), _read_network, 0.6),
)
RESUMED = (
    Target("training", _copy("training"), ("training/*", "training/checkpoints/*"), _read_to_resume, 1),
)
CACHES = (
    Target("rows.npz", _make_rows, ("rows.npz",), _read_rows, 1, intact=True),
    Target("features", lambda _, folder: _read_features(folder, random.Random(0)),
           ("features/*",), _read_features, 1, intact=True),
)  # fmt: skip
COMPILED = (
    Target("compiled code", lambda _, folder: _read_compiled(folder, random.Random(0)),
           ("compiled/*",), _read_compiled, 0.5, intact=True),
    Target("native library", lambda _, folder: _read_library(folder, random.Random(0)),
           ("pct/native/*",), _read_library, 0.15, intact=True),
)  # fmt: skip
TARGETS = (*TABLES, *RECORDED, *PLAIN, *RUNS, *RESUMED, *CACHES, *COMPILED)
