"""Where data is found, and where results and compiled code go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pct.errors import DataError
from pct.files import cache_folder

REPO_ROOT = Path(__file__).resolve().parents[3]


def resolve_folder(path: str, flag: str) -> Path:
    """A dataset folder, absolute or relative to the repository root, else to the working directory.

    Raises:
        DataError: there is no such folder.
    """
    tried = list(dict.fromkeys((REPO_ROOT / path, Path.cwd() / path)))
    for folder in tried:
        if folder.is_dir():
            return folder
    what = "a file" if any(folder.exists() for folder in tried) else "nothing"
    raise DataError(
        f"{flag} {path}: expected a folder, found {what} at {' or '.join(map(str, tried))}: "
        "check the path, or make a dataset with `pct simulate`"
    )


def default_results() -> Path:
    """``results/`` in the repository root; in the working directory where PCT is installed without one."""
    in_repository = (REPO_ROOT / "pyproject.toml").exists()
    return (REPO_ROOT if in_repository else Path.cwd()) / "results"


def keep_compiled_code(jax: Any) -> None:
    """Keep compiled code in the user's cache folder, so that the next run starts at once.

    `JAX_COMPILATION_CACHE_DIR` chooses another folder, `JAX_ENABLE_COMPILATION_CACHE=false` none.
    """
    if jax.config.jax_compilation_cache_dir is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder() / "compiled"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
