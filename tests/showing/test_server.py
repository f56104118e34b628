"""The local server: what it answers, and what it refuses."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pct.runs.lock import RunLock
from pct.showing.server import PageServer
from showing.made_results import HOSTILE, fit, training

Answer = tuple[int, http.client.HTTPMessage, bytes]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    fit(folder / HOSTILE)
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "results2").mkdir()
    (tmp_path / "results2" / "secret.txt").write_text("secret")
    return folder


@pytest.fixture
def server(root: Path) -> Iterator[PageServer]:
    with PageServer(root) as server:
        thread = threading.Thread(target=lambda: server.serve_forever(0.01), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


def ask(server: PageServer, path: str, method: str = "GET", **headers: str) -> Answer:
    """Answer to a path as it is, which no client tidies."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_pages_are_answered(server: PageServer) -> None:
    token = server.token
    for path in ("", "index.html", "index.html?now"):
        status, headers, content = ask(server, f"/{token}/{path}")
        assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert f"Results in {server.index.root.parent.name}".encode() in content
    (result,) = server.index.results()
    status, _, content = ask(server, f"/{token}/runs/{result.id}.html")
    assert status == 200
    assert b"0.662 to 0.858" in content
    assert b"What to do next" in content
    assert b"pct evaluate &#39;/" in content
    assert ask(server, f"/{token}/live.json")[2] == b'{"version": 1, "runs": {}}'
    status, headers, content = ask(server, f"/{token}/", "HEAD")
    assert (status, content) == (200, b"")
    assert int(headers["Content-Length"]) > 1000


def test_names_are_data(server: PageServer) -> None:
    content = ask(server, f"/{server.token}/")[2].decode()
    assert "<img" not in content
    assert "&lt;img src=x onerror=&#34;document.title=1&#34;&gt;" in content
    (result,) = server.index.results()
    assert b"<img src=x" not in ask(server, f"/{server.token}/runs/{result.id}.html")[2]


def test_only_who_has_the_token_is_answered(server: PageServer) -> None:
    token = server.token
    for path in (
        "/",
        "/index.html",
        f"/{token}",
        f"/{token[:-1]}/",
        f"/{token}x/",
        "/%ff/",
        "//[/",
        f"http://127.0.0.1/{token}/",
    ):
        assert ask(server, path)[0] == 403, path
    with PageServer(server.index.root) as other:
        assert other.token != token
    assert len(token) >= 32


def test_a_name_that_is_bound_to_this_machine_is_refused(server: PageServer) -> None:
    path = f"/{server.token}/"
    for host in ("evil.example", f"evil.example:{server.server_port}", "127.0.0.1.evil.example", ""):
        assert ask(server, path, Host=host)[0] == 403, host
    # The port may be another one, at the near end of a tunnel.
    for host in (f"localhost:{server.server_port}", "127.0.0.1:1234", "localhost"):
        assert ask(server, path, Host=host)[0] == 200, host


def test_a_server_listens_on_this_machine_alone(server: PageServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.address.startswith(f"http://127.0.0.1:{server.server_port}/")


def test_files_of_results_are_answered_in_a_sandbox(server: PageServer) -> None:
    name = "%3Cimg%20src%3Dx%20onerror%3D%22document.title%3D1%22%3E%20%26%20%22quotes%22"
    status, headers, content = ask(server, f"/{server.token}/files/{name}/report.html")
    assert (status, content[:15]) == (200, b"<!doctype html>")
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("sandbox allow-scripts allow-downloads; default-src 'none'")
    assert "connect-src" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    status, headers, _ = ask(server, f"/{server.token}/files/{name}/DONE")
    assert (status, headers["Content-Disposition"]) == (200, "attachment")


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "../results2/secret.txt",
        "..%2fsecret.txt",
        "%2e%2e/secret.txt",
        "run/../../secret.txt",
        "run%5c..%5csecret.txt",
        "/etc/passwd",
        "%2fetc%2fpasswd",
        "run/DONE%00.html",
        ".git/config",
        "linked.txt",
        "folder/secret.txt",
        "missing.txt",
        "run",
        "run/",
        "",
    ],
)
def test_nothing_outside_the_results_is_answered(server: PageServer, root: Path, path: str) -> None:
    fit(root / "run")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("secret")
    (root / "linked.txt").symlink_to(root.parent / "secret.txt")
    (root / "folder").symlink_to(root.parent, target_is_directory=True)
    status, _, content = ask(server, f"/{server.token}/files/{path}")
    assert status in (403, 404)
    assert b"secret" not in content


def test_nothing_else_is_answered(server: PageServer) -> None:
    for path in ("runs/none.html", "other", "runs", "live.json/x"):
        assert ask(server, f"/{server.token}/{path}")[0] == 404, path
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert ask(server, f"/{server.token}/", method)[0] == 501, method


def test_progress_of_a_running_training(server: PageServer, root: Path) -> None:
    run = training(root / "run")
    lock = RunLock()
    lock.take(run)
    try:
        answer = json.loads(ask(server, f"/{server.token}/live.json")[2])
        (id, progress), *none = answer["runs"].items()
        assert (none, progress["epoch"], progress["epochs"]) == ([], 3, 15)
        page = ask(server, f"/{server.token}/runs/{id}.html")[2].decode()
        assert f'data-live="{answer["version"]}"' in page
    finally:
        lock.release()
    assert json.loads(ask(server, f"/{server.token}/live.json")[2])["version"] > answer["version"]
