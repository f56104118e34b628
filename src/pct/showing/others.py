"""What was made of runs: evaluations, tracks, designs, comparisons, sweeps, fleets, folders of `pct run`."""

from __future__ import annotations

from typing import Any

from pct.runs.directory import DONE
from pct.showing import tables
from pct.showing.held import is_held
from pct.showing.reader import Reader
from pct.showing.results import Quantity, number, setting_text
from pct.showing.studies import StudyError, read_study
from pct.toml_files import NoTomlError, parse_toml


def read_evaluation(reader: Reader) -> tuple[str, dict[str, Any]]:
    """``evaluation.json``: the errors of a run on other drives."""
    what = "the numbers of an evaluation"
    numbers = reader.json("evaluation.json", tables.Evaluation, what)
    if numbers is None:
        return "evaluate", {}
    row = numbers["rows"].get("this run")
    horizons = {} if row is None else row["scores"]
    longest = max(horizons, key=_seconds, default="")
    scores = [
        Quantity(
            f"error of {channel} after {longest} s",
            numbers["units"].get(channel, ""),
            *_ends(row.get("final_rmse")),
        )
        for channel, row in horizons.get(longest, {}).items()
    ]
    scores.sort(key=lambda score: not score.name.startswith("error of position"))
    judged = numbers.get("comparison", {}).get(longest, {})
    better = [name for name, channels in judged.items() if set(channels.values()) == {"better"}]
    words = [f"{scores[0].name} {scores[0].text}" if scores else ""]
    words += [f"better in every channel than {len(better)} of {len(judged)} baselines"] if judged else []
    run = numbers.get("run", "")
    return "evaluate", {
        "model": numbers["model"],
        "data": tuple(numbers["data"]),
        "scores": tuple(scores),
        "headline": ", ".join(filter(None, words)),
        "facts": {"run": run, **{f"note {n}": note for n, note in enumerate(numbers.get("notes", []), 1)}},
    }


def read_track(reader: Reader) -> tuple[str, dict[str, Any]]:
    """``track.json``: what changed along drives."""
    table = reader.json("track.json", tables.Track, "what was tracked")
    if table is None:
        return "track", {}
    changes = sum(len(drive["changes"]) for drive in table["drives"])
    drives = len(table["drives"])
    names = ", ".join(table["vary"])
    return "track", {
        "model": table["model"],
        "data": tuple(drive["name"] for drive in table["drives"]),
        "headline": f"{names}: {changes} change{'s' * (changes != 1)} in {drives} drive{'s' * (drives != 1)}",
        "scores": (Quantity("changes", "1", float(changes)), Quantity("drives", "1", float(drives))),
        "settings": {f"range of {name}": setting_text(row["range"]) for name, row in table["vary"].items()},
    }


def read_design(reader: Reader) -> tuple[str, dict[str, Any]]:
    """``design.json``: what a drive is expected to tell."""
    table = reader.json("design.json", tables.Design, "a design")
    if table is None:
        return "design", {}
    rows = table["parameters"]
    smaller = [(row["parameter"], row["times smaller"]) for row in rows]
    return "design", {
        "model": table["model"],
        "headline": ", ".join(
            f"error of {name} {number(times)} times smaller" for name, times in smaller[:3]
        ),
        "scores": tuple(Quantity(f"{name}, times smaller", "1", times) for name, times in smaller),
        "settings": {name: setting_text(value) for name, value in table["settings"].items()},
    }


def read_comparison(reader: Reader) -> tuple[str, dict[str, Any]]:
    """What `pct compare` has written of fits beside each other."""
    table = reader.json(reader.found.path.name, tables.Comparison, "a comparison of fits")
    if table is None:
        return "compare", {}
    rows = table["quantities"]
    differ = [name for name, row in rows.items() if row["verdict"] == "differs"]
    words = f"{len(differ)} of {len(rows)} differ" + (f": {', '.join(differ[:4])}" if differ else "")
    return "compare", {
        "data": tuple(table["runs"]),
        "headline": words,
        "scores": (Quantity("quantities that differ", "1", float(len(differ))),),
        "facts": {f"fact {n}": fact for n, fact in enumerate(table["facts"], 1)},
    }


def read_sweep(reader: Reader) -> tuple[str, dict[str, Any]]:
    """``study.db``: how many trials ended how, and the best of them."""
    try:
        trials = read_study(reader.found.path / "study.db")
    except StudyError as error:
        reader.problems.append(f"study.db: {error}")
        return "sweep", {}
    total = sum(trials.counts.values())
    words = [f"{total} trials", *(f"{count} {state.lower()}" for state, count in trials.counts.items())]
    if trials.best is not None:
        words.append(f"best loss {number(trials.best)}")
    ended = "stopped" if trials.counts.get("RUNNING") else "done"
    return "sweep", {
        "state": "running" if trials.alive else ended,
        "headline": ", ".join(words),
        "scores": (
            Quantity("best validation loss", "1", trials.best),
            Quantity("trials", "1", float(total)),
        ),
    }


def read_fleet(reader: Reader) -> tuple[str, dict[str, Any]]:
    """``fleet.json``: many cars, their mean, and those unlike the others."""
    table = reader.json("fleet.json", tables.Fleet, "the description of a fleet")
    if table is None:
        return "fleet", {}
    cars, outliers = table["cars"], table.get("outliers", {})
    failed = sum(car.get("reason") is not None for car in cars)
    words = [f"{len(cars)} cars"] + ([f"{failed} failed"] if failed else [])
    words += [f"unlike the others: {', '.join(outliers)}"] if outliers else []
    parameters = tuple(
        Quantity(
            name, row.get("unit", ""), effects["mean"], effects["low"], effects["high"], "mean of the cars"
        )
        for name, row in table.get("parameters", {}).items()
        if (effects := row.get("effects")) is not None
    )
    return "fleet", {
        "model": table.get("model", ""),
        "data": tuple(car["name"] for car in cars),
        "headline": ", ".join(words),
        "parameters": parameters,
        "scores": (Quantity("cars", "1", float(len(cars))), Quantity("cars that failed", "1", float(failed))),
        "facts": {f"fact {n}": fact for n, fact in enumerate(table.get("facts", []), 1)},
    }


def read_choices(reader: Reader) -> tuple[str, dict[str, Any]]:
    """The folder of `pct run`; its fit and its evaluation are results of their own."""
    text = reader.text("run.toml", "the choices of a run") or ""
    try:
        plan = parse_toml(text)
    except NoTomlError as error:
        reader.problems.append(f"run.toml: expected TOML, found {error.what}")
        return "run", {}
    parts = {name: table for name, table in plan.items() if isinstance(table, dict)}
    model, logs = parts.get("car", {}).get("model", ""), parts.get("data", {}).get("logs", [])
    fit = reader.found.path / "fit"
    finished = (fit / DONE).is_file()
    return "run", {
        "state": "done" if finished else "running" if is_held(fit) else "stopped",
        "model": model if isinstance(model, str) else "",
        "data": tuple(map(str, logs)) if isinstance(logs, list) else (),
        "headline": "parameters in fit" if finished else "",
        "settings": {
            f"{part}.{name}": setting_text(value)
            for part, table in parts.items()
            for name, value in table.items()
            if (part, name) != ("data", "logs")
        },
    }


def _ends(score: Any) -> tuple[float | None, float | None, float | None]:
    """Value and interval of a score."""
    if not isinstance(score, dict):
        return score, None, None
    return score.get("value"), score.get("low"), score.get("high")


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
