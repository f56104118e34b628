"""The local server of the page: on the loopback interface, for whoever has the token of its address.

Everything that is asked for is checked: the name of the server, so that no other page reaches it by a name
that is bound anew (DNS rebinding); the token; and that a file lies within the results, links included. What a
result folder brings along may be a stranger's page: it runs in a sandbox that reaches nothing else.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import secrets
import shutil
import socketserver
import stat
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote_to_bytes

from pct.files import UNFOLLOWED
from pct.showing.index import Index
from pct.showing.view import FILES, LIST, LIVE, PAGES, list_page, result_page, script_hash

HOST = "127.0.0.1"
NAMES = {HOST, "localhost"}
# Seconds that a connection may be silent.
PATIENCE = 20.0
# What a browser shows; everything else is for the disk.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".csv": "text/csv; charset=utf-8",
    ".toml": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
# Our own pages: one script, known by its hash. Those of results: no network, and an origin of their own.
OWN = (
    f"default-src 'none'; script-src {script_hash()}; style-src 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
FOREIGN = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

log = logging.getLogger(__name__)


class PageServer(ThreadingHTTPServer):
    """Serves the results of a folder until it is shut down.

    Attributes:
        index: of the results.
        token: without which nothing is answered.
    """

    daemon_threads = True
    # On Windows it would let another program take the same port.
    allow_reuse_address = os.name != "nt"

    def __init__(self, root: Path, port: int = 0) -> None:
        """Begin to listen.

        Args:
            root: folder of the results.
            port: a free one where it is 0.

        Raises:
            OSError: the port is in use or not allowed.
        """
        self.index = Index(root)
        self.token = secrets.token_urlsafe(24)
        super().__init__((HOST, port), _Handler)

    def server_bind(self) -> None:
        """Bind, without asking a name server who we are."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Leave a reader that went away alone; anything else is a fault of ours."""
        log.debug("a request failed", exc_info=True)


class Refused(Exception):
    """A request that is not answered."""

    def __init__(self, status: HTTPStatus) -> None:
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    timeout = PATIENCE
    server_version, sys_version = "pct", ""

    def do_GET(self) -> None:
        self._answer(with_content=True)

    def do_HEAD(self) -> None:
        self._answer(with_content=False)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: the terminal is the user's."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Refuse in one line, without a word of what was asked."""
        content = f"{code} {HTTPStatus(code).phrase}\n".encode()
        self._send(HTTPStatus(code), "text/plain; charset=utf-8", content, OWN, self.command != "HEAD")

    def _answer(self, *, with_content: bool) -> None:
        try:
            parts = self._parts()
            if len(parts) > 1 and parts[0] == FILES:
                self._send_file(parts[1:], with_content)
                return
            kind, content = self._page(parts)
            self._send(HTTPStatus.OK, kind, content, OWN, with_content)
        except Refused as refused:
            self.send_error(refused.status)
        except ConnectionError:
            self.close_connection = True

    def _parts(self) -> list[str]:
        """Parts of the path after the token."""
        host = self.headers.get("Host", "").rpartition(":")
        if (host[0] or host[2]).lower() not in NAMES:
            raise Refused(HTTPStatus.FORBIDDEN)
        path = self.path.partition("?")[0].removeprefix("/")
        parts = [os.fsdecode(unquote_to_bytes(part)) for part in path.split("/")]
        if not hmac.compare_digest(os.fsencode(parts[0]), self.server.token.encode()) or len(parts) < 2:
            raise Refused(HTTPStatus.FORBIDDEN)
        return parts[1:]

    def _page(self, parts: list[str]) -> tuple[str, bytes]:
        """Type and content of a page of ours."""
        index = self.server.index
        if parts in ([""], [LIST]):
            results = index.results()
            page = list_page(results, index.root, live=True, version=index.version)
            return TYPES[".html"], page.encode()
        if parts == [LIVE]:
            runs = index.progress()
            return TYPES[".json"], json.dumps({"version": index.version, "runs": runs}).encode()
        if len(parts) == 2 and parts[0] == PAGES:
            results = index.results()
            for result in results:
                if parts[1] == f"{result.id}.html":
                    page = result_page(result, index.curve(result), live=True, version=index.version)
                    return TYPES[".html"], page.encode()
        raise Refused(HTTPStatus.NOT_FOUND)

    def _send_file(self, parts: list[str], with_content: bool) -> None:
        file, size, name = open_within(self.server.index.root, parts)
        with file:
            kind = TYPES.get(os.path.splitext(name)[1].lower())
            self._begin(HTTPStatus.OK, kind or "application/octet-stream", size, FOREIGN)
            if kind is None:
                self.send_header("Content-Disposition", "attachment")
            self.end_headers()
            if with_content:
                shutil.copyfileobj(file, self.wfile)

    def _send(self, status: HTTPStatus, kind: str, content: bytes, policy: str, with_content: bool) -> None:
        self._begin(status, kind, len(content), policy)
        self.end_headers()
        if with_content:
            self.wfile.write(content)

    def _begin(self, status: HTTPStatus, kind: str, size: int, policy: str) -> None:
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(size)),
            ("Content-Security-Policy", policy),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Cache-Control", "no-store"),
        ):
            self.send_header(name, value)


def open_within(root: Path, parts: list[str]) -> tuple[BinaryIO, int, str]:
    """A plain file below a folder, its size and its name.

    Args:
        root: the folder, without links.
        parts: of the path from there.

    Raises:
        Refused: the path leads out of the folder, by itself or by a link, or there is no such file.
    """
    if any(part in ("", ".", "..") or part.startswith(".") or set(part) & set("/\\\0") for part in parts):
        raise Refused(HTTPStatus.FORBIDDEN)
    try:
        path = Path(os.path.realpath(root.joinpath(*parts), strict=True))
        if not path.is_relative_to(root):
            raise Refused(HTTPStatus.FORBIDDEN)
        handle = os.open(path, os.O_RDONLY | UNFOLLOWED)
    except OSError:
        raise Refused(HTTPStatus.NOT_FOUND) from None
    facts = os.fstat(handle)
    if not stat.S_ISREG(facts.st_mode):
        os.close(handle)
        raise Refused(HTTPStatus.NOT_FOUND)
    return os.fdopen(handle, "rb"), facts.st_size, path.name
