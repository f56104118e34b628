"""``modelDescription.xml`` of a unit, and the header that its C file reads sizes and values from."""

from __future__ import annotations

import re
import uuid
import xml.etree.ElementTree as ET

import numpy as np

import pct
from pct.export.c.expressions import number
from pct.export.c.program import prefix_of
from pct.export.parameters import status_of
from pct.export.source import Source
from pct.export.source_text import describe

SOURCES = ("model.c", "fmi2.c")


def identifier_of(source: Source) -> str:
    """Name of the unit's library."""
    return prefix_of(source.spec.name)


def guid_of(source: Source, program: str) -> str:
    """Says that a library belongs to a description: the same for the same model."""
    return "{" + str(uuid.uuid5(uuid.NAMESPACE_URL, f"pct/{source.spec.name}/{program}")) + "}"


def scalar_parameters(source: Source) -> list[tuple[str, float, str, str]]:
    """Name, value, unit and description of every number, arrays row by row."""
    rows = []
    for row in source.spec.parameters:
        value = np.asarray(source.values[row.name], float)
        status = status_of(source, (row.name,))
        error = source.deviations.get(row.name)
        told = f"{row.doc}; {status}" + ("" if error is None or value.ndim else f", +- {error:.2g}")
        for place, one in zip(np.ndindex(value.shape), value.ravel(), strict=True):
            index = "".join(f"[{i + 1}]" for i in place)
            rows.append((f"{row.name}{index}", float(one), row.unit, told))
    return rows


def sizes_header(source: Source, guid: str, longest: float) -> str:
    """What `fmi2.c` includes."""
    prefix, states, controls = identifier_of(source), len(source.spec.states), len(source.spec.controls)
    values = [number(value) for _, value, _, _ in scalar_parameters(source)]
    S, C = f"[{states}]", f"[{controls}]"
    given = f"const double x{S}, const double u{C}"
    return "\n".join(
        [
            f"#define STATES {states}",
            f"#define CONTROLS {controls}",
            f"#define PARAMETERS {len(values)}",
            f"#define PARAMETER_VALUES {{{', '.join(values) or '0.0'}}}",
            f"#define LONGEST_STEP {number(longest)}",
            f'#define GUID "{guid}"',
            f"#define MODEL(name) {prefix}_##name",
            f"void {prefix}_derivative({given}, double dxdt{S});",
            f"void {prefix}_jacobian({given}, double dfdx[{states**2}], double dfdu[{states * controls}]);",
            f"void {prefix}_step({given}, double dt, double x_next{S});",
            "",
        ]
    )


def description(source: Source, guid: str, longest: float) -> bytes:
    """The XML: states are outputs, controls inputs, parameters constants.

    Args:
        source: the model.
        guid: of `guid_of`.
        longest: step in s.
    """
    spec, identifier = source.spec, identifier_of(source)
    states, controls = len(spec.states), len(spec.controls)
    told = _clean(" ".join(describe(source, "fmu")))
    root = ET.Element(
        "fmiModelDescription",
        fmiVersion="2.0", modelName=spec.name, guid=guid, description=told,
        generationTool=f"PCT {pct.__version__}", variableNamingConvention="flat",
        numberOfEventIndicators="0",
    )  # fmt: skip
    able = {
        "modelIdentifier": identifier, "canGetAndSetFMUstate": "true", "canSerializeFMUstate": "true",
        "providesDirectionalDerivative": "true",
    }  # fmt: skip
    any_step = {"canHandleVariableCommunicationStepSize": "true"}
    for kind, more in (("ModelExchange", {}), ("CoSimulation", any_step)):
        files = ET.SubElement(ET.SubElement(root, kind, {**able, **more}), "SourceFiles")
        for name in SOURCES:
            ET.SubElement(files, "File", name=name)
    parameters = scalar_parameters(source)
    units = dict.fromkeys(
        [*(c.unit for c in (*spec.states, *spec.controls)), *(row[2] for row in parameters)]
    )
    defined = ET.SubElement(root, "UnitDefinitions")
    for unit in (*units, *(f"({channel.unit})/s" for channel in spec.states)):
        if unit not in [have.get("name") for have in defined]:
            ET.SubElement(defined, "Unit", name=_clean(unit))
    ET.SubElement(root, "DefaultExperiment", startTime="0", stopTime="1", stepSize=repr(longest))
    variables = ET.SubElement(root, "ModelVariables")

    def variable(reference: int, name: str, unit: str, told: str, real: dict[str, str], **kind: str) -> None:
        row = ET.SubElement(
            variables,
            "ScalarVariable",
            {"name": name, "valueReference": str(reference), "description": _clean(told), **kind},
        )
        ET.SubElement(row, "Real", {"unit": _clean(unit), **real})

    for i, channel in enumerate(spec.states):
        variable(
            i, channel.name, channel.unit, f"state {channel.name}", {"start": "0"},
            causality="output", variability="continuous", initial="exact",
        )  # fmt: skip
    for i, channel in enumerate(spec.states):
        variable(
            states + i, f"der({channel.name})", f"({channel.unit})/s", f"rate of {channel.name}",
            {"derivative": str(i + 1)}, causality="local", variability="continuous", initial="calculated",
        )  # fmt: skip
    for i, channel in enumerate(spec.controls):
        variable(
            2 * states + i, channel.name, channel.unit, f"control {channel.name}", {"start": "0"},
            causality="input", variability="continuous",
        )  # fmt: skip
    for i, (name, value, unit, told) in enumerate(parameters):
        variable(
            2 * states + controls + i, name, unit, told, {"start": repr(value)},
            causality="local", variability="constant", initial="exact",
        )  # fmt: skip
    structure = ET.SubElement(root, "ModelStructure")
    depends = " ".join(str(i + 1) for i in (*range(states), *range(2 * states, 2 * states + controls)))
    outputs = ET.SubElement(structure, "Outputs")
    for i in range(states):
        ET.SubElement(outputs, "Unknown", index=str(i + 1), dependencies=str(i + 1))
    for kind in ("Derivatives", "InitialUnknowns"):
        part = ET.SubElement(structure, kind)
        for i in range(states):
            ET.SubElement(part, "Unknown", index=str(states + i + 1), dependencies=depends)
    ET.indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="utf-8") + b"\n"


def _clean(text: str) -> str:
    """Text without what XML cannot hold."""
    return re.sub(r"[^\x20-\x7e\u00a0-\ud7ff]", " ", text)
