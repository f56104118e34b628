"""How a value shows itself: a title, a table and notes, as text or as HTML in a notebook."""

from __future__ import annotations

import abc
import html
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
        title, frame, notes = self.shown()
        return "\n".join([title, str(frame), *notes])

    def _repr_html_(self) -> str:
        return as_html(*self.shown())


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
