"""`onnx`: a rollout, with the whole network where there is one, as an ONNX graph.

The equations are the nodes of their graph, one operator each; the horizon is one ``Scan``. The batch axis is
free. Single precision throughout: runtimes have few operators in double.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pct.errors import PctError, UsageError
from pct.export.onnx_graph import Builder, add_network, add_rates
from pct.export.parameters import write_files
from pct.export.rollouts import (
    EQUAL,
    Rollout,
    about,
    expected_outputs,
    largest_difference,
    make_rollout,
    output_sizes,
)
from pct.export.source import Source
from pct.export.targets import Exported
from pct.export.texts import json_text
from pct.rollout.integration import TABLEAUS
from pct.rollout.native.graph import NotSupported
from pct.rollout.native.trace import trace

OPSET = 17
# Its checker does not know newer ones.
IR_VERSION = 8


def export(
    source: Source, path: str | Path | None = None, *, refit: bool = False, horizon: int | None = None
) -> Exported:
    """Write the graph and a JSON that names its inputs and outputs into a folder.

    Args:
        source: the model, its values, and its network where it has one.
        path: the folder; ``<model>_onnx`` here when left out.
        refit: unused: the format can say every model.
        horizon: steps; the run's own, or 20, when left out.

    Raises:
        UsageError: the equations use something that no graph can be made of.
        DataError: the files cannot be written.
        PctError: what the runtime computes differs from JAX; nothing is written.
    """
    import jax
    import onnx
    import onnxruntime

    with jax.enable_x64(False):
        rollout = make_rollout(source, horizon)
        content = make_model(source, rollout).SerializeToString()
        onnx.checker.check_model(content, full_check=True)
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        samples = rollout.samples(source)
        expected = expected_outputs(source, rollout, samples)
    largest = max(
        largest_difference(
            tuple(part[:count] for part in expected),
            tuple(session.run(None, {k: v[:count] for k, v in zip(rollout.shapes, samples, strict=True)})),
            output_sizes(rollout),
        )
        for count in (len(samples[0]), 3)
    )
    if not largest <= EQUAL:
        raise PctError(
            f"export to onnx: expected what the model computes, found {largest:.1e} apart by onnxruntime: "
            f"nothing "
            "was written; this is an error of PCT, please report it"
        )
    checked = (
        f"run by onnxruntime {importlib.metadata.version('onnxruntime')} and equal to the model in double "
        f"precision, at most {largest:.1e} of a channel's largest apart"
    )
    name = source.spec.name
    files = write_files(
        path,
        f"{name}_onnx",
        {f"{name}.onnx": content, f"{name}.json": json_text(about(source, rollout, "onnx", checked))},
    )
    return Exported(files[0].parent, tuple(files), checked)


def make_model(source: Source, rollout: Rollout) -> Any:
    """The ONNX model of a rollout.

    Raises:
        UsageError: the equations use something that no graph can be made of.
    """
    from onnx import TensorProto, helper

    graph = Builder()
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
        for name, shape in rollout.shapes.items()
    ]
    outputs = []
    if rollout.trained is not None:
        values = add_network(graph, rollout.trained, "features")
        graph.rename(values, "parameters")
        outputs.append(
            helper.make_tensor_value_info("parameters", TensorProto.FLOAT, ["batch", len(rollout.learned)])
        )
    _add_rollout(graph, source, rollout)
    shape: list[str | int | None] = ["batch", rollout.horizon, len(source.spec.states)]
    outputs.append(helper.make_tensor_value_info("states", TensorProto.FLOAT, shape))
    made = helper.make_graph(graph.nodes, source.spec.name, inputs, outputs, initializer=graph.initializers)
    opset = helper.make_opsetid("", OPSET)
    return helper.make_model(made, opset_imports=[opset], producer_name="pct", ir_version=IR_VERSION)


def _add_rollout(graph: Builder, source: Source, rollout: Rollout) -> None:
    """A Scan over the steps: states (B, S) carried, controls (B, T, C) read, states (B, T, S) collected."""
    from onnx import TensorProto, helper

    try:
        equations = trace(source.spec)
    except NotSupported as error:
        raise UsageError(f"Model '{source.spec.name}': no ONNX can be made of {error}") from None
    body, size = Builder("s_"), len(source.spec.states)
    params = _parameters(graph, source, rollout, equations.names)
    h = rollout.dt / source.substeps
    columns = body.columns("control", len(source.spec.controls))
    state = body.columns("state", size)
    tableau = TABLEAUS[source.integrator_name]
    for _ in range(source.substeps):
        rates = [add_rates(body, equations, state, columns, params)]
        for row in tableau.stages:
            rates.append(add_rates(body, equations, _moved(body, state, rates, row, h), columns, params))
        state = _moved(body, state, rates, tableau.weights, h)
    # A rate that is a constant is one number for all windows; its sum with the state is not.
    body.add("Concat", state, "after", axis=-1)
    body.add("Identity", ["after"], "collected")

    def info(name: str, width: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])

    step = helper.make_graph(
        body.nodes,
        "step",
        [info("state", size), info("control", len(source.spec.controls))],
        [info("after", size), info("collected", size)],
        initializer=body.initializers,
    )
    graph.add(
        "Scan",
        ["x0", "u"],
        ["last", "states"],
        body=step,
        num_scan_inputs=1,
        scan_input_axes=[1],
        scan_output_axes=[1],
    )


def _moved(
    body: Builder, state: Sequence[str], rates: Sequence[Sequence[str]], weights: Sequence[float], h: float
) -> list[str]:
    """The state moved along weighted rates."""
    moved = list(state)
    for stage, weight in zip(rates, weights, strict=True):
        if weight:
            factor = body.constant(weight * h)
            moved = [
                body.add("Add", [x, body.add("Mul", [k, factor])]) for x, k in zip(moved, stage, strict=True)
            ]
    return moved


def _parameters(
    graph: Builder, source: Source, rollout: Rollout, names: Sequence[tuple[str, int]]
) -> list[str | float]:
    """Each entry of the parameters: a number, or the name of a column (B, 1) that the network predicts."""
    flat: dict[tuple[str, int], str | float] = {
        (name, i): float(value)
        for name, array in source.values.items()
        for i, value in enumerate(np.ravel(np.asarray(array, float)))
    }
    if rollout.trained is not None:
        predicted = graph.columns("parameters", len(rollout.learned))
        entries = [
            (name, i)
            for name, shape in rollout.trained.spec.full_shapes.items()
            for i in range(int(np.prod(shape)))
        ]
        flat |= {entry: column for entry, column in zip(entries, predicted, strict=True) if entry in flat}
    return [flat[entry] for entry in names]
