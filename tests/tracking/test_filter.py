"""The native filter against Kalman's equations in NumPy; what it makes of changes and of doubt."""

import dataclasses

import numpy as np
import pytest

import pct
from pct.api.tracking import make_problem
from pct.errors import UsageError
from pct.rollout.integration import integrate_rk4
from pct.tracking.drives import Rows, make_filter, read_drives
from pct.tracking.problem import Levels, Problem, usual_levels


def rows_of(problem: Problem, drive: pct.Drive) -> tuple[Problem, Rows]:
    problem, rows = read_drives(problem, [(drive.name, drive.trajectory)], None)
    return problem, rows[0]


def step(problem: Problem, z: np.ndarray, u: np.ndarray, dt: float) -> np.ndarray:
    """Filtered states after a step, and the parameters behind them as they are."""
    spec, filtered = problem.spec, problem.filtered
    values = {}
    for name, value in zip((*problem.vary, *problem.held), z[len(filtered) :], strict=True):
        first, *inverse = name.split("/")
        for part in (*first.split("+"), *inverse):
            factor = 1.0 / value if part in inverse else value
            values[part] = factor * (1.0 if part == name else problem.params[part])
    x = np.zeros(len(spec.states) + len(spec.hidden))
    x[filtered] = z[: len(filtered)]
    whole = np.concatenate([x, u])
    parts = round(dt / problem.longest)
    for _ in range(parts):
        rates = lambda xu, p: spec.dynamics_fn(xu, p, np)  # noqa: E731
        whole = integrate_rk4(rates, whole, {**problem.params, **values}, dt / parts)
    return np.concatenate([whole[filtered], z[len(filtered) :]])


def kalman(problem: Problem, levels: Levels, rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the varying parameter after each row; held ones are not moved."""
    F, V, Q = len(problem.filtered), len(problem.vary), len(problem.held)
    moved, dt = np.arange(F + V + Q) < F + V, rows.t[1] - rows.t[0]
    reading = np.array([levels.reading[name] ** 2 for name in problem.names])
    process = np.diag([*(levels.process[name] ** 2 * dt for name in problem.names), *[0.0] * (V + Q)])
    prior = [problem.prior(name) for name in problem.vary]
    z = np.concatenate([rows.states[0][problem.filtered], [row[0] for row in prior]])
    z = np.concatenate([z, [float(problem.params[name]) for name in problem.held]])
    P = np.diag([*reading, *(row[1] for row in prior), *[0.0] * Q])
    P[F + V :, F + V :] = problem.covariance
    means, deviations = [z[F]], [np.sqrt(P[F, F])]
    for y, u in zip(rows.states[1:, problem.filtered], rows.controls[1:], strict=True):
        eps = 1e-6
        unit = np.eye(len(z)) * eps
        A = np.stack(
            [(step(problem, z + e, u, dt) - step(problem, z - e, u, dt)) / (2 * eps) for e in unit], -1
        )
        z, P = step(problem, z, u, dt), A @ P @ A.T + process
        for i, read in enumerate(y):
            error, spread = read - z[i], P[i, i] + reading[i]
            gain = np.where(moved, P[i] / spread, 0.0)
            kept = np.eye(len(z)) - np.outer(gain, np.eye(len(z))[i])
            z, P = z + gain * error, kept @ P @ kept.T + reading[i] * np.outer(gain, gain)
        means.append(z[F])
        deviations.append(np.sqrt(P[F, F]))
    return np.array(means), np.array(deviations)


def single(problem: Problem) -> Levels:
    """Levels with no changes and no heavy tails."""
    usual = usual_levels(problem)
    return dataclasses.replace(usual, jumps=0.0, wander={}, huber=100.0)


@pytest.mark.parametrize(
    ("vary", "held"),
    [("mu", ()), ("mu", ("C_Sf", "C_Sr")), ("C_Sf+C_Sr", ("mu",)), ("mu/C_Sf/C_Sr", ())],
)
def test_one_hypothesis_is_kalmans_filter(drive: pct.Drive, vary: str, held: tuple[str, ...]) -> None:
    known = {"mu", "C_Sf", "C_Sr", "m", "I"} - {*held, *vary.replace("/", "+").split("+")}
    problem, rows = rows_of(make_problem(pct.model("singletrack").hold(*sorted(known)), vary), drive)
    assert problem.held == held
    if held:
        covariance = np.array([[0.25, 0.1], [0.1, 0.16]])[: len(held), : len(held)]
        problem = dataclasses.replace(problem, covariance=covariance)
    rows = Rows(*(column[:24] for column in rows))
    levels = single(problem)
    found = make_filter(problem, levels).track(*rows)
    means, deviations = kalman(problem, levels, rows)
    # The reference's derivatives are differences.
    np.testing.assert_allclose(found.mean[:, 0], means, rtol=2e-6)
    np.testing.assert_allclose(found.deviation[:, 0], deviations, rtol=2e-5)
    most = problem.prior(vary)[3]
    np.testing.assert_allclose(found.high[:, 0], np.minimum(means + 1.959964 * deviations, most), rtol=1e-3)


def test_a_car_sees_a_change_as_it_drives(car: pct.Car, drive: pct.Drive) -> None:
    track = pct.track(car, drive, levels=pct.track_levels(car))
    truth = drive.trajectory.channels["truth.mu"]
    at = drive.dt * (int(np.flatnonzero(np.diff(truth))[0]) + 1)
    (name, change) = track.changes[0]
    assert name == drive.name
    assert len(track.changes) == 1
    assert change.low - 0.15 <= at <= change.high + 0.15
    assert change.seen is not None
    assert 0 <= change.seen - at < 0.6
    assert (change.before, change.after) == pytest.approx((truth[0], truth[-1]), abs=0.02)
    one = track.tracked[0]
    for course in (one.causal["mu"], one.smoothed["mu"]):
        assert np.mean((course.low <= truth) & (truth <= course.high)) > 0.9
    late = np.abs(one.t - at) > 1.0
    assert np.abs(one.smoothed["mu"].middle - truth)[late].max() < 0.02
    (told,) = track.as_features(pct.Drives((drive,)))
    causal, channels = one.causal["mu"], told.trajectory.channels
    np.testing.assert_array_equal(channels["feature.mu_tracked"], causal.middle)
    np.testing.assert_allclose(np.exp(channels["feature.mu_width"]), causal.high - causal.low)
    assert {name for name in channels if name.startswith("feature.")} == {
        "feature.mu_tracked",
        "feature.mu_width",
    }
    assert told.trajectory.channels["truth.mu"] is truth
    with pytest.raises(UsageError, match="the drives that were tracked"):
        track.as_features(pct.Drives((drive, drive)))


def test_what_no_log_holds_is_no_reading(car: pct.Car, drive: pct.Drive) -> None:
    truth, unread = drive.trajectory.channels["truth.mu"], ("x", "y", "psi", "beta")
    logged = dataclasses.replace(
        drive.trajectory,
        channels={name: column for name, column in drive.trajectory.channels.items() if name not in unread},
    )
    track = pct.track(car, pct.Drive(drive.name, logged), levels=pct.track_levels(car))
    causal = track.tracked[0].causal["mu"]
    assert np.mean((causal.low <= truth) & (truth <= causal.high)) > 0.9
    assert "noise of readings delta 0.002, v 0.03, psi_dot 0.02;" in " ".join(track.facts)


def test_what_is_not_known_of_the_stiffness_is_in_the_band(car: pct.Car, drive: pct.Drive) -> None:
    levels = pct.track_levels(car)
    known = pct.track(car, drive, levels=levels).tracked[0].smoothed["mu"]
    unknown = pct.model("singletrack").hold("m", "I")
    wide = pct.track(unknown, drive, levels=levels).tracked[0].smoothed["mu"]
    assert np.median(wide.high - wide.low) > 5 * np.median(known.high - known.low)


def test_a_straight_tells_nothing(car: pct.Car) -> None:
    spec = car.spec
    problem = make_problem(car, "mu")
    states = np.zeros((60, len(spec.states)))
    states[:, spec.state_indices["v"]] = 4.0
    states[:, spec.state_indices["x"]] = 0.2 * np.arange(60)
    found = make_filter(problem, usual_levels(problem)).track(0.05 * np.arange(60), states, np.zeros((60, 2)))
    assert found.told[20:].max() < 0.5
    assert found.high[-1] - found.low[-1] > 1.0
