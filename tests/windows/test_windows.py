"""Windows: whole within a recording, in the frame of their first pose, aligned with their controls."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pct.dynamics import MODEL_SPECS, ModelSpec
from pct.errors import DataError, UsageError
from pct.rollout.integration import integrate_rk4
from pct.windows.batch import FeatureDataset
from pct.windows.store import WindowStore, window_starts
from pct.windows.window_set import FEATURE_MODES, WindowSet, make_window_set

DT = 0.05
HORIZON, HISTORY, ROWS = 4, 3, 14


def make_store(spec: ModelSpec, lengths: list[int], *, exogenous: int = 2, seed: int = 0) -> WindowStore:
    """Recordings of smooth random rows, a car that moves ahead at some 3 m/s."""
    rng = np.random.default_rng(seed)
    rows = sum(lengths)
    states = 0.2 * rng.standard_normal((rows, len(spec.states)))
    states[:, speed_index(spec)] += 3.0
    return WindowStore(
        states=states,
        controls=rng.standard_normal((rows, spec.control_dim)),
        exogenous=rng.standard_normal((rows, exogenous)),
        truth=np.arange(rows, dtype=float)[:, None],
        times=np.concatenate([DT * np.arange(length) for length in lengths]),
        recording=np.repeat(np.arange(len(lengths), dtype=np.int32), lengths),
        recordings=tuple(f"drive/{i}" for i in range(len(lengths))),
        exogenous_names=tuple("ab"[:exogenous]),
        truth_names=("row",),
        dt=DT,
    )


def speed_index(spec: ModelSpec) -> int:
    return next(i for i, name in enumerate(spec.state_names) if name in ("v", "vx"))


def make_set(store: WindowStore, spec: ModelSpec, starts: np.ndarray | None = None, **options) -> WindowSet:
    options = {"horizon": HORIZON, "history": HISTORY} | options
    if starts is None:
        starts = window_starts(store, horizon=options["horizon"], history=options["history"])
    return make_window_set(store, starts, spec, **options)


def gather(
    store: WindowStore, spec: ModelSpec, starts: np.ndarray | None = None, **options
) -> FeatureDataset:
    return make_set(store, spec, starts, **options).gather()


UNICYCLE = MODEL_SPECS["unicycle"]
every_model = pytest.mark.parametrize("spec", MODEL_SPECS.values(), ids=MODEL_SPECS.keys())


# Which rows begin a window.


@settings(max_examples=200, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    horizon=st.integers(1, 12),
    history=st.integers(0, 12),
    stride=st.integers(1, 5),
)
def test_windows_lie_whole_within_one_recording(
    lengths: list[int], horizon: int, history: int, stride: int
) -> None:
    store = make_store(UNICYCLE, lengths)
    fitting = [max(0, length - horizon - history) for length in lengths]
    if not any(fitting):
        with pytest.raises(DataError, match="expected a recording of at least"):
            window_starts(store, horizon=horizon, history=history, stride=stride)
        return
    starts = window_starts(store, horizon=horizon, history=history, stride=stride)
    assert len(starts) == len(set(starts)) == sum(-(-count // stride) for count in fitting)
    rows = starts[:, None] + np.arange(-history, horizon + 1)
    assert rows.min() >= 0
    recording = store.recording[rows]
    assert (recording == recording[:, :1]).all()
    within = np.diff(starts)[np.diff(recording[:, 0]) == 0]
    assert (within == stride).all()


def test_every_window_of_a_recording_is_there() -> None:
    store = make_store(UNICYCLE, [10, 8])
    # 3 rows of history before, 4 of horizon after: rows 3..5 of the first recording, row 13 of the second.
    assert window_starts(store, horizon=4, history=3).tolist() == [3, 4, 5, 13]


@pytest.mark.parametrize("samples", [1, 2, 7, 50, 93, 1000])
def test_samples_are_spread_evenly_over_all_windows(samples: int) -> None:
    store = make_store(UNICYCLE, [60, 60])
    every = window_starts(store, horizon=HORIZON, history=HISTORY)
    kept = window_starts(store, horizon=HORIZON, history=HISTORY, samples=samples)
    assert len(kept) == len(set(kept)) == min(samples, len(every))
    assert set(kept) <= set(every)
    positions = np.searchsorted(every, kept)
    if len(kept) > 1:
        assert (positions[0], positions[-1]) == (0, len(every) - 1)
        assert np.ptp(np.diff(positions)) <= 1


def test_a_recording_that_is_too_short_is_named() -> None:
    store = make_store(UNICYCLE, [5, 7, 6])
    message = r"at least 8 rows .* the longest, 'drive/1', has 7 rows at 0.05 s: lower `history` or `horizon`"
    with pytest.raises(DataError, match=message) as error:
        window_starts(store, horizon=4, history=3)
    assert len(str(error.value).splitlines()) <= 2


# The frame of a window.


@every_model
def test_a_window_starts_at_the_origin(spec: ModelSpec) -> None:
    store = make_store(spec, [ROWS])
    windows = gather(store, spec)
    pose = list(spec.pose_indices)
    np.testing.assert_array_equal(np.asarray(windows.initial_states)[:, pose], 0.0)
    # What is not the pose is what was logged.
    starts = window_starts(store, horizon=HORIZON, history=HISTORY)
    rest = [i for i in range(len(spec.states)) if i not in pose]
    np.testing.assert_array_equal(np.asarray(windows.initial_states)[:, rest], store.states[starts][:, rest])
    rows = starts[:, None] + np.arange(1, HORIZON + 1)
    np.testing.assert_array_equal(np.asarray(windows.targets)[..., rest], store.states[rows][..., rest])
    np.testing.assert_array_equal(np.asarray(windows.controls), store.controls[rows - 1])


def test_ahead_is_x_and_left_is_y() -> None:
    store = make_store(UNICYCLE, [ROWS])
    x, y, psi = UNICYCLE.pose_indices
    start, goal = store.states[HISTORY], store.states[HISTORY + HORIZON]
    start[[x, y, psi]] = 5.0, -2.0, np.pi / 2
    goal[[x, y, psi]] = 5.0 - 1.0, -2.0 + 3.0, np.pi / 2 + 0.1
    target = np.asarray(gather(store, UNICYCLE).targets)[0, -1]
    np.testing.assert_allclose(target[[x, y, psi]], [3.0, 1.0, 0.1], atol=1e-12)


def drive(spec: ModelSpec, state: np.ndarray, controls: np.ndarray, params: dict[str, Any]) -> np.ndarray:
    """The model's rollout in NumPy, which compiles nothing."""
    state, controls, states = np.asarray(state), np.asarray(controls), []
    for k in range(controls.shape[-2]):
        x_and_u = np.concatenate([state, controls[..., k, :]], axis=-1)
        after = integrate_rk4(partial(spec.dynamics_fn, xp=np), x_and_u, params, DT)
        state = after[..., : len(spec.states)]
        states.append(state)
    return np.stack(states, axis=-2)


def moved(store: WindowStore, spec: ModelSpec, dx: float, dy: float, turn: float) -> WindowStore:
    """The same drive elsewhere on the map, in another direction."""
    x, y, psi = spec.pose_indices
    states = store.states.copy()
    states[:, x] = np.cos(turn) * store.states[:, x] - np.sin(turn) * store.states[:, y] + dx
    states[:, y] = np.sin(turn) * store.states[:, x] + np.cos(turn) * store.states[:, y] + dy
    states[:, psi] += turn
    return store._replace(states=states)


@every_model
def test_nothing_depends_on_where_the_log_was_driven(spec: ModelSpec) -> None:
    store = make_store(spec, [ROWS])
    here = gather(store, spec)
    there = gather(moved(store, spec, 31.0, -7.0, 2.1), spec)
    for name in ("features", "controls", "initial_states", "targets"):
        np.testing.assert_allclose(getattr(there, name), getattr(here, name), atol=1e-12, err_msg=name)

    def loss(windows: FeatureDataset) -> float:
        predicted = drive(spec, windows.initial_states, windows.controls, spec.build_base_params(5))
        return float(spec.loss_fn(predicted, np.asarray(windows.targets), **spec.eval_loss_kwargs))

    assert loss(there) == pytest.approx(loss(here), rel=1e-9)
    assert loss(here) > 0


@every_model
def test_controls_lead_from_each_state_to_the_next(spec: ModelSpec) -> None:
    """Rows that the model itself made are met by the rollout of any window, step by step."""
    rng = np.random.default_rng(1)
    rows = ROWS
    controls = rng.uniform(-0.4, 0.4, (rows, spec.control_dim))
    start = np.zeros(len(spec.states))
    # A linear model holds in the frame of its window only, so it starts where each window does: at rest.
    start[speed_index(spec)] = 3.0 if spec.pose_invariant else 0.0
    params = spec.build_base_params(5)
    if not spec.pose_invariant:
        params["A"] = np.zeros_like(params["A"])
    states = drive(spec, start, controls, params)
    # The control of row k leads to row k + 1.
    store = make_store(spec, [rows])._replace(
        states=np.concatenate([start[None], states[:-1]]), controls=controls
    )
    windows = gather(store, spec)
    predicted = drive(spec, windows.initial_states, windows.controls, params)
    moving = [i for i in range(len(spec.states)) if spec.pose_invariant or i not in spec.pose_indices]
    np.testing.assert_allclose(predicted[..., moving], windows.targets[..., moving], atol=1e-9)
    # The controls differ from row to row, so that a shift by one would show.
    assert np.abs(np.diff(windows.controls, axis=1)).min() > 1e-4


# Gathered by number.


def reference(store: WindowStore, spec: ModelSpec, start: int, horizon: int, history: int) -> dict[str, Any]:
    """One window, element by element: the rotation as a matrix, quarters of the history one by one."""
    x, y, psi = spec.pose_indices
    origin = store.states[start]
    cos, sin = np.cos(origin[psi]), np.sin(origin[psi])
    rotation = np.array([[cos, sin], [-sin, cos]])

    def local(row: int) -> np.ndarray:
        state = store.states[row].copy()
        state[[x, y]] = rotation @ (state[[x, y]] - origin[[x, y]])
        state[psi] -= origin[psi]
        return state

    moving = [i for i in range(len(spec.states)) if i not in spec.pose_indices]
    context = [*origin[moving], *store.controls[start - 1]]
    count = min(4, history)
    for quarter in range(count):
        rows = range(
            start - history + history * quarter // count, start - history + history * (quarter + 1) // count
        )
        context += [np.mean([store.states[row, i] - origin[i] for row in rows]) for i in moving]
        for i in range(spec.control_dim):
            context.append(np.mean([store.controls[row, i] - store.controls[start - 1, i] for row in rows]))
        context += [np.mean([local(row)[i] for row in rows]) for i in (x, y, psi)]
    return {
        "features": np.concatenate([store.exogenous[start], context]),
        "controls": store.controls[start : start + horizon],
        "initial_states": local(start),
        "targets": np.stack([local(row) for row in range(start + 1, start + horizon + 1)]),
    }


@pytest.mark.parametrize(
    ("name", "history"), [*((name, 10) for name in MODEL_SPECS), ("unicycle", 1), ("unicycle", 3)]
)
def test_windows_are_those_of_their_rows(name: str, history: int) -> None:
    spec = MODEL_SPECS[name]
    store = make_store(spec, [ROWS, 22])
    windows = make_set(store, spec, history=history)
    numbers = np.array([len(windows) - 1, 0, 5, 5])
    batch = jax.jit(windows.take)(windows.arrays, jnp.asarray(numbers))
    starts = window_starts(store, horizon=HORIZON, history=history)
    expected = [reference(store, spec, start, HORIZON, history) for start in starts[numbers]]
    assert batch.features.shape[1] == len(windows.feature_names)
    for part in expected[0]:
        rows = np.stack([window[part] for window in expected])
        np.testing.assert_allclose(getattr(batch, part), rows, rtol=1e-12, atol=1e-12, err_msg=part)


def test_a_selection_gives_the_windows_of_its_numbers() -> None:
    windows = make_set(make_store(UNICYCLE, [ROWS, ROWS]), UNICYCLE, history_features=Sums())
    numbers = np.array([13, 2])
    selected = windows.select(numbers)
    assert (len(selected), selected.horizon) == (2, HORIZON)
    one, other = selected.gather(), windows.gather(numbers)
    for name in ("features", "controls", "initial_states", "targets"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.weights is other.weights is None
    assert one.origin.recording.tolist() == windows.origin(numbers).recording.tolist() == [1, 0]
    assert one.origin.truth["row"].tolist() == windows.origin(numbers).truth["row"].tolist() == [23, 5]


def test_gathered_windows_hold_their_past_where_asked() -> None:
    windows = make_set(make_store(UNICYCLE, [ROWS]), UNICYCLE)
    assert windows.gather().past is None
    numbers = np.array([2, 0])
    past, whole = windows.with_past().gather(numbers).past, windows.whole(numbers)
    for one, other in zip(past.states, whole.states, strict=True):
        np.testing.assert_allclose(one, other[: HISTORY + 1], atol=1e-12)
    for one, other in zip(past.controls, whole.controls, strict=True):
        np.testing.assert_allclose(one, other[:HISTORY], atol=1e-12)


@pytest.mark.parametrize("most", [1, 2, 5, 14, 99])
def test_a_sample_is_spread_evenly_over_all_windows(most: int) -> None:
    windows = make_set(make_store(UNICYCLE, [ROWS, ROWS]), UNICYCLE)
    rows = windows.sample(most).origin.truth["row"].astype(int)
    starts = np.asarray(windows.arrays.starts)
    numbers = np.searchsorted(starts, rows)
    assert starts[numbers].tolist() == rows.tolist()
    assert len(set(rows)) == min(most, 14)
    if most > 1:
        assert (numbers[0], numbers[-1]) == (0, 13)
        assert np.ptp(np.diff(numbers)) <= 1


# What the network reads.


def test_modes_choose_the_parts_of_the_features() -> None:
    store = make_store(UNICYCLE, [ROWS])
    full, context, features = (gather(store, UNICYCLE, feature_mode=mode) for mode in FEATURE_MODES)
    names = {mode.origin.feature_names for mode in (full, context, features)}
    assert len(names) == 3
    for windows in (full, context, features):
        assert windows.features.shape == (7, len(windows.origin.feature_names))
        assert len(set(windows.origin.feature_names)) == len(windows.origin.feature_names)
    assert features.origin.feature_names == ("feature.a", "feature.b")
    assert full.origin.feature_names == features.origin.feature_names + context.origin.feature_names
    np.testing.assert_array_equal(
        full.features, np.concatenate([features.features, context.features], axis=1)
    )
    starts = window_starts(store, horizon=HORIZON, history=HISTORY)
    np.testing.assert_array_equal(features.features, store.exogenous[starts])


@every_model
def test_names_match_the_columns(spec: ModelSpec) -> None:
    """The present values stand under the names of their channels."""
    store = make_store(spec, [ROWS])
    windows = gather(store, spec, feature_mode="context")
    starts = window_starts(store, horizon=HORIZON, history=HISTORY)
    columns = dict(zip(windows.origin.feature_names, np.asarray(windows.features).T, strict=True))
    for name in spec.state_names:
        if name not in spec.pose:
            np.testing.assert_array_equal(columns[name], store.states[starts, spec.state_indices[name]])
    for i, name in enumerate(spec.control_names):
        if name not in spec.state_names:
            np.testing.assert_array_equal(columns[name], store.controls[starts - 1, i])


def test_full_is_the_context_where_logs_have_no_features() -> None:
    store = make_store(UNICYCLE, [ROWS], exogenous=0)
    full, context = (gather(store, UNICYCLE, feature_mode=mode) for mode in ("full", "context"))
    assert full.origin.feature_names == context.origin.feature_names
    np.testing.assert_array_equal(full.features, context.features)


def test_an_unknown_mode_lists_the_known() -> None:
    make_unchecked = make_window_set.__wrapped__
    store = make_store(UNICYCLE, [ROWS])
    with pytest.raises(UsageError, match="`feature_mode` 'half': expected one of full, context, features"):
        make_unchecked(store, np.array([HISTORY]), UNICYCLE, horizon=4, history=3, feature_mode="half")


def test_the_mode_features_needs_feature_columns() -> None:
    store = make_store(UNICYCLE, [ROWS], exogenous=0)
    with pytest.raises(UsageError, match=r"no feature\.\* column .*: use `feature_mode=context`"):
        gather(store, UNICYCLE, feature_mode="features")


class Sums:
    """History features that show every row that they are given."""

    names = ("sum of states", "sum of controls")

    def __call__(self, states: np.ndarray, controls: np.ndarray, dt: float) -> np.ndarray:
        assert (states.shape[1], controls.shape[1], dt) == (HISTORY + 1, HISTORY, DT)
        return np.stack([np.asarray(part).sum(axis=(1, 2)) for part in (states, controls)], axis=-1)


@every_model
def test_features_do_not_see_what_comes_after_the_start(spec: ModelSpec) -> None:
    store = make_store(spec, [ROWS])
    starts = np.array([HISTORY])
    before = gather(store, spec, starts, history_features=Sums())
    later = store._replace(
        states=store.states + 5.0 * (np.arange(len(store.states)) > HISTORY)[:, None],
        # The control of the start itself drives into the horizon.
        controls=store.controls + 5.0 * (np.arange(len(store.states)) >= HISTORY)[:, None],
        exogenous=store.exogenous + 5.0 * (np.arange(len(store.states)) > HISTORY)[:, None],
    )
    after = gather(later, spec, starts, history_features=Sums())
    np.testing.assert_array_equal(after.features, before.features)
    assert not np.allclose(after.targets, before.targets)
    assert not np.allclose(after.controls, before.controls)


@every_model
def test_features_see_every_row_of_the_history(spec: ModelSpec) -> None:
    store = make_store(spec, [ROWS])
    before = gather(store, spec, np.array([HISTORY])).features
    for row in range(HISTORY):
        for name in ("states", "controls"):
            rows = getattr(store, name).copy()
            rows[row] += 0.5
            changed = gather(store._replace(**{name: rows}), spec, np.array([HISTORY]))
            assert not np.allclose(changed.features, before), f"{name} of row {row}"


def test_history_features_are_appended_under_their_names() -> None:
    store = make_store(UNICYCLE, [ROWS])
    plain, more = gather(store, UNICYCLE), gather(store, UNICYCLE, history_features=Sums())
    assert more.origin.feature_names == plain.origin.feature_names + Sums.names
    np.testing.assert_array_equal(more.features[:, :-2], plain.features)
    alone = gather(store, UNICYCLE, feature_mode="features", history_features=Sums())
    assert alone.origin.feature_names == ("feature.a", "feature.b")


class Given:
    """History features that are given beforehand."""

    names = ("small", "large", "constant")

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def __call__(self, states: np.ndarray, controls: np.ndarray, dt: float) -> np.ndarray:
        return self.values


def test_history_features_keep_a_255th_of_their_range() -> None:
    store = make_store(UNICYCLE, [60])
    values = np.random.default_rng(0).standard_normal((53, 3)) * [1e-3, 1e3, 0.0] + [0.0, 5e3, 7.0]
    found = np.asarray(gather(store, UNICYCLE, history_features=Given(values)).features)[:, -3:]
    step = np.ptp(values, axis=0) / 255
    assert (np.abs(found - values) <= 0.5001 * step + 1e-12).all()
    # The ends of the range are met.
    for end in (np.argmin, np.argmax):
        rows = end(values, axis=0)
        np.testing.assert_allclose(found[rows, range(3)], values[rows, range(3)], rtol=1e-12)


def test_history_features_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    store = make_store(UNICYCLE, [30])
    whole = gather(store, UNICYCLE, history_features=Sums())
    monkeypatch.setattr("pct.windows.window_set.GATHERED", 5)
    np.testing.assert_array_equal(gather(store, UNICYCLE, history_features=Sums()).features, whole.features)


def test_windows_know_where_they_come_from() -> None:
    store = make_store(UNICYCLE, [10, 9])
    origin = gather(store, UNICYCLE).origin
    assert origin.recording.tolist() == [0, 0, 0, 1, 1]
    np.testing.assert_allclose(origin.times, [0.15, 0.2, 0.25, 0.15, 0.2])
    assert origin.truth["row"].tolist() == [3, 4, 5, 13, 14]
    assert (origin.recordings, origin.dt) == (("drive/0", "drive/1"), DT)


def test_a_window_costs_a_row_not_a_horizon() -> None:
    """At stride 1, everything that is kept counted, also history features of the model with most answers."""
    spec = MODEL_SPECS["singletrack-augmented"]
    store = make_store(spec, [2000], exogenous=0)
    single = {name: getattr(store, name).astype(np.float32) for name in ("states", "controls", "exogenous")}
    store = store._replace(**single)

    class Noise:
        names = tuple(
            f"{what}.{key}" for what in ("fit", "std", "late", "late std") for key in spec.param_keys
        )

        def __call__(self, states: np.ndarray, controls: np.ndarray, dt: float) -> np.ndarray:
            return np.random.default_rng(0).normal(size=(len(states), len(self.names)))

    starts = window_starts(store, horizon=50, history=HISTORY)
    windows = make_window_set(
        store, starts, spec, horizon=50, history=HISTORY, history_features=Noise(), feature_mode="context"
    )
    kept = [*jax.tree.leaves(windows.arrays), store.times, store.recording]
    assert sum(leaf.nbytes for leaf in kept) / len(windows) < 150
    assert np.asarray(windows.store.states).ctypes.data == windows.arrays.states.unsafe_buffer_pointer()
