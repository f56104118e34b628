"""Values with bounds, ``(low, default, high)``, that vehicles share."""

from pct.dynamics.limits import GRAVITY
from pct.dynamics.tires import stiffness_factor

Range = tuple[float, float, float]


def around(value: float, factor: float) -> Range:
    """A value with bounds a factor below and above."""
    return value / factor, value, value * factor


def axle(name: str, B: float, C: float, D: float, E: float = 0.0) -> dict[str, Range]:
    """Magic Formula of an axle, its peak D in N; room for other tyres, and for shifts of a tenth of D."""
    return {
        f"B_{name}": (1.0, B, 40.0),
        f"C_{name}": (0.8, C, 2.0),
        f"D_{name}": around(D, 5.0),
        f"E_{name}": (-2.0, E, 0.9),
        f"S_v{name}": (-0.1 * D, 0.0, 0.1 * D),
    }


def both_axles(mu: float, C_S: float, m: float, lf: float, lr: float, C: float, E: float) -> dict[str, Range]:
    """Magic Formulas of both axles from friction and normalised cornering stiffness, at rest."""
    values: dict[str, Range] = {}
    for name, share in (("f", lr / (lf + lr)), ("r", lf / (lf + lr))):
        D = mu * m * GRAVITY * share
        values |= axle(name, stiffness_factor(C_S * D, C, D), C, D, E)
    return values
