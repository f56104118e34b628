"""What is wrong with a TOML file is said in our words, with its line and how to write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pct.toml_files import NoTomlError, parse_toml, read_toml


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("[time\n", 1, "'[time' in line 1: write time in brackets, [time]"),
        ("[time]\ncolumn = t\n", 2, "'column = t' in line 2: write a text in quotes: column = \"t\""),
        ('a = 1\n[t]\ncolumn = "t\n', 3, 'close the quote: column = "t"'),
        ('a = t"\n', 1, 'close the quote: a = "t"'),
        ("a = 'x\ny = 3", 2, "an end inside"),
        ('a = """x\ny = 3', 2, "an end inside a text or a list"),
        ("a = [1,\n 2\n", 3, "an end inside a text or a list"),
        ('[time]\ncolumn = "t"\ncolumn = "u"\n', 3, "'column' stands twice in its table: take one out"),
        ("[time]\na = 1\n[time]\n", 3, "the table stands twice: put both into one"),
        ('path = "C:\\data"\n', 1, "write a text with \\ in single quotes: path = 'C:\\data'"),
        ("sign = 1,5\n", 1, "write decimals behind a point: sign = 1.5"),
        ("a = True # yes\n", 1, "write a = true"),
        ("a = “t”\n", 1, 'use plain quotes, "text"'),
        ("a =\n", 1, "write a value behind a ="),
        ("time: 1\n", 1, "write = for : as in time = 1"),
        ("// a comment\n", 1, "comments begin with #"),
        ("a = 1 2\n", 1, "at column 7 it is no TOML"),
        ("nothing\n", 1, 'write NAME = "text"'),
        ("a = 1\r\nb = c\r\n", 2, 'b = "c"'),
        (f"a = {'9' * 9000}", None, "a number of thousands of digits"),
        (f"a = {'[' * 20_000}", None, "more brackets in each other than anyone writes"),
        (f"a = x{'y' * 300}", 1, "y…' in line 1"),
    ],
)  # fmt: skip
def test_what_is_no_toml(text: str, line: int | None, what: str) -> None:
    with pytest.raises(NoTomlError) as refusal:
        parse_toml(text)
    assert refusal.value.line == line
    assert what in refusal.value.what
    assert "\n" not in refusal.value.what


def test_a_mark_of_windows_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "signals.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert read_toml(path) == {"a": 1}
    path.write_bytes('a = 1\nb = "Längs"\n'.encode("cp1252"))
    with pytest.raises(NoTomlError, match="bytes that are no text in line 2: save it as UTF-8"):
        read_toml(path)
