"""Damages files: as a disk, a broken transfer or somebody hostile would. The same seed, the same damage."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

# What takes the place of a number in a text.
NUMBERS = (
    *("0", "-1", "1", "NaN", "nan", "inf", "-Infinity", "1e300", "-1e-300", "1e999", "9223372036854775808"),
    *(
        "2147483647",
        "-9223372036854775809",
        "9" * 400,
        "1" + "0" * 5000,
        "0x10",
        "1_000",
        "true",
        "null",
        '""',
    ),
    *("9**9**9", "1e6", "1e9", "1e15", "0.1", "-0.0", "4294967296"),
)
# What takes the place of an integer in a binary file.
LENGTHS = (0, 1, 0x7F, 0xFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1)
TEXTS = (
    *("", " ", "../../etc/passwd", "/dev/zero", "\x00", "\x1b[31m", "[red]", "$\\frac$", "é" * 50, "\ud800"),
    *("x" * 100_000, "%s%n", "__class__", "\n", "NaN", "m/s", "9**9**9", "recording_00", "-", "'", '"; --'),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 0.5, 10**9, 2**63, 10**400, -(10**400), 1e300, -1e-300),
    *(float("nan"), float("inf"), [], {}, [[]], [None], {"": None}, [0] * 1000, "x"),
)

# Bytes beyond which a file grows no more.
LARGEST = 1 << 20

Mutator = Callable[[bytearray, random.Random], None]


def mutate(content: bytes, others: Sequence[bytes], choose: random.Random) -> bytes:
    """Another content, for a file of any kind.

    Args:
        content: of a whole file.
        others: of other files, parts of which may be spliced in.
        choose: decides.
    """
    parsed = _parsed(content)
    if parsed is not None and choose.random() < 0.6:
        return _mutate_json(parsed, choose)
    data = bytearray(content)
    text = _is_text(content)
    for _ in range(choose.choice((1, 1, 1, 2, 4, 16))):
        if len(data) > LARGEST:
            break
        kind = choose.random()
        if text and kind < 0.4:
            choose.choice(TEXTUAL)(data, choose)
        elif not text and kind < 0.4:
            _length(data, choose)
        elif kind < 0.9:
            choose.choice(BYTEWISE)(data, choose)
        else:
            _splice(data, choose.choice(others) if others else content, choose)
    return bytes(data)


# Bytes.


def _cut(data: bytearray, choose: random.Random) -> None:
    del data[choose.randrange(len(data) + 1) :]


def _empty(data: bytearray, choose: random.Random) -> None:
    data[:] = choose.choice((b"", b"\0" * len(data), b"\n", b"\xff" * 16))


def _flip(data: bytearray, choose: random.Random) -> None:
    for _ in range(choose.choice((1, 1, 4, 64))):
        if data:
            data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)


def _insert(data: bytearray, choose: random.Random) -> None:
    at = choose.randrange(len(data) + 1)
    data[at:at] = choose.randbytes(choose.choice((1, 3, 8, 100)))


def _delete(data: bytearray, choose: random.Random) -> None:
    at = choose.randrange(len(data) + 1)
    del data[at : at + choose.choice((1, 2, 4, 8, 100, 1000))]


def _duplicate(data: bytearray, choose: random.Random) -> None:
    at, size = choose.randrange(len(data) + 1), choose.choice((1, 8, 100, 1000))
    data[at:at] = bytes(data[at : at + size]) * choose.choice((1, 1, 2, 50))


def _overwrite(data: bytearray, choose: random.Random) -> None:
    at = choose.randrange(len(data) + 1)
    filler = choose.choice((b"\0", b"\xff", choose.randbytes(1))) * choose.choice((1, 8, 64))
    data[at : at + len(filler)] = filler


def _length(data: bytearray, choose: random.Random) -> None:
    """An integer of another size, where there is likely to be one: in the first or last bytes, or aligned."""
    size = choose.choice((1, 2, 4, 8))
    where = choose.random()
    most = max(1, len(data) - size)
    at = choose.randrange(min(most, 256)) if where < 0.4 else choose.randrange(most)
    if where > 0.8:
        at = max(0, len(data) - size - choose.randrange(256))
    value = choose.choice(LENGTHS) % 256**size
    data[at : at + size] = value.to_bytes(size, choose.choice(("little", "little", "big")))


def _splice(data: bytearray, other: bytes, choose: random.Random) -> None:
    """The beginning of one file and the end of another."""
    data[choose.randrange(len(data) + 1) :] = other[choose.randrange(len(other) + 1) :]


BYTEWISE: tuple[Mutator, ...] = (_cut, _cut, _empty, _flip, _flip, _insert, _delete, _duplicate, _overwrite)

# Text.


def _number(data: bytearray, choose: random.Random) -> None:
    _replace(data, rb"-?\d+(\.\d+)?([eE][-+]?\d+)?", choose.choice(NUMBERS), choose)


def _word(data: bytearray, choose: random.Random) -> None:
    _replace(data, rb"[A-Za-z_]+", choose.choice(TEXTS), choose)


def _separator(data: bytearray, choose: random.Random) -> None:
    _replace(
        data, rb"[,;:\"\[\]{}=\n\t.#']", choose.choice((*',;:"[]{}=\n\t.#', "", "\r", "\n\n", "[[")), choose
    )


def _nest(data: bytearray, choose: random.Random) -> None:
    depth = choose.choice((10, 1000, 100_000))
    opening, closing = choose.choice((("[", "]"), ('{"a":', "}"), ("[[", "]]"), ("(", ")"), ("a.", "")))
    inner = choose.choice(("", "0", "1"))
    _replace(data, rb"\d+(\.\d+)?|\".*?\"", opening * depth + inner + closing * depth, choose)


def _line(data: bytearray, choose: random.Random) -> None:
    lines = bytes(data).split(b"\n")
    at = choose.randrange(len(lines))
    what = choose.randrange(4)
    if what == 0:
        del lines[at]
    elif what == 1:
        lines[at:at] = [lines[at]] * (1 if len(lines[at]) * 100 > LARGEST else choose.choice((1, 1, 100)))
    elif what == 2:
        other = choose.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    else:
        lines[at] = lines[at] * (2 if len(lines[at]) * 1000 > LARGEST else choose.choice((2, 1000)))
    data[:] = b"\n".join(lines)


def _replace(data: bytearray, pattern: bytes, text: str, choose: random.Random) -> None:
    places = list(re.finditer(pattern, data))
    if places:
        start, stop = choose.choice(places).span()
        data[start:stop] = text.encode(errors="surrogatepass")


TEXTUAL: tuple[Mutator, ...] = (_number, _number, _number, _word, _separator, _nest, _line)


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in content


# JSON.


def _parsed(content: bytes) -> Any:
    if content[:1] not in (b"{", b"["):
        return None
    try:
        return json.loads(content)
    except ValueError:
        return None


def _mutate_json(root: Any, choose: random.Random) -> bytes:
    """Another value at some places, whose type may be another."""
    for _ in range(choose.choice((1, 1, 1, 2, 4))):
        places = list(_places(root))
        if not places:
            break
        inside, key = choose.choice(places)
        what = choose.random()
        if what < 0.6:
            inside[key] = copy.deepcopy(choose.choice(VALUES))
        elif what < 0.7:
            inside[key] = choose.choice(TEXTS)
        elif what < 0.8:
            del inside[key]
        elif what < 0.9:
            other, name = choose.choice(places)
            inside[key] = json.loads(json.dumps(other[name]))
        elif isinstance(inside, dict):
            inside[choose.choice(TEXTS)] = inside.pop(key)
        else:
            inside[key : key + 1] = [inside[key]] * choose.choice((2, 1000))
    return json.dumps(root).encode()


def _places(value: Any) -> Any:
    """Every container with each of its keys, from the outside in."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from _places(value[key])
