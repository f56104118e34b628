"""Small drives and a fit of them, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

import pct
from pct.recordings.trajectory import write_dataset

SMALL = {"horizon": 4, "history": 4}


@pytest.fixture(scope="session")
def drives() -> pct.Drives:
    return pct.simulate(pct.model("singletrack"), recordings=2, duration=4.0, mu=(0.7,), noise=0.1)


@pytest.fixture(scope="session")
def unseen() -> pct.Drives:
    return pct.simulate(pct.model("singletrack"), duration=4.0, mu=(0.7,), noise=0.1, seed=3)


@pytest.fixture(scope="session")
def folder(drives: pct.Drives, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset folder of the drives."""
    path = tmp_path_factory.mktemp("api") / "drives"
    write_dataset(path, [drive.trajectory for drive in drives], vehicle="simulated")
    return path


@pytest.fixture(scope="session")
def fit(drives: pct.Drives) -> pct.Fit:
    car = pct.model("unicycle").hold("beta_accel", alpha_accel=1.0).measured(bias=["v"])
    return pct.fit(car, drives, **SMALL, iterations=3)


@pytest.fixture(scope="session")
def network(fit: pct.Fit, drives: pct.Drives) -> pct.Network:
    return pct.train(fit, drives, epochs=2, horizon=4, model_hidden=(4,), engine="jax")
