"""Pages that are opened in a browser, where there is a screen."""

from __future__ import annotations

import os
import sys
import webbrowser


def open_page(address: str) -> None:
    """Open a page; without a screen nothing happens, since a browser in the terminal would take it over."""
    if sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY"))):
        webbrowser.open(address)
