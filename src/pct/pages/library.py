"""The plot library and data of figures as text inside a page: compressed, unpacked by the browser.

Browsers read gzip by ``DecompressionStream``: Chromium from 80, Firefox from 113, Safari from 16.4.
"""

from __future__ import annotations

import base64
import functools
import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

from pct.errors import DataError


def plotly_script() -> bytes:
    """The source of plotly.js, as its Python package ships it; for a server that hands it out.

    Raises:
        DataError: the package is not installed whole.
    """
    # Found, not imported: the package itself draws nothing here, and takes half a second to load.
    package = importlib.util.find_spec("plotly")
    folders = [] if package is None else list(package.submodule_search_locations or ())
    try:
        return (Path(folders[0]) / "package_data" / "plotly.min.js").read_bytes()
    except (IndexError, OSError):
        raise DataError("plotly: expected the package that draws figures of pages: install plotly") from None


@functools.cache
def inlined_library() -> str:
    """plotly.js for a page, packed; 2 MB."""
    return packed(plotly_script())


def packed(content: bytes) -> str:
    """Bytes as text that is safe inside any element of a page; the same text for the same bytes."""
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()


def packed_json(value: Any) -> str:
    """A JSON value, packed."""
    return packed(json.dumps(value, separators=(",", ":"), allow_nan=False).encode())


def unpacked_json(text: str) -> Any:
    """What `packed_json` has packed.

    Examples:
        >>> unpacked_json(packed_json({"x": [1, None]}))
        {'x': [1, None]}
    """
    return json.loads(gzip.decompress(base64.b64decode(text)))
