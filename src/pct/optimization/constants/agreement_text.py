"""What the recordings of a fit say of each other, in sentences and as a table of text."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pct.optimization.constants.agreed import Agreed, Agreement
from pct.optimization.constants.agreement import ENOUGH
from pct.optimization.constants.curves import AXLES


def agreement_facts(agreement: Agreement | None, recordings: int) -> list[str]:
    """Which quantities differ between the groups and what the standard errors hold for.

    Args:
        agreement: None where there were too few recordings.
        recordings: of the fit.
    """
    if agreement is None:
        drives = "this drive" if recordings == 1 else f"these {recordings} drives"
        return [
            f"The standard errors hold for {drives} only: how much another drive differs is known from "
            f"{ENOUGH} recordings on."
        ]
    groups = f"{agreement.by}s"
    lines = [f"Each of {len(agreement.names)} {groups} was fitted alone. {_parameters(agreement, groups)}"]
    lines += [line for axle in AXLES if (line := _side_force(axle, agreement.curves, groups)) is not None]
    if all(item.effects is None for item in agreement.parameters.values()):
        return lines
    lines.append(
        f"Standard errors are those of the mean across {groups}, its distance from the pooled value and the "
        f"prior; "
        f"'between' is the standard deviation of what differs between {groups} beyond their own errors."
    )
    return lines


def agreement_cells(
    agreement: Agreement, verdicts: Mapping[str, Mapping[str, Any]]
) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table of agreement, one row a parameter."""
    head = [
        "parameter",
        "pooled",
        "error",
        "between",
        "next " + agreement.by,
        "p",
        "verdict",
        "unit",
    ]
    rows = []
    for name, item in agreement.parameters.items():
        effects, cells = item.effects, ["–"] * 4
        if effects is None and math.isfinite(item.error):
            cells[0] = f"{item.error:.2g}"
        elif effects is not None:
            cells = [
                f"{item.error:.2g}",
                f"{effects.tau:.2g}",
                f"{effects.next_low:.3g} to {effects.next_high:.3g}",
                f"{item.p_holm:.2g}",
            ]
        verdict = str(verdicts.get(name, {}).get("verdict", ""))
        rows.append([name, f"{item.pooled:.4g}", *cells, verdict, item.unit])
    return head, rows


def _parameters(agreement: Agreement, groups: str) -> str:
    """Which parameters differ, which do not, and which could not be compared."""
    names = agreement.parameters
    varying = [
        f"{name} ({item.range[0]:.3g} to {item.range[1]:.3g} {item.unit})".replace(" 1)", ")")
        for name, item in names.items()
        if item.varies
    ]
    equal = [name for name, item in names.items() if item.effects is not None and not item.varies]
    unknown = [name for name, item in names.items() if item.effects is None]
    sentences = []
    if varying:
        sentences.append(f"They differ in {', '.join(varying)}.")
    if equal:
        sentences.append(f"No difference was found in {', '.join(equal)}.")
    if unknown:
        sentences.append(
            f"Single {groups} say too little of {', '.join(unknown)}; errors hold for these drives only."
        )
    return " ".join(sentences)


def _side_force(axle: str, curves: Mapping[str, Agreed], groups: str) -> str | None:
    """At which slip angles the side force of an axle differs, and by how much."""
    points = {float(name.split()[1]): item for name, item in curves.items() if name.startswith(axle)}
    apart = {slip: item for slip, item in points.items() if item.varies and item.effects is not None}
    if not apart:
        tested = [slip for slip, item in points.items() if item.effects is not None]
        if not tested:
            return None
        return f"Side force {axle}: no difference was found at slip angles up to {max(tested):g} rad."
    slip, item = max(apart.items())
    assert item.effects is not None
    share = 100 * item.effects.tau / max(abs(item.effects.mean), 1e-300)
    slips = ", ".join(f"{one:g}" for one in apart)
    return (
        f"Side force {axle} differs between {groups} at slip angles of {slips} rad: by {share:.2g} % at "
        f"{slip:g} rad (standard deviation)."
    )
