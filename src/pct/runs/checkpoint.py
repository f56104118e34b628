"""Checkpoints: trees of arrays as msgpack, checked leaf by leaf when they are read.

The bytes are those of flax, see `pct.runs.trees`; never pickle.

``checkpoints/`` holds the last states of training, each with a hash, so that a run can go on where it was.
"""

from __future__ import annotations

import hashlib
import logging
import math
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, TypeVar

import msgspec
import numpy as np

from pct.errors import DataError
from pct.files import write_output
from pct.json_files import read_whole
from pct.runs.trees import from_state, leaves_of, pack, to_bytes, to_state, unpack

log = logging.getLogger(__name__)

MODEL_PARAMS = "pct_model_params.msgpack"
OPTIMIZER_STATE = "pct_optimizer_state.msgpack"
BEST_PARAMS = "pct_best_params.msgpack"
STATES = "checkpoints"
# Checkpoints in a run folder: the newest, and the one before in case that is damaged.
STORED = 2
# Bytes of a file that we open.
LARGEST = 4 << 30
# Bytes that names and shapes take in a checkpoint, beside its values.
ROOM = 1 << 20

Tree = TypeVar("Tree")


def save_params(path: Path, tree: Any) -> None:
    """Write a tree of arrays: network parameters or an optimiser's state.

    Raises:
        DataError: the file cannot be written; a former one is left whole.
    """
    write_output(path, to_bytes(tree))


def load_params(path: Path, template: Tree) -> Tree:
    """Read a tree that `save_params` wrote.

    Args:
        path: the file.
        template: a tree of the same structure, whose leaves have the expected shape and dtype: arrays, or
            `jax.ShapeDtypeStruct` from `jax.eval_shape`.

    Returns:
        The tree with JAX arrays.

    Raises:
        DataError: the file is missing or damaged, or a leaf, named by its path, is not as expected.
    """
    return _restore(path, _read(path), template)


def save_state(run: Path, state: Any, step: int) -> Path:
    """Write the state of training after a number of steps under ``checkpoints/``; older ones make room.

    Raises:
        DataError: the file cannot be written; former ones are left whole.
    """
    content = to_bytes(state)
    path = run / STATES / f"step_{step:09d}.msgpack"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{path.parent}: cannot make the folder ({error.strerror}): free some space"
        ) from None
    digest = hashlib.sha256(content).hexdigest()
    write_output(path, pack({"sha256": digest, "state": content}))
    # A newer one is damaged: the newest that is not was gone on from.
    saved = saved_states(run)
    for other in {*saved} - {*saved[saved.index(path) :][:STORED]}:
        other.unlink(missing_ok=True)
    return path


def saved_states(run: Path) -> list[Path]:
    """Checkpoints of a run, the newest first."""
    return sorted((run / STATES).glob("step_*.msgpack"), reverse=True)


class StateFile(TypedDict):
    """A checkpoint as it is stored: the hash of a state, and the state as `save_params` writes it."""

    sha256: str
    state: bytes


class SavedState(NamedTuple):
    """An intact checkpoint that is not yet restored."""

    path: Path
    content: bytes


def newest_state(run: Path) -> SavedState | None:
    """The newest intact checkpoint of a run; None where there is none yet.

    Raises:
        DataError: there are checkpoints, but all are damaged.
    """
    paths = saved_states(run)
    for path in paths:
        try:
            saved = msgspec.msgpack.decode(_read(path), type=StateFile)
            intact = hashlib.sha256(saved["state"]).hexdigest() == saved["sha256"]
        except (DataError, msgspec.MsgspecError, UnicodeError, RecursionError):
            intact = False
        if intact:
            return SavedState(path, saved["state"])
        log.warning("%s is damaged or cut short; taking the checkpoint before it", path)
    if paths:
        raise DataError(
            f"{run / STATES}: expected an intact checkpoint, all {len(paths)} are damaged: start a new run"
        )
    return None


def restore_state(saved: SavedState, template: Tree) -> Tree:
    """The state of a checkpoint.

    Args:
        saved: from `newest_state`.
        template: as in `load_params`.

    Raises:
        DataError: it is of another network.
    """
    return _restore(saved.path, saved.content, template)


def _read(path: Path) -> bytes:
    return read_whole(path, what="a checkpoint", fix="give the folder of a finished run", largest=LARGEST)


def _restore(path: Path, content: bytes, template: Tree) -> Tree:
    import jax
    import jax.numpy as jnp

    expected = dict(leaves_of(to_state(template)))
    # What is packed grows when it is read, to a size that a file of this size is known to fit.
    size = sum(math.prod(np.shape(leaf)) * np.dtype(_dtype(leaf)).itemsize for leaf in expected.values())
    fix = "the file is damaged or cut short, take another checkpoint of the run"
    if len(content) > 2 * size + ROOM:
        raise DataError(
            f"{path}: expected a checkpoint of {size} bytes or a little more, found {len(content)}: {fix}"
        )
    try:
        state = unpack(content)
        if not isinstance(state, dict):
            raise ValueError("no tree")
        kinds = {name: _kind(leaf) for name, leaf in leaves_of(state)}
    except Exception as error:  # damaged bytes fail anywhere inside msgpack and NumPy
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(
            f"{path}: expected a msgpack checkpoint, found {len(content)} other bytes ({reason}): {fix}"
        ) from None
    _check_leaves(path, kinds, {name: _kind(leaf) for name, leaf in expected.items()})
    try:
        return jax.tree.map(jnp.asarray, from_state(template, state))
    except ValueError:  # the same names, in another tree
        raise DataError(f"{path}: expected the leaves of the network in its own tree: {fix}") from None


def _check_leaves(path: Path, kinds: dict[str, str], expected: dict[str, str]) -> None:
    """Raise DataError for the first leaf that is missing, not expected, or of another shape or dtype."""
    fix = "it belongs to another model, feature mode or `model_hidden`"
    if missing := expected.keys() - kinds.keys():
        raise DataError(f"{path}: expected a leaf '{min(missing)}', found none: {fix}")
    if extra := kinds.keys() - expected.keys():
        raise DataError(f"{path}: found a leaf '{min(extra)}' that is not expected: {fix}")
    for leaf, kind in expected.items():
        if kinds[leaf] != kind:
            raise DataError(f"{path}: leaf '{leaf}': expected {kind}, found {kinds[leaf]}: {fix}")


def _kind(leaf: Any) -> str:
    """Dtype and shape in words, e.g. ``float32 (16, 64)``."""
    return f"{_dtype(leaf)} {tuple(np.shape(leaf))}"


def _dtype(leaf: Any) -> Any:
    return leaf.dtype if hasattr(leaf, "dtype") else np.asarray(leaf).dtype
