"""Which recordings are of which car, and the task that fits one car, which any process can do.

A task is a text: paths, recordings, the car and the settings. What its result depends on, the content of
the recordings instead of their paths, gives the run folder its name: what is done is never done again.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from pct.api.cars import Car
from pct.errors import DataError, PctError, UsageError
from pct.measurement import Measurement

FleetBy = Literal["vehicle", "recording", "day"]
# A date in the name of a file: 2026-01-31, 20260131, 2026_01_31.
DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)([-_.]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")
# Characters of a name that a folder keeps, and of the hash behind it.
PLAIN, HASH = re.compile(r"[^A-Za-z0-9._+-]+"), 12
LONGEST = 60


class Source(NamedTuple):
    """Recordings of one place.

    Attributes:
        place: a dataset folder, a raw folder or a log file.
        names: of the recordings; None for all.
        content: hashes that change with what is read.
    """

    place: Path
    names: tuple[str, ...] | None
    content: tuple[str, ...]


class Member(NamedTuple):
    """What is fitted as one car: its name, unique in the fleet, and its recordings."""

    name: str
    sources: tuple[Source, ...]


def find_places(patterns: str | Path | Sequence[str | Path]) -> tuple[Path, ...]:
    """The places that patterns match, each once, in order.

    Raises:
        UsageError: there is no pattern.
        DataError: a pattern matches nothing.
    """
    several = [patterns] if isinstance(patterns, str | Path) else list(patterns)
    if not several:
        raise UsageError("`pattern`: expected folders or log files, got none")
    places: list[Path] = []
    for pattern in map(str, several):
        found = [pattern] if os.path.lexists(pattern) else sorted(glob.glob(pattern, recursive=True))
        if not found:
            raise DataError(f"`pattern={pattern}`: expected folders or log files, found none: check the path")
        places += [Path(os.path.abspath(place)) for place in found]
    return tuple(dict.fromkeys(places))


def plan_members(places: Sequence[Path], by: str) -> list[Member]:
    """The cars of a fleet.

    Args:
        places: each is one vehicle.
        by: whether a car of the fleet is a vehicle, one of its recordings, or its recordings of one day.

    Raises:
        UsageError: ``by`` is none of these, or no date is known of a recording.
        DataError: a place cannot be read.
    """
    if by not in get_args(FleetBy):
        raise UsageError(f"`by={by}`: expected one of {', '.join(get_args(FleetBy))}")
    members = []
    for name, place in zip(_names(places), places, strict=True):
        if by == "vehicle":
            members.append(Member(name, (_whole(place),)))
            continue
        groups: dict[str, list[Source]] = {}
        for recording, dated, source in _recordings(place):
            groups.setdefault(recording if by == "recording" else _day(dated, place), []).append(source)
        alone = len(groups) == 1 and len(places) > 1 and by == "recording"
        members += [
            Member(name if alone else f"{name}/{key}", tuple(_joined(sources)))
            for key, sources in groups.items()
        ]
    return members


def make_task(
    member: Member, folder: Path, car: Car, dt: float | None, settings: Mapping[str, Any], model: str | None
) -> dict[str, Any]:
    """The task that fits a car; ``run`` is its run folder.

    Args:
        member: the car's recordings.
        folder: of the runs.
        car: its model.
        dt: time step in s.
        settings: of the fit.
        model: file with the equations, where they are in one.
    """
    from pct.runs.directory import to_json
    from pct.runs.model_tables import spec_table

    what = to_json(
        {
            "car": {
                "base": spec_table(car.base),
                "held": car.held,
                "scopes": car.scopes,
                "measurement": None if car.measurement is None else dataclasses.asdict(car.measurement),
            },
            "dt": dt,
            "settings": settings,
        }
    )
    content = sorted(text for source in member.sources for text in source.content)
    facts = {**what, "content": content, "settings": {**what["settings"], **_prior_content(settings)}}
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:HASH]
    plain = PLAIN.sub("_", member.name)[-LONGEST:]
    return {
        **what,
        "name": member.name,
        "run": str(folder / f"{plain}-{digest}"),
        "sources": [[str(source.place), source.names] for source in member.sources],
        "model": model,
    }


def run_task(text: str) -> str:
    """Do a task: fit the car and write its run folder; the reason where that fails, as JSON.

    A run that is there already is left as it is. One that was not finished is begun again.
    """
    task = json.loads(text)
    begin, run, reason = time.perf_counter(), Path(task["run"]), None
    try:
        if not is_done(run):
            _fit(task, run)
    except PctError as error:
        reason = str(error)
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
    if reason is not None and not is_done(run):
        _note(run, reason)
    return json.dumps({"reason": reason, "seconds": time.perf_counter() - begin})


def is_done(run: Path) -> bool:
    """Whether a run folder is finished."""
    return (run / "DONE").is_file()


def _fit(task: Mapping[str, Any], run: Path) -> None:
    import pct
    from pct.api.drives import Drives, load
    from pct.api.fitting import fit
    from pct.dynamics.registry import resolve_model
    from pct.runs.lock import writing

    pct.keep_compiled_code()
    if task["model"] is not None:
        resolve_model(task["model"])
    drives = Drives(())
    for place, names in task["sources"]:
        drives += load(place, names=names)
    fitted = fit(_car(task["car"]), drives, dt=task["dt"], **task["settings"])
    run.mkdir(parents=True, exist_ok=True)
    with writing(run):
        if is_done(run):
            return
        for entry in run.iterdir():  # of a worker that was killed, or a failure
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
    fitted.save(run, report=False)


def _car(table: Mapping[str, Any]) -> Car:
    from pct.runs.model_tables import spec_from_table

    measurement = table["measurement"]
    return Car(
        spec_from_table(table["base"]),
        table["held"],
        table["scopes"],
        None if measurement is None else Measurement.of(**measurement),
    )


def _note(run: Path, reason: str) -> None:
    """Leave the reason in the run folder, where that can be written."""
    from pct.runs.directory import mark_failed

    with contextlib.suppress(OSError, PctError):
        run.mkdir(parents=True, exist_ok=True)
        mark_failed(run, reason)


def _names(places: Sequence[Path]) -> list[str]:
    """Short names of places, by what of their paths differs."""
    if len(places) == 1:
        return [places[0].stem if places[0].is_file() else places[0].name]
    common = Path(os.path.commonpath([place.parent for place in places]))
    names = [place.relative_to(common).as_posix() for place in places]
    short = [re.sub(r"\.[A-Za-z0-9]{1,8}$", "", name) for name in names]
    return short if len(set(short)) == len(short) else names


def _whole(place: Path) -> Source:
    from pct.files import sha256
    from pct.logs.signals import MAP
    from pct.windows.loading import data_hashes

    if place.is_dir():
        return Source(place, None, tuple(data_hashes([place]).values()))
    beside = place.parent / MAP
    return Source(place, None, tuple(sha256(file) for file in (place, beside) if file.is_file()))


def _recordings(place: Path) -> Iterable[tuple[str, str, Source]]:
    """Name of each recording of a place, a text that may hold its date, and where it is read."""
    from pct.mapping.log_files import find_logs
    from pct.recordings.folder import read_file
    from pct.recordings.trajectory import MANIFEST, read_manifest

    if (place / MANIFEST).is_file():
        manifest = read_manifest(place)
        columns = json.dumps(manifest["columns"], sort_keys=True)
        for row in manifest["recordings"]:
            name = Path(row["file"]).stem
            yield name, f"{name} {row['source']}", Source(place, (name,), (row["sha256"], columns))
        return
    for log in find_logs([place], None)[0]:
        whole = _whole(log.path)
        for trajectory in read_file(log.path, log.signals):
            name = trajectory.name
            yield name, f"{name} {trajectory.source}", Source(log.path, (name,), (*whole.content, name))


def _day(text: str, place: Path) -> str:
    match = DATE.search(text)
    if match is None:
        raise UsageError(
            f"`by=day`: {place}: no date is known of '{text}': name the logs by it (2026-01-31), or use "
            "`by=recording`"
        )
    return f"{match[1]}-{match[3]}-{match[4]}"


def _joined(sources: Sequence[Source]) -> Iterable[Source]:
    """Sources of one place as one."""
    for place in dict.fromkeys(source.place for source in sources):
        same = [source for source in sources if source.place == place]
        names = tuple(name for source in same for name in source.names or ())
        yield Source(place, names, tuple(text for source in same for text in source.content))


def _prior_content(settings: Mapping[str, Any]) -> dict[str, str]:
    """What a fleet as prior says, in the place of its path."""
    from pct.files import sha256
    from pct.runs.fleets import FLEET

    prior = settings.get("prior")
    if not isinstance(prior, str):
        return {}
    path = Path(prior) / FLEET if Path(prior).is_dir() else Path(prior)
    return {"prior": sha256(path)} if path.is_file() else {}
