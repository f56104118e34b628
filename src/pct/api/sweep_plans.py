"""What a sweep tries: a TOML file with the data, what is held, and the space of settings; checked first."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pct.api.cars import Car, model
from pct.dynamics.core import unknown_name
from pct.errors import DataError, UsageError
from pct.measurement import Measurement
from pct.optimization.settings import FitSettings, TrainSettings, make_settings
from pct.toml_files import NoTomlError, read_toml
from pct.within import Within, declared_numbers, shown

SETTINGS: dict[str, Any] = {"train": TrainSettings, "fit": FitSettings}
KNOWN = {
    "data": ("train", "validation", "dt"),
    "car": ("model", "vehicle", "fixed"),
    "measurement": tuple(field.name for field in dataclasses.fields(Measurement)),
    **{name: tuple(field.name for field in dataclasses.fields(kind)) for name, kind in SETTINGS.items()},
}
"""Names in each section of the file."""
YARDSTICKS = ("horizon", "huber", "val_samples", "val_split")
"""Settings of a training that decide what the validation loss measures: losses across them say nothing."""
BY_THE_FIT = ("history", "history_fit", "integrator", "substeps")
"""Settings of a training that a fit below it decides."""
STEP = Within(0, 1e300, open_low=True)
"""From one value of a range to the next."""


@dataclasses.dataclass(frozen=True)
class Range:
    """Numbers from one to another.

    Attributes:
        low, high: lowest and highest, both included.
        log: whether equal factors are equally likely, not equal distances.
        step: distance between values; any value in between when None.
        whole: whether the numbers are whole.
    """

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None
    whole: bool = False


@dataclasses.dataclass(frozen=True)
class SweepPlan:
    """What a sweep holds and what it tries.

    Attributes:
        train, validation: paths of the data; without validation data a part of the other is held out.
        dt: time step in s; that of the data when None.
        held: values by section (``car``, ``measurement``, ``fit``, ``train``) and name.
        space: a range, or the values to choose from, by section and name, e.g. ``train.lr``.
    """

    train: tuple[str, ...]
    validation: tuple[str, ...]
    dt: float | None
    held: Mapping[str, Mapping[str, Any]]
    space: Mapping[str, Range | tuple[Any, ...]]

    @property
    def fits(self) -> bool:
        """Whether a fit comes first, whose result the network starts at."""
        return any(name in self.held for name in ("fit", "measurement")) or any(
            name.startswith(("fit.", "measurement.")) for name in self.space
        )

    def section(self, name: str, tried: Mapping[str, Any]) -> dict[str, Any]:
        """Values of a section with those that a trial tries, by ``section.name``."""
        own = {key.partition(".")[2]: value for key, value in tried.items() if key.startswith(f"{name}.")}
        return {**self.held.get(name, {}), **own}

    def car(self, tried: Mapping[str, Any]) -> Car:
        """The car of a trial."""
        section = self.section("car", tried)
        car = model(section.get("model", "singletrack"), vehicle=section.get("vehicle"))
        if fixed := section.get("fixed"):
            car = car.hold_all(dict(map(_held, fixed)))
        measured = self.section("measurement", tried)
        return car.measured(**measured) if measured else car

    def fingerprint(self, data: Mapping[str, str]) -> str:
        """Hash of all that trials of one study must have in common; ``data`` holds the hash of each file.

        Paths do not count: another machine may keep the same data elsewhere.
        """
        content = {
            **dataclasses.asdict(self),
            "train": None,
            "validation": None,
            "data": sorted(data.values()),
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def read_plan(path: Path) -> SweepPlan:
    """The plan of a file; paths in it start at its folder, else at the current one.

    Raises:
        DataError: there is no such file, or it is no TOML.
        UsageError: an unknown name, a value out of its range, or a space that cannot be searched.
    """
    try:
        content = read_toml(path)
    except OSError as error:
        raise DataError(f"{path}: cannot read it ({error.strerror}): check the path") from None
    except NoTomlError as error:
        raise DataError(f"{path}: expected TOML, found {error.what}") from None
    plan = _plan(content, path.parent)
    _check(plan)
    return plan


def _plan(content: Mapping[str, Any], folder: Path) -> SweepPlan:
    for name in content:
        if name not in (*KNOWN, "space"):
            raise unknown_name("section", name, [*KNOWN, "space"])
    held = {name: _section(content, name, name) for name in KNOWN if name in content}
    space = {
        f"{section}.{name}": _dimension(section, name, value)
        for section in _section(content, "space", None)
        for name, value in _section(content["space"], section, _searched(section)).items()
    }
    if not space:
        raise UsageError(
            "[space]: expected settings to try, e.g. [space.train] with lr = {low = 1e-4, high = 1e-2}"
        )
    data = held.pop("data", {})
    train, validation = (_paths(data.get(name, []), name, folder) for name in ("train", "validation"))
    if not train:
        raise UsageError('[data]: expected the data to train on, e.g. train = ["datasets/car/train"]')
    return SweepPlan(train, validation, data.get("dt"), held, space)


def _section(content: Mapping[str, Any], name: str, known: str | None) -> dict[str, Any]:
    section = content.get(name, {})
    if not isinstance(section, dict):
        raise UsageError(f"[{name}]: expected a section, got {shown(section)}")
    for key in section:
        if known is not None and key not in KNOWN[known]:
            raise unknown_name(f"name in [{name}]:", key, list(KNOWN[known]))
    return section


def _searched(section: str) -> str:
    names = [name for name in KNOWN if name != "data"]
    if section not in names:
        raise unknown_name("section of [space]:", section, names)
    return section


def _paths(values: Any, name: str, folder: Path) -> tuple[str, ...]:
    values = [values] if isinstance(values, str) else values
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UsageError(f"[data] {name}: expected paths, got {shown(values)}")
    return tuple(str(folder / value) if (folder / value).exists() else value for value in values)


def _dimension(section: str, name: str, value: Any) -> Range | tuple[Any, ...]:
    """A range or choices, as the file says them."""
    where = f"[space.{section}] {name}"
    if isinstance(value, list):
        if len(value) < 2:
            raise UsageError(f"{where}: expected two values to choose from or more, got {shown(value)}")
        return tuple(value)
    ranges = _ranges(section)
    if not isinstance(value, dict) or name not in ranges or not {"low", "high"} <= value.keys():
        ask = "a list of values" + (", or {low = ..., high = ...}" if name in ranges else "")
        raise UsageError(f"{where}: expected {ask}, got {shown(value)}")
    for key in value:
        if key not in ("low", "high", "log", "step"):
            raise unknown_name(f"name in {where}:", key, ["low", "high", "log", "step"])
    for end in ("low", "high"):
        make_settings(SETTINGS[section], {name: value[end]})
    log, step = value.get("log", False), value.get("step")
    if not isinstance(log, bool) or (step is not None and step not in STEP):
        raise UsageError(f"{where}: expected log = true or false, and a step above 0, got {shown(value)}")
    found = Range(value["low"], value["high"], log, step, ranges[name])
    if found.low >= found.high or (log and (found.low <= 0 or step is not None)):
        raise UsageError(f"{where}: expected low < high, and with log also 0 < low and no step, got {value}")
    if found.whole and step is not None and step != int(step):
        raise UsageError(f"{where}: expected a whole step, got {shown(step)}")
    return found


def _ranges(section: str) -> dict[str, bool]:
    """The settings of a section that are one number, and whether it is whole."""
    if section not in SETTINGS:
        return {}
    usual = SETTINGS[section]()
    return {
        number.name: number.within is not None and number.within.whole
        for number in declared_numbers(SETTINGS[section])
        if not isinstance(getattr(usual, number.name), tuple)
    }


def _check(plan: SweepPlan) -> None:
    """What every trial needs, before the first one runs."""
    refused = [name for name in YARDSTICKS if f"train.{name}" in plan.space]
    if refused:
        raise UsageError(
            f"[space.train] {refused[0]}: losses across it cannot be compared: give it one value in [train]"
        )
    decided = [name for name in BY_THE_FIT if f"train.{name}" in plan.space and plan.fits]
    if decided:
        raise UsageError(
            f"[space.train] {decided[0]}: the fit decides it: search it in [space.fit], or leave it"
        )
    if not plan.validation and (plan.fits or not plan.held.get("train", {}).get("val_split")):
        ask = "" if plan.fits else ", or val_split in [train]"
        raise UsageError(
            f'[data]: trials are judged by their validation loss: expected validation = ["..."]{ask}'
        )
    for name, kind in SETTINGS.items():
        make_settings(kind, plan.held.get(name, {}))
        for key, values in plan.space.items():
            if key.startswith(f"{name}.") and isinstance(values, tuple):
                for value in values:
                    make_settings(kind, {key.partition(".")[2]: value})
    models = plan.space.get("car.model", ())
    if isinstance(models, tuple) and len({model(name).base.state_names for name in models}) > 1:
        raise UsageError("[space.car] model: losses of models with different states cannot be compared")
    for section in ("car", "measurement"):
        for key, values in plan.space.items():
            for value in values if isinstance(values, tuple) and key.startswith(f"{section}.") else ():
                if not models:  # names of parameters and channels are those of one model
                    plan.car({key: value})
    if not models:
        plan.car({})


def _held(text: str) -> tuple[str, float | None]:
    """NAME at its default, or NAME=VALUE."""
    name, given, value = text.partition("=")
    try:
        return name, float(value) if given else None
    except ValueError:
        raise UsageError(f"[car] fixed: expected NAME or NAME=NUMBER, got {shown(text)}") from None
