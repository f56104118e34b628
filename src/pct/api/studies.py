"""Studies of Optuna: opened by name, shared by workers, and cleared of trials whose worker died."""

from __future__ import annotations

import contextlib
import os
import platform
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pct.errors import DataError, UsageError
from pct.showing.studies import GRACE

if TYPE_CHECKING:
    import optuna

HEARTBEAT = 20
"""Seconds from one sign of life of a worker to the next; a trial is taken up after `GRACE` without one."""
RETRIES = 3
"""Most times that a trial is begun again."""
LOSS = "loss"
"""Attribute of a trial whose run is saved: what the study is told a moment later."""


def open_study(name: str, address: str, seed: int) -> Study:
    """The study of a name in a database; begun where it is new.

    Raises:
        UsageError: Optuna or the database's driver is not installed, or the address is none.
        DataError: the database cannot be reached.
    """
    if find_spec("optuna") is None:
        raise UsageError('a sweep needs another package: pip install "pct-vehicle[sweep]"')
    import optuna
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    from pct.api.samplers import SeededSampler

    try:
        url = make_url(address)
    except ArgumentError:
        raise UsageError(
            "`storage`: expected the address of a database, e.g. sqlite:///study.db or postgresql://host/name"
        ) from None
    shown = url.render_as_string(hide_password=True)
    patient = {"connect_args": {"timeout": 60}} if url.get_backend_name() == "sqlite" else {}
    with _quiet():
        try:
            storage = optuna.storages.RDBStorage(
                address,
                engine_kwargs=patient,
                heartbeat_interval=HEARTBEAT,
                grace_period=GRACE,
                failed_trial_callback=optuna.storages.RetryFailedTrialCallback(max_retry=RETRIES),
            )
        except ImportError as error:
            raise UsageError(f"`storage={shown}`: its driver is not installed: {error}") from None
        except Exception as error:  # of any driver
            raise DataError(f"{shown}: cannot open the database: {str(error).splitlines()[0]}") from None
        study = optuna.create_study(
            storage=storage,
            study_name=name,
            sampler=SeededSampler(seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2),
            load_if_exists=True,
        )
    return Study(study, storage, shown)


class Study:
    """A study that is open.

    Attributes:
        study: of Optuna.
        shown_address: of its database, without a password.
    """

    def __init__(self, study: optuna.Study, storage: Any, shown_address: str) -> None:
        self.study, self.shown_address = study, shown_address
        self._storage = storage

    def claim(self, key: str, value: str) -> None:
        """Note what the study is of.

        Raises:
            UsageError: it is of something else.
        """
        if self.study.user_attrs.setdefault(key, value) != value:
            raise UsageError(
                f"`study={self.study.study_name}`: was begun with another space, other held values or other "
                "data: give this one a name of its own"
            )
        self.study.set_user_attr(key, value)

    def run(self, objective: Callable[[optuna.Trial], float], trials: int) -> None:
        """Run trials until the study has so many that ended well, were stopped, or are run by others."""
        with _quiet():
            while True:
                self._take_up()
                if self._count("COMPLETE", "PRUNED", "RUNNING") >= trials:
                    return
                self.study.optimize(objective, n_trials=1)

    def _count(self, *states: str) -> int:
        return sum(trial.state.name in states for trial in self.study.get_trials(deepcopy=False))

    def _take_up(self) -> None:
        """Queue trials of dead workers again: of this machine at once, of others when they fall silent.

        A trial whose run was saved before its worker died is complete.
        """
        import optuna

        states = optuna.trial.TrialState
        again = optuna.storages.RetryFailedTrialCallback(max_retry=RETRIES)
        for trial in self.study.get_trials(states=(states.RUNNING,)):
            machine, process = trial.user_attrs.get("worker", (None, None))
            if machine != platform.node() or _alive(process):
                continue
            with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):  # another worker was faster
                if (loss := trial.user_attrs.get(LOSS)) is not None:
                    self._storage.set_trial_state_values(trial._trial_id, states.COMPLETE, [loss])
                elif self._storage.set_trial_state_values(trial._trial_id, states.FAIL):
                    again(self.study, trial)
        optuna.storages.fail_stale_trials(self.study)

    def close(self) -> None:
        """Let the database go."""
        self._storage.remove_session()
        self._storage.engine.dispose()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Optuna prints nothing: what it would say of its trials is ours to say."""
    import optuna

    former = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        optuna.logging.set_verbosity(former)
