"""What a process sets of JAX: where compiled code is kept, and the precision."""

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from pct.files import cache_folder

P = ParamSpec("P")
T = TypeVar("T")


def keep_compiled_code() -> None:
    """Keep compiled code in the user's cache folder, so that the next process starts at once.

    Every `pct` command does so; a notebook or script calls it once, before the first fit or training.
    `JAX_COMPILATION_CACHE_DIR` chooses another folder, `JAX_ENABLE_COMPILATION_CACHE=false` none.

    Examples:
        >>> keep_compiled_code()
    """
    import jax

    config: Any = jax.config
    if config.jax_compilation_cache_dir is None:
        config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
        config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def in_single_precision(function: Callable[P, T]) -> Callable[P, T]:
    """The function with JAX in single precision, as networks are trained, whatever the process has chosen."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        import jax

        with jax.enable_x64(False):
            return function(*args, **kwargs)

    return call
