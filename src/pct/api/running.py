"""`run`: from logs to parameters in one call, each choice with its reason."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pct.api.car_choice import choose_car
from pct.api.drives import load
from pct.api.fits import Fit
from pct.api.fitting import fit
from pct.api.imports import ImportedDataset, import_logs
from pct.api.log_checks import LogCheck, check
from pct.api.scores import Score, evaluate
from pct.api.trials import answer
from pct.choices.plan import KEYS, Plan, read_plan
from pct.choices.questions import Ask, ask_columns
from pct.choices.steps import Steps
from pct.dynamics.core import unknown_name
from pct.errors import DataError
from pct.files import write_output
from pct.logs.signals import MAP
from pct.mapping.log_files import AUTO
from pct.within import listener

PLAN, FIT, EVALUATION, REPORT = "run.toml", "fit", "evaluation", "report.html"
# Warnings of the doctor that are said as they come; the report holds all.
SHOWN = 4
# Roles of parameters whose values go with the wheelbase: as it is guessed, so are they.
WITH_SIZE = frozenset({"geometry", "mass", "yaw inertia", "stiffness", "steering ratio", "steering offset"})


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
    car, settings, unsure = choose_car(plan, train, held_out, mapped, steps, ask)
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
