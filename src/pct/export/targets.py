"""Every export target by name: where it lives, what it writes, and what it needs installed.

Nothing is imported here but by `target_of`: the list is read by the program's help.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pct.errors import UsageError


class Listed(NamedTuple):
    """A target as the list has it.

    Attributes:
        module: that has its ``export``.
        doc: what is written, in one line.
        file: name of the file, or of the folder where there are several.
        extra: packages of an extra of the same name that it needs, by the name that is imported.
    """

    module: str
    doc: str
    file: str
    extra: tuple[str, ...] = ()


TARGETS: dict[str, Listed] = {
    "c": Listed(
        "pct.export.c", "one C99 file of a model: rates, a step, and the Jacobians of both", "model.c"
    ),
    "cpp": Listed("pct.export.cpp", "the same as a C++ header without dependencies", "model.hpp"),
    "f1tenth-gym": Listed("pct.export.f1tenth_gym", "params dict of the f1tenth gym", "f1tenth_gym"),
    "f1tenth-gym-jax": Listed(
        "pct.export.f1tenth_gym_jax", "Param of the f1tenth gym in JAX", "f1tenth_gym_jax_params.py"
    ),
    "commonroad": Listed(
        "pct.export.commonroad",
        "vehicle parameters of CommonRoad: ST and STD",
        "parameters_vehicle.yaml",
        ("vehiclemodels",),
    ),
    "forzaeth": Listed(
        "pct.export.forzaeth", "tyre, car and steering look-up table of ForzaETH's race stack", "forzaeth"
    ),
    "mpcc": Listed("pct.export.mpcc", "model.json of alexliniger/MPCC", "mpcc"),
    "tum": Listed("pct.export.tum", "Open-Car-Dynamics JSON; ggv.csv and ax_max_machines.csv", "tum"),
    "casadi": Listed(
        "pct.export.casadi_functions", "casadi Functions: rates, step, Jacobians", "casadi", ("casadi",)
    ),
    "fmu": Listed(
        "pct.export.fmu", "FMI 2.0 model exchange and co-simulation, with source", "model.fmu", ("fmpy",)
    ),
    "onnx": Listed(
        "pct.export.onnx_file", "rollout, with the whole network, in ONNX", "onnx", ("onnx", "onnxruntime")
    ),
    "stablehlo": Listed(
        "pct.export.stablehlo", "rollout, with the whole network, by jax.export", "stablehlo"
    ),
    "ros2": Listed("pct.export.ros2", "ROS 2 parameter YAML: vehicle, tyres, steering", "vehicle.param.yaml"),
    "autoware": Listed(
        "pct.export.autoware", "parameter YAML of Autoware: vehicle, controller, simulator", "autoware"
    ),
}
"""Name of each target; each but ``c`` has ``export(source, path, *, refit) -> Exported``."""


@dataclasses.dataclass(frozen=True)
class Exported:
    """What a target wrote.

    Attributes:
        path: the file, or the folder where there are several.
        files: all files.
        checked: how it was compared with its reader, in a sentence.
        notes: what a user must know: where the reader differs, what was refitted, what is nominal.
    """

    path: Path
    files: tuple[Path, ...]
    checked: str
    notes: tuple[str, ...] = ()


def target_of(name: str) -> Callable[..., Exported]:
    """The ``export`` of a target, its packages checked.

    Raises:
        UsageError: an unknown target, or a package that it needs is not installed.
    """
    from pct.dynamics import unknown_name

    if name not in TARGETS:
        raise unknown_name("export target", name, TARGETS)
    listed = TARGETS[name]
    for package in listed.extra:
        if importlib.util.find_spec(package) is None:
            install = f'pip install "pct-vehicle[{name}]"'
            raise UsageError(f"export to {name} needs the package {package}: {install}")
    export: Callable[..., Exported] = importlib.import_module(listed.module).export
    return export
