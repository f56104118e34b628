"""The page of the doctor's checks: each with what it says of a planted fault, and the evidence that it draws.

The faults are those of `benchmarks/doctor.py`, so that the page shows what the doctor really says.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from types import FunctionType, ModuleType
from typing import Any, TypeAlias

import numpy as np
from writing import ROOT, paragraphs, table, write, write_figure

from pct.doctor.examine import CHECKS, examine, examine_all
from pct.doctor.excitation import excitation
from pct.doctor.finding import Finding
from pct.doctor.leaks import leaks
from pct.doctor.raw_recording import Recording
from pct.plots import draw_finding
from pct.plots.style import as_png

Check: TypeAlias = Any
SEED, CARS, TRIES = 5, 7, 40
GUIDE = "../doctor.md"


def page(examples: Mapping[str, Finding]) -> str:
    """Write the page; its file.

    Args:
        examples: a finding by name of its check.
    """
    functions = [*CHECKS, excitation, leaks]
    parts = [
        "# Checks of the doctor",
        f"`pct data check` and `pct.check` run these on every recording, causes before effects. "
        f"[The doctor]({GUIDE}) says how they work and what to do. Each finding below was made on a "
        "simulated drive, in which the fault was planted.",
        "## In their order",
        table(
            ("check", "looks for", "finds"),
            (
                (f"`{check.__name__}`", first_line(check.__doc__), ", ".join(_link(n) for n in names))
                for check, names in ((check, findings_of(check)) for check in functions)
            ),
        ),
        "## Findings",
    ]
    compared = guide_rows()
    for name in finding_names():
        what, fix = compared[name]
        parts += [f"### {name}", f"Compared: {what}. What to do: {fix}."]
        if name in examples:
            finding = examples[name]
            parts.append(f"> {finding.severity}: {finding.message}\n>\n> {finding.fix}")
            if finding.panels:
                figure = f"reference/checks/{name}.png"
                drawn = as_png(draw_finding, title=name, message=finding.message, panels=finding.panels)
                write_figure(figure, drawn)
                parts.append(f"![What the check has seen](checks/{name}.png)")
    return write("reference/checks", "\n\n".join(parts))


def first_line(docstring: str | None) -> str:
    """The first sentence of a docstring."""
    return paragraphs((docstring or "").split("\n\n")[0].replace("\n", " "))


def finding_names() -> list[str]:
    """Names of all findings, in the order of the checks that make them."""
    return list(dict.fromkeys(name for check in [*CHECKS, excitation, leaks] for name in findings_of(check)))


def findings_of(check: Check) -> list[str]:
    """Names of the findings that a check makes: those that stand in its function and in what it calls."""
    known, seen = guide_rows(), set()

    def names(function: FunctionType) -> Iterator[str]:
        seen.add(function)
        source = source_of(function)
        yield from (name for name in re.findall(r'"([a-z_]+)"', source) if name in known)
        for word in re.findall(r"\b\w+\b", source):
            other = inspect.unwrap(function).__globals__.get(word)
            if inspect.isfunction(other) and other.__module__.startswith("pct.doctor") and other not in seen:
                yield from names(other)

    return list(dict.fromkeys(names(check)))


@cache
def source_of(function: FunctionType) -> str:
    """Text of a function; most checks share what they call."""
    return inspect.getsource(function)


@cache
def guide_rows() -> dict[str, tuple[str, str]]:
    """What is compared and what to do, by finding, from the table of the guide."""
    rows = {}
    for line in (ROOT / "docs" / "doctor.md").read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 3 and cells[0].startswith("`"):
            for name in re.findall(r"`(\w+)`", cells[0]):
                rows[name] = (cells[1].replace(r"\|", "|"), cells[2])
    return rows


def examples() -> dict[str, Finding]:
    """A finding of each check, made on drives with planted faults."""
    benchmark = _benchmark()
    found: dict[str, Finding] = {}
    cars = benchmark.drives(CARS, SEED)

    def keep(findings: list[Finding]) -> None:
        for finding in findings:
            found.setdefault(finding.check, finding)

    for expected, plant in benchmark.FAULTS.values():
        for recording in _planted(benchmark, cars, plant):
            if expected in found:
                break
            for finding in examine(recording):
                if finding.check == expected:
                    found[expected] = finding
    rng = np.random.default_rng(SEED)
    for drive in (*benchmark.drives(2, SEED, grip=0.02), *benchmark.drives(2, SEED, one_sided=True), *cars):
        recording = _clean(benchmark, drive, rng)
        keep(examine(recording))
        keep(examine(dataclasses.replace(recording, time=1000 * recording.time)))
        keep(examine(_along_its_path(recording)))
        part = dataclasses.replace(recording.selected(np.arange(len(recording)) < 100), name="part")
        for other in ([[recording], [part]], [[recording, part]]):
            keep([finding for _, findings in examine_all(other) for finding in findings])
    return found


def _along_its_path(recording: Recording) -> Recording:
    """With the direction of travel for a heading."""
    x, y = recording.channels["x"], recording.channels["y"]
    course = np.unwrap(np.arctan2(np.gradient(y), np.gradient(x)))
    return dataclasses.replace(recording, channels={**recording.channels, "psi": course})


def _planted(benchmark: ModuleType, cars: list[Any], plant: Any) -> Iterator[Recording]:
    for number in range(TRIES):
        rng = np.random.default_rng([SEED, number])
        recording = plant(benchmark.equip(cars[number % len(cars)], rng), rng)
        if recording is not None:
            yield recording


def _clean(benchmark: ModuleType, drive: Any, rng: np.random.Generator) -> Recording:
    car = benchmark.equip(drive, rng)
    return benchmark.recording_of(car, benchmark.sensed(car, rng))


def _benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("doctor_benchmark", ROOT / "benchmarks" / "doctor.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _link(name: str) -> str:
    return f"[{name}](#{name})"
