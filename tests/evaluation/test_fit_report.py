"""The report of a fit: what it says follows from the curves and profiles that it is given."""

from __future__ import annotations

import base64
import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from pct import plots
from pct.dynamics import MODEL_SPECS
from pct.evaluation.fit_report import (
    FitReport,
    curve_facts,
    figures_of,
    fit_page,
    report_facts,
    save_fit_report,
)
from pct.optimization.constants.curves import Curve, Curves
from pct.optimization.constants.model import FittedModel
from pct.optimization.constants.profile import Profile

SPEC = MODEL_SPECS["singletrack-pacejka"]
SCALARS = [name for name in SPEC.param_keys if not SPEC.full_shapes[name]]


def curves(gradient: float = 0.01) -> Curves:
    """A side force of 10 N a rad of slip, known to 0.5 N where it was driven and hardly beyond."""
    x = np.linspace(-1, 1, 101)
    side = Curve(x, 10 * x, np.where(np.abs(x) <= 0.5, 0.25, 100.0), (-0.5, 0.5))
    return Curves({"front": side, "rear": side}, "N", None, (gradient, 0.002), {1.0: side, 0.0: side})


def report(**changes: object) -> FitReport:
    settings = {"horizon": 25, "history": 25, "stride": 5}
    values = {name: SPEC.default_params[name] for name in SPEC.param_keys}
    fitted = FittedModel(
        spec=SPEC,
        params=values,
        deviations=dict.fromkeys(values, 0.1),
        dt=0.04,
        integrator_name="rk4",
        substeps=2,
        settings=settings,
        remaining_error={},
    )
    verdicts = {name: {"verdict": "identified", "advice": None} for name in SCALARS}
    verdicts["D_f"] = {"verdict": "weak", "advice": "Corner <fast>."}
    correlation = np.eye(len(SCALARS))
    correlation[0, 1] = correlation[1, 0] = -0.95
    made = FitReport(
        fitted=fitted,
        verdicts=verdicts,
        facts=["A fact."],
        names=SCALARS,
        correlation=correlation,
        curves=curves(),
        channels=("vx", "psi_dot"),
        times=np.arange(3.0),
        breaks=[],
        errors=np.ones((3, 2)),
        accepted=np.ones(3, bool),
    )
    return dataclasses.replace(made, **changes)


@pytest.mark.parametrize(
    ("gradient", "said"),
    [(0.01, "understeers"), (-0.01, "oversteers"), (0.003, "may understeer or oversteer")],
)
def test_a_gradient_is_as_sure_as_its_error(gradient: float, said: str) -> None:
    assert f"the car {said}." in curve_facts(curves(gradient))[0]


def test_side_forces_are_judged_where_they_were_driven() -> None:
    # 1.96 * 0.25 N of 5 N; beyond 0.5 rad nothing is known.
    assert "from -0.5 to 0.5 rad were driven; it is known there to ± 9.8 %" in curve_facts(curves())[1]


def test_the_facts_name_the_strongest_pair() -> None:
    assert f"{SCALARS[0]} and {SCALARS[1]} -0.95" in report_facts(report())[-1]


def test_windows_that_explode_are_told() -> None:
    line = "2 of 9 windows EXPLODE with the fit: 'a' from 2.00 s (v after 0.35 s) and 1 more."
    told = report(explosions=[line])
    assert report_facts(told)[0] == line
    assert "2 of 9 windows EXPLODE" in fit_page(told, "run_1", dict.fromkeys(figures_of(told), b""))


def test_the_page_holds_all_figures_drawn_once_and_escapes_texts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    drawn: list[str] = []
    monkeypatch.setattr(
        plots, "as_png", lambda draw, **_: drawn.append(draw.func.__name__) or draw.func.__name__.encode()
    )
    profile = Profile("D_f", np.arange(3.0), np.array([9.0, 0.0, 1.0]), (0.4, None), 0.5)
    page = save_fit_report(tmp_path, report(profiles=[profile])).read_text()
    assert drawn == ["draw_curves", "draw_profile", "draw_correlations", "draw_residuals"]
    for name, content in zip(("curves", "profile_D_f", "correlations", "residuals"), drawn, strict=True):
        assert (tmp_path / "analysis" / f"{name}.png").read_text() == content
        assert f'src="data:image/png;base64,{base64.b64encode(content.encode()).decode()}"' in page
    assert "D_f: Corner &lt;fast&gt;." in page
    assert "95 % interval 0.4 to open N" in page
    assert page.count("data:image/") == 4


def test_figures_and_numbers_are_kept(tmp_path: Path) -> None:
    page = save_fit_report(tmp_path, report())
    assert page == tmp_path / "report.html"
    names = {path.name for path in (tmp_path / "analysis").iterdir()}
    assert names == {"curves.png", "correlations.png", "residuals.png"}
    table = json.loads((tmp_path / "curves.json").read_text())
    assert table["side_force"]["front"]["slip_angle"]["reached"] == [-0.5, 0.5]
    assert set(table["drive_force"]) == {"0", "1"}
