"""Reading of TOML files that people edit: what is wrong is said with its line and how to write it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

# Characters of a line that a message shows.
SHOWN = 60
# Words of other languages for values of TOML.
WORDS = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}
QUOTES = "“”„‟‘’‚«»`´"
PLAIN_VALUE = 'write NAME = "text", NAME = 1.5 or NAME = true'


class NoTomlError(ValueError):
    """A text that is no TOML.

    Attributes:
        line: number of the line where it fails; None where no line does.
        what: what was found, where, and how to write it.
    """

    def __init__(self, what: str, line: int | None = None) -> None:
        super().__init__(what)
        self.what, self.line = what, line


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a file.

    Raises:
        NoTomlError: it is no TOML, or no text.
        OSError: it cannot be read.
    """
    try:
        # Editors of Windows begin a file with a mark.
        return parse_toml(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        row = path.read_bytes()[: error.start].count(b"\n") + 1
        raise NoTomlError(f"bytes that are no text in line {row}: save it as UTF-8", row) from None


def parse_toml(text: str) -> dict[str, Any]:
    """The content of a text.

    Raises:
        NoTomlError: it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # Newer versions of Python have the place as a number as well.
        place = re.search(r"at line (\d+), column (\d+)", str(error))
        problem = str(error)
    except RecursionError:
        raise NoTomlError("more brackets in each other than anyone writes: take them out") from None
    except ValueError:  # Python reads no number of thousands of digits
        raise NoTomlError("a number of thousands of digits: write fewer") from None
    lines = text.replace("\r\n", "\n").split("\n")
    if place is None and re.fullmatch(r"\s*\[[^\[\]]*", lines[-1]):
        raise NoTomlError(
            f"{_shown(lines[-1])} in line {len(lines)}: {_fix('', lines[-1], 0)}", len(lines)
        ) from None
    if place is None:
        raise NoTomlError(
            "an end inside a text or a list: close its quote or its bracket", len(lines)
        ) from None
    row, column = int(place[1]), int(place[2])
    line = lines[row - 1] if row <= len(lines) else ""
    what = f"{_shown(line)} in line {row}: {_fix(problem, line, column)}"
    raise NoTomlError(what, row) from None


def _shown(line: str) -> str:
    line = " ".join(line.split())
    return f"'{line[:SHOWN]}{'…' if len(line) > SHOWN else ''}'" if line else "nothing"


def _fix(problem: str, line: str, column: int) -> str:
    """How to write a line that is none, after what the parser trips over."""
    name, equals, value = (part.strip() for part in line.partition("="))
    value = value.partition(" #")[0].strip()
    if "Cannot declare" in problem:
        return "the table stands twice: put both into one"
    if "Cannot overwrite" in problem or "Cannot mutate" in problem:
        return f"'{name[:SHOWN]}' stands twice in its table: take one out"
    if "Unescaped" in problem:
        return f"write a text with \\ in single quotes: {name} = '{value.strip(chr(34))[:SHOWN]}'"
    if not equals:
        return _without_equals(line.strip())
    if any(sign in value for sign in QUOTES):
        return 'use plain quotes, "text"'
    if not value:
        return f"write a value behind {name[:SHOWN]} ="
    if re.fullmatch(r"[+-]?\d+,\d+", value):
        return f"write decimals behind a point: {name} = {value.replace(',', '.')}"
    if word := WORDS.get(value.lower()):
        return f"write {name} = {word}"
    if value.count('"') == 1 or value.count("'") == 1:
        return f'close the quote: {name} = "{value.strip(chr(34) + chr(39))[:SHOWN]}"'
    if re.fullmatch(r"[^\W\d][^\"'\[\]{}=]*", value):
        return f'write a text in quotes: {name} = "{value[:SHOWN]}"'
    return f"at column {column} it is no TOML; {PLAIN_VALUE}, one a line"


def _without_equals(line: str) -> str:
    """The fix of a line without an equals sign."""
    if line.startswith("["):
        return f"write {line.strip('[] ')[:SHOWN]} in brackets, [{line.strip('[] ')[:SHOWN]}]"
    if line.startswith(("//", ";", "%", "--", "/*")):
        return "comments begin with #"
    name, colon, value = (part.strip() for part in line.partition(":"))
    if colon and name and value:
        return f"write = for : as in {name[:SHOWN]} = {value[:SHOWN]}"
    return PLAIN_VALUE
