"""Runs on disk as values again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pct.errors import DataError, UsageError
from pct.within import shown

if TYPE_CHECKING:
    from pct.api.fits import Fit
    from pct.api.networks import Network


def open(run: str | Path, *, model: str | Path | None = None) -> Fit | Network:
    """The fit or network of a run folder.

    Args:
        run: folder of `pct fit`, `pct train`, or of a value's ``save``.
        model: file with the equations of the run's model, where that is not installed. No file that the run
            itself names is executed.

    Raises:
        DataError: there is no such folder, nothing in it that can be opened, or it is damaged.
        UsageError: the file defines no model.

    Examples:
        >>> import tempfile, pct
        >>> drives = pct.simulate(pct.model("singletrack"), duration=4.0)
        >>> fit = pct.fit(pct.model("unicycle"), drives, horizon=4, history=4, iterations=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     pct.open(fit.save(f"{folder}/run", report=False)).params == fit.params
        True
    """
    from pct.api.fits import Fit
    from pct.api.networks import Network
    from pct.dynamics.registry import resolve_model
    from pct.optimization.constants.model import FittedModel
    from pct.runs.model_files import load_predicted, load_verdicts, open_run

    folder = Path(run)
    if model is not None:
        resolve_model(model)
    opened = open_run(folder)
    if isinstance(opened, FittedModel):
        return Fit(opened, None, run=folder, stored_verdicts=load_verdicts(folder))
    return Network(opened, load_predicted(folder, opened.spec), run=folder)


def as_fit(value: Any, name: str = "fit", or_else: str = "") -> Fit:
    """A fit that is the argument of a public function, or the one of a run folder.

    Raises:
        UsageError: it is something else.
        DataError: the folder is none of a fit.
    """
    from pct.api.fits import Fit

    if isinstance(value, Fit):
        return value
    if isinstance(value, str | Path):
        return open_fit(value)
    raise UsageError(f"`{name}`: expected {or_else}a fit or its run folder, got {shown(value)}")


def open_fit(run: str | Path, *, model: str | Path | None = None) -> Fit:
    """The fit of a run folder; arguments as in `open`.

    Raises:
        DataError: the folder is none of a fit.
    """
    from pct.api.fits import Fit

    opened = open(run, model=model)
    if not isinstance(opened, Fit):
        raise DataError(f"{run}: expected the run folder of a fit, found that of a network: fit first")
    return opened
