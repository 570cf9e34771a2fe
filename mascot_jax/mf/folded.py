"""New users and items: factors from their ratings, with an unchanged model."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import count_each
from mascot_jax.base.units import around
from mascot_jax.engine.devices import serving_on
from mascot_jax.errors import DataError
from mascot_jax.ids.column import Column
from mascot_jax.ids.table import index_ids
from mascot_jax.ids.values import as_column, encode_ids, known_ids
from mascot_jax.mf.advice import warn_of_ratings
from mascot_jax.mf.fold_in import fold_in
from mascot_jax.mf.fold_in_interactions import balances, expected_negatives, fold_in_interactions
from mascot_jax.mf.interactions import as_ratings
from mascot_jax.mf.list_options import list_options
from mascot_jax.mf.model import Model, ModelSide
from mascot_jax.mf.recommend import Ranking, Recommendations, SideName, joined, ranks_of
from mascot_jax.ranking.pairs import Pairs
from mascot_jax.training.interactions import check_values, confidences, limited, merged


class Folded:
    """New users, or new items, that the model does not know.

    ``MatrixFactorization.fold_in_user`` and ``fold_in_item`` return it. For a single user or item,
    results have the shapes given; for m of them, there is a leading dimension of m.

    Attributes
    ----------
    ids
        ``(m,)``: their names, ascending; 0 for a single one without a name.
    factors
        float32 ``(k,)`` or ``(m, k)``. Zeros for one without a rating of anything that the model
        knows; it is treated as unknown.
    """

    def __init__(
        self,
        model: Model,
        side: SideName,
        columns: tuple[Any, Any],
        names: Any,
    ) -> None:
        """Solve for the factors; ``columns`` holds ids of the other side, and ratings."""
        self._model = model
        self._side: SideName = side
        self._other: SideName = "items" if side == "users" else "users"
        self._others: ModelSide = getattr(model, self._other)
        self._one = names is None
        self._ranking = Ranking(model, self._other)
        self._spread = None if model.units.plain else around(model.units)
        others, ratings = self._read(columns)
        if names is None:
            self.ids, rows = np.zeros(1, dtype=np.int64), np.zeros(len(others), dtype=np.uint32)
        else:
            table, rows = index_ids(_as_long(names, self._side[:-1], len(others)))
            self.ids = table.values
        self._solve(rows, others, ratings)

    def _read(self, columns: tuple[Any, Any]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Return the index of each id of the other side, -1 without factors, and the ratings."""
        others = np.atleast_1d(encode_ids(self._others.id_table, columns[0], self._other[:-1]))
        values = columns[1]
        if values is None and self._model.settings.of_interactions:
            values = np.ones(len(others), dtype=np.float32)
        ratings = as_column(np.atleast_1d(values), "rating")
        if others.ndim != 1 or ratings.size != len(others):
            raise DataError(
                f"there are {others.size} {self._other} and {ratings.size} ratings: "
                "give one rating for each"
            )
        warm = self._others.rows_of(others) < self._others.warm_rows
        values = as_ratings(ratings.read(slice(None)), "rating")
        warn_of_ratings(values, self._spread, fresh=False)
        return np.where(warm, others, -1), values

    def _solve(
        self,
        rows: NDArray[np.uint32],
        others: NDArray[np.int64],
        ratings: NDArray[np.float32],
    ) -> None:
        count = len(self.ids)
        order = np.lexsort((others, rows))
        order = order[others[order] >= 0]
        rows, others, ratings = rows[order], others[order], ratings[order]
        counts = count_each(rows, count)
        self._known = counts > 0
        self._rated = Pairs(np.append(0, np.cumsum(counts)), others.astype(np.uint32))
        self._bias = np.zeros(count, dtype=np.float32)
        if self._model.settings.of_interactions:
            self._factors = self._solve_interactions(rows, others, ratings)
            return
        rule = self._ranking.rule
        if self._spread is not None:
            ratings = self._spread.for_training(ratings)
        biases: tuple[NDArray[np.float32], ...] = ()
        if self._ranking.bias is not None:
            bias = self._ranking.bias[others]
            damping: float = getattr(self._model.damping, self._side)
            remainder = ratings - rule.offset_of(np.ones(len(rows), dtype=np.bool_), bias)
            sums = np.bincount(rows, weights=remainder, minlength=count)
            self._bias = (sums / (counts + damping)).astype(np.float32)
            biases = (self._bias[rows], bias)
        ratings = ratings - rule.offset_of(np.zeros(len(rows), dtype=np.bool_), *biases)
        settings = self._model.settings
        self._factors = fold_in(
            self._ranking.factors,
            self._rated.starts,
            self._rated.items,
            ratings,
            settings.user_reg if self._side == "users" else settings.item_reg,
        )

    def _solve_interactions(
        self, rows: NDArray[np.uint32], others: NDArray[np.int64], values: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Solve for factors of interactions, those of one pair added up."""
        check_values(values)
        rows, chosen, values = merged((rows, others.astype(np.uint32), values))
        counts = count_each(rows, len(self.ids))
        model, settings = self._model, self._model.settings
        assert settings.confidence is not None
        assert settings.loss is not None
        confidence, _ = confidences(values, settings.confidence, model.confidence)
        own, other = balances(model, self._side, counts)
        starts = np.append(0, np.cumsum(counts))
        return fold_in_interactions(
            self._ranking.factors,
            starts,
            chosen,
            limited(confidence * own[rows] * other[chosen]),
            expected_negatives(model, self._side, starts, chosen),
            settings.user_reg if self._side == "users" else settings.item_reg,
            settings.loss,
        )

    @property
    def factors(self) -> NDArray[np.float32]:
        """Factors computed from the ratings."""
        return self._factors[0] if self._one else self._factors

    def predict(self, others: Any, *, clip: bool = False) -> Any:
        """Predict the ratings of ids of the other side.

        Parameters
        ----------
        others
            One or many ids: items for new users, users for new items. Unknown ids get the
            prediction of the model's cold rule.
        clip
            Clip predictions to the range of the training ratings.

        Returns
        -------
        predictions
            float32 of the shape of ``others``, with a leading m for m new ones; a float for a
            single one and one id.
        """
        indices = encode_ids(self._others.id_table, others, self._other[:-1])
        flat = indices.reshape(-1)
        warm = self._others.rows_of(flat) < self._others.warm_rows
        rated = self._ranking.factors[np.where(warm, flat, 0)]
        trained = warm[None, :] & self._known[:, None]
        found = np.where(trained, self._factors @ rated.T, np.float32(0))  # [m, k] -> [m, n]
        rule = self._ranking.rule
        biases: tuple[NDArray[np.float32], ...] = ()
        if self._ranking.bias is not None:
            bias = np.where(flat >= 0, self._ranking.bias[flat], np.float32(0))
            biases = (self._bias[:, None], bias[None, :])
        found = rule.units.rating(found + rule.offset_of(~trained, *biases))
        if clip:
            found = found.clip(self._model.low, self._model.high)
        found = found.reshape(len(self.ids), *indices.shape)
        if not self._one:
            return found
        return found[0] if indices.ndim else float(found[0])

    def recommend(
        self,
        n: int = 10,
        *,
        exclude_seen: bool = True,
        candidates: Any = None,
        clip: bool = False,
        min_ratings: int = 1,
        popularity: float = 0.0,
        diversity: float = 0.0,
    ) -> Recommendations:
        """Recommend the n items with the highest predictions; for new items, the n users.

        Parameters
        ----------
        n, candidates, clip, min_ratings, popularity, diversity
            As for ``MatrixFactorization.recommend``; for new items, of users.
        exclude_seen
            Leave out those whose ratings were given.
        """
        options = list_options(min_ratings, popularity, diversity)
        chosen = known_ids(self._others.id_table, candidates, self._other[:-1])
        solved = np.flatnonzero(self._known)
        with serving_on(None):  # few rows: see fold_in
            found = self._ranking.best(
                self._factors[solved],
                n,
                bias=None if self._ranking.bias is None else self._bias[solved],
                exclude=self._rated.rows(solved) if exclude_seen else None,
                candidates=chosen,
                options=options,
            )
        others = self._ranking.most_rated(np.flatnonzero(~self._known), n, chosen, options)
        found = joined([found._replace(queries=solved[found.queries]), others])
        own, other = self.ids[found.queries], self._others.id_table.decode(found.items)
        users, items = (own, other) if self._side == "users" else (other, own)
        scores = found.scores.clip(self._model.low, self._model.high) if clip else found.scores
        return Recommendations(users, items, scores, ranks_of(found))


def _as_long(names: Any, name: str, size: int) -> Column:
    column = as_column(names, name)
    if column.size != size:
        raise DataError(f"there are {column.size} {name}s for {size} ratings: give one for each")
    return column
