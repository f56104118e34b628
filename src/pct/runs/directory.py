"""The folder of a run: its name, what it was started with, and how it ended.

``results/<model>/run_<YYYYmmdd-HHMMSS>[_ablation_<mode>][_NN]/`` holds ``config.json`` and
``provenance.json`` from the start, and ``DONE`` or ``FAILED`` from the end; a folder with neither marker
is still running, or was killed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import importlib.metadata
import itertools
import json
import logging
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, TypeVar

import pct
from pct.errors import DataError, PctError
from pct.files import sweep, write_output
from pct.json_files import read_json
from pct.lazy import DISTRIBUTION
from pct.runs.lock import writing

CONFIG = "config.json"
PROVENANCE = "provenance.json"
DONE = "DONE"
FAILED = "FAILED"
PREDICTED = "pct_predicted_params.json"

Record = TypeVar("Record")

log = logging.getLogger(__name__)

PACKAGES = ("pct", "jax", "jaxlib", "optax", "numpy")


def create_run_directory(root: Path, model: str, feature_mode: str, timestamp: str | None = None) -> Path:
    """Make a new, empty run folder; no other process gets the same one.

    Files that killed processes were writing in the run folders beside it go.

    Args:
        root: folder of all results, made where it is missing.
        model: name of the model; its runs share a folder.
        feature_mode: ``full``, or the part of the features that an ablation keeps; it names the folder.
        timestamp: ``YYYYmmdd-HHMMSS``; the local time when left out.

    Returns:
        The absolute path of the folder.

    Raises:
        DataError: the folder cannot be made.
    """
    ablation = "" if feature_mode == "full" else f"_ablation_{feature_mode}"
    base = root / model / f"run_{timestamp or time.strftime('%Y%m%d-%H%M%S')}{ablation}"
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        _sweep_unfinished(base.parent)
        for suffix in itertools.chain([""], (f"_{n:02d}" for n in itertools.count(1))):
            run = base.with_name(base.name + suffix)
            try:
                run.mkdir()  # atomic: of two processes that want the same name, one gets the error
            except FileExistsError:
                continue
            return run.resolve()
    except OSError as error:
        raise DataError(
            f"{base}: cannot make the run folder ({error.strerror}): "
            "choose a results folder that can be written, or free some space"
        ) from None
    raise AssertionError("the counter never ends")


@contextlib.contextmanager
def begin_run(
    run: Path, *, settings: Any, paths: Sequence[Path], data: Mapping[str, str] | None = None
) -> Iterator[Path]:
    """Make a run folder of a given name, or take an empty one, and record what the run was made from.

    Until the block ends no other process writes there. It gives the absolute path.

    Args:
        run: the folder.
        settings: dataclass of the fit or training.
        paths: files and folders of the training data.
        data: hash of every input file by path.

    Raises:
        DataError: there is something already, another process writes there, or the folder cannot be made.
    """
    with contextlib.ExitStack() as stack:
        try:
            run.mkdir(parents=True, exist_ok=True)
            stack.enter_context(writing(run))
            sweep(run)
            if any(run.iterdir()):
                raise DataError(
                    f"{run}: expected a new or empty folder, found files in it: choose another name"
                )
        except OSError as error:
            raise DataError(
                f"{run}: cannot make the run folder ({error.strerror}): choose another place"
            ) from None
        config = {"dataset": [str(path) for path in paths], **dataclasses.asdict(settings)}
        write_provenance(run, config=config, command=sys.argv, data=data or {})
        yield run.resolve()


def write_provenance(
    run: Path, *, config: Mapping[str, Any], command: Sequence[str], data: Mapping[str, Any]
) -> None:
    """Record what the run was started with: ``config.json`` and ``provenance.json``.

    Args:
        run: the run folder.
        config: every setting with its value in force.
        command: the command line, as in ``sys.argv``.
        data: hash of every input, e.g. ``{path: sha256}``.

    Raises:
        DataError: the folder cannot be written.
    """
    write_json(
        run / PROVENANCE,
        {
            "started": _now(),
            "command": list(command),
            "working_directory": os.getcwd(),
            "python": platform.python_version(),
            "packages": {name: _version(name) for name in PACKAGES},
            "git": git_state(Path(pct.__file__).parent),
            "platform": platform.platform(),
            "cpus": os.cpu_count(),
            "data": data,
        },
    )
    # The last: where it stands, a killed run can be resumed, and its data compared.
    write_json(run / CONFIG, config)


def reopen(run: Path, *, command: Sequence[str], config: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """Note that a run goes on: the settings in force and the command are recorded, its markers go.

    Files that were being written when it was killed go, too. Versions that differ from those at the start
    are warned of: the result may differ in the last digits. Arguments as in `write_provenance`.
    """
    provenance = _read_provenance(run, Provenance)
    packages = {name: _version(name) for name in PACKAGES}
    for name, version in provenance.get("packages", {}).items():
        if packages.get(name) != version:
            log.warning("%s is %s, the run was started with %s", name, packages.get(name), version)
    again = {"resumed": _now(), "command": list(command), "packages": packages}
    resumed = [*provenance.get("resumed", ()), again]
    everything = _read_provenance(run, dict[str, Any])
    write_json(run / PROVENANCE, {**everything, "data": data, "resumed": resumed})
    write_json(run / CONFIG, config)
    for old in (run / DONE, run / FAILED, *run.rglob(".*.tmp")):
        _remove(old)


def require_own(run: Path, *paths: Path) -> None:
    """Refuse a run folder whose links would take elsewhere what is written to it.

    Args:
        run: the folder.
        paths: within it; its entries when left out.

    Raises:
        DataError: one of them leads out of the folder, or the folder cannot be read.
    """
    inside = Path(os.path.realpath(run))
    try:
        for path in paths or sorted(run.iterdir()):
            if not (target := Path(os.path.realpath(path))).is_relative_to(inside):
                raise DataError(
                    f"{path}: expected a file or folder of the run itself, found a link to {target}: "
                    "remove it, or put what it leads to in its place"
                )
    except OSError as error:
        raise DataError(f"{run}: cannot read the run folder ({error.strerror})") from None


def data_of(run: Path) -> dict[str, str]:
    """Hash of every input that a run was started with, by path; empty where its record is lost.

    Raises:
        DataError: the record is damaged.
    """
    return _read_provenance(run, Provenance).get("data", {})


def provenance_of(run: Path) -> Beginning:
    """What a run was started with, as far as it is known; empty where its record is lost.

    Raises:
        DataError: the record is damaged.
    """
    return _read_provenance(run, Beginning)


def mark_done(run: Path, summary: Mapping[str, Any]) -> None:
    """Leave ``DONE`` with the time and the summary, in the place of a former ``FAILED``."""
    _mark(run, DONE, FAILED, summary)


def mark_failed(run: Path, reason: str) -> None:
    """Leave ``FAILED`` with the time and the reason, in the place of a former ``DONE``."""
    _mark(run, FAILED, DONE, {"reason": reason})


@contextlib.contextmanager
def recorded(run: Path, facts: Mapping[str, Any]) -> Iterator[None]:
    """Leave ``DONE`` with the facts at the end of the block, or ``FAILED`` with what ended it.

    Until then no other process writes into the run.

    Raises:
        DataError: another process does.
    """
    with writing(run):
        try:
            yield
            mark_done(run, facts)
        except BaseException as error:
            mark_failed(run, str(error) if isinstance(error, PctError) else repr(error))
            raise


@contextlib.contextmanager
def after_saving(what: str) -> Iterator[None]:
    """For what follows once results are saved: a failure is a warning that names what is missing."""
    try:
        yield
    except Exception as error:
        log.debug("the cause", exc_info=True)
        log.warning("the results are saved, but without %s: %s", what, error or repr(error))


def write_json(path: Path, value: Any) -> None:
    """Write readable, valid JSON; see `to_json` for numbers that JSON does not have.

    Raises:
        DataError: the file cannot be written.
    """
    write_output(path, (json.dumps(to_json(value), indent=2, allow_nan=False) + "\n").encode())


def to_json(value: Any) -> Any:
    """The nearest value that JSON has.

    A number that is not finite becomes null, so that every reader takes the file and a column of numbers
    stays one. Arrays and array scalars become (lists of) numbers, tuples lists, anything else its text.

    Examples:
        >>> to_json({"loss": float("nan"), "hidden": (64, 64), "output": Path("a/b")})
        {'loss': None, 'hidden': [64, 64], 'output': 'a/b'}
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return str(value)


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit of the code in a folder and whether tracked files differ from it.

    Returns:
        ``{"commit": hash, "dirty": bool}``; None without git, outside a repository, or where the
        repository around the folder does not track it (an environment inside somebody's project).
    """

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        if not git("ls-files"):
            return None
        described = git("describe", "--always", "--abbrev=40", "--exclude=*", "--dirty")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": described.removesuffix("-dirty"), "dirty": described.endswith("-dirty")}


def _sweep_unfinished(runs: Path) -> None:
    """Remove what killed processes were writing in the runs of a folder, but for those that ended well."""
    for run in runs.iterdir():
        if run.is_dir() and not (run / DONE).exists():
            for folder in (run, *run.iterdir()):
                if folder.is_dir():
                    sweep(folder)


def _mark(run: Path, name: str, other: str, content: Mapping[str, Any]) -> None:
    # In this order a crash in between leaves a run that looks unfinished, never one with two endings.
    _remove(run / other)
    write_json(run / name, {"finished": _now(), **content})


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(f"{path}: cannot remove it ({error.strerror}): remove it by hand") from None


class Provenance(TypedDict, total=False):
    """What we read of ``provenance.json``."""

    packages: dict[str, str | None]
    data: dict[str, str]
    resumed: list[Any]


class _Commit(TypedDict):
    """Of the code, see `git_state`."""

    commit: str
    dirty: bool


class Beginning(Provenance, total=False):
    """What a page shows of it."""

    started: str
    command: list[str]
    python: str
    platform: str
    git: _Commit | None


def _read_provenance(run: Path, kind: Callable[..., Record]) -> Record:
    """The content of ``provenance.json``; empty where there is none."""
    path = run / PROVENANCE
    if not os.path.lexists(path):
        return kind()
    fix = "remove it, and nothing is known of what the run was started with"
    return read_json(path, kind, what="the provenance of a run", fix=fix)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(DISTRIBUTION if package == "pct" else package)
    except importlib.metadata.PackageNotFoundError:  # the source was put on the path, not installed
        return None


def _now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")
