"""`pct show`: all results as one page, by a local server or as files."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from pct.cli.console import flush, say
from pct.cli.flags import DebugFlags, parse
from pct.errors import DataError, UsageError
from pct.within import Within

PORT = Within(0, 65535, whole=True)


@dataclasses.dataclass(frozen=True)
class ShowConfig:
    """Show all runs of a folder on one page: a table with filters, comparisons, and what is running now.

    A server on this machine alone answers, to whoever has the address with its token; Ctrl-C ends it.

    Example: pct show results
    """

    results: tyro.conf.Positional[Path | None] = None
    """Folder of all runs, or of one. Default: results/ in the current folder."""
    static: Path | None = None
    """Write the page into this new folder instead, with copies of the runs' reports and figures: it needs no
    server and may be sent to somebody."""
    port: Annotated[int, PORT] = 0
    """Port of the server; 0 takes a free one."""
    browser: bool = True
    """Open the page in a browser, where there is a screen."""
    debug: tyro.conf.OmitArgPrefixes[DebugFlags] = dataclasses.field(default_factory=DebugFlags)

    def validate(self) -> None:
        """Raise UsageError for flags that do not go together."""
        if self.static is not None and self.port:
            raise UsageError("`port` goes without `static`: files need no server")


CONFIG = ShowConfig


def main(argv: Sequence[str] | None = None) -> None:
    """Read the flags, then serve or write."""
    args = parse(ShowConfig, argv, prog="pct show")
    from pct.cli.browser import open_page
    from pct.cli.folders import default_results

    results = args.results or default_results()
    if not results.is_dir():
        found = "a file" if results.exists() else "nothing"
        fix = "check the path" if args.results else "pct demo makes one; or name the folder of your results"
        raise DataError(f"{results}: expected a folder of runs, found {found}: {fix}")
    if args.static is not None:
        from pct.showing.static import write_pages

        page, count = write_pages(results, args.static)
        say(f"Page of {count} results: {page}")
        if args.browser:
            open_page(page.resolve().as_uri())
        return
    _serve(results, args.port, browser=args.browser)


def _serve(results: Path, port: int, *, browser: bool) -> None:
    from pct.cli.browser import open_page
    from pct.showing.server import PageServer

    try:
        server = PageServer(results, port)
    except OSError as error:
        why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise UsageError(f"`port={port}`: {why}: give another one, or none for a free one") from None
    with server:
        say(f"Results in {results.resolve()}: {server.address}", "Ctrl-C ends the server")
        flush()
        if browser:
            open_page(server.address)
        server.serve_forever()
