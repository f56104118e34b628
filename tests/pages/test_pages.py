"""Pages are whole without a network, figures are what plotly reads, and names are data."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pages.read import figures_of_page
from pct import pages
from pct.errors import DataError
from pct.pages import charts, ladders, library, trainings
from pct.pages.figures import BAND, MEASURED, SIMULATED, Figure, Step, band, line, numbers, stacked, thinned
from pct.pages.parts import figures_in
from pct.plots import Band, Forest, Panel

NAME = "</script><script>alert(1)</script><!-- <b>& \"' {{ 7 * 7 }} \u202e"


def everything(name: str = "a") -> list[pages.Part]:
    """A part of every kind, with a figure of every kind; ``name`` stands wherever a name can."""
    x = np.linspace(0, 1, 11)
    curve = Band(x, x, x - 0.1, x + 0.1, (0.2, 0.8))
    forest = Forest(
        "s", "N", name, x[:3], x[:3] / 9, np.array([True, True, False]), 0.1, (0.0, 1.0), (-1.0, 2.0)
    )
    layout = stacked([(name, "m"), (name, "1")], name)
    lines = [
        line(x, x, name, MEASURED),
        line(x, x**2, name, SIMULATED, axis=2),
        band(x, x, x + 1, name, BAND, axis=2),
    ]
    steps = [Step([{"y": numbers(k * x)}], {"xaxis2": {"title": {"text": f"{k}"}}}) for k in range(3)]
    intervals = np.array([[1.0, 0.9, 1.1], [100.0, 90.0, 110.0], [np.nan] * 3])
    growth = {name: {name: np.stack([x, x, x], axis=1)}}
    figures = {
        "lines": Figure(lines, layout, f"Lines of {name}", {"step": steps}),
        "curve": charts.curve_figure(Panel(name, (name, "rad"), (name, "N"), {name: curve})),
        "residuals": charts.residual_figure([(name, "m")], x, x[:, None], x > 0.2, [0.5], name),
        "correlogram": charts.correlogram([name], x, x[None], 0.1, 0.3, name),
        "correlations": charts.correlation_figure([name, "b"], np.eye(2), name),
        "forest": charts.forest_figure([name, "b", "c"], [forest, forest], "quantity"),
        "profile": charts.profile_figure(name, "N", x, x, 1.0, {name: 0.5}),
        "posterior": charts.posterior_figure(
            [name, "b"],
            ["N", "1"],
            np.random.default_rng(0).normal(size=(9, 2)),
            np.array([[-2.0, 2.0]] * 2),
            np.array([[-2.1, 1.9]] * 2),
            "quantity",
        ),
        "map": charts.map_figure(x, x, {name: ("m", x), "b": ("1", x)}, (x, x), "color"),
        "ladder": ladders.ladder_figure([name, "b", "c"], intervals, np.array([2]), "title", name),
        "bins": ladders.bins_figure(name, "m/s", np.array([0.0, 1.0, 2.0]), {name: intervals[:2]}, "RMSE"),
        "course": trainings.course_figure(x, {name: "N"}, {name: x}, {name: x}, (x > 0.5).astype(int)),
        "losses": trainings.loss_figure(
            train_steps=x,
            train_loss=x,
            val_steps=x,
            val_loss=x,
            learning_rate=x,
            horizon=x,
            best_step=1,
        ),
        "growth": ladders.growth_figure(0.1, [(name, "m")], growth, name),
    }
    return [
        pages.slider("step", name, [f"{name} {k}" for k in range(3)], {"Last": 2}),
        pages.select("quantity", name, [name, "b"]),
        pages.select("color", name, [name, "b"]),
        *(pages.figure(key, shown, name) for key, shown in list(figures.items())[:2]),
        pages.grid([pages.figure(key, shown) for key, shown in list(figures.items())[2:]]),
        pages.details(name, [pages.subheading(name), pages.paragraph(name), pages.bullets([name])]),
        pages.table([name, "x"], [[name, "1"], ["b", "2"]], caption=name, strong=name),
        pages.commands([name]),
        pages.picture(pages.png_source(b"PNG"), name),
    ]


def whole_page(name: str = "a") -> str:
    sections = [pages.Section(title, [pages.paragraph(name)]) for title in ("First", "Empty", name)]
    sections = [
        sections[0],
        sections[1]._replace(parts=[]),
        sections[2],
        pages.Section("All", everything(name)),
    ]
    return pages.page(name, sections, lead=[pages.verdict(name, "good")])


def test_a_page_is_whole_and_fetches_nothing() -> None:
    page = whole_page()
    figures = figures_of_page(page)
    assert len(figures) == 14
    assert figures["lines"]["by"]["step"][2]["data"][0]["y"][-1] == 2.0
    assert ">Empty<" not in page
    assert page.rstrip().endswith("</html>")
    assert page == whole_page()  # the same bytes each time


def test_names_are_data() -> None:
    page = whole_page(NAME)
    assert len(figures_of_page(page)) == 14
    assert "alert(1)</script>" not in page
    assert "<b>" not in page
    assert "<!--" not in page
    assert ">49<" not in page
    # The steps of a slider are JSON in a script element.
    (steps,) = re.findall(r'<script type="application/json" data-steps="step">(.*?)</script>', page)
    assert json.loads(steps) == [f"{NAME} {k}" for k in range(3)]


def texts_of(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in texts_of(item)]


def test_figures_show_names_as_they_are() -> None:
    """Plotly reads some markup, and links, in its texts."""
    figures = figures_in(everything(NAME))
    assert figures
    for shown in figures.values():
        texts = texts_of(json.loads(json.dumps(shown.as_json())))
        assert texts
        assert not any("<b>" in text or "\u202e" in text for text in texts)


@pytest.mark.slow
def test_plotly_knows_every_property() -> None:
    """Its Python package refuses what plotly.js would pass over."""
    from plotly.graph_objects import Figure as Checked

    def hex_of(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: hex_of(item) for key, item in value.items()}
        if isinstance(value, list):
            return [hex_of(item) for item in value]
        return "#123456" if isinstance(value, str) and value.startswith("var(") else value

    for shown in figures_in(everything()).values():
        value = hex_of(json.loads(json.dumps(shown.as_json())))
        Checked(data=value["data"], layout=value["layout"])
        for step in (step for steps in value["by"].values() for step in steps):
            for trace, change in zip(value["data"], step["data"], strict=False):
                Checked(data=[trace | change], layout=step["layout"])


def test_the_colours_of_figures_are_of_the_style() -> None:
    style = (Path(pages.__file__).parent / "templates" / "style.css").read_text()
    named = {
        text[4:-1]
        for shown in figures_in(everything()).values()
        for text in texts_of(json.loads(json.dumps(shown.as_json())))
        if text.startswith("var(")
    }
    assert {"--measured", "--simulated-band", "--muted-band"} <= named
    # Once for light and once for dark.
    assert all(style.count(f"{name}:") == 2 for name in named)


def test_two_figures_of_one_name_are_refused() -> None:
    shown = Figure([], {}, "nothing")
    with pytest.raises(ValueError, match="two figures of the name a-b"):
        figures_in([pages.figure("a b", shown), pages.details("more", [pages.figure("a-b", shown)])])


def test_a_long_line_keeps_its_ends() -> None:
    y = np.zeros(100_000)
    y[54_321], y[98_765] = 5.0, -3.0
    y[7] = np.nan
    x, thin = thinned(np.arange(float(y.size)), y)
    assert len(x) <= 2002
    assert (np.nanmax(thin), np.nanmin(thin)) == (5.0, -3.0)
    assert x[np.nanargmax(thin)] == 54_321
    assert (np.diff(x) >= 0).all()


def test_numbers_are_as_long_as_they_need_to_be() -> None:
    assert numbers(np.array([1234.5678, 0.04])) == [1235.0, 0.0]
    assert numbers(np.array([1.23456e-5, np.inf])) == [1.235e-05, None]
    assert numbers(np.zeros(2)) == [0.0, 0.0]
    assert numbers(np.zeros((0,))) == []
    assert numbers(np.array([[1.0, np.nan]])) == [[1.0, None]]


def test_a_server_hands_the_library_out_itself() -> None:
    part = pages.figure("a", Figure([], {}, "nothing"))
    page = pages.page("t", [pages.Section("s", [part])], library="/plotly.js?token=1&x")
    assert '<script src="/plotly.js?token=1&amp;x"></script>' in page
    assert len(page) < 30_000
    assert pages.plotly_script().startswith(b"/**\n* plotly.js v")


def test_without_its_package_a_page_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataError, match="install plotly"):
        library.plotly_script()


def test_nothing_slow_is_loaded_before_a_page_is_made() -> None:
    code = "import pct.pages, pct.pages.charts, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"plotly", "jinja2", "matplotlib", "jax"}.isdisjoint(loaded.stdout.split())
