"""What the files of results hold, as far as the page reads them; other keys are passed over."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from pct.json_files import Known, Numbers, Text


class Provenance(TypedDict, total=False):
    """``provenance.json``."""

    started: str
    command: list[str]
    working_directory: str
    packages: dict[str, str | None]
    git: dict[str, str | bool] | None
    platform: str
    data: dict[str, str]


class Described(TypedDict):
    """``fit.json`` or ``network.json``."""

    model: str


class Done(TypedDict, total=False):
    """``DONE`` of a fit or training."""

    finished: str
    best_val_loss: Known
    best_train_loss: Known
    final_position_rmse_m: dict[str, Known]
    final_rmse: dict[str, dict[str, Known]]
    remaining_error: dict[str, Known]


class Failed(TypedDict, total=False):
    """``FAILED``."""

    finished: str
    reason: str


class Parameter(TypedDict):
    """A parameter in ``pct_predicted_params.json``."""

    mean: Numbers
    std: Numbers
    unit: NotRequired[Text]
    min: NotRequired[Numbers]
    max: NotRequired[Numbers]
    verdict: NotRequired[Text | None]


class EvaluatedRow(TypedDict):
    """A row of ``evaluation.json``: scores by horizon, channel and kind."""

    scores: dict[str, dict[str, dict[str, dict[str, Known] | Known]]]


class Evaluation(TypedDict):
    """``evaluation.json``."""

    model: str
    data: list[str]
    units: dict[str, str]
    rows: dict[str, EvaluatedRow]
    run: NotRequired[str]
    notes: NotRequired[list[str]]
    comparison: NotRequired[dict[str, dict[str, dict[str, str]]]]


class Varied(TypedDict):
    """A parameter of ``track.json`` that may change."""

    range: list[Known]


class Drive(TypedDict):
    """A drive of ``track.json``."""

    name: str
    changes: list[dict[str, Any]]


class Track(TypedDict):
    """``track.json``."""

    model: str
    vary: dict[str, Varied]
    drives: list[Drive]


Designed = TypedDict("Designed", {"parameter": str, "times smaller": Known})


class Design(TypedDict):
    """``design.json``."""

    model: str
    settings: dict[str, Any]
    parameters: list[Designed]


class Compared(TypedDict):
    """A parameter or side force of a comparison."""

    verdict: str


class Comparison(TypedDict):
    """What `pct compare` writes as JSON."""

    runs: list[str]
    quantities: dict[str, Compared]
    facts: list[str]


class Car(TypedDict):
    """A car of ``fleet.json``."""

    name: str
    reason: NotRequired[str | None]


class Effects(TypedDict):
    """Mean of a parameter over a fleet, with its 95 % interval."""

    mean: Known
    low: Known
    high: Known


class FleetParameter(TypedDict):
    """A parameter of ``fleet.json``."""

    unit: NotRequired[str]
    effects: NotRequired[Effects | None]


class Fleet(TypedDict):
    """``fleet.json``."""

    cars: list[Car]
    model: NotRequired[str]
    parameters: NotRequired[dict[str, FleetParameter]]
    outliers: NotRequired[dict[str, list[str]]]
    facts: NotRequired[list[str]]
