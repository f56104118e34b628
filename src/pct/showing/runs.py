"""The run folder of a fit or a training, as far as the page shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pct.runs.directory import CONFIG, DONE, FAILED, PREDICTED, PROVENANCE
from pct.runs.sinks import METRICS
from pct.showing import tables
from pct.showing.folders import FIT, NETWORK
from pct.showing.held import is_held
from pct.showing.reader import Reader
from pct.showing.results import Quantity, number, setting_text

NORMAL_95 = 1.959964
POSITION = "position error"


def read_run(reader: Reader) -> tuple[str, dict[str, Any]]:
    """The folder of a fit or training."""
    config = reader.json(CONFIG, dict[str, Any], "the settings of a run") or {}
    provenance = reader.json(PROVENANCE, tables.Provenance, "the provenance of a run") or {}
    kind = _kind_of_run(reader, config, provenance)
    done = reader.json(DONE, tables.Done, "the summary of a run")
    failed = reader.json(FAILED, tables.Failed, "why a run failed")
    predicted = reader.json(PREDICTED, dict[str, tables.Parameter], "predicted parameters") or {}
    dataset = config.get("dataset")
    parameters = tuple(_parameter(name, row, kind) for name, row in predicted.items())
    scores = tuple(_scores_of_run(done or {}, kind))
    facts: dict[str, Any] = {
        "state": _state(reader, done is not None, failed is not None),
        "reason": (failed or {}).get("reason", ""),
        "model": _model(reader, config),
        "data": tuple(map(str, dataset)) if isinstance(dataset, list) else (),
        "started": provenance.get("started", ""),
        "finished": ((done or failed) or {}).get("finished", ""),
        "scores": scores,
        "parameters": parameters,
        "headline": _headline_of_run(kind, scores, parameters),
        "settings": {name: setting_text(value) for name, value in config.items() if name != "dataset"},
        "facts": _origin(provenance),
        "epochs": config["epochs"] if kind == "train" and isinstance(config.get("epochs"), int) else None,
    }
    return kind, facts


def _kind_of_run(reader: Reader, config: Mapping[str, Any], provenance: tables.Provenance) -> str:
    if reader.has(FIT) or "iterations" in config:
        return "fit"
    if reader.has(NETWORK) or reader.has(METRICS) or "epochs" in config:
        return "train"
    return "fit" if "fit" in provenance.get("command", [])[1:2] else "train"


def _model(reader: Reader, config: Mapping[str, Any]) -> str:
    """Name of the model: a setting of commands, in Python the model's own."""
    if isinstance(config.get("model"), str):
        return str(config["model"])
    for name in (FIT, NETWORK):
        described = reader.json(name, tables.Described, "the description of a model")
        if described is not None:
            return described["model"]
    return ""


def _state(reader: Reader, done: bool, failed: bool) -> str:
    if done or failed:
        return "done" if done else "failed"
    return "running" if is_held(reader.found.path) else "stopped"


def _scores_of_run(done: tables.Done, kind: str) -> list[Quantity]:
    from pct.dynamics.channels import known_channels

    units = {name: channel.unit for name, channel in known_channels().items()}
    scores = []
    for name, words in (("best_val_loss", "validation loss"), ("best_train_loss", "training loss")):
        if isinstance(value := done.get(name), float | int):
            scores.append(Quantity(words, "1", value))
    for who, value in (done.get("final_position_rmse_m") or {}).items():
        words = POSITION if who == "trained" else f"{POSITION}, {who} parameters"
        scores.append(Quantity(words, "m", value))
    errors = done.get("remaining_error") or (done.get("final_rmse") or {}).get("trained") or {}
    words = "remaining error" if kind == "fit" else "error at the horizon"
    return [
        *scores,
        *(Quantity(f"{words} of {name}", units.get(name, ""), value) for name, value in errors.items()),
    ]


def _headline_of_run(kind: str, scores: Sequence[Quantity], parameters: Sequence[Quantity]) -> str:
    if kind == "train":
        position = [score for score in scores if score.name == POSITION]
        return ", ".join(f"{score.name} {score.text}" for score in [*scores[:1], *position])
    shown = [
        f"{one.name} {number(one.value)}" + (f" [{one.interval}]" if one.interval else "")
        for one in parameters
        if one.value is not None
    ]
    return ", ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")


def _parameter(name: str, row: tables.Parameter, kind: str) -> Quantity:
    """A parameter of ``pct_predicted_params.json``; of an array its shape is all that is shown."""
    mean, std = row["mean"], row["std"]
    unit, note = row.get("unit", ""), row.get("verdict") or ""
    if isinstance(mean, list):
        return Quantity(name, unit, None, note="several values")
    low, high = row.get("min"), row.get("max")
    if kind == "fit":
        low = high = None
        if isinstance(mean, float) and isinstance(std, float):
            low, high = mean - NORMAL_95 * std, mean + NORMAL_95 * std
    if not (isinstance(low, float) and isinstance(high, float)):
        low = high = None
    return Quantity(name, unit, mean, low, high, note)


def _origin(provenance: tables.Provenance) -> dict[str, str]:
    """What a run was made with."""
    versions = ", ".join(f"{name} {version}" for name, version in provenance.get("packages", {}).items())
    git = provenance.get("git") or {}
    commit = f"{git.get('commit', '')}{', with changes' if git.get('dirty') else ''}"
    facts = {
        "command": " ".join(provenance.get("command", [])),
        "working directory": provenance.get("working_directory", ""),
        "versions": versions,
        "commit": commit,
        "platform": provenance.get("platform", ""),
        **{path: f"SHA-256 {digest}" for path, digest in provenance.get("data", {}).items()},
    }
    return {name: value for name, value in facts.items() if value}
