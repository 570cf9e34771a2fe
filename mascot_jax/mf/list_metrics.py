"""Quality of a model's lists of recommendations, by ratings that it was not trained on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mascot_jax.errors import DataError
from mascot_jax.ids.table import IdTable, index_ids
from mascot_jax.ids.values import as_column
from mascot_jax.mf.interactions import Interactions
from mascot_jax.mf.model import Model
from mascot_jax.mf.recommend import Ranking, recommend
from mascot_jax.ranking.metrics import RankingMetrics, ranking_metrics
from mascot_jax.ranking.pairs import Pairs


def evaluate_lists(
    model: Model,
    ranking: Ranking,
    ratings: Interactions,
    n: int,
    least: float | None,
    *,
    exclude_seen: bool,
) -> dict[str, float]:
    """Return the metrics of lists of n items by name; ratings of ``least`` or more are relevant.

    ``least`` None: all ratings are.

    Raises
    ------
    DataError
        If no rating is relevant.
    """
    relevant = ratings.values() >= (-np.inf if least is None else least)
    if not relevant.any():
        raise DataError(f"relevant: {least}: none of the ratings is so high")
    users, items = (column.read(slice(None)) for column in (ratings.users, ratings.items))
    found = list_metrics(model, ranking, users, items, relevant, n, exclude_seen=exclude_seen)
    return found._asdict()


def list_metrics(
    model: Model,
    ranking: Ranking,
    users: NDArray[Any],
    items: NDArray[Any],
    relevant: NDArray[np.bool_],
    n: int,
    *,
    exclude_seen: bool = True,
) -> RankingMetrics:
    """Recommend n items to every user of held-out ratings, on JAX's default device, and compare.

    Relevant items that the model does not know cannot be recommended, and count as missed.

    Parameters
    ----------
    model, ranking
        Model to recommend from, and the ranking of its items.
    users, items
        Ids ``(r,)`` of the held-out ratings, at least one.
    relevant
        bool ``(r,)``: whether the item should have been recommended.
    n
        Number of items per list.
    exclude_seen
        Leave out items that the user has rated in training, if the model has kept them.
    """
    queries, query_of = index_ids(as_column(users, "user"))
    table = model.items.id_table
    wanted, item_count = _item_indices(items, table)
    indices = model.users.id_table.encode(queries.values, "user")
    seen = exclude_seen and model.seen is not None
    metrics = ranking_metrics(
        recommend(model, ranking, indices, n, exclude_seen=seen),
        _in_rows(query_of[relevant], wanted[relevant], len(queries)),
        n,
        item_count,
    )
    # Coverage is of the items that the model knows: it cannot recommend others.
    return metrics._replace(coverage=metrics.coverage * item_count / len(table))


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


def _in_rows(queries: NDArray[np.uint32], items: NDArray[np.uint32], count: int) -> Pairs:
    order = np.argsort(queries, kind="stable")
    starts = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.bincount(queries, minlength=count), out=starts[1:])
    return Pairs(starts, items[order])
