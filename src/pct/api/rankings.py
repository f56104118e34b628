"""What driven logs are worth: `rank`, and the value that it returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pct.api.drives import Drive, Drives, as_drives
from pct.api.fits import Fit
from pct.api.notebook import Shown
from pct.api.opening import as_fit
from pct.errors import DataError
from pct.within import Within, check_number

if TYPE_CHECKING:
    import polars as pl

    from pct.designing.ranking import Piece

PIECE = Within(0.1, 1e6, "s")
"""Length of a piece."""
Seconds = Annotated[float, PIECE]


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Ranking(Shown):
    """Pieces of driving from the one that tells most about a fit's parameters on.

    Attributes:
        pieces: in that order.
        drives: what was driven.
        dt: time step in s of the rows that the pieces count.
    """

    pieces: tuple[Piece, ...]
    drives: Drives
    dt: float

    def table(self) -> pl.DataFrame:
        """One row a piece: where it is in its drive, in s, the share by which it lowers the standard errors
        once all better pieces are known, and these over those of all pieces together.
        """
        import polars as pl

        return pl.DataFrame(
            {
                "drive": self.drives[piece.recording].name,
                "from": round(piece.start, 3),
                "to": round(piece.start + piece.seconds, 3),
                "lowers errors by": piece.lowers,
                "errors over those of all": piece.left,
                "tells about": ", ".join(piece.told),
            }
            for piece in self.pieces
        )

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows of the table as text."""
        rows = [
            [
                self.drives[piece.recording].name,
                f"{piece.start:.1f}",
                f"{piece.start + piece.seconds:.1f}",
                f"{piece.lowers:.1%}" if piece.worth else "nothing",
                f"{piece.left:.2f}",
                ", ".join(piece.told),
            ]
            for piece in self.pieces
        ]
        return ["drive", "from [s]", "to [s]", "lowers errors by", "errors / all", "tells about"], rows

    def save(self, path: str | Path) -> Path:
        """Write the table as CSV.

        Raises:
            DataError: the file cannot be written.
        """
        from pct.files import write_output

        write_output(Path(path), self.table().write_csv().encode())
        return Path(path)

    @property
    def facts(self) -> list[str]:
        """How much is enough, and how much is worth nothing, in sentences."""
        total = sum(piece.seconds for piece in self.pieces)
        some = 0.0
        lines = []
        for piece in self.pieces:
            some += piece.seconds
            if piece.left <= 1.1:
                break
        above = f"{piece.left - 1:.0%} above those of all"
        lines.append(f"The best {some:.0f} s of {total:.0f} s give standard errors {above}.")
        idle = sum(piece.seconds for piece in self.pieces if not piece.worth)
        lines.append(f"{idle:.0f} s, {idle / total:.0%}, add nothing once the others are known.")
        return lines

    def best(self, seconds: float) -> Drives:
        """The best pieces of so many seconds together, neighbours joined, to fit to them alone.

        Raises:
            UsageError: seconds out of range.
            DataError: no piece is as short.
        """
        from pct.designing.ranking import best_spans
        from pct.recordings.trajectory import resample

        check_number("seconds", seconds, PIECE)
        spans = best_spans(self.pieces, seconds)
        if not spans:
            raise DataError(f"best pieces: expected one of {seconds:g} s or less: take shorter pieces")
        cut = []
        for recording, begin, end in spans:
            drive = self.drives[recording]
            part = resample(drive.trajectory, self.dt).slice(begin, end)
            cut.append(Drive(f"{drive.name} {begin * self.dt:g}-{end * self.dt:g} s", part))
        return dataclasses.replace(self.drives, drives=tuple(cut))

    def shown(self) -> tuple[str, pl.DataFrame, Sequence[str]]:
        """Title, table and notes."""
        return "What each piece of driving tells", self.table(), self.facts


def rank(
    fit: Fit,
    drives: Drives | Drive | Sequence[Drive] | str | Path,
    identify: Sequence[str] = (),
    *,
    piece: float = 10.0,
) -> Ranking:
    """Which pieces of drives carry the information about a fit's parameters, and which are worth nothing.

    Args:
        fit: whose windows and measurement count; the drives may be its own or others.
        drives: what was driven, or what `pct.load` reads.
        identify: names of the parameters that count; all learned ones when empty.
        piece: length of a piece in s.

    Raises:
        UsageError: an unknown parameter, or a length out of range.
        DataError: the drives lack a channel or are too short.

    Examples:
        >>> import pct
        >>> car = pct.model("singletrack").hold("C_Sf", "C_Sr", "m", "I").measured(observer=False)
        >>> drives = pct.simulate(car, duration=8.0, mu=(0.7,))
        >>> ranking = pct.rank(pct.fit(car, drives, horizon=10, iterations=4), drives, piece=2.0)
        >>> len(ranking.pieces), len(ranking.best(4.0)) in (1, 2)
        (4, True)
    """
    from pct.designing.ranking import rank_pieces

    check_number("piece", piece, PIECE)
    fit = as_fit(fit)
    identify = (identify,) if isinstance(identify, str) else identify
    known = as_drives(drives)
    pieces = rank_pieces(fit.model, known.recordings, identify, seconds=piece)
    return Ranking(tuple(pieces), known, fit.model.dt)
