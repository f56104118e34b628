"""Generated code under the sanitizers of addresses and undefined behaviour."""

from __future__ import annotations

import platform
import subprocess
from pathlib import Path

import jax
import pytest

from pct.dynamics import MODEL_SPECS, ModelSpec
from pct.rollout.native import code, shared_library
from pct.rollout.native.compiler import find_compiler
from rollout.native.windows import every_model, needs_compiler

pytestmark = [needs_compiler, pytest.mark.slow]

DRIVER, COMMON_DRIVER = (Path(__file__).with_name(f"sanitized{what}.cpp") for what in ("", "_common"))
CHECKED = (
    "-std=c++17", "-O1", "-g", "-w", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off",
    "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-pthread", f"-I{jax.ffi.include_dir()}",
)  # fmt: skip
BYTES, RACES = ("-fsanitize=address,undefined",), ("-fsanitize=thread",)
CLEAN = 0, ""
# With 4 and 8 lanes, whatever the machine itself has.
PROCESSORS = ("x86-64", "x86-64-v3")


def source_of(spec: ModelSpec, integrator: str, keys: tuple[str, ...]) -> str:
    """What would be compiled."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code, "load_library", lambda key, make_source, include: make_source())
        return str(code.Code(spec, integrator, keys, xla=False).library)


def report_of(
    source: str,
    folder: Path,
    processor: str = "native",
    driver: Path = DRIVER,
    checks: tuple[str, ...] = BYTES,
) -> tuple[int, str]:
    """Exit code and output of the driver behind a source."""
    unit, program = folder / "checked.cpp", folder / "checked"
    unit.write_text(source + "\n" + driver.read_text())
    command = [*find_compiler(), *CHECKED, *checks, f"-march={processor}", "-o", str(program), str(unit)]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[:2000]
    done = subprocess.run([str(program)], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@every_model
def test_every_model(spec: ModelSpec, tmp_path: Path) -> None:
    assert report_of(source_of(spec, "rk4", spec.param_keys), tmp_path) == CLEAN


@pytest.mark.parametrize("integrator", ["euler", "heun"])
def test_other_integrators_and_no_answers(integrator: str, tmp_path: Path) -> None:
    source = source_of(MODEL_SPECS["kinematic-singletrack"], integrator, ())
    assert report_of(source, tmp_path) == CLEAN


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="names of x86 processors")
@pytest.mark.parametrize("processor", PROCESSORS)
def test_other_numbers_of_lanes(processor: str, tmp_path: Path) -> None:
    source = source_of(MODEL_SPECS["unicycle"], "rk4", ("alpha_psi_dot",))
    assert report_of(source, tmp_path, processor) == CLEAN


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("b.first + lane) * LEARNED + i", "b.first + lane + 1) * LEARNED + i"),
        ("call.weights + b.given(lane) * T", "call.weights + b.given(lane) * T + 1"),
    ],
)
def test_a_planted_fault_is_found(right: str, wrong: str, tmp_path: Path) -> None:
    source = source_of(MODEL_SPECS["unicycle"], "euler", MODEL_SPECS["unicycle"].param_keys)
    assert right in source
    status, said = report_of(source.replace(right, wrong), tmp_path)
    assert status != 0
    assert "heap-buffer-overflow" in said


def source_of_common() -> str:
    """What would be compiled for all models."""
    return "\n".join(map(code.read_part, shared_library.PARTS))


@pytest.mark.parametrize("checks", [BYTES, RACES], ids=["bytes", "races"])
def test_code_for_all_models(checks: tuple[str, ...], tmp_path: Path) -> None:
    assert report_of(source_of_common(), tmp_path, "native", COMMON_DRIVER, checks) == CLEAN


@pytest.mark.parametrize(
    ("right", "wrong", "checks", "said"),
    [
        (
            "answers + (row + r) * a.outputs, c, a.outputs",
            "answers + (row + r) * a.outputs, c, width",
            BYTES,
            "AddressSanitizer",
        ),
        ("control_rows + (start - 1)", "control_rows + start", BYTES, "AddressSanitizer"),
        ("while (progress.done < groups) PAUSE();", "", RACES, "data race"),
    ],
    ids=["dense layers", "context", "races"],
)
def test_a_fault_planted_in_code_for_all_models_is_found(
    right: str, wrong: str, checks: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    source = source_of_common()
    assert right in source
    status, output = report_of(source.replace(right, wrong), tmp_path, "native", COMMON_DRIVER, checks)
    assert status != 0
    assert said in output
