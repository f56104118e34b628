"""Time and memory of `pct data import` beside a plain polars scan that parses the same columns.

A long log: one CSV file at 100 Hz with 40 columns, of which the map names all; each repeat runs the scan and
the import one after the other, each in a process of its own. Many logs: small files, imported in parallel,
beside a process that reads them one after the other with polars. Last line: one JSON object.

    python benchmarks/import_speed.py [--hours 10] [--files 2000] [--repeats 3]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

RATE = 100
SENSORS = 36
CHUNK = 200_000
SMALL_SECONDS = 60
COLUMNS = ("time", "x", "y", "psi", *(f"sensor_{k}" for k in range(SENSORS)))

# Every value is parsed; what comes of it is as small as can be.
SCAN = """
import sys, polars as pl
total = 0.0
for path in sys.argv[1:]:
    total += pl.scan_csv(path).select(pl.all().sum()).collect(engine="streaming").sum_horizontal()[0]
print(total)
"""


def main() -> None:
    """Write the logs, run both side by side, print the table and the JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hours", type=float, default=10.0, help="length of the long log")
    parser.add_argument("--files", type=int, default=2000, help="number of small logs")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    results: dict[str, Any] = {"load_at_start": round(os.getloadavg()[0], 2)}
    with tempfile.TemporaryDirectory(prefix="pct-bench-") as folder:
        place = Path(folder)
        print(f"{'logs':<12} {'MB':>6} {'what':<7} {'seconds':>8} {'peak MB':>8} {'ratio':>6}")
        for label, key, count, rows in (
            ("one long", "long", 1, round(args.hours * 3600 * RATE)),
            (f"{args.files} small", "small", args.files, SMALL_SECONDS * RATE),
        ):
            files = write_logs(place / key, count, rows)
            found = compare(files, place / key, place / "dataset", args.repeats)
            results |= {f"{key}_{name}": value for name, value in found.items()}
            size = sum(file.stat().st_size for file in files) / 1e6
            results[f"{key}_megabytes"] = round(size)
            for what in ("scan", "import"):
                ratio = f"{results[f'{key}_ratio']:.2f}" if what == "import" else ""
                print(
                    f"{label:<12} {size:>6.0f} {what:<7} {results[f'{key}_{what}_seconds']:>8.1f} "
                    f"{results[f'{key}_{what}_megabytes']:>8.0f} {ratio:>6}"
                )
    print(json.dumps(results))


def compare(files: list[Path], source: Path, output: Path, repeats: int) -> dict[str, float]:
    """Median seconds, largest peak memory of a process in MB, and the median of the repeats' ratios."""
    pct = Path(sys.executable).parent / "pct"
    seconds: dict[str, list[float]] = {"scan": [], "import": []}
    peaks: dict[str, list[float]] = {"scan": [], "import": []}
    for _ in range(repeats):
        commands = {
            "scan": [sys.executable, "-c", SCAN, *map(str, files)],
            "import": [str(pct), "data", "import", str(source), "--output", str(output)],
        }
        for what, command in commands.items():
            elapsed, peak = measure(command)
            seconds[what].append(elapsed)
            peaks[what].append(peak)
        shutil.rmtree(output)
    ratios = [b / a for a, b in zip(seconds["scan"], seconds["import"], strict=True)]
    return {
        **{f"{what}_seconds": round(statistics.median(values), 2) for what, values in seconds.items()},
        **{f"{what}_megabytes": round(max(values)) for what, values in peaks.items()},
        "ratio": round(statistics.median(ratios), 2),
    }


def measure(command: list[str]) -> tuple[float, float]:
    """Seconds of a command, and the largest resident memory of one of its processes in MB."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command[:6])} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def write_logs(folder: Path, count: int, rows: int) -> list[Path]:
    """Write logs and their map, and wait until the disk has them: it would be busy with them when timed."""
    folder.mkdir()
    files = [folder / f"drive_{number:05d}.csv" for number in range(count)]
    for number, file in enumerate(files):
        write_log(file, rows, seed=number)
    (folder / "signals.toml").write_text(signals_map())
    os.sync()
    return files


def write_log(path: Path, rows: int, *, seed: int) -> None:
    """A drive around a circle, with noisy sensors."""
    rng = np.random.default_rng(seed)
    with path.open("wb") as file:
        for first in range(0, rows, CHUNK):
            t = np.arange(first, min(first + CHUNK, rows)) / RATE
            angle = 0.2 * t
            noise = rng.normal(0.0, 0.1, (SENSORS, len(t)))
            columns = [t, 50 * np.cos(angle), 50 * np.sin(angle), angle + np.pi / 2]
            columns += [np.sin(0.1 * t + k) + noise[k] for k in range(SENSORS)]
            table = pl.DataFrame(dict(zip(COLUMNS, columns, strict=True)))
            table.write_csv(file, include_header=first == 0, float_precision=11)


def signals_map() -> str:
    """The map of these logs."""
    tables = ['files = "*.csv"', '[time]\ncolumn = "time"']
    tables += [f'[channels.{name}]\ncolumn = "{name}"' for name in ("x", "y", "psi")]
    tables += [f'[channels."feature.{name}"]\ncolumn = "{name}"' for name in COLUMNS[4:]]
    return "\n".join(tables) + "\n"


if __name__ == "__main__":
    main()
