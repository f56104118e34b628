"""Native code of fits under the sanitizers of addresses and undefined behaviour."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pct.rollout.native.compiler import find_compiler
from rollout.native.windows import needs_compiler

pytestmark = [needs_compiler, pytest.mark.slow]

CHECKS = "-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"
TESTS = Path(__file__).parents[2]


def report_of(folder: Path, fault: str = "") -> subprocess.CompletedProcess[str]:
    """What the driver says, with a text of the source replaced: ``old=>new``."""
    named = (
        subprocess.run([*find_compiler(), f"-print-file-name={name}"], capture_output=True, text=True).stdout
        for name in ("libasan.so", "libubsan.so")
    )
    libraries = [name.strip() for name in named]
    if not all(map(os.path.isabs, libraries)):
        pytest.skip("the compiler has no sanitizers")
    path = os.pathsep.join([str(TESTS), str(TESTS.parent / "src")])
    given = {
        "LD_PRELOAD": " ".join(libraries),
        "ASAN_OPTIONS": "detect_leaks=0",
        "XDG_CACHE_HOME": str(folder),
        "PYTHONPATH": path,
    }
    command = [sys.executable, str(Path(__file__).with_name("sanitized_windows.py")), CHECKS, fault]
    return subprocess.run(command, env={**os.environ, **given}, capture_output=True, text=True)


def test_it_is_clean(tmp_path: Path) -> None:
    done = report_of(tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "clean"), done.stderr[:2000]


@pytest.mark.parametrize(
    "fault",
    [
        "call.history + row) * count=>call.history + row + 1) * count",
        "call.own_params[block.window(lane) *=>call.own_params[(block.window(lane) + 1) *",
        "call.gradient[p * call.windows=>call.gradient[(p + 1) * call.windows",
    ],
)
def test_a_planted_fault_is_found(fault: str, tmp_path: Path) -> None:
    done = report_of(tmp_path, fault)
    assert done.returncode != 0
    assert "AddressSanitizer" in done.stderr
