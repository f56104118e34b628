"""Stops every command at random moments; whatever stopped it, nothing is lost and nothing stays behind."""

from __future__ import annotations

import dataclasses
import json
import math
import queue
import random
import re
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from faults.commands import COMMANDS, Command, Inputs, anonymous, contents
from faults.processes import Ended, Place, Started, run
from faults.wholeness import broken
from pct.files import sha256
from pct.runs.directory import CONFIG
from pct.runs.sinks import METRICS

# Most stops before a command may end.
CHAIN = 4
SIGNALS = (*[signal.SIGKILL] * 7, *[signal.SIGTERM] * 2, signal.SIGINT)
# What Python says where it is stopped before it reads any code of ours.
PYTHON_STARTS = "Fatal Python error: init_"


@dataclasses.dataclass
class Tally:
    """Counts, and one line a fault."""

    kills: int = 0
    lost: int = 0
    tracebacks: int = 0
    hangs: int = 0
    orphans: int = 0
    leftovers: int = 0
    others: int = 0
    lines: list[str] = dataclasses.field(default_factory=list)
    by_command: Counter[str] = dataclasses.field(default_factory=Counter)

    def add(self, kind: str, line: str) -> None:
        """Count a fault."""
        setattr(self, kind, getattr(self, kind) + 1)
        self.lines.append(f"{kind}: {line}")

    def add_faults(self, name: str, ended: Ended, codes: tuple[int, ...]) -> None:
        """Count what a person should not have seen of a command."""
        kinds = {"traceback": "tracebacks", "hang": "hangs", "orphan": "orphans"}
        for fault in ended.faults(codes):
            self.add(kinds.get(fault.split(":")[0], "others"), f"{name}: {fault}")


def kill_all(
    folder: Path,
    kills: int,
    *,
    seed: int,
    commands: Sequence[Command] = COMMANDS,
    workers: int = 1,
    progress: Callable[[Tally], None] = lambda tally: None,
    deadline: float = math.inf,
) -> Tally:
    """Stop each command about as often as the others.

    Args:
        folder: for inputs and places; new or empty.
        kills: how often in all, at least.
        seed: of moments and signals.
        commands: which.
        workers: commands at once.
        progress: called after each chain.
        deadline: `time.monotonic` after which no further chain begins.
    """
    tally, waiting = Tally(), queue.SimpleQueue[Command]()
    inputs = Inputs(folder / "inputs")
    inputs.prepare(["train", *(need for command in commands for need in command.needs)])
    for command in reversed(commands):  # the longest stand last
        waiting.put(command)
    share = math.ceil(kills / len(commands))

    def work() -> None:
        while time.monotonic() < deadline:
            try:
                command = waiting.get_nowait()
            except queue.Empty:
                return
            choose = random.Random(f"{seed} {command.name}")
            killing = Killing(command, inputs, Place.make(folder / command.name.replace(" ", "-")))
            while tally.by_command[command.name] < share and time.monotonic() < deadline:
                killing.chain(choose, tally)
                progress(tally)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally


class Killing:
    """One command and its chains of kills, in a place of its own."""

    def __init__(self, command: Command, inputs: Inputs, place: Place) -> None:
        """Run it twice undisturbed, for its usual time with a warm cache and for its result."""
        self.command, self.inputs, self.place = command, inputs, place
        for _ in range(2):
            shutil.rmtree(place.work)
            place.work.mkdir()
            ended = run(command.arguments(inputs, place.work), place)
            if faults := ended.faults(command.codes):
                raise AssertionError(f"{command.name}: {faults}")
        self._given = contents(inputs.folder)
        self.seconds = ended.seconds
        self.result = results_of(command, place)

    def chain(self, choose: random.Random, tally: Tally, most: int = CHAIN) -> None:
        """Stop the command some times, then let it end."""
        place, name = self.place, self.command.name
        shutil.rmtree(place.work)
        place.work.mkdir()
        for _ in range(choose.randint(1, most)):
            self._stop(choose, tally)
        self._clear()
        if not self._is_done():
            tally.add_faults(name, run(self._arguments(), place), self.command.codes)
        for line in broken(place.work):
            tally.add("lost", f"{name}: half-written: {line}")
        if contents(self.inputs.folder) != self._given:
            tally.add("lost", f"{name}: its inputs changed")
        result = results_of(self.command, place)
        if result != self.result:
            differ = sorted(
                path for path in {*result, *self.result} if result.get(path) != self.result.get(path)
            )
            tally.add("lost", f"{name}: another result than without a stop: {', '.join(differ)}")
        if left := place.leftovers():
            tally.add("leftovers", f"{name}: {', '.join(str(path) for path in left[:5])}")
            for path in left:  # the next chain is not to be blamed for them
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def _stop(self, choose: random.Random, tally: Tally) -> None:
        place, name = self.place, self.command.name
        number = choose.choice(SIGNALS)
        if self._is_done():
            return
        self._clear()
        before = contents(place.work)
        started = Started(self._arguments(), place)
        if not started.wait(choose.uniform(0.0, 1.05 * self.seconds)):
            started.send(number, group=number == signal.SIGINT)
            tally.kills += 1
            tally.by_command[name] += 1
        ended = started.end()
        said = f"{name} {signal.Signals(number).name} after {ended.seconds:.2f} s"
        if PYTHON_STARTS not in ended.err:
            tally.add_faults(said, ended, (*self.command.codes, -number, -signal.SIGINT, 130))
        for line in broken(place.work):
            tally.add("lost", f"{said}: half-written: {line}")
        after = contents(place.work)
        if not self.command.resumes:
            for path in before:
                if before[path] != after.get(path) and not _is_temporary(path):
                    tally.add("lost", f"{said}: {path} was there before and changed")

    def _arguments(self) -> list[str]:
        arguments = self.command.arguments(self.inputs, self.place.work)
        if self.command.resumes:
            for config in sorted(self.place.work.glob("*/run_*/config.json")):
                return ["train", "--resume", str(config.parent)]
        return arguments

    def _is_done(self) -> bool:
        """Whether a training was stopped after its last file: it would only say that it is done."""
        return self.command.resumes and any(self.place.work.glob("*/run_*/DONE"))

    def _clear(self) -> None:
        """Remove results that stand complete, since many commands refuse to write over them."""
        if not self.command.resumes:
            for path in self.place.work.iterdir():
                if not path.name.startswith("."):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _is_temporary(path: str) -> bool:
    """Whether a start may remove it: its name, or that of a folder above it, says that it is in writing."""
    return any(part.startswith(".") for part in Path(path).parts)


def results_of(command: Command, place: Place) -> dict[str, str]:
    """Hash of each file that is the same at every start; the others by their names.

    Without run folders that were stopped before their settings stood: they hold no more than `FAILED`.
    """
    found = {}
    unbegun = {folder for folder in place.work.glob("*/run_*") if not (folder / CONFIG).exists()}
    for path in place.work.rglob("*"):
        named = anonymous(str(path.relative_to(place.work)))
        if not path.is_file() or "/." in f"/{named}" or path.parent in unbegun:
            continue
        if path.name == METRICS:
            found[named] = json.dumps(metrics_of(path.parent))
        elif re.fullmatch(command.varies, path.name):
            found[named] = ""
        else:
            found[named] = sha256(path)
    return found


def metrics_of(run: Path) -> list[dict[str, Any]]:
    """All that a training logged, but when."""
    rows = [json.loads(line) for line in (run / METRICS).read_text().splitlines()]
    return [{**row, "time": 0} for row in rows]
