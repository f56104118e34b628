"""What to drive next: `design`, and the value that it returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.api.cars import Car
from pct.api.drives import Drive, Drives
from pct.api.fits import Fit
from pct.api.notebook import Shown
from pct.api.opening import as_fit
from pct.designing.settings import DesignSettings
from pct.errors import DivergedError, UsageError
from pct.optimization.settings import make_settings
from pct.rollout.compiled import in_single_precision
from pct.within import check_number, listener

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from pct.designing.drives import DesignedDrive
    from pct.dynamics.core import ModelSpec
    from pct.plots import Drawing

LIMIT_NAMES = {
    "area": "stay inside",
    "speed": "speed",
    "slip": "slip angle",
    "acceleration": "acceleration",
    "steering": "steering angle",
    "steering_rate": "steering rate",
    "energy": "motor work",
    "sliding": "sliding way",
}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Design(Shown):
    """A drive that tells most about chosen parameters.

    Attributes:
        drive: the reference, what the guessed car does, and what is expected.
        fitted: whether a fit said what is known; else bounds and `DesignSettings.spread`.
    """

    drive: DesignedDrive
    fitted: bool

    def table(self) -> pl.DataFrame:
        """One row a chosen parameter: its value, and the standard error now, of the drive alone, and of
        both."""
        import polars as pl

        spec = self.drive.spec
        return pl.DataFrame(
            {
                "parameter": name,
                "value": float(spec.default_params[name]),
                "std. error now": self.drive.now[name],
                "by the drive alone": self.drive.errors[name],
                "with the drive": self.drive.together[name],
                "times smaller": self.drive.now[name] / self.drive.together[name],
                "unit": spec.parameter(name).unit,
            }
            for name in self.drive.chosen
        )

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows of the table as text."""
        frame = self.table()
        rows = [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in row] for row in frame.iter_rows()]
        return frame.columns, rows

    @property
    def facts(self) -> list[str]:
        """What the drive keeps to, in sentences."""
        drive = self.drive
        broken = [
            f"{LIMIT_NAMES[name]} by {1 - share:.0%}"
            for name, share in drive.kept_by_limit.items()
            if share < 1
        ]
        but = f"; broken: {', '.join(broken)}" if broken else ""
        states = drive.guess[0]
        x, y, _ = drive.spec.pose_indices
        way = float(np.hypot(*np.diff(states[:, [x, y]], axis=0).T).sum())
        return [
            f"{drive.settings.duration:g} s, {way:.0f} m, up to {drive.reference.speed.max():.3g} m/s.",
            f"{drive.kept:.0%} of cars drawn from what is known keep every limit{but}.",
            "Known so far: "
            + ("the fit's standard errors." if self.fitted else f"spread {drive.settings.spread:g}, no fit."),
        ]

    @property
    def warnings(self) -> list[str]:
        """What to know before driving."""
        from pct.designing.drives import MUST_KEEP

        if self.drive.kept >= MUST_KEEP:
            return []
        return [
            f"only {self.drive.kept:.0%} of drawn cars keep every limit: ask for tighter limits than the "
            "real ones, a longer search (`generations`), or fit first, so that less is unknown"
        ]

    def plot(self) -> Figure:
        """The path with its speed, cones, and steering over time."""
        from pct.plots import in_style

        return in_style(self._drawing())

    def rehearse(self, car: Car, *, noise: float = 1.0, seed: int = 0) -> Drives:
        """The log that a car would leave on this drive: it follows the path in closed loop, as on the day.

        What the design expects of a fit can be tried so on cars that are not the guess, before anything is
        driven.

        Args:
            car: of the same model; its parameters are the truth.
            noise: multiplier of each channel's usual sensor noise; 0 records the exact state.
            seed: of the noise.

        Raises:
            UsageError: a car of another model, or a value out of range.
            DivergedError: the car left the range of finite numbers.
        """
        from pct.designing.drives import rehearse
        from pct.recordings.trajectory import Trajectory
        from pct.simulation.sensors import commanded, readings
        from pct.simulation.settings import NOISE, SEED

        check_number("noise", noise, NOISE)
        check_number("seed", seed, SEED)
        own, spec = self.drive.spec, _plain(car)
        if (spec.name, spec.state_names, spec.control_names) != (
            own.name,
            own.state_names,
            own.control_names,
        ):
            raise UsageError(f"`car`: expected a car of {own.name}, for which the drive is, got {spec.name}")
        states, controls = rehearse(self.drive, spec)
        if not np.isfinite(states).all():
            raise DivergedError(f"{spec.name}: the car does not stay on the drive: ask for a slower one")
        shown = {
            **readings(np.random.default_rng(seed), spec, states, noise),
            **commanded(spec, controls),
        }
        trajectory = Trajectory(
            name="rehearsal",
            dt=self.drive.settings.dt,
            channels={name: column.values for name, column in shown.items()},
            units={name: column.unit for name, column in shown.items()},
            origins={name: column.origin for name, column in shown.items()},
            source=f"rehearsed with {spec.name}, seed {seed}",
        )
        return Drives((Drive(trajectory.name, trajectory),))

    def save(self, folder: str | Path, *, bag: bool = False) -> Path:
        """Write ``drive.csv``, ``path.csv``, ``cones.csv``, ``design.json``, ``design.png`` and
        ``design.html``.

        Args:
            folder: is made; must not be there.
            bag: whether the commands are written as a ROS 2 bag, ``bag/``, too.

        Raises:
            DataError: the folder exists or cannot be written.
            UsageError: a bag, and rosbags is not installed.
        """
        from pct.designing.bags import require_rosbags, write_bag
        from pct.designing.files import cones, drive_columns, path_columns
        from pct.files import new_folder, write_output

        if bag:
            require_rosbags()
        with new_folder(Path(folder)) as building:
            for name, columns in (("drive", drive_columns(self.drive)), ("path", path_columns(self.drive))):
                write_output(building / f"{name}.csv", _csv(columns))
            x, y = cones(self.drive).T
            write_output(building / "cones.csv", _csv({"x": x, "y": y}))
            self._write_page(building)
            if bag:
                write_bag(self.drive, building / "bag")
        return Path(folder)

    def _write_page(self, folder: Path) -> None:
        from pct.designing.page import make_page
        from pct.files import write_output
        from pct.plots import to_png
        from pct.runs.directory import write_json

        drive = self.drive
        write_json(
            folder / "design.json",
            {
                "model": drive.spec.name,
                "settings": dataclasses.asdict(drive.settings),
                "limits": {k: v for k, v in dataclasses.asdict(drive.limits).items() if np.isfinite(v)},
                "kept": drive.kept,
                "kept_by_limit": drive.kept_by_limit,
                "parameters": self.table().to_dicts(),
            },
        )
        to_png(folder / "design.png", self._drawing())
        html = make_page(drive, self._title, self.cells(), self.facts, self.warnings, NOTES)
        write_output(folder / "design.html", html.encode())

    @property
    def _title(self) -> str:
        return f"{self.drive.spec.name}: what to drive for {', '.join(self.drive.chosen)}"

    def _drawing(self) -> Drawing:
        from functools import partial

        from pct.designing.page import drawn
        from pct.plots import draw_design

        return partial(draw_design, title=self._title, **drawn(self.drive))

    def shown(self) -> tuple[str, pl.DataFrame, Sequence[str]]:
        """Title, table and notes."""
        return self._title, self.table(), [*self.facts, *self.warnings]


NOTES = (
    "drive.csv: the guessed car over time, states and controls in SI units; path.csv: the closed path for a "
    "path follower, with its speed and steering.",
    "extra in path.csv is steering to and fro on top of what follows the path: add it, and let the feedback "
    "of the yaw rate expect it.",
    "Cones stand inside of bends; an arrow each two seconds shows the way.",
)


@in_single_precision
def design(
    car: Car | Fit,
    identify: Sequence[str] = (),
    *,
    track: str | Path | None = None,
    progress: Callable[[Any], None] | None = None,
    **settings: Any,
) -> Design:
    """The drive that tells most about parameters of a car, for a path follower; prints and writes nothing.

    It maximises the expected logarithm of the determinant of Fisher's information (D-optimal), over draws
    of what is not known, and keeps its limits on these draws, too.

    Args:
        car: from `pct.model`: what it learns is unknown, by bounds and ``spread``. A fit: what it has not
            identified is unknown, by its covariance; its values are the guess.
        identify: names of the parameters to tell about, the others are unknown, too; all learned ones when
            empty.
        track: CSV file of a road to stay on in place of a free area, see
            `pct.designing.tracks.read_track`.
        progress: called after each generation of the search, e.g. ``print``.
        settings: of `pct.designing.settings.DesignSettings`: ``duration``, ``area``, ``speed``, ``slip``, ...

    Raises:
        UsageError: an unknown setting or parameter, or a model that no follower can steer.
        DataError: the track's file cannot be used.

    Examples:
        >>> import pct
        >>> car = pct.model("singletrack").hold("C_Sf", "C_Sr", "m")
        >>> found = pct.design(car, duration=4.0, generations=4, draws=2, candidates=4)
        >>> found.table()["parameter"].to_list()
        ['mu', 'I']
    """
    from pct.designing.drives import Workshop, design_drive
    from pct.designing.tracks import read_track

    told = listener("progress", progress)
    identify = (identify,) if isinstance(identify, str) else identify
    checked = make_settings(DesignSettings, settings)
    spec, covariance, noise = known_of(car)
    road = None if track is None else read_track(Path(track))
    workshop = Workshop(spec, identify, checked, track=road, covariance=covariance, noise=noise)
    drive = design_drive(workshop, told)
    return Design(drive, isinstance(car, Fit))


def known_of(car: Car | Fit) -> tuple[ModelSpec, np.ndarray | None, dict[str, float]]:
    """What is known of a car: the vehicle's own model at its guess, covariance on the unbounded axis, and
    noise.

    Raises:
        UsageError: a fit with nothing of the vehicle itself.
    """
    if isinstance(car, Car):
        spec = car.spec if not car.spec.hidden and car.measurement is None else _plain(car)
        return spec, None, {}
    from pct.export.source import from_fit

    car = as_fit(car, "car", "a car, ")
    source = from_fit(car.model, "a fit")
    learned = car.model.spec.param_keys
    keys = tuple(key for key in source.spec.param_keys if key in learned)
    if not keys:
        raise UsageError("`car`: expected a fit that has learned a parameter of the vehicle itself")
    spec = dataclasses.replace(source.spec, default_params=dict(source.values), param_keys=keys)
    covariance = _covariance(car)
    if covariance is not None:
        names = [name for name in learned for _ in range(int(np.prod(car.model.spec.full_shapes[name])))]
        chosen = [i for key in keys for i, name in enumerate(names) if name == key]
        covariance = covariance[np.ix_(chosen, chosen)]
        if not np.isfinite(covariance).all():
            covariance = None
    return spec, covariance, dict(car.model.remaining_error)


def _covariance(fit: Fit) -> np.ndarray | None:
    """Of a fit's learned parameters on the unbounded axis, (P, P); None where it is not known."""
    from pct.runs.model_files import load_solution

    if fit.result is not None:
        return fit.result.estimate.covariance
    solution = None if fit.run is None else load_solution(fit.run)
    return None if solution is None else solution.covariance


def _plain(car: Car) -> ModelSpec:
    """The model of a car without its measurement."""
    own = {row.name for row in car.base.parameters}
    held = {name: value for name, value in car.held.items() if name in own}
    scopes = {name: scope for name, scope in car.scopes.items() if name in own}
    return dataclasses.replace(car, measurement=None, held=held, scopes=scopes).spec


def _csv(columns: Mapping[str, np.ndarray]) -> bytes:
    head, *rows = [
        ",".join(columns),
        *(",".join(f"{v:.6g}" for v in row) for row in zip(*columns.values(), strict=True)),
    ]
    return "\n".join([head, *rows, ""]).encode()
