"""Judges a model and its ladder of baselines on the same windows."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pct.dynamics.core import ModelSpec
from pct.dynamics.kinematic_singletrack import KINEMATIC_SINGLETRACK
from pct.errors import DataError, DivergedError, UsageError
from pct.evaluation.baselines.kinematic import is_comparable
from pct.evaluation.baselines.parameters import diverged_as_infinite
from pct.evaluation.bootstrap import Blocks, Estimate, make_blocks
from pct.evaluation.conditions import Condition, conditions
from pct.evaluation.ladder import ladder
from pct.evaluation.model import Model
from pct.evaluation.overlap import Overlap, find_overlap, load_fingerprint, row_hashes
from pct.evaluation.scores import Errors, Score, compare, errors_of, growth, score, score_bin
from pct.evaluation.windows import derived_channels, load_training_windows
from pct.logs.signals import MAP
from pct.recordings.trajectory import MANIFEST
from pct.runs.directory import data_of
from pct.windows.loading import data_hashes
from pct.windows.splits import rows_of_windows
from pct.windows.window_set import WindowSet

# Windows that the baselines are fitted to; more do not change them.
TRAINING_WINDOWS = 20000
RUN = "this run"
FEW_BLOCKS = 10


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """Errors of the run or of one baseline.

    Attributes:
        doc: what it does.
        scores: by horizon in s, then by channel.
        ratios: path RMSE of the run over this one's, by horizon, then by channel.
        bins: path RMSE at the longest horizon by condition, one entry a bin, then by channel.
        growth: RMSE after each step by channel.
    """

    doc: str
    scores: dict[float, dict[str, Score]]
    ratios: dict[float, dict[str, Estimate]]
    bins: dict[str, list[dict[str, Estimate]]]
    growth: dict[str, list[Estimate]]


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """All that is reported.

    Attributes:
        spec: the run's model, whose tables give units.
        dt: time step in s.
        at: horizons in s.
        windows, recordings: how many were judged.
        history, horizon, stride: of the windows, in steps.
        block_rows, blocks: least rows of a bootstrap block, and how many blocks there are.
        overlap: share of the test rows that were trained on.
        notes: what a reader must know to believe the figures.
        conditions: the bins.
        rows: errors by name, the run first.
        left_out: why a baseline is missing, by name.
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
    left_out: dict[str, str]


def evaluate(
    model: Model,
    run: Path,
    windows: WindowSet,
    paths: Sequence[Path],
    *,
    at: Sequence[float],
    stride: int,
    overlap: Overlap | None,
    tell: Callable[[str], None] = lambda text: None,
) -> Evaluation:
    """Errors of the model and of every baseline on the same windows.

    Args:
        model: the run's.
        run: its folder, which names the training data.
        windows: to judge on, as long as the longest horizon.
        paths: the folders that they come from.
        at: horizons in s.
        stride: steps from one window to the next.
        overlap: what `measure_overlap` found.
        tell: is told what is being done.
    """
    spec = model.spec
    rows_a_block = 2 * (windows.history + windows.horizon)
    recording = windows.store.recording[windows.starts]
    blocks = make_blocks(windows.starts, recording, rows=rows_a_block)
    steps = {seconds: round(seconds / windows.dt) for seconds in at}
    binned = conditions(windows, spec)
    targets = np.asarray(windows.batch.targets)

    tell(RUN)
    doc = "The model with the parameters that the run learned."
    ours = errors_of(diverged_as_infinite(model.predict_states(model.prepare(windows).batch)), targets, spec)
    rows = {RUN: _row(doc, ours, ours, steps, blocks, binned)}
    left_out = {}

    @functools.cache
    def training() -> WindowSet:
        horizon = windows.horizon
        return load_training_windows(model, run, horizon=horizon, samples=TRAINING_WINDOWS)[2]

    for name, make in ladder(model, paths, training).items():
        tell(name)
        try:
            baseline = make()
            errors = errors_of(baseline.predict(windows), targets, spec)
        except (DataError, DivergedError) as error:
            left_out[name] = str(error)
            continue
        rows[name] = _row(baseline.doc, errors, ours, steps, blocks, binned)
    return Evaluation(
        spec=spec,
        dt=windows.dt,
        at=tuple(at),
        windows=len(windows),
        recordings=tuple(windows.store.recordings[i] for i in np.unique(recording)),
        history=windows.history,
        horizon=windows.horizon,
        stride=stride,
        block_rows=rows_a_block,
        blocks=len(blocks),
        overlap=overlap,
        notes=_notes(model, run, paths, overlap, blocks),
        conditions=binned,
        rows=rows,
        left_out=left_out,
    )


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
            raise UsageError(f"--at {seconds:g}: expected a positive multiple of the time step, {dt:g} s")
    return round(max(at) / dt)


def measure_overlap(model: Model, run: Path, windows: WindowSet) -> Overlap:
    """How much of the windows' rows the run was trained on.

    A run without a fingerprint is compared with the training data that it names.

    Raises:
        DataError: there is neither.
    """
    pose = model.spec.pose_indices
    fingerprint = load_fingerprint(run)
    if fingerprint is None:
        store, read, _ = load_training_windows(model, run, horizon=model.settings["horizon"], samples=1)
        fingerprint = row_hashes(store, pose, read)
    shape = {"horizon": windows.horizon, "history": windows.history}
    judged = rows_of_windows(windows.starts, windows.store.recording.size, **shape)
    return find_overlap(fingerprint, row_hashes(windows.store, pose, judged))


def _notes(
    model: Model, run: Path, paths: Sequence[Path], overlap: Overlap | None, blocks: Blocks
) -> list[str]:
    """What a reader must know to believe the figures."""
    notes = []
    if overlap is None or not overlap.compared:
        notes.append("NOT CHECKED whether the run was trained on the test data.")
    elif overlap.alarming:
        notes.append(
            f"NO TEST: {100 * overlap.share:.0f} % of {overlap.compared} compared rows were trained on."
        )
    elif _recordings(data_of(run)) & _recordings(data_hashes(paths)):
        notes.append("The run chose its best epoch by some of these files; a strict test uses others.")
    baseline = KINEMATIC_SINGLETRACK.control_names if is_comparable(model.spec) else ()
    controls = dict.fromkeys((*model.spec.control_names, *baseline))
    if derived := derived_channels(paths, [*controls]):
        notes.append(
            f"Not logged but derived from what is predicted: {', '.join(derived)}. "
            "What they drive directly is no prediction."
        )
    if len(blocks) < FEW_BLOCKS:
        notes.append(f"Only {len(blocks)} blocks: the intervals are rough. Use longer recordings.")
    return notes


def _recordings(hashes: Mapping[str, str]) -> set[str]:
    """The hashes of recordings: what describes them may well be the same for others."""
    return {content for path, content in hashes.items() if Path(path).name not in (MANIFEST, MAP)}


def _row(
    doc: str,
    errors: Errors,
    ours: Errors,
    steps: dict[float, int],
    blocks: Blocks,
    binned: Sequence[Condition],
) -> Row:
    longest = max(steps.values())
    return Row(
        doc,
        scores={seconds: score(errors, count, blocks) for seconds, count in steps.items()},
        ratios={seconds: compare(ours, errors, count, blocks) for seconds, count in steps.items()},
        bins={c.name: [score_bin(errors, longest, blocks, inside) for inside in c.inside] for c in binned},
        growth=growth(errors, blocks),
    )
