"""`scipy.optimize.least_squares` over rollouts in numba: central differences, all windows' starts at once."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from scipy.optimize import least_squares

from pct.dynamics.limits import GRAVITY
from peers.fit_problem import COMPARED, SIGMA, Problem

# Step of the differences.
STEP = 1e-5


@numba.njit(cache=True, fastmath=True)
def rates(vx: float, vy: float, r: float, delta: float, drive: float, p: Any) -> tuple[float, float, float]:
    """Of vx, vy and the yaw rate, above the blend: `pct.dynamics.singletrack_pacejka`, E and shifts zero."""
    B_f, C_f, D_f, B_r, C_r, D_r, C_m1, C_m2, C_r0, C_r2, inertia, m, lf, lr, h = p
    force = (C_m1 - C_m2 * vx) * drive - C_r0 - C_r2 * vx * vx
    along = max(abs(vx), 0.1)
    alpha_front = delta - math.atan((vy + lf * r) / along)
    alpha_rear = math.atan((lr * r - vy) / along)
    shift = min(max(h / GRAVITY * force / m, -lf), lr)
    front = D_f * (lr - shift) / lr * math.sin(C_f * math.atan(B_f * alpha_front))
    rear = D_r * (lf + shift) / lf * math.sin(C_r * math.atan(B_r * alpha_rear))
    return (
        (force - front * math.sin(delta)) / m + vy * r,
        (rear + front * math.cos(delta)) / m - vx * r,
        (front * lf * math.cos(delta) - rear * lr) / inertia,
    )


@numba.njit(cache=True, fastmath=True)
def roll(
    p: Any, starts: np.ndarray, delta: np.ndarray, controls: np.ndarray, dt: float, out: np.ndarray
) -> None:
    """Rollouts of all windows: vx, vy and yaw rate after each step, (3, T, W)."""
    steps, windows = out.shape[1], out.shape[2]
    for w in range(windows):
        a, b, c, d = starts[0, w], starts[1, w], starts[2, w], delta[w]
        for t in range(steps):
            turn, drive = controls[0, t, w], controls[1, t, w]
            half, end = d + 0.5 * dt * turn, d + dt * turn
            a1, b1, c1 = rates(a, b, c, d, drive, p)
            a2, b2, c2 = rates(a + dt / 2 * a1, b + dt / 2 * b1, c + dt / 2 * c1, half, drive, p)
            a3, b3, c3 = rates(a + dt / 2 * a2, b + dt / 2 * b2, c + dt / 2 * c2, half, drive, p)
            a4, b4, c4 = rates(a + dt * a3, b + dt * b3, c + dt * c3, end, drive, p)
            a += dt / 6 * (a1 + 2 * a2 + 2 * a3 + a4)
            b += dt / 6 * (b1 + 2 * b2 + 2 * b3 + b4)
            c += dt / 6 * (c1 + 2 * c2 + 2 * c3 + c4)
            d = end
            out[0, t, w], out[1, t, w], out[2, t, w] = a, b, c


def make_residual(problem: Problem) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """``residual(raw, offsets)``, (3, T + 1, W) in units of `SIGMA`."""
    keys = ("B_f", "C_f", "D_f", "B_r", "C_r", "D_r", "C_m1", "C_m2", "C_r0", "C_r2", "I")
    assert problem.spec.param_keys == keys
    fixed = tuple(problem.constants[name] for name in ("m", "lf", "lr", "h"))
    out = np.empty((len(COMPARED), problem.controls.shape[1], problem.controls.shape[2]))

    def residual(raw: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        values = problem.low + (problem.high - problem.low) / (1 + np.exp(-raw))
        starts = problem.logged[:3, 0] + offsets
        roll((*values.tolist(), *fixed), starts, problem.logged[3, 0], problem.controls, problem.dt, out)
        rows = np.concatenate([offsets[:, None], out - problem.logged[:3, 1:]], axis=1)
        return np.nan_to_num(rows / SIGMA[:, None, None], nan=1e6, posinf=1e6, neginf=-1e6)

    return residual


def make_solver(problem: Problem) -> Callable[[np.ndarray], np.ndarray]:
    """``solve(raw)``: the fit from a start, both on the unbounded axis, (P,)."""
    residual, size, windows = make_residual(problem), problem.centre.size, problem.logged.shape[2]

    def split(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return z[:size], z[size:].reshape(3, windows)

    def fun(z: np.ndarray) -> np.ndarray:
        raw, offsets = split(z)
        return np.concatenate([residual(raw, offsets).ravel(), raw - problem.centre])

    def jac(z: np.ndarray) -> np.ndarray:
        raw, offsets = split(z)
        shape = residual(raw, offsets).shape
        matrix = np.zeros((int(np.prod(shape)) + size, z.size))
        for i in range(size):
            move = np.eye(size)[i] * STEP
            change = residual(raw + move, offsets) - residual(raw - move, offsets)
            matrix[: change.size, i] = change.ravel() / (2 * STEP)
        by_window = matrix[: int(np.prod(shape)), size:].reshape(*shape, 3, windows)
        for k in range(3):
            move = np.zeros_like(offsets)
            move[k] = STEP
            change = (residual(raw, offsets + move) - residual(raw, offsets - move)) / (2 * STEP)
            by_window[:, :, np.arange(windows), k, np.arange(windows)] = change
        matrix[-size:, :size] = np.eye(size)
        return matrix

    def solve(raw: np.ndarray) -> np.ndarray:
        start = np.concatenate([raw, np.zeros(3 * windows)])
        return least_squares(fun, start, jac, method="trf", x_scale="jac", max_nfev=200).x[:size]

    return solve
