"""A fleet: its cars' parameters in their units, and the prior that they are for the next car."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec
from pct.errors import UsageError
from pct.optimization.constants.agreed import DIFFERENT
from pct.optimization.constants.curves import NORMAL_95
from pct.optimization.constants.estimate import PRIOR, raw_slopes, raw_values, scalar_places
from pct.optimization.constants.population import (
    CarFit,
    Population,
    effects_of,
    estimate_population,
    find_outliers,
    read_cars,
)
from pct.optimization.constants.prior import Prior, covariance_of
from pct.optimization.constants.random_effects import RandomEffects, holm
from pct.types import Bool, Float


class FleetParameter(NamedTuple):
    """One parameter over M cars, in its unit.

    Attributes:
        unit: of all below.
        values, errors: of each car by its own fit, the prior's pull undone, and its sampling error, (M,).
        used: which cars say enough of it to count, (M,).
        effects: mean, spread and test; None where fewer than two cars count.
        p_holm: that all cars are equal, by Holm's method over all parameters; NaN without effects.
        shared: of each car by its data and the fleet together, (M,).
        low, high: 95 % intervals of these, (M,).
    """

    unit: str
    values: Float[np.ndarray, " M"]
    errors: Float[np.ndarray, " M"]
    used: Bool[np.ndarray, " M"]
    effects: RandomEffects | None
    p_holm: float
    shared: Float[np.ndarray, " M"]
    low: Float[np.ndarray, " M"]
    high: Float[np.ndarray, " M"]

    @property
    def differs(self) -> bool:
        """Whether the cars differ."""
        return self.p_holm < DIFFERENT


class FleetPrior(NamedTuple):
    """What a fleet says of the next car.

    Attributes:
        spec: the model of its cars.
        names: parameters that its cars learned.
        mean: of them on the unbounded axis of ``spec``, (P,).
        covariance: of one more car about it, (P, P).
        cars: of the fleet.
    """

    spec: ModelSpec
    names: tuple[str, ...]
    mean: Float[np.ndarray, " P"]
    covariance: Float[np.ndarray, "P P"]
    cars: int


@dataclasses.dataclass(frozen=True, eq=False)
class Summary:
    """The cars of a fleet together.

    Attributes:
        names: of the M cars.
        parameters: each by name.
        outliers: by car, the parameters in which it differs from the others beyond their spread.
        prior: for the next car.
    """

    names: tuple[str, ...]
    parameters: Mapping[str, FleetParameter]
    outliers: Mapping[str, tuple[str, ...]]
    prior: FleetPrior


def summarise(spec: ModelSpec, cars: Mapping[str, CarFit], prior: Prior = PRIOR) -> Summary:
    """Mean, spread and single cars of a fleet.

    Args:
        spec: the model as it was fitted, whose defaults are the centre of the prior.
        cars: solution of the fit of each, by name; two or more.
        prior: of the fits.
    """
    places = scalar_places(spec)
    chosen = list(places.values())
    block = np.ix_(chosen, chosen)
    centre = raw_values(spec, spec.default_params)[chosen]
    known = covariance_of(prior, spec.vector_size)[block]
    fits = [
        fit._replace(
            raw=fit.raw[chosen], covariance=fit.covariance[block], information=fit.information[block]
        )
        for fit in cars.values()
    ]
    readings = read_cars(fits, centre, known)
    population = estimate_population(readings, centre, known)
    effects = effects_of(readings)
    adjusted = holm(np.array([np.nan if one is None else one.p for one in effects]))
    parameters = {}
    for n, name in enumerate(places):
        values, slopes = _in_unit(spec, name, readings.values[:, n])
        parameters[name] = FleetParameter(
            spec.parameter(name).unit,
            values,
            readings.errors[:, n] * slopes,
            readings.used[:, n],
            _effects_in_unit(spec, name, effects[n]),
            float(adjusted[n]),
            *_shared(spec, name, population, n),
        )
    names, learned = tuple(cars), tuple(places)
    outliers = {
        names[car]: tuple(learned[n] for n in differing) for car, differing in find_outliers(readings).items()
    }
    return Summary(
        names,
        parameters,
        outliers,
        FleetPrior(spec, learned, population.mean, population.next_car, len(names)),
    )


def with_fleet(spec: ModelSpec, fleet: FleetPrior) -> tuple[ModelSpec, np.ndarray]:
    """A car of the fleet's kind: the model with the fleet's mean as defaults, and its prior, (P, P).

    Parameters that the fleet has not learned keep their defaults and the usual prior.

    Args:
        spec: of the car; may have other bounds than the fleet's cars, and hold other parameters.
        fleet: its prior.

    Raises:
        UsageError: the fleet is of another model, or has learned nothing that the car learns.
    """
    if spec.name != fleet.spec.name:
        raise UsageError(f"`prior`: expected a fleet of {spec.name}, found one of {fleet.spec.name}")
    places = scalar_places(spec)
    names = [name for name in fleet.names if name in places]
    if not names:
        raise UsageError(
            f"`prior`: expected a fleet that has learned {' or '.join(places)}, found one that has learned "
            f"{', '.join(fleet.names)}"
        )
    own, theirs = [places[name] for name in names], [fleet.names.index(name) for name in names]
    values, slopes = Bounds.of(fleet.spec, names).on_host(fleet.mean[theirs])
    centred = dataclasses.replace(
        spec, default_params={**spec.default_params, **dict(zip(names, values.tolist(), strict=True))}
    )
    # Where both have the same bounds this is one, but for rounding.
    scale = slopes / raw_slopes(centred, raw_values(centred, centred.default_params))[own]
    covariance = covariance_of(PRIOR, spec.vector_size)
    covariance[np.ix_(own, own)] = fleet.covariance[np.ix_(theirs, theirs)] * np.outer(scale, scale)
    return centred, covariance


def summary_facts(summary: Summary, by: str) -> list[str]:
    """How the cars differ, and which are unlike the others, in sentences."""
    lines, items = [], summary.parameters
    what = f"{by}s"
    apart = [
        f"{name} ({item.effects.mean:.3g} ± {item.effects.tau:.2g} {item.unit})".replace(" 1)", ")")
        for name, item in items.items()
        if item.effects is not None and item.differs
    ]
    equal = [name for name, item in items.items() if item.effects is not None and not item.differs]
    unknown = [name for name, item in items.items() if item.effects is None]
    lines.append(
        f"{len(summary.names)} {what}."
        + (f" They differ in {', '.join(apart)} (mean and standard deviation)." if apart else "")
        + (f" No difference was found in {', '.join(equal)}." if equal else "")
        + (f" They say too little of {', '.join(unknown)}." if unknown else "")
    )
    for car, names in summary.outliers.items():
        lines.append(f"{car} is unlike the other {what} in {', '.join(names)}: look at its log first.")
    return lines


def summary_cells(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the fleet's parameters as text."""
    head = ["parameter", "mean", "95 %", "spread", "next car, 95 %", "p", "cars", "the cars", "unit"]
    rows = []
    for name, item in summary.parameters.items():
        effects, cells = item.effects, ["–"] * 5
        if effects is not None:
            cells = [
                f"{effects.mean:.4g}",
                f"{effects.low:.4g} to {effects.high:.4g}",
                f"{effects.tau:.2g}",
                f"{effects.next_low:.3g} to {effects.next_high:.3g}",
                f"{item.p_holm:.2g}",
            ]
        verdict = "say too little" if effects is None else "differ" if item.differs else "are alike"
        rows.append([name, *cells, str(int(item.used.sum())), verdict, item.unit])
    return head, rows


def car_cells(summary: Summary, most: int | None = None) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the cars as text, with the fleet known; the unlike ones first where not all fit."""
    order = range(len(summary.names))
    if most is not None and len(summary.names) > most:
        order = sorted(order, key=lambda n: summary.names[n] not in summary.outliers)[:most]  # type: ignore[assignment]
    rows = []
    for n in order:
        cells = [
            f"{item.shared[n]:.4g} ({item.low[n]:.3g} to {item.high[n]:.3g})"
            for item in summary.parameters.values()
        ]
        rows.append([summary.names[n], *cells, ", ".join(summary.outliers.get(summary.names[n], ()))])
    return ["car", *summary.parameters, "unlike the others in"], rows


def summary_table(summary: Summary) -> dict[str, Any]:
    """All numbers by name, for a JSON file."""
    prior = summary.prior
    return {
        "names": summary.names,
        "parameters": {
            name: {
                **item._asdict(),
                "effects": None if item.effects is None else item.effects._asdict(),
                "differs": item.differs,
            }
            for name, item in summary.parameters.items()
        },
        "outliers": summary.outliers,
        "prior": {
            "names": prior.names,
            "mean": prior.mean,
            "covariance": prior.covariance,
            "cars": prior.cars,
        },
    }


def _in_unit(spec: ModelSpec, name: str, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values of a parameter in its unit, and their change with the unbounded axis."""
    values, slopes = Bounds.of(spec, [name]).on_host(np.asarray(raw, float)[..., None])
    return values[..., 0], slopes[..., 0]


def _shared(spec: ModelSpec, name: str, population: Population, n: int) -> list[np.ndarray]:
    """Values and ends of intervals of a parameter, in its unit."""
    values, errors = population.values[:, n], population.errors[:, n]
    return [_in_unit(spec, name, values + side * NORMAL_95 * errors)[0] for side in (0, -1, 1)]


def _effects_in_unit(spec: ModelSpec, name: str, effects: RandomEffects | None) -> RandomEffects | None:
    if effects is None:
        return None
    keys = ("mean", "low", "high", "next_low", "next_high")
    ends, slopes = _in_unit(spec, name, np.array([getattr(effects, key) for key in keys]))
    moved: Any = dict(zip(keys, ends.tolist(), strict=True))
    around = _in_unit(spec, name, effects.mean + np.array([-effects.tau, effects.tau]))[0]
    tau = float(np.diff(around)[0] / 2)
    return effects._replace(error=effects.error * float(slopes[0]), tau=tau, **moved)
