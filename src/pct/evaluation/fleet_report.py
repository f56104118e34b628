"""The page of a fleet: how its cars differ, and each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pct.files import write_output
from pct.optimization.constants.fleet import Summary, car_cells, summary_cells
from pct.windows.store import spread

if TYPE_CHECKING:
    from pct.pages import Part
    from pct.plots import Drawing

REPORT, FIGURE = "report.html", "fleet.png"
# Cars that a figure shows: those that are unlike the others, and others evenly spread.
DRAWN = 60
NOTE = (
    "Mean, spread and test are by random effects of what each car says by its own data. The interval of the "
    "next car holds its value with 95 % probability, if it is of the same kind. Values of single cars below "
    "are those by their data and the fleet together: a car that says little is near the mean."
)


def fleet_figure(summary: Summary, by: str) -> Drawing:
    """What draws each parameter of each car, of `DRAWN` where there are more."""
    from pct import plots

    spec = summary.prior.spec
    drawn = _drawn(summary)
    forests = []
    for name, item in summary.parameters.items():
        effects = item.effects
        forests.append(
            plots.Forest(
                spec.parameter(name).symbol,
                item.unit,
                f"{name}: cars differ" if item.differs else name,
                item.values[drawn],
                item.errors[drawn],
                (item.used & np.isfinite(item.errors))[drawn],
                None,
                mean=None if effects is None else (effects.low, effects.high),
                next=None if effects is None else (effects.next_low, effects.next_high),
                varies=item.differs,
            )
        )
    names = [summary.names[n] for n in drawn]
    title = f"Fleet of {spec.name}: {len(summary.names)} {by}s"
    if len(names) < len(summary.names):
        title += f", {len(names)} of them drawn"
    return partial(
        plots.draw_agreement,
        names=names,
        forests=forests,
        title=title,
        what=f"{by} alone",
        next="next car",
    )


def _drawn(summary: Summary) -> list[int]:
    """Numbers of the cars that are drawn."""
    unlike = [n for n, name in enumerate(summary.names) if name in summary.outliers][:DRAWN]
    others = [n for n in range(len(summary.names)) if n not in unlike]
    return sorted([*unlike, *(others[n] for n in spread(np.arange(len(others)), DRAWN - len(unlike)))])


def save_fleet_report(folder: Path, summary: Summary | None, by: str, facts: Sequence[str]) -> Path:
    """Write the page and the figure of a fleet; the page's path.

    Raises:
        DataError: the folder cannot be written.
    """
    from pct import plots
    from pct.pages import Section, bullets, page, paragraph, table

    sections = []
    if summary is not None:
        draw = fleet_figure(summary, by)
        write_output(folder / FIGURE, plots.as_png(draw))
        head, rows = summary_cells(summary)
        words = [len(head) - 2, len(head) - 1]
        fleet = table(head, rows, caption="Mean and spread of each parameter", texts=words)
        cars = table(*car_cells(summary), caption=f"Values of each {by}, with the fleet known")
        sections = [
            Section("The fleet", [fleet, paragraph(NOTE)]),
            Section("How they differ", _forests(draw.keywords, by)),
            Section(f"Each {by}", [cars]),
        ]
    path = folder / REPORT
    name = "Fleet" if summary is None else f"Fleet of {summary.prior.spec.name}: {folder.name}"
    write_output(path, page(name, sections, lead=[bullets(facts)]).encode())
    return path


def _forests(drawn: Mapping[str, Any], by: str) -> list[Part]:
    """The figure of what was drawn, with the choice of a parameter."""
    from pct.pages import figure, select
    from pct.pages.charts import forest_figure

    control = "parameter"
    shown = forest_figure(drawn["names"], drawn["forests"], control)
    caption = f"Each {by} by its own data, with the bands of the mean and of the next car, 95 %."
    return [
        select(control, "Parameter", [one.title for one in drawn["forests"]]),
        figure("fleet", shown, caption),
    ]
