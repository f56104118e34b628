"""Do the recordings of a fit agree? Each is fitted alone, and their values are compared.

The blocks of one drive cannot know what differs from drive to drive (grip, load, trim, or what the model
lacks), so each recording is fitted alone (`pct.optimization.constants.alone`) and its quantities are compared
with those of the others (`pct.optimization.constants.quantities`).

Cochran's Q, by Welch's test, says whether recordings differ, over the scalar parameters and over the side
force of each axle at slip angles that were reached. All of these are one family to Holm's method: where
recordings are equal, the chance that anything is called different is 5 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from pct.dynamics.core import ModelSpec
from pct.optimization.constants.agreed import Agreed, Agreement
from pct.optimization.constants.alone import Alone
from pct.optimization.constants.curves import has_curves, reached_slips
from pct.optimization.constants.estimate import Estimate, scalar_places, with_blocks
from pct.optimization.constants.groups import Groups, group_windows
from pct.types import Float
from pct.windows.store import spread

if TYPE_CHECKING:
    from pct.optimization.constants.constant_fit import ConstantFit

# Groups from which their spread is stated as that of the car's drives.
ENOUGH = 4
# Windows of each group that tell which slip angles were reached.
SHOWN = 200


def agreement_of(
    fit: ConstantFit,
    by: str = "recording",
    *,
    files: Sequence[str] = (),
    least: int = 2,
) -> Agreement | None:
    """Fit each group of a fit's windows alone, and compare.

    Args:
        fit: to all windows.
        by: what a group is.
        files: the file that each recording is of, for ``by="file"``.
        least: fewest groups.

    Returns:
        None where there are fewer groups.

    Raises:
        UsageError: see `pct.optimization.constants.groups.group_windows`.
    """
    groups = group_windows(fit.windows, by, files)
    if len(groups.names) < least:
        return None
    alone = Alone(fit, least)
    double: Any = jax.config
    double = double.jax_enable_x64

    def one(item: tuple[str, np.ndarray]) -> Estimate | None:
        # A thread does not know the precision that another one was set to.
        with jax.enable_x64(double):
            return alone.best(item[1])

    with ThreadPoolExecutor(max_workers=2) as pool:
        estimates = list(pool.map(one, zip(groups.names, groups.numbers, strict=True)))
        quantities = alone.compare(estimates, _reached(fit, groups))
        if any(item.varies for item in quantities.values()):
            halves = [half for numbers in groups.numbers for half in np.array_split(numbers, 2)]
            starts = [None if e is None else e.params(fit.spec) for e in estimates for _ in range(2)]

            def again(item: tuple[np.ndarray, Any]) -> Estimate | None:
                with jax.enable_x64(double):
                    return alone.from_start(*item)

            quantities = alone.compare_halves(
                quantities, list(pool.map(again, zip(halves, starts, strict=True)))
            )
    if len(groups.names) >= ENOUGH:
        quantities.update(_by_jackknife(fit, groups, quantities))
    places = scalar_places(fit.spec)
    return Agreement(
        by,
        groups.names,
        tuple(len(numbers) for numbers in groups.numbers),
        {name: quantities[name] for name in places},
        {name: item for name, item in quantities.items() if name not in places},
    )


def with_agreement(
    covariance: Float[np.ndarray, "P P"],
    deviations: Float[np.ndarray, " P"],
    spec: ModelSpec,
    agreement: Agreement | None,
    *,
    next_drive: bool = True,
) -> np.ndarray:
    """A covariance of the pooled fit, stretched to the errors that are stated where drives were compared.

    Args:
        covariance: on the unbounded axis.
        deviations: standard errors in each parameter's unit.
        spec: the model.
        agreement: of its drives; None leaves all as it is.
        next_drive: whether it is that of the next drive, which differs from the mean; else of the mean.
    """
    stretch = np.ones(len(covariance))
    if agreement is not None:
        for name, n in scalar_places(spec).items():
            item = agreement.parameters[name]
            if np.isfinite(item.error) and deviations[n] > 0:
                between = 0.0 if item.effects is None else item.effects.tau * next_drive
                stretch[n] = np.hypot(item.error, between) / deviations[n]
    return covariance * np.outer(stretch, stretch)


def _by_jackknife(fit: ConstantFit, groups: Groups, quantities: Mapping[str, Agreed]) -> dict[str, Agreed]:
    """Parameters that single groups do not tell, with the jackknife over groups where it gives more."""
    untold = {name: n for name, n in scalar_places(fit.spec).items() if quantities[name].effects is None}
    if not untold:
        return {}
    blocks = np.full(len(fit.windows), -1)
    for number, of_group in enumerate(groups.numbers):
        blocks[of_group] = number
    options: Any = {"prior": fit.prior, "huber": fit.settings.huber}
    whole = with_blocks(fit.rollout_errors, fit.windows, fit.estimate, blocks, **options)
    errors, short = (estimate.deviations(fit.spec) for estimate in (whole, fit.estimate))
    return {
        name: quantities[name]._replace(error=float(errors[n]), freedom=whole.blocks - 1.0)
        for name, n in untold.items()
        if whole.sound and errors[n] > short[n]
    }


def _reached(fit: ConstantFit, groups: Groups) -> list[dict[str, float]]:
    """The largest slip angle of each axle by group."""
    if not has_curves(fit.spec):
        return [{} for _ in groups.names]
    params, result = fit.estimate.params(fit.spec), []
    chosen = [spread(numbers, SHOWN) for numbers in groups.numbers]
    states = fit.model.predict_windows(fit.windows.select(np.concatenate(chosen)))
    ends = np.cumsum([len(numbers) for numbers in chosen])[:-1]
    for rows, numbers in zip(np.split(states, ends), chosen, strict=True):
        result.append(reached_slips(fit.spec, params, rows[fit.estimate.accepted[numbers]]))
    return result
