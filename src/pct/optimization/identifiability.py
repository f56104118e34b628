"""Did the drive tell a parameter? A verdict on each, from the fit's covariance.

The covariance of the fit is compared with the prior's: what the data did not narrow, they did not tell. Where
they told only a combination, the parameters of it are strongly correlated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.optimization.fitting import Fit

# A standard error above this share of the prior's: the data said next to nothing.
NOT_EXCITED = 0.7
# A standard error above this share of the value (or, near zero, of a tenth of the range) is weak.
WEAK = 0.15
# Correlation from which two parameters are traded off, where neither is known well.
TRADED_OFF = 0.9
# Distance to a bound, as a share of the range, below which the value rests on it.
AT_BOUND = 0.02


def judge(fit: Fit, spec: ModelSpec, prior: float) -> dict[str, dict[str, Any]]:
    """Verdict on each scalar parameter by name.

    Args:
        fit: from `pct.optimization.fitting.fit_parameters`.
        spec: the model that was fitted.
        prior: standard deviation of the prior that it was fitted with.

    Returns:
        ``{"verdict": ..., "with": name or None, "prior_share": ...}`` by name; the verdict is one of
        ``identified``, ``weak``, ``traded off with NAME``, ``at bound`` and ``not excited``, which says to
        keep the nominal value; ``prior_share`` is the standard error over the prior's.
    """
    spread = np.sqrt(np.diag(fit.covariance))
    correlation = fit.covariance / np.outer(spread, spread)
    deviations = fit.deviations(spec)
    names = [key for key in spec.param_keys for _ in range(int(np.prod(spec.full_shapes[key])))]
    scalars = [n for n, key in enumerate(names) if not spec.full_shapes[key]]
    verdicts = {}
    for n in scalars:
        key = names[n]
        low, high = (float(end) for end in spec.param_bounds[key])
        value, share = float(fit.values[n]), float(spread[n] / prior)
        among = [(abs(correlation[n, m]), m) for m in scalars if m != n]
        strength, other = max(among, default=(0.0, n))
        size = max(abs(value), 0.1 * (high - low))
        partner = None
        position = 1 / (1 + np.exp(-fit.raw[n]))  # on the axis on which it is bounded
        if share > NOT_EXCITED:
            verdict = "not excited"
        elif min(position, 1 - position) < AT_BOUND:
            verdict = "at bound"
        elif deviations[n] < WEAK * size:
            verdict = "identified"
        elif strength > TRADED_OFF:
            partner = names[other]
            verdict = f"traded off with {partner}"
        else:
            verdict = "weak"
        verdicts[key] = {"verdict": verdict, "with": partner, "prior_share": share}
    return verdicts
