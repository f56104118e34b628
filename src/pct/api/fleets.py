"""Many cars, each fitted by a task of its own: `fleet`, and the value that it returns."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pct.api.cars import Car, as_car
from pct.api.fitting import observed
from pct.api.fleet_plans import FleetBy, find_places, is_done, make_task, plan_members
from pct.api.notebook import Shown
from pct.errors import DataError, UsageError
from pct.optimization.settings import FitSettings, make_settings
from pct.within import Within, check_number, listener

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from pct.executors.base import Answer, Executor
    from pct.optimization.constants.fleet import Summary

WORKERS = Within(1, 10_000, whole=True)
Workers = Annotated[int, WORKERS]
TASK = "pct.api.fleet_plans:run_task"


@dataclasses.dataclass(frozen=True)
class FleetCar:
    """One car of a fleet.

    Attributes:
        name: unique in the fleet.
        run: its run folder, for `pct.open` and every command.
        reason: why it was not fitted; None where it was.
        seconds: that its fit took; None where it was there already.
    """

    name: str
    run: Path
    reason: str | None = None
    seconds: float | None = None


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Fleet(Shown):
    """Cars of one model, each fitted alone, and all together.

    Attributes:
        folder: of the fleet: ``fleet.json``, and the cars' run folders.
        by: what a car is: ``vehicle``, ``recording`` or ``day``.
        cars: in order, those that failed among them.
        summary: parameters of the cars with mean, spread and outliers; None where fewer than two were fitted.
        seconds: that all took.
    """

    folder: Path
    by: str
    cars: tuple[FleetCar, ...]
    summary: Summary | None
    seconds: float

    @property
    def failed(self) -> tuple[FleetCar, ...]:
        """Cars that were not fitted."""
        return tuple(car for car in self.cars if car.reason is not None)

    @property
    def facts(self) -> list[str]:
        """How many were fitted, how they differ, and which are unlike the others, in sentences."""
        from pct.optimization.constants.fleet import summary_facts

        fitted = sum(car.seconds is not None and car.reason is None for car in self.cars)
        there = sum(car.seconds is None and car.reason is None for car in self.cars)
        lines = [f"{fitted} fitted, {there} fitted before, {len(self.failed)} failed; {self.seconds:.1f} s."]
        if self.summary is None:
            return [*lines, "Mean and spread take two cars that are fitted."]
        return [*lines, *summary_facts(self.summary, self.by)]

    @property
    def warnings(self) -> list[str]:
        """Cars that were not fitted, and why."""
        return [f"{car.name}: {car.reason}" for car in self.failed]

    def table(self) -> pl.DataFrame:
        """One row a car and parameter: value and standard error by its own data, value with the fleet known
        and its 95 % interval, and whether it is unlike the others."""
        import polars as pl

        rows = []
        for name, item in self._items():
            for n, car in enumerate(self._names()):
                rows.append(
                    {
                        "car": car,
                        "parameter": name,
                        "alone": float(item.values[n]) if item.used[n] else None,
                        "std. error": float(item.errors[n]) if item.used[n] else None,
                        "value": float(item.shared[n]),
                        "low 95 %": float(item.low[n]),
                        "high 95 %": float(item.high[n]),
                        "unit": item.unit,
                        "unlike": name in self.summary.outliers.get(car, ()) if self.summary else False,
                    }
                )
        return pl.DataFrame(rows, schema_overrides={"alone": pl.Float64, "std. error": pl.Float64})

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows of the fleet's parameters as text; no rows where there is no summary."""
        from pct.optimization.constants.fleet import summary_cells

        return ([], []) if self.summary is None else summary_cells(self.summary)

    def car_cells(self, most: int | None = None) -> tuple[list[str], list[list[str]]]:
        """Head and rows of the cars as text, at most so many."""
        from pct.optimization.constants.fleet import car_cells

        return ([], []) if self.summary is None else car_cells(self.summary, most)

    def plot(self) -> Figure:
        """Each parameter of each car with its 95 % interval, and those of the mean and of the next car.

        Raises:
            UsageError: fewer than two cars were fitted.
        """
        from pct.evaluation.fleet_report import fleet_figure
        from pct.plots import in_style

        if self.summary is None:
            raise UsageError("plot: expected two fitted cars or more")
        return in_style(fleet_figure(self.summary, self.by))

    def write_report(self) -> Path:
        """Write ``report.html`` with tables and figure, and ``fleet.png``, into the folder of the fleet.

        Raises:
            DataError: the folder cannot be written.
        """
        from pct.evaluation.fleet_report import save_fleet_report

        return save_fleet_report(self.folder, self.summary, self.by, [*self.facts, *self.warnings])

    def shown(self) -> tuple[str, pl.DataFrame, Sequence[str]]:
        """Title, table and notes."""
        return f"{len(self.cars)} cars", self.table(), [*self.facts, *self.warnings]

    def _items(self) -> list[tuple[str, Any]]:
        return [] if self.summary is None else list(self.summary.parameters.items())

    def _names(self) -> tuple[str, ...]:
        return () if self.summary is None else self.summary.names


def fleet(
    car: Car,
    pattern: str | Path | Sequence[str | Path],
    *,
    folder: str | Path,
    by: FleetBy = "vehicle",
    executor: str | Executor = "local",
    workers: int | None = None,
    dt: float | None = None,
    model: str | Path | None = None,
    progress: Callable[[Any], None] | None = None,
    **settings: Any,
) -> Fleet:
    """Fit many cars side by side, and take them together: mean, spread, outliers, a prior for the next car.

    Each car is a task of its own with a run folder that is named by the hash of its data and of all settings:
    call it again, and what is done is skipped. The task of a worker that died is started again; a car that
    cannot be fitted is recorded with the reason, and the others go on.

    Args:
        car: the model of all cars, from `pct.model`; begun by the observer as in `pct.fit`.
        pattern: dataset folders, raw folders with a ``signals.toml``, or log files with one beside them; or
            patterns of such paths (``*``, ``?``, ``**``). Each is one vehicle.
        folder: of the fleet; made where it is missing, gone on with where it is there.
        by: whether a vehicle, each of its recordings, or its recordings of one day are fitted as one car.
        executor: ``local``, ``dask``, ``ray`` or ``slurm``, or ``NAME=ADDRESS``; or one of your own, see
            `pct.executors.base`.
        workers: how many cars are fitted at once; one a core when left out.
        dt: time step of the rollout in s; that of the recordings when left out.
        model: file with the equations of the car's model, where they are in one.
        progress: called with a line for each car.
        settings: of `pct.optimization.settings.FitSettings`.

    Raises:
        UsageError: a setting, parameter or executor that cannot be used.
        DataError: nothing matches, a place cannot be read, or the folder cannot be written.

    Examples:
        >>> import pct
        >>> pct.fleet(pct.model("unicycle"), "no_car_*", folder="fleet")
        Traceback (most recent call last):
        pct.errors.DataError: `pattern=no_car_*`: expected folders or log files, found none: check the path
    """
    from pct.executors.choice import open_executor

    begin = time.perf_counter()
    car = as_car(car)
    say = listener("progress", progress)
    if workers is not None:
        check_number("workers", workers, WORKERS)
    if car.fitted is not None:
        raise UsageError("`car`: expected a car of `pct.model`, got that of a fit: its values are known")
    car = observed(car)
    checked = dataclasses.asdict(make_settings(FitSettings, settings))
    members = plan_members(find_places(pattern), by)
    place = Path(folder).absolute()
    _make(place)
    source = None if model is None else str(Path(model).absolute())
    tasks = [make_task(member, place / "runs", car, dt, checked, source) for member in members]
    waiting = [n for n, task in enumerate(tasks) if not is_done(Path(task["run"]))]
    say(f"{len(tasks)} cars, {len(tasks) - len(waiting)} of them fitted before")
    cars = [FleetCar(task["name"], Path(task["run"])) for task in tasks]
    if waiting:
        opened = open_executor(executor, workers) if isinstance(executor, str) else executor
        try:
            texts = [json.dumps(tasks[n]) for n in waiting]
            for count, answer in enumerate(opened.run(TASK, texts, alone=1), 1):
                n = waiting[answer.task]
                cars[n] = _ended(cars[n], answer)
                said = cars[n].reason or f"{cars[n].seconds:.1f} s"
                say(f"{count} of {len(waiting)}  {cars[n].name}  {said}")
        finally:
            opened.close()
    return _together(place, by, cars, checked["prior"], begin)


def _ended(car: FleetCar, answer: Answer) -> FleetCar:
    """The car with what became of its task."""
    if answer.text is None:
        return dataclasses.replace(car, reason=answer.reason)
    outcome = json.loads(answer.text)
    return dataclasses.replace(car, reason=outcome["reason"], seconds=outcome["seconds"])


def _together(folder: Path, by: str, cars: Sequence[FleetCar], prior: float | str, begin: float) -> Fleet:
    """The fleet of its cars' runs, written to its folder."""
    from pct.optimization.constants.fleet import summarise, with_fleet
    from pct.optimization.constants.population import CarFit
    from pct.runs.fleets import load_car, load_fleet_prior, write_fleet

    fits: dict[str, CarFit] = {}
    model, settled = None, []
    for car in cars:
        if car.reason is None:
            try:
                model, solution = load_car(car.run)
            except DataError as error:
                car = dataclasses.replace(car, reason=str(error))
            else:
                if solution is None:
                    car = dataclasses.replace(car, reason="its fit has no covariance that can be trusted")
                else:
                    fits[car.name] = solution
        settled.append(car)
    summary = None
    if model is not None and len(fits) > 1:
        known: Any = prior
        if isinstance(prior, str):
            known = with_fleet(model.spec, load_fleet_prior(Path(prior)))[1]
        summary = summarise(model.spec, fits, known)
    whole = Fleet(folder, by, tuple(settled), summary, time.perf_counter() - begin)
    rows: list[Mapping[str, Any]] = [dataclasses.asdict(car) for car in settled]
    write_fleet(folder, model, summary, rows, by=by, facts=whole.facts)
    return whole


def _make(folder: Path) -> None:
    try:
        (folder / "runs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{folder}: cannot make the folder ({error.strerror}): choose another place"
        ) from None
