"""The report of a fit: what it says follows from the curves and profiles that it is given."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

from pages.read import figures_of_page
from pct.dynamics import MODEL_SPECS
from pct.evaluation.fit_page import fit_page, fit_verdict, save_fit_report
from pct.evaluation.fit_report import (
    FitReport,
    curve_facts,
    report_facts,
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
    assert "2 of 9 windows EXPLODE" in fit_page(told, Path("run_1"))


def test_the_page_says_what_to_trust_and_escapes_texts() -> None:
    profile = Profile("D_f", np.arange(3.0), np.array([9.0, 0.0, 1.0]), (0.4, None), 0.5)
    page = fit_page(report(profiles=[profile]), Path("runs/<b>run"))
    assert f"Trust {len(SCALARS) - 1} of {len(SCALARS)} parameters (" in page
    trusted, doubted = (
        page[page.index(f">{title}</h2>") :].partition("</section>")[0]
        for title in ("What to trust", "What not to trust, and why")
    )
    assert all(f'class="text">{name}</th>' in trusted for name in SCALARS)
    assert re.findall(r'<th scope="row" class="text">(\w+)<', doubted) == ["D_f"]
    assert '<td class="text">Corner &lt;fast&gt;.</td>' in doubted
    assert "D_f: Corner &lt;fast&gt;." in page
    assert "95 % interval 0.4 to open N" in page
    assert "&lt;b&gt;run" in page
    assert "<b>" not in page
    names = {"curve-1", "curve-2", "curve-3", "residuals", "correlations", "profile-d-f"}
    assert set(figures_of_page(page)) == names


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        (["identified"] * 2, "All 2 parameters can be trusted."),
        (["weak", "at bound"], "Trust none of the 2 parameters yet."),
        (["weak"], f"Do not trust {SCALARS[0]} yet."),
        (["weak", "identified"], f"Trust 1 of 2 parameters ({SCALARS[1]})."),
    ],
)
def test_the_verdict_is_one_sentence(verdicts: list[str], said: str) -> None:
    judged = {k: {"verdict": v, "advice": None} for k, v in zip(SCALARS, verdicts, strict=False)}
    assert fit_verdict(report(verdicts=judged)).values["sentence"] == said


def test_figures_and_numbers_are_kept(tmp_path: Path) -> None:
    page = save_fit_report(tmp_path, report())
    assert page == tmp_path / "report.html"
    names = {path.name for path in (tmp_path / "analysis").iterdir()}
    assert names == {"curves.png", "correlations.png", "residuals.png"}
    table = json.loads((tmp_path / "curves.json").read_text())
    assert table["side_force"]["front"]["slip_angle"]["reached"] == [-0.5, 0.5]
    assert set(table["drive_force"]) == {"0", "1"}
