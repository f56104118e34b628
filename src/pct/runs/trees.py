"""Trees of arrays as msgpack, as `flax.serialization` writes them: any program of flax reads these bytes.

An array is an extension of type 1, a scalar of NumPy one of type 3; both hold a packed triple of shape, name
of the type, and bytes. Tuples and lists are maps with their places as names. Never pickle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np

ARRAY, SCALAR = 1, 3


def to_bytes(tree: Any) -> bytes:
    """A tree of arrays and numbers, packed."""
    return pack(to_state(tree))


def pack(state: Any) -> bytes:
    """Maps of arrays, numbers and bytes, packed."""
    return msgspec.msgpack.encode(state, enc_hook=_packed)


def unpack(content: bytes) -> Any:
    """What `pack` has packed, with NumPy arrays that cannot be written to.

    Raises:
        msgspec.MsgspecError: the bytes are no msgpack.
        ValueError, TypeError: they hold what is no array.
    """
    return msgspec.msgpack.decode(content, ext_hook=_unpacked)


def to_state(tree: Any) -> Any:
    """A tree of tuples, lists and maps as maps alone.

    Examples:
        >>> to_state({"a": (1, [2])})
        {'a': {'0': 1, '1': {'0': 2}}}
    """
    parts = _parts(tree)
    return tree if parts is None else {name: to_state(part) for name, part in parts.items()}


def from_state(template: Any, state: Any) -> Any:
    """A tree like another one, of the leaves of maps.

    Raises:
        ValueError: the maps have other names than the tree.
    """
    parts = _parts(template)
    if parts is None:
        return state
    if not isinstance(state, dict) or state.keys() != parts.keys():
        raise ValueError("another tree")
    found = {name: from_state(part, state[name]) for name, part in parts.items()}
    if isinstance(template, Mapping):
        return {key: found[str(key)] for key in template}
    if hasattr(template, "_fields"):
        return type(template)(**found)
    return type(template)(found.values())


def leaves_of(state: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of maps by their path, e.g. ``params/Dense_0/kernel``.

    Examples:
        >>> dict(leaves_of({"a": {"b": 1, "c": {}}}))
        {'a/b': 1}
    """
    if not isinstance(state, dict):
        yield place, state
        return
    for name, part in state.items():
        yield from leaves_of(part, f"{place}/{name}" if place else str(name))


def _parts(tree: Any) -> dict[str, Any] | None:
    """What a node of a tree holds, by name; None of a leaf."""
    if isinstance(tree, Mapping):
        return {str(key): part for key, part in tree.items()}
    if hasattr(tree, "_fields"):
        return {name: getattr(tree, name) for name in tree._fields}
    if isinstance(tree, list | tuple):
        return {str(place): part for place, part in enumerate(tree)}
    return None


def _packed(leaf: Any) -> msgspec.msgpack.Ext:
    values = np.asarray(leaf)
    if values.dtype.hasobject:
        raise TypeError(f"expected an array of numbers, found {type(leaf).__name__}")
    content = msgspec.msgpack.encode((values.shape, values.dtype.name, values.tobytes()))
    return msgspec.msgpack.Ext(SCALAR if isinstance(leaf, np.generic) else ARRAY, content)


def _unpacked(kind: int, content: memoryview) -> Any:
    import jax.numpy as jnp  # knows more types of numbers than NumPy

    if kind not in (ARRAY, SCALAR):
        raise ValueError(f"an extension of type {kind}, which is no array")
    shape, name, values = msgspec.msgpack.decode(content, type=tuple[tuple[int, ...], str, bytes])
    found = np.frombuffer(values, jnp.dtype(name)).reshape(shape)
    return found[()] if kind == SCALAR else found
