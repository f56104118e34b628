"""Targets that are parameters for somebody else's equations: verified, or refused.

A target says what it cannot say, translates the values, and computes the rates (or forces) that its reader
makes of them. Before anything is written these are compared with the model's own on random states where they
have to be equal; where the reader's equations differ by design, the head of the file says why, and by how
much on the rows that were driven. A car that the target cannot say is refused, or, on request, first
refitted to what it can say, with the loss stated.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

import pct
from pct.errors import DataError, PctError, UsageError
from pct.export.motion import Rows, body_rates, driven_rows, has_tyres, model_rates, rows_for, usual_rows
from pct.export.source import Source
from pct.export.targets import Exported
from pct.files import write_output

# Random states where a reader has to be equal, and their largest slip angles in rad: far beyond the peak.
SAMPLES, WIDE = 256, 0.4
# Largest relative difference, over the largest value of the rate, that rounding can explain.
EQUAL = 1e-12
# What is compared, in words, and its unit.
QUANTITIES = {
    "vx": ("rate of vx", "m/s^2"),
    "vy": ("rate of vy", "m/s^2"),
    "psi_dot": ("rate of psi_dot", "rad/s^2"),
    "front": ("side force in front", "N"),
    "rear": ("side force in the rear", "N"),
}
IDENTIFIED, REFITTED = "identified", "refitted"
# Why usual states are compared in place of driven ones, by whether any were driven.
NOT_DRIVEN = {
    False: "the source does not say what was driven",
    True: "no row that was driven has all channels at a speed above v_blend_high",
}
# Relative change of a parameter that tells which entries it is in.
NUDGE = 1e-6


class Entry(NamedTuple):
    """A number of a target's file.

    Attributes:
        key: its name there.
        value: in the target's unit.
        made_of: names of the model's parameters behind it.
        deviation: its standard error from theirs, correlations left out; None where it has none.
        status: ``identified``, or ``nominal`` and why.
    """

    key: str
    value: float
    made_of: tuple[str, ...]
    deviation: float | None
    status: str

    @property
    def comment(self) -> str:
        """Status, with the standard error where there is one."""
        return self.status if self.deviation is None else f"{self.status}, +- {self.deviation:.2g}"


class Head(NamedTuple):
    """What stands above the values: where they come from, how they were checked, where the reader differs."""

    lines: tuple[str, ...]
    checked: str
    differs: tuple[str, ...]


class ParameterTarget:
    """Base of targets that are parameters; a target overrides what it needs.

    Attributes:
        name: of the target.
        reader: whose equations read the file, with version and function.
        file: name of the main file, and of the folder without its suffix where there are several.
        equal_where: where the reader's equations are the model's, in words.
        compared: which rates are equal there.
    """

    name = ""
    reader = ""
    file = ""
    equal_where = ""
    compared: tuple[str, ...] = ("vx", "vy", "psi_dot")

    def cannot(self, source: Source) -> list[str]:
        """What of a car the target cannot say, one line each; `refit` then says the nearest.

        Raises:
            UsageError: no car near it can be said either, see `refused`.
        """
        return []

    def refused(self, why: str) -> UsageError:
        """The error for a car that the target cannot say."""
        return UsageError(f"{self.name} cannot say this car: {why}")

    def refit(self, source: Source, rows: Rows) -> tuple[Source, list[str]]:
        """The nearest car that it can say, and what was lost, one line each."""
        raise NotImplementedError

    def translate(self, source: Source) -> dict[str, float]:
        """Values by the target's own keys; a smooth function of those of the source."""
        raise NotImplementedError

    def to_equal(self, source: Source, rows: Rows) -> Rows:
        """Usual rows, moved to where the reader is equal."""
        return rows

    def equal_rates(self, values: Mapping[str, float], source: Source, rows: Rows) -> dict[str, np.ndarray]:
        """What the reader makes of these rows, which has to be equal."""
        return self.rates(values, source, rows)

    def rates(self, values: Mapping[str, float], source: Source, rows: Rows) -> dict[str, np.ndarray]:
        """The reader's rates by the names of states: of ``vx, vy, psi_dot``, or of ``v, beta, psi_dot``."""
        raise NotImplementedError

    def own_rates(self, source: Source, rows: Rows) -> dict[str, np.ndarray]:
        """The model's own, to compare with."""
        return body_rates(rows.x, model_rates(source, rows))

    def differs(self, source: Source) -> list[str]:
        """Why the reader's equations are others elsewhere, one line each."""
        return []

    def render(
        self, entries: Sequence[Entry], head: Head, source: Source, values: Mapping[str, float]
    ) -> dict[str, bytes]:
        """Content of each file by name, the main one first."""
        raise NotImplementedError

    def export(self, source: Source, path: str | Path | None = None, *, refit: bool = False) -> Exported:
        """Write a car for this reader.

        Args:
            source: the model and its values.
            path: the file, or the folder where the target has several; named after the target, here, when
                left out.
            refit: whether a car that the target cannot say becomes the nearest that it can.

        Raises:
            UsageError: the target cannot say the car.
            DataError: the files cannot be written.
            PctError: what would be written is not equal where it has to be; nothing is written.
        """
        return write_parameters(self, source, path, refit=refit)


def write_parameters(
    target: ParameterTarget, source: Source, path: str | Path | None, *, refit: bool
) -> Exported:
    """Translate, verify and write; arguments and errors as of `ParameterTarget.export`."""
    rows, was_driven = driven_rows(source) if has_tyres(source) else (None, False)
    said: Source = source
    losses: list[str] = []
    if reasons := target.cannot(source):
        if not refit:
            raise target.refused(
                f"{'; '.join(reasons)}: pass `refit` for the nearest that it can say, with the loss"
            )
        if rows is None:
            raise target.refused("; ".join(reasons))
        said, losses = target.refit(source, rows)
    values = target.translate(said)
    checked = verify(target, said, values)
    differs = [*losses, *target.differs(said)]
    if rows is not None and differs and target.compared:
        differs.append(_differences(target, source, said, values, rows, was_driven))
    head = _head(target, source, checked, differs)
    entries = entries_of(target, said)
    files = target.render(entries, head, said, values)
    written = write_files(path, target.file, files)
    nominal = [entry.key for entry in entries if "nominal" in entry.status]
    notes = [*differs, *([f"nominal, not identified: {', '.join(nominal)}"] if nominal else [])]
    return Exported(
        written[0].parent if len(files) > 1 else written[0], tuple(written), checked, tuple(notes)
    )


def verify(target: ParameterTarget, source: Source, values: Mapping[str, float]) -> str:
    """Compare the reader's rates with the model's where they have to be equal; the result in a sentence.

    Raises:
        PctError: they are not.
    """
    if not target.compared:
        return "no equations stand behind these names: there is nothing to compare"
    rows = target.to_equal(source, usual_rows(source, SAMPLES, seed=1, slip=WIDE))
    own, read = target.own_rates(source, rows), target.equal_rates(values, source, rows)
    read = body_rates(rows.x, read) if "beta" in read else read
    largest = 0.0
    for name in target.compared:
        size = max(float(np.abs(own[name]).max()), 1e-300)
        differences = np.abs(read[name] - own[name]) / size
        if not differences.max() <= EQUAL:
            row = int(np.argmax(np.where(np.isnan(differences), np.inf, differences)))
            at = ", ".join(f"{key} {float(c[row]):.6g}" for key, c in {**rows.x, **rows.u}.items())
            raise PctError(
                f"export to {target.name}: expected {QUANTITIES[name][0]} {float(own[name][row])!r}, found "
                f"{float(read[name][row])!r} by the equations of {target.reader} at {at}: nothing was "
                f"written; "
                "this is an error of PCT, please report it"
            )
        largest = max(largest, float(differences.max()))
    where = f" {target.equal_where}" if target.equal_where else ""
    return f"equal to 1e-12 (at most {largest:.0e}, {SAMPLES} random states){where}"


def _differences(
    target: ParameterTarget,
    source: Source,
    said: Source,
    values: Mapping[str, float],
    rows: Rows,
    was_driven: bool,
) -> str:
    """By how much the reader's rates differ from the model's on rows that were driven, in a sentence."""
    theirs = rows_for(said, source, rows)
    own, read = target.own_rates(source, rows), target.rates(values, said, theirs)
    read = body_rates(theirs.x, read) if "beta" in read else read
    parts = []
    for name in own:
        if name in read:
            off = np.abs(read[name] - own[name])
            size = float(np.abs(own[name]).max())
            if size and off.max() > EQUAL * size:
                rms = float(np.sqrt(np.mean(off**2)))
                what, unit = QUANTITIES[name]
                parts.append(
                    f"{what} by at most {off.max():.2g} {unit} ({off.max() / size:.1%} of its largest), "
                    f"{rms:.2g} {unit} RMS"
                )
    what = (
        f"{len(next(iter(rows.x.values())))} rows that were driven"
        if was_driven
        else f"states that such a car usually has ({NOT_DRIVEN[bool(source.driven)]})"
    )
    return f"together, over {what}: {'; '.join(parts) or 'equal'}"


def _head(target: ParameterTarget, source: Source, checked: str, differs: Sequence[str]) -> Head:
    lines = [
        f"For {target.reader}; made by `pct export {target.name}` of PCT {pct.__version__}.",
        f"Values: {source.title}; model {source.spec.name}.",
        f"Check: {checked}.",
        *(f"Differs: {line}." for line in differs),
        *(f"Not in this file: {line}." for line in source.left_out),
        "Numbers marked nominal were not identified from the drives.",
    ]
    # A comment is one line each.
    return Head(tuple(" ".join(line.split()) for line in lines), checked, tuple(differs))


def entries_of(target: ParameterTarget, source: Source) -> list[Entry]:
    """Every number of the file with what is behind it, found by changing one parameter after another."""
    values = target.translate(source)
    slopes: dict[str, dict[str, float]] = {key: {} for key in values}
    numbers = {name: float(value) for name, value in source.values.items() if np.ndim(value) == 0}
    for name, value in {**numbers, **source.measured}.items():
        step = NUDGE * (abs(value) or 1.0)
        if name in numbers:
            changed = dataclasses.replace(source, values={**source.values, name: value + step})
        else:
            changed = dataclasses.replace(source, measured={**source.measured, name: value + step})
        for key, new in target.translate(changed).items():
            if new != values[key]:
                slopes[key][name] = (new - values[key]) / step
    return [_entry(source, key, value, slopes[key]) for key, value in values.items()]


def _entry(source: Source, key: str, value: float, slopes: Mapping[str, float]) -> Entry:
    deviations = [
        slope * source.deviations[name] for name, slope in slopes.items() if name in source.deviations
    ]
    deviation = float(np.hypot.reduce(deviations)) if deviations else None
    known = deviation is not None and np.isfinite(deviation)
    return Entry(
        key, float(value), tuple(slopes), deviation if known else None, status_of(source, tuple(slopes))
    )


def status_of(source: Source, names: Sequence[str]) -> str:
    """``identified``, ``refitted``, or ``nominal`` and why, of a number made of these parameters."""
    origins = {
        name: source.origins.get(name, "learned" if name in source.deviations else "held") for name in names
    }
    learned = [name for name, origin in origins.items() if origin in ("learned", REFITTED)]
    # What was held while the others were learned belongs to their values.
    if not learned:
        return f"nominal: {', '.join(dict.fromkeys(origins.values())) or 'of the target'}"
    doubts = [source.verdicts.get(name, IDENTIFIED) for name in learned]
    whys = [verdict for verdict in dict.fromkeys(doubts) if verdict != IDENTIFIED]
    nominal = [f"nominal: {', '.join(whys)}"] if whys else []
    if REFITTED in origins.values():
        return ", ".join([REFITTED, *nominal])
    return nominal[0] if nominal else IDENTIFIED


def write_files(path: str | Path | None, default: str, files: Mapping[str, bytes]) -> list[Path]:
    """Write one file at a path, or several into the folder of that path, each whole or not at all.

    Raises:
        DataError: they cannot be written.
    """
    if len(files) == 1:
        at = Path(path or default)
        write_output(at, next(iter(files.values())))
        return [at]
    folder = Path(path or default.partition(".")[0])
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: expected a folder to write into, found none ({error.strerror})") from None
    written = []
    for name, content in files.items():
        write_output(folder / name, content)
        written.append(folder / name)
    return written
