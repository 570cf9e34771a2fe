"""The trials of a search, kept in memory or in a file by Optuna, which is imported here only."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from mascot_jax.base.files import local_path, saving
from mascot_jax.errors import DataError, MissingExtraError, SettingsError

NAME: Final = "mascot"
"""Name of the study in its file."""
_FINISHED: Final = ("complete", "pruned")
_NO_FOLD_TO_GIVE_UP: Final = 5
"""Trials before any is given up for its figures."""


class Study:
    """A study; a context manager, which closes its file.

    Parameters
    ----------
    path
        An SQLite file; None: in memory.
    space
        Choices, or a range (low, high, log), of each setting.
    search
        What the study is of, as values that JSON can hold; kept with a new study, and compared with
        an existing one's.
    minimize
        Whether lower values are better.
    sampler
        ``tpe``, ``random`` or ``grid``.

    Raises
    ------
    DataError
        If the file is no study.
    MissingExtraError
        If Optuna is not installed.
    SettingsError
        If the file's study is of something else.
    """

    def __init__(
        self,
        path: str | Path | None,
        space: Mapping[str, Sequence[Any]],
        search: dict[str, Any],
        *,
        minimize: bool,
        sampler: str,
    ) -> None:
        self._optuna = _optuna()
        self._sampler = sampler
        self._space = space
        self._distributions = {name: self._distribution(values) for name, values in space.items()}
        self._storage = self._open(path)
        try:
            with self._quietly():
                self._study = self._optuna.create_study(
                    storage=self._storage,
                    study_name=NAME,
                    direction="minimize" if minimize else "maximize",
                    pruner=self._pruner(),
                    load_if_exists=True,
                )
                self._check(path, search)
        except BaseException:
            self._close()
            raise

    def _open(self, path: str | Path | None) -> Any:
        if path is None:
            return self._optuna.storages.InMemoryStorage()
        from sqlalchemy.engine import URL
        from sqlalchemy.exc import DatabaseError

        file = local_path(path)
        with saving(file):
            file.parent.mkdir(parents=True, exist_ok=True)
        url = URL.create("sqlite", database=str(file)).render_as_string(hide_password=False)
        try:
            with self._quietly():
                return self._optuna.storages.RDBStorage(url)
        except (DatabaseError, self._optuna.exceptions.StorageInternalError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"{path}: not a study: {reason}: name another file") from error

    def _check(self, path: str | Path | None, search: dict[str, Any]) -> None:
        there = self._study.user_attrs
        if not there:
            for name, value in search.items():
                self._study.set_user_attr(name, value)
            return
        other = [
            name + _differences(there.get(name), value)
            for name, value in search.items()
            if there.get(name) != value
        ]
        if other:
            raise SettingsError(
                f"study: {str(path)!r}: this study has other {' and '.join(other)}: name another "
                "file, or remove this one to start anew"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        self._storage.remove_session()
        engine = getattr(self._storage, "engine", None)
        if engine is not None:
            engine.dispose()

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        """Keep Optuna from telling of studies it makes: this library logs by its own name."""
        logs = self._optuna.logging
        before = logs.get_verbosity()
        logs.set_verbosity(max(before, logs.WARNING))
        try:
            yield
        finally:
            logs.set_verbosity(before)

    def _distribution(self, values: Sequence[Any]) -> Any:
        kinds = self._optuna.distributions
        if isinstance(values, list):
            return kinds.CategoricalDistribution(values)
        low, high, log = values
        if isinstance(low, int) and isinstance(high, int):
            return kinds.IntDistribution(low, high, log=log)
        return kinds.FloatDistribution(low, high, log=log)

    def _pruner(self) -> Any:
        pruners = self._optuna.pruners
        if self._sampler == "grid":
            return pruners.NopPruner()
        return pruners.MedianPruner(n_startup_trials=_NO_FOLD_TO_GIVE_UP)

    def _make_sampler(self, seed: int) -> Any:
        samplers = self._optuna.samplers
        if self._sampler != "tpe":
            return samplers.RandomSampler(seed=seed)
        # Trials that a killed process has left running are nobody's: they do not count.
        return samplers.TPESampler(seed=seed, constant_liar=False)

    def _next_of_grid(self) -> dict[str, Any]:
        """Return the first settings of the grid that no trial has, or that none has finished."""
        trials = self.trials
        open_: list[dict[str, Any]] = []
        for values in itertools.product(*self._space.values()):
            settings = dict(zip(self._space, values, strict=True))
            states = {t["state"] for t in trials if settings.items() <= t.items()}
            if not states:
                return settings
            if not states & set(_FINISHED):
                open_.append(settings)
        return open_[0]

    @property
    def trials(self) -> list[dict[str, Any]]:
        """All trials: number, state, value, settings and notes of each."""
        return [
            {
                "trial": trial.number,
                "state": trial.state.name.lower(),
                "value": trial.value,
                **{name: trial.params.get(name) for name in self._space},
                **trial.user_attrs,
            }
            for trial in self._study.get_trials(deepcopy=False)
        ]

    @property
    def finished(self) -> int:
        """Number of trials that are done."""
        return sum(trial["state"] in _FINISHED for trial in self.trials)

    @property
    def last(self) -> dict[str, Any]:
        """The trial that ``ask`` has made last."""
        trial: dict[str, Any] = self.trials[self._asked]
        return trial

    @property
    def best(self) -> dict[str, Any] | None:
        """The completed trial with the best value, the first of equals; None without one."""
        complete = (trial for trial in self.trials if trial["state"] == "complete")
        sign = 1 if self._study.direction.name == "MINIMIZE" else -1
        best: dict[str, Any] | None = min(
            complete, key=lambda trial: sign * trial["value"], default=None
        )
        return best

    @contextmanager
    def ask(self, seed: int) -> Iterator[RunningTrial]:
        """Yield a trial with proposed settings; one that is left unfinished has failed.

        Proposals depend on the seed and the finished trials only: a study that was interrupted goes
        on as if it had not been.
        """
        drawn = np.random.SeedSequence([int(seed), self.finished]).generate_state(1)
        self._study.sampler = self._make_sampler(int(drawn[0]))
        if self._sampler == "grid":
            self._study.enqueue_trial(self._next_of_grid())
        asked = self._study.ask(self._distributions)
        self._asked = asked.number
        trial = RunningTrial(self._study, asked)
        try:
            yield trial
        except BaseException:
            trial.fail()
            raise
        trial.tell()


class RunningTrial:
    """A trial that is under way."""

    def __init__(self, study: Any, asked: Any) -> None:
        self._study = study
        self._asked = asked
        self._result: dict[str, Any] = {"state": _state("FAIL")}
        self.settings: dict[str, Any] = dict(asked.params)
        """Settings to try, by name."""

    def is_worse(self, value: float, step: int) -> bool:
        """Report a value after a step; return whether to give the trial up."""
        self._asked.report(value, step)
        return bool(self._asked.should_prune())

    def note(self, name: str, value: Any) -> None:
        """Keep a fact with the trial."""
        self._asked.set_user_attr(name, value)

    def give_up(self, error: str | None = None) -> None:
        """Leave the trial without a result, for its figures or for an error."""
        if error is not None:
            self.note("error", error)
        self._result = {"state": _state("PRUNED")}

    def complete(self, value: float) -> None:
        """Give the trial its result; NaN is none."""
        if np.isnan(value):
            self.give_up("the metric is not a number")
        else:
            self._result = {"values": value}

    def tell(self) -> None:
        """Keep the result."""
        self._study.tell(self._asked, **self._result)

    def fail(self) -> None:
        """Keep that the trial was interrupted."""
        self._study.tell(self._asked, state=_state("FAIL"))


def _differences(there: Any, here: Any) -> str:
    """Return which entries of two dictionaries differ, in brackets; nothing for other values."""
    if not (isinstance(there, dict) and isinstance(here, dict)):
        return ""
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    return f" ({', '.join(f'{n} {there.get(n)}, not {here.get(n)}' for n in names)})"


def _state(name: str) -> Any:
    return getattr(_optuna().trial.TrialState, name)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingExtraError(
            "a search for settings needs Optuna: run `pip install 'mascot-jax[tune]'`, in a "
            "checkout `pip install '.[tune]'`"
        ) from error
    return optuna
