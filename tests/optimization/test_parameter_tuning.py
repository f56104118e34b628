"""Constant parameters are found again, with an honest size of their error."""

import dataclasses

import numpy as np
import pytest

from pct.data.loading import load_feature_dataset_group
from pct.data.trajectory import write_dataset
from pct.dynamics import MODEL_SPECS, with_fixed
from pct.errors import DivergedError
from pct.integration import make_integrator
from pct.optimization.parameter_tuning import tune_parameters
from pct.simulation import simulate

HELD = {"C_Sf": None, "C_Sr": None, "m": None}


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tuning") / "set"
    drive = simulate(
        MODEL_SPECS["singletrack"],
        recordings=2,
        duration=8.0,
        dt=0.05,
        mu=(0.7,),
        fixed={"I": 0.06},
        noise=0.2,
    )
    write_dataset(folder, drive, vehicle="test")
    spec = with_fixed(MODEL_SPECS["singletrack"], HELD)
    args = ([folder], spec, None, False, 40, None, "context", "training")
    return spec, load_feature_dataset_group(*args, horizon=10, history=2)


def test_friction_and_inertia_are_recovered(windows) -> None:
    spec, dataset = windows
    tuned = tune_parameters(dataset, spec, spec.build_base_params(5), make_integrator("rk4", 2))
    assert tuned.params["mu"] == pytest.approx(0.7, abs=0.01)
    assert tuned.params["I"] == pytest.approx(0.06, rel=0.03)
    assert tuned.loss[1] < 0.05 * tuned.loss[0]
    sigma = np.sqrt(np.diagonal(tuned.covariance))
    assert np.all(sigma > 0)
    assert sigma[0] < 0.01


def test_values_stay_within_bounds(windows) -> None:
    spec, dataset = windows
    tight = dataclasses.replace(spec, param_bounds={**spec.param_bounds, "mu": (0.9, 1.6)})
    tuned = tune_parameters(dataset, tight, spec.build_base_params(5), make_integrator("rk4", 2))
    assert tuned.params["mu"] == pytest.approx(0.9, abs=1e-3)


def test_rollouts_that_overflow_are_refused(windows) -> None:
    spec, dataset = windows
    broken = dataset._replace(controls=dataset.controls.at[0, 0, 0].set(np.nan))
    with pytest.raises(DivergedError, match="singletrack: rollouts with the default parameters"):
        tune_parameters(broken, spec, spec.build_base_params(5))
