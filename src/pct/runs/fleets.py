"""The folder of a fleet: ``fleet.json`` with its cars, their mean and spread, and run folders of its cars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict

import msgspec
import numpy as np

from pct.dynamics.core import flatten_params
from pct.dynamics.registry import get_model
from pct.errors import DataError, UsageError
from pct.json_files import Number, read_json
from pct.optimization.constants.agreement import with_agreement
from pct.optimization.constants.fleet import FleetPrior, Summary, summary_table
from pct.optimization.constants.model import FittedModel
from pct.optimization.constants.population import CarFit
from pct.runs.directory import write_json
from pct.runs.model_files import load_agreement, load_fit, load_solution
from pct.runs.model_tables import Header, ModelTable, numbers, spec_from_table, spec_table

FLEET = "fleet.json"
FORMAT = 1


class PriorTable(TypedDict):
    """`FleetPrior` in a file."""

    names: list[str]
    mean: list[Number]
    covariance: list[list[Number]]
    cars: Annotated[int, msgspec.Meta(ge=2)]


class FleetTable(TypedDict):
    """What we read of ``fleet.json``."""

    prior: PriorTable | None


def write_fleet(
    folder: Path,
    model: FittedModel | None,
    summary: Summary | None,
    cars: Sequence[Mapping[str, Any]],
    **facts: Any,
) -> Path:
    """Write ``fleet.json``.

    Args:
        folder: of the fleet.
        model: of one of its fits; None where all failed.
        summary: None where there are fewer than two sound fits.
        cars: what became of each, by key.
        facts: further values by key.

    Raises:
        DataError: the file cannot be written.
    """
    table: dict[str, Any] = {"format": FORMAT, **facts, "cars": cars}
    if model is not None:
        table |= {**spec_table(model.spec), "dt": model.dt, "integrator": model.integrator_name}
        table |= {"substeps": model.substeps, "settings": model.settings}
    table |= {"prior": None} if summary is None else summary_table(summary)
    write_json(folder / FLEET, table)
    return folder / FLEET


def load_fleet_prior(folder: Path) -> FleetPrior:
    """The prior that a fleet is for the next car.

    Args:
        folder: of the fleet, or its ``fleet.json``.

    Raises:
        DataError: there is no fleet, it has no two sound fits, or the file is damaged.
    """
    path = folder / FLEET if folder.is_dir() else folder
    said = {"what": "the description of a fleet", "fix": "give the folder that `pct fleet fit` has printed"}
    header = read_json(path, Header, **said)
    if (version := header.get("format", 1)) > FORMAT:
        raise DataError(f"{path}: expected format {FORMAT}, found {version}: update PCT to read it")
    saved = read_json(path, FleetTable, **said)["prior"]
    if saved is None:
        raise DataError(f"{path}: expected a fleet of two fitted cars or more, found fewer: fit more cars")
    try:
        get_model(header["model"])
    except UsageError as error:
        raise DataError(f"{path}: {error}; give the file with its equations as `model`") from None
    table = read_json(path, ModelTable, **said)
    try:
        spec, size = spec_from_table(table), len(saved["names"])
        if absent := [name for name in saved["names"] if name not in spec.param_keys]:
            raise ValueError(f"'prior.names': expected learned parameters of {spec.name}, found {absent[0]}")
        mean = np.asarray(numbers("prior.mean", saved["mean"], (size,), exact=True))
        covariance = np.asarray(numbers("prior.covariance", saved["covariance"], (size, size), exact=True))
        if np.linalg.eigvalsh((covariance + covariance.T) / 2)[0] <= 0:
            raise ValueError("'prior.covariance': expected a positive definite matrix")
    except ValueError as error:
        raise DataError(f"{path}: {error}: {said['fix']}") from None
    return FleetPrior(spec, tuple(saved["names"]), mean, covariance, saved["cars"])


def load_car(run: Path) -> tuple[FittedModel, CarFit | None]:
    """The fit of a car from its run folder; None in the place of a solution that is not sound.

    Where single drives of the car were compared, its errors are those of the mean across them.

    Raises:
        DataError: the run is damaged.
    """
    model, solution = load_fit(run), load_solution(run)
    if solution is None or solution.information is None or not solution.sound:
        return model, None
    spec, covariance = model.spec, solution.covariance
    if not (np.isfinite(covariance).all() and np.isfinite(solution.information).all()):
        return model, None
    deviations = flatten_params(model.deviations, spec.param_keys, spec.full_shapes)
    agreement = load_agreement(run, spec)
    covariance = with_agreement(covariance, deviations, spec, agreement, next_drive=False)
    return model, CarFit(solution.raw, covariance, solution.information, solution.blocks)
