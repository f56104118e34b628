"""Is a parameter identified? A verdict on each, from the covariance of the fit and from its recordings.

The covariance of the fit is compared with the prior's: what the data did not narrow is not identified. What
differs between recordings counts as error, since the next drive will differ as much. Where only a combination
of parameters is identified, their errors are strongly correlated. `Facts` holds everything that is known of a
parameter, and `judge` alone makes verdict and advice of it, so that the two agree. Each parameter that is not
identified comes with the manoeuvre that would identify it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from pct.dynamics.core import ModelSpec
from pct.dynamics.roles import manoeuvre
from pct.optimization.constants.agreed import Agreement
from pct.optimization.constants.covariance import solve_positive
from pct.optimization.constants.estimate import Estimate, raw_values, scalar_places
from pct.optimization.constants.prior import Prior, deviations_of, information_of
from pct.optimization.constants.profile import Profile
from pct.types import Float

# A standard error above this share of the prior's: the data hold next to nothing.
NOT_EXCITED = 0.7
# ... unless they moved the parameter by so many prior deviations.
MOVED = 2.0
# A standard error above this share of the value (or, near zero, of a tenth of the range) is weak.
WEAK = 0.15
# Correlation from which two parameters are traded off, where neither is known well.
TRADED_OFF = 0.9
# A value so far out on the unbounded axis, in deviations of a prior that spans the range, is near a bound,
# unless it is known to lie so many of its own errors inside. A bound that the data push against leaves an
# error of a third or more of the distance.
NEAR_BOUND, INSIDE = 3.0, 5.0
# The fit rests on clipped rows where windows without any hold less than this share of the information.
CLIPPED = 0.5
# Correlation from which a pair is reported.
REPORTED = 0.5
NORMAL_95 = 1.96

ERROR_NOT_KNOWN = "No standard error could be computed: shorten the horizon, or hold parameters."
AT_BOUND = "A bound stops it: widen the bound, or look for what the model lacks."
LEANS = "Most of what is known of it comes from rows at a limit of the model: raise the limit and fit again."
VARIES = "The car or the floor changed, or the model lacks what differs between the drives."
VARIES_WITHIN = (
    "The model lacks something: halves of single drives differ, too. Else the car or the floor changed."
)


# A verdict that begins so is on what differs between drives.
VARIES_VERDICT = "varies"


def varying_names(verdicts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The parameters that differ between drives.

    Examples:
        >>> varying_names({"mu": {"verdict": "varies between laps (from 0.4 to 1)"}})
        ['mu']
    """
    return [name for name, entry in verdicts.items() if str(entry["verdict"]).startswith(VARIES_VERDICT)]


class Facts(NamedTuple):
    """What is known of one scalar parameter.

    Attributes:
        size: what an error is compared with: the value, or a tenth of the range near zero; in its unit.
        std: standard error in its unit; NaN or inf where it is not known.
        between: standard deviation of what differs between drives, in its unit; None where that was not
            looked at.
        widening: of the standard error, since it rests on few blocks or drives: Student's t over the normal.
        prior_share: standard error over the prior's, on the unbounded axis.
        moved: how far it is from its default, in prior deviations.
        outwards: how far it is from the middle of its range on the unbounded axis.
        raw_error: standard error on that axis, as if the model were right, or more.
        beside_bound: ``prior_share`` as if the unbounded axis were as steep here as in the middle.
        sound: whether the covariance of the fit is.
        clipped_share: share of the information from windows without a clipped row; 1 where not looked at.
        partner: the parameter with the most correlated error, and the correlation; None where there is none.
        known: relative error of their product, or ratio, where the correlation is positive; NaN near zero.
        varies: lowest and highest value of the groups where these differ; None where they do not.
        within: whether halves of single groups differ, too.
        groups: what varies: recordings, files or laps.
    """

    size: float
    std: float
    between: float | None = None
    widening: float = 1.0
    prior_share: float = 0.0
    moved: float = 0.0
    outwards: float = 0.0
    raw_error: float = 0.0
    beside_bound: float = 0.0
    sound: bool = True
    clipped_share: float = 1.0
    partner: tuple[str, float] | None = None
    known: float = math.nan
    varies: tuple[float, float] | None = None
    within: bool = False
    groups: str = "recordings"

    @property
    def share_of_value(self) -> float:
        """Error of the value for the next drive, over ``size``."""
        return self.widening * math.hypot(self.std, self.between or 0.0) / self.size

    @property
    def at_bound(self) -> bool:
        """Whether a bound stops it, as far as the data see it at all."""
        outwards = abs(self.outwards)
        near = outwards > NEAR_BOUND or (outwards > MOVED and self.prior_share > NOT_EXCITED)
        known_inside = self.raw_error * INSIDE < 1
        return near and not known_inside and (self.moved > MOVED or self.beside_bound < NOT_EXCITED)


def judge(spec: ModelSpec, name: str, facts: Facts) -> dict[str, Any]:
    """Verdict and advice of one parameter; the only place that makes them."""
    partner = None
    advice: str | None
    if not facts.sound or not math.isfinite(facts.std):
        verdict, advice = "error not known", ERROR_NOT_KNOWN
    elif facts.at_bound:
        verdict, advice = "at bound", AT_BOUND
    elif facts.prior_share > NOT_EXCITED and facts.moved <= MOVED:
        verdict, advice = "not excited", manoeuvre(spec, name)
    elif facts.clipped_share < CLIPPED:
        verdict, advice = "leans on clipped rows", LEANS
    elif facts.varies is not None:
        low, high = facts.varies
        verdict = f"{VARIES_VERDICT} between {facts.groups} (from {low:.3g} to {high:.3g})"
        advice = VARIES_WITHIN if facts.within else VARIES
    elif facts.share_of_value < WEAK:
        verdict, advice = "identified", None
    elif facts.partner is not None and abs(facts.partner[1]) > TRADED_OFF:
        partner, correlation = facts.partner
        verdict = f"traded off with {partner}"
        known = _combination(name, partner, correlation, facts.known)
        advice = f"{known} Hold {partner}, or: {manoeuvre(spec, name)}"
    else:
        verdict, advice = "weak", manoeuvre(spec, name)
    return {
        "verdict": verdict,
        "with": partner,
        "std": facts.std,
        "between": facts.between,
        "share_of_value": facts.share_of_value,
        "prior_share": facts.prior_share,
        "advice": advice,
    }


def _combination(name: str, partner: str, correlation: float, known: float) -> str:
    """What is known of two parameters that are traded off.

    Examples:
        >>> _combination("steering_ratio", "B_f", -0.98, 0.021)
        'Only steering_ratio x B_f is known, to ± 2.1 %.'
        >>> _combination("m", "C_m1", 0.99, float("nan"))
        'Only a combination of m and C_m1 is known.'
    """
    what = f"{name} x {partner}" if correlation < 0 else f"{name} / {partner}"
    if not math.isfinite(known):
        return f"Only a combination of {name} and {partner} is known."
    return f"Only {what} is known, to ± {100 * known:.2g} %."


def make_verdicts(
    estimate: Estimate, spec: ModelSpec, prior: Prior, agreement: Agreement | None = None
) -> dict[str, dict[str, Any]]:
    """Verdict on each scalar parameter by name.

    Args:
        estimate: from `pct.optimization.constants.estimate.fit_parameters`.
        spec: the model that was fitted.
        prior: that it was fitted with.
        agreement: of its recordings; the errors then include what differs between them.

    Returns:
        ``{"verdict": ..., "with": name or None, "std": ..., "between": ..., "share_of_value": ...,
        "prior_share": ..., "advice": ...}`` by name. The verdict is one of ``identified``, ``weak``, ``traded
        off with NAME``, ``varies between recordings (from ... to ...)``, ``at bound``, ``leans on clipped
        rows``, ``error not known`` and ``not excited``, which says to keep the nominal value. ``std`` is the
        standard error, ``between`` the standard deviation of what differs between recordings, None where that
        was not looked at; ``share_of_value`` what they are together, over the value; ``prior_share`` the
        standard error over the prior's; ``advice`` a sentence of what would identify it, None where it is
        identified.
    """
    return {
        name: judge(spec, name, facts) for name, facts in facts_of(estimate, spec, prior, agreement).items()
    }


def facts_of(
    estimate: Estimate, spec: ModelSpec, prior: Prior, agreement: Agreement | None = None
) -> dict[str, Facts]:
    """What is known of each scalar parameter by name; arguments as of `make_verdicts`."""
    from scipy.special import stdtrit

    spread = np.sqrt(np.diag(estimate.covariance))
    correlation = estimate.covariance / np.outer(spread, spread)
    deviations = estimate.deviations(spec)
    naive = _naive(estimate, prior, np.ones(estimate.raw.size))
    centre = raw_values(spec, spec.default_params)
    known_before = deviations_of(prior, estimate.raw.size)
    places = scalar_places(spec)
    # Errors made by hand have no blocks.
    blocks = stdtrit(max(estimate.blocks - 1, 1), 0.975) / NORMAL_95 if estimate.blocks else 1.0
    facts = {}
    for key, n in places.items():
        low, high = (float(end) for end in spec.param_bounds[key])
        value = float(estimate.values[n])
        others = [(abs(correlation[n, m]), m, other) for other, m in places.items() if m != n]
        strength, m, strongest = max(others, default=(0.0, n, key), key=lambda one: np.nan_to_num(one[0]))
        first, second = (
            float(deviations[i] / abs(estimate.values[i])) if estimate.values[i] else math.inf for i in (n, m)
        )
        steep = np.ones(estimate.raw.size)
        position = expit(estimate.raw[n])
        steep[n] = 4 * position * (1 - position)
        one = Facts(
            size=max(abs(value), 0.1 * (high - low)),
            std=float(deviations[n]),
            widening=float(blocks),
            prior_share=float(spread[n] / known_before[n]),
            moved=float(abs(estimate.raw[n] - centre[n]) / known_before[n]),
            outwards=float(estimate.raw[n]),
            raw_error=float(np.fmax(spread[n], naive[n])),
            beside_bound=float(_naive(estimate, prior, steep)[n] / known_before[n]),
            sound=estimate.sound,
            clipped_share=1.0 if estimate.clipped_share is None else float(estimate.clipped_share[n]),
            partner=(strongest, float(correlation[n, m])) if others else None,
            known=_together(first, second, float(strength)),
        )
        if agreement is not None:
            one = _with_agreement(one, key, agreement)
        facts[key] = one
    return facts


def _with_agreement(facts: Facts, name: str, agreement: Agreement) -> Facts:
    """The facts with what the recordings say."""
    agreed = agreement.parameters[name]
    if not math.isfinite(agreed.error):
        return facts
    return facts._replace(
        std=agreed.error,
        between=None if agreed.effects is None else agreed.effects.tau,
        widening=agreed.widening,
        varies=agreed.range if agreed.varies else None,
        within=agreed.within,
        groups=f"{agreement.by}s",
    )


def _together(first: float, second: float, strength: float) -> float:
    """Relative error of the combination of two parameters that is known best; NaN where one is near zero."""
    if not max(first, second) < 1:
        return math.nan
    return math.sqrt(max(first**2 + second**2 - 2 * strength * first * second, 0.0))


def with_profile(verdict: dict[str, Any], profile: Profile, spec: ModelSpec) -> dict[str, Any]:
    """A verdict that gains from the profile: what is not bounded on both sides is not identified."""
    outcome, said = verdict["verdict"], {"profile": profile.verdict}
    if not profile.converged or None not in profile.interval or not _by_errors(outcome):
        return {**verdict, **said}
    changed = "not excited" if profile.interval == (None, None) else outcome
    if changed == outcome == "identified":
        changed = "weak"
    advice = manoeuvre(spec, profile.name) if changed != outcome else verdict["advice"]
    partner = verdict["with"] if changed == outcome else None
    return {**verdict, "verdict": changed, "with": partner, "advice": advice, **said}


def _by_errors(verdict: str) -> bool:
    """Whether a verdict rests on the curvature of the cost, which a profile corrects."""
    return verdict in ("identified", "weak", "not excited") or verdict.startswith("traded off")


def advice_lines(verdicts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What would identify the remaining parameters; one line for those with the same advice.

    Examples:
        >>> advice_lines({"C_f": {"advice": "Drive."}, "m": {"advice": None}, "E_f": {"advice": "Drive."}})
        ['C_f, E_f: Drive.']
    """
    advised = {name: entry["advice"] for name, entry in verdicts.items() if entry.get("advice")}
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


def _naive(estimate: Estimate, prior: Prior, steepness: Float[np.ndarray, " P"]) -> np.ndarray:
    """Standard errors as if the model were right, (P,), where the axes are so much less steep than they were.

    At a bound nothing moves on the unbounded axis, so there the plain error is the prior's whatever the data
    say.
    """
    size = estimate.raw.size
    information = estimate.information / np.outer(steepness, steepness)
    covariance, _ = solve_positive(information + information_of(prior, size), np.eye(size))
    return np.sqrt(np.maximum(np.diag(covariance), 0.0))
