"""A network replaces its fit where it is better beyond noise and no channel pays for it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS
from pct.optimization.network.against_fit import AgainstFit, FitJudge
from pct.windows.bootstrap import Interval
from pct.windows.store import WindowStore, window_starts
from pct.windows.window_set import WindowSet, make_window_set

SPEC = MODEL_SPECS["unicycle"]  # x, y, psi, v
BETTER = Interval(0.9, 0.85, 0.95)
SAME = Interval(1.0, 0.95, 1.06)


def found(loss: Interval = BETTER, blocks: int = 20, **channels: Interval) -> AgainstFit:
    return AgainstFit(loss, {"vx": SAME, **channels}, 100, blocks)


@pytest.mark.parametrize(
    ("against", "doubts"),
    [
        (found(), ""),
        (found(loss=Interval(0.9, 0.8, 1.02)), "that may be noise"),
        (found(loss=SAME), "that may be noise"),
        (found(loss=Interval(0.5, np.nan, np.nan)), "that may be noise"),
        (found(blocks=5), "5 blocks of held-out rows are too few to tell"),
        # The issue's: vx .095 to .130 while another channel gains.
        (found(vx=Interval(1.37, 0.9, 1.8), vy=Interval(0.5, 0.4, 0.6)), "it is worse in vx"),
        (found(psi_dot=Interval(1.03, 1.01, 1.05)), "it is worse in psi_dot"),
        (found(vy=Interval(1.03, 0.9, 1.2)), ""),
        (found(vy=Interval(np.inf, np.nan, np.nan)), "it is worse in vy"),
    ],
)
def test_what_wins(against: AgainstFit, doubts: str) -> None:
    assert against.doubts == doubts
    assert against.wins == (not doubts)


@pytest.fixture(scope="module")
def windows() -> WindowSet:
    rng = np.random.default_rng(0)
    size = 600
    store = WindowStore(
        states=rng.normal(size=(size, 4)),
        controls=np.zeros((size, 2)),
        exogenous=np.zeros((size, 0)),
        truth=np.zeros((size, 0)),
        times=np.arange(size) * 0.1,
        recording=np.zeros(size, int),
        recordings=("drive",),
        exogenous_names=(),
        truth_names=(),
        dt=0.1,
    )
    shape: Any = {"horizon": 5, "history": 5}
    return make_window_set(store, window_starts(store, **shape), SPEC, feature_mode="context", **shape)


def judge(windows: WindowSet) -> FitJudge:
    """The weights are the error of each channel; the fit errs by 0.2."""
    noise = np.random.default_rng(1).normal(size=(len(windows), 1, 1))

    def predict(params: Any, batch: Any) -> np.ndarray:
        return np.asarray(batch.targets) + noise * np.asarray(params)

    return FitJudge(SPEC, windows, predict, np.full(4, 0.2))


def test_errors_are_compared_on_the_same_windows(windows: WindowSet) -> None:
    against = judge(windows).compare(np.array([0.1, 0.2, 0.3, 0.2]))
    assert [ratio.value for ratio in against.channels.values()] == pytest.approx([0.5, 1.0, 1.5, 1.0])
    # All windows err alike, so the ratio of each draw is the same.
    assert against.channels["x"].high == pytest.approx(0.5)
    assert (against.windows, against.blocks) == (590, 29)
    assert against.worse == ["psi"]


def test_the_fit_ties_with_itself_and_does_not_win(windows: WindowSet) -> None:
    own = judge(windows)
    assert not own.wins(own.as_fit, 3)
    assert own.refused is not None
    assert own.refused[0] == 3
    assert own.wins(0.5 * own.as_fit, 4)


def test_a_network_that_explodes_loses_and_a_fit_that_explodes_is_replaced(windows: WindowSet) -> None:
    own = judge(windows)
    assert not own.wins(np.array([0.1, 0.1, 0.1, np.inf]), 1)
    own.as_fit = np.array([0.2, 0.2, 0.2, np.inf])
    assert own.wins(np.full(4, 0.1), 1)


def test_states_that_are_not_compared_do_not_count(windows: WindowSet) -> None:
    import dataclasses

    scales = np.array([0.1, 0.1, 0.05, np.inf])
    own = judge(windows)
    own.spec = dataclasses.replace(SPEC, eval_loss_kwargs={**SPEC.eval_loss_kwargs, "scales": scales})
    assert own.wins(np.array([0.1, 0.1, 0.1, 5.0]), 1)
