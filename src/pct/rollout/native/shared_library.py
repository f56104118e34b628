"""The library of the code that is the same for every model, and its functions as XLA knows them."""

from __future__ import annotations

import hashlib
from functools import cache

import jax

from pct.rollout.native.code import generator, read_part
from pct.rollout.native.compiler import load_library

PARTS = ("simd.h", "scratch.h", "pool.h", "network.h", "context.h")
FUNCTIONS = ("pct_network", "pct_network_reverse", "pct_context")


@cache
def prepare() -> dict[str, str]:
    """Compile the code where the cache does not have it, and register it with XLA.

    Returns:
        The names by which XLA knows its functions.

    Raises:
        NoCompiler: the machine cannot compile.
    """
    facts = "common", generator(), jax.__version__
    key = hashlib.sha256(repr(facts).encode()).hexdigest()
    source = "\n".join(map(read_part, PARTS))
    library = load_library(key, lambda: source, jax.ffi.include_dir())
    names = {function: f"{function}_{key[:32]}" for function in FUNCTIONS}
    for function, name in names.items():
        jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(getattr(library, function)), platform="cpu")
    return names
