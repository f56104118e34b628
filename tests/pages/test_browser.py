"""Pages in a real browser: no script error, no missing figure, controls that work, readable by all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import pct
from pages.browser import browser, view
from pages.read import figures_of_page
from pages.test_pages import NAME, everything, whole_page
from pct import pages

ROOT = Path(__file__).parents[2]


def test_a_slider_changes_its_figure_by_keyboard_on_a_phone(tmp_path: Path) -> None:
    slider, figure = everything(NAME)[0], everything(NAME)[3]
    path = tmp_path / "page.html"
    path.write_text(pages.page(NAME, [pages.Section(NAME, [slider, figure])], lead=[pages.verdict(NAME)]))
    with browser() as opened, view(opened, width=390) as seen:
        seen.open(path)
        assert seen.faults() == []
        before = seen.drawn("lines")
        seen.page.focus("#control-step")
        seen.page.keyboard.press("ArrowRight")
        seen.page.wait_for_selector('#figure-lines[data-drawn="[1]"]')
        assert seen.drawn("lines") != before
        # The name is shown, and the new title of the axis.
        assert seen.page.inner_text("output") == f"{NAME} 1"
        assert seen.page.get_attribute("#control-step", "aria-valuetext") == f"{NAME} 1"
        assert seen.page.text_content("#figure-lines .x2title") == "1"
        assert seen.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a", NAME])
@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 390)])
def test_a_page_of_everything(scheme: str, width: int, name: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(whole_page(name))
    with browser() as opened, view(opened, width=width, scheme=scheme) as seen:
        seen.open(path)
        assert seen.faults() == []
        line = "document.querySelector('#figure-lines .js-line').style.stroke"
        assert seen.page.evaluate(line) == ("rgb(27, 31, 36)" if scheme == "light" else "rgb(240, 242, 244)")
        # A jump of the slider, and a choice.
        seen.page.click("text=Last")
        seen.page.wait_for_selector('#figure-lines[data-drawn="[2]"]')
        before = seen.drawn("map")
        seen.page.select_option("#control-color", index=1)
        seen.page.wait_for_selector('#figure-map[data-drawn="[1]"]')
        assert seen.drawn("map") != before
        assert seen.errors == []


@pytest.mark.slow
def test_figures_follow_when_it_gets_dark_and_paper_shows_everything(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(whole_page())
    with browser() as opened, view(opened) as seen:
        seen.open(path)
        line = "document.querySelector('#figure-lines .js-line').style.stroke"
        seen.page.emulate_media(color_scheme="dark")
        seen.page.wait_for_function(f"{line} == 'rgb(240, 242, 244)'")
        assert not seen.page.evaluate("document.querySelector('details').open")
        # At once, as the browser waits for nothing: the colours of paper, and its width.
        width = "Math.max(...[...document.querySelectorAll('.main-svg')].map(x => x.clientWidth))"
        print_it = "dispatchEvent(new Event('beforeprint'));"
        drawn = seen.page.evaluate(f"() => {{{print_it} return [{line}, {width}]}}")
        assert drawn == ["rgb(27, 31, 36)", 680]
        assert seen.page.evaluate("document.querySelector('details').open")
        seen.page.evaluate("dispatchEvent(new Event('afterprint'))")
        seen.page.wait_for_function(f"{line} == 'rgb(240, 242, 244)' && {width} > 680")
        seen.page.emulate_media(media="print", color_scheme="light")
        assert not seen.page.is_visible("nav")
        assert seen.page.pdf().startswith(b"%PDF")


@pytest.mark.slow
def test_a_browser_that_cannot_unpack_says_so(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(whole_page())
    with browser() as opened, view(opened) as seen:
        seen.page.add_init_script("delete window.DecompressionStream")
        seen.open(path)
        assert "cannot be drawn" in seen.page.inner_text("#figure-lines")


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Of a fit, its evaluation, `pct run` and a training, in a folder whose name means something."""
    folder = tmp_path_factory.mktemp("reports") / "<b>&"
    car = pct.model("singletrack").hold("m")
    drives = pct.simulate(pct.model("singletrack"), recordings=5, duration=8.0, mu=(0.7,), noise=0.1)
    fit = pct.fit(car, drives[:4], horizon=10, history=10, iterations=8)
    fit.save(folder / "fit")
    pages_made = [
        folder / "fit" / "report.html",
        pct.evaluate(fit, drives[4], at=(0.2, 0.5)).save(folder / "judged"),
    ]
    drives[0].table().select("t", "x", "y", "psi", "v").write_csv(folder / "<i>log.csv")
    pages_made.append(pct.run(folder / "<i>log.csv", folder / "run", model="unicycle").folder / "report.html")
    flags = "--horizon 4 --history 4 --epochs 1 --engine jax --samples 80 --no-history-fit"
    train = [
        sys.executable,
        "-m",
        "pct",
        "train",
        "--dataset",
        ROOT / "datasets" / "surfaces" / "val",
        *flags.split(),
    ]
    subprocess.run([*train, "--results", folder / "trained"], check=True)
    (run,) = (folder / "trained").glob("*/run_*")
    return [*pages_made, run / "report.html"]


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 1200), ("light", 390)])
def test_the_reports_of_commands(scheme: str, width: int, reports: list[Path]) -> None:
    for path in reports:
        figures_of_page(path.read_text())
        with browser() as opened, view(opened, width=width, scheme=scheme) as seen:
            seen.open(path)
            assert seen.faults() == [], path
            if seen.page.query_selector("#control-beside"):
                # The nearest baseline alone, then none.
                assert seen.page.inner_text("#control-beside").splitlines()[-2:] == ["all", "none"]
                shown = "#figure-window-way .scatterlayer .trace"
                before = seen.page.locator(shown).count()
                seen.page.select_option("#control-beside", label="none")
                seen.page.wait_for_function(f"document.querySelectorAll('{shown}').length == {before - 1}")
            names = ("window-channels", "whole-drive", "window-way")
            before = [seen.drawn(name) for name in names]
            step = int(seen.page.get_attribute("text=Worst window", "data-step"))
            seen.page.click("text=Worst window")
            for name in names:
                seen.page.wait_for_selector(f'#figure-{name}[data-drawn^="[{step}"]')
            assert step == 0 or all(seen.drawn(name) != old for name, old in zip(names, before, strict=True))
            seen.page.select_option("#control-map-color", index=1)
            seen.page.wait_for_selector('#figure-map[data-drawn="[1]"]')
            assert seen.errors == []
