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

# Others, which are taken only where a header or the end of a name says so: they are too near to those above.
RARE_UNITS: dict[str, dict[str, float]] = {
    "m": {"km": 1e-3},
    "m/s": {"knot": 3600 / 1852, "ft/s": 1 / 0.3048, "cm/s": 1e2},
    "rad": {"mrad": 1e3, "deg/100": 18000 / math.pi, "deg/10": 1800 / math.pi},
    "rad/s": {"mrad/s": 1e3, "deg/s/100": 18000 / math.pi},
}
# How logs write units, in headers (without spaces, in lower case) and at the end of names.
_WRITTEN = {
    "m": "m meter meters metre metres",
    "mm": "mm",
    "cm": "cm",
    "km": "km",
    "ft": "ft feet foot",
    "m/s": "m/s mps ms m_s",
    "km/h": "km/h kmh kph km_h kmph",
    "mph": "mph mi/h",
    "cm/s": "cm/s cmps cm_s cms",
    "mm/s": "mm/s mmps mm_s",
    "knot": "knot knots kn kt kts",
    "ft/s": "ft/s fps ft_s ftps",
    "rad": "rad radian radians",
    "deg": "deg degree degrees °",
    "mrad": "mrad",
    "deg/100": "cdeg centidegree centidegrees",
    "rad/s": "rad/s rad/sec rad_s rads radps rad_per_s rad_per_sec",
    "deg/s": "deg/s deg/sec degrees/s degrees/sec °/s deg_s degs dps degps deg_per_s deg_per_sec deg_sec",
    "mrad/s": "mrad/s mrad_s mradps",
    "deg/s/100": "cdeg/s cdeg_s cdegps",
    "rpm": "rpm",
    "m/s^2": "m/s^2 m/s² m/s2 mps2 ms2 m_s2 m_s_2 mpss",
    "g": "g gs",
}
WRITTEN = {word: unit for unit, words in _WRITTEN.items() for word in words.split()}

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


def as_usual(text: str) -> str:
    """A unit as it is written here; itself where it is none of the usual ones.

    Examples:
        >>> as_usual("KM/H"), as_usual("Degrees"), as_usual("psi")
        ('km/h', 'deg', 'psi')
    """
    return WRITTEN.get("".join(text.split()).lower(), text)


def per_si(si: str, text: str) -> float | None:
    """How many of a unit, as a log writes it, one SI unit is; None where it is none of that quantity.

    Examples:
        >>> per_si("m/s", "KM/H"), per_si("rad/s", "dps"), per_si("m/s", "deg"), per_si("m", "")
        (3.6, 57.29577951308232, None, None)
    """
    unit = as_usual(text)
    if unit == si:
        return 1.0
    return USUAL_UNITS.get(si, {}).get(unit) or RARE_UNITS.get(si, {}).get(unit)


def size_of(unit: str) -> float:
    """How many SI units one of a unit is that a proposed map may have.

    Examples:
        >>> [round(size_of(unit), 4) for unit in ("deg", "m/s/4", "rad/15", "2 deg", "knot", "deg/100")]
        [0.0175, 0.25, 0.0667, 0.0349, 0.5144, 0.0002]
    """
    number, space, unit = unit.rpartition(" ")
    tables = (*USUAL_UNITS.values(), *RARE_UNITS.values())
    many = next((table[unit] for table in tables if unit in table), None)
    divided = 1.0
    if many is None:
        base, slash, divisor = unit.rpartition("/")
        if slash and divisor.replace(".", "").isdigit():
            unit, divided = base, float(divisor)
        many = next((table[unit] for table in tables if unit in table), 1.0)
    return (float(number) if space else 1.0) / many / divided


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
