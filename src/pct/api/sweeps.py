"""Many trainings that look for the best settings: `sweep`, and the value that it returns.

Optuna proposes and keeps the trials; each of them is `pct.fit` and `pct.train` as anybody calls them.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pct.api.drives import Drives, load
from pct.api.fits import Fit
from pct.api.fitting import fit
from pct.api.networks import train
from pct.api.notebook import Shown
from pct.api.sweep_plans import Range, SweepPlan, read_plan
from pct.errors import DivergedError
from pct.within import Within, check_number, listener

if TYPE_CHECKING:
    import optuna
    import polars as pl

TRIALS = Within(1, 1_000_000, whole=True)
SEED = Within(0, 2**32 - 1, whole=True)
Trials = Annotated[int, TRIALS]
Seed = Annotated[int, SEED]
DATABASE = "study.db"
FINGERPRINT = "pct.fingerprint"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Sweep(Shown):
    """Trials of a sweep, those of other workers among them.

    Attributes:
        study: its name.
        storage: address of the database, without a password.
        trials: one row a trial that ended, the best first: number, state, validation loss, run, values.
        lost: trials whose worker was killed or interrupted; a killed one is or will be tried again.
        running: trials that other workers have not ended yet.
    """

    study: str
    storage: str
    trials: tuple[Mapping[str, Any], ...]
    lost: int
    running: int

    @property
    def best(self) -> Path | None:
        """Run folder of the best trial; None where no trial was completed."""
        return next((Path(row["run"]) for row in self.trials if row["run"]), None)

    @property
    def dashboard(self) -> str:
        """The command that shows the study in a browser."""
        return f'optuna-dashboard "{self.storage}"'

    def table(self, most: int | None = None) -> pl.DataFrame:
        """One row a trial, the best first: number, state, validation loss, and the values that it tried."""
        import polars as pl

        rows = self.trials[:most]
        values = [{name: _text(value) for name, value in row["values"].items()} for row in rows]
        shown = ("trial", "state", "loss")
        return pl.DataFrame(
            [
                {**{name: row[name] for name in shown}, **tried}
                for row, tried in zip(rows, values, strict=True)
            ]
        )

    @property
    def facts(self) -> list[str]:
        """How many trials there are and how they ended, in a sentence."""
        states = [row["state"] for row in self.trials]
        counts = [f"{states.count(state)} {state}" for state in ("complete", "pruned", "diverged")]
        more = [f"{self.lost} broken off"] if self.lost else []
        more += [f"{self.running} still running elsewhere"] if self.running else []
        return [f"{len(states)} trials: {', '.join(counts + more)}"]

    def shown(self) -> tuple[str, pl.DataFrame, Sequence[str]]:
        """Title, table and notes."""
        return f"Sweep {self.study}", self.table(), self.facts


def sweep(
    space: str | Path,
    *,
    trials: int = 20,
    folder: str | Path | None = None,
    study: str | None = None,
    storage: str | None = None,
    seed: int = 0,
    progress: Callable[[Any], None] | None = None,
) -> Sweep:
    """Train with many settings and keep the best by validation loss; a study that exists is gone on with.

    Each completed trial is a run folder ``trial_0007`` in ``folder``. Trials that are worse than the median
    at the same epoch are stopped. Call it in several processes, on any machine that reaches the storage, and
    they share the work; a trial of a process that died is taken up by another one.

    Args:
        space: TOML file with the data, what is held, and the settings to try.
        trials: of the whole study, ended ones among them, whoever ran them.
        folder: of the run folders and the database; ``results/sweeps/<study>`` when left out.
        study: name of the study; that of the file when left out.
        storage: address of a database, e.g. ``postgresql://host/name``; a file in the folder when left out.
        seed: of the proposals.
        progress: called with a line for each trial.

    Raises:
        UsageError: Optuna is not installed, the file says something that cannot be used, or the study was
            begun with another file or other data.
        DataError: the file or the data cannot be read.

    Examples:
        >>> import pct
        >>> pct.sweep("no_such_space.toml")
        Traceback (most recent call last):
        pct.errors.DataError: no_such_space.toml: cannot read it (No such file or directory): check the path
    """
    told = listener("progress", progress)
    plan = read_plan(Path(space))
    check_number("trials", trials, TRIALS)
    check_number("seed", seed, SEED)
    from pct.api.studies import open_study

    name = study or Path(space).stem
    place = Path(folder or Path("results") / "sweeps" / name).absolute()
    address = storage or f"sqlite:///{place / DATABASE}"
    drives = load(plan.train)
    validation = load(plan.validation) if plan.validation else None
    hashes = {**drives.hashes, **(validation.hashes if validation else {})}
    place.mkdir(parents=True, exist_ok=True)
    with closing(open_study(name, address, seed)) as opened:
        opened.claim(FINGERPRINT, plan.fingerprint(hashes))
        worker = _Worker(plan, place, drives, validation, told)
        opened.run(worker, trials)
        return _result(opened.study, opened.shown_address)


class _Worker:
    """Runs trials; a fit that several of them begin at is made once."""

    def __init__(
        self,
        plan: SweepPlan,
        folder: Path,
        drives: Drives,
        validation: Drives | None,
        progress: Callable[[Any], None],
    ) -> None:
        self._plan, self._folder, self._drives, self._validation = plan, folder, drives, validation
        self._progress = progress
        self._fits: dict[str, Fit] = {}

    def __call__(self, trial: optuna.Trial) -> float:
        """The lowest validation loss of a trial."""
        import optuna

        from pct.api.studies import LOSS

        plan = self._plan
        tried = {name: _propose(trial, name, values) for name, values in plan.space.items()}
        trial.set_user_attr("worker", [platform.node(), os.getpid()])

        def report(epoch: Any) -> None:
            trial.report(epoch.val_loss, epoch.epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        try:
            net = train(
                self._start(tried),
                self._drives,
                validation=self._validation,
                dt=None if plan.fits else plan.dt,
                progress=report,
                **plan.section("train", tried),
            )
        except DivergedError as error:
            trial.set_user_attr("diverged", str(error))
            self._progress(f"trial {trial.number}: diverged  {_line(tried)}")
            raise optuna.TrialPruned from error
        except optuna.TrialPruned:
            self._progress(f"trial {trial.number}: pruned  {_line(tried)}")
            raise
        assert net.result is not None
        run = net.save(self._folder / f"trial_{trial.number:04d}")
        trial.set_user_attr("run", str(run))
        trial.set_user_attr(LOSS, float(net.result.best_loss))
        self._progress(f"trial {trial.number}: loss {net.result.best_loss:.4g}  {_line(tried)}")
        return net.result.best_loss

    def _start(self, tried: Mapping[str, Any]) -> Any:
        """The car, or the fit, that the network of a trial starts at."""
        plan = self._plan
        car = plan.car(tried)
        if not plan.fits:
            return car
        key = json.dumps({name: value for name, value in tried.items() if not name.startswith("train.")})
        if key not in self._fits:
            self._fits[key] = fit(car, self._drives, dt=plan.dt, **plan.section("fit", tried))
        return self._fits[key]


def _propose(trial: optuna.Trial, name: str, values: Range | tuple[Any, ...]) -> Any:
    """The value of a setting in a trial."""
    if isinstance(values, tuple):
        # A database holds words and numbers: a list is kept as its text.
        words = {json.dumps(value) if isinstance(value, list) else value: value for value in values}
        return words[trial.suggest_categorical(name, list(words))]
    if values.whole:
        return trial.suggest_int(
            name, int(values.low), int(values.high), log=values.log, step=int(values.step or 1)
        )
    return trial.suggest_float(name, values.low, values.high, log=values.log, step=values.step)


def _result(study: optuna.Study, address: str) -> Sweep:
    """What is known of all trials."""
    rows, lost, running = [], 0, 0
    for trial in study.get_trials(deepcopy=False):
        lost += trial.state.name == "FAIL"
        running += trial.state.name in ("RUNNING", "WAITING")
        if trial.state.name not in ("COMPLETE", "PRUNED"):
            continue
        state = "diverged" if "diverged" in trial.user_attrs else trial.state.name.lower()
        complete = state == "complete"
        rows.append(
            {
                "trial": trial.number,
                "state": state,
                "loss": trial.value if complete else None,
                "run": trial.user_attrs.get("run") if complete else None,
                "values": trial.params,
            }
        )
    rows.sort(key=lambda row: (row["loss"] is None, row["loss"] or 0.0, row["trial"]))
    return Sweep(study.study_name, address, tuple(rows), lost, running)


def _line(tried: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_text(value)}" for name, value in tried.items())


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
