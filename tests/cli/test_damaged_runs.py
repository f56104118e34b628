"""Every file of a run folder, damaged in any way, is read or refused by one of our errors."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

import pct
from pct.cli.flags import flag_values
from pct.cli.train_config import parse_args, resume_facts
from pct.dynamics import MODEL_SPECS, with_fixed
from pct.errors import DataError, PctError
from pct.evaluation.datasets import training_data_of_run
from pct.export.source import from_run
from pct.files import sha256
from pct.measurement import Measurement, with_measurement
from pct.optimization.constants.agreed import Agreed, Agreement, agreement_table
from pct.optimization.constants.model import FittedModel
from pct.optimization.constants.random_effects import RandomEffects
from pct.optimization.network.epoch import Epoch, TrainState
from pct.optimization.network.loop import EpochReport, StepReport, TrainResult
from pct.optimization.network.training import make_learner, training_windows
from pct.optimization.parameter_files import describe_parameters
from pct.recordings.trajectory import write_dataset
from pct.runs import checkpoint
from pct.runs.directory import CONFIG, PREDICTED, PROVENANCE, data_of, write_json, write_provenance
from pct.runs.model_files import AGREEMENT, FIT, NETWORK, save_fit, save_network
from pct.runs.overlap import FINGERPRINT, save_fingerprint
from pct.runs.sinks import METRICS, read_metrics, write_metrics
from pct.runs.trainings import reports_of, restore_training, rows_of
from pct.windows.loading import load_window_store

# Of each file.
MUTATIONS = 2
DEEP = b"[" * 100_000


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset folder."""
    drives = pct.simulate(pct.model("singletrack"), recordings=2, duration=2.0, mu=(0.7,), noise=0.1)
    folder = tmp_path_factory.mktemp("data") / "drives"
    write_dataset(folder, [drive.trajectory for drive in drives], vehicle="simulated")
    return folder


def hashes_of(data: Path) -> dict[str, str]:
    return {str(path): sha256(path) for path in sorted(data.iterdir())}


@pytest.fixture(scope="module")
def fitted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a fit, as `pct fit` leaves it but for figures; nobody fitted it."""
    run = tmp_path_factory.mktemp("fitted")
    measured = with_measurement(MODEL_SPECS["singletrack"], Measurement(bias=("v",), observer=True))
    spec = with_fixed(measured, {"m": 3.0})
    params = {name: spec.default_params[name] for name in spec.param_keys}
    settings = {
        "horizon": 3,
        "history": 4,
        "stride": 1,
        "feature_mode": "context",
        "history_fit": False,
        "feature_names": ["v"],
    }
    model = FittedModel(
        spec=spec,
        dt=0.05,
        integrator_name="rk4",
        substeps=2,
        settings=settings,
        params=params,
        deviations={name: 0.1 * abs(value) for name, value in params.items()},
        remaining_error=dict.fromkeys(spec.state_names, 0.1),
    )
    save_fit(run, model)
    verdict = {"verdict": "identified", "with": None, "std": 0.1, "between": 0.01, "advice": "Drive."}
    size = spec.vector_size
    more = {
        "estimate": {"raw": [0.1] * size, "covariance": np.eye(size), "blocks": 20, "sound": True},
        "reached": {"front": 0.13, "rear": 0.11},
        "verdicts": dict.fromkeys(params, verdict),
    }
    write_json(run / FIT, {**json.loads((run / FIT).read_text()), **more})
    two, both = np.ones(2), np.ones(2, bool)
    agreed = Agreed("1", two, 0.1 * two, both, 1.0, RandomEffects(*(1.0,) * 9, 2), 0.1, 5.0, 0.01, 0.02)
    names = ("drives/recording_00", "drives/recording_01")
    compared = Agreement("recording", names, (9, 9), dict.fromkeys(params, agreed), {"front 0.03": agreed})
    write_json(run / AGREEMENT, agreement_table(compared))
    np.save(run / FINGERPRINT, np.arange(0, 1600, 16, dtype=np.uint64))
    config = {"dataset": [str(data)], "samples": None}
    write_provenance(run, config=config, command=["pct"], data=hashes_of(data))
    return run


class Trained(NamedTuple):
    """The run folder of a training, as `pct train` leaves it; a state and an epoch of that training."""

    run: Path
    state: TrainState
    epoch: Epoch


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Nobody trained it."""
    run = tmp_path_factory.mktemp("trained")
    flags = ["--dataset", str(data), "--model", "unicycle", "--horizon", "3", "--history", "4"]
    flags += ["--no-history-fit", "--model-hidden", "4", "--samples", "12", "--batch-size", "8"]
    args = parse_args([*flags, "--engine", "jax", "--output", "results"])
    spec = MODEL_SPECS["unicycle"]
    with jax.enable_x64(False):
        windows = training_windows(spec, load_window_store([data], spec), None, args.settings)
        learner = make_learner(spec, windows, args.settings)
        state = jax.device_get(learner.start())._replace(step=np.int32(4), epoch=np.int32(2))
        save_network(run, learner.trained(state.params, beats_fit=None))
        checkpoint.save_params(run / checkpoint.BEST_PARAMS, state.params)
        checkpoint.save_state(run, state, 4)
        epoch = learner.epoch
    means = {name: {"mean": spec.default_params[name], "std": 0.1} for name in spec.param_keys}
    write_json(run / PREDICTED, describe_parameters(spec, means))
    save_fingerprint(run, windows.training)
    result = TrainResult(state)
    result.steps += [StepReport(step, (step + 1) // 2, 0.5, 0.1, 1e-3, 3, 8) for step in range(1, 5)]
    result.epochs += [EpochReport(1, 2, 0.5, None, 1e-3, True), EpochReport(2, 4, 0.4, 0.3, 1e-3, True)]
    write_metrics(run, rows_of(result))
    write_provenance(run, config=flag_values(args), command=["pct"], data=hashes_of(data))
    return Trained(run, state, epoch)


def read_fit(run: Path) -> None:
    """What `pct.open`, `pct compare`, `pct evaluate` and `pct export` read."""
    fit = pct.open(run)
    assert isinstance(fit, pct.Fit)
    used = [fit.table(), fit.cells(), fit.agreement_cells(), fit.advice, fit.car, from_run(run).flat_values]
    comparison = pct.compare([fit, fit])
    used += [comparison.cells(), comparison.facts]
    data = training_data_of_run(run, fit.model)
    used += [data.row_hashes(fit.model), data.rows_read(fit.model)]


def read_training(trained: Trained, run: Path) -> None:
    """What `pct.open`, `pct evaluate`, `pct export` and `pct train --resume` read."""
    network = pct.open(run)
    assert isinstance(network, pct.Network)
    used = [network.table(), network.facts, from_run(run).flat_values]
    data = training_data_of_run(run, network.model)
    used += [data.row_hashes(network.model), data.rows_read(network.model)]
    args = parse_args(["--resume", str(run)])
    used += [resume_facts(args), data_of(run)]
    saved = checkpoint.newest_state(run)
    state = trained.state if saved is None else restore_training(saved, trained.state, trained.epoch)
    reports_of(read_metrics(run, step=int(state.step), epoch=int(state.epoch)), state, trained.epoch)


def mutations(content: bytes, seed: int, count: int) -> Iterator[bytes]:
    """Damaged copies of a file: cut, overwritten, and as JSON with values of other types and sizes."""
    rng = np.random.default_rng(seed)
    yield b""
    yield DEEP
    yield b"\xef\xbb\xbf" + content
    for _ in range(count):
        if rng.random() < 0.6 and (changed := changed_json(content, rng)) is not None:
            yield changed
        elif rng.random() < 0.3:
            yield content[: rng.integers(len(content))]
        else:
            damaged = bytearray(content)
            for place in rng.integers(len(content), size=rng.integers(1, 5)):
                damaged[place] = rng.integers(256)
            yield bytes(damaged)


STRANGE: tuple[Any, ...] = (
    *(None, True, False, "", "text", "\udcff", "../x", "a\0b", [], {}, [[]], [None], {"a": {}}, "model.py"),
    *(0, -1, -5, 1, 2, 3, 7, 1e-300, 1e300, 0.5, -0.0, 10**6, 10**9, 2**63, 2**64, 10**400),
    *(float("nan"), float("inf"), -float("inf")),
)


def changed_json(content: bytes, rng: np.random.Generator) -> bytes | None:
    """JSON, or a line of it, with something else in one place; None where it is no JSON."""
    lines = content.splitlines() if content.count(b"\n{") else [content]
    number = int(rng.integers(len(lines)))
    try:
        value = json.loads(lines[number])
    except ValueError:
        return None
    places = list(places_of(value))
    table, key = places[rng.integers(len(places))]
    change = rng.integers(8)
    if change == 0:
        del table[key]
    elif change == 1 and isinstance(table, list):
        table.append(table[key])
    elif change == 1:
        table["unknown"] = table[key]
    elif change == 2:
        other, there = places[rng.integers(len(places))]
        table[key] = other[there]
    elif change == 3 and isinstance(table[key], int | float):
        table[key] = table[key] * float(rng.choice([-1.0, 0.0, 1.5, 1e3, 1e12]))
    else:
        table[key] = STRANGE[rng.integers(len(STRANGE))]
    try:
        lines[number] = json.dumps(value).encode()
    except (ValueError, RecursionError):
        return None
    return b"\n".join(lines).replace(b'"text"', rng.choice([b'"text"', b"1e999", DEEP]), 1)


def places_of(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every entry of nested lists and objects as what holds it and its key."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list) and value[key]:
            yield from places_of(value[key])


FIT_FILES = [CONFIG, PROVENANCE, FIT, AGREEMENT, FINGERPRINT]
TRAINING_FILES = [
    *(CONFIG, PROVENANCE, NETWORK, PREDICTED, METRICS, FINGERPRINT, checkpoint.BEST_PARAMS),
    "checkpoints/step_000000004.msgpack",
]


@pytest.mark.parametrize("name", FIT_FILES)
def test_a_damaged_fit_is_read_or_refused(fitted: Path, tmp_path: Path, name: str) -> None:
    check(fitted, tmp_path, name, read_fit)


@pytest.mark.parametrize("name", TRAINING_FILES)
def test_a_damaged_training_is_read_or_refused(trained: Trained, tmp_path: Path, name: str) -> None:
    with jax.enable_x64(False):
        check(trained.run, tmp_path, name, partial(read_training, trained))


def test_a_stop_between_two_epochs_is_gone_on_from(trained: Trained, tmp_path: Path) -> None:
    """After the last step of an epoch and before its end; no step stands behind that."""
    with jax.enable_x64(False):
        for beyond in (0, 1):
            at = trained.state._replace(position=np.int32(trained.epoch.steps + beyond))
            checkpoint.save_state(tmp_path, at, 4)
            saved = checkpoint.newest_state(tmp_path)
            assert saved is not None
            if beyond:
                with pytest.raises(
                    DataError, match=r"a position of at most 2, found .* position 3: delete it"
                ):
                    restore_training(saved, trained.state, trained.epoch)
            else:
                found = restore_training(saved, trained.state, trained.epoch)
                assert int(found.position) == trained.epoch.steps


def check(whole: Path, folder: Path, name: str, use: Callable[[Path], None], count: int = MUTATIONS) -> None:
    run = shutil.copytree(whole, folder / "run")
    use(run)
    for content in mutations((run / name).read_bytes(), seed=sum(name.encode()), count=count):
        (run / name).write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # values that nobody has overflow
            refusal = refused(use, run)
        assert refusal is None or 1 <= len(refusal.splitlines()) <= 2, content[:1000]


def refused(use: Callable[[Path], None], run: Path) -> str | None:
    """The message with which a run is refused; None where it can be used."""
    try:
        use(run)
    except PctError as error:
        return str(error)
    return None
