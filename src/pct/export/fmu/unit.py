"""Writes a unit: compiled for this machine, validated and run by FMPy, compared with the model's own step."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import io
import platform
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from pct.errors import PctError
from pct.export.c.functions import Program
from pct.export.c.program import make_program
from pct.export.c.trial import find_compiler
from pct.export.check import Inputs, random_inputs
from pct.export.fmu.description import SOURCES, description, guid_of, identifier_of, sizes_header
from pct.export.motion import has_tyres, usual_rows
from pct.export.parameters import write_files
from pct.export.rollouts import TIME_STEP
from pct.export.source import Source
from pct.export.targets import Exported
from pct.files import temporary_folder
from pct.rollout.integration import TABLEAUS, explicit_step
from pct.rollout.native.compiler import NoCompiler, run_compiler

FLAGS = ("-std=c99", "-O2", "-fPIC", "-shared", "-fvisibility=hidden")
# Steps that are simulated, states that rates are compared at, and the largest difference over the largest
# value.
STEPS, POINTS, EQUAL = 25, 32, 1e-9


def export(source: Source, path: str | Path | None = None, *, refit: bool = False) -> Exported:
    """Write the unit, once FMPy has validated and run it.

    Args:
        source: the model and its values.
        path: the file; ``<model>.fmu`` here when left out.
        refit: unused: code can say every model.

    Raises:
        UsageError: the equations use something that no code can be generated for.
        DataError: the file cannot be written.
        PctError: there is no C compiler, or the unit is not valid, or differs; nothing is written.
    """
    program = make_program(source)
    longest = source.dt or TIME_STEP
    guid = guid_of(source, program.text)
    content = unit_bytes(source, program, guid, longest)
    checked = check(source, content, longest)
    files = write_files(path, f"{source.spec.name}.fmu", {"unit.fmu": content})
    return Exported(files[0], tuple(files), checked)


def unit_bytes(source: Source, program: Program, guid: str, longest: float) -> bytes:
    """The archive: description, sources, and a library for this machine.

    Raises:
        PctError: there is no C compiler, or it fails.
    """
    sources = {
        "model.c": program.text,
        "fmi2.c": (importlib.resources.files("pct.export.fmu") / "fmi2.c").read_text(encoding="utf-8"),
        "sizes.h": sizes_header(source, guid, longest),
    }
    place, ending = platform_of()
    library = f"{identifier_of(source)}{ending}"
    binary = _compiled(sources, library)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        parts = {
            "modelDescription.xml": description(source, guid, longest),
            f"binaries/{place}/{library}": binary,
            **{f"sources/{name}": text.encode() for name, text in sources.items()},
        }
        for name, part in parts.items():
            # Without a time: the same model makes the same file.
            archive.writestr(zipfile.ZipInfo(name), part, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def platform_of() -> tuple[str, str]:
    """FMI's name of this platform, and the ending of its libraries."""
    bits = "64" if sys.maxsize > 2**32 else "32"
    systems = {"Linux": ("linux", ".so"), "Darwin": ("darwin", ".dylib"), "Windows": ("win", ".dll")}
    system, ending = systems.get(platform.system(), ("linux", ".so"))
    return f"{system}{bits}", ending


def _compiled(sources: dict[str, str], library: str) -> bytes:
    command = find_compiler()
    if command is None:
        raise PctError(
            "export to fmu: expected a C compiler (CC, or cc, gcc, clang), found none: nothing was written"
        )
    try:
        with temporary_folder() as folder:
            for name, text in sources.items():
                (folder / name).write_text(text, encoding="utf-8")
            units = [str(folder / name) for name in SOURCES]
            run_compiler([*command, *FLAGS, "-o", str(folder / library), *units, "-lm"], folder)
            return (folder / library).read_bytes()
    except (OSError, NoCompiler) as error:
        raise PctError(
            f"export to fmu: the C compiler '{command[0]}' fails ({error}): nothing was written"
        ) from None


def check(source: Source, content: bytes, longest: float) -> str:
    """Validate and run a unit by FMPy; the result in a sentence.

    Raises:
        PctError: it is not valid, or its rates or steps differ from the model's.
    """
    from fmpy import extract, read_model_description
    from fmpy.validation import validate_fmu

    with temporary_folder() as folder:
        at = folder / "unit.fmu"
        at.write_bytes(content)
        if problems := validate_fmu(str(at)):
            raise PctError(f"export to fmu: FMPy finds {problems[0]}: nothing was written; please report it")
        described = read_model_description(str(at))
        unpacked = str(extract(str(at), unzipdir=str(folder / "unit")))
        inputs = _inputs(source)
        rates = _rates(described, unpacked, inputs)
        own = source.spec.dynamics_fn(np.concatenate([inputs.x, inputs.u], axis=1), source.values, np)
        apart = {"rates": _apart(own[:, : inputs.x.shape[1]], rates)}
        after, own_after = _steps(described, unpacked, source, inputs, longest)
        apart["steps"] = _apart(own_after, after)
    for what, largest in apart.items():
        if not largest <= EQUAL:
            raise PctError(
                f"export to fmu: expected the model's {what}, found {largest:.1e} apart by FMPy: nothing "
                f"was written; "
                "this is an error of PCT, please report it"
            )
    return (
        f"valid by FMPy {importlib.metadata.version('fmpy')}; rates equal at {POINTS} states (at most "
        f"{apart['rates']:.0e} apart), {STEPS} steps of {longest:g} s equal (at most {apart['steps']:.0e} "
        f"apart)"
    )


def _inputs(source: Source) -> Inputs:
    if not has_tyres(source):
        drawn = random_inputs(source, POINTS)
        return Inputs(0.1 * drawn.x, 0.1 * drawn.u, drawn.dt)
    rows, spec = usual_rows(source, POINTS), source.spec
    return Inputs(
        np.stack([rows.x[name] for name in spec.state_names], axis=-1),
        np.stack([rows.u[name] for name in spec.control_names], axis=-1),
        np.zeros(POINTS),
    )


def _apart(own: np.ndarray, found: np.ndarray) -> float:
    size = np.maximum(np.abs(own).max(axis=0), 1e-9)
    return float(np.where(np.isfinite(found), np.abs(own - found) / size, np.inf).max())


def _instance(kind: Any, described: Any, unpacked: str, identifier: str) -> Any:
    made = kind(
        guid=described.guid, unzipDirectory=unpacked, modelIdentifier=identifier, instanceName="check"
    )
    made.instantiate()
    made.setupExperiment(startTime=0.0)
    made.enterInitializationMode()
    made.exitInitializationMode()
    return made


def _rates(described: Any, unpacked: str, inputs: Inputs) -> np.ndarray:
    """Rates by the functions of model exchange, (N, S)."""
    from fmpy.fmi2 import FMU2Model

    made = _instance(FMU2Model, described, unpacked, described.modelExchange.modelIdentifier)
    states, controls = inputs.x.shape[1], inputs.u.shape[1]
    references = list(range(2 * states, 2 * states + controls))
    rates = np.full_like(inputs.x, np.nan)
    try:
        made.enterContinuousTimeMode()
        for x, u, row in zip(inputs.x, inputs.u, rates, strict=True):
            made.setContinuousStates(_pointer(np.ascontiguousarray(x)), states)
            made.setReal(references, u.tolist())
            made.getDerivatives(_pointer(row), states)
        made.terminate()
    finally:
        made.freeInstance()
    return rates


def _steps(
    described: Any, unpacked: str, source: Source, inputs: Inputs, dt: float
) -> tuple[np.ndarray, np.ndarray]:
    """States after each step of co-simulation, and those of the model's own step, (T, S) each."""
    from fmpy.fmi2 import FMU2Slave

    made = _instance(FMU2Slave, described, unpacked, described.coSimulation.modelIdentifier)
    states, controls = inputs.x.shape[1], inputs.u.shape[1]
    tableau, substeps = TABLEAUS[source.integrator_name], source.substeps
    x, found, own = inputs.x[0], [], []
    try:
        made.setReal(list(range(states)), x.tolist())
        for k in range(STEPS):
            u = 0.2 * inputs.u[k % len(inputs.u)]
            made.setReal(list(range(2 * states, 2 * states + controls)), u.tolist())
            made.doStep(currentCommunicationPoint=k * dt, communicationStepSize=dt)
            found.append(made.getReal(list(range(states))))

            def rate(state: np.ndarray, u: np.ndarray = u) -> np.ndarray:
                return source.spec.dynamics_fn(np.concatenate([state, u]), source.values, np)[:states]

            for _ in range(substeps):
                x = explicit_step(tableau, rate, x, dt / substeps)
            own.append(x)
        made.terminate()
    finally:
        made.freeInstance()
    return np.array(found), np.array(own)


def _pointer(row: np.ndarray) -> Any:
    import ctypes

    return row.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
