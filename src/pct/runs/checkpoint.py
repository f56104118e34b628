"""Checkpoints: trees of arrays as msgpack, checked leaf by leaf when they are read.

The bytes are those of `flax.serialization.to_bytes`, so any flax program can read them; never pickle.
Reading checks what flax does not: it restores any shape and dtype, drops entries that the template lacks,
and hands back read-only NumPy arrays.

``checkpoints/`` holds the last states of training, each with a hash, so that a run can go on where it was.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pct.errors import DataError
from pct.files import write_output

log = logging.getLogger(__name__)

MODEL_PARAMS = "pct_model_params.msgpack"
OPTIMIZER_STATE = "pct_optimizer_state.msgpack"
BEST_PARAMS = "pct_best_params.msgpack"
STATES = "checkpoints"
# Checkpoints in a run folder: the newest, and the one before in case that is damaged.
STORED = 2

Tree = TypeVar("Tree")


def save_params(path: Path, tree: Any) -> None:
    """Write a tree of arrays: network parameters or an optimiser's state.

    Raises:
        DataError: the file cannot be written; a former one is left whole.
    """
    from flax import serialization

    write_output(path, serialization.to_bytes(tree))


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
    from flax import serialization

    content = serialization.to_bytes(state)
    path = run / STATES / f"step_{step:09d}.msgpack"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"{path.parent}: cannot make the folder ({error.strerror}): free some space"
        ) from None
    digest = hashlib.sha256(content).hexdigest()
    write_output(path, serialization.msgpack_serialize({"sha256": digest, "state": content}))
    # A newer one is damaged: the newest that is not was gone on from.
    saved = saved_states(run)
    for other in {*saved} - {*saved[saved.index(path) :][:STORED]}:
        other.unlink(missing_ok=True)
    return path


def saved_states(run: Path) -> list[Path]:
    """Checkpoints of a run, the newest first."""
    return sorted((run / STATES).glob("step_*.msgpack"), reverse=True)


class SavedState(NamedTuple):
    """An intact checkpoint that is not yet restored."""

    path: Path
    content: bytes


def newest_state(run: Path) -> SavedState | None:
    """The newest intact checkpoint of a run; None where there is none yet.

    Raises:
        DataError: there are checkpoints, but all are damaged.
    """
    from flax import serialization

    paths = saved_states(run)
    for path in paths:
        try:
            saved = serialization.msgpack_restore(_read(path))
            intact = hashlib.sha256(saved["state"]).hexdigest() == saved["sha256"]
        except Exception:  # damaged bytes fail anywhere inside msgpack
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
        template: as in `load_params`.

    Raises:
        DataError: it is of another network.
    """
    return _restore(saved.path, saved.content, template)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot read the checkpoint ({error.strerror}): give the folder of a finished run"
        ) from None


def _restore(path: Path, content: bytes, template: Tree) -> Tree:
    import jax
    import jax.numpy as jnp
    from flax import serialization
    from flax.traverse_util import flatten_dict

    try:
        state = serialization.msgpack_restore(content)
        leaves = flatten_dict(state, sep="/")
    except Exception as error:  # damaged bytes fail anywhere inside msgpack, NumPy and flax
        raise DataError(
            f"{path}: expected a msgpack checkpoint, found {len(content)} bytes that are none ({error}): "
            "the file is damaged or cut short, take another checkpoint of the run"
        ) from None
    _check_leaves(path, leaves, flatten_dict(serialization.to_state_dict(template), sep="/"))
    return jax.tree.map(jnp.asarray, serialization.from_state_dict(template, state))


def _check_leaves(path: Path, leaves: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raise DataError for the first leaf that is missing, not expected, or of another shape or dtype."""
    fix = "it belongs to another model, feature mode or `model_hidden`"
    if missing := expected.keys() - leaves.keys():
        raise DataError(f"{path}: expected a leaf '{min(missing)}', found none: {fix}")
    if extra := leaves.keys() - expected.keys():
        raise DataError(f"{path}: found a leaf '{min(extra)}' that is not expected: {fix}")
    for leaf, template in expected.items():
        if _kind(leaves[leaf]) != _kind(template):
            raise DataError(
                f"{path}: leaf '{leaf}': expected {_kind(template)}, found {_kind(leaves[leaf])}: {fix}"
            )


def _kind(leaf: Any) -> str:
    """Dtype and shape in words, e.g. ``float32 (16, 64)``."""
    import numpy as np

    leaf = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
    return f"{leaf.dtype} {tuple(leaf.shape)}"
