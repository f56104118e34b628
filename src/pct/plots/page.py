"""Self-contained HTML pages: tables, lists and figures in one document."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Sequence
from string import Template

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff }
body { max-width: 76rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; font-variant-numeric: tabular-nums }
th, td { padding: 0.2rem 0.8rem; border-bottom: 1px solid #ddd; text-align: right; white-space: nowrap }
th:first-child, td:first-child, td.text, th.text { text-align: left }
td.text { white-space: normal; min-width: 14rem }
tr.strong { font-weight: bold }
.scroll { overflow-x: auto }
.scroll img { max-width: max(100%, 44rem); height: auto }
</style>
</head>
<body>
<h1>$title</h1>
$body
</body>
</html>
""")


def page(title: str, body: Sequence[str]) -> str:
    """A document of parts that are HTML already."""
    return PAGE.substitute(title=html.escape(title), body="\n".join(body))


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    strong: str | None = None,
    texts: Sequence[int] = (),
) -> str:
    """A table that scrolls where it is too wide.

    Args:
        head: heading of each column.
        rows: cells.
        strong: the row that begins with this is bold.
        texts: columns that hold sentences.
    """

    def cells(kind: str, row: Sequence[str]) -> str:
        style = [' class="text"' if n in texts else "" for n in range(len(row))]
        return "".join(f"<{kind}{s}>{html.escape(cell)}</{kind}>" for s, cell in zip(style, row, strict=True))

    lines = [f"<tr>{cells('th', head)}</tr>"]
    for row in rows:
        bold = ' class="strong"' if row[0] == strong else ""
        lines.append(f"<tr{bold}>{cells('td', row)}</tr>")
    return '<div class="scroll"><table>\n' + "\n".join(lines) + "\n</table></div>"


def bullets(lines: Iterable[str]) -> str:
    """A list of sentences."""
    return "<ul>\n" + "\n".join(f"<li>{html.escape(line)}</li>" for line in lines) + "\n</ul>"


def figure(content: bytes, what: str, kind: str = "svg+xml") -> str:
    """A figure, SVG or ``png``; ``what`` is its alternative text."""
    # As data, not inline: the identifiers inside two figures must not meet.
    source = f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
    return f'<div class="scroll"><img alt="{html.escape(what)}" src="{source}"></div>'


def heading(text: str) -> str:
    """A heading of a part of the page."""
    return f"<h2>{html.escape(text)}</h2>"
