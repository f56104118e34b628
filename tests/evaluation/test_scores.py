"""Errors by hand: angles wrapped, dashes for what is not predicted, infinity for what diverged."""

import math

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS
from pct.evaluation.scores import compare, errors_of, growth, score, score_bins
from pct.windows.bootstrap import make_blocks

SPEC = MODEL_SPECS["unicycle"]  # x, y, psi, v
BLOCKS = make_blocks(np.arange(4), np.zeros(4, int), rows=2)


def predicted_and_true() -> tuple[np.ndarray, np.ndarray]:
    true = np.random.default_rng(0).normal(size=(4, 3, 4))
    predicted = true.copy()
    predicted[..., 0] += 3.0
    predicted[..., 1] += [4.0, 4.0, 0.0]
    predicted[..., 2] += 2 * np.pi + 0.1
    predicted[..., 3] += np.array([1.0, 1.0, 2.0, 4.0])[:, None] * np.array([0.0, 1.0, 1.0])
    return predicted, true


def test_scores_by_hand() -> None:
    scores = score(errors_of(*predicted_and_true(), SPEC), 3, BLOCKS)
    assert set(scores) == {"x", "y", "psi", "v", "position"}
    assert scores["psi"].path_rmse.value == pytest.approx(0.1)
    assert scores["x"].final_rmse.value == pytest.approx(3.0)
    assert scores["v"].final_rmse.value == pytest.approx(math.sqrt(22 / 4))
    assert scores["v"].path_rmse.value == pytest.approx(math.sqrt(2 / 3 * 22 / 4))
    assert scores["v"].median_path_rmse.value == pytest.approx(1.5 * math.sqrt(2 / 3))
    assert scores["v"].max == pytest.approx(4.0)
    # Average and final displacement error.
    assert scores["position"].mean_path.value == pytest.approx((5 + 5 + 3) / 3)
    assert scores["position"].mean_final.value == pytest.approx(3.0)


def test_a_shorter_horizon_ends_earlier() -> None:
    scores = score(errors_of(*predicted_and_true(), SPEC), 2, BLOCKS)
    assert scores["position"].mean_final.value == pytest.approx(5.0)
    assert scores["v"].path_rmse.value == pytest.approx(math.sqrt(1 / 2 * 22 / 4))


def test_what_is_not_predicted_is_left_out() -> None:
    predicted, true = predicted_and_true()
    predicted[..., 1] = np.nan
    errors = errors_of(predicted, true, SPEC)
    assert errors.names == ("x", "psi", "v")
    assert set(growth(errors, BLOCKS)) == {"x", "psi", "v"}


def test_a_window_that_diverged_is_no_small_error() -> None:
    predicted, true = predicted_and_true()
    predicted[2, 2, :] = np.inf
    scores = score(errors_of(predicted, true, SPEC), 3, BLOCKS)
    for name in ("x", "psi", "v", "position"):
        assert math.isinf(scores[name].path_rmse.value)
        assert math.isinf(scores[name].max)
        assert math.isfinite(score(errors_of(predicted, true, SPEC), 2, BLOCKS)[name].path_rmse.value)


def test_ratio_bins_and_growth() -> None:
    predicted, true = predicted_and_true()
    half = errors_of(true + (predicted - true) * [0.5, 0.5, 1.0, 0.5], true, SPEC)
    whole = errors_of(predicted, true, SPEC)
    assert compare(half, whole, 3, BLOCKS)["position"].value == pytest.approx(0.5)
    inside = np.array([False, False, False, True])
    assert score_bins(whole, 3, BLOCKS, [inside])[0]["v"].value == pytest.approx(4 * math.sqrt(2 / 3))
    assert [e.value for e in growth(whole, BLOCKS)["position"]] == pytest.approx([5.0, 5.0, 3.0])


@pytest.mark.parametrize("share", [0.02, 0.48, 0.6])
def test_some_windows_that_diverge_leave_the_others_their_figures(share: float) -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=(400, 3, 4))
    predicted = true + 0.1
    diverging = rng.random(400) < share
    predicted[diverging, 1:] = np.where(rng.random(4) < 0.5, 1e200, -np.inf)
    blocks = make_blocks(np.arange(400), np.zeros(400, int), rows=20)
    fine, errors = errors_of(true + 0.1, true, SPEC), errors_of(predicted, true, SPEC)
    found = score(errors, 3, blocks)["v"]
    assert math.isinf(found.path_rmse.value)
    assert found.median_path_rmse.value == (pytest.approx(0.1) if share < 0.5 else math.inf)
    assert compare(fine, errors, 3, blocks)["v"].value == 0.0
    assert math.isinf(compare(errors, fine, 3, blocks)["v"].value)
    assert math.isnan(compare(errors, errors, 3, blocks)["v"].value)
    assert score_bins(errors, 3, blocks, [~diverging])[0]["v"].value == pytest.approx(0.1)
    assert growth(errors, blocks)["v"][0].value == pytest.approx(0.1)
