"""Where data is found, and where results go."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from pct.errors import DataError

REPO_ROOT = Path(__file__).resolve().parents[3]


def resolve_folder(path: str, flag: str) -> Path:
    """A dataset folder, absolute or relative to the working directory, else to the repository root.

    Raises:
        DataError: there is no such folder.
    """
    tried = list(dict.fromkeys((Path.cwd() / path, REPO_ROOT / path)))
    for folder in tried:
        if os.path.isdir(folder):
            return folder
    what = "a file" if any(map(os.path.exists, tried)) else "nothing"
    raise DataError(
        f"{flag} {path}: expected a folder, found {what} at {' or '.join(map(str, tried))}: "
        "check the path, or make a dataset with `pct simulate`"
    )


def resolve_place(path: str, flag: str) -> Path:
    """A folder as of `resolve_folder`, or a file.

    Raises:
        DataError: there is neither.
    """
    return Path(path) if os.path.isfile(path) else resolve_folder(path, flag)


def free_path(wanted: Path) -> Path:
    """The path, or with the first number behind its name that is free: ``run_2``, ``run_3``, ..."""
    numbered = (wanted.with_name(f"{wanted.stem}_{k}{wanted.suffix}") for k in itertools.count(2))
    return next(path for path in itertools.chain([wanted], numbered) if not path.exists())


def default_results() -> Path:
    """``results/`` in the working directory."""
    return Path.cwd() / "results"
