"""What `pct fit` says of a fit on the console."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from pct.dynamics.core import ModelSpec
from pct.optimization.constants.profile import ROUNDING
from pct.optimization.constants.verdicts import advice_lines


def print_parameters(
    spec: ModelSpec, params: Mapping[str, Any], deviations: Mapping[str, Any], verdicts: Mapping[str, Any]
) -> None:
    """Print each parameter with its verdict, and what would settle those that are not identified."""
    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
    console.print(_table(spec, params, deviations, verdicts))
    if advice := advice_lines(verdicts):
        console.print("What would settle the others:")
        for line in advice:
            console.print(f"  {line}", soft_wrap=True)


def rounding_warning(spec: ModelSpec, sigma: Mapping[str, float]) -> str | None:
    """A warning of channels whose error is rounding while others' is not: it would weigh as much as theirs.

    Args:
        spec: the model.
        sigma: what is left of each compared channel's error, in its unit.
    """
    exact = [
        name for name, left in sigma.items() if left < ROUNDING * spec.states[spec.state_indices[name]].scale
    ]
    others = [name for name in sigma if name not in exact]
    if not exact or not others:
        return None
    return (
        f"warning: {', '.join(exact)} is predicted to rounding, as the controls give it: what is left there "
        f"weighs as much as real errors. Fit again with --compare {' '.join(others)}"
    )


def print_lines(lines: Iterable[str]) -> None:
    """Print sentences, one a line."""
    console = Console(highlight=False)
    for line in lines:
        console.print(line, soft_wrap=True)


def _table(
    spec: ModelSpec, params: Mapping[str, Any], deviations: Mapping[str, Any], verdicts: Mapping[str, Any]
) -> Table:
    table = Table(title=f"Parameters of {spec.name}", title_justify="left")
    for heading in ("parameter", "value", "std. error", "default", "bounds", "unit", "verdict"):
        left = heading in ("parameter", "unit", "verdict")
        table.add_column(heading, justify="left" if left else "right", no_wrap=heading == "parameter")
    for name in spec.param_keys:
        if spec.full_shapes[name]:
            shape = " x ".join(map(str, spec.full_shapes[name]))
            table.add_row(name, f"({shape} entries)", "", "", "", spec.parameter(name).unit, "")
            continue
        low, high = spec.param_bounds[name]
        table.add_row(
            name,
            f"{float(params[name]):.4g}",
            f"{float(deviations[name]):.2g}",
            f"{float(spec.default_params[name]):.4g}",
            f"{float(low):g} .. {float(high):g}",
            spec.parameter(name).unit,
            verdicts[name]["verdict"],
        )
    return table
