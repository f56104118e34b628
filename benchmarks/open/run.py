"""An open benchmark of vehicle identification: known sets, splits without leaks, one ladder, one table.

    python benchmarks/open/run.py --list [--data FOLDER]      # the sets, where they are from, what is there
    python benchmarks/open/run.py --data FOLDER               # runs those whose files are there
    python benchmarks/open/run.py --data FOLDER --keep results.json --page docs/open_benchmark.md

`--keep` writes each set's result into a file as soon as it is there, and runs no set that the file holds.
The folder holds the files by the paths of the sets (`benchmarks/open/sets/*.toml`); each is used only if its
SHA-256 is the stated one. Nothing is fetched. Last line: one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from ladder import DEFAULT, FIT, JUDGED, climb
from sets import OpenSet, read_fold, read_sets, state_of

import pct
from pct.errors import PctError

# An error so much smaller than the largest of its column is that of rounding.
ROUNDING = 1e-4
BEGIN, END = "<!-- begin of the table -->", "<!-- end of the table -->"


def main(arguments: list[str] | None = None) -> None:
    """List the sets, or run those whose files are there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder of the sets' files")
    parser.add_argument("--sets", nargs="+", help="names; all when left out")
    parser.add_argument("--list", action="store_true", help="say what there is and where to get the rest")
    parser.add_argument("--no-network", action="store_true", help="leave out the network on top")
    parser.add_argument("--keep", type=Path, help="file of the results, which is taken up again")
    parser.add_argument("--page", type=Path, help="page whose table is written anew")
    args = parser.parse_args(arguments)
    try:
        sets = read_sets(args.sets)
        if args.list or args.data is None:
            print("\n\n".join(described(name, one, args.data) for name, one in sets.items()))
            return
        pct.keep_compiled_code()
        found = json.loads(args.keep.read_text()) if args.keep and args.keep.is_file() else {}
        for name, one in sets.items():
            if name in found:
                continue
            if missing := [path for path, state in state_of(one, args.data).items() if state == "missing"]:
                print(f"{name}: left out, {missing[0]} is missing. {one.where}", file=sys.stderr)
                continue
            found[name] = run_set(one, args.data, network=not args.no_network)
            if args.keep:
                args.keep.write_text(json.dumps(found))
    except PctError as error:
        raise SystemExit(str(error)) from None
    text = table({**read_sets(), **sets}, dict(sorted(found.items())))
    print(text)
    if args.page is not None:
        args.page.write_text(with_table(args.page.read_text(), text))
    print(json.dumps(found))


def run_set(one: OpenSet, data: Path, *, network: bool) -> dict[str, Any]:
    """Windows and rows of each split of a set."""
    results = {}
    for fold in one.folds:
        print(f"{one.title}: {fold.name}", file=sys.stderr, flush=True)
        train, test = read_fold(one, fold, data)
        others = {row.name: row.car for row in one.parameters}
        results[fold.name] = climb(one.car, train, test, one.fit, network=network, others=others)
    return results


def described(name: str, one: OpenSet, data: Path | None) -> str:
    """A set in lines: what it is, where to get it, its files."""
    state = {} if data is None else state_of(one, data)
    lines = [
        f"{name}: {one.title}. {one.what}",
        f"  licence: {one.licence}",
        f"  {one.where}",
        *(f"  cite: {cite}" for cite in one.cite),
        *(f"  {digest}  {path}  {state.get(path, '')}".rstrip() for path, digest in one.files.items()),
    ]
    return "\n".join(lines)


def table(sets: dict[str, OpenSet], found: dict[str, Any]) -> str:
    """All rows of all splits as one table in Markdown.

    The least error of a split is bold, among rows that are told no more than the fit.
    """
    head = ["set", "row", *(f"{label} [{unit}]" for label, (unit, _) in JUDGED.items()), "exploded", "time"]
    lines = [line(head), "|" + "---|" * len(head)]
    for name, splits in found.items():
        for split, result in splits.items():
            rows = result["rows"]
            texts = {label: cells(rows, label) for label in JUDGED}
            for number, row in enumerate(rows):
                place = f"**{name}**, {split}, {result['windows']} windows" if number == 0 else ""
                what = sets[name].defaults if row["name"] == DEFAULT else row["name"]
                took = "" if row["seconds"] is None else f"{row['seconds']:.0f} s"
                more = "" if row["rival"] else " *"
                errors = [texts[label][number] for label in JUDGED]
                lines.append(line([place, what + more, *errors, str(row["exploded"]), took]))
    return "\n".join(lines)


def line(texts: list[str]) -> str:
    """A line of a table."""
    return "| " + " | ".join(texts) + " |"


def cells(rows: list[dict[str, Any]], label: str) -> list[str]:
    """Errors of a column with their intervals, the least one bold, and those that equal it as written.

    Empty where a row does not predict the channel, *told* where a control that was derived from it does;
    where the fit is told, nothing is bold.
    """
    errors = [row["errors"].get(label, (None, None, None)) for row in rows]
    usual = max((value for value, *_ in errors if value is not None), default=0.0)
    fair, texts = [], []
    for row, (value, low, high) in zip(rows, errors, strict=True):
        text = "" if value is None else f"{value:.3g}"
        if low is not None:
            text += f" ({low:.3g} to {high:.3g})"
        if value is not None and row["told"] and value < ROUNDING * usual:
            text = "told"
        elif value is not None and row["rival"]:
            fair.append((value, len(texts)))
        texts.append(text)
    given = any(text == "told" and row["name"] == FIT for row, text in zip(rows, texts, strict=True))
    least = f"{min(fair)[0]:.3g}" if fair and not given else ""
    for value, number in fair:
        if f"{value:.3g}" == least:
            texts[number] = f"**{texts[number]}**"
    return texts


def with_table(page: str, text: str) -> str:
    """A page with its table in place of the former one."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


if __name__ == "__main__":
    main()
