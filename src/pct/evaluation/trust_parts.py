"""What pages say of parameters: the verdicts of a fit, and by what the predictions of a network vary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.evaluation.varying import Varying
from pct.optimization.constants.curves import NORMAL_95
from pct.optimization.constants.model import FittedModel
from pct.pages import Part, table

IDENTIFIED = "identified"
# Names that a sentence lists.
LISTED = 5

Verdicts = Mapping[str, Mapping[str, Any]]


def trusted_names(verdicts: Verdicts) -> list[str]:
    """The parameters that are identified."""
    return [name for name, entry in verdicts.items() if entry["verdict"] == IDENTIFIED]


def trust_clause(verdicts: Verdicts) -> str:
    """How many parameters of a fit can be trusted, as a clause without its full stop."""
    trusted = trusted_names(verdicts)
    if not verdicts:
        return "No parameter was judged"
    if not trusted:
        alone = next(iter(verdicts))
        several = len(verdicts) > 1
        return f"Trust none of the {len(verdicts)} parameters yet" if several else f"Do not trust {alone} yet"
    if len(trusted) == len(verdicts) > 1:
        return f"All {len(verdicts)} parameters can be trusted"
    if len(verdicts) == 1:
        return f"Trust {trusted[0]}"
    return f"Trust {len(trusted)} of {len(verdicts)} parameters ({_listed(trusted)})"


def trusted_table(fitted: FittedModel, verdicts: Verdicts) -> Part:
    """What the drives identify: values with intervals."""
    rows = [
        [name, *value_cells(fitted, verdicts, name), f"{float(fitted.spec.parameter(name).default):.4g}"]
        for name in trusted_names(verdicts)
    ]
    head = ["parameter", "value", "95 % interval", "unit", "default"]
    return table(head, rows, caption="Parameters that the drives identify", texts=(3,))


def doubted_table(fitted: FittedModel, verdicts: Verdicts) -> Part | None:
    """What the drives do not identify, each with its verdict and reason; None where there is nothing."""
    rows = [
        [name, *value_cells(fitted, verdicts, name), str(entry["verdict"]), entry.get("advice") or ""]
        for name, entry in verdicts.items()
        if entry["verdict"] != IDENTIFIED
    ]
    head = ["parameter", "value", "95 % interval", "unit", "verdict", "why, and what helps"]
    caption = "Parameters that the drives do not identify"
    return table(head, rows, caption=caption, texts=(3, 4, 5)) if rows else None


def value_cells(fitted: FittedModel, verdicts: Verdicts, name: str) -> list[str]:
    """Value, its 95 % interval and unit."""
    value = float(fitted.params[name])
    std = verdicts[name].get("std")
    error = NORMAL_95 * float(fitted.deviations.get(name, np.nan) if std is None else std)
    interval = f"{value - error:.4g} to {value + error:.4g}" if np.isfinite(error) else "not known"
    return [f"{value:.4g}", interval, fitted.spec.parameter(name).unit]


def varying_clause(varying: Mapping[str, Varying]) -> str:
    """How many predicted parameters vary, and by what, as a sentence."""
    moving = {name: one for name, one in varying.items() if one.changes}
    if not moving:
        return "No predicted parameter varies over these drives: a fit of constants says as much."
    of = f"{len(moving)} of {len(varying)} predicted parameters vary"
    named = [f"{name} ({varies_with(one)})" for name, one in list(moving.items())[:LISTED]]
    return f"{of}: {'; '.join(named)}{'; …' if len(moving) > LISTED else ''}."


def varying_table(spec: ModelSpec, varying: Mapping[str, Varying]) -> Part:
    """Predicted parameters over the windows: how far they vary, and by what."""
    known = any(one.truth_error is not None for one in varying.values())
    head = ["parameter", "median", "5 to 95 %", "unit", "default", "varies"]
    rows = []
    for name, one in varying.items():
        row = spec.parameter(name)
        ends = f"{one.low:.4g} to {one.high:.4g}"
        cells = [name, f"{one.median:.4g}", ends, row.unit, f"{float(row.default):.4g}", varies_with(one)]
        rows.append([*cells, _beside_truth(one)] if known else cells)
    if known:
        head.append("beside the truth")
    return table(head, rows, caption="Parameters as they are predicted over the windows", texts=(3, 5, 6))


def varies_with(one: Varying) -> str:
    """By what a parameter varies, in words."""
    if not one.changes:
        return "hardly at all"
    parts = []
    if one.between is not None:
        parts.append(f"{100 * one.between:.0f} % of its variance between recordings")
    if one.follows is not None and one.correlation is not None:
        verb = "rises" if one.correlation > 0 else "falls"
        parts.append(f"{verb} with {one.follows}, rank correlation {one.correlation:.2f}")
    return ", ".join(parts) or "with nothing that was looked at"


def _beside_truth(one: Varying) -> str:
    if one.truth_error is None:
        return "not known"
    related = "" if one.truth_correlation is None else f", correlation {one.truth_correlation:.2f}"
    return f"median error {one.truth_error:.2g}{related}"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:LISTED]) + (", …" if len(names) > LISTED else "")
