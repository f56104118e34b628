"""Does anything get lost, hang, or stay behind where commands are killed and files are damaged?

Kills: every command on tiny inputs, in a home of its own, is stopped at random moments (7 in 10 by SIGKILL,
2 by SIGTERM, 1 by Ctrl-C), up to four times in a row, and then started once more. After each stop no process
of it may be left, and all that stands under a final name must open; after the last start nothing
temporary may be left, and the result is that of a start that nothing stopped, bit for bit.

Mutations: whole files of every kind that is read are damaged (cut, bits, blocks, numbers, lengths, types,
nesting) and read as a person has them read. An error of `pct.errors` in at most two lines is as good as a
result; anything else, 20 s without an answer and more than 2 GB are faults.

`--only kills`, `--only mutations` and `--minutes` make it shorter. Last line: one JSON object.

    python benchmarks/faults.py [--kills 1000] [--mutations 100000] [--seed 1]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# In the place of this file's folder, where `faults` is this file.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from faults.fuzzing import Outcomes, fuzz
from faults.kills import Tally, kill_all
from faults.targets import TARGETS


def main() -> None:
    """Kill, damage, count."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="processes at once")
    parser.add_argument("--only", choices=("kills", "mutations"))
    parser.add_argument("--minutes", type=float, default=float("inf"), help="most for each part")
    args = parser.parse_args()
    tally, outcomes = Tally(), Outcomes()
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        options: dict[str, Any] = {"seed": args.seed, "workers": args.workers}
        if args.only != "mutations":
            show = Progress(args.kills, "kills")
            tally = kill_all(
                *(folder / "kills", args.kills),
                progress=lambda tally: show(tally.kills, tally.lines),
                deadline=time.monotonic() + 60 * args.minutes,
                **options,
            )
            print_kills(tally)
        if args.only != "kills":
            show_cases = Progress(args.mutations, "mutations")
            outcomes = fuzz(
                *(folder / "inputs", range(args.mutations)),
                names=[target.name for target in TARGETS],
                progress=lambda outcomes: show_cases(outcomes.cases, [*outcomes.lines.values()]),
                deadline=time.monotonic() + 60 * args.minutes,
                **options,
            )
            print_mutations(outcomes)
    print(json.dumps(summary(tally, outcomes)))


class Progress:
    """Counts and time left on stderr, every few seconds, and what goes wrong as soon as it does."""

    def __init__(self, wanted: int, what: str) -> None:
        """Of so many things in all."""
        self._wanted, self._what = wanted, what
        self._begun = self._shown = time.monotonic()
        self._said = 0

    def __call__(self, count: int, faults: Sequence[str]) -> None:
        """So many are done, with these faults."""
        now = time.monotonic()
        for line in faults[self._said :]:
            print(line, file=sys.stderr)
        self._said = len(faults)
        if now - self._shown > 10 and count:
            self._shown = now
            left = (now - self._begun) / count * max(0, self._wanted - count)
            print(
                f"{count} of {self._wanted} {self._what}, {len(faults)} faults, {left / 60:.0f} min left",
                file=sys.stderr,
            )


def print_kills(tally: Tally) -> None:
    """One line a command, then the faults."""
    print("\n| command | kills |\n|---|---|")
    for name, count in sorted(tally.by_command.items()):
        print(f"| `{name}` | {count} |")
    for line in tally.lines:
        print(line)


def print_mutations(outcomes: Outcomes) -> None:
    """One line a target, then the faults."""
    print("\n| file | damaged |\n|---|---|")
    for name, count in sorted(outcomes.by_target.items()):
        print(f"| {name} | {count} |")
    seconds, which = outcomes.slowest
    print(f"refused {outcomes.refused}, slowest {seconds:.1f} s ({which}), peak memory {outcomes.memory} MB")
    for key, line in outcomes.lines.items():
        print(f"{outcomes.times[key]} x {key}: {line}")


def summary(tally: Tally, outcomes: Outcomes) -> dict[str, Any]:
    """The last line."""
    others = outcomes.faults.total() - outcomes.faults["traceback"] - outcomes.faults["hang"]
    return {
        "kills": tally.kills,
        "lost": tally.lost,
        "mutations": outcomes.cases,
        "tracebacks": tally.tracebacks + outcomes.faults["traceback"],
        "hangs": tally.hangs + outcomes.faults["hang"],
        "orphans": tally.orphans,
        "leftovers": tally.leftovers,
        "others": tally.others + others,
    }


if __name__ == "__main__":
    main()
