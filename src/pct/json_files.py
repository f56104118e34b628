"""Reading of JSON files whose types are declared: what does not fit is named by file, key and what was found.

A file may be a stranger's: it is bounded in size before it is read, nothing but a plain file is opened, and
whatever is wrong with it raises `DataError`. Keys that nobody declared are passed over: a newer version may
have written them.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec

from pct.errors import DataError
from pct.within import Within

# Far more than any of our files has.
LARGEST = 256 << 20
# Digits of a whole number that fit into 64 bits.
DIGITS = 18
# Characters of a value that a message shows.
SHOWN = 40

Record = TypeVar("Record")

# Numbers within what single precision holds; null where a number was not finite.
Number: TypeAlias = Annotated[float, msgspec.Meta(ge=-1e30, le=1e30)]
Known: TypeAlias = Number | None
# A number, or an array of up to three axes.
Numbers: TypeAlias = Known | list[Known | list[Known | list[Known]]]
# Text for tables: no control characters, and nothing that is no Unicode.
Text: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"\A[^\x00-\x1f\x7f-\x9f\ud800-\udfff]*\Z")]


def in_range(within: Within) -> msgspec.Meta:
    """A declared range as msgspec has it."""
    sides: Any = {
        "gt" if within.open_low else "ge": within.low,
        "lt" if within.open_high else "le": within.high,
    }
    return msgspec.Meta(**sides)


def read_json(path: Path, kind: Callable[..., Record], *, what: str, fix: str) -> Record:
    """The content of a JSON file as a declared type.

    Args:
        path: the file.
        kind: a type that msgspec can check, e.g. a ``TypedDict`` or ``dict[str, float]``.
        what: the file in words, e.g. ``the settings of a run``.
        fix: what to do where it cannot be used.

    Raises:
        DataError: there is no such file, it is no JSON, or a key is missing or of another type.
    """
    content = read_whole(path, what=what, fix=fix)
    try:
        return parse_json(content, kind, what=what)
    except ValueError as error:
        raise DataError(f"{path}: {error}: {fix}") from None


def parse_json(content: bytes, kind: Any, *, what: str) -> Any:
    """JSON in memory as a declared type; ``what`` it is in words.

    Raises:
        ValueError: it is no JSON or of another type.

    Examples:
        >>> parse_json(b'{"dt": [0.1, 2]}', dict[str, list[float]], what="time steps")
        {'dt': [0.1, 2.0]}
        >>> parse_json(b'{"dt": [0.1, "2"]}', dict[str, list[float]], what="time steps")
        Traceback (most recent call last):
        ValueError: 'dt[1]': expected a number, found "2"
    """
    if not content.strip():
        raise ValueError(f"expected {what}, found an empty file")
    try:
        value = json.loads(
            content.decode("utf-8-sig"),
            object_pairs_hook=_object,
            parse_constant=Unusable,
            parse_float=_float,
            parse_int=_int,
        )
        return typed(value, kind, what=what)
    except RecursionError:
        found = "lists within lists without end"
    except UnicodeDecodeError as error:
        found = f"bytes that are no UTF-8 text from byte {error.start} on"
    except json.JSONDecodeError as error:
        found = f"no JSON at line {error.lineno}, column {error.colno}"
    except _Twice as error:
        found = f"the key {shown(str(error))} twice"
    raise ValueError(f"expected {what}, found {found}")


def typed(value: Any, kind: Any, *, what: str) -> Any:
    """What `json` read, as a declared type.

    Raises:
        ValueError: as of `parse_json`.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ValueError(_in_words(value, kind, str(error), what)) from None
    except UnicodeEncodeError:  # of text that is no Unicode, where none was expected
        raise ValueError(f"expected {what}, found text in the place of a number") from None


def read_whole(path: Path, *, what: str, fix: str, largest: int | None = None) -> bytes:
    """All bytes of a plain file.

    Args:
        path: the file.
        what, fix: as of `read_json`.
        largest: most bytes that it may have; `LARGEST` when left out.

    Raises:
        DataError: there is no such file, it is a folder or a pipe, it cannot be read, or is too large.
    """
    largest = LARGEST if largest is None else largest
    try:
        with open(path, "rb", opener=_open_plain) as file:
            size = os.fstat(file.fileno()).st_size
            content = file.read(size) if size <= largest else b""
    except OSError as error:
        raise DataError(f"{path}: expected {what}, cannot read it ({error.strerror}): {fix}") from None
    except ValueError:
        raise DataError(f"{str(path)!r}: expected the name of a file: {fix}") from None
    if size > largest:
        raise DataError(f"{path}: expected {what}, found more than {largest >> 20} MiB: {fix}")
    return content


def _open_plain(path: str, flags: int) -> int:
    # A pipe would be waited for.
    handle = os.open(path, flags | os.O_NONBLOCK)
    if not stat.S_ISREG(mode := os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is a folder" if stat.S_ISDIR(mode) else "it is no plain file")
    return handle


class _Twice(Exception):
    """A key stands twice in an object."""


class Unusable(str):
    """A number that we have no use for, as it stands in the file: no type takes it but text and `Any`."""

    __slots__ = ()


def _float(text: str) -> float | Unusable:
    value = float(text)
    return value if math.isfinite(value) else Unusable(text)


def _int(text: str) -> int | Unusable:
    return int(text) if len(text.lstrip("-")) <= DIGITS else Unusable(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(next(name for n, name in enumerate(names) if name in names[:n]))
    return table


# Types of msgspec's messages in words.
_TYPES = {
    "object": "an object",
    "array": "a list",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
}


def _in_words(value: Any, kind: Any, message: str, what: str) -> str:
    """A message of msgspec as place, expected and found."""
    problem, _, place = message.partition(" - at ")
    keys, found = _place(value, kind, place.strip("`"), problem)
    if missing := re.fullmatch(r"Object missing required field `(.*)`", problem):
        return f"'{_key_path([*keys, missing[1]])}': expected a value, found none"
    expected = re.sub(r", got `?[^`]*`?$", "", problem).removeprefix("Expected ")
    expected = re.sub(
        r"`([^`]*)`", lambda m: " or ".join(_TYPES.get(t, t) for t in m[1].split(" | ")), expected
    )
    expected = re.sub(r"Number out of range", "a number in range", expected)
    expected = re.sub(r"Invalid enum value .*", "a known name", expected)
    expected = re.sub(r" matching regex .*", " that can be printed", expected, flags=re.DOTALL)
    for sign, words in ((">=", "of at least"), ("<=", "of at most"), (">", "above"), ("<", "below")):
        expected = expected.replace(sign, words)
    where = f"'{_key_path(keys)}': expected" if keys else f"expected {what},"
    return f"{where} {expected}, found {shown(found)}"


def _place(value: Any, kind: Any, place: str, problem: str) -> tuple[list[str | int], Any]:
    """Keys on the way to a place of msgspec such as ``$.a[...][0]``, and the value there.

    It does not name keys of a mapping: that is searched for whose entry alone raises the same.
    """
    keys: list[str | int] = []
    here = value
    for name, index in re.findall(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]", place):
        if name:
            keys.append(name)
        elif index != "...":
            keys.append(int(index))
        elif isinstance(here, dict):
            keys.append(next((key for key in here if _fails(value, keys, key, kind, problem)), "..."))
        try:
            here = here[keys[-1]]
        except (LookupError, TypeError):
            break
    return keys, here


def _fails(value: Any, keys: list[str | int], key: str, kind: Any, problem: str) -> bool:
    """Whether a value with a single entry in the mapping behind some keys raises this problem."""
    try:
        msgspec.convert(_with_entry(value, keys, key), kind)
    except msgspec.ValidationError as error:
        return str(error).startswith(problem)
    return False


def _with_entry(value: Any, keys: list[str | int], key: str) -> Any:
    if not keys:
        return {key: value[key]}
    first, *rest = keys
    if isinstance(value, dict):
        return {**value, first: _with_entry(value[first], rest, key)}
    return [_with_entry(item, rest, key) if n == first else item for n, item in enumerate(value)]


def _key_path(keys: list[str | int]) -> str:
    """Keys as a path, e.g. ``param_bounds.mu[0]``."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).lstrip(".")


def shown(value: Any) -> str:
    """A value of a JSON file for a message: short, on one line."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    digits = len(value.lstrip("-")) if isinstance(value, Unusable) else 0
    if digits > SHOWN:
        return f"a number of {digits} digits"
    text = value if isinstance(value, Unusable) else json.dumps(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
