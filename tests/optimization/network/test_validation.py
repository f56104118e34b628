"""A network on top of a fit is chosen on rows that neither has used, as far as there are any."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pct.errors import DataError
from pct.optimization.network.validation import Seen, choose_windows
from pct.optimization.settings import TrainSettings
from pct.windows.splits import rows_of_windows
from pct.windows.store import WindowStore

SHAPE = {"horizon": 3, "history": 4}
SETTINGS = TrainSettings(**SHAPE)


def store_of(*lengths: int, name: str = "drive") -> WindowStore:
    size = sum(lengths)
    return WindowStore(
        states=np.zeros((size, 4)),
        controls=np.zeros((size, 2)),
        exogenous=np.zeros((size, 0)),
        truth=np.zeros((size, 0)),
        times=np.concatenate([np.arange(n) * 0.1 for n in lengths]),
        recording=np.repeat(np.arange(len(lengths)), lengths),
        recordings=tuple(f"{name} {i}" for i in range(len(lengths))),
        exogenous_names=(),
        truth_names=(),
        dt=0.1,
    )


def fit_of(**rows: slice) -> Seen:
    """A fit that has used these rows of the stores whose recordings begin with the name."""

    def used(store: WindowStore) -> np.ndarray:
        mask = np.zeros(store.recording.size, bool)
        for name, part in rows.items():
            if store.recordings[0].startswith(name):
                mask[part] = True
        return mask

    return Seen(used, None)


ALL = slice(None)


def rows(starts: np.ndarray, store: WindowStore) -> np.ndarray:
    return rows_of_windows(starts, store.recording.size, **SHAPE)


def test_without_a_fit_nothing_is_held_out_unasked() -> None:
    store = store_of(100)
    choice = choose_windows(store, None, SETTINGS, None)
    assert (choice.store, choice.unseen, choice.facts) == (None, None, [])
    assert choice.training.size == 93


def test_what_val_split_holds_out_is_named() -> None:
    choice = choose_windows(store_of(100, 100), None, dataclasses.replace(SETTINGS, val_split=0.3), None)
    assert choice.facts == [
        "held out for validation: 'drive 0' from 7.00 to 9.90 s, 'drive 1' from 7.00 to 9.90 s"
    ]
    choice = choose_windows(store_of(100, 100), None, dataclasses.replace(SETTINGS, val_split=0.5), None)
    assert choice.facts == ["held out for validation: 'drive 1'"]


def test_named_validation_data_is_taken_without_the_rows_of_the_fit() -> None:
    store, named = store_of(100), store_of(50, name="named")
    choice = choose_windows(store, named, SETTINGS, fit_of(drive=ALL, named=slice(20)))
    assert choice.store is named
    assert choice.unseen is True
    assert choice.held_out == ()
    assert not rows(choice.validation, named)[:20].any()
    assert choice.dropped == 43 - choice.validation.size == 20
    assert choice.training.size == 93


def test_rows_that_are_new_to_the_fit_are_held_out_first() -> None:
    """Of two drives the fit knows one: of the other a part is held out, whether validation data are known."""
    store = store_of(100, 100)
    for named in (None, store_of(50, name="named")):
        choice = choose_windows(store, named, SETTINGS, fit_of(drive=slice(100), named=ALL))
        assert choice.store is store
        assert choice.unseen is True
        (span,) = choice.held_out
        assert (span.recording, span.whole) == ("drive 1", False)
        held, trained = rows(choice.validation, store), rows(choice.training, store)
        assert not held[:100].any()
        assert held.sum() == pytest.approx(40, abs=1)
        assert not (held & trained).any()
        # The network learns of the rest of the new drive, too.
        assert trained[100:].any()
    assert choice.facts[-1] == "the validation rows are new to the fit and to the network"


def test_leftovers_of_a_fit_are_too_short_to_hold_out() -> None:
    store = store_of(100, 100)
    used = Seen(lambda store: np.arange(200) % 100 < 93, None)
    choice = choose_windows(store, None, SETTINGS, used)
    assert choice.unseen is False


def test_where_the_fit_knows_all_it_says_so() -> None:
    store, named = store_of(100), store_of(50, name="named")
    seen = fit_of(drive=ALL, named=ALL)
    choice = choose_windows(store, named, SETTINGS, seen)
    assert (choice.store, choice.unseen, choice.validation.size) == (named, False, 43)
    choice = choose_windows(store, None, SETTINGS, seen)
    assert choice.unseen is False
    assert str(choice.held_out[0]) == "'drive 0' from 8.00 to 9.90 s"
    assert "the fit was fitted to the validation rows, too" in choice.facts[-1]
    share = dataclasses.replace(SETTINGS, val_split=0.5)
    assert str(choose_windows(store, None, share, seen).held_out[0]) == "'drive 0' from 5.00 to 9.90 s"


def test_a_drive_that_is_too_short_to_hold_rows_out_is_told() -> None:
    with pytest.raises(DataError, match="on top of a fit the best epoch is chosen on rows that are held out"):
        choose_windows(store_of(20), None, SETTINGS, fit_of(drive=ALL))
