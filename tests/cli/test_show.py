"""`pct show`: the command around the server and the folder of pages."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from pct.cli import browser
from pct.cli.main import main
from showing.made_results import fit


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that were opened in a browser, on a machine with a screen."""
    addresses: list[str] = []
    monkeypatch.setattr(browser.webbrowser, "open", addresses.append)
    monkeypatch.setenv("DISPLAY", ":0")
    return addresses


def leaves_with(code: int, *arguments: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == code


def test_a_folder_of_pages_is_written_and_opened(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(tmp_path / "results" / "run")
    monkeypatch.chdir(tmp_path)
    main(["show", "--static", "pages"])
    assert capsys.readouterr().out == "Page of 1 results: pages/index.html\n"
    assert opened == [(tmp_path / "pages" / "index.html").as_uri()]
    main(["show", "--static", "more", "--no-browser"])
    assert len(opened) == 1


def test_without_a_screen_nothing_is_opened(opened: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    browser.open_page("http://127.0.0.1/")
    assert opened == []


def test_a_port_in_use_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        leaves_with(2, "show", str(tmp_path), "--port", str(port), "--no-browser")
    told = capsys.readouterr().err
    assert told == f"error: --port {port}: is in use: give another one, or none for a free one\n"


def test_what_is_no_folder_of_runs_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leaves_with(3, "show", str(tmp_path / "missing"))
    assert "missing: expected a folder of runs, found nothing: check the path" in capsys.readouterr().err
    leaves_with(2, "show", str(tmp_path), "--static", "a", "--port", "80")
    assert "--port goes without --static" in capsys.readouterr().err


def test_the_server_answers_until_it_is_interrupted(tmp_path: Path) -> None:
    fit(tmp_path / "run")
    with subprocess.Popen(
        [sys.executable, "-m", "pct", "show", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if "DISPLAY" not in name},
    ) as process:
        try:
            assert process.stdout is not None
            address, ending = process.stdout.readline().split()[-1], process.stdout.readline()
            with urllib.request.urlopen(address, timeout=30) as answer:
                assert b"Results in" in answer.read()
            process.send_signal(signal.SIGTERM)  # a Ctrl-C may be ignored where the tests run
            _, error = process.communicate(timeout=30)
        finally:
            process.kill()
    assert (process.returncode, ending, error) == (130, "Ctrl-C ends the server\n", "interrupted\n")
