"""Quality of a model's lists of recommendations, by ratings that it was not trained on.

Beside each figure stands that of the simplest lists: the most-rated items that a user has not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.base.metrics import OF_POPULARITY
from mascot_jax.errors import DataError, SettingsError
from mascot_jax.ids.table import IdTable, index_ids
from mascot_jax.ids.values import as_column
from mascot_jax.mf.interactions import Interactions
from mascot_jax.mf.list_options import PLAIN, ListOptions
from mascot_jax.mf.model import Model
from mascot_jax.mf.predictor import Predictor
from mascot_jax.mf.recommend import USERS_AT_A_TIME, Ranking, joined, recommend
from mascot_jax.ranking.metrics import (
    RankingMetrics,
    SampledMetrics,
    ranking_metrics,
    sampled_metrics,
)
from mascot_jax.ranking.pairs import Pairs, make_pairs
from mascot_jax.ranking.rest import Rest
from mascot_jax.ranking.top_n import TopN, check_wanted

SCORES_AT_A_TIME: Final = 1 << 21
"""Limits the memory of sampled items and their scores."""

Scores = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[Any]]
"""Scores of pairs of indices of users and items, ``(n,)`` each, for comparison with each other."""
Compared = NDArray[np.int64]
"""``(2, r)``: numbers of sampled items above each relevant one, and level with it."""


class ListTest(NamedTuple):
    """How lists are tested."""

    n: int
    """Their length."""
    exclude_seen: bool = True
    """Leave out items that the user has rated in training, if the model has kept them."""
    options: ListOptions = PLAIN
    """Of the lists."""
    sampled: int | None = None
    """Also rank each held-out item among so many that the user has not rated, drawn at random."""
    seed: int = 0
    """Fixes the draw."""

    def check(self) -> None:
        """Raise a SettingsError if a number cannot be."""
        check_wanted(self.n)
        for name, value, least in (("sampled", self.sampled, 1), ("seed", self.seed, 0)):
            if value is None:
                continue
            whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
            if not whole or value < least:
                raise SettingsError(f"{name}: {value!r}: must be an integer, at least {least}")


class HeldOutItems(NamedTuple):
    """Held-out ratings by index, those of a user in a row."""

    users: NDArray[np.int64]
    """``(b,)``: index of each user; -1 for those that the model does not know."""
    rated: Pairs
    """Items that they have rated; those that the model does not know have indices after its own."""
    relevant: Pairs
    """Of these, items that should have been recommended."""
    item_count: int
    """Number of items, with those that the model does not know."""


def by_id(
    model: Model, users: NDArray[Any], items: NDArray[Any], relevant: NDArray[np.bool_]
) -> HeldOutItems:
    """Sort ids ``(r,)`` of held-out ratings, at least one, by user; ``relevant`` is ``(r,)``."""
    queries, query_of = index_ids(as_column(users, "user"))
    indices = model.users.id_table.encode(queries.values, "user")
    return _by_query(indices, query_of, *_item_indices(items, model.items.id_table), relevant)


def by_index(
    model: Model,
    users: NDArray[np.uint32],
    items: NDArray[np.uint32],
    relevant: NDArray[np.bool_],
) -> HeldOutItems:
    """Sort indices ``(r,)`` of held-out ratings by user, as ``by_id`` does."""
    queries, query_of = np.unique(users, return_inverse=True)
    return _by_query(queries.astype(np.int64), query_of, items, len(model.items), relevant)


def _by_query(
    users: NDArray[np.int64],
    query_of: NDArray[np.integer[Any]],
    items: NDArray[np.uint32],
    item_count: int,
    relevant: NDArray[np.bool_],
) -> HeldOutItems:
    rated = make_pairs(query_of, items, len(users))
    wanted = make_pairs(query_of[relevant], items[relevant], len(users))
    return HeldOutItems(users, rated, wanted, item_count)


def is_relevant(
    ratings: NDArray[np.float32], least: float | None, name: str = "relevant"
) -> NDArray[np.bool_]:
    """Return which ratings ``(n,)`` are ``least`` or more, bool ``(n,)``; None: all are.

    Raises
    ------
    DataError
        If none is; ``name`` is that of the parameter.
    """
    relevant = ratings >= (-np.inf if least is None else least)
    if not relevant.any():
        raise DataError(f"{name}: {least}: none of the ratings is so high")
    return relevant


def evaluate_lists(
    model: Model,
    ranking: Ranking,
    predictor: Predictor,
    ratings: Interactions,
    least: float | None,
    test: ListTest,
) -> dict[str, float]:
    """Return the metrics of lists by name; ratings of ``least`` or more are relevant.

    ``least`` None: all ratings are.

    Raises
    ------
    DataError
        If no rating is relevant.
    SettingsError
        If a number of the test cannot be.
    """
    test.check()
    relevant = is_relevant(ratings.values(), least)
    users, items = (column.read(slice(None)) for column in (ratings.users, ratings.items))
    return list_metrics(model, ranking, predictor, by_id(model, users, items, relevant), test)


def list_metrics(
    model: Model, ranking: Ranking, predictor: Predictor, held_out: HeldOutItems, test: ListTest
) -> dict[str, float]:
    """Recommend to every user of held-out ratings, on JAX's default device, and compare.

    Relevant items that the model does not know cannot be recommended, and count as missed. Each
    figure stands beside that of the most-rated items, by the name ``NAME_of_popularity``.

    Parameters
    ----------
    model, ranking, predictor
        Model to recommend from, the ranking of its items, and its predictions.
    held_out
        What users have rated.
    test
        How lists are made and tested.
    """
    seen = _seen(model, held_out) if test.exclude_seen else None
    lists = recommend(
        model,
        ranking,
        held_out.users,
        test.n,
        exclude_seen=seen is not None,
        options=test.options,
    )
    found = _metrics(lists, held_out, test.n, len(model.items))._asdict()
    popular = _most_rated(ranking, len(held_out.users), seen, test.n)
    of_popularity = _metrics(popular, held_out, test.n, len(model.items))._asdict()
    del of_popularity["queries"]
    if test.sampled is not None:
        mine, theirs = _sampled(model, ranking, predictor, held_out, test)
        found |= mine._asdict()
        of_popularity |= theirs._asdict()
    return found | {f"{name}{OF_POPULARITY}": value for name, value in of_popularity.items()}


def _metrics(lists: TopN, held_out: HeldOutItems, n: int, known: int) -> RankingMetrics:
    metrics = ranking_metrics(lists, held_out.relevant, n, held_out.item_count)
    # Coverage is of the items that the model knows: it cannot recommend others.
    return metrics._replace(coverage=metrics.coverage * held_out.item_count / known)


def _seen(model: Model, held_out: HeldOutItems) -> Callable[[slice], Pairs] | None:
    """Return what gives the seen items of a part of the users; None if the model has not any."""
    seen = model.seen
    return None if seen is None else lambda part: seen.rows(held_out.users[part])


def _most_rated(
    ranking: Ranking, users: int, seen: Callable[[slice], Pairs] | None, n: int
) -> TopN:
    """Return the n items with the most training ratings for each user, without what is seen."""
    found = []
    for part in parts(users, USERS_AT_A_TIME):
        size = part.stop - part.start
        nothing = Pairs(np.zeros(size + 1, np.int64), np.empty(0, np.uint32))
        first = Rest(ranking.by_ratings, nothing if seen is None else seen(part)).first(n)
        found.append(first._replace(queries=part.start + first.queries))
    return joined(found)


def _sampled(
    model: Model, ranking: Ranking, predictor: Predictor, held_out: HeldOutItems, test: ListTest
) -> tuple[SampledMetrics, SampledMetrics]:
    """Rank each relevant item among sampled ones: by the model, and by numbers of ratings.

    Samples are of items that could be recommended and that the user has rated neither in training,
    as far as the model has kept that, nor here. A relevant item that cannot be recommended is
    missed. Users that the model does not know get what most have rated.
    """
    places = _places(ranking)
    chosen = ranking.ranked(test.options)

    def predicted(users: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[Any]:
        known = model.users.rows_of(users) < model.users.warm_rows
        worth = ranking.worth(predictor.predict(users, items), items, test.options)
        return np.where(known, worth, -places[items].astype(np.float32))

    def popularity(_: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[Any]:
        return -places[items] if ranking.counts is None else ranking.counts[items]

    ways: tuple[Scores, Scores] = predicted, popularity
    compared: tuple[list[Compared], list[Compared]] = [], []
    for sample in _samples(model, chosen, held_out, test):
        can_be = np.isin(sample.items, chosen)
        for way, counts in zip(ways, compared, strict=True):
            counts.append(_compare(way, sample, can_be, test.n))
    found = (np.concatenate(counts, axis=1) for counts in compared)
    mine, theirs = (sampled_metrics(above, ties, test.n) for above, ties in found)
    return mine, theirs


class _Sample(NamedTuple):
    """Relevant items, and items drawn for each."""

    users: NDArray[np.int64]
    """``(r,)``: index of each relevant item's user."""
    items: NDArray[np.int64]
    """``(r,)``: index of the item."""
    others: NDArray[np.int64]
    """``(r, sampled)``: indices of items drawn."""
    there: NDArray[np.bool_]
    """``(r, sampled)``: whether there is one."""


def _compare(scores: Scores, sample: _Sample, can_be: NDArray[np.bool_], missed: int) -> Compared:
    """Count the items drawn whose score is above that of the relevant item, or equal.

    Where ``can_be`` ``(r,)`` is false, ``missed`` are above.
    """
    users, items, others, there = sample
    own = scores(users, np.where(can_be, items, 0))[:, None]
    each = scores(np.repeat(users, others.shape[1]), others.reshape(-1)).reshape(others.shape)
    above = ((each > own) & there).sum(axis=1)
    ties = ((each == own) & there).sum(axis=1)
    return np.stack([np.where(can_be, above, missed), np.where(can_be, ties, 0)])


def _samples(
    model: Model, chosen: NDArray[np.uint32], held_out: HeldOutItems, test: ListTest
) -> Iterator[_Sample]:
    """Draw some of the chosen items for each relevant one, in batches."""
    assert test.sampled is not None
    rng = np.random.default_rng(test.seed)
    queries = np.repeat(np.arange(len(held_out.users)), np.diff(held_out.relevant.starts))
    for part in parts(len(queries), max(SCORES_AT_A_TIME // test.sampled, 1)):
        rows, place = np.unique(queries[part], return_inverse=True)
        users = held_out.users[rows]
        rated = held_out.rated.rows(rows)
        if model.seen is not None:
            rated = _together(rated, model.seen.rows(users))
        others, there = Rest(chosen, rated).sample(place, test.sampled, rng)
        items = held_out.relevant.items[part].astype(np.int64)
        yield _Sample(users[place], items, others.astype(np.int64), there)


def _together(one: Pairs, other: Pairs) -> Pairs:
    """Return rows with the items of both."""
    count = len(one.starts) - 1
    queries = [np.repeat(np.arange(count), np.diff(pairs.starts)) for pairs in (one, other)]
    return make_pairs(np.concatenate(queries), np.concatenate([one.items, other.items]), count)


def _places(ranking: Ranking) -> NDArray[np.int64]:
    """Return the place of each item among the most rated, int64 ``(items,)``; later for others."""
    places = np.full(len(ranking.factors), len(ranking.by_ratings), dtype=np.int64)
    places[ranking.by_ratings] = np.arange(len(ranking.by_ratings))
    return places


def _item_indices(items: NDArray[Any], table: IdTable) -> tuple[NDArray[np.uint32], int]:
    """Return the index of each item, unknown ones after the table's, and the number of items."""
    indices = table.encode(items, "item")
    unknown = indices < 0
    others = 0
    if unknown.any():
        more, place = index_ids(as_column(items[unknown], "item"))
        indices[unknown] = len(table) + place.astype(np.int64)
        others = len(more)
    return indices.astype(np.uint32), len(table) + others
