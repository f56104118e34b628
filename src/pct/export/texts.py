"""Parameters as text: YAML, a Python dict, JSON with what it has no room for in a file beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pct.export.parameters import Entry, Head


def commented(lines: Sequence[str]) -> str:
    """Lines as a comment of YAML or Python."""
    return "".join(f"# {line}\n" for line in lines)


def yaml_lines(entries: Sequence[Entry], indent: int = 0) -> str:
    """A line ``key: value  # status`` each; dotted keys become nested."""
    lines: list[str] = []
    opened: tuple[str, ...] = ()
    for entry in entries:
        *parents, key = entry.key.split(".")
        for depth, parent in enumerate(parents):
            if opened[: depth + 1] != tuple(parents[: depth + 1]):
                lines.append(f"{' ' * (indent + 2 * depth)}{parent}:\n")
        opened = tuple(parents)
        value = f"{' ' * (indent + 2 * len(parents))}{key}: {yaml_number(entry.value)}"
        lines.append(f"{value}  # {entry.comment}\n")
    return "".join(lines)


def yaml_number(value: float) -> str:
    """A number that YAML 1.1 reads as a float, to the last bit.

    Examples:
        >>> yaml_number(1e-05), yaml_number(3.0)
        ('1.0e-05', '3.0')
    """
    text = repr(float(value))
    mantissa, e, exponent = text.partition("e")
    # Without a point YAML 1.1 reads a text, and so it does without the exponent's sign.
    if e and "." not in mantissa:
        mantissa += ".0"
    sign = "" if not e or exponent[0] in "+-" else "+"
    return f"{mantissa}{e}{sign}{exponent}"


def python_dict(entries: Sequence[Entry]) -> str:
    """A dict of Python, one commented line each."""
    lines = "".join(f'    "{entry.key}": {entry.value!r},  # {entry.comment}\n' for entry in entries)
    return f"{{\n{lines}}}\n"


def json_text(content: Mapping[str, Any]) -> bytes:
    """JSON with one key a line."""
    return (json.dumps(content, indent=2) + "\n").encode()


def sidecar(entries: Sequence[Entry], head: Head) -> bytes:
    """What a format without comments has no room for: the head, status and standard error of each number."""
    return json_text(
        {
            "about": list(head.lines),
            "parameters": {
                entry.key: {
                    "value": entry.value,
                    "std_error": entry.deviation,
                    "status": entry.status,
                    "made_of": list(entry.made_of),
                }
                for entry in entries
            },
        }
    )
