"""What recordings that were fitted alone say of each parameter, and its table in a file.

`pct.optimization.constants.agreement` makes these values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, NotRequired, TypedDict

import msgspec
import numpy as np

from pct.json_files import Known, Text
from pct.optimization.constants.curves import NORMAL_95
from pct.optimization.constants.random_effects import CONFIDENCE, RandomEffects, combined_freedom
from pct.types import Bool, Float

# Recordings are different where the probability after Holm is below.
DIFFERENT = 0.05


class Agreed(NamedTuple):
    """One quantity, a parameter or a point of a curve, over the M groups; in its unit.

    Attributes:
        unit: of all below.
        values, errors: of each group and its sampling error, (M,); NaN where its fit failed.
        used: which of them excite it, (M,).
        pooled: value of the fit to all.
        effects: of those that are used; None where they are too few. Its intervals lie about ``pooled``, and
            count all of ``error``.
        error: standard error of ``pooled``: that of the mean across groups, its distance from that, and the
            error of the prior. Without effects: that of the jackknife over groups where it is above that over
            the fit's short blocks; else NaN.
        freedom: degrees of freedom of ``error``; NaN where that is.
        p, p_holm: that groups are equal, before and after Holm; NaN without effects.
        halves_p: that halves of single groups are equal; NaN where that was not looked at.
    """

    unit: str
    values: Float[np.ndarray, " M"]
    errors: Float[np.ndarray, " M"]
    used: Bool[np.ndarray, " M"]
    pooled: float
    effects: RandomEffects | None = None
    error: float = float("nan")
    freedom: float = float("nan")
    p: float = float("nan")
    p_holm: float = float("nan")
    halves_p: float = float("nan")

    @property
    def varies(self) -> bool:
        """Whether the groups differ."""
        return self.p_holm < DIFFERENT

    @property
    def within(self) -> bool:
        """Whether halves of single groups differ, too: then the model lacks something."""
        return self.halves_p < DIFFERENT

    @property
    def widening(self) -> float:
        """Student's t over the normal, of the error for the next drive: that of ``pooled``, with tau.

        Only tau rests on the number of drives; the error itself rests on all their blocks.
        """
        from scipy.special import stdtrit

        freedom = self.freedom
        if self.effects is not None:
            variances = [self.error**2, self.effects.tau**2]
            freedom = combined_freedom(variances, [freedom, self.effects.drives - 1.0])
        return float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) / NORMAL_95

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest value of the groups that are used."""
        return float(self.values[self.used].min()), float(self.values[self.used].max())


@dataclasses.dataclass(frozen=True, eq=False)
class Agreement:
    """Each group of drives fitted alone.

    Attributes:
        by: what a group is: recording, file or lap.
        names: of the M groups.
        windows: of each group, (M,).
        parameters: each scalar parameter by name.
        curves: side force by axle and slip angle in rad, e.g. ``front 0.06``.
    """

    by: str
    names: tuple[str, ...]
    windows: tuple[int, ...]
    parameters: Mapping[str, Agreed]
    curves: Mapping[str, Agreed]

    @property
    def quantities(self) -> dict[str, Agreed]:
        """Parameters and points of curves."""
        return {**self.parameters, **{f"side force {name}": item for name, item in self.curves.items()}}


def agreement_table(agreement: Agreement) -> dict[str, Any]:
    """All numbers by name, for a JSON file."""

    def rows(quantities: Mapping[str, Agreed]) -> dict[str, Any]:
        return {name: _row(item) for name, item in quantities.items()}

    return {
        "by": agreement.by,
        "names": agreement.names,
        "windows": agreement.windows,
        "parameters": rows(agreement.parameters),
        "curves": rows(agreement.curves),
    }


class EffectsTable(TypedDict):
    """`RandomEffects` in a file; null where a number was not finite."""

    mean: Known
    error: Known
    tau: Known
    low: Known
    high: Known
    next_low: Known
    next_high: Known
    q: Known
    p: Known
    drives: Annotated[int, msgspec.Meta(ge=1)]
    freedom: NotRequired[Known]


class AgreedTable(TypedDict):
    """`Agreed` in a file."""

    unit: Text
    values: list[Known]
    errors: list[Known]
    used: list[bool]
    pooled: Known
    effects: EffectsTable | None
    error: Known
    freedom: NotRequired[Known]
    p: Known
    p_holm: Known
    halves_p: Known


class AgreementTable(TypedDict):
    """`Agreement` in a file."""

    by: Text
    names: list[str]
    windows: list[int]
    parameters: dict[str, AgreedTable]
    curves: dict[str, AgreedTable]


def agreement_from_table(saved: AgreementTable) -> Agreement:
    """The agreement of what `agreement_table` gave, read back from JSON.

    Raises:
        ValueError: lists do not have one entry a group; the message names the key.
    """
    groups = len(saved["names"])

    def number(value: Any) -> Any:
        return float("nan") if value is None else value

    def item(key: str, row: AgreedTable) -> Agreed:
        saved_effects: Any = row["effects"]
        effects = saved_effects and {key: number(value) for key, value in saved_effects.items()}
        lengths = [len(row["values"]), len(row["errors"]), len(row["used"])]
        if lengths != 3 * [groups]:
            raise ValueError(f"'{key}': expected {groups} values, errors and used, found {lengths}")
        return Agreed(
            row["unit"],
            np.array([number(value) for value in row["values"]], float),
            np.array([number(value) for value in row["errors"]], float),
            np.array(row["used"], bool),
            number(row["pooled"]),
            None if effects is None else RandomEffects(**effects),
            number(row["error"]),
            number(row.get("freedom")),
            number(row["p"]),
            number(row["p_holm"]),
            number(row["halves_p"]),
        )

    if len(saved["windows"]) != groups:
        raise ValueError(f"'windows': expected {groups} numbers, found {len(saved['windows'])}")
    return Agreement(
        saved["by"],
        tuple(saved["names"]),
        tuple(saved["windows"]),
        {name: item(f"parameters.{name}", row) for name, row in saved["parameters"].items()},
        {name: item(f"curves.{name}", row) for name, row in saved["curves"].items()},
    )


def _row(item: Agreed) -> dict[str, Any]:
    row = item._asdict()
    return {**row, "effects": None if item.effects is None else item.effects._asdict(), "varies": item.varies}
