"""`pct train --engine`: what a user with and without a compiler sees."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cli.conftest import Train
from pct.rollout.native.gradients import make_kernel
from rollout.native.windows import needs_compiler

SAID = (
    "native code is not used: no C++ compiler was found (/nonexistent); "
    "pure JAX is slower, the results are the same"
)


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    make_kernel.cache_clear()
    monkeypatch.setenv("CXX", "/nonexistent")


def test_without_a_compiler_it_trains_and_says_one_line(
    train: Train, no_compiler: None, caplog: pytest.LogCaptureFixture
) -> None:
    code, run = train("--engine", "auto")
    assert code == 0
    assert run is not None
    assert (run / "DONE").exists()
    assert [record.getMessage() for record in caplog.records] == [SAID]
    assert caplog.records[0].levelno == logging.WARNING


def test_native_without_a_compiler_is_refused(
    train: Train, no_compiler: None, capsys: pytest.CaptureFixture[str]
) -> None:
    code, run = train("--engine", "native")
    assert code == 2
    assert run is None  # nothing is begun
    printed = capsys.readouterr().err.splitlines()
    said = [line for line in printed if "--engine native" in line]
    assert said == ["error: --engine native: no C++ compiler was found (/nonexistent): use --engine auto"]
    assert not any("Traceback" in line for line in printed)


@needs_compiler
def test_with_a_compiler_nothing_is_said(
    train: Train, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Libraries are kept from one run of the tests to the next.
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path(__file__).parents[2] / ".cache"))
    code, _ = train("--engine", "native")
    assert code == 0
    assert caplog.records == []
