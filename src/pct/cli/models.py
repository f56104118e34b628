"""`pct models`: every model's channels and parameters with unit, bounds and default, and the vehicles."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from pct.cli.flags import DebugFlags, parse
from pct.dynamics import MODEL_SPECS, Channel, ModelSpec, resolve_model
from pct.dynamics.registry import load_installed_models
from pct.dynamics.vehicles import VEHICLES
from pct.errors import UsageError

WIDTH = 100
"""Columns of the output where there is no terminal to ask."""


@dataclasses.dataclass(frozen=True)
class ModelsConfig:
    """Print the channels and parameters of one model, or of all, and the named vehicles.

    Example: pct models singletrack
    """

    model: tyro.conf.Positional[str | None] = None
    """One model: its name, e.g. singletrack, or a Python file that defines one. Default: all models."""
    vehicles: bool = False
    """Print the named vehicles alone."""
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
        print(f"{'ok    ' if result.passed else 'FAILED'}  {result.law}")
        if not result.passed:
            print(f"        {result.message}")
    if not all(result.passed for result in results):
        raise SystemExit(1)


def run(model: str | None = None, *, vehicles: bool = False) -> None:
    """Print the tables of one model, or of all, and the named vehicles; or the vehicles alone.

    Raises:
        UsageError: an unknown model, with the known ones, or a file that defines none.
    """
    load_installed_models()
    specs = [MODEL_SPECS[name] for name in sorted(MODEL_SPECS)] if model is None else [resolve_model(model)]
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    for spec in [] if vehicles else specs:
        _print_model(console, spec)
    table = _table("vehicle", "what it is")
    for name, vehicle in VEHICLES.items():
        table.add_row(name, vehicle.doc)
    console.print(table)


def _print_model(console: Console, spec: ModelSpec) -> None:
    console.print(f"[bold]{spec.name}[/bold]  ({spec.dynamics_module}, {spec.vector_size} learned numbers)")
    channels = Table.grid(padding=(0, 2, 0, 0))
    channels.add_row("  states", _channels(spec.states))
    channels.add_row("  controls", _channels(spec.controls))
    console.print(channels)
    table = _table("parameter", "unit", "low", "default", "high", "scope", "what it is")
    for row in spec.parameters:
        table.add_row(
            f"{row.name} {row.shape}" if row.shape else row.name,
            row.unit,
            _value(row.low),
            _value(row.default),
            _value(row.high),
            row.scope,
            row.doc,
        )
    console.print(table)
    console.print()


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        is_number = column in ("low", "default", "high")
        table.add_column(column, justify="right" if is_number else "left", no_wrap=column != "what it is")
    return table


def _channels(channels: tuple[Channel, ...]) -> str:
    return ", ".join(f"{channel.name} ({channel.unit})" for channel in channels)


def _value(value: Any) -> str:
    """A number with four digits, or the range of an array's entries."""
    low, high = np.min(value), np.max(value)
    return f"{low:.4g}" if low == high else f"{low:.3g}..{high:.3g}"
