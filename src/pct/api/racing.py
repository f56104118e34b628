"""Laps in closed loop: `race`, and the value that it returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.api.cars import Car, model
from pct.api.drives import Drives, load
from pct.api.fits import Fit
from pct.api.fitting import fit
from pct.api.notebook import Shown
from pct.errors import UsageError
from pct.within import listener

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from pct.racing.story import Attempt
    from pct.racing.tracks import Track

CAUTIOUS = 0.35
# Share of a friction with which the car left the track that is believed in afterwards at most.
BELOW = 0.8
# Rows of a window of the fits, and before it. Short ones: a crash of five seconds has many of them, and what
# the model gets wrong of a car that slides does not add up.
HORIZON, HISTORY = 8, 5
# What a few seconds of one drive tell; the rest is held.
LEARNED = "mu"
MODEL = "singletrack-drift"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Race(Shown):
    """Attempts on one track with one car.

    Attributes:
        track: the track.
        attempts: in the order in which they were driven.
        fit: what the learned driver took from the log before; None where nothing was learned.
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
        """The lines on the map, coloured by driver, and speed, slip angle and belief along the track."""
        from pct.plots import draw_race, in_style

        return in_style(draw_race, **self.drawn())

    def drawn(self) -> dict[str, Any]:
        """What `pct.plots.draw_race` draws."""
        return {
            "track": self.track,
            "drives": {item.name: item.laps.true for item in self.attempts},
            "beliefs": {item.name: item.course for item in self.attempts},
        }

    def animation(self) -> bytes:
        """All drives on the map over time, as a GIF."""
        from pct.plots import animate_race
        from pct.racing.controllers import DT

        done = [item.laps for item in self.attempts]
        ends = [(one.finished, f"{sum(one.times):.2f} s" if one.finished else one.reason) for one in done]
        drives = {item.name: item.laps.true for item in self.attempts}
        return animate_race(track=self.track, drives=drives, ends=ends, dt=DT)

    def shown(self) -> tuple[str, pl.DataFrame, Sequence[str]]:
        """Title, table and notes."""
        return f"Laps on {self.track.name}, {self.track.length:.0f} m", self.table(), ()


def race(
    track: str | Path = "kidney",
    *,
    body: str = "multi-body",
    vehicle: str = "bmw-320i",
    grip: float = 0.6,
    then: float | None = None,
    load_factor: float = 1.0,
    laps: int = 1,
    practice: int = 1,
    controller: str = "mppi",
    believed: Fit | Mapping[str, Any] | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Race:
    """Drive with a guess, learn from its log, and drive again, on a car that is not our own equations.

    Args:
        track: one that PCT brings, or a CSV file of ``x_m, y_m, w_tr_right_m, w_tr_left_m``.
        body: ``multi-body`` or ``drift``, CommonRoad's models.
        vehicle: ``bmw-320i`` alone has a preset of ours.
        grip: share of the tyres' friction that the road gives.
        then: what it gives in the second half of each lap; then a driver who believes in what was learned
            before, one whose belief follows a `pct.Tracker`, and one who knows drive that road.
        load_factor: factor of mass and moments of inertia.
        laps: of each attempt.
        practice: drives between the guess and the learned driver; each learns from the log of the one before.
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
    from pct.racing.story import CONTROLLERS
    from pct.racing.tracks import load_track

    told = listener("progress", progress)
    if controller not in CONTROLLERS:
        raise UsageError(f"`controller={controller}`: expected one of {', '.join(CONTROLLERS)}")
    car = model(MODEL, vehicle=vehicle).hold_all({"tau_w": 0.02})
    car = car.hold(*(name for name in car.learned if name != LEARNED))
    settings = {"laps": laps, "controller": controller, "seed": seed}
    day = _Day(car, load_track(track), (body, vehicle), grip, load_factor, settings, told)
    default = float(car.spec.default_params["mu"])
    if believed is not None:
        values = believed.params if isinstance(believed, Fit) else believed
        return Race(day.road, (day.drive("believed", {"mu": default, **values}),), None)
    driven = [day.drive("guess", {"mu": default})]
    for number in range(practice):
        name = "practice" if practice == 1 else f"practice {number + 1}"
        driven.append(day.drive(name, day.learn(driven)[1]))
    learned, values = day.learn(driven)
    if then is None:
        driven.append(day.drive("learned", values))
        driven.append(day.drive("cautious", {"mu": CAUTIOUS}))
        driven.append(day.drive("oracle", day.truth))
    else:
        driven.extend(day.change(then, values, driven))
    return Race(day.road, tuple(driven), learned)


@dataclasses.dataclass(frozen=True, eq=False)
class _Day:
    """One car on one road."""

    car: Car
    road: Track
    plant: tuple[str, str]
    grip: float
    load: float
    settings: Mapping[str, Any]
    progress: Callable[[str], None]

    @property
    def truth(self) -> dict[str, float]:
        """What the one who knows believes in."""
        default = self.car.spec.default_params
        return {
            "mu": self.grip * default["mu"],
            **{name: self.load * default[name] for name in ("m", "I")},
        }

    def drive(self, name: str, values: Mapping[str, Any], then: float | None = None, **own: Any) -> Attempt:
        """One attempt, on a road that gives `then` in the second half of a lap."""
        from pct.racing.plants import CommonRoad
        from pct.racing.story import attempt

        self.progress(f"{name} drives with mu = {float(values['mu']):.3g}")
        plant = CommonRoad(*self.plant, grip=self.grip, load=self.load)
        if then is not None:
            own["event"] = lambda way: plant.set_grip(then if way % 1.0 >= 0.5 else self.grip)
        return attempt(name, self.car.spec, values, plant, self.road, **self.settings, **own)

    def learn(self, driven: Sequence[Attempt]) -> tuple[Fit, dict[str, float]]:
        """The fit of the log of the last attempt, and what to believe in next."""
        last = driven[-1]
        self.progress(f"learning from {len(last.course) * 0.05:.1f} s of {last.name}")
        found = fit(self.car, log_of(last), horizon=HORIZON, history=HISTORY)
        lower = float(found.params[LEARNED] - 2.0 * found.deviations[LEARNED])
        finished, left = (
            [float(item.believed["mu"]) for item in driven if item.laps.finished == way]
            for way in (True, False)
        )
        return found, {LEARNED: safe(lower, finished=finished, left=left)}

    def change(self, then: float, values: Mapping[str, Any], driven: Sequence[Attempt]) -> list[Attempt]:
        """The road changes at half distance: a fixed belief, one that follows a tracker, and the truth."""
        import numpy as np

        from pct.api.race_trackers import race_tracker
        from pct.racing.beliefs import Tracked, slides
        from pct.racing.story import wanted_speed

        default = self.car.spec.default_params
        before, radius = driven[-1], float(default["R_w"])
        self.progress(f"levels of noise from {before.name}")
        tracker = race_tracker(self.car, log_of(before), slides(before.laps.log, radius))
        left = [float(item.believed["mu"]) for item in driven if not item.laps.finished]
        most = float(default["mu"])
        belief = Tracked(
            tracker.update,
            values["mu"],
            least=CAUTIOUS,
            most=max(values["mu"], BELOW * min(left)) if left else most,
            radius=radius,
        )
        half = self.road.length / 2
        known = wanted_speed(self.road, most * np.where(self.road.s < half, self.grip, then))

        return [
            self.drive("fixed", values, then),
            self.drive("adaptive", values, then, belief=belief),
            self.drive(
                "oracle",
                self.truth,
                then,
                belief=lambda s, state, controls: most * (self.grip if s < half else then),
                profile=lambda friction: known,
            ),
        ]


def safe(lower: float, *, finished: Sequence[float], left: Sequence[float]) -> float:
    """The friction to drive with: the lower end of what is known, but no less than the cautious guess.

    Args:
        lower: end of the 95 % interval.
        finished: frictions that drives believed in which stayed on the track: the greatest is the least.
        left: those that left it: `BELOW` of the smallest is the most.
    """
    return max(min([max([lower, *finished]), *(BELOW * one for one in left)]), CAUTIOUS)


def log_of(item: Attempt) -> Drives:
    """The log of an attempt as drives."""
    import numpy as np
    import polars as pl

    from pct.racing.controllers import DT

    rows = len(item.laps.log["x"])
    return load(pl.DataFrame({"t": DT * np.arange(rows), **item.laps.log}))
