"""Wide tables in pieces that fit a terminal, so that no number is broken in two."""

from __future__ import annotations

from collections.abc import Sequence

# Between two columns a line with a space on either side; one more line ends the table.
BETWEEN, END = 3, 1

Piece = dict[int, int | None]


def pieces_of(columns: Sequence[Sequence[str]], texts: Sequence[int], width: int) -> list[Piece]:
    """A table in pieces, one below the other, each at most as wide as a terminal.

    Args:
        columns: heading and cells of each column.
        texts: columns of text, which may go on in the next line; the first column does not.
        width: of the terminal.

    Returns:
        Width of each column of a piece by its number, None where it is free; the first column is in each.

    Examples:
        >>> pieces_of([["", "ab"], ["x", "1.5 ± 0.1"], ["y", "12345"]], (0,), 30)
        [{0: None, 1: None, 2: None}]
        >>> pieces_of([["", "ab"], ["x", "1.5 ± 0.1"], ["y", "12345"]], (0,), 18)
        [{0: 2, 1: 9}, {0: 2, 2: 5}]
    """
    whole = [max(map(len, column)) for column in columns]
    words = [max(map(len, " ".join(column).split()), default=0) for column in columns]
    if whole[0] + sum(words[1:]) + BETWEEN * len(columns) + END <= width or len(columns) < 3:
        return [dict.fromkeys(range(len(columns)))]
    least = [min(whole[0], width // 2)]
    for n, (_, *cells) in enumerate(columns[1:], 1):
        numbers = 0 if n in texts else max(map(len, cells), default=0)
        least.append(min(max(words[n], numbers), width // 2))
    pieces: list[dict[int, int]] = []
    room = 0
    for number in range(1, len(columns)):
        if not pieces or least[number] + BETWEEN > room:
            pieces.append({0: least[0]})
            room = width - END - least[0] - BETWEEN
        pieces[-1][number] = least[number]
        room -= least[number] + BETWEEN
    return [_widened(piece, whole, width - END - BETWEEN * len(piece)) for piece in pieces]


def _widened(piece: dict[int, int], whole: Sequence[int], width: int) -> Piece:
    """The columns of a piece as wide as their cells, one after another, as far as there is room."""
    room = width - sum(piece.values())
    widths: Piece = {}
    for number, least in piece.items():
        more = max(0, min(whole[number] - least, room))
        widths[number] = least + more
        room -= more
    return widths
