"""`pct train --init-from`: from a fit to a network on top of it, and its judgement; scopes of parameters."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from pct.cli.main import main
from pct.evaluation.windows import load_windows
from pct.runs.model_files import load_fit, load_network, open_run

FIT = [
    *("--model", "unicycle", "--horizon", "3", "--history", "4", "--samples", "20", "--integrator", "euler"),
    *("--substeps", "1", "--iterations", "3", "--bias", "v", "--no-report"),
    *("--delay", "psi_dot"),
]
TRAIN = [
    *("--model-hidden", "4", "--horizon", "3", "--epochs", "1", "--lr", "1e-9", "--samples", "12"),
    *("--no-analysis", "--encoder", "gru", "--global-params", "beta_accel", "--ensemble", "2"),
]


@pytest.fixture(scope="module")
def fit_run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fit")
    main(["fit", "--dataset", str(data / "train"), *FIT, "--results", str(folder)])
    return next(folder.glob("unicycle/*"))


def test_a_network_that_has_learned_nothing_yet_predicts_as_the_fit(
    fit_run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(
        [
            *("train", "--dataset", str(data / "train"), "--init-from", str(fit_run), *TRAIN),
            *("--results", str(tmp_path)),
        ]
    )
    run = next(tmp_path.glob("unicycle/*"))
    trained, fitted = load_network(run), load_fit(fit_run)
    assert json.loads((run / "config.json").read_text())["history"] == 4
    assert trained.network.members == 2
    assert trained.spec.measurement == fitted.spec.measurement
    assert trained.spec.global_keys == ("beta_accel",)
    for key, value in fitted.params.items():
        np.testing.assert_allclose(trained.spec.default_params[key], value)
    windows = load_windows(fitted, [data / "val"], "test", horizon=3, stride=2)
    wanted = fitted.predict_states(fitted.prepare(windows).batch)
    found = trained.predict_states(
        trained.prepare(load_windows(trained, [data / "val"], "test", stride=2)).batch
    )
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    # It answers the fit's values everywhere, so that its members agree.
    answers = trained.predict_parameters(trained.prepare(load_windows(trained, [data / "val"], "test")).batch)
    for name, values in answers.items():
        np.testing.assert_allclose(values, fitted.params[name], rtol=1e-5, atol=1e-6)
    predicted = json.loads((run / "pct_predicted_params.json").read_text())
    assert predicted["alpha_accel"]["ensemble_std"] == 0
    told = capsys.readouterr()
    assert "No epoch was better than the fit on held-out rows: the result is the fit." in told.out
    assert "Held out for validation: 'train/recording_00' from 1.60 to 1.95 s" in told.out
    assert "the fit was fitted to the validation rows, too" in told.err
    done = json.loads((run / "DONE").read_text())
    assert (done["best_epoch"], done["beats_fit"], done["validation_is_new_to_the_fit"]) == (0, False, False)
    assert done["held_out"][1] == {
        "recording": "train/recording_01",
        "start": pytest.approx(1.6),
        "end": pytest.approx(1.95),
        "whole": False,
    }
    assert done["against_fit"]["error_ratio"]["value"] == 1.0
    judged = load_windows(open_run(run), [data / "val"], "test", horizon=3, stride=2)
    assert judged.batch.initial_states.shape[1] == len(trained.spec.states)
    np.testing.assert_allclose(fitted.predict_states(fitted.prepare(judged).batch), wanted, atol=1e-5)
    np.testing.assert_allclose(trained.predict_states(trained.prepare(judged).batch), found, atol=1e-5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--model", "singletrack"], "--model singletrack: --init-from .* is a fit of unicycle"),
        (["--vehicle", "f1tenth"], "--vehicle: with --init-from it is the fit's"),
        (["--global-params", "mass"], "mass"),
    ],
)
def test_what_the_fit_decides_cannot_be_asked_for_otherwise(
    fit_run: Path,
    data: Path,
    tmp_path: Path,
    flags: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["train", "--dataset", str(data / "train"), "--init-from", str(fit_run), *flags]
    with pytest.raises(SystemExit) as stop:
        main([*command, "--results", str(tmp_path)])
    assert stop.value.code == 2
    told = capsys.readouterr().err
    assert re.search(message, told), told
    assert not list(tmp_path.glob("*/*"))
