"""A trained network rolled out: errors by their formulas, baselines, plots' data, and its rebuilding."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pct import plots
from pct.dynamics import MODEL_SPECS, ModelSpec, flatten_bounds, with_fixed
from pct.errors import DataError
from pct.evaluation.scenarios import generate_analysis_artifacts, open_loop_errors, position_errors
from pct.evaluation.windows import load_windows
from pct.measurement import Measurement, with_measurement
from pct.measurement.filter import Noise, filters, noise_values
from pct.optimization.network.mlp import ParameterMLP, network_settings
from pct.optimization.network.model import TrainedModel
from pct.recordings.trajectory import Trajectory, write_dataset
from pct.rollout.integration import integrate_euler, rollout
from pct.runs import model_files
from pct.runs.checkpoint import BEST_PARAMS, MODEL_PARAMS, save_params
from pct.runs.model_files import load_network, save_network
from pct.windows.batch import FeatureDataset, WindowOrigin

UNICYCLE = MODEL_SPECS["unicycle"]
COUNT, STEPS, DT = 10, 4, 0.1


@pytest.fixture(autouse=True)
def single_precision() -> Iterator[None]:
    """As the program runs: a network comes back digit for digit in the precision that it was trained in."""
    with jax.enable_x64(False):
        yield


def make_trained(spec: ModelSpec = UNICYCLE, *, shift: float = 0.3, features: int = 2) -> TrainedModel:
    """A network that nobody trained, moved so that every window gets its own answer."""
    low, high = flatten_bounds(spec.param_keys, spec.param_bounds, spec.full_shapes)
    rng = np.random.default_rng(0)
    network = ParameterMLP(
        (4,),
        low,
        high,
        feature_mean=rng.standard_normal(features),
        feature_std=rng.uniform(0.5, 2.0, features),
        **network_settings(spec),
    )
    params = network.init(jax.random.PRNGKey(0), jnp.zeros((1, features)))
    params = jax.tree.map(lambda leaf: leaf + shift, params)
    settings = {
        "horizon": STEPS,
        "history": 2,
        "stride": 3,
        "feature_mode": "context",
        "history_fit": False,
        "feature_names": ["a", "b"],
    }
    return TrainedModel(
        spec=spec,
        network=network,
        params=params,
        dt=DT,
        integrator_name="euler",
        substeps=1,
        settings=settings,
    )


def make_windows(spec: ModelSpec = UNICYCLE) -> FeatureDataset:
    """Windows of two recordings whose targets are noise around a straight drive."""
    rng = np.random.default_rng(1)
    size = len(spec.states)
    start = np.zeros((COUNT, size), np.float32)
    start[:, spec.state_indices["v"]] = 2.0
    targets = start[:, None] + 0.1 * rng.standard_normal((COUNT, STEPS, size)).astype(np.float32)
    recording = np.repeat([0, 1], COUNT // 2)
    return FeatureDataset(
        features=jnp.asarray(rng.standard_normal((COUNT, 2)), jnp.float32),
        controls=jnp.asarray(rng.standard_normal((COUNT, STEPS, spec.control_dim)), jnp.float32),
        initial_states=jnp.asarray(start),
        targets=jnp.asarray(targets),
        origin=WindowOrigin(
            recording=recording,
            times=5.0 + DT * np.tile(np.arange(COUNT // 2), 2),
            truth={"alpha_accel": np.ones(COUNT)},
            recordings=("drive/0", "drive/1"),
            feature_names=("a", "b"),
            dt=DT,
        ),
    )


# Predictions and their errors.


def test_the_network_s_answers_drive_the_rollout() -> None:
    trained, windows = make_trained(), make_windows()
    answers = trained.predict_parameters(windows)
    assert set(answers) == set(UNICYCLE.param_keys)
    expected = rollout(
        UNICYCLE.dynamics_fn, integrate_euler, windows.initial_states, windows.controls, answers, DT
    )
    np.testing.assert_allclose(trained.predict_states(windows), expected, rtol=1e-5, atol=1e-6)
    assert np.ptp(answers["alpha_accel"]) > 0


def test_the_default_is_the_rollout_of_the_defaults() -> None:
    spec = with_fixed(UNICYCLE, {"beta_accel": 1.0})
    trained, windows = make_trained(spec), make_windows(spec)
    expected = rollout(
        spec.dynamics_fn,
        integrate_euler,
        windows.initial_states,
        windows.controls,
        spec.default_params,
        DT,
    )
    np.testing.assert_allclose(trained.predict_default(windows), expected, rtol=1e-5, atol=1e-6)
    # What is held is held for the network, too.
    drift = trained.predict_states(windows)[:, 0, 3] - 2.0
    answers = trained.predict_parameters(windows)
    accel = answers["alpha_accel"] * np.asarray(windows.controls)[:, 0, 1] + 1.0
    np.testing.assert_allclose(drift, DT * accel, atol=1e-5)


def test_errors_are_root_mean_squares_by_step_and_state() -> None:
    windows = make_windows()
    predicted = np.asarray(windows.targets).copy()
    predicted[..., 0] += 0.3
    predicted[..., 1] -= 0.4
    predicted[: COUNT // 2, 2, 3] += 2.0
    # A heading that is a full turn off is right.
    predicted[..., 2] += 2 * np.pi
    errors = open_loop_errors(predicted, windows, UNICYCLE)
    expected = np.zeros((STEPS, 4))
    expected[:, :2] = 0.3, 0.4
    expected[2, 3] = 2.0 / np.sqrt(2.0)
    np.testing.assert_allclose(errors, expected, atol=1e-5)
    np.testing.assert_allclose(position_errors(predicted, windows, UNICYCLE), 0.5, atol=1e-6)


# Plots.


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What the plots are given, by the stem of their file."""
    calls: dict[str, dict[str, Any]] = {}
    monkeypatch.setattr(
        plots,
        "to_png",
        lambda path, draw: calls.update({path.stem: draw.keywords | {"plot": draw.func.__name__}}),
    )
    return calls


def test_the_plots_get_truth_prediction_and_baseline(
    tmp_path: Path, drawn: dict[str, dict[str, Any]]
) -> None:
    trained, windows = make_trained(), make_windows()
    files = generate_analysis_artifacts("training", windows, trained, tmp_path / "analysis", scenarios=3)
    assert [file.stem for file in files] == list(drawn)
    assert {file.parent for file in files} == {tmp_path / "analysis"}
    predicted, default = trained.predict_states(windows), trained.predict_default(windows)

    growth = drawn["training_error_growth"]
    assert (growth["plot"], growth["dt"]) == ("draw_error_growth", DT)
    np.testing.assert_allclose(
        growth["errors"]["trained"], open_loop_errors(predicted, windows, UNICYCLE), rtol=1e-5
    )
    np.testing.assert_allclose(
        growth["errors"]["default parameters"], open_loop_errors(default, windows, UNICYCLE), rtol=1e-5
    )

    along = drawn["training_parameters"]
    assert set(along["values"]) == set(UNICYCLE.param_keys)
    assert set(along["truth"]) == {"alpha_accel"}
    np.testing.assert_array_equal(along["times"], windows.origin.times)
    np.testing.assert_array_equal(along["recording"], windows.origin.recording)

    scenarios = [data for data in drawn.values() if data["plot"] == "draw_scenario"]
    assert len(scenarios) == 3
    end = np.asarray(windows.targets)[:, -1]
    distances = np.hypot(*(predicted[:, -1] - end)[:, :2].T)
    shown = []
    for data in scenarios:
        (row,) = np.flatnonzero((np.asarray(windows.controls) == data["controls"]).all(axis=(1, 2)))
        np.testing.assert_array_equal(data["true_states"][0], windows.initial_states[row])
        np.testing.assert_array_equal(data["true_states"][1:], windows.targets[row])
        np.testing.assert_array_equal(data["predicted_states"][1:], predicted[row])
        np.testing.assert_array_equal(data["baseline_states"][1:], default[row])
        np.testing.assert_allclose(data["times"], DT * np.arange(STEPS + 1), atol=1e-6)
        origin = windows.origin
        assert f"'drive/{origin.recording[row]}' from {origin.times[row]:.2f} s" in data["title"]
        shown.append(distances[row])
    # From a good one to a bad one.
    assert shown == sorted(shown)
    assert shown[0] < np.median(distances) < shown[-1]


@pytest.mark.parametrize("scenarios", [0, 1])
def test_few_scenarios(tmp_path: Path, drawn: dict[str, dict[str, Any]], scenarios: int) -> None:
    generate_analysis_artifacts("val", make_windows(), make_trained(), tmp_path, scenarios=scenarios)
    names = {"val_error_growth", "val_parameters"}
    assert set(drawn) == names | ({"val_scenario_50th_percentile"} if scenarios else set())


def test_the_plots_are_drawn(tmp_path: Path) -> None:
    files = generate_analysis_artifacts("val", make_windows(), make_trained(), tmp_path, scenarios=1)
    assert len(files) == 3
    assert all(file.read_bytes().startswith(b"\x89PNG") for file in files)


# A run folder gives its network back.


def save(run: Path, trained: TrainedModel, *, best: bool = True) -> Path:
    run.mkdir()
    save_network(run, trained)
    save_params(run / MODEL_PARAMS, trained.params)
    if best:
        save_params(run / BEST_PARAMS, trained.params)
    return run


@pytest.mark.parametrize(
    "spec",
    [
        with_fixed(MODEL_SPECS["singletrack-augmented"], {"C_Sf": 5.0, "C_Sr": None}),
        dataclasses.replace(UNICYCLE, param_bounds={**UNICYCLE.param_bounds, "alpha_accel": (0.5, 1.1)}),
        MODEL_SPECS["tv-linear"],
        MODEL_SPECS["mlp-dynamics"],
    ],
    ids=lambda spec: spec.name,
)
def test_a_network_comes_back_from_its_folder(tmp_path: Path, spec: ModelSpec) -> None:
    trained = make_trained(spec, shift=0.1)
    loaded = load_network(save(tmp_path / "run", trained))
    for name in ("param_keys", "param_shapes", "full_shapes", "name"):
        assert getattr(loaded.spec, name) == getattr(spec, name), name
    for name in ("param_bounds", "default_params"):
        found, expected = getattr(loaded.spec, name), getattr(spec, name)
        assert set(found) == set(expected)
        for key in expected:
            np.testing.assert_array_equal(found[key], expected[key], err_msg=f"{name} {key}")
    assert (loaded.dt, loaded.integrator_name, loaded.substeps) == (DT, "euler", 1)
    assert loaded.settings == trained.settings
    features = jnp.asarray(np.random.default_rng(2).standard_normal((5, 2)), jnp.float32)
    np.testing.assert_array_equal(
        loaded.network.apply(loaded.params, features), trained.network.apply(trained.params, features)
    )


def test_the_best_parameters_go_before_the_last(tmp_path: Path) -> None:
    best, last = make_trained(shift=0.1), make_trained(shift=0.2)
    run = save(tmp_path / "run", last, best=False)

    def bias() -> float:
        return float(load_network(run).params["params"]["Dense_0"]["bias"][0])

    assert bias() == pytest.approx(0.2)
    save_params(run / BEST_PARAMS, best.params)
    assert bias() == pytest.approx(0.1)


def cut(run: Path) -> None:
    path = run / "network.json"
    path.write_text(path.read_text()[:100])


def edit(**changes: Any) -> Callable[[Path], None]:
    def write(run: Path) -> None:
        path = run / "network.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return write


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "network.json").unlink(), "network.json: expected the description of a trained"),
        (cut, "network.json: expected the description"),
        (edit(model="bicycle"), "network.json: .*bicycle"),
        (edit(param_bounds=3), "network.json: 'param_bounds': expected an object, found 3: train again"),
        (lambda run: (run / "network.json").write_text("[]"), "network.json: expected the description"),
        (edit(hidden_sizes=[5]), "best_params.msgpack: leaf .*: expected float32"),
        (lambda run: (run / BEST_PARAMS).write_bytes(b"\x80"), "best_params.msgpack"),
    ],
)
def test_a_damaged_folder_is_refused(tmp_path: Path, damage: Callable[[Path], Any], message: str) -> None:
    run = save(tmp_path / "run", make_trained())
    damage(run)
    with pytest.raises(DataError, match=message) as error:
        load_network(run)
    assert len(str(error.value).splitlines()) <= 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dt": 0}, r"'dt': expected a number above 0\.0, found 0"),
        ({"dt": 10**400}, "'dt': expected a number, found a number of 401 digits"),
        ({"dt": float("nan")}, "'dt': expected a number, found NaN"),
        ({"format": True}, "'format': expected a whole number, found true"),
        ({"format": 99}, "expected format 3 or older, found 99"),
        ({"substeps": -1}, "'substeps': expected a whole number of at least 1, found -1"),
        ({"hidden_sizes": [10**9]}, r"'hidden_sizes\[0\]': expected a whole number of at most 65536"),
        ({"members": 10**6}, "'members': expected a whole number of at most"),
        ({"integrator": "leapfrog"}, "'integrator': expected a known name, found \"leapfrog\""),
        ({"feature_std": [1.0]}, "'feature_std': expected 2 numbers as in feature_mean, found 1"),
        ({"feature_std": [1.0, 0.0]}, r"'feature_std\[1\]': expected a number above 0\.0"),
        ({"param_keys": ["alpha_accel", "mu"]}, "'param_keys': expected a parameter of unicycle, found 'mu'"),
        ({"param_keys": []}, "'param_keys': expected each learned parameter once, found none"),
        ({"param_bounds": {"alpha_accel": [2, 1]}}, "'param_bounds.alpha_accel': expected low < high"),
        ({"param_bounds": {"mu": [0, 1]}}, "'param_bounds': expected a parameter of unicycle, found 'mu'"),
        ({"param_shapes": {"alpha_accel": [65536, 65536]}}, "'param_shapes.alpha_accel': expected one like"),
        (
            {"default_params": {"alpha_accel": [1.0]}},
            "'default_params.alpha_accel': expected a number, found",
        ),
        ({"measurement": {"lag": True}}, "'measurement.lag': expected names of channels, found True"),
        ({"measurement": {"lag": ["w"]}}, "network.json: `lag`: unknown channel 'w'"),
        ({"held": ["x"]}, "'held': expected a state whose rate is a control of unicycle, found 'x'"),
        (
            {"settings": {"horizon": -5}},
            "'settings.horizon': expected a whole number of at least 1, found -5",
        ),
        ({"settings": []}, "'settings': expected an object, found a list of 0"),
    ],
    ids=str,
)
def test_values_that_cannot_be_are_refused_by_their_key(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    run = save(tmp_path / "run", make_trained())
    edit(**changes)(run)
    with pytest.raises(DataError, match=message) as error:
        load_network(run)
    assert len(str(error.value).splitlines()) == 1


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    trained = make_trained(shift=float("nan"))
    with pytest.raises(DataError, match=r"best_params\.msgpack: expected finite weights"):
        load_network(save(tmp_path / "run", trained))


def test_shapes_are_followed_through_the_equations(tmp_path: Path) -> None:
    """Nothing of such a size is made."""
    run = save(tmp_path / "run", make_trained(MODEL_SPECS["mlp-dynamics"], shift=0.1))
    saved = json.loads((run / "network.json").read_text())
    edit(param_shapes={**saved["param_shapes"], "W1": [9, 6]}, default_params={}, param_bounds={})(run)
    with pytest.raises(DataError, match=r"equations of mlp-dynamics take, found W1 of \(9, 6\)"):
        load_network(run)


def test_windows_are_loaded_as_the_network_reads_them(tmp_path: Path) -> None:
    rows = 30
    t = DT / 2 * np.arange(rows)
    channels = {"x": 2.0 * t, "y": 0.0 * t, "psi": 0.0 * t, "v": 2.0 + 0.0 * t}
    units = {"x": "m", "y": "m", "psi": "rad", "v": "m/s"}
    lap = Trajectory("lap", DT / 2, channels, units, dict.fromkeys(channels, "measured"))
    write_dataset(tmp_path / "data", [lap], vehicle="test car")
    windows = load_windows(make_trained(), [tmp_path / "data"], "test").batch
    assert windows.origin.dt == DT
    # 15 rows at the network's step, less 4 of horizon and 2 of history, every third.
    assert windows.targets.shape == (3, STEPS, 4)
    assert load_windows(make_trained(), [tmp_path / "data"], "test", stride=1).batch.targets.shape[0] == 9


def test_unknown_feature_columns_are_refused(tmp_path: Path) -> None:
    t = DT * np.arange(20)
    channels = {"x": 2.0 * t, "y": 0.0 * t, "psi": 0.0 * t, "v": 2.0 + 0.0 * t, "feature.heat": t}
    units = {"x": "m", "y": "m", "psi": "rad", "v": "m/s", "feature.heat": "K"}
    lap = Trajectory("lap", DT, channels, units, dict.fromkeys(channels, "measured"))
    write_dataset(tmp_path / "data", [lap], vehicle="test car")
    trained = make_trained()
    trained = dataclasses.replace(trained, settings={**trained.settings, "feature_mode": "full"})
    with pytest.raises(DataError, match=r"no feature\.\*, found feature\.heat"):
        load_windows(trained, [tmp_path / "data"], "test")


def test_the_run_folder_holds_valid_json(tmp_path: Path) -> None:
    run = save(tmp_path / "run", make_trained(MODEL_SPECS["singletrack"]))
    saved = json.loads((run / model_files.NETWORK).read_text())
    assert saved["model"] == "singletrack"
    assert saved["settings"]["horizon"] == STEPS


def from_json(spec: ModelSpec) -> Any:
    """The table of a model as a file holds it."""
    return json.loads(
        json.dumps(model_files.spec_table(spec), default=lambda leaf: np.asarray(leaf).tolist())
    )


def test_how_inputs_act_is_kept_and_old_runs_have_all_limits() -> None:
    spec = MODEL_SPECS["singletrack"]
    ours = dataclasses.replace(spec, limited=("accel",), held=("delta",), interpolated=("delta_dot",))
    table = from_json(ours)
    again = model_files.spec_from_table(table)
    assert (again.limited, again.held, again.interpolated) == (("accel",), ("delta",), ("delta_dot",))
    assert again.dynamics_fn == ours.dynamics_fn
    old = model_files.spec_from_table(
        {key: table[key] for key in table if key not in ("limited", "held", "interpolated")}
    )
    assert (old.limited, old.held, old.interpolated) == (("delta_dot", "accel"), (), ())


def test_a_run_with_learned_gains_still_opens() -> None:
    """As earlier versions wrote it: an observer and its gains, and no noise of a filter."""
    gains = with_measurement(MODEL_SPECS["singletrack"], Measurement(bias=("v",), observer=True), gains=True)
    again = model_files.spec_from_table(from_json(gains))
    assert "gains" in again.param_keys
    assert not filters(again)
    assert [channel.name for channel in again.hidden] == ["v_bias"]
    np.testing.assert_array_equal(again.default_params["gains"], gains.default_params["gains"])


def test_a_run_keeps_the_noise_of_its_filter() -> None:
    spec = with_measurement(MODEL_SPECS["singletrack"], Measurement(observer=True))
    tuned = noise_values(spec, Noise(2.0, 0.5, 0.7, np.array([0.1, 0.2, 0.3])))
    spec = dataclasses.replace(spec, default_params={**spec.default_params, **tuned})
    again = model_files.spec_from_table(from_json(spec))
    assert filters(again)
    for name, value in tuned.items():
        np.testing.assert_array_equal(again.default_params[name], value)
