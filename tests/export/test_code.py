"""Code targets: what is written is read back by its real reader and computes what the model does."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, Channel, ModelSpec, define_model
from pct.dynamics.bounds import Bounds
from pct.errors import PctError, UsageError
from pct.export import check as checks
from pct.export import cpp, onnx_file, rollouts, targets
from pct.export.c.trial import find_compiler
from pct.export.fmu import unit
from pct.export.onnx_graph import Builder, add_network
from pct.export.source import Source, from_model, from_network
from pct.export.targets import TARGETS, target_of
from pct.optimization.network.mlp import Ensemble, ParameterMLP, network_settings
from pct.optimization.network.model import TrainedModel

SETTINGS: dict[str, Any] = {
    "horizon": 6,
    "history": 4,
    "stride": 1,
    "feature_mode": "context",
    "history_fit": False,
    "feature_names": [f"f{i}" for i in range(11)],
}


@pytest.fixture(autouse=True)
def as_users_have_it() -> Iterator[None]:
    with jax.enable_x64(False):
        yield


def source_of(model: str, **changes: Any) -> Source:
    return dataclasses.replace(from_model(model), dt=0.02, **changes)


def trained(spec: ModelSpec, kind: str) -> TrainedModel:
    """A network with random weights, far from its defaults."""
    bounds = Bounds.of(spec)
    more: dict[str, Any] = {"rows": 3, "channels": 3} if kind == "gru" else {}
    settings = network_settings(spec)
    if kind == "gru":
        settings["global_mask"] = np.arange(bounds.low.size) % 2 == 0
    network: Any = ParameterMLP(
        (5,),
        bounds.low,
        bounds.high,
        feature_mean=np.linspace(-1.0, 1.0, 11),
        feature_std=np.linspace(0.5, 2.0, 11),
        **settings,
        **more,
    )
    if kind == "ensemble":
        network = Ensemble(network, 3)
    params = network.init(jax.random.PRNGKey(0), np.zeros((1, 11), np.float32))
    rng = np.random.default_rng(1)
    shaken = jax.tree.map(lambda w: np.float32(w + 0.5 * rng.standard_normal(w.shape)), params)
    return TrainedModel(
        spec=spec,
        network=network,
        params=shaken,
        dt=0.02,
        integrator_name="heun",
        substeps=2,
        settings=SETTINGS,
    )


def network_source(kind: str, model: str = "unicycle") -> Source:
    net = trained(MODEL_SPECS[model], kind)
    means = {name: net.spec.default_params[name] for name in net.spec.param_keys}
    return from_network(net, means, "a network")


# C++.


@pytest.mark.skipif(find_compiler("CXX", cpp.COMPILERS) is None, reason="no C++ compiler on this machine")
def test_the_header_compiles_without_a_word_and_computes_the_model(tmp_path: Path) -> None:
    source = source_of("unicycle", integrator_name="heun", substeps=3)
    exported = target_of("cpp")(source, tmp_path / "car.hpp")
    assert "compiled by" in exported.checked
    (tmp_path / "main.cpp").write_text(
        '#include "car.hpp"\n#include <cstdio>\nint main() {\n'
        "  pct_unicycle::State x{1.0, 2.0, 0.3, 4.0};\n  pct_unicycle::Control u{};\n"
        "  u[0] = 0.2; u[1] = 0.5;\n"
        '  for (double v : pct_unicycle::step(x, u, 0.1)) std::printf("%.17g ", v);\n}\n'
    )
    command = ["c++", "-std=c++14", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "main.cpp", "-o", "main"]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=120)
    printed = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True).stdout
    with jax.enable_x64(True):
        inputs = checks.Inputs(np.array([[1.0, 2.0, 0.3, 4.0]]), np.array([[0.2, 0.5]]), np.array([0.1]))
        expected, _ = checks.reference(source, inputs)
    np.testing.assert_allclose([float(v) for v in printed.split()], expected.step[0], rtol=1e-14)


def test_without_a_compiler_the_header_is_said_to_be_untried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "none")
    exported = target_of("cpp")(source_of("unicycle"), tmp_path / "car.hpp")
    assert "never compiled" in exported.checked
    assert exported.path.is_file()


@pytest.mark.parametrize(("variable", "target"), [("CC", "c"), ("CXX", "cpp")])
def test_a_compiler_that_cannot_be_read_is_named(
    variable: str, target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, '"cc')
    with pytest.raises(UsageError, match=f'{variable}="cc: No closing quotation'):
        target_of(target)(source_of("unicycle"), tmp_path / "car")


def test_a_channel_that_is_a_word_of_cpp_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = define_model(
        "worded",
        states=(Channel("template", "t", "m"), Channel("y", "y", "m"), Channel("psi", "p", "rad")),
        controls=(Channel("u", "u", "1"),),
        parameters=(),
        derivative=lambda x, u, p, xp: x,
        pose=("template", "y", "psi"),
    )
    monkeypatch.setitem(MODEL_SPECS, "worded", spec)
    with pytest.raises(UsageError, match="no channel called template"):
        target_of("cpp")(from_model("worded"), tmp_path / "car.hpp")


# casadi.


def test_casadi_reads_what_was_saved(tmp_path: Path) -> None:
    import casadi

    source = source_of("kinematic-singletrack")
    folder = target_of("casadi")(source, tmp_path / "car").path
    assert {file.name for file in folder.iterdir()} == {
        "rates.casadi", "step.casadi", "rates_jacobian.casadi", "step_jacobian.casadi", "model.json",
    }  # fmt: skip
    rates, slopes = (
        casadi.Function.load(str(folder / f"{name}.casadi")) for name in ("rates", "rates_jacobian")
    )
    x0, u0 = np.array([1.0, 2.0, 0.2, 3.0, 0.5]), np.array([0.1, 0.5])
    by_x, _ = slopes(x0, u0)
    move = np.array([0.3, -0.2, 0.1, 0.4, 0.2])
    along = (rates(x0 + 1e-6 * move, u0) - rates(x0 - 1e-6 * move, u0)) / 2e-6
    np.testing.assert_allclose((by_x @ move).full(), along.full(), rtol=1e-7, atol=1e-8)
    about = json.loads((folder / "model.json").read_text())
    assert about["states"] == list(source.spec.state_names)
    assert about["parameters"]["lf"]["value"] == 0.15875


@pytest.mark.slow
def test_do_mpc_simulates_the_saved_rates(tmp_path: Path) -> None:
    import casadi

    with warnings.catch_warnings():
        # Of its docstrings, when Python compiles them first.
        warnings.simplefilter("ignore")
        import do_mpc
    folder = target_of("casadi")(source_of("kinematic-singletrack"), tmp_path / "car").path
    rates, step = (casadi.Function.load(str(folder / f"{name}.casadi")) for name in ("rates", "step"))
    x0, u0 = np.array([1.0, 2.0, 0.2, 3.0, 0.5]), np.array([0.1, 0.5])
    model = do_mpc.model.Model("continuous", "SX")
    x, u = model.set_variable("_x", "x", (5, 1)), model.set_variable("_u", "u", (2, 1))
    model.set_rhs("x", rates(x, u))
    model.setup()
    simulator = do_mpc.simulator.Simulator(model)
    simulator.set_param(integration_tool="idas", abstol=1e-11, reltol=1e-11, t_step=0.02)
    simulator.setup()
    simulator.x0 = x0.reshape(-1, 1)
    theirs = simulator.make_step(u0.reshape(-1, 1)).ravel()
    # Another method, so as near as a step of order 4 is.
    np.testing.assert_allclose(theirs, step(x0, u0, 0.02).full().ravel(), rtol=1e-7)


def test_casadi_functions_that_differ_are_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "TOLERANCE", -1.0)
    with pytest.raises(PctError, match="nothing was written"):
        target_of("casadi")(source_of("unicycle"), tmp_path / "car")
    assert not list(tmp_path.iterdir())


# FMI.


def test_fmpy_simulates_the_unit(tmp_path: Path) -> None:
    import fmpy

    source = source_of("singletrack", substeps=2)
    file = target_of("fmu")(source, tmp_path / "car.fmu").path
    described = fmpy.read_model_description(str(file))
    assert {v.name for v in described.modelVariables if v.causality == "input"} == {"delta_dot", "accel"}
    mu = next(v for v in described.modelVariables if v.name == "mu")
    assert (mu.variability, float(mu.start)) == ("constant", 1.0489)
    start = {"v": 4.0, "psi_dot": 0.5, "delta": 0.1}
    x = np.array([start.get(name, 0.0) for name in source.spec.state_names])
    for _ in range(25):
        x = own_step(source, x, np.array([0.05, -0.4]), 0.02)
    for kind, tolerance in (("CoSimulation", 1e-11), ("ModelExchange", 1e-3)):
        run = fmpy.simulate_fmu(
            str(file), fmi_type=kind, stop_time=0.5, step_size=0.02, output_interval=0.02,
            relative_tolerance=1e-7, start_values={**start, "delta_dot": 0.05, "accel": -0.4},
        )  # fmt: skip
        np.testing.assert_allclose(
            [run[name][-1] for name in source.spec.state_names], x, rtol=tolerance, atol=tolerance
        )


def own_step(source: Source, x: np.ndarray, u: np.ndarray, dt: float) -> np.ndarray:
    from pct.rollout.integration import RK4, explicit_step

    def rate(state: np.ndarray) -> np.ndarray:
        return source.spec.dynamics_fn(np.concatenate([state, u]), source.values, np)[: len(x)]

    for _ in range(source.substeps):
        x = explicit_step(RK4, rate, x, dt / source.substeps)
    return x


def test_the_unit_holds_its_source_and_is_the_same_each_time(tmp_path: Path) -> None:
    import zipfile

    source = source_of("unicycle")
    first, second = (target_of("fmu")(source, tmp_path / name).path for name in ("a.fmu", "b.fmu"))
    with zipfile.ZipFile(first) as archive:
        assert {"sources/model.c", "sources/fmi2.c", "sources/sizes.h"} <= set(archive.namelist())
        command = [
            *(unit.find_compiler() or ["cc"]),
            *unit.FLAGS,
            "-Wall",
            "-Wextra",
            "-Werror",
            "-o",
            "a.so",
        ]
        archive.extractall(tmp_path / "unpacked")
    units = ["model.c", "fmi2.c", "-lm"]
    subprocess.run([*command, *units], cwd=tmp_path / "unpacked" / "sources", check=True, timeout=120)
    assert first.read_bytes() == second.read_bytes()


def test_a_unit_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "EQUAL", -1.0)
    with pytest.raises(PctError, match=r"expected the model's rates, found .* by FMPy: nothing was written"):
        target_of("fmu")(source_of("unicycle"), tmp_path / "car.fmu")
    monkeypatch.setattr(unit, "find_compiler", lambda: None)
    with pytest.raises(PctError, match="expected a C compiler"):
        target_of("fmu")(source_of("unicycle"), tmp_path / "car.fmu")
    assert not list(tmp_path.iterdir())


# Graphs.


@pytest.mark.parametrize("kind", ["gru", "ensemble"])
def test_onnx_computes_what_the_network_predicts(kind: str) -> None:
    import onnxruntime
    from onnx import TensorProto, helper

    net = trained(MODEL_SPECS["unicycle"], kind)
    graph = Builder()
    graph.rename(add_network(graph, net, "features"), "parameters")
    shapes = (("features", 11), ("parameters", net.spec.vector_size))
    given, made = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", size]) for n, size in shapes)
    whole = helper.make_graph(graph.nodes, "network", [given], [made], initializer=graph.initializers)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", onnx_file.OPSET)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    features = np.random.default_rng(2).standard_normal((7, 11)).astype(np.float32)
    (found,) = session.run(None, {"features": features})
    np.testing.assert_allclose(found, net.network.apply(net.params, features), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("target", ["onnx", "stablehlo"])
def test_the_whole_network_and_its_rollout_are_written(target: str, tmp_path: Path) -> None:
    source = network_source("plain")
    exported = target_of(target)(source, tmp_path / "car")
    about = json.loads((exported.path / "unicycle.json").read_text())
    assert about["inputs"] == {"features": ["batch", 11], "x0": ["batch", 4], "u": ["batch", 6, 2]}
    assert about["predicted"] == list(source.spec.param_keys)
    assert about["features"] == SETTINGS["feature_names"]
    assert (about["dt"], about["horizon"]) == (0.02, 6)
    rollout = rollouts.make_rollout(source)
    samples = rollout.samples(source, seed=4)
    expected = rollouts.expected_outputs(source, rollout, samples)
    if target == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(exported.path / "unicycle.onnx")
        found = session.run(None, dict(zip(rollout.shapes, samples, strict=True)))
    else:
        read = jax.export.deserialize(bytearray((exported.path / "unicycle.stablehlo").read_bytes()))
        found = read.call(*samples)
    assert rollouts.largest_difference(expected, tuple(found), rollouts.output_sizes(rollout)) < 1e-5
    # The network moves the rollout: its parameters are not those of the mean.
    assert np.abs(expected[0] - np.array(list(source.values.values()))[: expected[0].shape[1]]).max() > 0.01


def test_a_parameter_near_zero_rounds_as_its_bounds_do() -> None:
    """A shift of .0004 rad between -.05 and .05: two programs are some rounding errors of .05 apart."""
    largest, _ = sizes = rollouts.output_sizes(rollouts.make_rollout(network_source("plain")))
    near = np.full((3, len(largest)), 1e-4)
    found = near + 2e-7 * largest
    assert rollouts.largest_difference((near,), (found,), sizes[:1]) < rollouts.EQUAL
    assert rollouts.largest_difference((near,), (near + 1e-4 * largest,), sizes[:1]) > rollouts.EQUAL


@pytest.mark.parametrize("target", ["onnx", pytest.param("stablehlo", marks=pytest.mark.slow)])
def test_a_horizon_may_be_given_and_a_wrong_graph_is_not_written(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = target_of(target)(source_of("unicycle"), tmp_path / "car", horizon=3)
    assert json.loads((exported.path / "unicycle.json").read_text())["inputs"]["u"] == ["batch", 3, 2]
    shutil.rmtree(exported.path)
    module = __import__(TARGETS[target].module, fromlist=["EQUAL"])
    monkeypatch.setattr(module, "EQUAL", -1.0)
    with pytest.raises(PctError, match="nothing was written"):
        target_of(target)(source_of("unicycle"), tmp_path / "car", horizon=3)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("model", ["singletrack", "mlp-dynamics"])
def test_onnx_of_every_kind_of_equations(model: str, tmp_path: Path) -> None:
    exported = target_of("onnx")(source_of(model), tmp_path / "car")
    assert "equal to the model" in exported.checked


def test_the_angle_of_a_point() -> None:
    """ONNX has no operator for it: ours is right in all four quadrants and on the axes."""
    import onnxruntime
    from onnx import TensorProto, helper

    from pct.export.onnx_graph import _arctan2

    graph = Builder()
    graph.rename(_arctan2(graph, "y", "x"), "angle")
    y, x, angle = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"]) for name in ("y", "x", "angle")
    )
    made = helper.make_graph(graph.nodes, "angle", [y, x], [angle], initializer=graph.initializers)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    ys, xs = (np.array(v, np.float32) for v in ([1, 1, -1, -1, 0, 1, -1, 0], [1, -1, 1, -1, 1, 0, 0, -1]))
    (found,) = session.run(None, {"y": ys, "x": xs})
    np.testing.assert_allclose(found, np.arctan2(ys, xs), rtol=1e-6, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["cpp", "casadi", "fmu", "onnx", "stablehlo"])
@pytest.mark.parametrize("model", list(MODEL_SPECS))
def test_every_model_by_every_target(target: str, model: str, tmp_path: Path) -> None:
    assert target_of(target)(source_of(model, substeps=2), tmp_path / "car").path.exists()


# What is missing.


@pytest.mark.parametrize(("target", "package"), [("casadi", "casadi"), ("fmu", "fmpy"), ("onnx", "onnx")])
def test_a_package_that_is_missing_is_a_line_with_its_command(
    target: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = targets.importlib.util.find_spec
    monkeypatch.setattr(
        targets.importlib.util, "find_spec", lambda name: None if name == package else find(name)
    )
    with pytest.raises(
        UsageError, match=rf'needs the package {package}: pip install "pct-vehicle\[{target}\]"'
    ):
        target_of(target)


def test_extras_are_those_of_the_list() -> None:
    import tomllib

    extras = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert {name for name, listed in TARGETS.items() if listed.extra} <= set(extras["optional-dependencies"])
