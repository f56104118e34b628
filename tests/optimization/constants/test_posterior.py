"""Posteriors of a unicycle whose truth is known, and of densities that are known altogether."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import jax
import numpy as np
import polars as pl
import pytest

import pct
from pct.dynamics.bounds import Bounds
from pct.errors import UsageError
from pct.optimization.constants.posterior import density, nuts
from pct.optimization.constants.posterior.axes import DrawAxes
from pct.optimization.constants.posterior.information import adjusted_information
from pct.optimization.constants.posterior.nuts import Sampler, diagnose
from pct.optimization.constants.posterior.posterior import density_of
from pct.optimization.constants.posterior.rows import row_noise

CAR = pct.model("unicycle").measured(observer=False)
SETTINGS = {"horizon": 5, "history": 2, "stride": 5, "iterations": 12}


@pytest.fixture(scope="module")
def drive() -> pct.Drives:
    return pct.simulate(CAR, recordings=1, duration=12.0, noise=0.5, seed=3)


@pytest.fixture(scope="module")
def fit(drive: pct.Drives) -> pct.Fit:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nuts, "WARMUP", 20)
        return pct.fit(CAR, drive, sample=100, **SETTINGS)


@pytest.mark.parametrize("free_start", [False, True])
def test_the_gradient_is_that_of_the_density(drive: pct.Drives, free_start: bool) -> None:
    function = density_of(pct.fit(CAR, drive, free_start=free_start, **SETTINGS).result)
    z = np.array([0.8, -0.5, 0.3, 1.1])
    value, gradient = function(z)
    steps = 0.1 * np.eye(4)
    slopes = [(function(z + step)[0] - function(z - step)[0]) / 0.2 for step in steps]
    np.testing.assert_allclose(gradient, slopes, atol=0.03)
    # Nearly linear here: Student's density of the covariance that the blocks give.
    freedom = function.freedom
    assert 5 < freedom < 1000
    np.testing.assert_allclose(value, -(freedom + 4) / 2 * np.log1p(z @ z / freedom), rtol=0.1)
    assert function(np.zeros(4))[0] == 0


def test_starts_are_settled_far_from_the_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    driven = ("I", "C_m1", "C_m2", "C_r0", "C_r2", "C_b")
    shapes = ("E_f", "S_hf", "S_vf", "E_r", "S_hr", "S_vr")
    car = pct.model("singletrack-pacejka").hold(*driven, *shapes).measured(observer=False)
    (true,) = pct.simulate(car, recordings=1, duration=8.0, noise=0.0, seed=0, mu=(0.9,))
    rng, channels = np.random.default_rng(0), true.trajectory.channels
    noisy = {
        name: channels[name] + size * rng.standard_normal(len(true))
        for name, size in {"vx": 0.03, "vy": 0.03, "psi_dot": 0.05}.items()
    }
    shown = dataclasses.replace(true.trajectory, channels={**channels, **noisy})
    drive = pct.Drive(true.name, shown)
    settings = {"horizon": 10, "history": 1, "stride": 11, "prior": 0.5}
    fit = pct.fit(car, [drive], free_start=True, compare=tuple(noisy), **settings)
    far = density_of(fit.result)
    z = 3 * np.random.default_rng(0).standard_normal(6)
    found = far(z)[0]
    monkeypatch.setattr(density, "STEPS", 60)
    monkeypatch.setattr(density, "SMALL_GAIN", 1e-9)
    np.testing.assert_allclose(found, far(z)[0], atol=0.1)
    # One step, by a parabola, is far off: sliding windows are none.
    monkeypatch.setattr(density, "STEPS", 0)
    assert far(z)[0] < found - 1


def test_rollouts_that_are_not_finite_are_impossible(fit: pct.Fit) -> None:
    value, gradient = density_of(fit.result)(np.full(4, np.nan))
    assert value < -1e6
    assert not gradient.any()


def test_independent_errors_have_the_information_that_they_say() -> None:
    rng = np.random.default_rng(0)
    information = np.repeat(np.diag([0.5, 0.9])[None] / 200, 200, axis=0)
    scores = rng.standard_normal((200, 2)) * np.sqrt([0.5 / 200, 0.9 / 200])
    known = np.diag([0.5, 0.9])
    plain, freedom, directions, factor = adjusted_information(information, scores, known)
    np.testing.assert_allclose(plain, known, rtol=0.2, atol=0.02)
    np.testing.assert_allclose(directions, 2)
    assert 0.8 < factor < 1.2
    assert 200 <= freedom <= 401
    # Errors of a block that are all alike are worth less, also beside a prior.
    np.testing.assert_allclose(adjusted_information(information, 3 * scores, known)[0], plain / 9, rtol=1e-6)


def test_few_blocks_tell_a_factor_and_no_directions() -> None:
    rng = np.random.default_rng(1)
    information = np.repeat(np.eye(8)[None] / 9, 9, axis=0)
    found, freedom, *_ = adjusted_information(information, 2 / 3 * rng.standard_normal((9, 8)), np.eye(8))
    assert 9 < freedom < 73
    values = 1 / np.linalg.eigvalsh(found)
    assert values.min() > 2
    assert values.max() < 8


def test_what_one_block_alone_knows_is_as_certain_as_the_rest() -> None:
    one = adjusted_information(np.eye(2)[None], np.zeros((1, 2)), np.eye(2))
    np.testing.assert_allclose(one.matrix, np.eye(2), rtol=1e-12)
    # The second direction is that of a single corner, and errors are twice as large as they seem.
    rng = np.random.default_rng(3)
    information = np.array([np.diag([0.05, 0.0])] * 19 + [np.diag([0.05, 1.0])])
    scores = 2 * np.sqrt(0.05) * rng.standard_normal((20, 2)) * [1.0, 0.0]
    assert 0.1 < adjusted_information(information, scores, np.eye(2)).matrix[1, 1] < 0.5


def test_the_pull_of_a_prior_is_no_error() -> None:
    rng = np.random.default_rng(4)
    known = np.diag([1.0, 0.02])
    information = np.repeat(known[None] / 20, 20, axis=0)
    scores = rng.standard_normal((20, 2)) * np.sqrt(np.diag(known) / 20)
    pulled = scores + np.array([0.0, 2.0]) / 20
    plain = adjusted_information(information, scores, known).matrix
    np.testing.assert_allclose(adjusted_information(information, pulled, known).matrix, plain, rtol=1e-6)


def test_what_the_data_do_not_know_stays_with_the_prior() -> None:
    rng = np.random.default_rng(2)
    known = np.diag([1.0, 1.0, 0.01])
    information = np.repeat(known[None] / 12, 12, axis=0)
    scores = 2 * rng.standard_normal((12, 3)) * np.sqrt(np.diag(known) / 12)
    found = adjusted_information(information, scores, known)[0]
    # A quarter of nearly nothing: the posterior there is the prior, neither wider nor narrower.
    assert 0.001 < found[2, 2] < 0.01


def test_few_blocks_do_not_tell_less_than_rows() -> None:
    rng = np.random.default_rng(5)
    known = np.diag([1.0, 0.9, 0.0])
    information = np.repeat(known[None] / 8, 8, axis=0)
    scores = rng.standard_normal((8, 3)) * np.sqrt(np.diag(known) / 8)
    few = adjusted_information(information, 0.3 * scores, known, 4.0)
    np.testing.assert_allclose(few.matrix, known / 4, rtol=0.2, atol=1e-6)
    assert few.factor == 4
    # Errors that last are more.
    wide = adjusted_information(information, 6 * scores, known, 4.0)
    assert (np.diag(wide.matrix)[:2] < np.diag(few.matrix)[:2]).all()
    assert wide.factor > 10


@pytest.mark.parametrize("correlation", [0.0, 0.6, 0.95])
def test_noise_is_found_behind_free_starts(correlation: float) -> None:
    rng = np.random.default_rng(6)
    fresh = np.sqrt(1 - correlation**2)
    errors = rng.standard_normal((2, 12, 250))
    for k in range(1, 12):
        errors[:, k] = correlation * errors[:, k - 1] + fresh * errors[:, k]
    errors *= np.array([1.0, 3.0])[:, None, None]
    # Each start moves its own channel, and less and less.
    starts = np.zeros((2, 12, 250, 2))
    for k in range(2):
        starts[k, ..., k] = np.exp(-np.arange(12) / 6)[:, None]
    left = errors - (starts * np.sum(errors[..., None] * starts, (0, 1)) / np.sum(starts**2, (0, 1))).sum(-1)
    noise = row_noise(left, starts)
    np.testing.assert_allclose(noise.correlation, correlation, atol=0.06)
    np.testing.assert_allclose(noise.deviation, [1.0, 3.0], rtol=0.2 if correlation > 0.9 else 0.06)


def test_rows_tell_the_correlation_of_sensors_noise(drive: pct.Drives) -> None:
    settings = {**SETTINGS, "stride": 6, "free_start": True}
    channels = drive[0].trajectory.channels
    rng, alike = np.random.default_rng(8), np.exp(-1 / 4)
    factors = []
    for keep in (0.0, alike):
        noisy = {}
        for name in ("x", "y", "psi", "v"):
            values = rng.standard_normal(len(drive[0].trajectory))
            for k in range(1, len(values)):
                values[k] = keep * values[k - 1] + np.sqrt(1 - keep**2) * values[k]
            noisy[name] = channels[name] + 0.05 * values
        shown = dataclasses.replace(drive[0].trajectory, channels={**channels, **noisy})
        found = density_of(pct.fit(CAR, [pct.Drive(shown.name, shown)], **settings).result)
        factors.append(found.factor)
    assert 0.8 < factors[0] < 1.6
    assert factors[1] > 1.5 * factors[0]


def test_axes_of_draws_are_logarithms_of_what_is_positive() -> None:
    bounds = Bounds(
        np.array([1.0, 0.01, -2.0, 0.0]), np.array([40.0, 100.0, 3.0, 5.0]), np.array([0, 1, 0, 0]) > 0
    )
    axes, raw = DrawAxes(bounds), np.array([-2.7, 0.4, 0.9, -6.0])
    point, slope = axes.at(raw)
    values = bounds.on_host(raw)[0]
    np.testing.assert_allclose(point, [*np.log(values[:2]), raw[2], np.log(values[3])])
    place = axes.back(point)
    np.testing.assert_allclose(place.raw, raw, rtol=1e-12)
    np.testing.assert_allclose(place.slope, 1 / slope, rtol=1e-12)
    np.testing.assert_allclose(place.volume, -np.log(slope).sum(), rtol=1e-12)
    for k, step in enumerate(1e-6 * np.eye(4)):
        ahead, behind = axes.back(point + step), axes.back(point - step)
        np.testing.assert_allclose((ahead.raw - behind.raw)[k] / 2e-6, place.slope[k], rtol=1e-6)
        np.testing.assert_allclose((ahead.volume - behind.volume) / 2e-6, place.volume_slope[k], rtol=1e-6)
    assert not np.isfinite(axes.back(np.log(values) + 10.0).raw[0])


def test_draws_are_those_of_the_density() -> None:
    def function(z: np.ndarray) -> tuple[float, np.ndarray]:
        return -0.5 * float(z @ (z / [1.0, 4.0])), -z / [1.0, 4.0]

    chains = Sampler(2, 300)(function, seed=0)
    np.testing.assert_allclose(chains.z.std(axis=(0, 1)), [1.0, 2.0], rtol=0.12)
    np.testing.assert_allclose(chains.z.mean(axis=(0, 1)), 0.0, atol=0.25)
    rhat, effective = diagnose(chains.z)
    assert rhat.max() < 1.02
    assert effective.min() > 300
    assert not chains.divergent.any()
    # Chains in places of their own do not agree.
    assert diagnose(chains.z + 2 * np.arange(4)[:, None, None])[0].min() > 1.2


def test_what_diagnoses_draws_is_compiled_once(caplog: pytest.LogCaptureFixture) -> None:
    draws = np.random.default_rng(9).standard_normal((4, 20, 2))
    diagnose(draws)
    with jax.log_compiles():
        diagnose(2 * draws)
    assert not [line for line in caplog.messages if "ompiling" in line]


def test_a_posterior_that_is_normal_has_the_intervals_of_the_standard_errors(fit: pct.Fit) -> None:
    posterior = fit.posterior
    assert posterior is not None
    assert posterior.draws.shape == (4, 25, 4)
    half = np.diff(posterior.normal)[:, 0] / 2
    # Of so few draws the quartiles are known, to a tenth of that; the ends of intervals are not.
    quartiles = (
        np.quantile(posterior.draws, (0.25, 0.75), axis=(0, 1)).T - posterior.normal.mean(1)[:, None]
    ) / half[:, None]
    np.testing.assert_allclose(quartiles, np.tile([-0.344, 0.344], (4, 1)), atol=0.3)
    low, high = posterior.interval.T
    truth = [CAR.spec.default_params[name] for name in posterior.names]
    assert ((low - half < truth) & (truth < high + half)).all()
    assert "4 chains of 25 draws" in posterior.fact
    assert any("ask for more `draws`" in line for line in fit.warnings)


def test_what_is_not_normal_and_what_diverged_is_told(fit: pct.Fit) -> None:
    posterior = fit.posterior
    assert posterior is not None
    draws = posterior.draws.copy()
    draws[..., 1] = draws[..., 1].mean() + np.abs(draws[..., 1] - draws[..., 1].mean())
    divergent = np.zeros_like(posterior.divergent)
    divergent[2, 3] = True
    lines = " ".join(posterior._replace(draws=draws, divergent=divergent).warnings)
    assert f"{posterior.names[1]} is not normal" in lines
    assert "1 of 100 trajectories diverged" in lines


def test_a_run_holds_draws_and_intervals(fit: pct.Fit, tmp_path: Path) -> None:
    run = fit.save(tmp_path / "run", report=False)
    table = pl.read_parquet(run / "draws.parquet")
    assert table.columns == ["chain", "draw", "divergent", *fit.posterior.names]
    assert table.height == 100
    saved = json.loads((run / "posterior.json").read_text())
    assert saved["parameters"]["alpha_accel"]["interval_95"] == fit.posterior.interval[2].tolist()
    assert saved["chains"] == 4


def test_the_figure_shows_each_parameter(fit: pct.Fit) -> None:
    assert len(fit.plot("posterior").axes) == 6  # two rows of three, two of them empty


def test_without_the_sampler_nothing_is_fitted(drive: pct.Drives, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "blackjax", None)
    with pytest.raises(UsageError, match=r"`sample`: expected the package blackjax.*pct-vehicle\[sample\]"):
        pct.fit(CAR, drive, sample=True, **SETTINGS)


def test_a_fit_without_covariance_has_no_posterior(fit: pct.Fit) -> None:
    unsound = dataclasses.replace(fit.result.estimate, sound=False)
    broken = dataclasses.replace(fit, result=dataclasses.replace(fit.result, estimate=unsound))
    with pytest.raises(UsageError, match="covariance of the fit is not known"):
        broken.sample()
