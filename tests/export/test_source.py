"""What of a run is exported: its vehicle model, its values, and nothing of what stands before its log."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from pct.dynamics import MODEL_SPECS, ModelSpec, with_fixed
from pct.dynamics.bounds import Bounds
from pct.dynamics.mlp_dynamics import mlp_default_params, mlp_param_bounds, mlp_param_shapes
from pct.dynamics.vehicles import with_vehicle
from pct.errors import DataError, UsageError
from pct.export.c.program import make_program
from pct.export.source import PREDICTED, from_model, from_run
from pct.measurement import Measurement, with_measurement
from pct.optimization.constants.model import FittedModel
from pct.optimization.network.mlp import ParameterMLP
from pct.optimization.network.model import TrainedModel
from pct.optimization.parameter_files import describe_parameters
from pct.runs.directory import write_json
from pct.runs.model_files import NETWORK, save_fit, save_network

SETTINGS = {
    "horizon": 4,
    "history": 4,
    "stride": 1,
    "feature_mode": "context",
    "history_fit": False,
    "feature_names": ["a", "b"],
}


def measured() -> ModelSpec:
    spec = with_vehicle(MODEL_SPECS["singletrack-pacejka"], "av-21")
    options = Measurement(lag=("psi_dot",), steering=True, pedals=True, observer=True)
    return with_fixed(with_measurement(spec, options), {"I": 900.0})


@pytest.fixture
def fit(tmp_path: Path) -> Path:
    spec = measured()
    params = {name: np.asarray(spec.default_params[name]) * 1.01 for name in spec.param_keys}
    fitted = FittedModel(
        spec=spec,
        params=params,
        deviations=params,
        dt=0.04,
        integrator_name="heun",
        substeps=2,
        settings=SETTINGS,
        remaining_error={},
    )
    save_fit(tmp_path, fitted)
    return tmp_path


def write_network(run: Path, spec: ModelSpec) -> None:
    bounds = Bounds.of(spec)
    network = ParameterMLP((4,), bounds.low, bounds.high, feature_mean=np.zeros(2), feature_std=np.ones(2))
    trained = TrainedModel(
        spec=spec,
        network=network,
        params=None,
        dt=0.05,
        integrator_name="rk4",
        substeps=2,
        settings=SETTINGS,
    )
    save_network(run, trained)
    means = {name: np.asarray(spec.default_params[name]) + 0.01 for name in spec.param_keys}
    summary = {name: {"mean": mean, "std": 0.0 * mean} for name, mean in means.items()}
    write_json(run / PREDICTED, describe_parameters(spec, summary))


def test_a_fit_gives_its_vehicle_and_says_what_is_left_out(fit: Path) -> None:
    source = from_run(fit)
    own = MODEL_SPECS["singletrack-pacejka"]
    assert source.spec.control_names == own.control_names
    assert set(source.values) == {row.name for row in own.parameters}
    assert source.values["D_f"] == pytest.approx(1.01 * measured().default_params["D_f"])
    assert source.values["I"] == 900.0
    assert (source.origins["D_f"], source.origins["I"]) == ("learned", "held")
    assert (source.integrator_name, source.substeps, source.dt) == ("heun", 2, 0.04)
    assert not source.is_mean
    head = make_program(source).text.partition("*/")[0]
    for told in ("tau_psi_dot = 0.101 s", "steering_ratio", "throttle and brake", "dt = 0.04 s", "`pct fit`"):
        assert told in head


def test_a_network_gives_its_mean(tmp_path: Path) -> None:
    spec = MODEL_SPECS["mlp-dynamics"]
    wide = dataclasses.replace(
        spec,
        param_shapes=mlp_param_shapes(3),
        param_bounds=mlp_param_bounds(3),
        default_params=mlp_default_params(3),
    )
    write_network(tmp_path, wide)
    source = from_run(tmp_path)
    assert source.is_mean
    assert source.values["W1"].shape == (3, 6)
    np.testing.assert_allclose(source.values["W2"], mlp_default_params(3)["W2"] + 0.01)
    assert "mean of the network's predictions" in make_program(source).text


def test_what_cannot_be_exported_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found a folder without"):
        from_run(tmp_path)
    with pytest.raises(DataError, match="found no folder"):
        from_run(tmp_path / "none")
    write_network(tmp_path, MODEL_SPECS["unicycle"])
    predicted = json.loads((tmp_path / PREDICTED).read_text())
    predicted["alpha_accel"]["mean"] = None
    (tmp_path / PREDICTED).write_text(json.dumps(predicted))
    with pytest.raises(DataError, match=r"'alpha_accel\.mean': expected numbers, found null"):
        from_run(tmp_path)
    (tmp_path / PREDICTED).unlink()
    with pytest.raises(DataError, match="found no alpha_psi_dot: training writes them"):
        from_run(tmp_path)
    (tmp_path / NETWORK).write_text("{}")
    with pytest.raises(DataError, match="'model': expected a value, found none: train again"):
        from_run(tmp_path)


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(UsageError, match=r"unknown model 'bike'\. Known: double-track, kinematic"):
        from_model("bike")
    with pytest.raises(UsageError, match="unknown vehicle 'tank'"):
        from_model("unicycle", "tank")
