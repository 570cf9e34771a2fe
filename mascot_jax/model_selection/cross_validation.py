"""Train and test a model on each fold of ratings."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mascot_jax.base.frames import to_frame
from mascot_jax.errors import BaselineWarning, SettingsError
from mascot_jax.mf.estimator import MatrixFactorization
from mascot_jax.mf.evaluation import SeenRatingsWarning
from mascot_jax.model_selection.container import Container, Rows
from mascot_jax.model_selection.split import fold_rows

_log = logging.getLogger(__name__)
Folds = int | Iterable[tuple[Rows, Rows]]
"""Number of folds, or the rows to train on and to test on for each."""
Figures = dict[str, Any]
"""Figures of a fold, by name."""
_COUNTS: Final = ("fold", "train_ratings", "ratings", "queries")
"""Figures whose means say nothing."""


@dataclass(frozen=True)
class CrossValidation:
    """Figures of each fold, and their means."""

    folds: list[Figures]
    """For each ``fold`` (from 0): ``train_ratings``, ``ratings`` (tested on), ``rmse``, ``mae``,
    ``rmse_of_mean``, ``rmse_of_biases``, with ``top_n`` those of ``RankingMetrics``, also of
    popularity, and with ``sampled`` those of ``SampledMetrics``; ``fit_seconds`` and
    ``evaluate_seconds``."""

    @property
    def mean(self) -> Figures:
        """Means over the folds."""
        return {name: float(np.mean(values)) for name, values in self._metrics()}

    @property
    def std(self) -> Figures:
        """Standard deviations over the folds, of a sample; NaN for a single fold."""
        if len(self.folds) == 1:
            return {name: float("nan") for name, _ in self._metrics()}
        return {name: float(np.std(values, ddof=1)) for name, values in self._metrics()}

    def _metrics(self) -> Iterator[tuple[str, list[float]]]:
        for name in self.folds[0]:
            if name not in _COUNTS:
                yield name, [fold[name] for fold in self.folds]

    def to_frame(self, library: str = "pandas") -> Any:
        """Return a data frame with a row for each fold.

        ``library`` is ``pandas``, ``polars``, ``pyarrow`` or another that narwhals supports.
        """
        names = self.folds[0]
        return to_frame({name: [fold[name] for fold in self.folds] for name in names}, library)


def cross_validate(
    model: MatrixFactorization,
    ratings: Any,
    *,
    folds: Folds = 5,
    seed: int = 0,
    user: str = "user",
    item: str = "item",
    rating: str = "rating",
    clip: bool = False,
    top_n: int | None = None,
    relevant: float | None = None,
    sampled: int | None = None,
    on_fold: Callable[[Figures], object] | None = None,
) -> CrossValidation:
    """Train and test a model on each fold of ratings.

    Parameters
    ----------
    model
        Estimator whose settings are used; it is not changed.
    ratings, user, item, rating
        As for ``MatrixFactorization.fit``.
    folds
        Number of folds, as of ``k_folds``; or the rows ``(train, test)`` of each, as scikit-learn's
        splitters yield them.
    seed
        Fixes the folds.
    clip, top_n, relevant, sampled
        As for ``MatrixFactorization.evaluate``.
    on_fold
        Called with the figures of each fold when it is done.

    Raises
    ------
    DataError
        If ratings cannot be used.
    SettingsError
        If a setting or the number of folds is invalid.
    DivergenceError
        If a training diverges.
    """
    names: dict[str, Any] = {"user": user, "item": item, "rating": rating}
    how = {"clip": clip, "top_n": top_n, "relevant": relevant, "sampled": sampled}
    experiment = Experiment(Container(ratings, **names), names, how)
    done: list[Figures] = []
    for number, rows in enumerate(rows_of_folds(folds, len(experiment.container), seed)):
        done.append({"fold": number, **experiment.run(model, rows)})
        _log.info("fold %d: %s", number, done[-1])
        if on_fold is not None:
            on_fold(done[-1])
    if not done:
        raise SettingsError("folds: there are none")
    return CrossValidation(done)


def rows_of_folds(folds: Folds, ratings: int, seed: int) -> Iterable[tuple[Rows, Rows]]:
    """Return the rows of each fold."""
    return folds if isinstance(folds, Iterable) else fold_rows(ratings, folds, seed)


@dataclass(frozen=True)
class Experiment:
    """Ratings, and how models are trained and tested on parts of them."""

    container: Container
    columns: dict[str, Any]
    """Arguments of ``fit`` and of ``evaluate``."""
    how: dict[str, Any]
    """Further arguments of ``evaluate``."""

    def run(self, model: MatrixFactorization, rows: tuple[Rows, Rows]) -> Figures:
        """Train a copy of a model on one part of the ratings, and test it on another."""
        train, test = rows
        copy = type(model)(**model.get_params())
        start = time.perf_counter()
        copy.fit(self.container.take(train), **self.columns)
        middle = time.perf_counter()
        with warnings.catch_warnings():
            # If a pair occurs twice, it may be on both sides; the folds are of ratings.
            warnings.simplefilter("ignore", SeenRatingsWarning)
            warnings.simplefilter("ignore", BaselineWarning)  # both errors are in the figures
            figures = copy.evaluate(self.container.take(test), **self.columns, **self.how)
        end = time.perf_counter()
        metrics = {name: value for name, value in figures.items() if name != "seen"}
        seconds = {"fit_seconds": middle - start, "evaluate_seconds": end - middle}
        return {"train_ratings": len(train), **metrics, **seconds}
