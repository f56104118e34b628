"""Scores on drives that a model has not seen: `evaluate`, and the value that it returns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.api.drives import Drive, Drives, as_drives
from pct.api.fits import Fit
from pct.api.networks import Network
from pct.api.notebook import Shown
from pct.errors import UsageError
from pct.rollout.compiled import in_single_precision
from pct.within import check_callable, shown

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.figure import Figure

    from pct.evaluation.evaluate import Evaluation


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Score(Shown):
    """Open-loop errors of a model and of baselines on the same windows, with 95 % intervals.

    Attributes:
        result: all figures.
        name: of the model.
        drives: on what.
    """

    result: Evaluation
    name: str
    drives: Drives

    @property
    def facts(self) -> list[str]:
        """Model and data of the evaluation, and the comparison with each baseline, in sentences."""
        from pct.evaluation.text import facts, verdicts

        return [*facts(self.result), *verdicts(self.result)]

    def table(self) -> pl.DataFrame:
        """One row a horizon, row of the ladder and channel: path RMSE with interval, final RMSE, windows that
        explode, and the derived controls that the row is told.
        """
        import polars as pl

        return pl.DataFrame(
            {
                "horizon [s]": seconds,
                "row": name,
                "channel": channel,
                "path RMSE": score.path_rmse.value,
                "low 95 %": score.path_rmse.low,
                "high 95 %": score.path_rmse.high,
                "final RMSE": score.final_rmse.value,
                "exploded windows": row.exploded[seconds],
                "told": ", ".join(row.told),
            }
            for seconds in self.result.at
            for name, row in self.result.rows.items()
            for channel, score in row.scores[seconds].items()
        )

    def plot(self, kind: str = "growth") -> Figure:
        """A figure of the scores.

        Args:
            kind: ``growth`` of the errors, ``ladder_<seconds>`` over a horizon, or ``conditions``.

        Raises:
            UsageError: there is no such figure.
        """
        from pct.evaluation.report import figures_of
        from pct.plots import in_style

        figures = figures_of(self.result)
        if kind not in figures:
            raise UsageError(f"`kind={kind}`: expected one of {', '.join(figures)}")
        return in_style(figures[kind])

    def save(self, folder: str | Path, *, run: Path | None = None) -> Path:
        """Write ``evaluation.json`` and ``report.html`` into a folder; the report's path.

        Raises:
            DataError: the folder cannot be made or written.
        """
        from pct.evaluation.report import save_evaluation

        return save_evaluation(Path(folder), self.result, run=run or Path(self.name), paths=self.drives.paths)

    def shown(self) -> tuple[str, pl.DataFrame, Sequence[str]]:
        """Title, table and notes."""
        return f"{self.name} on {len(self.drives)} drives", self.table(), self.facts


@in_single_precision
def evaluate(
    model: Fit | Network | str | Path,
    drives: Drives | Drive | Sequence[Drive] | str | Path,
    *,
    at: Sequence[float] = (),
    stride: int | None = None,
    allow_overlap: bool = False,
    progress: Callable[[Any], None] | None = None,
) -> Score:
    """Evaluate a fit or network on unseen drives, beside baselines on the same windows.

    Args:
        model: the value, or its run folder.
        drives: unseen ones.
        at: horizons of the errors in s; that of training when left out.
        stride: steps from one window to the next; that of training when left out.
        allow_overlap: evaluate on training data, too; every output says so.
        progress: called with the name of each model before it is evaluated, e.g. ``print``.

    Raises:
        UsageError: a horizon is no whole number of time steps.
        DataError: the drives cannot be used, or were trained on.

    Examples:
        >>> import pct
        >>> car = pct.model("singletrack").hold("C_Sf", "C_Sr", "m", "I").measured(observer=False)
        >>> drives = pct.simulate(car, recordings=2, duration=5.0, mu=(0.7,), noise=0.1)
        >>> fit = pct.fit(car, drives[0], horizon=10, iterations=5)
        >>> score = pct.evaluate(fit, drives[1], at=(0.5,))
        >>> sorted(score.table()["row"].unique())[:2]
        ['constant acceleration', 'default parameters']
    """
    from pct.api.opening import open as open_model
    from pct.evaluation.datasets import TestData, training_data_of
    from pct.evaluation.evaluate import evaluate as judge

    check_callable("progress", progress)
    value = open_model(model) if isinstance(model, str | Path) else model
    if not isinstance(value, Fit | Network):
        raise UsageError(f"`model`: expected a fit, a network or a run folder, got {shown(value)}")
    if value.training_windows is None and value.run is None:
        raise UsageError(
            "`model`: a network that was pickled has lost its training windows: evaluate it before, "
            "or save it before and evaluate its run folder"
        )
    drives = as_drives(drives)
    hashes = value.drives.hashes if value.drives else {}
    learner = value.learner if isinstance(value, Network) else None
    below = learner.windows.seen.hashes if learner and learner.windows.seen else None
    training = training_data_of(value.model, value.training_windows, hashes, value.run, below)
    name = f"{type(value).__name__.lower()} of {value.model.spec.name}"
    if value.training_windows is None and value.run is not None:
        name = value.run.name
    result = judge(
        value.model,
        TestData(drives.recordings, drives.hashes),
        training,
        at=at,
        stride=stride,
        allow_overlap=allow_overlap,
        progress=progress,
        parameter_verdicts=lambda: value.verdicts if isinstance(value, Fit) else {},
    )
    return Score(result, name, drives)
