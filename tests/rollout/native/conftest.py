"""Libraries are kept from one run of the tests to the next, like JAX's compiled code."""

from collections.abc import Iterator
from pathlib import Path

import jax
import pytest


@pytest.fixture(autouse=True)
def kept_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path(__file__).parents[3] / ".cache"))


@pytest.fixture
def single_precision() -> Iterator[None]:
    with jax.enable_x64(False):
        yield
