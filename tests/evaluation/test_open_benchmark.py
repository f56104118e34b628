"""The open benchmark on a tiny simulated set: hashes, splits without leaks, rows, the table of a page."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import pct
from pct.errors import DataError
from pct.files import sha256

ROOT = Path(__file__).parents[2]
# Length of what is split by time.
SECONDS = {"bayesrace": 20.0, "fullscale_sim": 160.0, "iac": 476.0}
SET = """
title = "Tiny"
what = "Simulated."
licence = "none"
where = "Simulate it."
cite = []
signals = 'preset = "plain-csv"'
model = "unicycle"
vehicle = "f1tenth"
defaults = "usual"
files = {{ "one.csv" = "{0}", "two.csv" = "{1}", "copy.csv" = "{0}" }}
measured = {{ observer = false }}
fit = {{ dt = 0.05, horizon = 20, history = 5, stride = 5, iterations = 3 }}

[[parameters]]
name = "as published"
model = "kinematic-singletrack"
vehicle = "f1tenth"

[[folds]]
name = "whole"
train = [{{ file = "one.csv" }}]
test = [{{ file = "two.csv" }}]

[[folds]]
name = "parts"
train = [{{ file = "one.csv", end = 0.5 }}]
test = [{{ file = "one.csv", begin = 0.7 }}]
"""


@pytest.fixture(scope="module")
def bench() -> Iterator[SimpleNamespace]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks" / "open"))
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in ("sets", "ladder", "run")})


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("open")
    drives = pct.load(ROOT / "datasets" / "surfaces" / "val")
    for name, drive in (("one", drives[0]), ("two", drives[1]), ("copy", drives[0])):
        drive.table().select("t", "x", "y", "psi", "v", "delta").write_csv(folder / f"{name}.csv")
    (folder / "sets").mkdir()
    (folder / "sets" / "tiny.toml").write_text(
        SET.format(*(sha256(folder / f"{n}.csv") for n in ("one", "two")))
    )
    return folder


def test_only_files_of_the_stated_hash_are_used(bench: SimpleNamespace, data: Path, tmp_path: Path) -> None:
    one = bench.sets.read_sets(folder=data / "sets")["tiny"]
    assert set(bench.sets.state_of(one, data).values()) == {"ok"}
    with pytest.raises(DataError, match=r"one.csv: missing. Simulate it"):
        bench.sets.read_fold(one, one.folds[0], tmp_path)
    for file in data.glob("*.csv"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "two.csv").write_bytes((data / "two.csv").read_bytes() + b"\n")
    with pytest.raises(DataError, match=r"two.csv: another file"):
        bench.sets.read_fold(one, one.folds[0], tmp_path)
    assert "two.csv  another file" in bench.run.described("tiny", one, tmp_path)


def test_no_row_of_a_test_window_trains(bench: SimpleNamespace, data: Path) -> None:
    one = bench.sets.read_sets(folder=data / "sets")["tiny"]
    train, test = bench.sets.read_fold(one, one.folds[1], data)
    last, first = train[0].table()["t"][-1], test[0].table()["t"][0]
    assert first - last > one.gap == pytest.approx(1.25)
    near = bench.sets.Part("one.csv", begin=0.55)
    copied = bench.sets.Part("copy.csv", begin=0.55)
    for part in (near, copied, bench.sets.Part("one.csv")):
        fold = bench.sets.Fold("near", [bench.sets.Part("one.csv", end=0.5)], [part])
        with pytest.raises(DataError, match=r"near: expected 1.25 s between"):
            bench.sets.read_fold(one, fold, data)


def test_the_least_fair_error_is_bold(bench: SimpleNamespace) -> None:
    def row(name: str, error: float, **more: object) -> dict[str, object]:
        found = {"position": (error, error / 2, 2 * error), "speed": (error, None, None)}
        return {
            "name": name,
            "errors": found,
            "exploded": 0,
            "told": "",
            "rival": True,
            "seconds": None,
        } | more

    rows = [row("hold", 2.0), row("cheat", 0.1, rival=False), row("pct fit", 0.5, seconds=3.2)]
    rows.append(row("told", 1e-6, told="accel"))
    sets = {"tiny": SimpleNamespace(defaults="usual")}
    lines = bench.run.table(sets, {"tiny": {"whole": {"windows": 9, "rows": rows}}}).splitlines()
    assert lines[2] == "| **tiny**, whole, 9 windows | hold | 2 (1 to 4) |  | 2 |  | 0 |  |"
    assert lines[3] == "|  | cheat * | 0.1 (0.05 to 0.2) |  | 0.1 |  | 0 |  |"
    assert lines[4] == "|  | pct fit | **0.5 (0.25 to 1)** |  | **0.5** |  | 0 | 3 s |"
    assert lines[5] == "|  | told | told |  | told |  | 0 |  |"


@pytest.mark.slow
def test_all_rows_stand_on_the_same_windows_in_one_table(
    bench: SimpleNamespace, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(bench.run, "read_sets", lambda names=None: bench.sets.read_sets(names, data / "sets"))
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n{bench.run.BEGIN}\nold\n{bench.run.END}\n\nAfter.\n")
    bench.run.main(["--data", str(data), "--sets", "tiny", "--no-network", "--page", str(page)])
    text = page.read_text()
    assert text.startswith("# Page")
    assert text.endswith("After.\n")
    assert "\nold\n" not in text
    assert "**tiny**, whole, " in text
    for row in (
        "hold last value",
        "constant acceleration",
        "ridge ARX",
        "kinematic *",
        "usual",
        "as published *",
        "pct fit",
    ):
        assert text.count(f"| {row} |") == 2
    assert capsys.readouterr().out.splitlines()[-1].startswith('{"tiny": ')


def test_every_set_is_whole(bench: SimpleNamespace) -> None:
    for name, one in bench.sets.read_sets().items():
        used = {part.file for fold in one.folds for part in (*fold.train, *fold.test)}
        assert used == set(one.files)
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in one.files.values())
        assert one.car.learned
        assert all(row.car.learned for row in one.parameters)
        ends = dict.fromkeys(one.files, (0.0, SECONDS.get(name, 0.0)))
        for fold in one.folds:
            bench.sets.check_apart(
                one, fold, {part.file: ends[part.file] for part in (*fold.train, *fold.test)}
            )
    with pytest.raises(DataError, match=r"nothing: expected a set, one of bayesrace, dart"):
        bench.sets.read_sets(["nothing"])
