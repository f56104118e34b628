"""Constant parameters of a model, fitted to all windows at once: the classical answer, in seconds.

`scipy.optimize.least_squares` (trust region reflective) moves the context parameters until the rollouts
meet the logs; JAX gives the residuals and their exact Jacobian.

References:
    M. A. Branch, T. F. Coleman, Y. Li, "A Subspace, Interior, and Conjugate Gradient Method for
    Large-Scale Bound-Constrained Minimization Problems", SIAM J. Sci. Comput. 21 (1999).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import least_squares

from pct.data.windows import FeatureDataset
from pct.dynamics.core import ModelSpec, flatten_bounds, flatten_params, unflatten_params
from pct.dynamics.losses import channel_residual
from pct.errors import DivergedError
from pct.integration import Integrator, integrate_rk4, rollout
from pct.types import Array, Float

# Starts this share of the range inside a bound, where the method needs an interior point.
EDGE = 1e-6


@dataclasses.dataclass(frozen=True)
class TunedParameters:
    """Result of `tune_parameters`.

    Attributes:
        params: value of each context parameter in its unit.
        covariance: Gauss-Newton covariance of the flat parameter vector, (P, P), as if the residuals were
            independent; neighbouring rows and windows are not, so it is a lower bound.
        loss: mean squared scaled residual before and after.
        evaluations: residual evaluations spent.
    """

    params: dict[str, Any]
    covariance: np.ndarray
    loss: tuple[float, float]
    evaluations: int


def tune_parameters(
    dataset: FeatureDataset,
    spec: ModelSpec,
    base_params: Mapping[str, Any],
    integrator: Integrator = integrate_rk4,
    *,
    robust: bool = True,
    max_evaluations: int = 50,
) -> TunedParameters:
    """Fit one value of each context parameter to all windows, within the bounds.

    Args:
        dataset: windows; features are not read.
        spec: the model; `with_fixed` holds parameters.
        base_params: all other parameters and ``dt``, from `ModelSpec.build_base_params`.
        integrator: one of `pct.integration.INTEGRATORS`.
        robust: soften residuals beyond one channel scale, so that a spin does not own the fit.
        max_evaluations: when to stop.

    Returns:
        Values, covariance and what was reached.

    Raises:
        DivergedError: the rollouts with the default parameters are not finite.
    """
    keys, shapes = spec.param_keys, spec.full_shapes
    low, high = flatten_bounds(keys, spec.param_bounds, shapes)
    width = high - low
    constants = {key: value for key, value in base_params.items() if key != "dt"}

    @jax.jit
    def residual(share: Float[Array, " P"]) -> Array:
        values = (low + width * share).astype(dataset.targets.dtype)
        params = unflatten_params(values, keys, shapes)
        predicted = rollout(
            spec.dynamics_fn,
            integrator,
            dataset.initial_states,
            dataset.controls,
            {**constants, **params},
            base_params["dt"],
        )
        scaled = channel_residual(predicted, dataset.targets, spec.angle_mask) / jnp.asarray(
            spec.scales, predicted.dtype
        )
        return scaled.ravel()

    jacobian = jax.jit(jax.jacfwd(residual))
    start = np.clip((flatten_params(spec.default_params, keys, shapes) - low) / width, EDGE, 1 - EDGE)
    first = np.asarray(residual(jnp.asarray(start)), np.float64)
    if not np.isfinite(first).all():
        raise DivergedError(
            f"{spec.name}: rollouts with the default parameters are not finite: "
            "shorten the horizon or raise the number of substeps"
        )
    fit = least_squares(
        lambda share: np.asarray(residual(jnp.asarray(share)), np.float64),
        start,
        jac=lambda share: np.asarray(jacobian(jnp.asarray(share)), np.float64),
        bounds=(0.0, 1.0),
        loss="soft_l1" if robust else "linear",
        max_nfev=max_evaluations,
    )
    last = np.asarray(residual(jnp.asarray(fit.x)), np.float64)
    freedom = max(last.size - fit.x.size, 1)
    covariance = np.linalg.pinv(fit.jac.T @ fit.jac) * (last @ last / freedom) * np.outer(width, width)
    return TunedParameters(
        params=unflatten_params(low + width * fit.x, keys, shapes),
        covariance=covariance,
        loss=(float(np.mean(first**2)), float(np.mean(last**2))),
        evaluations=int(fit.nfev),
    )
