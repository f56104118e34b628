"""Extended Kalman filter and fixed-interval smoother of a rigid body that moves in the plane.

Its accelerations are random walks. `fit_noise` finds how noisy each sensor is and how fast the accelerations
change, `run_filter` goes forwards through a recording, `look_back` backwards.

References:
    H. E. Rauch, F. Tung, C. T. Striebel, "Maximum likelihood estimates of linear dynamic systems",
    AIAA Journal 3 (1965): smoothing over a fixed interval.
    G. J. Bierman, "Fixed interval smoothing with discrete measurements", Int. J. Control 18 (1973): the same
    estimates without the inverse of a covariance.
    Y. Bar-Shalom, X. R. Li, T. Kirubarajan, "Estimation with Applications to Tracking and Navigation"
    (2001): test of the innovations (5.4), random-walk acceleration (6.2), extended filter (10.3).
    S. J. Koopman, N. Shephard, "Exact score for time series models in state space form", Biometrika 79
    (1992): gradient of the likelihood from the backward pass.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple, TypeAlias

import numpy as np

from pct.dynamics.channels import is_heading
from pct.recordings.relations import STANDSTILL
from pct.types import Float, Int

# A body in the plane: pose, velocities along and across it, yaw rate, and the rates of these three.
STATES = ("x", "y", "psi", "vx", "vy", "psi_dot", "vx_dot", "vy_dot", "psi_ddot")
X, Y, PSI, VX, VY, PSI_DOT, VX_DOT, VY_DOT, PSI_DDOT = range(9)
RATES = ((VX, VX_DOT), (VY, VY_DOT), (PSI_DOT, PSI_DDOT))

# Pieces of a recording that the noises are fitted to, and rows of each.
PIECES, PIECE_ROWS = 12, 120
# Logarithms of what a density may come to, over that of the states by differentiation,
WALKS = (-14.0, 7.0)
# and a sensor's variance over its scatter: half to thirty times the standard deviation.
FACTORS = (-1.4, 6.8)
# Standard deviation of a reading that is to be passed over, in rad.
UNKNOWN = 1e3

# By row and block, or by block.
Vectors: TypeAlias = Float[np.ndarray, "... _"]
Matrices: TypeAlias = Float[np.ndarray, "... _ _"]


@dataclasses.dataclass(frozen=True, eq=False)
class Sensors:
    """What the filter reads.

    Attributes:
        names: what each of M sensors shows: one of the first six states, ``v``, ``ax`` or ``ay``.
        readings: headings unwrapped, NaN where there is none, (N, M).
        noise: standard deviation of each, (M,).
        walk: spectral density of the rate of each of the three accelerations, in their unit²/s, (3,).
        rough: states by differentiation, that a block starts from, (N, 9).
        observed: which of the first six states the sensors tell of.
    """

    names: tuple[str, ...]
    readings: Float[np.ndarray, "N M"]
    noise: Float[np.ndarray, " M"]
    walk: Float[np.ndarray, " 3"]
    rough: Float[np.ndarray, "N 9"]
    observed: frozenset[str]


def fit_noise(sensors: Sensors, dt: float) -> Sensors:
    """The sensors with the noises that make the innovations most likely.

    Three densities say how fast the accelerations along, across and in yaw change: they are the driver's
    and the road's, and nothing but the recording tells them. A variance for each sensor beside them, since
    scatter from row to row is all that can be seen of one sensor alone; a filtered or slightly wrong one
    errs by more, which shows in how it contradicts the others.
    """
    from scipy.optimize import minimize

    rows = len(sensors.readings)
    width = min(rows, PIECE_ROWS)
    starts = np.unique(np.linspace(0, rows - width, PIECES).astype(int))
    total = width * len(starts)

    def scaled(logs: Float[np.ndarray, " _"]) -> Sensors:
        return dataclasses.replace(
            sensors, walk=sensors.walk * np.exp(logs[:3]), noise=sensors.noise * np.exp(0.5 * logs[3:])
        )

    def cost(logs: Float[np.ndarray, " _"]) -> tuple[float, Float[np.ndarray, " _"]]:
        tried = scaled(logs)
        forwards = run_filter(tried, starts, width, dt)
        slope = score(tried, forwards, dt)
        return -float(forwards.log_likelihood.sum()) / total, -slope / total

    count = len(sensors.names)
    bounds = [WALKS] * 3 + [FACTORS] * count
    optimum = minimize(
        cost, np.zeros(3 + count), jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-5}
    )
    return scaled(optimum.x)


class Forwards(NamedTuple):
    """What the filter leaves of each row (L) of each block (B); see `run_filter`.

    Attributes:
        prior, prior_cov: state before the reading, (L, B, 9), and its covariance.
        innovation, precision: reading less expectation, (L, B, M), and the inverse of its covariance.
        shown: Jacobian of the readings, (L, B, M, 9).
        gained: gain, carried to the next row, (L, B, 9, M).
        carried: Jacobian from the state before the reading to that before the next one, (L, B, 9, 9).
        log_likelihood: of the innovation, without its constant, (L, B).
    """

    prior: Vectors
    prior_cov: Matrices
    innovation: Vectors
    precision: Matrices
    shown: Matrices
    gained: Matrices
    carried: Matrices
    log_likelihood: Float[np.ndarray, "L B"]

    def smoothed(self, adjoint: Vectors) -> Vectors:
        """States given all readings, from those given the readings before."""
        return self.prior + _times(self.prior_cov, adjoint)


def run_filter(sensors: Sensors, starts: Int[np.ndarray, " B"], width: int, dt: float) -> Forwards:
    """Extended Kalman filter over blocks of equal length, side by side.

    Args:
        sensors: see there.
        starts: first row of each block.
        width: its rows, L.
        dt: time step in s.
    """
    each = np.arange(len(sensors.names))
    turns = [i for i, name in enumerate(sensors.names) if is_heading(name)]
    state, cov = sensors.rough[starts], np.tile(_first_covariance(sensors), (len(starts), 1, 1))
    rest, drift = _rates(dt), _process_noise(sensors.walk, dt)
    steps = []
    for row in range(width):
        reading = sensors.readings[starts + row]
        missing = np.isnan(reading)
        expected, shown = _show(sensors.names, state, reading)
        innovation = np.where(missing, 0.0, reading - expected)
        innovation[:, turns] = (innovation[:, turns] + np.pi) % (2 * np.pi) - np.pi
        across = cov @ shown.mT
        spread = shown @ across
        spread[:, each, each] += np.where(missing, UNKNOWN**2, sensors.noise**2)
        precision = np.linalg.inv(spread)
        gain = across @ precision
        after, moved = _move(state + _times(gain, innovation), rest, dt)
        steps.append((state, cov, innovation, precision, shown, gain, moved))
        cov = moved @ (cov - gain @ across.mT) @ moved.mT + drift
        # Rounding makes it lopsided, which grows.
        cov = 0.5 * (cov + cov.mT)
        state = after
    prior, prior_cov, innovation, precision, shown, gain, moved = map(np.stack, zip(*steps, strict=True))
    squared = (innovation * _times(precision, innovation)).sum(axis=-1)
    return Forwards(
        prior=prior,
        prior_cov=prior_cov,
        innovation=innovation,
        precision=precision,
        shown=shown,
        gained=moved @ gain,
        carried=moved - moved @ gain @ shown,
        log_likelihood=0.5 * (np.linalg.slogdet(precision)[1] - squared),
    )


def _first_covariance(sensors: Sensors) -> Float[np.ndarray, "9 9"]:
    """As wide as the states ever are, for the first readings to decide."""
    wide = sensors.rough.var(axis=0) + 1e-4
    for name, noise in zip(sensors.names, sensors.noise, strict=True):
        if name in STATES:
            # Nothing is left of the digits of a variance that drops by more.
            wide[STATES.index(name)] = min(wide[STATES.index(name)], 1e8 * noise**2)
    return np.diag(wide)


def look_back(forwards: Forwards) -> tuple[Vectors, Matrices]:
    """What this reading and those after it say of the state before it.

    Returns:
        Gradient of their log-likelihood by that state, (L, B, 9), and its variance, (L, B, 9, 9).
    """
    weighed = forwards.shown.mT @ forwards.precision
    own = _times(weighed, forwards.innovation)
    adjoint, information = own.copy(), weighed @ forwards.shown
    for row in range(len(own) - 2, -1, -1):
        back = forwards.carried[row].mT
        adjoint[row] += _times(back, adjoint[row + 1])
        information[row] += back @ information[row + 1] @ back.mT
    return adjoint, information


def score(sensors: Sensors, forwards: Forwards, dt: float) -> Float[np.ndarray, " _"]:
    """Gradient of the log-likelihood by the logarithms of the three densities and M variances.

    After Koopman and Shephard (1992); that the Jacobians move with the noises is left out.
    """
    adjoint, information = look_back(forwards)
    excess = adjoint[1:, :, :, None] * adjoint[1:, :, None, :] - information[1:]
    shares = [_process_noise(sensors.walk * np.eye(3)[i], dt) for i in range(3)]
    gained = forwards.gained[:-1].mT
    error = _times(forwards.precision, forwards.innovation)
    error[:-1] -= _times(gained, adjoint[1:])
    weight = np.einsum("lbmm->lbm", forwards.precision).copy()
    weight[:-1] += np.einsum("lbmm->lbm", gained @ information[1:] @ gained.mT)
    by_walk = [0.5 * float((excess * share).sum()) for share in shares]
    return np.array([*by_walk, *(0.5 * sensors.noise**2 * (error**2 - weight).sum(axis=(0, 1)))])


def _times(matrix: Matrices, vector: Vectors) -> Vectors:
    return (matrix @ vector[..., None])[..., 0]


def _show(
    names: tuple[str, ...], state: Float[np.ndarray, "B 9"], reading: Float[np.ndarray, "B M"]
) -> tuple[Float[np.ndarray, "B M"], Float[np.ndarray, "B M 9"]]:
    """What the sensors show of a state, and its Jacobian."""
    slope = np.zeros((*reading.shape, len(STATES)))
    value = np.empty(reading.shape)
    vx, vy, psi_dot = state[:, VX], state[:, VY], state[:, PSI_DOT]
    for i, name in enumerate(names):
        if name == "v":
            # The reading tells forward from reverse. Standing, the direction is that of the vehicle.
            size = np.where(reading[:, i] < 0, -1.0, 1.0) * np.hypot(vx, vy)
            still = np.abs(size) < STANDSTILL
            slope[:, i, VX] = np.where(still, 1.0, vx / np.where(still, 1.0, size))
            slope[:, i, VY] = np.where(still, 0.0, vy / np.where(still, 1.0, size))
            value[:, i] = np.where(still, vx, size)
        elif name == "ax":
            slope[:, i, VX_DOT], slope[:, i, VY], slope[:, i, PSI_DOT] = 1.0, -psi_dot, -vy
            value[:, i] = state[:, VX_DOT] - vy * psi_dot
        elif name == "ay":
            slope[:, i, VY_DOT], slope[:, i, VX], slope[:, i, PSI_DOT] = 1.0, psi_dot, vx
            value[:, i] = state[:, VY_DOT] + vx * psi_dot
        else:
            slope[:, i, STATES.index(name)] = 1.0
            value[:, i] = state[:, STATES.index(name)]
    return value, slope


def _move(
    state: Float[np.ndarray, "B 9"], rest: Float[np.ndarray, "9 9"], dt: float
) -> tuple[Float[np.ndarray, "B 9"], Float[np.ndarray, "B 9 9"]]:
    """The state a step later by the midpoint rule, and its Jacobian; ``rest`` is all of it but positions."""
    half = 0.5 * dt
    angle = state[:, PSI] + half * state[:, PSI_DOT]
    c, s = dt * np.cos(angle), dt * np.sin(angle)
    turn = np.stack([c, -s, s, c], axis=-1).reshape(-1, 2, 2)
    way = _times(turn, state[:, VX : VY + 1] + half * state[:, VX_DOT : VY_DOT + 1])
    turned = way[:, ::-1] * [-1.0, 1.0]
    slope = np.tile(rest, (len(state), 1, 1))
    slope[:, :2, PSI], slope[:, :2, PSI_DOT] = turned, half * turned
    slope[:, :2, VX : VY + 1], slope[:, :2, VX_DOT : VY_DOT + 1] = turn, half * turn
    after = state @ rest.T
    after[:, :2] += way
    return after, slope


def _rates(dt: float) -> Float[np.ndarray, "9 9"]:
    """What a step adds to velocities and heading, which is linear."""
    slope = np.eye(len(STATES))
    for i, rate in RATES:
        slope[i, rate] = dt
    slope[PSI, PSI_DOT], slope[PSI, PSI_DDOT] = dt, 0.5 * dt**2
    return slope


def _process_noise(walk: Float[np.ndarray, " 3"], dt: float) -> Float[np.ndarray, "9 9"]:
    """Covariance of what the accelerations add over a step; what they add to the position is left out."""
    noise = np.zeros((len(STATES), len(STATES)))
    for density, chain in zip(walk, ((VX_DOT, VX), (VY_DOT, VY), (PSI_DDOT, PSI_DOT, PSI)), strict=True):
        for i, a in enumerate(chain):
            for j, b in enumerate(chain):
                scale = math.factorial(i) * math.factorial(j) * (i + j + 1)
                noise[a, b] = density * dt ** (i + j + 1) / scale
    return noise
