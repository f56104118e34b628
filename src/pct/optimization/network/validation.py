"""Which rows choose the best epoch: named ones, or a part of the training data that is held out.

A network on top of a fit is chosen on rows that neither has used, as far as there are any; see
`pct.optimization.network.against_fit`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from pct.errors import DataError
from pct.optimization.settings import TrainSettings
from pct.types import Bool, Int, Shaped
from pct.windows.splits import (
    HELD_OUT,
    Span,
    describe_spans,
    rows_of_windows,
    spans_of,
    split_rows,
    split_starts,
    starts_beside,
    windows_within,
)
from pct.windows.store import WindowStore, spread, window_starts

# Share that a network on top of a fit holds out where nothing else is said.
SHARE = 0.2
# Most of the rows that are new to the fit that are held out: the network is to learn of them, too.
MOST = 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """What the fit below a network has used.

    Attributes:
        rows: which rows of a store it may have used, (N,).
        hashes: of all rows that it used, from `pct.runs.overlap`; None where nobody knows.
    """

    rows: Callable[[WindowStore], Bool[np.ndarray, " N"]]
    hashes: Shaped[np.ndarray, " K"] | None


@dataclasses.dataclass(frozen=True, eq=False)
class Choice:
    """The windows of a training.

    Attributes:
        training: first rows of the training windows in the training store.
        store: rows of the validation windows; None where there are none.
        validation: first rows of the validation windows there.
        held_out: of the training data.
        unseen: whether a fit below has used none of the validation rows; None where there is no fit.
        dropped: validation windows that are left out, since the fit has used rows of them.
    """

    training: Int[np.ndarray, " K"]
    store: WindowStore | None
    validation: Int[np.ndarray, " L"]
    held_out: tuple[Span, ...] = ()
    unseen: bool | None = None
    dropped: int = 0

    @property
    def facts(self) -> list[str]:
        """What the epochs are chosen on, in sentences."""
        lines = []
        if self.held_out:
            lines.append(f"held out for validation: {describe_spans(self.held_out)}")
        if self.dropped:
            lines.append(
                f"{self.dropped} validation windows are left out: the fit was fitted to rows of them"
            )
        if self.unseen:
            lines.append("the validation rows are new to the fit and to the network")
        if self.unseen is False:
            lines.append(
                "the fit was fitted to the validation rows, too, or nobody knows: drives that it has not "
                "seen, as validation data, would make a fairer choice"
            )
        return lines


def choose_windows(
    store: WindowStore, val_store: WindowStore | None, settings: TrainSettings, seen: Seen | None
) -> Choice:
    """First rows of training and validation windows.

    Where a fit is below: the named validation windows that it has not used; else a part of the training data
    that it has not used; else the named validation data, or the last part of all training data.

    Args:
        store: rows of the training data.
        val_store: rows of the validation data; None where none is named.
        settings: of the training.
        seen: what the fit below has used; None where there is none.

    Raises:
        DataError: no recording is long enough.
    """
    shape: Any = {"horizon": settings.horizon, "history": settings.history}
    thinned: Any = {"stride": settings.stride, "samples": settings.samples}
    named = np.zeros(0, int)
    if val_store is not None:
        named = window_starts(val_store, stride=settings.stride, label="validation", **shape)
    if seen is None:
        if val_store is not None:
            training = window_starts(store, **thinned, **shape)
            return Choice(training, val_store, spread(named, settings.val_samples))
        return _split(store, settings.val_split, settings)
    if val_store is not None:
        new = windows_within(named, ~seen.rows(val_store), **shape)
        if new.size:
            training = window_starts(store, **thinned, **shape)
            kept = spread(new, settings.val_samples)
            return Choice(training, val_store, kept, unseen=True, dropped=named.size - new.size)
    choice = _split_unseen(store, ~seen.rows(store), settings)
    if choice is not None:
        return choice
    if val_store is not None:
        training = window_starts(store, **thinned, **shape)
        return Choice(training, val_store, spread(named, settings.val_samples), unseen=False)
    try:
        return dataclasses.replace(_split(store, settings.val_split or SHARE, settings), unseen=False)
    except DataError as error:
        raise DataError(
            f"on top of a fit the best epoch is chosen on rows that are held out: {error}, or name "
            "validation data"
        ) from None


def _split(store: WindowStore, share: float, settings: TrainSettings) -> Choice:
    """Hold a share of the training data out; nothing where that is zero."""
    shape: Any = {"horizon": settings.horizon, "history": settings.history}
    training, validation = split_starts(
        store,
        share,
        stride=settings.stride,
        samples=settings.samples,
        val_samples=settings.val_samples,
        **shape,
    )
    if not validation.size:
        return Choice(training, None, validation)
    held = split_rows(store, share, gap=settings.history + settings.horizon) == HELD_OUT
    return Choice(training, store, validation, spans_of(store, held))


def _split_unseen(
    store: WindowStore, unseen: Bool[np.ndarray, " N"], settings: TrainSettings
) -> Choice | None:
    """Hold a part of the unseen rows out, as large as a share of all; None where they are too few."""
    shape: Any = {"horizon": settings.horizon, "history": settings.history}
    # Leftovers that are too short for a window are no part to hold out.
    every = window_starts(store, **shape)
    unseen = rows_of_windows(windows_within(every, unseen, **shape), unseen.size, **shape)
    if not unseen.any():
        return None
    share = min((settings.val_split or SHARE) / unseen.mean(), MOST)
    held = split_rows(store, share, gap=settings.history + settings.horizon, inside=unseen) == HELD_OUT
    starts = window_starts(store, stride=settings.stride, **shape)
    validation = windows_within(starts, held, **shape)
    training = starts_beside(store, held, stride=settings.stride, samples=settings.samples, **shape)
    if not (validation.size and training.size):
        return None
    validation = spread(validation, settings.val_samples)
    return Choice(training, store, validation, spans_of(store, held), unseen=True)
