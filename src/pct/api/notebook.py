"""How a value shows itself: a title, a table and notes, as text or as HTML in a notebook."""

from __future__ import annotations

import abc
import html
import shutil
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


class Shown(abc.ABC):
    """A value that shows itself by what `shown` gives."""

    @abc.abstractmethod
    def shown(self) -> tuple[str, pl.DataFrame, Sequence[str]]:
        """Title, table and notes."""

    def __repr__(self) -> str:
        return as_text(*self.shown())

    def _repr_html_(self) -> str:
        return as_html(*self.shown())


def as_text(title: str, frame: pl.DataFrame, notes: Sequence[str] = (), most: int = 24) -> str:
    """A title, a table of at most so many rows, and notes; columns that do not fit go on below."""
    rows = [tuple(map(_text, row)) for row in frame.head(most).iter_rows()]
    widths = [max(map(len, column)) for column in zip(frame.columns, *rows, strict=True)]
    lines = [title]
    for block in _blocks(widths, shutil.get_terminal_size((110, 24)).columns):
        for row in (tuple(frame.columns), *rows):
            lines.append("  ".join(row[i].ljust(widths[i]) for i in block).rstrip())
    if len(frame) > most:
        lines.append(f"... {len(frame) - most} more rows")
    return "\n".join([*lines, *notes])


def _blocks(widths: Sequence[int], room: int) -> list[list[int]]:
    """Columns that fit side by side; the first one leads every block."""
    blocks: list[list[int]] = [[]]
    for i, width in enumerate(widths):
        used = sum(widths[k] + 2 for k in blocks[-1])
        if len(blocks[-1]) > 1 and used + width > room:
            blocks.append([0])
        blocks[-1].append(i)
    return blocks


def as_html(title: str, frame: pl.DataFrame, notes: Sequence[str] = (), most: int = 60) -> str:
    """A title, a table of at most so many rows, and notes."""

    def cells(tag: str, values: Iterable[object]) -> str:
        return "".join(f"<{tag}>{html.escape(_text(value))}</{tag}>" for value in values)

    rows = "".join(f"<tr>{cells('td', row)}</tr>" for row in frame.head(most).iter_rows())
    more = f"<p>{len(frame) - most} more rows</p>" if len(frame) > most else ""
    listed = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return (
        f"<h4>{html.escape(title)}</h4><table><thead><tr>{cells('th', frame.columns)}</tr></thead>"
        f"<tbody>{rows}</tbody></table>{more}{f'<ul>{listed}</ul>' if listed else ''}"
    )


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
