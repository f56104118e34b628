"""CasADi and IPOPT by multiple shooting: a node every ten steps, its state an unknown."""

from __future__ import annotations

from functools import partial

from peers import fit_casadi

make_solver = partial(fit_casadi.make_solver, steps=10)
