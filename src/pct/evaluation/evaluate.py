"""Evaluates a model and its ladder of baselines on the same windows."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.errors import DataError, DivergedError, UsageError
from pct.evaluation.baselines.constant_parameters import diverged_as_infinite
from pct.evaluation.conditions import Condition, conditions
from pct.evaluation.datasets import TestData, TrainingData
from pct.evaluation.explosions import Explosion, find_exploded, name_explosions
from pct.evaluation.ladder import ladder
from pct.evaluation.scores import Errors, Score, compare, errors_of, growth, score, score_bins
from pct.evaluation.simulated import Simulated
from pct.evaluation.varying import Varying, varying_parameters
from pct.evaluation.windows import all_windows, as_logged
from pct.optimization.model import Model
from pct.optimization.network.model import TrainedModel
from pct.optimization.settings import AT, HORIZON, ROWS
from pct.recordings.unlogged import assumed_lines
from pct.runs.overlap import Overlap, find_overlap, row_hashes
from pct.windows.at_limits import limit_lines
from pct.windows.bootstrap import Blocks, Interval, make_blocks
from pct.windows.inputs import other_origin_lines, with_unlogged
from pct.windows.splits import rows_of_windows
from pct.windows.store import make_window_store
from pct.windows.window_set import WindowSet
from pct.within import Within, check_number, check_numbers

# Windows that the baselines are fitted to; more do not change them.
TRAINING_WINDOWS = 20000
RUN = "this run"
FEW_BLOCKS = 10


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """Errors of the run or of one baseline.

    Attributes:
        doc: what it does.
        told: controls over the horizon that it reads and that are derived from the measurements of what is
            predicted.
        comparable: whether it is told nothing that the run is not.
        exploded: windows that explode up to a horizon, by horizon in s.
        explosions: the first of them.
        scores: by horizon in s, then by channel.
        ratios: path RMSE of the run over this one's, by horizon, then by channel.
        bins: path RMSE at the longest horizon by condition, one entry a bin, then by channel.
        growth: RMSE after each step by channel.
    """

    doc: str
    told: tuple[str, ...]
    comparable: bool
    exploded: dict[float, int]
    explosions: list[Explosion]
    scores: dict[float, dict[str, Score]]
    ratios: dict[float, dict[str, Interval]]
    bins: dict[str, list[dict[str, Interval]]]
    growth: dict[str, list[Interval]]


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """Errors of a run and its baselines, and how they were made.

    Attributes:
        spec: the run's model, whose tables give units.
        dt: time step in s.
        at: horizons in s.
        windows, recordings: of the evaluation.
        history, horizon, stride: of the windows, in steps.
        block_rows, blocks: least rows of a bootstrap block, and how many blocks there are.
        overlap: share of the test rows that were trained on.
        notes: limits of the figures, in sentences.
        conditions: the bins.
        rows: errors by name: the run, then what can be compared with it, then the others.
        missing: why a baseline is missing, by name.
        drive: the windows as they were driven, and as the run and its baselines simulate them.
        model: the run's; None where nobody asks for its parameters.
        parameter_verdicts: gives those of a fit by parameter, which may take time; none for a network.
        varying: how the predictions of a network vary over the windows, by parameter; empty for a fit.
    """

    spec: ModelSpec
    dt: float
    at: tuple[float, ...]
    windows: int
    recordings: tuple[str, ...]
    history: int
    horizon: int
    stride: int
    block_rows: int
    blocks: int
    overlap: Overlap | None
    notes: list[str]
    conditions: list[Condition]
    rows: dict[str, Row]
    missing: dict[str, str]
    drive: Simulated | None = None
    model: Model | None = None
    parameter_verdicts: Callable[[], Mapping[str, Mapping[str, Any]]] = dict
    varying: Mapping[str, Varying] = dataclasses.field(default_factory=dict)


def evaluate(
    model: Model,
    test: TestData,
    training: TrainingData,
    *,
    at: Sequence[float] = (),
    stride: int | None = None,
    allow_overlap: bool = False,
    progress: Callable[[str], None] | None = None,
    parameter_verdicts: Callable[[], Mapping[str, Mapping[str, Any]]] = dict,
) -> Evaluation:
    """Errors of the model and of every baseline on the same windows.

    Args:
        model: a network or fit.
        test: recordings of the evaluation.
        training: what the model was trained on.
        at: horizons in s; that of training when left out.
        stride: steps from one window to the next; that of training when left out.
        allow_overlap: evaluate on training data, too; every output carries a note.
        progress: called with the name of each row before it is evaluated.
        parameter_verdicts: of `Evaluation`.

    Raises:
        UsageError: a horizon is no whole number of steps.
        DataError: the recordings cannot be used, or were trained on.
    """
    check_numbers("at", at, AT)
    if stride is not None:
        check_number("stride", stride, ROWS)
    at = tuple(sorted(set(at))) or (model.settings["horizon"] * model.dt,)
    stride = stride or model.settings["stride"]
    store = make_window_store(test.recordings, model.spec, dt=model.dt, label="test")
    spec, model = with_unlogged(model.spec, store.origins), as_logged(model, store)
    windows = all_windows(model, store, "test", stride, horizon_steps(at, model.dt))
    overlap = _checked_overlap(model, training, windows, allow_overlap)
    announce = progress or (lambda name: None)
    rows_a_block = 2 * (windows.history + windows.horizon)
    recording = windows.store.recording[windows.starts]
    blocks = make_blocks(windows.starts, recording, rows=rows_a_block)
    steps = {seconds: round(seconds / windows.dt) for seconds in at}
    binned = conditions(windows, spec)
    told_run = test.derived(spec.controls)

    announce(RUN)
    doc = "The model with the parameters that the run learned."
    drive, varying = _simulate(model, windows, spec)
    judge = _Judge(windows, spec, steps, blocks, binned, drive.errors, told_run)
    rows = {RUN: judge.row(doc, drive.errors, told_run)}
    missing, beside = {}, {}

    @functools.cache
    def training_windows() -> WindowSet:
        return training.windows(model, horizon=windows.horizon, samples=TRAINING_WINDOWS)

    for name, make in ladder(model, test, training_windows).items():
        announce(name)
        try:
            baseline = make()
            states = baseline.predict(windows)
            errors = errors_of(states, np.asarray(windows.batch.targets), spec)
        except (DataError, DivergedError) as error:
            missing[name] = str(error)
            continue
        rows[name] = judge.row(baseline.doc, errors, test.derived(baseline.controls))
        beside[name] = states[drive.shown[0]]
    rows = dict(sorted(rows.items(), key=lambda item: not item[1].comparable))
    nearest = sorted(beside, key=lambda name: _rank(rows[name], drive.headline.name, max(at)))
    return Evaluation(
        spec=spec,
        dt=windows.dt,
        at=at,
        windows=len(windows),
        recordings=tuple(windows.store.recordings[i] for i in np.unique(recording)),
        history=windows.history,
        horizon=windows.horizon,
        stride=stride,
        block_rows=rows_a_block,
        blocks=len(blocks),
        overlap=overlap,
        notes=[
            *_notes(model, test, training, overlap, blocks),
            *assumed_lines(spec, store.origins),
            *other_origin_lines(spec, store.origins),
            *limit_lines(spec, store),
        ],
        conditions=binned,
        rows=rows,
        missing=missing,
        drive=dataclasses.replace(drive, beside={name: beside[name] for name in nearest}),
        model=model,
        parameter_verdicts=parameter_verdicts,
        varying=varying,
    )


def _simulate(model: Model, windows: WindowSet, spec: ModelSpec) -> tuple[Simulated, dict[str, Varying]]:
    """The windows as the run simulates them, and how its predicted parameters vary over them."""
    batch = model.prepare(windows).batch
    states = diverged_as_infinite(model.predict_states(batch))
    errors = errors_of(states, np.asarray(windows.batch.targets), spec)
    compared = tuple(name for name in spec.state_names if name in errors.names)
    drive = Simulated(spec, windows, states, errors, compared, _vehicle(model, spec))
    return drive, varying_parameters(model, batch, drive) if isinstance(model, TrainedModel) else {}


def _rank(row: Row, channel: str, seconds: float) -> tuple[bool, float]:
    """Sorts what can be compared with the run to the front, the smallest error first."""
    score = row.scores[seconds].get(channel)
    return not row.comparable, np.inf if score is None else score.path_rmse.value


def _vehicle(model: Model, spec: ModelSpec) -> dict[str, Any]:
    """Parameters by name: those of a fit, else the defaults."""
    return {**spec.default_params, **getattr(model, "params", {})}


def horizon_steps(at: Sequence[float], dt: float) -> int:
    """Steps of the longest horizon.

    Args:
        at: horizons in s.
        dt: time step in s.

    Raises:
        UsageError: a horizon is no whole number of steps.
    """
    for seconds in at:
        steps = seconds / dt
        if not (steps > 0.5 and abs(steps - round(steps)) < 1e-6 * max(steps, 1)):
            raise UsageError(f"`at={seconds:g}`: expected a positive multiple of the time step, {dt:g} s")
    check_number("at", max(at), Within(dt, HORIZON.high * dt, "s"))
    return round(max(at) / dt)


def measure_overlap(model: Model, training: TrainingData, windows: WindowSet) -> Overlap:
    """How many of the windows' rows the model was trained on.

    Raises:
        DataError: its training data is unknown.
    """
    shape = {"horizon": windows.horizon, "history": windows.history}
    read = rows_of_windows(windows.starts, windows.store.recording.size, **shape)
    hashes = row_hashes(windows.store, model.spec.pose_indices, read)
    return find_overlap(training.row_hashes(model), hashes)


def _checked_overlap(
    model: Model, training: TrainingData, windows: WindowSet, allowed: bool
) -> Overlap | None:
    """The overlap, refused where it is more than chance; None where it is unknown and that is allowed."""
    try:
        overlap = measure_overlap(model, training, windows)
    except DataError as error:
        if allowed:
            return None
        raise DataError(
            f"cannot tell whether the run was trained on the test data ({error}): "
            "pass `allow_overlap` to evaluate all the same"
        ) from None
    if overlap.alarming and not allowed:
        raise DataError(
            f"test data: expected drives that the run was not trained on, found {100 * overlap.share:.0f} % "
            f"of {overlap.compared} compared rows in its training data: "
            "give other drives, or pass `allow_overlap` to evaluate all the same"
        )
    return overlap


def _notes(
    model: Model, test: TestData, training: TrainingData, overlap: Overlap | None, blocks: Blocks
) -> list[str]:
    """Limits of the figures, in sentences."""
    notes = []
    if overlap is None or not overlap.compared:
        notes.append("NOT CHECKED whether the run was trained on the test data.")
    elif overlap.alarming:
        notes.append(
            f"NO TEST: {100 * overlap.share:.0f} % of {overlap.compared} compared rows were trained on."
        )
    elif training.shares_recordings(test):
        notes.append("The run chose its best epoch by some of these files; a strict test uses others.")
    if model.settings.get("beats_fit") is False:
        notes.append("No epoch of the network was better than its fit on held-out rows: it is the fit.")
    if derived := test.derived(model.spec.controls):
        notes.append(
            f"Not logged but derived from what is predicted: {', '.join(derived)}. This run is told them "
            "over the horizon; hold last value and constant acceleration are not. "
            "What they drive directly is no prediction."
        )
    if len(blocks) < FEW_BLOCKS:
        notes.append(f"Only {len(blocks)} blocks: the intervals are rough. Use longer recordings.")
    return notes


@dataclasses.dataclass(frozen=True, eq=False)
class _Judge:
    """What every row is made of: the windows, and the run that it is compared with."""

    windows: WindowSet
    spec: ModelSpec
    steps: dict[float, int]
    blocks: Blocks
    conditions: Sequence[Condition]
    run: Errors
    told: tuple[str, ...]

    def row(self, doc: str, errors: Errors, told: tuple[str, ...]) -> Row:
        """The row of these errors, told these derived controls."""
        steps, blocks, longest = self.steps, self.blocks, max(self.steps.values())
        beyond = find_exploded(errors, np.asarray(self.windows.batch.targets), self.spec)
        return Row(
            doc,
            told,
            comparable=not set(told) - set(self.told),
            exploded={at: int(beyond[:, :count].any(axis=(1, 2)).sum()) for at, count in steps.items()},
            explosions=name_explosions(
                beyond, errors.names, self.windows.origin(np.arange(len(self.windows)))
            ),
            scores={at: score(errors, count, blocks) for at, count in steps.items()},
            ratios={at: compare(self.run, errors, count, blocks) for at, count in steps.items()},
            bins={c.name: score_bins(errors, longest, blocks, c.inside) for c in self.conditions},
            growth=growth(errors, blocks),
        )
