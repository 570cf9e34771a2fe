"""What a learned model does for the estimator: predict, recommend, evaluate, save."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any, BinaryIO, Final, Literal

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.metrics import ErrorTotals
from mascot_jax.base.warn import warn_caller
from mascot_jax.engine.devices import batch_device, execution_of, serving_device, serving_on
from mascot_jax.engine.ratings import Triples
from mascot_jax.errors import DataError, NotFittedError, SettingsError
from mascot_jax.ids.kinds import INTEGER, OBJECT
from mascot_jax.ids.table import IdTable
from mascot_jax.ids.values import as_ids, encode_ids, known_ids
from mascot_jax.mf.advice import warn_if_worse
from mascot_jax.mf.evaluation import (
    SeenRatingsWarning,
    baselines_of,
    by_row,
    count_seen,
    error_totals,
    note_on_seen,
)
from mascot_jax.mf.export import export_dense
from mascot_jax.mf.folded import Folded
from mascot_jax.mf.interactions import Interactions, read_interactions, read_pairs
from mascot_jax.mf.list_metrics import ListTest, evaluate_lists
from mascot_jax.mf.list_options import list_options
from mascot_jax.mf.model import Model
from mascot_jax.mf.model_file import save_model
from mascot_jax.mf.neighbours import DAMPING, Neighbourhood, Neighbours
from mascot_jax.mf.predictor import Predictor
from mascot_jax.mf.pruned import pruned_errors
from mascot_jax.mf.recommend import Ranking, Recommendations, SideName, ranks_of, recommend
from mascot_jax.settings import RunSettings, validate
from mascot_jax.training.lists import LENGTH

_CACHES: Final = ("_predictor", "_ranking", "_near_users", "_near_items")
"""Attributes that are computed from the model on first use."""


class Fitted:
    """All that is done with a learned model; the estimator adds the settings and how to learn."""

    model_: Model

    def _run(self) -> RunSettings:
        return validate(
            RunSettings, {name: getattr(self, name) for name in RunSettings.model_fields}
        )

    def _forget_caches(self) -> None:
        for name in _CACHES:
            self.__dict__.pop(name, None)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _CACHES}

    def __getattr__(self, name: str) -> Any:
        # Properties that read the model also come here if there is none.
        learned = name.startswith("_") or name.endswith("_")
        if learned and not name.startswith("__") and "model_" not in self.__dict__:
            raise NotFittedError(
                "nothing has been learned yet: call fit, or MatrixFactorization.load"
            )
        raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")

    @property
    def user_ids_(self) -> NDArray[Any]:
        """``(users,)``: the id of each row of ``user_factors_``."""
        return self._user_table.values

    @property
    def item_ids_(self) -> NDArray[Any]:
        """``(items,)``: the id of each row of ``item_factors_``."""
        return self._item_table.values

    @property
    def user_factors_(self) -> NDArray[np.float32]:
        """float32 ``(users, k)``, decoded from storage at every call, in units of the ratings."""
        factors = self.model_.dense_users()
        units = self.model_.units
        return factors if units.plain else np.float32(units.scale) * factors

    @property
    def item_factors_(self) -> NDArray[np.float32]:
        """float32 ``(items, k)``, decoded from storage at every call."""
        return self.model_.dense_items()

    @property
    def user_biases_(self) -> NDArray[np.float32] | None:
        """float32 ``(users,)``, in units of the ratings; None without biases.

        A prediction is ``intercept_``, both biases and the product of the factors, if both user and
        item have a training rating.
        """
        biases = self.model_.shared_biases
        return None if biases is None else biases.users

    @property
    def item_biases_(self) -> NDArray[np.float32] | None:
        """float32 ``(items,)``, as ``user_biases_``."""
        biases = self.model_.shared_biases
        return None if biases is None else biases.items

    @property
    def intercept_(self) -> float:
        """What is added to biases and products of factors in every prediction."""
        return self.model_.intercept

    @property
    def mean_rating_(self) -> float:
        """Mean of the training ratings; with ``tuned``, wild ones cut."""
        return self.model_.mean_rating

    @property
    def _user_table(self) -> IdTable:
        return self.model_.users.id_table

    @property
    def _item_table(self) -> IdTable:
        return self.model_.items.id_table

    def predict(self, users: Any, items: Any = None, *, clip: bool = False) -> Any:
        """Predict ratings.

        Parameters
        ----------
        users, items
            One or many ids: scalars, lists, arrays or series, broadcast against each other. Without
            ``items``, ``users`` holds pairs, as scikit-learn's tools give them: a data frame with
            columns ``user`` and ``item``, or an array ``(n, 2)``.
        clip
            Clip predictions to the range of the training ratings.

        Returns
        -------
        predictions
            float32 of the broadcast shape; a float for one user and one item.
        """
        if items is None:
            users, items = (column.read(slice(None)) for column in read_pairs(users))
        user = encode_ids(self._user_table, users, "user")
        item = encode_ids(self._item_table, items, "item")
        try:
            user, item = np.broadcast_arrays(user, item)
        except ValueError as error:
            raise DataError(
                f"users have the shape {user.shape}, items {item.shape}: give "
                "equally many, or a single one of either"
            ) from error
        with self._on_device():
            found = self._predictor.predict(user.reshape(-1), item.reshape(-1))
        found = found.reshape(user.shape)
        if clip:
            found = found.clip(self.model_.low, self.model_.high)
        return found if found.ndim else float(found)

    @cached_property
    def _predictor(self) -> Predictor:
        return Predictor(self.model_, execution_of(self.model_.settings, self._run()))

    @cached_property
    def _ranking(self) -> Ranking:
        return Ranking(self.model_)

    @cached_property
    def _near_users(self) -> Neighbourhood:
        return Neighbourhood(self.model_, "users")

    @cached_property
    def _near_items(self) -> Neighbourhood:
        return Neighbourhood(self.model_, "items")

    def _on_device(self) -> AbstractContextManager[Any]:
        return serving_on(serving_device(self.model_.settings, self._run().backend))

    def recommend(
        self,
        users: Any,
        n: int = 10,
        *,
        exclude_seen: bool = True,
        candidates: Any = None,
        clip: bool = False,
        min_ratings: int = 1,
        popularity: float = 0.0,
        diversity: float = 0.0,
    ) -> Recommendations:
        """Recommend the n items with the highest predictions.

        A model of ratings so lists what would be rated highly, not what would be picked
        (docs/ranking.md): ``popularity`` mends that, or the objective ``interactions``. It and
        ``diversity`` change the order; scores are the predictions all the same.

        Parameters
        ----------
        users
            One or many ids. Unknown users, and those without a training rating, get the items with
            the most ratings.
        n
            Number of items per user; fewer if fewer are left.
        exclude_seen
            Leave out items that the user has rated in training.
        candidates
            The only items to recommend, unknown ones ignored; None: all. Items without a training
            rating are never recommended.
        clip
            Clip scores to the range of the training ratings; the order is that of the predictions.
        min_ratings
            Leave out items with fewer training ratings.
        popularity
            Rank an item with twice as many training ratings as if its prediction were so much
            higher, in units of the ratings; below 0, lower. Lists for unknown users stay the same.
        diversity
            From 0 to 1: prefer items unlike those before in the list, by the cosine of their
            factors. Maximal marginal relevance over the best 300 items, or 2n: each next item has
            the highest ``(1 - diversity) * relevance - diversity * cosine``, of its score, 1 for
            the best of these and 0 for the worst, and its largest cosine with the items before.

        Returns
        -------
        Recommendations

        Raises
        ------
        DataError
            If the model has not kept what ``exclude_seen``, ``min_ratings`` or ``popularity`` need.
        SettingsError
            If an option is invalid.
        """
        options = list_options(min_ratings, popularity, diversity)
        queries = encode_ids(self._user_table, users, "user").reshape(-1)
        names = as_ids(users, "user", tuples=self._user_table.kind == OBJECT).reshape(-1)
        if self._user_table.kind == INTEGER and names.dtype == object:  # from a list
            names = np.array(names.tolist())
        chosen = known_ids(self._item_table, candidates, "item")
        with serving_on(batch_device(self.model_.settings, self._run().backend, len(queries))):
            found = recommend(
                self.model_,
                self._ranking,
                queries,
                n,
                exclude_seen=exclude_seen,
                candidates=chosen,
                options=options,
            )
        items = self._item_table.decode(found.items)
        scores = found.scores.clip(self.model_.low, self.model_.high) if clip else found.scores
        return Recommendations(names[found.queries], items, scores, ranks_of(found))

    def similar_items(self, items: Any, n: int = 10, *, damping: float = DAMPING) -> Neighbours:
        """Find the n items whose factors have the highest cosine similarity, damped.

        Parameters
        ----------
        items
            One or many ids. Unknown items, and those without a training rating, have no neighbours
            and are never neighbours.
        n
            Number of neighbours per item.
        damping
            The cosine with an item of m training ratings is multiplied by ``m / (m + damping)``, as
            a handful of ratings says little of an item; 0: plain cosines. Files of old models do
            not say how many ratings there were: they have plain cosines.

        Raises
        ------
        SettingsError
            If ``n`` or ``damping`` is invalid.
        """
        return self._similar("items", items, n, damping)

    def similar_users(self, users: Any, n: int = 10, *, damping: float = DAMPING) -> Neighbours:
        """Find the n users whose factors have the highest cosine similarity (``similar_items``)."""
        return self._similar("users", users, n, damping)

    def _similar(self, side: SideName, ids: Any, n: int, damping: float) -> Neighbours:
        table = self._user_table if side == "users" else self._item_table
        indices = encode_ids(table, ids, side[:-1]).reshape(-1)
        with self._on_device():
            found = getattr(self, f"_near_{side}").nearest(indices, n, damping)
        return Neighbours(
            table.decode(indices[found.queries]),
            table.decode(found.items),
            found.scores,
            ranks_of(found),
        )

    def fold_in_user(self, items: Any, ratings: Any = None, users: Any = None) -> Folded:
        """Compute factors of new users from their ratings; the model does not change.

        The factors minimise the training's loss on these ratings: a ridge solve against the items'
        factors, with ``user_reg``; with ``biases``, after the user's own bias. With ``tuned``, wild
        ratings are cut, with a warning, as in training. Ratings of items that are unknown, or have
        no training rating, are left out. With interactions, the user meets negatives as well, as
        many as a training would draw on average.

        Parameters
        ----------
        items, ratings
            Item ids and ratings, equally many; of interactions, None for a value of 1 each.
        users
            Name, of any kind, of the user who gave each rating; None: a single user.

        Returns
        -------
        Folded
            With ``factors``, ``predict(items)`` and ``recommend(n)``.
        """
        return Folded(self.model_, "users", (items, ratings), users)

    def fold_in_item(self, users: Any, ratings: Any = None, items: Any = None) -> Folded:
        """Compute factors of new items from their ratings, as ``fold_in_user`` does for users.

        ``recommend`` of the result gives users for the items.
        """
        return Folded(self.model_, "items", (users, ratings), items)

    def evaluate(
        self,
        ratings: Any,
        y: Any = None,
        *,
        user: str = "user",
        item: str = "item",
        rating: str = "rating",
        clip: bool = False,
        top_n: int | None = None,
        relevant: float | None = None,
        exclude_seen: bool = True,
        min_ratings: int = 1,
        popularity: float = 0.0,
        diversity: float = 0.0,
        sampled: int | None = None,
        seed: int = 0,
    ) -> dict[str, float | None]:
        """Compare predictions, and lists of recommendations, with ratings not trained on.

        A ``SeenRatingsWarning`` says if some were trained on.

        Parameters
        ----------
        ratings, y, user, item, rating
            As for ``fit``.
        clip
            Clip predictions to the range of the training ratings.
        top_n
            Also recommend so many items to each user, and look for those that the user has rated
            here.
        relevant
            Look only for items with this rating or a higher one.
        exclude_seen
            Leave items seen in training out of the lists, where the model has kept them.
        min_ratings, popularity, diversity
            Of the lists, as for ``recommend``.
        sampled
            Also rank each item to be found among so many others, drawn at random from those that
            could be recommended and that the user has rated neither in training nor here. Equal
            scores are in any order, as likely as others; ``diversity`` has no part in this.
        seed
            Fixes these draws.

        Returns
        -------
        dict
            ``rmse``, ``mae``, ``ratings``, the number of ratings, and ``seen``, how many of these
            are of a user and an item with a training rating (None if the model has not kept that).
            To compare with: ``rmse_of_mean``, of predicting the mean training rating, and
            ``rmse_of_biases``, of damped biases of users and items, if the model holds them (files
            before version 5 may not). With the pruning ``early-exit``, ``rmse_pruned``, of
            predictions that end as early as training's updates did, and ``visited``, the share of
            the factors that they take. With ``top_n`` also the fields of ``RankingMetrics``:
            precision, recall, NDCG and others; with ``sampled`` those of ``SampledMetrics``. Each
            has another beside it, ``ndcg_of_popularity`` and so on: that of recommending to
            everyone what has the most training ratings. A model of interactions has lists, of 10
            items unless ``top_n`` says otherwise, and no errors.

        Warns
        -----
        BaselineWarning
            If the model is worse than the mean or the biases.

        Raises
        ------
        DataError
            If ratings or ids cannot be used, or if none is relevant.
        SettingsError
            If an option is invalid.
        """
        options = list_options(min_ratings, popularity, diversity)
        of_interactions = self.model_.settings.of_interactions
        if of_interactions and top_n is None:
            top_n = LENGTH
        if sampled is not None and top_n is None:
            raise SettingsError(f"sampled: {sampled!r}: is of lists: give top_n, too")
        found = self._read(ratings, y, user=user, item=item, rating=rating)
        rows = by_row(self.model_, found)
        lists = {}
        if top_n is not None:
            test = ListTest(top_n, exclude_seen, options, sampled, seed)
            with self._on_device():
                lists = evaluate_lists(
                    self.model_, self._ranking, self._predictor, found, relevant, test
                )
        seen = count_seen(self.model_, rows)
        left_out = exclude_seen and top_n is not None
        note = note_on_seen(seen, found.ratings.size, lists_leave_out=left_out)
        if note is not None:
            warn_caller(note, SeenRatingsWarning)
        errors = {} if of_interactions else self._errors(rows, clip=clip)
        return {**errors, "ratings": found.ratings.size, "seen": seen, **lists}

    def _read(self, ratings: Any, y: Any, **columns: str) -> Interactions:
        implicit = self.model_.settings.of_interactions
        return read_interactions(ratings, y, **columns, implicit=implicit)

    def _errors(self, ratings: Triples, *, clip: bool) -> dict[str, float]:
        totals = self._error_totals(ratings, clip=clip)
        baselines = baselines_of(self.model_, ratings)
        warn_if_worse(totals.rmse, totals.count, baselines)
        known = {name: rmse for name, rmse in baselines._asdict().items() if rmse is not None}
        execution = execution_of(self.model_.settings, self._run())
        pruned = pruned_errors(self.model_, ratings, execution, self._bounds(clip=clip))
        return {"rmse": totals.rmse, "mae": totals.mae, **known, **pruned}

    def _error_totals(self, ratings: Triples, *, clip: bool) -> ErrorTotals:
        with self._on_device():
            return error_totals(self._predictor, ratings, self._bounds(clip=clip))

    def _bounds(self, *, clip: bool) -> tuple[float, float] | None:
        return (self.model_.low, self.model_.high) if clip else None

    def score(
        self,
        ratings: Any,
        y: Any = None,
        *,
        user: str = "user",
        item: str = "item",
        rating: str = "rating",
        clip: bool = False,
    ) -> float:
        """Return the negative RMSE of predicting ratings: higher is better.

        Of a model of interactions, return the NDCG of lists of 10. Unlike ``evaluate``, it says
        nothing of ratings that were trained on.
        """
        found = self._read(ratings, y, user=user, item=item, rating=rating)
        if self.model_.settings.of_interactions:
            with self._on_device():
                lists = evaluate_lists(
                    self.model_, self._ranking, self._predictor, found, None, ListTest(LENGTH)
                )
            return lists["ndcg"]
        return -self._error_totals(by_row(self.model_, found), clip=clip).rmse

    def save(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        """Write the model, with ids and settings, to a safetensors file, never pickle.

        A missing folder is made. An open binary file will also do, such as one of fsspec.

        Raises
        ------
        DataError
            If ids are Python objects that no file can hold; ``fit`` strings or integers.
        SaveError
            If the file cannot be written; an older file is then unchanged.
        PathError
            If the path is a URL.
        """
        save_model(self.model_, path)

    def export(
        self, folder: str | os.PathLike[str], dtype: Literal["float32", "float16"] = "float32"
    ) -> None:
        """Write dense factors and ids for a vector-search engine (``mf.export``)."""
        export_dense(self.model_, folder, dtype)
