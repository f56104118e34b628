"""Every number of every command and of every settings class has a range, and nothing outside it passes."""

from __future__ import annotations

import copy
import dataclasses
import importlib
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import numpy as np
import pytest

from pct.cli.flags import parse, validate, with_values
from pct.cli.main import COMMANDS
from pct.errors import UsageError
from pct.importing.settings import ImportSettings
from pct.optimization.settings import FitSettings, TrainSettings, make_settings
from pct.simulation.settings import SimulationSettings
from pct.within import Declared, Within, check_number, check_numbers, check_ranges, declared_numbers, shown

CONFIGS = {name: importlib.import_module(module).CONFIG for name, (module, _) in COMMANDS.items()}
SETTINGS = (FitSettings, TrainSettings, ImportSettings, SimulationSettings)
HOSTILE = (math.nan, math.inf, -math.inf, 1e300, -1, 2**63, -(2**63), 0, 10**400, 0.5, True, "1")
# Enough for a command to pass its other checks.
GIVEN = {
    "shell": "bash",
    "target": "onnx",
    "dataset": ("a",),
    "logs": (Path("a"),),
    "output": Path("a"),
    "space": Path("a"),
    "run": Path("a"),
    "runs": (Path("a"), Path("b")),
    "pattern": ("a",),
}


def numbers(config: type) -> Iterator[Declared]:
    """The numbers of a class of flags or settings, those of its nested classes among them."""
    yield from declared_numbers(config)
    for field in dataclasses.fields(config):
        kind = get_type_hints(config)[field.name]
        if dataclasses.is_dataclass(kind):
            yield from numbers(kind)


def fields(config: type) -> dict[str, str]:
    """Field names with their written annotation, nested ones among them: another reading than the check's."""
    names = {}
    for field in dataclasses.fields(config):
        kind = get_type_hints(config)[field.name]
        names |= fields(kind) if dataclasses.is_dataclass(kind) else {field.name: str(kind)}
    return names


@pytest.mark.parametrize("config", [*CONFIGS.values(), *SETTINGS], ids=lambda config: config.__name__)
def test_every_number_has_a_range(config: type) -> None:
    declared = {number.name: number for number in numbers(config)}
    written = fields(config)
    assert declared.keys() == {name for name, kind in written.items() if re.search(r"\b(int|float)\b", kind)}
    assert [name for name, number in declared.items() if number.within is None] == []


@pytest.mark.parametrize("config", [*CONFIGS.values(), *SETTINGS], ids=lambda config: config.__name__)
def test_nothing_outside_its_range_passes(config: type) -> None:
    usual = configuration(config)
    validate(usual)
    for number in numbers(config):
        assert number.within is not None
        for value in HOSTILE:
            changed = copy.deepcopy(usual)
            place = holder(changed, number.name)
            several = isinstance(getattr(place, number.name), tuple)
            # Not by its constructor, whose types these tests check.
            object.__setattr__(place, number.name, (value, value) if several else value)
            try:
                validate(changed)
            except UsageError as error:
                assert f"`{number.name}`" in str(error)  # noqa: PT017
                assert len(str(error)) < 200  # noqa: PT017
            else:
                if number.text and isinstance(value, str):
                    continue
                assert value in number.within
                assert abs(value) < math.inf or number.name in ("max_window_grad", "standstill")
        if not number.optional:
            object.__setattr__(holder(changed, number.name), number.name, None)
            with pytest.raises(UsageError, match=f"`{number.name}`: expected a .*, got None"):
                validate(changed)


@pytest.mark.parametrize("config", [*CONFIGS.values(), *SETTINGS], ids=lambda config: config.__name__)
def test_a_choice_and_a_switch_have_their_values(config: type) -> None:
    written = fields(config)
    usual = configuration(config)
    for name, kind in written.items():
        if not re.search(r"Literal|\bbool\b", kind) or re.search(r"tuple|Annotated|\bstr\b", kind):
            continue
        changed = copy.deepcopy(usual)
        place = holder(changed, name)
        if dataclasses.is_dataclass(getattr(place, name)):
            continue  # nested flags whose name one of them has, too
        object.__setattr__(place, name, "no such thing")
        with pytest.raises(UsageError, match=f"`{name}`: expected .*, got 'no such thing'"):
            validate(changed)


def configuration(config: Any) -> Any:
    """A configuration of a command that passes its checks."""
    missing = [field.name for field in dataclasses.fields(config) if is_required(field)]
    return with_values(config(**{name: GIVEN[name] for name in missing}), GIVEN)


def is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def holder(config: Any, name: str) -> Any:
    """The dataclass that has a field, wherever it is nested."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    nested = (holder(value, name) for value in values.values() if dataclasses.is_dataclass(value))
    return config if name in values else next((place for place in nested if place is not None), None)


@pytest.mark.parametrize(
    ("command", "arguments", "name"),
    [
        ("simulate", "--output a --seed -1", "seed"),
        ("simulate", "--output a --duration 1e300", "duration"),
        ("simulate", "--output a --noise nan", "noise"),
        ("evaluate", "a --dataset a --at inf", "at"),
        ("evaluate", "a --dataset a --stride 9223372036854775808", "stride"),
        ("fit", "--dataset a --dt 0", "dt"),
        ("fit", "--dataset a --prior nan", "prior"),
        ("fit", "--dataset a --huber inf", "huber"),
        ("train", "--dataset a --weight-decay inf", "weight_decay"),
        ("train", "--dataset a --min-lr nan", "min_lr"),
        ("train", "--dataset a --seed 4294967296", "seed"),
        ("data import", "a --output b --split-gap 1e300", "split_gap"),
        ("data import", "a --output b --processes 0", "processes"),
        ("export c", "a --substeps -1", "substeps"),
    ],
)
def test_a_command_refuses_it(command: str, arguments: str, name: str) -> None:
    with pytest.raises(UsageError, match=f"`{name}`: expected a "):
        parse(CONFIGS[command], arguments.split(), prog=command)


def test_infinity_is_taken_where_it_says_never() -> None:
    assert make_settings(TrainSettings, {"max_window_grad": math.inf}).max_window_grad == math.inf
    assert make_settings(ImportSettings, {"standstill": math.inf}).standstill == math.inf


def test_numbers_of_other_libraries_count() -> None:
    within = Within(1, 10, whole=True)
    for value in (np.int64(3), np.uint8(3), np.array(3)):
        check_number("n", value, within)
    check_number("x", np.float32(3.5), Within(1, 10))
    for value in (np.bool_(True), np.float64(3), np.array([3]), "3", None, 3j, Decimal(3), [3]):
        with pytest.raises(UsageError, match="`n`: expected a whole number from 1 to 10, got "):
            check_number("n", value, within)


def test_messages() -> None:
    cases = {
        Within(0, 1): "a number from 0 to 1",
        Within(0, 1, open_low=True): "a number above 0 and up to 1",
        Within(0, 1, open_high=True): "a number of at least 0 and below 1",
        Within(0, 1, open_low=True, open_high=True): "a number above 0 and below 1",
        Within(0, math.inf, "s"): "a number from 0 to inf s",
        Within(1, 2**63, whole=True): "a whole number from 1 to 9223372036854775808",
    }
    for within, text in cases.items():
        assert str(within) == text
    assert shown(-(10**5000)) == "a number of more than 18 digits"
    with pytest.raises(UsageError, match="`at`: expected numbers in a sequence, got 1"):
        check_numbers("at", 1.0, Within(0, 1))


def test_a_range_around_an_option() -> None:
    @dataclasses.dataclass
    class Odd:
        either: Any = None

    Odd.__annotations__ = {"either": Annotated[int | None, Within(1, 2)]}
    check_ranges(Odd())
    with pytest.raises(UsageError, match="`either`: expected a whole number from 1 to 2, got 3"):
        check_ranges(Odd(3))
