"""The options of a measurement and the effects behind them."""

from __future__ import annotations

import dataclasses

import pytest

from pct.errors import UsageError
from pct.measurement import Layer, Measurement
from pct.measurement.options import option_fields

EFFECTS = option_fields(Measurement)


def test_each_option_has_the_name_and_help_of_its_effect() -> None:
    assert {field.name for field in dataclasses.fields(Measurement)} == {*EFFECTS, "observer"}
    for name, effect in EFFECTS.items():
        assert effect.option == name
        assert f"{name}: {effect.help}." in str(Measurement.__doc__)
        assert isinstance(getattr(Measurement(), name), bool if effect.needs else tuple)
        assert effect.layer in Layer
    assert not Measurement().effects


def test_effects_are_those_that_are_asked_for() -> None:
    measurement = Measurement(delay=("drive",), lag=("vx", "vx"), steering=True)
    assert [(effect.option, effect.channels) for effect in measurement.effects] == [
        ("lag", ("vx", "vx")),
        ("delay", ("drive",)),
        ("steering", ("delta",)),
    ]


def test_lists_and_single_names_become_tuples() -> None:
    measurement = Measurement(lag=("vx", "vy"), delay=("drive",), pedals=True, observer=True)
    assert Measurement.of(lag=["vx", "vy"], delay="drive", pedals=True, observer=True) == measurement
    # As a run folder has it.
    table = {name: list(v) if isinstance(v, tuple) else v for name, v in vars(measurement).items()}
    assert Measurement.of(**table) == measurement


def test_what_only_an_observer_estimates_asks_for_one() -> None:
    with pytest.raises(UsageError, match="`drift` and `bias`: only the observer estimates them"):
        Measurement(bias=("vx",), drift=("vx",), lag=("vx",)).validate()
    Measurement(bias=("vx",), observer=True).validate()
    Measurement(lag=("vx",), steering=True).validate()
