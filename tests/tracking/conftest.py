"""A drive over two surfaces, and what is known of the car."""

import numpy as np
import pytest

import pct
from pct.rollout.native.compiler import NoCompiler, find_compiler


@pytest.fixture(autouse=True)
def compiler() -> None:
    try:
        find_compiler()
    except NoCompiler:
        pytest.skip("the tracker is native code")


@pytest.fixture(scope="session")
def car() -> pct.Car:
    return pct.model("singletrack").hold("C_Sf", "C_Sr", "m", "I")


@pytest.fixture(scope="session")
def drive(car: pct.Car) -> pct.Drive:
    """Friction 0.5, then 0.8 from about the middle on."""
    drives = pct.simulate(car, recordings=2, duration=20.0, mu=(0.5, 0.8, 0.5), surfaces=2, seed=4)
    assert len(np.unique(drives[1].trajectory.channels["truth.mu"])) == 2
    return drives[1]
