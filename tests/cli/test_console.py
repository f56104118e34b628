"""Names reach a terminal as text: no character steers it, no markup is interpreted, no line becomes two."""

from __future__ import annotations

import errno
import io
import json
import logging
import sys
import warnings

import pytest

from pct.cli import console
from pct.cli.console import (
    command,
    print_table,
    progress_bar,
    quoted,
    report_warnings,
    say,
    say_json,
    visible,
)
from pct.cli.main import main

ESC = "\x1b[31m"
# What is written, and how it is shown.
SHOWN = {
    "plain μ ü 車": "plain μ ü 車",
    "[red]x[/] [/x] :smile:": "[red]x[/] [/x] :smile:",
    f"a{ESC}b": r"a\x1b[31mb",
    "a\nb\r\tc": r"a\nb\r\tc",
    "\x00\x7f\x9b31m": r"\x00\x7f\x9b31m",
    "\u202egnp.exe \u2066x\u2069": r"\u202egnp.exe \u2066x\u2069",
    "\u2028\u2029": r"\u2028\u2029",
    "\udcff\ud800": r"\xff\ud800",
}


@pytest.mark.parametrize(("written", "shown"), SHOWN.items())
def test_a_line_is_shown_as_one_line(written: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    say(written)
    say(written, error=True)
    told = capsys.readouterr()
    assert told.out == told.err == f"{shown}\n"


@pytest.mark.parametrize(("written", "shown"), SHOWN.items())
def test_a_cell_is_shown_as_text(written: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(written, [written], [[written], [(written, "red")]])
    told = capsys.readouterr().out
    assert told.count(shown) == 4
    assert visible(told.replace("\n", "")) == told.replace("\n", "")


@pytest.mark.parametrize(("written", "shown"), SHOWN.items())
def test_a_bar_shows_names_as_text(written: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar("reading", "{task.fields[last]}") as bar:
        bar.add_task("", total=2, last=written)
    assert shown in terminal.getvalue()
    assert not {"\x00", "\x9b", "\u202e", "\udcff", ESC} & set(terminal.getvalue())


def test_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    value = dict.fromkeys(SHOWN, "\x7f")
    say_json(value)
    told = capsys.readouterr().out
    assert json.loads(told) == value
    assert visible(told[:-1]) == told[:-1]


def test_records_and_warnings_are_lines(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError(f"a{ESC}\nb")
    except ValueError:
        record = logging.LogRecord("x", logging.WARNING, "", 1, "%s", (f"c{ESC}\nd",), sys.exc_info())
    text = console._Records("%(levelname)s: %(message)s").format(record)
    assert text.split("\n")[0] == r"WARNING: c\x1b[31m\nd"
    assert "\x1b" not in text
    former = logging.getLogger("matplotlib").level
    with warnings.catch_warnings():
        report_warnings()
        warnings.simplefilter("always")
        warnings.warn(f"old{ESC}", stacklevel=1)
    logging.getLogger("matplotlib").setLevel(former)
    assert capsys.readouterr().err == "warning: old\\x1b[31m\n"


@pytest.mark.parametrize("arguments", [["--dt", ESC], [f"--{ESC}", "1"], ["--model", ESC, "--help"]])
def test_arguments_are_shown_as_text(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["fit", *arguments])
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err
    assert stop.value.code == (0 if "--help" in arguments else 2)
    assert ("usage: pct fit" in told.out) == ("--help" in arguments)
    assert (r"\x1b[31m" in told.err) == ("--help" not in arguments)


def test_a_message_that_cannot_be_written_is_lost_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    say("lost", error=True)
    monkeypatch.setattr(sys, "stdout", Full())
    with pytest.raises(OSError, match="No space"):
        say("missed")


def test_a_line_for_the_shell_is_quoted() -> None:
    assert command("fit", "--dataset", "a b", "$(rm x)") == "pct fit --dataset 'a b' '$(rm x)'"
    assert quoted("it's\n\\") == r"$'it\'s\n\\'"


def test_a_table_that_is_too_wide_goes_on_below_with_its_numbers_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pct.cli.console.WIDTH", 44)
    head = ["parameter", "value", "interval", "default", "verdict"]
    row = ["side force front", "0.7537 ± 0.088", "-0.21 to 0.26", "1.0489", "varies between recordings"]
    print_table("Fit", head, [row], texts=(0, 4))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 44
    assert all(number in out for number in row[1:4])
    assert out.count("Fit") == 1
    assert out.count("side force front") == out.count("parameter") > 1
