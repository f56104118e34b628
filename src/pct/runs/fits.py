"""The run folder of a fit: the values first, then verdicts and profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.files import write_output
from pct.optimization.constants.agreed import agreement_table
from pct.optimization.constants.constant_fit import ConstantFit
from pct.optimization.constants.posterior.posterior import Posterior, posterior_table
from pct.optimization.constants.profile import profile_table
from pct.optimization.parameter_files import describe_parameters
from pct.runs.directory import PREDICTED, after_saving, write_json
from pct.runs.model_files import AGREEMENT, save_fit
from pct.runs.overlap import save_fingerprint

DRAWS, POSTERIOR = "draws.parquet", "posterior.json"


def write_fit(run: Path, fit: ConstantFit) -> None:
    """Write all files of a fit but its report.

    Values and covariance are written first, so that a later failure loses nothing: it becomes a warning that
    names what is missing.

    Args:
        run: the run folder.
        fit: the fit.

    Raises:
        DataError: the folder cannot be written.
    """
    save_fit(run, fit, with_verdicts=False)
    save_fingerprint(run, fit.windows)
    write_json(run / PREDICTED, parameter_table(fit, with_verdicts=False))
    with after_saving("the verdicts"):
        save_fit(run, fit)
        write_json(run / PREDICTED, parameter_table(fit))
        if fit.agreement is not None:
            write_json(run / AGREEMENT, agreement_table(fit.agreement))
    if fit.posterior is not None:
        with after_saving("the posterior"):
            write_posterior(run, fit.posterior, fit.spec)
    for item in fit.profiles:
        with after_saving(f"the profile of {item.name}"):
            unit = fit.spec.parameter(item.name).unit
            write_json(run / f"profile_{item.name}.json", profile_table(item, unit))


def write_posterior(run: Path, posterior: Posterior, spec: ModelSpec) -> None:
    """Write ``draws.parquet``, one row a draw, and ``posterior.json``.

    Raises:
        DataError: the folder cannot be written.
    """
    import polars as pl

    chains, draws = posterior.divergent.shape
    table = pl.DataFrame(
        {
            "chain": np.repeat(np.arange(chains), draws),
            "draw": np.tile(np.arange(draws), chains),
            "divergent": posterior.divergent.ravel(),
            **dict(zip(posterior.names, posterior.draws.reshape(-1, len(posterior.names)).T, strict=True)),
        }
    )
    write_output(run / DRAWS, table.write_parquet)
    write_json(run / POSTERIOR, posterior_table(posterior, spec))


def parameter_table(fit: ConstantFit, *, with_verdicts: bool = True) -> dict[str, dict[str, Any]]:
    """Each learned parameter with value, standard error, unit, bounds and verdict, for a JSON file."""
    verdicts = fit.verdicts if with_verdicts else {}
    model = fit.model
    return describe_parameters(
        fit.spec,
        {
            name: {"mean": model.params[name], "std": model.deviations[name], **verdicts.get(name, {})}
            for name in fit.spec.param_keys
        },
    )
