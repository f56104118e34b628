"""The picture of the rooms: what may import what, from the contract that `make lint` enforces."""

from __future__ import annotations

import html
import tomllib

from writing import ROOT

WIDTH, HEIGHT, GAP, TOP = 760, 34, 10, 22


def layers() -> list[list[str]]:
    """The rooms by layer, the highest first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (rooms,) = (contract for contract in contracts if contract["id"] == "rooms")
    return [[name.strip(" ()") for name in layer.split("|")] for layer in rooms["layers"]]


def picture() -> str:
    """The layers as SVG, in the colour of the text around it."""
    rows = layers()
    shapes = []
    for number, names in enumerate(rows):
        y = TOP + number * (HEIGHT + GAP)
        width = (WIDTH - GAP * (len(names) - 1)) / len(names)
        for place, name in enumerate(names):
            x = place * (width + GAP)
            shapes.append(
                f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="{HEIGHT}" rx="6" '
                'fill="currentColor" fill-opacity="0.08" stroke="currentColor" stroke-opacity="0.5"/>'
                f'<text x="{x + width / 2:.1f}" y="{y + 22}" text-anchor="middle" font-size="14" '
                f'fill="currentColor">{html.escape(name)}</text>'
            )
    height = TOP + len(rows) * (HEIGHT + GAP)
    words = "Rooms of PCT: each imports from rooms below it only"
    return (
        # A block, whose text Markdown leaves as it is.
        f'<div><svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{words}" '
        f'style="max-width: {WIDTH}px">'
        f'<text x="0" y="14" font-size="13" fill="currentColor">{words}; rooms of one row do not know each '
        f"other; the table has them upside down</text>{''.join(shapes)}</svg></div>"
    )
