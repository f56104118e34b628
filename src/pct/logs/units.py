"""Units that logs are written in beside SI, and which texts may be one."""

import math
import re

# How many of a usual unit make the SI unit.
USUAL_UNITS: dict[str, dict[str, float]] = {
    "m": {"mm": 1e3, "cm": 1e2, "ft": 1 / 0.3048},
    "m/s": {"km/h": 3.6, "mph": 3600 / 1609.344, "mm/s": 1e3},
    "rad": {"deg": 180 / math.pi},
    "rad/s": {"deg/s": 180 / math.pi, "rpm": 30 / math.pi},
    "m/s^2": {"g": 1 / 9.80665},
    "1": {"percent": 1e2},
}

# A unit has no more signs, and is no longer a product.
LONGEST, MOST_FACTORS = 60, 8
_LETTERS = "A-Za-zµμΩΩΔÅ°%"
_TOKENS = re.compile(
    rf"""\s*(?:
    (?P<n>[0-9]{{1,9}}(?:\.[0-9]{{1,9}})?(?:[eE][+-]?[0-9]{{1,2}})?(?![0-9.]))  # a number
    | (?P<u>[{_LETTERS}][{_LETTERS}0-9_]*)  # a name
    | (?P<p>(?:\*\*|\^)\s*[+-]?[0-9](?:\.[0-9])?(?![0-9.]) | [⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹](?![⁰¹²³⁴⁵⁶⁷⁸⁹]))  # a power
    | (?P<o>[*/·⋅])
    | (?P<b>[(\[])
    | (?P<e>[)\]])
    )\s*""",
    re.VERBOSE,
)
# Sequences of these kinds: a product may stand in brackets, but not one with brackets; a power has no power.
_PRODUCT = "[nu]p?(?:o?[nu]p?)*"
_UNIT = re.compile(f"(?:[nu]p?|b{_PRODUCT}ep?)(?:o?(?:[nu]p?|b{_PRODUCT}ep?))*")


def may_be_unit(text: str) -> bool:
    """Whether a text is a product of names and numbers with small powers; others are not worked out.

    Examples:
        >>> [may_be_unit(text) for text in ("km/h", "m/s²", "N/(m/s)", "0.1 deg", "m·s^-1", "°C")]
        [True, True, True, True, True, True]
        >>> [may_be_unit(text) for text in ("9**9**9", "m^99", "s⁹⁹", "m + s", "m^-", "")]
        [False, False, False, False, False, False]
    """
    if len(text) > LONGEST:
        return False
    kinds, place = "", 0
    while place < len(text):
        token = _TOKENS.match(text, place)
        if token is None:
            return False
        kinds, place = f"{kinds}{token.lastgroup}", token.end()
    factors = kinds.count("n") + kinds.count("u")
    return factors <= MOST_FACTORS and _UNIT.fullmatch(kinds) is not None
