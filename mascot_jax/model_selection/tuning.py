"""Search for the settings with the best figures on held-out ratings, by Optuna."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.frames import to_frame
from mascot_jax.errors import DivergenceError, SettingsError
from mascot_jax.mf.estimator import MatrixFactorization
from mascot_jax.model_selection.container import Container
from mascot_jax.model_selection.cross_validation import Experiment, Folds, rows_of_folds
from mascot_jax.model_selection.space import SPACE, Space, checked_space, trials_wanted
from mascot_jax.model_selection.study import RunningTrial, Study
from mascot_jax.settings.search import LOWER_IS_BETTER, METRICS, Sampler
from mascot_jax.settings.validation import without_numpy
from mascot_jax.training.fingerprint import digest_of

_log = logging.getLogger(__name__)
LIST_LENGTH: Final = 10
"""Length of lists, for metrics of lists."""
_HOW_IT_RUNS: Final = ("backend", "threads", "checkpoint_every", "distributed", "keep_seen")
"""Settings that another part of one study may have."""


Trial = dict[str, Any]
"""A trial: ``trial`` (its number), ``state``, ``value``, the settings by name, ``seconds``."""


@dataclass(frozen=True)
class Tuning:
    """Result of a search for settings."""

    metric: str
    """What was searched for."""
    best_settings: dict[str, Any]
    """Settings with the best value, for ``MatrixFactorization.set_params``."""
    best_value: float
    """The metric's mean over the folds, with these settings."""
    trials: list[Trial]
    """All trials of the study. The ``state`` is ``complete``, ``pruned`` (given up after a fold, or
    refused: then ``error`` says why), ``fail`` (interrupted) or ``running``."""

    def to_frame(self, library: str = "pandas") -> Any:
        """Return a data frame with a row for each trial.

        ``library`` is ``pandas``, ``polars``, ``pyarrow`` or another that narwhals supports.
        """
        names = dict.fromkeys(name for trial in self.trials for name in trial)
        columns = {name: [trial.get(name) for trial in self.trials] for name in names}
        return to_frame(columns, library)


def tune(
    model: MatrixFactorization,
    ratings: Any,
    space: Space = SPACE,
    *,
    trials: int | None = None,
    metric: str | None = None,
    folds: Folds = 3,
    seed: int = 0,
    sampler: Sampler = "tpe",
    study: str | Path | None = None,
    user: str = "user",
    item: str = "item",
    rating: str = "rating",
    clip: bool = False,
    top_n: int | None = None,
    relevant: float | None = None,
    on_trial: Callable[[Trial], object] | None = None,
) -> Tuning:
    """Search for the settings with the best mean figure over folds.

    A trial trains and tests on fold after fold. It is given up (pruned) once its mean so far is
    worse than the median of earlier trials, except in a grid. Settings that do not fit together, or
    with which a training diverges, are given up, too.

    Parameters
    ----------
    model
        Estimator with the settings that are not searched; it is not changed.
    ratings, user, item, rating
        As for ``MatrixFactorization.fit``.
    space
        Settings to search: a list of choices or a ``Range`` for each.
    trials
        How many trials the study shall have; None: 20, or all of a grid.
    metric
        ``rmse``, ``mae``, or a metric of lists: a field of ``RankingMetrics``. None: ``rmse``; of a
        model of interactions, which has metrics of lists only, ``ndcg``.
    folds, clip, top_n, relevant
        As for ``cross_validate``; ``top_n`` is 10 for a metric of lists unless given.
    seed
        Fixes folds and proposals: with one seed, the trials are the same, and those of a resumed
        study are those of an undisturbed one.
    sampler
        How settings are proposed: by Optuna's tree-structured Parzen estimator, at ``random``, or
        all of a ``grid``, for which ``space`` has only lists.
    study
        File that keeps the trials, an SQLite database of Optuna's. If it is there, the search goes
        on until ``trials`` trials are done. Several processes may share it. None: in memory.
    on_trial
        Called with each trial when it is done.

    Raises
    ------
    DataError
        If ratings cannot be used.
    MissingExtraError
        If Optuna is not installed.
    SettingsError
        If an argument is invalid, the study is of other ratings or another search, or no trial has
        been completed.
    """
    names: dict[str, Any] = {"user": user, "item": item, "rating": rating}
    choices = checked_space(model, space)
    of_interactions = model.objective == "interactions"
    if metric is None:
        metric = "ndcg" if of_interactions else "rmse"
    if of_interactions and metric in LOWER_IS_BETTER:
        raise SettingsError(
            f"metric: {metric!r}: a model of interactions has metrics of lists only: choose ndcg"
        )
    if metric not in METRICS:
        raise SettingsError(f"metric: {metric!r}: must be one of {', '.join(METRICS)}")
    if top_n is None and metric not in LOWER_IS_BETTER:
        top_n = LIST_LENGTH
    wanted = trials_wanted(trials, choices, sampler)
    how = {"clip": clip, "top_n": top_n, "relevant": relevant}
    experiment = Experiment(Container(ratings, **names), names, how)
    rows = list(rows_of_folds(folds, len(experiment.container), seed))
    search = {
        "ratings and folds": _digest(experiment.container, rows),
        "settings": _fixed(model, choices),
        "space": {name: list(values) for name, values in choices.items()},
        "search": {"metric": metric, "sampler": sampler, "seed": int(seed), **how},
    }
    with Study(study, choices, search, minimize=metric in LOWER_IS_BETTER, sampler=sampler) as kept:
        while kept.finished < wanted:
            with kept.ask(seed) as trial:
                begin = time.perf_counter()
                _try(trial, model, experiment, rows, metric)
                trial.note("seconds", time.perf_counter() - begin)
            _log.info("trial: %s", kept.last)
            if on_trial is not None:
                on_trial(kept.last)
        best = kept.best or _nothing_completed(kept.trials)
        return Tuning(metric, {name: best[name] for name in choices}, best["value"], kept.trials)


def _try(
    trial: RunningTrial,
    model: MatrixFactorization,
    experiment: Experiment,
    folds: Sequence[Any],
    metric: str,
) -> None:
    """Train and test with a trial's settings, fold by fold, until it is given up."""
    values: list[float] = []
    chosen = type(model)(**model.get_params()).set_params(**trial.settings)
    for number, rows in enumerate(folds):
        try:
            values.append(experiment.run(chosen, rows)[metric])
        except (DivergenceError, SettingsError) as error:
            trial.give_up(str(error))
            return
        mean = float(np.mean(values))
        if number + 1 < len(folds) and trial.is_worse(mean, number):
            trial.give_up()
            return
    trial.complete(mean)


def _nothing_completed(trials: Sequence[Trial]) -> NoReturn:
    errors = [trial["error"] for trial in trials if trial.get("error")]
    raise SettingsError(
        f"space: none of {len(trials)} trials could be completed"
        + (f"; the last one: {errors[-1]}" if errors else "")
    )


def _digest(container: Container, rows: Sequence[Any]) -> str:
    """Return a digest of ratings, in their order, and of the rows of each fold."""
    columns = container.columns
    ids = [
        _as_plain(part) for column in (columns.users, columns.items) for _, part in column.parts()
    ]
    parts = [np.asarray(part, dtype=np.int64) for fold in rows for part in fold]
    return digest_of([*ids, columns.values(), *parts])


def _as_plain(ids: NDArray[Any]) -> NDArray[Any]:
    """Return ids as an array whose bytes are theirs: of objects, those of their text."""
    if ids.dtype != object:
        return ids
    return np.frombuffer(repr(ids.tolist()).encode(), dtype=np.uint8)


def _fixed(model: MatrixFactorization, space: Space) -> dict[str, Any]:
    """Return the settings that are not searched and may change a figure."""
    settings = {name: without_numpy(value) for name, value in model.get_params().items()}
    return {k: v for k, v in settings.items() if k not in space and k not in _HOW_IT_RUNS}
