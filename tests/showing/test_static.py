"""The page as files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pct.errors import DataError
from pct.showing.static import write_pages
from showing.made_results import EVALUATION, HOSTILE, fit, training, write


def test_the_folder_holds_all_that_its_pages_lead_to(tmp_path: Path) -> None:
    root = tmp_path / "results"
    run = fit(root / HOSTILE)
    write(run / "evaluation", {"evaluation.json": EVALUATION, "report.html": "<p>"})
    (run / "analysis" / "outside.png").symlink_to(tmp_path)
    training(root / "killed")
    page, count = write_pages(root, tmp_path / "pages")
    assert (page, count) == (tmp_path / "pages" / "index.html", 3)
    made = {path.relative_to(tmp_path / "pages").as_posix() for path in page.parent.rglob("*.*")}
    assert len([name for name in made if re.fullmatch(r"runs/\w{12}\.html", name)]) == 3
    assert {name for name in made if name.startswith("files/")} >= {
        f"files/{HOSTILE}/report.html",
        f"files/{HOSTILE}/analysis/curves.png",
        f"files/{HOSTILE}/evaluation/report.html",
    }
    for one in [page, *page.parent.glob("runs/*.html")]:
        text = one.read_text()
        assert "data-live" not in text
        assert "<img src=x" not in text
        assert not re.search(r'(src|href)="(https?:)?//', text)
    # A page from elsewhere keeps what it says of itself, and its curve.
    assert '"epoch": 3' in "".join(one.read_text() for one in page.parent.glob("runs/*.html"))


def test_names_that_are_no_text_are_shown_as_they_can_be(tmp_path: Path) -> None:
    root = tmp_path / "results"
    try:
        fit(root / "run\udcff")
    except OSError:
        pytest.skip("the file system takes no such name")
    page, _ = write_pages(root, tmp_path / "pages")
    assert "run\\udcff" in page.read_text()
    assert 'href="files/run%FF/report.html"' in page.read_text()


def test_a_folder_that_is_there_is_not_written_over(tmp_path: Path) -> None:
    fit(tmp_path / "results" / "run")
    with pytest.raises(DataError, match="expected a new folder"):
        write_pages(tmp_path / "results", tmp_path / "results")
