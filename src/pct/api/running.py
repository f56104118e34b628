"""`run`: from logs to parameters in one call, each choice with its reason."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pct.api.cars import Car, model
from pct.api.drives import Drives, load
from pct.api.fits import Fit
from pct.api.fitting import fit, observed
from pct.api.imports import ImportedDataset, import_logs
from pct.api.log_checks import LogCheck, check
from pct.api.scores import Score, evaluate
from pct.api.sizing import Trial, choose_size, sized
from pct.api.trials import (
    EFFECTS,
    SOME,
    Grounds,
    answer,
    difference,
    is_command,
    is_taken,
    may_be_no_angle,
    possible_effects,
    with_accelerometer,
    with_effects,
    with_options,
    with_relaxation,
)
from pct.choices.car import measure
from pct.choices.plan import KEYS, Plan, read_plan
from pct.choices.questions import Ask, ask_columns
from pct.choices.steps import Steps
from pct.dynamics.core import unknown_name
from pct.errors import DataError
from pct.files import write_output
from pct.logs.signals import MAP
from pct.mapping.log_files import AUTO
from pct.measurement.accelerometer import AXES
from pct.recordings.derive import is_measured
from pct.recordings.feeding import feeding, shared_channels
from pct.recordings.unlogged import goes_straight
from pct.within import listener

PLAN, FIT, EVALUATION, REPORT = "run.toml", "fit", "evaluation", "report.html"
# The models that a log may feed, the richest first.
MODELS = ("singletrack-pacejka", "singletrack", "kinematic-singletrack", "unicycle")
# What driving does not tell of each, so that it is held: forces show over mass only.
HELD = {"singletrack-pacejka": ("C_b",), "singletrack": ("m",)}
# Seconds of a time step at least, of a horizon and of the history before it.
STEP, SECONDS = 0.04, 1.0
# Slower than this, in m/s, not even a model car drives.
STANDS = 0.3
NO_STEERING = (
    "steering: no column that varies is delta, so that tyres and inertia are not learned: log it, and steer"
)
# Warnings of the doctor that are said as they come; the report holds all.
SHOWN = 4
# Roles of parameters whose values go with the wheelbase: as it is guessed, so are they.
WITH_SIZE = frozenset({"geometry", "mass", "yaw inertia", "stiffness", "steering ratio", "steering offset"})
# What a log that goes straight ahead tells of each; there all else is held.
ALONG = {
    "singletrack-pacejka": ("C_m1", "C_m2", "C_r0", "C_r2", "C_b"),
    "unicycle": ("alpha_accel", "beta_accel"),
}


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """All that `run` has made.

    Attributes:
        folder: holds ``run.toml``, the dataset, the run folder ``fit``, the ``evaluation``, and
            ``report.html`` where it was asked for.
        dataset: what was imported.
        checked: what the doctor says of it.
        fit: the parameters, saved.
        score: on the part that was held out; None where it is too short.
        choices: value and reason by key, as in ``run.toml``.
        doubts: what was not certain on the way: low confidence of the map, findings of the doctor, files that
            could not be used.
    """

    folder: Path
    dataset: ImportedDataset
    checked: LogCheck
    fit: Fit
    score: Score | None
    choices: Mapping[str, tuple[Any, str]]
    doubts: tuple[str, ...] = ()

    @property
    def trusted(self) -> list[str]:
        """Names of the parameters that the drives identify, whatever the wheelbase where that is a guess."""
        return [name for name in self.fit.verdicts if name not in self.doubtful]

    @property
    def doubtful(self) -> dict[str, str]:
        """The others, each with its verdict."""
        from pct.optimization.constants.constant_fit import FEW_BLOCKS

        guessed = any(line.startswith("wheelbase:") for line in self.doubts)
        roles = {parameter.name: parameter.role for parameter in self.fit.model.spec.parameters}
        found = {name: str(entry["verdict"]) for name, entry in self.fit.verdicts.items()}
        blocks = FEW_BLOCKS if self.fit.result is None else self.fit.result.estimate.blocks
        for name, verdict in found.items():
            if blocks < FEW_BLOCKS and verdict == "identified":
                found[name] = f"its error rests on {blocks} blocks of driving"
        for name, verdict in found.items():
            if guessed and verdict == "identified" and roles.get(name) in WITH_SIZE:
                found[name] = "goes with the wheelbase, a guess"
        return {name: verdict for name, verdict in found.items() if verdict != "identified"}

    def qualified(self, name: str) -> str:
        """A parameter's name; where driving tells only its ratio to a mass that is held, with that."""
        rows = {parameter.name: parameter.role for parameter in self.fit.model.spec.parameters}
        held = [key for key, role in rows.items() if role == "mass" and key not in self.fit.verdicts]
        if rows.get(name) != "yaw inertia" or not held:
            return name
        value = float(self.fit.model.spec.default_params[held[0]])
        return f"{name} / {held[0]} ({held[0]} is held at {value:.4g} kg)"

    def write_report(self) -> Path:
        """Write the figures and pages of fit and evaluation, and ``report.html`` above them; its path.

        Raises:
            DataError: the folder cannot be written.
        """
        from pct.api.run_page import run_page

        self.fit.write_report(self.folder / FIT)
        if self.score is not None:
            self.score.save(self.folder / EVALUATION, run=self.folder / FIT)
        write_output(self.folder / REPORT, run_page(self).encode())
        return self.folder / REPORT


def run(
    logs: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    progress: Callable[[Any], None] | None = None,
    report: bool = True,
    ask: Ask | None = None,
    **given: Any,
) -> Outcome:
    """Parameters of a car from its logs: map, import, check, choose, fit, judge on a part that is held out.

    Args:
        logs: files or folders of any readable format; or a ``run.toml`` of an earlier run.
        output: the new folder of all that is made.
        progress: called with a line for each choice, a `pct.choices.steps.Step` with the time left as each
            step begins, and the progress of the fit; ``str`` makes a line of each.
        report: whether figures and pages are made.
        ask: called with a question where the map or the wheelbase is not sure; gives the answer, or an empty
            text. When left out, nothing is asked.
        given: choices that are made already, by the last part of their key in ``run.toml``: ``vehicle``,
            ``model``, ``dt``, ...

    Raises:
        DataError: no log can be used, the log feeds no model, the output exists, or an answer stops it.
        UsageError: a choice that cannot be used.
        DivergedError: no model can be rolled out.

    Examples:
        >>> import tempfile, pct
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     drive = pct.simulate(pct.model("singletrack"), duration=20.0, mu=(0.7,), noise=0.0)[0]
        ...     drive.table().select("t", "x", "y", "psi", "v", "delta").write_csv(f"{folder}/log.csv")
        ...     made = pct.run(f"{folder}/log.csv", f"{folder}/run", model="unicycle", report=False)
        ...     made.fit.model.spec.name, made.choices["car.vehicle"][0]
        ('unicycle', 'f1tenth')
    """
    from pct.evaluation.report import save_numbers

    progress = listener("progress", progress)
    places = [Path(logs)] if isinstance(logs, str | Path) else [Path(place) for place in logs]
    choices: dict[str, Any] = {}
    if len(places) == 1 and places[0].suffix == ".toml":
        choices = read_plan(places[0])
        places = [Path(place) for place in choices.get("data.logs", ())]
        if not places:
            raise DataError(f"{logs}: expected logs under [data], found none: add data.logs")
    folder = Path(output)
    if folder.exists() and any(folder.iterdir()):
        raise DataError(f"{folder}: expected a new folder, found one with files: choose another output")
    steps = Steps(progress)
    ask = None if ask is None else steps.not_counted(ask)
    plan = Plan({**choices, **_keys(given)}, progress)
    plan.choose("data.logs", answer([str(place.absolute()) for place in places], "as asked"))
    dataset = _import(plan, places, folder, steps)
    mapped = _doubts(dataset.proposed_map)
    if ask is not None:
        ask_columns(ask, [line for line in mapped if " is low: " in line], dataset.map)
    train = load(dataset.parts["train"])
    held_out = load(dataset.parts["val"]) if "val" in dataset.parts else None
    steps.start("check", "checking")
    checked = check(list(dataset.parts.values()))
    progress(f"check: {len(checked.findings)} findings, worst: {checked.worst or 'none'}")
    told = dict.fromkeys(
        f"{f.check.replace('_', ' ')}: {f.message}" for f in checked.findings if f.severity == "warning"
    )
    for line in list(told)[:SHOWN]:
        progress(f"check: {line}")
    car, settings, unsure = _choose(plan, train, held_out, mapped, steps, ask)
    write_output(folder / PLAN, plan.to_toml().encode())
    steps.start("fit", "fitting")
    fitted = fit(car, train, progress=progress, **settings)
    fitted.save(folder / FIT, report=False)
    score = None
    if held_out is not None:
        try:
            score = evaluate(fitted, held_out, progress=lambda name: steps.start("judge", f"judging: {name}"))
            save_numbers(folder / EVALUATION, score.result, run=folder / FIT, paths=held_out.paths)
        except DataError as error:
            progress(f"not judged: {error}")
    doubts = (
        *(f"not used: {file.error}" for file in dataset.failed),
        *(f"map: {line}" for line in mapped),
        *unsure,
        *(
            f"{finding.where}: {finding.message}"
            for finding in checked.findings
            if finding.severity == "error"
        ),
    )
    outcome = Outcome(folder, dataset, checked, fitted, score, plan.chosen, doubts)
    if report:
        outcome.write_report()
    return outcome


def _keys(given: Mapping[str, Any]) -> dict[str, Any]:
    """Choices by key, from the last part of each."""
    full = {key.rpartition(".")[2]: key for key in KEYS}
    if unknown := sorted(set(given) - set(full)):
        raise unknown_name("choice", unknown[0], list(full))
    return {full[name]: value for name, value in given.items() if value is not None}


def _import(plan: Plan, places: list[Path], folder: Path, steps: Steps) -> ImportedDataset:
    """The dataset of the logs, a part of it held out."""

    def which_map() -> tuple[str, str]:
        beside = [
            place / MAP if place.is_dir() else place.parent / MAP
            for place in places
            if ((place if place.is_dir() else place.parent) / MAP).is_file()
        ]
        if beside:
            return str(beside[0].absolute()), "it lies beside the logs"
        return AUTO, "none lies beside the logs, so it is proposed from the columns"

    mapped = plan.choose("data.map", which_map)
    split = plan.choose(
        "data.hold_out", lambda: ("block", "the end of each recording is kept for the judgement")
    )
    steps.start("import", "importing")
    return import_logs(
        places,
        folder / "dataset",
        map=mapped,
        split=split,
        val_split=0.25,
        progress=lambda done, total, name: steps.say(f"imported {done} of {total}: {name}"),
    )


def _doubts(proposed: str) -> list[str]:
    """What a proposed map is not sure of: table and reason."""
    lines = proposed.splitlines()
    return [
        f"{table.strip('[]')} is {comment.removeprefix('# ')}"
        for comment, table in itertools.pairwise(lines)
        if comment.startswith(("# low", "# medium")) and table.startswith("[")
    ]


def _choose(
    plan: Plan,
    train: Drives,
    held_out: Drives | None,
    doubts: Sequence[str],
    steps: Steps,
    ask: Ask | None,
) -> tuple[Car, dict[str, Any], list[str]]:
    """The car, the settings of its fit, and what is not sure about the car."""
    step = max(trajectory.dt for _, trajectory in train.recordings)
    dt = plan.choose(
        "fit.dt", lambda: (step * math.ceil(STEP / step - 1e-9), f"a multiple of the {step:g} s of the logs")
    )
    count = max(2, round(SECONDS / dt))
    settings: dict[str, Any] = {"dt": dt}
    for name in ("horizon", "history"):
        settings[name] = plan.choose(f"fit.{name}", lambda: (count, f"{count * dt:g} s"))
    held = shared_channels(drive.channels for drive in train)
    found = [feeding(model(name).spec, held) for name in MODELS]
    feeds = [item.model for item in found if item.feeds]
    if not feeds and "car.model" not in plan.given:
        heading = (
            "" if {"psi", "course"} & {*held} or "x" not in held else "no heading beside the positions: "
        )
        raise DataError(
            f"{train[0].name}: expected the channels of a model, found {heading}{', '.join(held)}. "
            f"{'. '.join(map(str, found))}"
        )
    fastest = measure([trajectory for _, trajectory in train.recordings]).speed
    if fastest < STANDS and "car.model" not in plan.given:
        raise DataError(
            f"{train[0].name}: expected a drive, found a car that stands or crawls, {fastest:.2g} m/s at "
            "most: drive faster, or look up the unit of the speed or the positions"
        )

    grounds = Grounds(plan, train, held_out, settings, steps)

    def tried(car: Car, name: str) -> float:
        return grounds.tried(observed(car), compare=_compared(name, train))

    # Of models with a wheelbase the richest tells vehicles apart.
    straight = goes_straight(held)
    rich = None if straight else next((name for name in feeds if name in HELD), None)
    trial = None
    if rich is not None:
        short = {**settings, "compare": _compared(rich, train), "samples": SOME, "iterations": 15}
        trial = Trial(
            lambda vehicle: _with_held(model(rich, vehicle=vehicle), _held(rich)),
            None if held_out is None else lambda car: tried(car, rich),
            short,
            not is_command(train, doubts),
            not may_be_no_angle(doubts),
            is_taken(doubts),
        )
    # A model without axles has no use for a wheelbase.
    has_axles = any("lf" in model(name).base.default_params for name in feeds)
    vehicle, length, unsure = choose_size(plan, train, trial, steps, ask if has_axles else None)

    if not has_axles:
        unsure = [] if straight or "delta" in held else [NO_STEERING]

    def car_of(name: str) -> Car:
        return sized(model(name, vehicle=vehicle), length)

    def which_model() -> tuple[str, str]:
        rivals = feeds[:2]
        if held_out is None or len(rivals) == 1:
            return rivals[0], "the richest that the channels feed"
        found = {}
        for name in rivals:
            steps.trying(name)
            found[name] = tried(_with_held(car_of(name), _held(name)), name)
        best = min(found, key=found.__getitem__)
        other = next(name for name in rivals if name != best)
        share = difference(found[best], found[other])
        return best, f"its errors on the part held out are {share} than those of {other}"

    name = plan.choose("car.model", which_model)

    def which_fixed() -> tuple[list[str], str]:
        if straight and name in ALONG:
            others = [key for key in model(name).learned if key not in ALONG[name]]
            return others, "nothing tells of turning: the car is taken to go straight ahead"
        if _held(name):
            return _held(name), "driving does not tell them: weigh and measure"
        return [], "all can be learned"

    fixed = plan.choose("car.fixed", which_fixed)
    car = observed(_with_held(car_of(name), fixed))
    compare = plan.choose(
        "fit.compare",
        answer(_compared(name, train), "of what the model tells, what the logs show without a derivative"),
    )
    # A plan whose model was edited may name channels of the one before.
    settings["compare"] = [channel for channel in compare if channel in car.spec.state_names]
    if not straight:
        car = with_accelerometer(car, grounds)
        settings["compare"] += [name for name in car.spec.state_names if name in AXES]
    elif not any(f"measurement.{effect}" in plan.given for effect in EFFECTS):
        return car, settings, unsure
    effects = possible_effects(train, doubts)
    car = with_effects(car, grounds, effects)
    size = measure([trajectory for _, trajectory in train.recordings])
    car = with_options(car, grounds, car_of, size)
    return with_relaxation(car, grounds, size), settings, unsure


def _compared(name: str, drives: Drives) -> list[str]:
    """States that all drives measure: not derived by smoothing, nor predicted by a derived control."""
    spec = model(name).spec
    controls = {control.name for control in spec.controls}
    return [
        state
        for state in spec.state_names
        if not any(
            not is_measured(state, drive.channels)
            or (spec.rates.get(state) in controls and spec.rates[state] not in drive.channels)
            for drive in drives
        )
    ]


def _held(name: str) -> list[str]:
    return list(HELD.get(name.partition("+")[0], ()))


def _with_held(car: Car, fixed: Sequence[str]) -> Car:
    values = dict(item.partition("=")[::2] for item in fixed)
    return (
        car.hold_all({name: float(value) if value else None for name, value in values.items()})
        if fixed
        else car
    )
