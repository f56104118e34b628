"""The quantities that fits to parts of the drives are compared by: scalar parameters, and side forces of the
axles at slip angles.

Parameters are compared on the unbounded axis. In the unit, a value near a bound would have nearly no error
and all the weight. Errors are carried over to the unit by the slope, intervals and ``tau`` by their ends.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import expit

from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec
from pct.optimization.constants.covariance import solve_positive
from pct.optimization.constants.curves import AXLES, differences, force_at, has_curves
from pct.optimization.constants.estimate import Estimate, scalar_places

# Slip angles in rad at which side forces are compared.
SLIPS = (0.01, 0.03, 0.06, 0.1, 0.15)


class Quantities:
    """F quantities of a model.

    Args:
        spec: the model.
        known: information of the prior on the unbounded axis, (P, P).

    Attributes:
        places: position of each scalar parameter in the vector, by name.
        points: axle and slip angle in rad of each side force.
        names, units: of the quantities: parameters, then side forces.
    """

    def __init__(self, spec: ModelSpec, known: np.ndarray) -> None:
        self._spec, self._known = spec, known
        self.places = scalar_places(spec)
        self._axles = AXLES if has_curves(spec) else ()
        self.points = [(axle, slip) for axle in self._axles for slip in SLIPS]
        self.names = [*self.places, *(f"{axle} {slip:g}" for axle, slip in self.points)]
        unit = "1" if "m" in spec.param_keys else "N"
        units = [spec.parameter(name).unit for name in self.places]
        self.units = [*units, *[unit] * len(self.points)]

    def at(self, fit: Estimate) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The quantities of an estimate, (F,), their slopes on the unbounded axis, (F, P), and the variance
        that the prior has in them, (F,)."""
        spec, numbers = self._spec, list(self.places.values())
        unit = np.eye(fit.raw.size)[numbers]
        values, slopes = fit.raw[numbers], unit
        if self.points:
            params = {**spec.default_params, **fit.params(spec)}

            def forces(p: SimpleNamespace) -> np.ndarray:
                return np.concatenate([force_at(spec, axle, np.array(SLIPS), p) for axle in self._axles])

            curve, by_unit = differences(forces, spec, params)
            steep = np.array([self.slope(n, fit.raw[place]) for n, place in enumerate(numbers)])
            by_raw = np.zeros((len(curve), fit.raw.size))
            by_raw[:, numbers] = (by_unit * steep[:, None]).T
            values, slopes = np.concatenate([values, curve]), np.concatenate([unit, by_raw])
        _, bread = covariances_of(fit, self._known)
        pulled = slopes @ bread
        return values, slopes, np.einsum("fp,pq,fq->f", pulled, self._known, pulled)

    def _bounds(self, n: int) -> Bounds | None:
        """Bounds of a quantity; None for a point of a curve."""
        names = list(self.places)
        return Bounds.of(self._spec, [names[n]]) if n < len(names) else None

    def in_unit(self, n: int, values: Any) -> np.ndarray:
        """Values (...) of quantity ``n`` in its unit, from the axis that it is compared on."""
        bounds = self._bounds(n)
        if bounds is None:
            return np.asarray(values, float)
        with jax.enable_x64(True):
            return np.asarray(bounds.to(jnp.asarray(values, float)[..., None])[..., 0])

    def slope(self, n: int, values: Any) -> np.ndarray:
        """Change of quantity ``n`` in its unit with the axis that it is compared on, at values (...)."""
        bounds = self._bounds(n)
        if bounds is None:
            return np.ones(np.shape(values))
        with jax.enable_x64(True):
            at = bounds.slope(jnp.asarray(self.in_unit(n, values))[..., None])
        share = expit(np.asarray(values, float))
        return np.asarray(np.asarray(at, float)[..., 0] * share * (1 - share))


def covariances_of(fit: Estimate, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariance by sampling alone, and that as if the model were right with the prior, (P, P) each.

    Args:
        fit: to some of the windows.
        known: information of the prior, (P, P).
    """
    bread, _ = solve_positive(fit.information + known, np.eye(fit.raw.size))
    return fit.covariance - bread @ known @ bread, bread
