"""Logs of one made drive, and the maps that are proposed for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pct.logs.readers.base import RawLog
from pct.mapping import Line, Proposal, propose
from pct.types import Column

DT = 0.02


def drive(rows: int = 1500) -> dict[str, Column]:
    """A car of 0.33 m wheelbase that weaves at 2 to 4 m/s with some slip and noise, in ISO 8855."""
    random = np.random.default_rng(5)
    t = DT * np.arange(rows)
    v = 3.0 + np.sin(0.7 * t)
    delta = 0.25 * np.sin(1.3 * t) + 0.1 * np.sin(0.37 * t)
    psi_dot = v * np.tan(delta) / 0.33
    psi = np.concatenate([[0.3], 0.3 + np.cumsum(psi_dot[:-1] * DT)])
    beta = 0.3 * np.tan(delta)
    x, y = (np.concatenate([[0.0], np.cumsum((v * f(psi + beta))[:-1] * DT)]) for f in (np.cos, np.sin))
    log = {"t": t, "x": x, "y": y, "psi": psi, "vx": v * np.cos(beta), "vy": v * np.sin(beta)}
    log |= {"psi_dot": psi_dot, "delta": delta, "temp": 20.0 + np.cumsum(random.normal(0, 0.01, rows))}
    noise = {"x": 0.002, "y": 0.002, "psi": 0.002, "vx": 0.02, "vy": 0.02, "psi_dot": 0.02, "delta": 0.002}
    return {
        name: column + random.normal(0, noise.get(name, 0.0) + 1e-12, rows) * (name != "t")
        for name, column in log.items()
    }


def raw(columns: dict[str, Column], **units: str) -> RawLog:
    return RawLog(columns, np.arange(len(next(iter(columns.values())))), "row", units=units)


def proposed(columns: dict[str, Column], **units: str) -> dict[str, Line]:
    return by_channel(propose(Path("log.csv"), raw(columns, **units)))


def by_channel(proposal: Proposal) -> dict[str, Line]:
    return {line.channel: line for line in (proposal.time, *proposal.lines)}
