"""JSON of strangers: read as declared, or refused by file, key, what was expected and what was found."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NotRequired, TypedDict

import pytest

from pct import json_files
from pct.errors import DataError
from pct.json_files import Known, Text, read_json


class Car(TypedDict):
    doors: int
    mass: NotRequired[Known]
    wheels: NotRequired[dict[str, tuple[float, float]]]
    name: NotRequired[Text]


def read(path: Path) -> Car:
    return read_json(path, Car, what="a car", fix="build it again")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a car, found an empty file"),
        (b" \n", "expected a car, found an empty file"),
        (b'{"doors": 4', "expected a car, found no JSON at line 1, column 12"),
        (b"\0" * 100, "expected a car, found no JSON at line 1, column 1"),
        (b'{"doors": 4}\0', "expected a car, found no JSON at line 1, column 13"),
        (b'{"name": "\xff"}', "expected a car, found bytes that are no UTF-8 text from byte 10 on"),
        (b'{"doors": 4, "doors": 5}', 'expected a car, found the key "doors" twice'),
        (b"[" * 100_000, "expected a car, found lists within lists without end"),
        (
            b'{"doors": 4, "new": ' + b'{"a":' * 100_000,
            "expected a car, found lists within lists without end",
        ),
        (b"[]", "expected a car, an object, found a list of 0"),
        (b"{}", "'doors': expected a value, found none"),
        (b'{"doors": true}', "'doors': expected a whole number, found true"),
        (b'{"doors": 4.0}', "'doors': expected a whole number, found 4.0"),
        (b'{"doors": ' + b"9" * 400 + b"}", "'doors': expected a whole number, found a number of 400 digits"),
        (
            b'{"doors": ' + b"9" * 9000 + b"}",
            "'doors': expected a whole number, found a number of 9000 digits",
        ),
        (b'{"doors": 4, "mass": 1e999}', "'mass': expected a number or null, found 1e999"),
        (b'{"doors": 4, "mass": NaN}', "'mass': expected a number or null, found NaN"),
        (b'{"doors": 4, "mass": -Infinity}', "'mass': expected a number or null, found -Infinity"),
        (b'{"doors": 4, "mass": 1e300}', "'mass': expected a number of at most 1e+30, found 1e+300"),
        (b'{"doors": 4, "wheels": {"a": [0, 1], "b.c": [0, "1"]}}', "'wheels.b.c[1]': expected a number"),
        (b'{"doors": 4, "wheels": {"a": [0]}}', "'wheels.a': expected a list of length 2, found a list of 1"),
        (b'{"doors": 4, "name": "\\u001b[2J"}', "'name': expected text that can be printed"),
        (b'{"doors": "\\udcff"}', "found text in the place of a number"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_does_not_fit_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "car.json"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert str(error.value).endswith(": build it again")
    assert len(str(error.value).splitlines()) == 1


def test_what_newer_versions_and_editors_add_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "car.json"
    path.write_bytes(b'\xef\xbb\xbf{"doors": 4, "mass": null, "new": {"n": NaN, "\\udcff": 1e999}}')
    assert read(path) == {"doors": 4, "mass": None}


def test_names_that_are_no_unicode_are_read(tmp_path: Path) -> None:
    """As JSON writes the paths of files whose names are no UTF-8."""
    path = tmp_path / "paths.json"
    path.write_text(json.dumps([os.fsdecode(b"drive\xff")]))
    assert read_json(path, list[str], what="paths", fix="again") == ["drive\udcff"]


def test_nothing_but_a_plain_file_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"{" * 100)
    monkeypatch.setattr(json_files, "LARGEST", 99)
    for path, message in (
        (tmp_path, "cannot read it (it is a folder)"),
        (tmp_path / "pipe", "cannot read it (it is no plain file)"),
        (Path("/dev/zero"), "cannot read it (it is no plain file)"),
        (tmp_path / "none", "cannot read it (No such file or directory)"),
        (tmp_path / ("x" * 300), "cannot read it (File name too long)"),
        (tmp_path / "large", "found more than 0 MiB"),
        (Path("a\0b"), "expected the name of a file"),
    ):
        with pytest.raises(DataError) as error:
            read(path)
        assert message in str(error.value)
