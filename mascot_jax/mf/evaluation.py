"""Compare a model's predictions with ratings, and note which of these it was trained on."""

from __future__ import annotations

import numpy as np

from mascot_jax.base.arrays import parts
from mascot_jax.base.metrics import Baselines, ErrorTotals
from mascot_jax.engine.ratings import Triples
from mascot_jax.mf.interactions import Interactions
from mascot_jax.mf.model import Model
from mascot_jax.mf.predictor import Predictor
from mascot_jax.training.scoring import score_baselines


class SeenRatingsWarning(UserWarning):
    """A model is evaluated on ratings that it was trained on."""


def by_row(model: Model, ratings: Interactions) -> Triples:
    """Return the rows of users and of items in a model, and the ratings, ``(n,)`` each.

    An unknown id has the row after the last.

    Raises
    ------
    DataError
        If a rating is not a finite number, or ids are not of the model's kind.
    """
    users, items = (np.empty(ratings.ratings.size, dtype=np.uint32) for _ in range(2))
    for rows, side, column, name in (
        (users, model.users, ratings.users, "user"),
        (items, model.items, ratings.items, "item"),
    ):
        table = side.id_table
        for part, ids in column.parts():
            rows[part] = side.rows_of(table.encode(ids, name))
    return users, items, ratings.values()


def error_totals(
    predictor: Predictor, ratings: Triples, clip: tuple[float, float] | None = None
) -> ErrorTotals:
    """Sum the errors of predicting ratings, by row.

    ``clip`` is the lowest and the highest prediction; None: no limits.
    """
    totals = ErrorTotals(0.0, 0.0, 0)
    users, items, values = ratings
    for part in parts(len(values)):
        predicted = predictor.predict_rows(users[part], items[part])
        if clip is not None:
            predicted = predicted.clip(*clip)
        totals = totals.and_of(predicted, values[part])
    return totals


def baselines_of(model: Model, ratings: Triples) -> Baselines:
    """Return the errors of predicting ratings, by row, without the model's factors."""
    return score_baselines(ratings, model.cold_rule, model.biases_alone)


def count_seen(model: Model, ratings: Triples) -> int | None:
    """Count the ratings, by row, of items that the user has rated in training.

    None if the model has not kept that.
    """
    if model.seen is None:
        return None
    seen = 0
    users, items, values = ratings
    for part in parts(len(values)):
        known = (users[part] < len(model.users)) & (items[part] < len(model.items))
        user = model.users.order[users[part][known]].astype(np.int64)
        seen += int(model.seen.have(user, model.items.order[items[part][known]]).sum())
    return seen


def note_on_seen(
    seen: int | None,
    ratings: int,
    *,
    lists_leave_out: bool,
    split: str = "model_selection.train_test_split",
    include: str = "exclude_seen=False",
) -> str | None:
    """Return what to know about figures on ratings that the model has seen; None if it has not.

    Parameters
    ----------
    seen
        Result of ``count_seen``.
    ratings
        Number of ratings that the figures are of.
    lists_leave_out
        Whether there are lists, and they leave out what users have rated in training.
    split, include
        What holds ratings out, and what has lists with all items, in the reader's terms.
    """
    if not seen:
        return None
    note = (
        f"{seen} of {ratings} ratings are of pairs that the model was trained on: errors on these "
        f"are lower than on new ratings; hold ratings out before training ({split})"
    )
    if lists_leave_out:
        note += (
            "; lists leave these items out, so that precision, NDCG and the like count them as "
            f"missed: {include} lists them, too"
        )
    return note
