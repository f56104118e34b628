"""`pct fit`: a run folder that says what was found and how well, and rebuilds the model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pages.read import figures_of_page
from pct import plots
from pct.cli.main import main
from pct.dynamics import MODEL_SPECS
from pct.optimization.constants.constant_fit import exact_channels
from pct.runs.model_files import load_fit

FLAGS = [
    *("--model", "unicycle", "--horizon", "3", "--history", "4", "--samples", "20", "--integrator", "euler"),
    *("--substeps", "1", "--iterations", "4", "--bias", "v", "--fixed", "beta_accel=0.1"),
]
FitCommand = Callable[..., tuple[int, Path | None]]


@pytest.fixture
def fit(data: Path, tmp_path: Path) -> FitCommand:
    """``fit(*flags)``: run `pct fit` on the tiny drives; its exit code and run folder, if any."""

    def run(*flags: object) -> tuple[int, Path | None]:
        code = 0
        try:
            main(
                [
                    "fit",
                    "--dataset",
                    str(data / "train"),
                    *FLAGS,
                    "--results",
                    str(tmp_path),
                    *map(str, flags),
                ]
            )
        except SystemExit as stop:
            code = int(stop.code or 0)
        return code, next(iter(tmp_path.glob("unicycle/*")), None)

    return run


def test_it_leaves_a_run_folder_that_rebuilds_the_model(
    fit: FitCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    code, run = fit("--samples", "2")
    told = capsys.readouterr()
    assert code == 0, told.err
    assert run is not None
    names = {path.name for path in run.iterdir()}
    assert names == {
        *(
            "config.json",
            "provenance.json",
            "fit.json",
            "pct_predicted_params.json",
            "training_rows.npy",
            "report.html",
            "analysis",
            "DONE",
        ),
    }
    assert {path.name for path in (run / "analysis").iterdir()} == {"correlations.png", "residuals.png"}
    page = (run / "report.html").read_text()
    assert {"window-channels", "residuals", "correlations"} <= set(figures_of_page(page))
    assert all(f'class="text">{name}</th>' in page for name in ("alpha_psi_dot", "fade_v_bias"))
    fitted = load_fit(run)
    learned = json.loads((run / "pct_predicted_params.json").read_text())
    assert set(learned) == set(fitted.spec.param_keys) == set(fitted.params)
    assert "beta_accel" not in learned
    assert fitted.base_params["beta_accel"] == 0.1
    assert [channel.name for channel in fitted.spec.hidden] == ["v_drift", "v_bias"]
    for name in ("alpha_psi_dot", "beta_psi_dot", "alpha_accel"):
        entry = learned[name]
        assert entry["bounds"][0] <= entry["mean"] <= entry["bounds"][1]
        assert 0 < entry["std"] < np.inf
        assert entry["mean"] == fitted.params[name]
    saved = json.loads((run / "fit.json").read_text())
    assert (
        set(saved["verdicts"])
        == {name for name in learned if name != "gains"}
        == set(saved["correlations"]["names"])
    )
    for name, verdict in saved["verdicts"].items():
        assert learned[name]["verdict"] == verdict["verdict"]
        assert (verdict["advice"] is None) == (verdict["verdict"] == "identified")
        assert verdict["advice"] is None or verdict["advice"] in told.out
    assert "alpha_psi_dot" in told.out
    assert "warning: standard errors rest on 2 independent blocks of driving, too few" in told.err
    assert f"pct evaluate {run}" in told.out.replace("\n", " ")


def test_a_stop_while_figures_are_drawn_loses_no_result(
    fit: FitCommand, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(plots, "to_png", stop)
    code, run = fit("--samples", "2")
    told = capsys.readouterr()
    assert code == 130
    assert run is not None
    saved = json.loads((run / "fit.json").read_text())["verdicts"]
    assert all(f"│ {name} " in told.out for name in saved)
    assert f"Parameters: {run / 'pct_predicted_params.json'}" in told.out
    assert "correlat" in told.out
    assert not (run / "DONE").exists()
    assert load_fit(run).params.keys() >= saved.keys()


def test_recordings_are_compared_where_that_is_asked_for(
    fit: FitCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    code, run = fit("--by", "recording", "--no-report")
    told = capsys.readouterr()
    assert code == 0, told.err
    assert run is not None
    kept = json.loads((run / "agreement.json").read_text())
    names = list(json.loads((run / "fit.json").read_text())["verdicts"])
    assert list(kept["parameters"]) == names
    assert len(kept["parameters"]["alpha_psi_dot"]["values"]) == len(kept["names"]) >= 2
    assert "Each recording fitted alone" in told.out
    assert "fitting each recording alone" in told.err


def test_a_profile_is_told_and_kept(fit: FitCommand, capsys: pytest.CaptureFixture[str]) -> None:
    code, run = fit("--profile", "alpha_psi_dot", "--no-report")
    told = capsys.readouterr()
    assert code == 0, told.err
    assert run is not None
    assert not (run / "report.html").exists()
    verdict = json.loads((run / "fit.json").read_text())["verdicts"]["alpha_psi_dot"]
    kept = json.loads((run / "profile_alpha_psi_dot.json").read_text())
    assert verdict["profile"] == kept["verdict"]
    assert f"alpha_psi_dot: profile {kept['verdict']}" in told.out.replace("\n", " ")


def test_several_starts_are_told_and_kept(fit: FitCommand, capsys: pytest.CaptureFixture[str]) -> None:
    code, run = fit("--starts", "3", "--seed", "5", "--no-report")
    told = capsys.readouterr()
    assert code == 0, told.err
    assert run is not None
    assert re.search(r"starts: 3; apart after single steps: \d; fits of them: \d", told.err)
    kept = json.loads((run / "fit.json").read_text())["starts"]
    assert kept["count"] == 3
    assert f"{kept['agreed']} of 3 starts ended in the same optimum." in told.out
    assert json.loads((run / "config.json").read_text())["seed"] == 5


@pytest.mark.parametrize(
    ("broken", "flags", "missing"),
    [
        (
            "constant_fit.make_verdicts",
            [],
            ["the verdicts", "the table of parameters", "the curves", "the report"],
        ),
        ("fitting.make_profile", ["--profile", "alpha_psi_dot", "--no-report"], ["the profiles"]),
    ],
)
def test_a_fit_is_saved_before_it_is_judged(
    fit: FitCommand,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: str,
    flags: list[str],
    missing: list[str],
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("slope")

    monkeypatch.setattr(f"pct.optimization.constants.{broken}", fail)
    code, run = fit(*flags)
    assert code == 0
    assert run is not None
    assert (run / "DONE").exists()
    assert np.isfinite(json.loads((run / "fit.json").read_text())["params"]["alpha_psi_dot"])
    for what in missing:
        assert f"the results are saved, but without {what}: 'slope'" in caplog.text


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--lag", "vy"], "--lag: unknown channel 'vy' of model 'unicycle'"),
        (["--pedals"], "--pedals: model 'unicycle' has no channel 'drive'"),
        (["--compare", "vy"], "--compare vy: expected some of"),
        (["--no-observer"], "--bias: only the observer estimates them; add --observer"),
        (["--by", "lap"], "--by lap: expected two laps or more to compare, found 0"),
        (["--profile", "gains"], "--profile gains: expected a fitted scalar parameter, one of alpha_psi_dot"),
        (["--horizon", "0"], "--horizon: expected a whole number from 1 to 100000, got 0"),
    ],
)
def test_flags_that_do_not_fit_are_refused(
    fit: FitCommand, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    code, run = fit(*flags)
    assert code == 2
    assert said in capsys.readouterr().err
    assert run is None or (run / "FAILED").exists()


def test_the_fit_that_a_search_begins_at_is_opened(
    fit: FitCommand, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fit("--start", "no_run") == (3, None)
    assert "no_run: expected the folder of a finished run" in capsys.readouterr().err


def test_a_channel_that_the_controls_give_is_warned_of() -> None:
    spec = MODEL_SPECS["singletrack"]
    assert exact_channels(spec, {"delta": 1e-7, "psi_dot": 0.1, "v": 0.02}) == ["delta"]
    assert exact_channels(spec, {"psi_dot": 0.1, "v": 0.02}) == []
    # Data without noise: all that is left is rounding.
    assert exact_channels(spec, {"psi_dot": 1e-8, "v": 1e-8}) == []
