"""What a process sets of JAX: where compiled code is kept, and the precision."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from pct.files import open_cache

# Bytes of compiled code that are kept.
MOST = 1 << 30

P = ParamSpec("P")
T = TypeVar("T")


def keep_compiled_code() -> None:
    """Keep compiled code in the user's cache folder, so that the next process starts at once.

    Every `pct` command does so; a notebook or script calls it once, before the first fit or training.
    `JAX_COMPILATION_CACHE_DIR` chooses another folder, which JAX keeps by itself,
    `JAX_ENABLE_COMPILATION_CACHE=false` none. Where the folder is not safe or cannot be written, nothing is
    kept, after one line that says so.

    Examples:
        >>> keep_compiled_code()
    """
    import jax

    config: Any = jax.config
    if config.jax_compilation_cache_dir is None and config.jax_enable_compilation_cache:
        from pct.rollout.kept_code import serve

        cache = open_cache("compiled", "compiled code", MOST)
        if cache is not None:
            serve(cache)
            config.update("jax_compilation_cache_dir", str(cache.folder))
            config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def in_single_precision(function: Callable[P, T]) -> Callable[P, T]:
    """The function with JAX in single precision, as networks are trained, whatever the process has chosen."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        import jax

        with jax.enable_x64(False):
            return function(*args, **kwargs)

    return call
