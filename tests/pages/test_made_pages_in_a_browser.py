"""Pages of tracks and datasets in a real browser."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pages.browser import browser, view
from pages.made_pages import samples, track_page
from pages.test_pages import NAME
from pct.pages import Section, figure, grid, page
from pct.pages.driven import driven_figures
from pct.pages.plans import Limited, limited_figure, plan_figure


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 390)])
def test_a_choice_leads_from_drive_to_drive(scheme: str, width: int, tmp_path: Path) -> None:
    path = tmp_path / "track.html"
    path.write_text(track_page([NAME, "b"]))
    with browser() as opened, view(opened, width=width, scheme=scheme) as seen:
        seen.open(path)
        assert seen.faults() == []
        assert seen.page.inner_text("#control-drive option >> nth=0") == NAME
        seen.page.select_option("#control-drive", index=1)
        for name in ("time", "map-mu"):
            seen.page.wait_for_selector(f'#figure-{name}[data-drawn="[1]"]')
        assert seen.errors == []


@pytest.mark.slow
@pytest.mark.parametrize(("scheme", "width"), [("dark", 1200), ("light", 390)])
def test_datasets_and_designs_are_drawn(scheme: str, width: int, tmp_path: Path) -> None:
    t = 0.1 * np.arange(100)
    plan = plan_figure(
        edges=[np.array([[0.0, -1.0], [10.0, -1.0], [10.0, 1.0]])],
        times=t,
        place=np.stack([t, 0.1 * t**2], axis=-1),
        speed=t,
        cones=np.zeros((0, 2)),
    )
    limits = limited_figure(t, [Limited("speed", "m/s", t, 5.0, False), Limited("slip", "rad", t, 0.5, True)])
    driven = [figure(name, shown, title) for name, (title, shown) in driven_figures(samples()).items()]
    parts = [grid(driven), figure("plan", plan), figure("limits", limits)]
    path = tmp_path / "page.html"
    path.write_text(page(NAME, [Section(NAME, parts)]))
    with browser() as opened, view(opened, width=width, scheme=scheme) as seen:
        seen.open(path)
        assert seen.faults() == []
