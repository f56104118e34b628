"""Runs beside each other: `compare`, and the value that it returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.api.fits import Fit
from pct.api.notebook import Shown
from pct.api.opening import as_fit
from pct.errors import UsageError

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from pct.optimization.constants.comparison import Candidate, Compared
    from pct.plots import Drawing, Forest, Panel

# Runs whose curves are told apart in one figure.
DRAWN = 3


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Comparison(Shown):
    """Two or more fits, parameter by parameter and side force by side force.

    Attributes:
        runs: what was compared, in order.
        rows: each quantity by name: values, errors, difference, test and verdict.
    """

    runs: tuple[Candidate, ...]
    rows: Mapping[str, Compared]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the runs."""
        return tuple(run.name for run in self.runs)

    @property
    def differs(self) -> tuple[str, ...]:
        """Names of the quantities that differ."""
        return tuple(name for name, row in self.rows.items() if row.verdict == "differs")

    @property
    def facts(self) -> list[str]:
        """What differs, and what a reader must know, in sentences."""
        from pct.optimization.constants.comparison import notes_of

        return notes_of(self.runs, self.rows)

    def table(self) -> pl.DataFrame:
        """One row a quantity: value and standard error of each run, the difference of two runs (last less
        first) with its 95 % interval and z, the probability that they are equal after Holm, and the verdict.
        """
        import polars as pl

        rows = []
        for name, row in self.rows.items():
            cells: dict[str, Any] = {"quantity": name, "unit": row.unit}
            for run, value, error in zip(self.names, row.values, row.errors, strict=True):
                cells |= {run: float(value), f"std. error {run}": float(error)}
            if len(self.runs) == 2:
                cells |= {
                    "difference": row.difference,
                    "low 95 %": row.low,
                    "high 95 %": row.high,
                    "z": row.z,
                }
            rows.append({**cells, "p": row.p_holm, "verdict": row.verdict})
        return pl.DataFrame(rows)

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows of the table as text; runs by their number."""
        two = len(self.runs) == 2
        head = ["quantity", *(f"run {k}" for k in range(1, len(self.runs) + 1))]
        head += ["difference", "95 % interval", "z", "p"] if two else ["p"]
        rows = []
        for name, row in self.rows.items():
            shown = zip(row.values, row.errors, strict=True)
            cells = [name, *(f"{value:.4g} ± {error:.2g}" for value, error in shown)]
            if two:
                known = row.verdict != "not compared"
                between = [f"{row.difference:+.3g}", f"{row.low:.2g} to {row.high:.2g}", f"{row.z:+.1f}"]
                cells += between if known else ["–"] * 3
            probability = f"{row.p_holm:.2g}" if row.p_holm == row.p_holm else "–"
            rows.append([*cells, probability, row.unit, row.verdict])
        return [*head, "unit", "verdict"], rows

    def plot(self, kind: str = "values") -> Figure:
        """A figure of the comparison.

        Args:
            kind: ``values`` of each quantity and run with their intervals, or ``curves``: side force of each
                axle up to the slip angle that all runs reached, of the first three runs.

        Raises:
            UsageError: there is no such figure.
        """
        from pct.plots import in_style

        return in_style(self._figure(kind))

    def save(self, path: str | Path) -> Path:
        """Write all numbers as JSON.

        Raises:
            DataError: the file cannot be written.
        """
        from pct.runs.directory import write_json

        rows = {name: {**row._asdict(), "verdict": row.verdict} for name, row in self.rows.items()}
        write_json(Path(path), {"runs": self.names, "quantities": rows, "facts": self.facts})
        return Path(path)

    def save_figure(self, path: str | Path, kind: str = "values") -> Path:
        """Write a figure as PNG; ``kind`` as of `plot`.

        Raises:
            UsageError: there is no such figure.
            DataError: the file cannot be written.
        """
        from pct.plots import to_png

        to_png(Path(path), self._figure(kind))
        return Path(path)

    def _figure(self, kind: str) -> Drawing:
        figures = self._figures()
        if kind not in figures:
            raise UsageError(f"`kind={kind}`: expected one of {', '.join(figures)}")
        return figures[kind]

    def save_page(self, path: str | Path) -> Path:
        """Write an HTML page: what differs in a sentence, the table, and interactive figures.

        Raises:
            DataError: the file cannot be written.
        """
        from pct.files import write_output

        write_output(Path(path), self._page().encode())
        return Path(path)

    def _page(self) -> str:
        from pct.pages import Section, bullets, figure, page, select, table, verdict
        from pct.pages.charts import curve_figure, forest_figure

        head, rows = self.cells()
        numbered = [f"run {k}: {name}" for k, name in enumerate(self.names, 1)]
        differ = [name for name in self.rows if name in self.differs]
        first = [*differ, *(name for name in self.rows if name not in differ)]
        forests = dict(zip(self.rows, self._forests(), strict=True))
        values = forest_figure(self.names, [forests[name] for name in first], "quantity")
        curves = [figure(f"curve {n}", curve_figure(panel)) for n, panel in enumerate(self._panels())]
        told, *facts = self.facts
        texts = (0, len(head) - 2, len(head) - 1)
        sections = [
            Section("Quantities", [table(head, rows, caption=", ".join(numbered), texts=texts)]),
            Section("Values", [select("quantity", "Quantity", first), figure("values", values)]),
            Section("Side forces", curves),
        ]
        title = f"{' and '.join(self.names)}: the same or different?"
        return page(title, sections, lead=[verdict(told), bullets(facts)])

    def _figures(self) -> dict[str, Drawing]:
        from pct import plots

        title = f"{self.runs[0].spec.name}: {' and '.join(self.names)}"
        forests = self._forests()
        draw = partial(plots.draw_agreement, names=self.names, forests=forests, title=title, what="run")
        figures: dict[str, Drawing] = {"values": draw}
        if panels := self._panels():
            figures["curves"] = partial(plots.draw_curves, panels=panels, title=title)
        return figures

    def _forests(self) -> list[Forest]:
        """Values and errors of each quantity."""
        from pct import plots

        spec = self.runs[0].spec
        symbols = {name: spec.parameter(name).symbol for name in spec.param_keys}
        return [
            plots.Forest(
                symbols.get(name, "F_y"),
                row.unit,
                f"{name}: differs" if row.verdict == "differs" else name,
                row.values,
                row.errors,
                row.known,
                None,
                varies=row.verdict == "differs",
            )
            for name, row in self.rows.items()
        ]

    def _panels(self) -> list[Panel]:
        """Side force of each axle, of the first runs."""
        from pct import plots
        from pct.optimization.constants.comparison import side_force_bands
        from pct.optimization.constants.curves import NORMAL_95

        unit = "1" if "m" in self.runs[0].spec.param_keys else "N"
        return [
            plots.Panel(
                f"{axle} axle",
                ("slip angle", "rad"),
                ("side force" if unit == "N" else "side force over static load", unit),
                {
                    name: plots.Band(
                        slips,
                        force,
                        force - NORMAL_95 * std,
                        force + NORMAL_95 * std,
                        (0.0, float(slips[-1])),
                    )
                    for name, (force, std) in zip(self.names[:DRAWN], forces, strict=False)
                },
            )
            for axle, (slips, forces) in side_force_bands(self.runs).items()
        ]

    def shown(self) -> tuple[str, pl.DataFrame, Sequence[str]]:
        """Title, table and notes."""
        return f"{' and '.join(self.names)}: the same or different?", self.table(), self.facts


def compare(runs: Sequence[Fit | str | Path]) -> Comparison:
    """Fits of one model beside each other: new tyres, another load, a worn part.

    Args:
        runs: two or more fits, or their run folders.

    Raises:
        UsageError: fewer than two runs, or of different models.
        DataError: a folder holds no fit.

    Examples:
        >>> import pct
        >>> car = pct.model("singletrack").hold("C_Sf", "C_Sr", "m", "I").measured(observer=False)
        >>> wet, dry = (pct.simulate(car, duration=6.0, mu=(mu,), noise=0.1) for mu in (0.5, 0.8))
        >>> fits = [pct.fit(car, drives, horizon=10, iterations=8) for drives in (wet, dry)]
        >>> pct.compare(fits).table().select("quantity", "verdict").row(0)
        ('mu', 'differs')
    """
    from pct.optimization.constants.comparison import compare_runs

    if isinstance(runs, Fit | str | Path):
        runs = [runs]
    fits = [as_fit(run, "runs") for run in runs]
    names = [f"run {k}" if fit.run is None else fit.run.name for k, fit in enumerate(fits, 1)]
    if len(set(names)) < len(names):  # folders of one name, or the same twice
        names = [f"{k}: {name}" for k, name in enumerate(names, 1)]
    candidates = tuple(_candidate(name, fit) for name, fit in zip(names, fits, strict=True))
    return Comparison(candidates, compare_runs(candidates))


def _candidate(name: str, fit: Fit) -> Candidate:
    import numpy as np

    from pct.optimization.constants.agreement import with_agreement
    from pct.optimization.constants.comparison import Candidate, Solution
    from pct.optimization.constants.estimate import raw_slopes
    from pct.runs.model_files import load_solution

    if fit.result is not None:
        estimate = fit.result.estimate
        solution: Solution | None = Solution(
            estimate.raw, estimate.covariance, estimate.blocks, fit.result.reached
        )
    else:
        solution = None if fit.run is None else load_solution(fit.run)
    if solution is not None:
        spec = fit.model.spec
        deviations = np.sqrt(np.diag(solution.covariance)) * raw_slopes(spec, solution.raw)
        covariance = with_agreement(solution.covariance, deviations, spec, fit.agreement, next_drive=False)
        solution = solution._replace(covariance=covariance)
    return Candidate(name, fit.model, fit.verdicts, solution, fit.agreement)
