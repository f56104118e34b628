"""Checkpoints: trees of arrays as msgpack, checked leaf by leaf when they are read.

The bytes are those of `flax.serialization.to_bytes`, so any flax program can read them; never pickle.
Reading checks what flax does not: it restores any shape and dtype, drops entries that the template lacks,
and hands back read-only NumPy arrays.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from pct.errors import DataError
from pct.files import write_output

MODEL_PARAMS = "pct_model_params.msgpack"
OPTIMIZER_STATE = "pct_optimizer_state.msgpack"
BEST_PARAMS = "pct_best_params.msgpack"

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
    import jax
    import jax.numpy as jnp
    from flax import serialization
    from flax.traverse_util import flatten_dict

    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: cannot read the checkpoint ({error.strerror}): give the folder of a finished run"
        ) from None
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


def _check_leaves(path: Path, found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raise DataError for the first leaf that is missing, not expected, or of another shape or dtype."""
    fix = "it belongs to another model, feature mode or --model-hidden"
    if missing := expected.keys() - found.keys():
        raise DataError(f"{path}: expected a leaf '{min(missing)}', found none: {fix}")
    if extra := found.keys() - expected.keys():
        raise DataError(f"{path}: found a leaf '{min(extra)}' that is not expected: {fix}")
    for leaf, wanted in expected.items():
        if _kind(found[leaf]) != _kind(wanted):
            raise DataError(
                f"{path}: leaf '{leaf}': expected {_kind(wanted)}, found {_kind(found[leaf])}: {fix}"
            )


def _kind(leaf: Any) -> str:
    """Dtype and shape in words, e.g. ``float32 (16, 64)``."""
    import numpy as np

    leaf = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
    return f"{leaf.dtype} {tuple(leaf.shape)}"
