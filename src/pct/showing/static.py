"""The page as files: a folder that works without a server, and may be sent to somebody else."""

from __future__ import annotations

import shutil
from pathlib import Path

from pct.errors import DataError
from pct.files import new_folder, write_output
from pct.showing.index import Index
from pct.showing.server import Refused, open_within
from pct.showing.view import FILES, LIST, PAGES, list_page, page_of, result_page


def write_pages(root: Path, folder: Path) -> tuple[Path, int]:
    """Write the list, a page a result, and copies of the results' own pages and figures.

    Args:
        root: folder of the results.
        folder: the new folder.

    Returns:
        The page of all results, and how many there are.

    Raises:
        DataError: the folder exists or cannot be written.
    """
    index = Index(root)
    results = index.results()
    with new_folder(folder) as building:
        try:
            (building / PAGES).mkdir()
            for result in results:
                page = result_page(result, index.curve(result), live=False)
                write_output(building / page_of(result), page.encode())
                for place in (*result.pages, *result.figures):
                    _copy(index.root, place, building / FILES)
        except OSError as error:
            raise DataError(f"{folder}: cannot write ({error.strerror}): choose another place") from None
        write_output(building / LIST, list_page(results, index.root, live=False).encode())
    return folder / LIST, len(results)


def _copy(root: Path, place: str, target: Path) -> None:
    """Copy a file that lies within the results; one that is gone by now is left out."""
    try:
        file, _, _ = open_within(root, place.split("/"))
    except Refused:
        return
    copy = target / place
    copy.parent.mkdir(parents=True, exist_ok=True)
    with file, copy.open("wb") as new:
        shutil.copyfileobj(file, new)
