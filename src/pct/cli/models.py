"""`pct models`: every model's channels and parameters with unit, bounds and default, and the vehicles."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tyro

from pct.cli.console import print_table, say
from pct.cli.flags import DebugFlags, parse
from pct.dynamics import MODEL_SPECS, Channel, ModelSpec, Parameter, resolve_model
from pct.dynamics.registry import load_installed_models
from pct.dynamics.vehicles import VEHICLES, with_vehicle
from pct.errors import UsageError

HEAD = ("parameter", "unit", "low", "default", "high", "scope", "what it is")
# Columns of it that are text, and those that stay on one line.
TEXTS, UNBROKEN = (0, 1, 5, 6), range(6)


@dataclasses.dataclass(frozen=True)
class ModelsConfig:
    """Print the channels and parameters of one model, or of all, and the named vehicles.

    Example: pct models singletrack
    """

    model: tyro.conf.Positional[str | None] = None
    """One model: its name, e.g. singletrack, or a Python file that defines one. Default: all models."""
    vehicles: bool = False
    """Print the named vehicles alone, each with its source."""
    check: bool = False
    """Test the model's equations and tables instead of printing them: symmetry, gradients, standstill, ..."""
    common: tyro.conf.OmitArgPrefixes[DebugFlags] = dataclasses.field(default_factory=DebugFlags)


CONFIG = ModelsConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the model's name, if any, and print."""
    args = parse(ModelsConfig, argv, prog="pct models")
    if args.check:
        check(args.model)
    else:
        run(args.model, vehicles=args.vehicles)


def check(model: str | None) -> None:
    """Test a model on every law and print each; exit status 1 where it breaks one.

    Raises:
        UsageError: no model, an unknown one, or a file that defines none.
    """
    from pct.simulation.laws import check_laws

    if model is None:
        raise UsageError("`check`: expected the model to test: its name or a Python file that defines one")
    results = check_laws(resolve_model(model))
    for result in results:
        say(f"{'ok    ' if result.passed else 'FAILED'}  {result.law}")
        if not result.passed:
            say(f"        {result.message}")
    if not all(result.passed for result in results):
        raise SystemExit(1)


def run(model: str | None = None, *, vehicles: bool = False) -> None:
    """Print the tables of one model, or of all, and the named vehicles; or the vehicles alone.

    Raises:
        UsageError: an unknown model, with the known ones, or a file that defines none.
    """
    load_installed_models()
    specs = [MODEL_SPECS[name] for name in sorted(MODEL_SPECS)] if model is None else [resolve_model(model)]
    for spec in [] if vehicles else specs:
        _print_model(spec)
    rows = [_vehicle_cells(name) for name in VEHICLES]
    print_table("", ("vehicle", "what it is"), rows, texts=(0, 1), unbroken=(0,), boxed=False)
    say("* not published: that of a vehicle like it, brought to its size")


def _vehicle_cells(name: str) -> tuple[str, str]:
    """A vehicle's row: what it is, its mass and wheelbase, the steering's ratio, and the source."""
    vehicle = VEHICLES[name]
    values = with_vehicle(MODEL_SPECS["singletrack"], name).default_params
    guess = "*" if vehicle.like and "m" not in vehicle.published else ""
    ratio = vehicle.published.get("steering_ratio")
    figures = [f"{values['m']:.4g} kg{guess}", f"wheelbase {values['lf'] + values['lr']:.4g} m"]
    figures += [] if ratio is None else [f"steering ratio {ratio:g}"]
    return name, f"{vehicle.doc}: {', '.join(figures)}; {vehicle.source}"


def _print_model(spec: ModelSpec) -> None:
    say(f"{spec.name}  ({spec.dynamics_module}, {spec.vector_size} learned numbers)")
    channels = [("  states", _channels(spec.states)), ("  controls", _channels(spec.controls))]
    print_table("", ("", ""), channels, texts=(0, 1), boxed=False)
    print_table("", HEAD, _rows(spec.parameters), texts=TEXTS, unbroken=UNBROKEN, boxed=False)
    for name, option in spec.options.items():
        say("", f"{spec.name}+{name}: {option.doc}")
        print_table("", HEAD, _rows(option.parameters), texts=TEXTS, unbroken=UNBROKEN, boxed=False)
    say("")


def _rows(parameters: tuple[Parameter, ...]) -> list[tuple[str, ...]]:
    return [
        (
            f"{row.name} {row.shape}" if row.shape else row.name,
            row.unit,
            _value(row.low),
            _value(row.default),
            _value(row.high),
            row.scope,
            row.doc,
        )
        for row in parameters
    ]


def _channels(channels: tuple[Channel, ...]) -> str:
    return ", ".join(f"{channel.name} ({channel.unit})" for channel in channels)


def _value(value: Any) -> str:
    """A number with four digits, or the range of an array's entries."""
    low, high = np.min(value), np.max(value)
    return f"{low:.4g}" if low == high else f"{low:.3g}..{high:.3g}"
