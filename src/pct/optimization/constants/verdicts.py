"""Is a parameter identified? A verdict on each, from the covariance of the fit.

The covariance of the fit is compared with the prior's: what the data did not narrow is not identified. Where
only a combination of parameters is identified, their errors are strongly correlated. Each parameter that is
not identified comes with the manoeuvre that would identify it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.dynamics.roles import manoeuvre
from pct.optimization.constants.estimate import Estimate, scalar_places
from pct.optimization.constants.profile import Profile
from pct.types import Float

# A standard error above this share of the prior's: the data hold next to nothing.
NOT_EXCITED = 0.7
# A standard error above this share of the value (or, near zero, of a tenth of the range) is weak.
WEAK = 0.15
# Correlation from which two parameters are traded off, where neither is known well.
TRADED_OFF = 0.9
# Distance to a bound, as a share of the range, below which the value rests on it.
AT_BOUND = 0.02
# Correlation from which a pair is reported.
REPORTED = 0.5


def make_verdicts(estimate: Estimate, spec: ModelSpec, prior: float) -> dict[str, dict[str, Any]]:
    """Verdict on each scalar parameter by name.

    Args:
        estimate: from `pct.optimization.constants.estimate.fit_parameters`.
        spec: the model that was fitted.
        prior: standard deviation of the prior that it was fitted with.

    Returns:
        ``{"verdict": ..., "with": name or None, "prior_share": ..., "advice": ...}`` by name; the verdict
        is one of ``identified``, ``weak``, ``traded off with NAME``, ``at bound`` and ``not excited``, which
        says to keep the nominal value; ``prior_share`` is the standard error over the prior's; ``advice`` is
        a sentence of what would identify it, None where it is identified.
    """
    spread = np.sqrt(np.diag(estimate.covariance))
    correlation = estimate.covariance / np.outer(spread, spread)
    deviations = estimate.deviations(spec)
    places = scalar_places(spec)
    verdicts = {}
    for key, n in places.items():
        low, high = (float(end) for end in spec.param_bounds[key])
        value, share = float(estimate.values[n]), float(spread[n] / prior)
        others = [(abs(correlation[n, m]), m, other) for other, m in places.items() if m != n]
        strength, _, strongest = max(others, default=(0.0, n, key))
        size = max(abs(value), 0.1 * (high - low))
        partner = None
        position = 1 / (1 + np.exp(-estimate.raw[n]))  # on the axis on which it is bounded
        near = min(position, 1 - position)
        if near < AT_BOUND and _share_beside_bound(estimate, prior, n, near) < NOT_EXCITED:
            verdict = "at bound"
        elif share > NOT_EXCITED:
            verdict = "not excited"
        elif deviations[n] < WEAK * size:
            verdict = "identified"
        elif strength > TRADED_OFF:
            partner = strongest
            verdict = f"traded off with {partner}"
        else:
            verdict = "weak"
        verdicts[key] = {
            "verdict": verdict,
            "with": partner,
            "prior_share": share,
            "advice": _advice(spec, key, verdict, partner),
        }
    return verdicts


def with_profile(verdict: dict[str, Any], profile: Profile, spec: ModelSpec) -> dict[str, Any]:
    """A verdict that gains from the profile: what is not bounded on both sides is not identified."""
    outcome = verdict["verdict"]
    if profile.converged and profile.interval == (None, None):
        outcome = "not excited"
    elif profile.converged and None in profile.interval and outcome == "identified":
        outcome = "weak"
    changed = {}
    if outcome != verdict["verdict"]:
        changed = {"verdict": outcome, "advice": _advice(spec, profile.name, outcome, None)}
    return {**verdict, **changed, "profile": profile.verdict}


def advice_lines(verdicts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What would identify the remaining parameters; one line for those with the same advice.

    Examples:
        >>> advice_lines({"C_f": {"advice": "Drive."}, "m": {"advice": None}, "E_f": {"advice": "Drive."}})
        ['C_f, E_f: Drive.']
    """
    advised = {name: entry["advice"] for name, entry in verdicts.items() if entry["advice"]}
    return [
        f"{', '.join(name for name in advised if advised[name] == advice)}: {advice}"
        for advice in dict.fromkeys(advised.values())
    ]


def correlations(estimate: Estimate, spec: ModelSpec) -> tuple[list[str], Float[np.ndarray, "N N"]]:
    """Names of the scalar parameters, and the correlations of their errors."""
    places = scalar_places(spec)
    numbers = list(places.values())
    covariance = estimate.covariance[np.ix_(numbers, numbers)]
    spread = np.sqrt(np.diag(covariance))
    return list(places), covariance / np.outer(spread, spread)


def strongest_pairs(
    names: Sequence[str], correlation: Float[np.ndarray, "N N"], most: int = 5
) -> list[tuple[str, str, float]]:
    """The pairs with the strongest correlations, strongest first; none weaker than `REPORTED`.

    Examples:
        >>> strongest_pairs(["a", "b", "c"], np.array([[1, -0.9, 0.1], [-0.9, 1, 0.6], [0.1, 0.6, 1]]))
        [('a', 'b', -0.9), ('b', 'c', 0.6)]
    """
    pairs = zip(*np.triu_indices(len(names), 1), strict=True)
    ranked = sorted(pairs, key=lambda pair: -abs(correlation[pair]))[:most]
    pairs_by_strength = ((int(i), int(j), float(correlation[i, j])) for i, j in ranked)
    return [
        (names[i], names[j], strength) for i, j, strength in pairs_by_strength if abs(strength) >= REPORTED
    ]


def _share_beside_bound(estimate: Estimate, prior: float, n: int, near: float) -> float:
    """Standard error over the prior's as if the unbounded axis were as steep here as in the middle.

    At a bound nothing moves on that axis, so there the plain share is one whatever the data say.
    """
    steepness = np.ones(len(estimate.raw))
    steepness[n] = 4 * near * (1 - near)
    information = estimate.information / np.outer(steepness, steepness)
    covariance = np.linalg.inv(information + np.eye(len(estimate.raw)) / prior**2)
    return float(np.sqrt(covariance[n, n]) / prior)


def _advice(spec: ModelSpec, name: str, verdict: str, partner: str | None) -> str | None:
    """What identifies a parameter that is not identified."""
    if verdict == "identified":
        return None
    if verdict == "at bound":
        return "A bound stops it: widen the bound, or look for what the model lacks."
    return (f"Hold {partner}, or: " if partner else "") + manoeuvre(spec, name)
