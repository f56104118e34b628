"""What pages show of drives: windows where they were driven, the map, and how errors resemble each other."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from evaluation.test_fit_report import report
from pct.dynamics import MODEL_SPECS
from pct.evaluation.drive_parts import _coarse, map_parts, simulated_parts
from pct.evaluation.fit_page import fit_verdict
from pct.evaluation.scores import errors_of
from pct.evaluation.simulated import Simulated, autocorrelation, shown_windows
from pct.pages.parts import figures_in
from pct.simulation.drive import simulate
from pct.windows.store import make_window_store, window_starts
from pct.windows.window_set import WindowSet, make_window_set

SPEC = MODEL_SPECS["singletrack"]


@pytest.fixture(scope="module")
def windows() -> WindowSet:
    drives = simulate(SPEC, recordings=2, duration=5.0, dt=0.05)
    store = make_window_store([("<b>a", drives[0]), ("b", drives[1])], SPEC)
    starts = window_starts(store, horizon=10, history=4, stride=5)
    return make_window_set(store, starts, SPEC, horizon=10, history=4, feature_mode="context")


def driven(windows: WindowSet, off: float = 0.0) -> Simulated:
    """A model that predicts what was logged, but is off ahead by so many metres at the end of a window."""
    targets = np.asarray(windows.batch.targets, float)
    predicted = targets.copy()
    predicted[:, :, SPEC.pose_indices[0]] += off * np.linspace(0, 1, 11)[1:]
    errors = errors_of(predicted, targets, SPEC)
    return Simulated(SPEC, windows, predicted, errors, ("v", "psi_dot"), SPEC.default_params)


def test_what_is_simulated_lies_where_it_was_driven(windows: WindowSet) -> None:
    x, y, heading = SPEC.pose_indices
    exact, off = driven(windows), driven(windows, off=1.0)
    for number in (0, len(windows) // 2, len(windows) - 1):
        np.testing.assert_allclose(exact.simulated(number), exact.measured(number), atol=1e-4)
        # Ahead is along the heading at the window's start.
        apart = (off.simulated(number) - off.measured(number))[-1]
        angle = off.measured(number)[0, heading]
        np.testing.assert_allclose(apart[[x, y]], [np.cos(angle), np.sin(angle)], atol=1e-4)
    np.testing.assert_allclose(off.final("position"), 1.0, atol=1e-4)


def test_the_slider_names_each_window_and_leads_to_the_worst(windows: WindowSet) -> None:
    drive = driven(windows)
    drive.errors.values[7, -1, drive.errors.names.index("position")] = 3.0
    _, slider, *_ = parts = simulated_parts(drive)
    steps = slider.values["steps"]
    assert steps[slider.values["jumps"]["Worst window"]].endswith("position off by 3 m after 0.5 s")
    assert steps[0].startswith(f"1 of {len(steps)}: '<b>a' from 0.20 s, ")
    figures = figures_in(parts)
    assert set(figures) == {"whole-drive", "window-channels", "window-way"}
    assert all(len(one.by["window"]) == len(steps) for one in figures.values())
    # Measured then simulated, a panel each.
    shown = figures["window-channels"].by["window"][3].data
    at = int(windows.starts[3])
    np.testing.assert_allclose(
        shown[0]["y"], windows.store.states[at : at + 11, SPEC.state_indices["v"]], atol=0.01
    )


def test_baselines_stand_beside_the_run_one_at_a_time_all_or_none(windows: WindowSet) -> None:
    drive = driven(windows)
    targets = np.asarray(windows.batch.targets, float)[drive.shown[0]]
    blind = np.full_like(targets, np.nan)
    drive = dataclasses.replace(drive, beside={"<i>exact": targets, "blind": blind})
    parts = simulated_parts(drive)
    (choice,) = (part for part in parts if part.kind == "select")
    assert choice.values["options"] == ["<i>exact", "blind", "all", "none"]
    figures = figures_in(parts)
    for name, lines, others in (("window-channels", 2, 4), ("window-way", 1, 3)):
        figure = figures[name]
        exact, lost = slice(others, others + lines), slice(others + lines, None)
        assert [trace["name"] for trace in figure.data[exact]] == ["&lt;i&gt;exact"] * lines
        for step, seen in zip(
            figure.by["beside"], ((True, False), (False, True), (True, True), (False, False)), strict=True
        ):
            told = [change.get("visible") for change in step.data]
            assert told == [None] * others + [seen[0]] * lines + [seen[1]] * lines
        # In the frame of the log, as what was measured; and nothing where nothing is predicted.
        shown = figure.by["window"][5].data
        for key in {"x", "y"} & set(shown[0]):
            measured = shown[0][key] if name == "window-way" else [trace[key] for trace in shown[:lines]]
            found = [trace[key] for trace in shown[exact]]
            np.testing.assert_allclose(np.array(found).ravel(), np.array(measured).ravel(), atol=0.01)
            assert {value for trace in shown[lost] for value in trace[key][1:]} == {None}
    assert "beside it <i>exact, blind." in figures["window-way"].says


def test_a_long_window_has_coarse_baselines_that_end_where_it_does() -> None:
    assert len(_coarse(11)) == 11
    assert (len(_coarse(401)), _coarse(401)[0], _coarse(401)[-1]) == (25, 0, 400)


def test_the_map_is_coloured_by_error_slip_and_grip(windows: WindowSet) -> None:
    select, figure = map_parts(driven(windows, off=2.0))
    assert select.values["options"][0] == "error of position after 0.5 s"
    assert {"speed", "slip angle of the rear axle"} <= set(select.values["options"])
    (drawn,) = figures_in([figure]).values()
    colors = [step.data[1]["marker"]["color"] for step in drawn.by["map-color"]]
    np.testing.assert_allclose(colors[0], 2.0, atol=1e-3)
    speed = colors[select.values["options"].index("speed")]
    at = int(windows.starts[0])
    mean = np.abs(windows.store.states[at : at + 10, SPEC.state_indices["v"]]).mean()
    assert speed[0] == pytest.approx(mean, abs=0.01)


def test_without_a_position_there_is_a_sentence_and_no_map(windows: WindowSet) -> None:
    drive = driven(windows)
    blind = dataclasses.replace(SPEC, unlogged=SPEC.pose)
    errors = errors_of(drive.predicted, np.asarray(windows.batch.targets, float), blind)
    drive = dataclasses.replace(drive, spec=blind, errors=errors)
    assert [part.kind for part in map_parts(drive)] == ["paragraph"]
    assert set(figures_in(simulated_parts(drive))) == {"whole-drive", "window-channels"}


def test_the_autocorrelation_is_that_of_the_errors_within_recordings() -> None:
    rng = np.random.default_rng(0)
    white = rng.normal(size=4000)
    slow = np.convolve(white, np.ones(4), "valid")  # of lag k: (4 - k) / 4
    count = len(slow)
    starts, recording = 5 * np.arange(count), (np.arange(count) >= count // 2).astype(int)
    found = autocorrelation(starts, recording, np.stack([slow, white[:count]], axis=1), np.ones(count, bool))
    assert found is not None
    lags, values, noise = found
    assert list(lags[:3]) == [0, 5, 10]
    np.testing.assert_allclose(values[0, :5], [1, 0.75, 0.5, 0.25, 0], atol=0.06)
    assert (np.abs(values[1, 1:]) < 2 * noise).all()
    assert noise == pytest.approx(1.96 / np.sqrt(count))
    # Of a step between two recordings nothing is said within them.
    alternating = np.where(np.arange(40) % 2 == 0, 1.0, -1.0)
    found = autocorrelation(np.arange(40), np.arange(40) // 20, alternating[:, None], np.ones(40, bool))
    assert found is not None
    np.testing.assert_allclose(found[1][0, :3], [1, -1, 1], atol=1e-9)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_of_few_windows_no_autocorrelation_is_told(count: int) -> None:
    rows = np.arange(count)
    assert autocorrelation(rows, 0 * rows, np.ones((count, 1)), np.ones(count, bool)) is None


def test_windows_that_diverge_are_the_worst() -> None:
    numbers, (typical, worst) = shown_windows(np.array([np.inf, 1.0, 2.0, 3.0, 4.0, 5.0]), 3)
    assert numbers[worst] == 0
    assert numbers[typical] in (2, 3)


@pytest.mark.parametrize(
    ("size", "said"), [(0.25, "end within 0.25 m of the log (position)"), (np.inf, "diverge")]
)
def test_the_verdict_of_a_fit_says_how_far_simulations_are_off(
    size: float, said: str, windows: WindowSet
) -> None:
    drive = driven(windows)
    drive.errors.values[:, -1, drive.errors.names.index("position")] = size
    count = len(windows)
    found = dataclasses.replace(
        report(verdicts={"mu": {"verdict": "identified"}}), drive=drive, errors=np.zeros((count, 2))
    )
    assert fit_verdict(found).values["sentence"] == f"Trust mu; half of the simulations of 0.5 s {said}."
