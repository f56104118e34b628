"""Laps in closed loop: `race`, and the value that it returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.api.cars import model
from pct.api.drives import Drives, load
from pct.api.fits import Fit, fit
from pct.api.notebook import Shown
from pct.errors import UsageError

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from pct.racing.story import Attempt
    from pct.racing.tracks import Track

CAUTIOUS = 0.35
# Share of a friction with which the car left the track that is believed in afterwards at most.
BELOW = 0.8
# What a few seconds of one drive tell; the rest is held.
LEARNED = "mu"
MODEL = "singletrack-drift"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Race(Shown):
    """Attempts on one track with one car.

    Attributes:
        track: the track.
        attempts: in the order in which they were driven.
        fit: what was learned from the log of the first; None where nothing was.
    """

    track: Track
    attempts: tuple[Attempt, ...]
    fit: Fit | None

    def __getitem__(self, name: str) -> Attempt:
        """The attempt of a name."""
        return next(item for item in self.attempts if item.name == name)

    def drives(self, name: str) -> Drives:
        """The log of an attempt, as noisy sensors saw it."""
        return log_of(self[name])

    def table(self) -> pl.DataFrame:
        """One row an attempt: believed grip, mean lap in s, top speed in m/s, and how it ended."""
        import numpy as np
        import polars as pl

        return pl.DataFrame(
            schema_overrides={"lap [s]": pl.Float64},
            data=(
                {
                    "driver": item.name,
                    "believed mu": float(item.believed["mu"]),
                    "lap [s]": float(np.mean(item.laps.times)) if item.laps.finished else None,
                    "top speed [m/s]": float(np.max(item.laps.true["v"])),
                    "largest slip angle [rad]": float(np.max(np.abs(item.laps.true["beta"]))),
                    "end": "finished" if item.laps.finished else item.laps.reason,
                }
                for item in self.attempts
            ),
        )

    def plot(self) -> Figure:
        """The lines on the map, coloured by driver, and speed along the track."""
        from pct.plots import draw_race, in_style

        return in_style(
            draw_race, track=self.track, drives={item.name: item.laps.true for item in self.attempts}
        )

    def shown(self) -> tuple[str, pl.DataFrame, Sequence[str]]:
        """Title, table and notes."""
        return f"Laps on {self.track.name}, {self.track.length:.0f} m", self.table(), ()


def race(
    track: str | Path = "kidney",
    *,
    body: str = "multi-body",
    vehicle: str = "bmw-320i",
    grip: float = 0.6,
    load_factor: float = 1.0,
    laps: int = 1,
    controller: str = "mppi",
    believed: Fit | Mapping[str, Any] | None = None,
    seed: int = 0,
    progress: Callable[[str], None] = lambda line: None,
) -> Race:
    """Drive with a guess, learn from its log, and drive again, on a car that is not our own equations.

    Args:
        track: one that PCT brings, or a CSV file of ``x_m, y_m, w_tr_right_m, w_tr_left_m``.
        body: ``multi-body`` or ``drift``, CommonRoad's models.
        vehicle: ``bmw-320i`` alone has a preset of ours.
        grip: share of the tyres' friction that the road gives.
        load_factor: factor of mass and moments of inertia.
        laps: of each attempt.
        controller: ``mppi`` or ``pursuit``.
        believed: drive with these parameters alone, and learn nothing.
        seed: of noise and tried controls.
        progress: told what is driven.

    Raises:
        UsageError: an unknown track, body, vehicle or controller, or a package that is missing.
        DataError: a track file that cannot be read.

    Examples:
        >>> import pct
        >>> try:
        ...     slow = pct.race("trefoil", body="drift", controller="pursuit", believed={"mu": 0.3})
        ...     print(slow["believed"].laps.finished)
        ... except pct.errors.UsageError:  # commonroad-vehicle-models is not installed
        ...     print(True)
        True
    """
    from pct.racing.plants import CommonRoad
    from pct.racing.story import CONTROLLERS, attempt
    from pct.racing.tracks import load_track

    if controller not in CONTROLLERS:
        raise UsageError(f"`controller={controller}`: expected one of {', '.join(CONTROLLERS)}")
    road = load_track(track)
    car = model(MODEL, vehicle=vehicle).hold_all({"tau_w": 0.02})
    car = car.hold(*(name for name in car.learned if name != LEARNED))
    spec = car.spec

    def go(name: str, values: Mapping[str, Any]) -> Attempt:
        progress(f"{name} drives with mu = {float(values['mu']):.3g}")
        plant = CommonRoad(body, vehicle, grip=grip, load=load_factor)
        return attempt(name, spec, values, plant, road, laps=laps, controller=controller, seed=seed)

    default = float(spec.default_params["mu"])
    if believed is not None:
        values = believed.params if isinstance(believed, Fit) else believed
        return Race(road, (go("believed", {"mu": default, **values}),), None)
    guess = go("guess", {"mu": default})
    progress(f"learning from {len(guess.laps.log['x']) * 0.05:.1f} s of it")
    learned = fit(car, log_of(guess), horizon=20, history=5)
    known = {
        "mu": default * grip,
        "m": load_factor * spec.default_params["m"],
        "I": load_factor * spec.default_params["I"],
    }
    return Race(
        road,
        (
            guess,
            go("learned", {LEARNED: safe(learned, None if guess.laps.finished else default)}),
            go("cautious", {"mu": CAUTIOUS}),
            go("oracle", known),
        ),
        learned,
    )


def safe(learned: Fit, failed: float | None) -> float:
    """The friction to drive with: the lower end of its 95 % interval, but no less than the cautious guess.

    Args:
        learned: the fit.
        failed: a friction that was believed in when the car left the track; `BELOW` of it is the most then.
    """
    lower = float(learned.params[LEARNED] - 2.0 * learned.deviations[LEARNED])
    return max(lower if failed is None else min(lower, BELOW * failed), CAUTIOUS)


def log_of(item: Attempt) -> Drives:
    """The log of an attempt as drives."""
    import numpy as np
    import polars as pl

    from pct.racing.controllers import DT

    rows = len(item.laps.log["x"])
    return load(pl.DataFrame({"t": DT * np.arange(rows), **item.laps.log}))
