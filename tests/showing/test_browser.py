"""The pages in a real browser: filters, order, comparison, live progress, and nothing that a name can do."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pages.browser import browser as opened_browser
from pct.runs.lock import RunLock
from pct.showing.server import PageServer
from pct.showing.static import write_pages
from showing.made_results import EVALUATION, HOSTILE, TRAINED, fit, training, write

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with opened_browser() as opened:
        yield opened


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    """A page that fails the test where a script fails, or a policy stops anything."""
    page = browser.new_page(color_scheme="dark", viewport={"width": 390, "height": 800})
    said: list[str] = []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda line: said.append(line.text) if line.type == "error" else None)
    yield page
    page.close()
    assert said == []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    run = fit(folder / HOSTILE, value=0.7, horizon=20)
    write(run / "evaluation", {"evaluation.json": EVALUATION})
    fit(folder / "run_b", value=0.9, horizon=25)
    training(folder / "trained", **TRAINED)
    write(folder / "trained", {"analysis/loss.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>"})
    write(fit(folder / "damaged"), {"DONE": "{"})
    return folder


def shown(page: Any) -> list[str]:
    return page.locator("#runs tbody tr:visible th bdi").all_inner_texts()


def test_files_are_filtered_sorted_and_compared(page: Any, root: Path, tmp_path: Path) -> None:
    index, _ = write_pages(root, tmp_path / "pages")
    page.goto(index.as_uri())
    assert page.title() == f"Results in {root.parent.name}"
    assert len(shown(page)) == 5
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.fill("#text", "RUN_b")
    assert shown(page) == ["run_b"]
    page.fill("#text", "")
    page.select_option("#state", "damaged")
    assert shown(page) == ["damaged"]
    assert "found no JSON" in page.locator("tr:visible td[data-label=Found]").inner_text()
    page.select_option("#state", "")
    page.select_option("#kind", "fit")
    page.set_viewport_size({"width": 1200, "height": 800})
    # By the keyboard: the head sorts, twice is the other way round.
    page.locator("#runs thead button").nth(0).focus()
    page.keyboard.press("Enter")
    assert shown(page) == [HOSTILE, "damaged", "run_b"]
    page.keyboard.press("Enter")
    assert shown(page) == ["run_b", "damaged", HOSTILE]
    assert page.locator("#runs thead th[aria-sort]").get_attribute("aria-sort") == "descending"
    assert page.locator("#compare").is_disabled()
    for box in (0, 2):
        page.locator("#runs tbody tr:visible input").nth(box).check()
    assert page.inner_text("#count") == "3 of 5 results, 2 selected"
    page.click("#compare")
    compared = page.inner_text("#comparison")
    assert "0.7\n[0.602 to 0.798]\nidentified" in compared
    assert [text.split("\t") for text in compared.split("\n") if text.startswith("horizon")] == [
        ["horizon", "25", "20", ""]
    ]
    assert "iterations" not in compared
    assert page.locator("#compared svg").count() == 4
    runs = [shlex.quote(str(root / name)) for name in ("run_b", HOSTILE)]
    assert page.inner_text("#judge-command") == f"pct compare {' '.join(runs)} --page difference.html"
    # The address keeps what is shown.
    page.reload()
    assert shown(page) == ["run_b", "damaged", HOSTILE]
    assert "0.602 to 0.798" in page.inner_text("#comparison")
    page.locator("#runs").get_by_role("link", name=HOSTILE, exact=True).click()
    assert page.title() == HOSTILE


def test_a_running_training_is_followed(page: Any, root: Path) -> None:
    run = training(root / "running", epochs=2)
    lock = RunLock()
    lock.take(run)
    with PageServer(root) as server:
        threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True).start()
        try:
            page.clock.install()
            page.goto(server.address)
            cards = page.locator("#cards article")
            cards.wait_for()
            assert "epoch 2/15" in cards.inner_text()
            assert cards.locator("svg").get_attribute("aria-label") == (
                "Loss over 4 steps: training 0.25, validation 0.25"
            )
            training(run, epochs=3)
            page.clock.run_for(2100)
            page.get_by_text("epoch 3/15").first.wait_for()
            page.locator("#runs input").first.check()
            lock.release()
            write(run, TRAINED)
            page.clock.run_for(2100)
            page.locator("tr[data-state=running]").wait_for(state="detached")
            assert page.locator("#running").is_hidden()
            assert page.inner_text("#count") == "6 results, 1 selected"
        finally:
            lock.release()
            server.shutdown()


def test_a_page_of_a_result_runs_apart_from_ours(browser: Any, root: Path) -> None:
    write(
        root / "run_b",
        {"report.html": "<title>a</title><script>try { document.title = localStorage.length } catch (error) "
         "{ document.title = 'apart' }; fetch('../../index.html').then(() => { document.title = 'read' })"
         ".catch(() => { document.title += ', alone' })</script>"},
    )  # fmt: skip
    with PageServer(root) as server:
        threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True).start()
        try:
            other = browser.new_page()
            other.goto(f"{server.address}files/run_b/report.html")
            other.wait_for_function("document.title.includes('alone')")
            assert other.title() == "apart, alone"
            other.close()
        finally:
            server.shutdown()


def test_axe_finds_nothing(page: Any, root: Path, tmp_path: Path) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="checks of pages need axe"
    ).Axe()
    index, _ = write_pages(root, tmp_path / "pages")
    page.goto(index.as_uri())
    for box in page.locator("#runs input").all()[:3]:
        box.check()
    page.click("#compare")
    for one in (index, *sorted(index.parent.glob("runs/*.html"))[:2]):
        if one != index:
            page.goto(one.as_uri())
        assert [violation["id"] for violation in axe.run(page).response["violations"]] == []
