"""What a run folder says of each parameter, of a fit and of a network alike."""

from __future__ import annotations

from typing import Any

from pct.dynamics.core import ModelSpec


def describe_parameters(spec: ModelSpec, summary: Any) -> dict[str, dict[str, Any]]:
    """Figures of each parameter with its symbol, unit, bounds and default beside them."""
    described = {}
    for name, values in summary.items():
        row = spec.parameter(name)
        low, high = spec.param_bounds[name]
        described[name] = {
            **values,
            "unit": row.unit,
            "symbol": row.symbol,
            "bounds": [low, high],
            "default": spec.default_params[name],
        }
    return described
