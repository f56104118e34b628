"""A designed drive: the search for it, what it will tell, and whether cars that are not the guess keep to
it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pct.designing.area import Rectangle, Track
from pct.designing.follower import Driven, Gains, Hands, make_follower, require_drivable
from pct.designing.information import DriveInformation, about, log_determinant
from pct.designing.limits import Limits, limits_used
from pct.designing.reference import Reference, Shapes
from pct.designing.search import search
from pct.designing.settings import DesignSettings
from pct.dynamics.bounds import Bounds
from pct.dynamics.core import ModelSpec, unflatten_params
from pct.dynamics.limits import GRAVITY
from pct.errors import UsageError
from pct.optimization.constants.estimate import raw_slopes, raw_values, scalar_places
from pct.simulation.driver import MAX_STEER, MAX_STEER_RATE, WHEELBASE
from pct.types import Float, Int

# What limits that a drawn car breaks cost it, in logarithms of the determinant, and the excess, as a share
# of the limit, that costs half of it.
BROKEN, EXCESS = 60.0, 0.3
# Cars that are watched for limits alone, as a multiple of those of the search: the hardest of many draws,
# by what becomes of them on the best of some references at random.
WATCHED, MANY, TRIED, HARD = 3, 10, 4, 8
# Limits are kept this share away in the search; hands stay further away from those of the steering.
TIGHTER, HANDS = 0.98, 0.97
# Cars that judge the result, which the search has not seen, and how many of them must keep the limits.
JUDGES, MUST_KEEP = 96, 0.97
# Shares of its speed at which a reference is tried where not enough of them do.
SLOWER = (1.0, 0.97, 0.94, 0.91, 0.88, 0.84, 0.8)
# Offset from the path, as a share of the narrowest place, at which a car goes at half its speed.
OFF_PATH = 0.05
# A parameter that is said to be known has this deviation on the unbounded axis.
LEAST = 1e-4
# Lateral acceleration asked for, over gravity, where no limit says so; beyond what most tyres give.
DEMAND = 1.3
# Acceleration at which a reference slows down, as a share of that.
BRAKING = 0.4


class Cars(NamedTuple):
    """Draws of what is not known; the first is the guess.

    Attributes:
        raw: (D, P).
        params: every parameter by name, (D,) where it differs.
    """

    raw: np.ndarray
    params: dict[str, Any]

    def select(self, numbers: Int[np.ndarray, " E"]) -> Cars:
        """Some of them."""
        varied = {name for name, value in self.params.items() if np.shape(value)[:1] == (len(self.raw),)}
        params = {name: v[numbers] if name in varied else v for name, v in self.params.items()}
        return Cars(self.raw[numbers], params)


class Progress(NamedTuple):
    """Progress of a search.

    Attributes:
        generation: counts from 1.
        of: generations in all.
        value: expected logarithm of the information so far.
    """

    generation: int
    of: int
    value: float

    def __str__(self) -> str:
        return f"generation {self.generation} of {self.of}  log information {self.value:.4g}"


@dataclasses.dataclass(frozen=True, eq=False)
class DesignedDrive:
    """A drive for a path follower, and what is expected of it.

    Attributes:
        spec: the model.
        chosen: names of the parameters that it is to tell about.
        settings: of the design.
        area, limits: what it keeps to.
        reference: one closed reference.
        guess: drive of the guessed car, (N, S), (N, C).
        kept: share of drawn cars that keep every limit.
        kept_by_limit: the same by limit.
        used: the worst use of each limit by the middle car, 1 is the limit.
        now: standard error of each chosen parameter before the drive, in its unit.
        errors: by the drive alone, expected: the mean over cars, in logarithms.
        together: by the drive and what is known, expected.
        gain: logarithm of the information about the chosen parameters, the mean over cars.
    """

    spec: ModelSpec
    chosen: tuple[str, ...]
    settings: DesignSettings
    area: Rectangle | Track
    limits: Limits
    reference: Reference
    guess: tuple[np.ndarray, np.ndarray]
    kept: float
    kept_by_limit: Mapping[str, float]
    used: Mapping[str, float]
    now: Mapping[str, float]
    errors: Mapping[str, float]
    together: Mapping[str, float]
    gain: float


class Workshop:
    """What evaluates references: the follower, the cars, their information and the limits.

    Args:
        spec: the model without an observer.
        chosen: names of the parameters that a drive is to tell about; all learned ones when empty.
        settings: of the design.
        track: the road in place of a free area: centre line (M, 2), road to the left and right (M,), in m.
        covariance: of the learned parameters on the unbounded axis, (P, P); by ``settings.spread`` when left
            out.
        noise: standard deviation of the readings by name of the state; those of the model when left out.
    """

    def __init__(
        self,
        spec: ModelSpec,
        chosen: Sequence[str],
        settings: DesignSettings,
        *,
        track: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
        covariance: Float[np.ndarray, "P P"] | None = None,
        noise: Mapping[str, float] | None = None,
    ) -> None:
        require_drivable(spec)
        places = scalar_places(spec)
        for name in chosen:
            spec.parameter(name)
            if name not in places:
                raise UsageError(
                    f"`identify={name}`: expected a learned scalar parameter of '{spec.name}': one of "
                    f"{', '.join(places)}"
                )
        self.spec, self.settings = spec, settings
        self.chosen = tuple(chosen) or tuple(places)
        self._places = [places[name] for name in self.chosen]
        self.steps = round(settings.duration / settings.dt)
        self.limits = limits_of(spec, settings, on_road=track is not None)
        self.shapes = shapes_of(spec, settings, self.limits, track)
        self.area = self.shapes.area
        lanes = settings.candidates * settings.draws
        self.follow = follower_of(spec, settings, self.limits, self.area, lanes, settings.candidates)
        sizes = {row.name: row.noise for row in spec.states} | dict(noise or {})
        deviations = np.array([sizes[name] or np.inf for name in spec.state_names])
        window = max(2, round(settings.window / settings.dt))
        self._information = DriveInformation(spec, self.steps, settings.dt, window, deviations)
        self._centre = raw_values(spec, spec.default_params)
        size = len(self._centre)
        spread = np.eye(size) * max(settings.spread, LEAST) ** 2
        self.covariance = spread if covariance is None else covariance
        self.prior = np.eye(size) / settings.prior**2

    def cars(self, count: int, rng: np.random.Generator) -> Cars:
        """The guess and draws about it."""
        values, axes = np.linalg.eigh(self.covariance)
        root = axes * np.sqrt(np.maximum(values, 0.0))
        raw = self._centre + rng.standard_normal((count, len(root))) @ root.T
        raw[0] = self._centre
        return Cars(raw, params_of(self.spec, raw))

    def drive(self, reference: Reference, cars: Cars) -> Driven:
        """All references by all cars."""
        return self.follow(reference, cars.params)

    def information(self, driven: Driven, cars: Cars) -> Float[np.ndarray, "K D P P"]:
        """Of each drive by each car."""
        parts = [
            self._information.of(raw, driven.states[:, d], driven.controls[:, d])
            for d, raw in enumerate(cars.raw)
        ]
        return np.stack(parts, axis=1)

    def used(self, reference: Reference, driven: Driven, cars: Cars) -> dict[str, np.ndarray]:
        """See `limits_used`."""
        dt = self.settings.dt
        return limits_used(self.spec, self.limits, self.area, reference.path, driven, cars.params, dt)

    def values(self, information: Float[np.ndarray, "K D P P"]) -> Float[np.ndarray, "K D"]:
        """Logarithm of the determinant of information about the chosen parameters."""
        return log_determinant(information, self.prior, self._places)

    def broken(self, reference: Reference, driven: Driven, cars: Cars) -> Float[np.ndarray, "K D"]:
        """How far each car is beyond the limits, from 0 to 1."""
        used = np.stack(list(self.used(reference, driven, cars).values()))
        excess = np.maximum(np.minimum(used, 1e6) / TIGHTER - 1.0, 0.0).sum(axis=0)
        return excess / (excess + EXCESS)

    def costs(
        self, vectors: Float[np.ndarray, "K Z"], cars: Cars, watched: Cars | None = None
    ) -> Float[np.ndarray, " K"]:
        """What the search lowers: information lost, and limits broken, also by cars that are only watched."""
        reference = self.shapes.references(vectors)
        driven = self.drive(reference, cars)
        broken = [self.broken(reference, driven, cars)]
        if watched is not None:
            broken.append(self.broken(reference, self.drive(reference, watched), watched))
        value = self.values(self.information(driven, cars)).mean(axis=1)
        return BROKEN * np.concatenate(broken, axis=1).mean(axis=1) - value

    def hardest(self, cars: Cars, rng: np.random.Generator) -> Cars:
        """Draws that break limits most on references that tell much."""
        count = self.settings.draws
        vectors = np.stack([self.shapes.draw(rng) for _ in range(TRIED * self.settings.candidates)])
        parts = np.split(vectors, TRIED)
        best = np.argsort(np.concatenate([self.costs(part, cars) for part in parts]))[:HARD]
        many = self.cars(MANY * count, rng)
        reference = self.shapes.references(vectors[best])
        hard = self.broken(reference, self.drive(reference, many), many).mean(axis=0)
        return many.select(np.argsort(-hard)[: WATCHED * count])

    def now(self) -> dict[str, float]:
        """Standard error of each chosen parameter before the drive, at the guess, in its unit."""
        deviations = np.sqrt(np.diag(self.covariance)) * raw_slopes(self.spec, self._centre)
        return dict(zip(self.chosen, deviations[self._places].tolist(), strict=True))

    def errors(
        self, information: Float[np.ndarray, "D P P"], cars: Cars, prior: Float[np.ndarray, "P P"]
    ) -> dict[str, float]:
        """Expected standard error of each chosen parameter in its unit: the mean over cars, in logarithms."""
        finite = np.isfinite(information).all(axis=(1, 2))
        covariance = np.linalg.inv(about(information[finite] + prior, self._places))
        slopes = np.stack([raw_slopes(self.spec, raw)[self._places] for raw in cars.raw[finite]])
        deviations = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2)) * slopes
        return dict(zip(self.chosen, np.exp(np.log(deviations).mean(axis=0)).tolist(), strict=True))


def design_drive(workshop: Workshop, progress: Callable[[Any], None] = lambda line: None) -> DesignedDrive:
    """Search for the drive that tells most, and judge it on cars that the search has not seen."""
    settings = workshop.settings
    rng = np.random.default_rng(settings.seed)
    cars = workshop.cars(settings.draws, rng)
    watched = workshop.hardest(cars, rng)

    def report(generation: int, cost: float) -> None:
        progress(Progress(generation, settings.generations, -cost))

    best = search(
        lambda vectors: workshop.costs(vectors, cars, watched),
        workshop.shapes.draw,
        points=settings.candidates,
        generations=settings.generations,
        rng=rng,
        report=report,
    )
    reference = choose(workshop, np.stack([vector for _, vector in best]), workshop.cars(JUDGES, rng))
    return judged(workshop, reference, workshop.cars(JUDGES, rng))


def choose(workshop: Workshop, vectors: Float[np.ndarray, "K Z"], cars: Cars) -> Reference:
    """The first of the references, from the best on, that nearly all cars keep to, if need be more slowly."""
    shares = []
    for slower in SLOWER:
        for vector in vectors if slower == 1.0 else vectors[:HARD]:
            reference = workshop.shapes.references(vector[None])
            reference = reference._replace(speed=slower * reference.speed)
            used = workshop.used(reference, workshop.drive(reference, cars), cars)
            share = float(np.mean(np.max(list(used.values()), axis=0) <= 1.0))
            if share >= MUST_KEEP:
                return reference
            shares.append((share, reference))
    return max(shares, key=lambda entry: entry[0])[1]


def judged(workshop: Workshop, reference: Reference, judges: Cars) -> DesignedDrive:
    """A reference with what is expected of it."""
    driven = workshop.drive(reference, judges)
    used = {name: value[0] for name, value in workshop.used(reference, driven, judges).items()}
    information = workshop.information(driven, judges)
    kept = np.max(list(used.values()), axis=0) <= 1.0
    return DesignedDrive(
        spec=workshop.spec,
        chosen=workshop.chosen,
        settings=workshop.settings,
        area=workshop.area,
        limits=workshop.limits,
        reference=reference,
        guess=(driven.states[0, 0], driven.controls[0, 0]),
        kept=float(kept.mean()),
        kept_by_limit={name: float(np.mean(value <= 1.0)) for name, value in used.items()},
        used={name: float(np.median(value)) for name, value in used.items()},
        now=workshop.now(),
        errors=workshop.errors(information[0], judges, workshop.prior),
        together=workshop.errors(information[0], judges, np.linalg.inv(workshop.covariance)),
        gain=float(workshop.values(information).mean()),
    )


def rehearse(drive: DesignedDrive, spec: ModelSpec) -> tuple[np.ndarray, np.ndarray]:
    """States (N, S) and controls (N, C) of a car that follows a designed drive, at its default parameters."""
    follow = follower_of(spec, drive.settings, drive.limits, drive.area, 1, 1)
    driven = follow(drive.reference, spec.default_params)
    return driven.states[0, 0].astype(float), driven.controls[0, 0].astype(float)


def follower_of(
    spec: ModelSpec, settings: DesignSettings, limits: Limits, area: Rectangle | Track, lanes: int, refs: int
) -> Callable[[Reference, Mapping[str, Any]], Driven]:
    """The follower of `make_follower` with the hands that limits and area leave it."""
    braking = 1.25 * BRAKING * demand_of(limits)
    hands = Hands(HANDS * limits.steering, HANDS * limits.steering_rate, braking, limits.slip)
    gains = Gains(slow=OFF_PATH * area.narrowest)
    return make_follower(spec, round(settings.duration / settings.dt), settings.dt, hands, gains, lanes, refs)


def demand_of(limits: Limits) -> float:
    """Largest lateral acceleration that is asked for, in m/s^2."""
    return min(DEMAND * GRAVITY, limits.acceleration)


def params_of(spec: ModelSpec, raw: Float[np.ndarray, "D P"]) -> dict[str, Any]:
    """Every parameter by name, (D,) where it is learned."""
    values = np.stack([Bounds.of(spec).on_host(one)[0] for one in raw])
    learned = unflatten_params(values, spec.param_keys, spec.full_shapes)
    return {**spec.default_params, **learned}


def limits_of(spec: ModelSpec, settings: DesignSettings, *, on_road: bool = False) -> Limits:
    """The limits of the settings, those of the model where they say nothing."""
    known = spec.default_params
    speed = settings.speed
    if speed is None:
        widest = np.inf if on_road and "v_max" in known else min(settings.area)
        speed = float(np.sqrt(GRAVITY / 2 * widest / 4))
    acceleration = settings.acceleration
    if acceleration is None:
        linear = "mu" in known and "C_Sf" in known
        acceleration = 0.8 * float(known["mu"]) * GRAVITY if linear else np.inf
    stop = min(abs(float(known.get(name, MAX_STEER))) for name in ("s_min", "s_max"))
    rate = min(abs(float(known.get(name, MAX_STEER_RATE))) for name in ("sv_min", "sv_max"))
    return Limits(
        speed=min(speed, float(known.get("v_max", np.inf))),
        slip=settings.slip,
        acceleration=acceleration,
        steering=min(stop, settings.steering or np.inf),
        steering_rate=min(rate, settings.steering_rate or np.inf),
        energy=settings.energy or np.inf,
        sliding=settings.sliding or np.inf,
    )


def shapes_of(
    spec: ModelSpec,
    settings: DesignSettings,
    limits: Limits,
    track: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
) -> Shapes:
    """The references that the search chooses from."""
    known = spec.default_params
    wheelbase = float(known["lf"] + known["lr"]) if "lf" in known else WHEELBASE
    margin = wheelbase if settings.margin is None else settings.margin
    way = 0.7 * limits.speed * settings.duration
    if track is None:
        controls = int(np.clip(way / (0.25 * sum(settings.area) / 2), 6, 24))
        area: Rectangle | Track = Rectangle(*settings.area, margin, controls)
    else:
        centre, left, right = track
        round_trip = float(np.hypot(*np.diff(centre, axis=0, append=centre[:1]).T).sum())
        laps = int(np.clip(np.ceil(way / round_trip), 1, 6))
        area = Track(centre, left, right, margin, laps, int(np.clip(24 // laps, 6, 24)))
    demand = demand_of(limits)
    knots = int(np.clip(settings.duration / 2.5, 4, 8))
    steering = limits.steering
    return Shapes(area, knots, TIGHTER * limits.speed, demand, BRAKING * demand, steering)
