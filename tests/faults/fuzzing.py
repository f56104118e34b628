"""Reads damaged files, many a second, in workers that may hang, die and run out of memory.

A case is a number: with the seed it decides target, file and damage, so that each can be repeated alone. A
worker answers a line a case; one that says nothing for ``LIMIT`` seconds is killed, and the case is a hang.
"""

from __future__ import annotations

import contextlib
import dataclasses
import faulthandler
import json
import os
import queue
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from faults.commands import Inputs
from faults.mutations import mutate
from faults.processes import MARK, ROOT, SOURCE, Place
from faults.targets import TARGETS, Target
from pct.errors import PctError

LIMIT = 20.0
MEMORY = 2 << 30
# A worker says everything about itself on this line first.
READY = "ready"
LONGEST_MESSAGE = 2000


@dataclasses.dataclass
class Outcomes:
    """Counts by kind, and for each new kind of fault a line and the folder that shows it."""

    cases: int = 0
    refused: int = 0
    faults: Counter[str] = dataclasses.field(default_factory=Counter)
    by_target: Counter[str] = dataclasses.field(default_factory=Counter)
    lines: dict[str, str] = dataclasses.field(default_factory=dict)
    times: Counter[str] = dataclasses.field(default_factory=Counter)
    slowest: tuple[float, str] = (0.0, "")
    memory: int = 0

    def add(self, answer: dict[str, Any]) -> None:
        """Count a case."""
        self.cases += 1
        self.by_target[answer["target"]] += 1
        self.refused += answer["kind"] == "refused"
        self.slowest = max(self.slowest, (answer["seconds"], f"{answer['target']} {answer['number']}"))
        self.memory = max(self.memory, answer.get("memory", 0))
        if answer["kind"] not in ("ok", "refused"):
            self.faults[answer["kind"]] += 1
            key = f"{answer['kind']}: {answer['target']} {answer['where']}"
            self.times[key] += 1
            self.lines.setdefault(key, f"case {answer['number']}: {answer['said']}")


def fuzz(
    inputs: Path,
    cases: Sequence[int],
    *,
    seed: int,
    names: Sequence[str],
    workers: int = 1,
    progress: Callable[[Outcomes], None] = lambda outcomes: None,
    deadline: float = float("inf"),
) -> Outcomes:
    """Read as many damaged files.

    Args:
        inputs: folder of `Inputs`, which is made where it is empty.
        cases: their numbers.
        seed: of the damage.
        names: targets.
        workers: processes at once.
        progress: called after each case.
        deadline: `time.monotonic` after which no further case begins.
    """
    Inputs(inputs).prepare(["train", *({"fit", "network", "training"} & {*names})])
    outcomes, waiting = Outcomes(), queue.SimpleQueue[int]()
    for number in cases:
        waiting.put(number)
    lock = threading.Lock()

    def keep(answer: dict[str, Any]) -> None:
        with lock:
            outcomes.add(answer)
            progress(outcomes)

    threads = [
        threading.Thread(target=_feed, args=(inputs, waiting, seed, names, keep, deadline))
        for _ in range(workers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def _feed(
    inputs: Path,
    waiting: queue.SimpleQueue[int],
    seed: int,
    names: Sequence[str],
    keep: Callable[[dict[str, Any]], None],
    deadline: float,
) -> None:
    """Keep one worker busy; another one takes its place where it hangs or dies."""
    worker: Worker | None = None
    try:
        while time.monotonic() < deadline:
            try:
                number = waiting.get_nowait()
            except queue.Empty:
                return
            worker = worker or Worker(inputs, seed, names)
            answer = worker.ask(number)
            keep(answer)
            if answer["kind"] in ("hang", "death"):
                worker.close()
                worker = None
    finally:
        if worker is not None:
            worker.close()


class Worker:
    """A process that reads damaged files."""

    def __init__(self, inputs: Path, seed: int, names: Sequence[str]) -> None:
        """Start it."""
        self.folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        self.names, self.seed = names, seed
        place = Place.make(self.folder / "place")
        environment = place.environment(
            PYTHONPATH=os.pathsep.join((str(SOURCE), str(ROOT / "tests"))), **{MARK: self.folder.name}
        )
        call = f"work({str(inputs)!r}, {str(self.folder)!r}, {seed}, {list(names)!r})"
        self.errors = (self.folder / "stderr").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import work; {call}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True,
            env=environment, start_new_session=True,
        )  # fmt: skip
        self.answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._listen, args=(self.process.stdout,), daemon=True).start()
        if not self.answers.get(timeout=300).startswith(READY):
            raise RuntimeError(f"the worker does not start: {self._stderr()}")

    def ask(self, number: int) -> dict[str, Any]:
        """The outcome of a case."""
        begun = time.monotonic()
        name = chosen(self.seed, number, self.names)[0]
        base = {"number": number, "target": name, "where": "", "said": ""}
        with contextlib.suppress(BrokenPipeError):
            assert self.process.stdin is not None
            self.process.stdin.write(f"{number}\n")
            self.process.stdin.flush()
        try:
            line = self.answers.get(timeout=LIMIT)
        except queue.Empty:
            said = f"nothing for {LIMIT} s: {self._stderr()[-1500:]}"
            return {**base, "kind": "hang", "seconds": LIMIT, "said": said}
        seconds = time.monotonic() - begun
        if not line:
            said = f"exit code {self.process.wait()}: {self._stderr()[-500:]}"
            return {**base, "kind": "death", "seconds": seconds, "said": said}
        return {**base, **json.loads(line), "seconds": seconds}

    def close(self) -> None:
        """End it and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.errors):
            with contextlib.suppress(BrokenPipeError):
                if stream is not None:
                    stream.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _listen(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self.answers.put(line)
        self.answers.put("")

    def _stderr(self) -> str:
        return Path(self.errors.name).read_text(errors="replace")


def chosen(seed: int, number: int, names: Sequence[str]) -> tuple[str, random.Random]:
    """Target of a case, and what decides all else of it."""
    choose = random.Random(f"{seed} {number}")
    targets = [target for target in TARGETS if target.name in names]
    (target,) = choose.choices(targets, [target.weight for target in targets])
    return target.name, choose


# In the worker.


class Seed:
    """A whole folder of a target, and copies of it with one damaged file."""

    def __init__(self, target: Target, inputs: Inputs, folder: Path) -> None:
        """Make it, read it, and remember every file."""
        self.target, self.folder = target, folder
        folder.mkdir(parents=True)
        target.make(inputs, folder)
        self.expected = target.read(folder, random.Random(0))
        self.files = {
            path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }
        self.damaged = sorted(
            {path.relative_to(folder) for pattern in target.files for path in folder.glob(pattern)}
            & self.files.keys()
        )

    @contextlib.contextmanager
    def case(self, others: Sequence[bytes], choose: random.Random) -> Iterator[str]:
        """Name of the damaged file; everything is whole again after the block."""
        name = choose.choice(self.damaged)
        # In the place of the file, not into it: a library may be loaded from it.
        (self.folder / name).unlink()
        (self.folder / name).write_bytes(mutate(self.files[name], others, choose))
        try:
            yield str(name)
        finally:
            for path in self.folder.rglob("*"):
                if path.is_file() and path.relative_to(self.folder) not in self.files:
                    path.unlink()
            for path, content in self.files.items():
                if not (self.folder / path).exists() or (self.folder / path).read_bytes() != content:
                    (self.folder / path).unlink(missing_ok=True)
                    (self.folder / path).write_bytes(content)


def work(inputs: str, folder: str, seed: int, names: Sequence[str]) -> None:
    """Answer the numbers on standard input with outcomes of their cases."""
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    given = Inputs(Path(inputs))
    seeds = {
        target.name: Seed(target, given, Path(folder) / target.name.replace(" ", "_").replace("/", "_"))
        for target in TARGETS
        if target.name in names
    }
    others = [content for one in seeds.values() for content in one.files.values()]
    resource.setrlimit(resource.RLIMIT_DATA, (_data() + MEMORY,) * 2)
    print(READY, file=output, flush=True)
    for line in sys.stdin:
        number = int(line)
        name, choose = chosen(seed, number, names)
        one = seeds[name]
        faulthandler.dump_traceback_later(0.9 * LIMIT)  # for the line about a hang
        with one.case(others, choose) as file:
            answer = _outcome(one, choose)
        faulthandler.cancel_dump_traceback_later()
        answer = {**answer, "where": f"{file} {answer.get('where', '')}", "memory": _peak()}
        print(json.dumps({"number": number, **answer}), file=output, flush=True)


def _peak() -> int:
    """Most memory that this process has held, in MB.

    `getrusage` counts what the process that started this one held, too.
    """
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")
    )
    return int(line.split()[1]) // 1024


def _outcome(one: Seed, choose: random.Random) -> dict[str, Any]:
    """What becomes of reading a damaged folder."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = one.target.read(one.folder, choose)
    except PctError as error:
        said = str(error)
        if said.count("\n") > 1 or len(said) > LONGEST_MESSAGE:
            return {"kind": "wordy", "said": said[:500]}
        return {"kind": "refused"}
    except BaseException as error:
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "/pct/" in frame.filename] or list(frames)
        where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno} {type(error).__name__}"
        return {"kind": "traceback", "where": where, "said": f"{error!r:.300} at {frames[-1]}"}
    if one.target.intact and result != one.expected:
        return {"kind": "wrong", "said": f"expected {one.expected!r:.200}, found {result!r:.200}"}
    return {"kind": "ok"}


def _data() -> int:
    """Bytes of the process that the limit on data counts."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData"))
