"""Rows that were trained on are found by what they hold, and nothing else is."""

from pathlib import Path

import numpy as np
import pytest

from pct.errors import DataError
from pct.runs.overlap import (
    FINGERPRINT,
    ONE_IN,
    find_overlap,
    load_fingerprint,
    row_hashes,
    rows_seen,
)
from pct.windows.store import WindowStore

POSE = (0, 1, 2)


def store_of(states: np.ndarray, controls: np.ndarray) -> WindowStore:
    size = len(states)
    return WindowStore(
        states=states.astype(np.float32),
        controls=controls.astype(np.float32),
        exogenous=np.zeros((size, 0)),
        truth=np.zeros((size, 0)),
        times=np.arange(size) * 0.1,
        recording=np.zeros(size, np.int32),
        recordings=("drive",),
        exogenous_names=(),
        truth_names=(),
        dt=0.1,
    )


def drive(seed: int, size: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(size, 5)), rng.normal(size=(size, 2))


def hashes(states: np.ndarray, controls: np.ndarray) -> np.ndarray:
    return row_hashes(store_of(states, controls), POSE, np.ones(len(states), bool))


def test_a_copy_is_found_wherever_it_was_driven() -> None:
    states, controls = drive(0)
    moved = states + np.array([7.0, -3.0, 1.0, 0.0, 0.0])
    found = find_overlap(hashes(states, controls), hashes(moved, controls))
    assert found.share == 1.0
    assert found.alarming
    assert abs(found.compared - 4000 / ONE_IN) < 60


def test_a_slice_and_a_joined_recording_are_found() -> None:
    (states, controls), (other, other_controls) = drive(0), drive(1)
    trained = hashes(states, controls)
    assert find_overlap(trained, hashes(states[1237:1700], controls[1237:1700])).share == 1.0
    joined = hashes(
        np.concatenate([other, states[100:1100]]), np.concatenate([other_controls, controls[100:1100]])
    )
    assert find_overlap(trained, joined).share == pytest.approx(0.2, abs=0.06)
    assert find_overlap(trained, joined).alarming


def test_another_drive_is_not() -> None:
    found = find_overlap(hashes(*drive(0)), hashes(*drive(1)))
    assert found.share == 0.0
    assert not found.alarming


def test_standstill_says_nothing() -> None:
    # With the wheels turned in a hundred ways, since of each sixteen only one row would be kept.
    standing = np.zeros((5000, 5)), np.zeros((5000, 2))
    standing[0][:, 4] = 0.01 * (np.arange(5000) // 50)
    assert hashes(*standing).size == 0
    # Nor do two cars that stand still at some time.
    pair = []
    for seed in (0, 1):
        states, controls = drive(seed, 9000)
        states[1000:6000], controls[1000:6000] = standing
        pair.append(hashes(states, controls))
    assert find_overlap(*pair).share == 0.0


def test_zero_has_no_sign() -> None:
    states, controls = drive(0)
    controls[:, 0] = 0.0
    other = controls * [-1.0, 1.0]
    assert find_overlap(hashes(states, controls), hashes(states, other)).share == 1.0


def test_one_changed_control_or_state_changes_a_row() -> None:
    states, controls = drive(0)
    for column in (3, 4):
        changed = states.copy()
        changed[:, column] += 1e-3
        assert find_overlap(hashes(states, controls), hashes(changed, controls)).share == 0.0
    assert find_overlap(hashes(states, controls), hashes(states, controls[:, ::-1])).share == 0.0


def test_only_rows_that_were_read_count() -> None:
    states, controls = drive(0)
    read = np.arange(4000) < 1000
    trained = row_hashes(store_of(states, controls), POSE, read)
    assert find_overlap(trained, hashes(states[1000:], controls[1000:])).share == 0.0
    assert find_overlap(trained, hashes(states[:1000], controls[:1000])).share == 1.0


def test_a_fingerprint_is_missing_or_damaged(tmp_path: Path) -> None:
    assert load_fingerprint(tmp_path) is None
    (tmp_path / FINGERPRINT).write_bytes(b"no numbers")
    with pytest.raises(DataError, match="expected the fingerprint of the training rows"):
        load_fingerprint(tmp_path)


def test_rows_of_a_fit_are_found_among_others_and_in_doubt_there_are_more() -> None:
    states, controls = drive(0)
    store = store_of(states, controls)._replace(
        recording=np.repeat([0, 1, 2], [1500, 2490, 10]).astype(np.int32), recordings=("a", "b", "c")
    )
    read = np.zeros(4000, bool)
    read[:900] = True
    seen = rows_seen(store, POSE, row_hashes(store, POSE, read))
    assert seen[:900].all()
    # Up to the next compared row the fit may have gone on.
    assert not seen[900 + 12 * ONE_IN : 3990].any()
    # Ten rows may hold none that is compared: then nobody can tell.
    tiny = row_hashes(store, POSE, store.recording == 2).size == 0
    assert seen[3990:].all() == tiny
    assert not rows_seen(store, POSE, np.zeros(0, np.uint64))[:3990].any()


def test_a_fingerprint_is_no_archive_and_no_claim_of_rows(tmp_path: Path) -> None:
    """`np.load` would make room for what a header says, and open archives."""
    path = tmp_path / FINGERPRINT
    np.save(path, np.arange(4, dtype=np.uint64))
    whole = path.read_bytes()
    assert load_fingerprint(tmp_path).tolist() == [0, 1, 2, 3]
    np.savez(tmp_path / "archive.npz", np.arange(4, dtype=np.uint64))
    for content in (
        whole.replace(b"(4,)", b"(1" + b"0" * 12 + b",)"),
        whole.replace(b"<u8", b"|O8"),
        whole.replace(b"(4,)", b"(" * 60),
        whole[:-1],
        b"",
        (tmp_path / "archive.npz").read_bytes(),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match="expected the fingerprint of the training rows"):
            load_fingerprint(tmp_path)
