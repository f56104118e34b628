"""CasADi and IPOPT: single shooting, one node a window, or multiple shooting, a node every few steps."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import casadi as ca
import numpy as np

from peers.fit_problem import HORIZON, SIGMA, Problem

XP = SimpleNamespace(
    exp=ca.exp,
    sqrt=ca.sqrt,
    sin=ca.sin,
    cos=ca.cos,
    tan=ca.tan,
    arctan=ca.atan,
    abs=ca.fabs,
    maximum=ca.fmax,
    minimum=ca.fmin,
    clip=lambda x, low, high: ca.fmin(ca.fmax(x, low), high),
    where=ca.if_else,
)
OPTIONS = {"ipopt.print_level": 0, "print_time": 0, "ipopt.sb": "yes", "ipopt.max_iter": 300}


def make_solver(problem: Problem, steps: int = HORIZON) -> Callable[[np.ndarray], np.ndarray]:
    """``solve(raw)``: the fit from a start, both on the unbounded axis, (P,).

    Args:
        problem: what is fitted.
        steps: from one node to the next; the horizon is a multiple of it.
    """
    size, windows, nodes = problem.centre.size, problem.logged.shape[2], HORIZON // steps
    raw, x, u = ca.SX.sym("raw", size), ca.SX.sym("x", 4), ca.SX.sym("u", 2)
    after = problem.advance(ca.vertsplit(x), ca.vertsplit(u), problem.params(raw, XP), XP)
    step = ca.Function("step", [x, u, raw], [ca.vertcat(*after)])
    across = step.mapaccum(steps)
    segments = windows * nodes

    unknown, start = ca.MX.sym("raw", size), ca.MX.sym("start", 3, segments)
    # Segments of one window follow each other: (channel, step, window) to columns.
    delta = problem.logged[3, 0] + problem.dt * np.cumsum(
        np.concatenate([np.zeros((1, windows)), problem.controls[0]]), axis=0
    )
    first = delta[:-1:steps].T.reshape(1, segments)
    columns = problem.controls.transpose(0, 2, 1).reshape(2, -1)
    whole = across.map(segments)(ca.vertcat(start, first), columns, ca.repmat(unknown, 1, segments * steps))[
        :3, :
    ]
    logged = problem.logged[:3, 1:].transpose(0, 2, 1).reshape(3, -1)
    offsets = start[:, ::nodes] - problem.logged[:3, 0]
    weighted = [(whole - logged) / SIGMA[:, None], offsets / SIGMA[:, None], unknown - problem.centre]
    cost = 0.5 * sum(ca.sumsqr(part) for part in weighted)
    ends = whole[:, steps - 1 :: steps]
    inner = [i for i in range(segments) if (i + 1) % nodes]
    gaps = ca.vec(ends[:, inner] - start[:, [i + 1 for i in inner]]) if inner else ca.MX(0, 1)
    nlp = {"x": ca.vertcat(unknown, ca.vec(start)), "f": cost, "g": gaps}
    solver = ca.nlpsol("fit", "ipopt", nlp, OPTIONS)
    measured = problem.logged[:3, :-1:steps].transpose(0, 2, 1).reshape(3, segments)

    def solve(begin: np.ndarray) -> np.ndarray:
        given: Any = np.concatenate([begin, measured.ravel(order="F")])
        found = solver(x0=given, lbg=0.0, ubg=0.0)
        return np.asarray(found["x"])[:size, 0]

    return solve
