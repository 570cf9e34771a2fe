"""Compare a model's predictions with ratings, and note which of these it was trained on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.metrics import ErrorTotals
from mascot_jax.mf.interactions import Interactions, as_ratings
from mascot_jax.mf.model import Model

Predict = Callable[[NDArray[Any], NDArray[Any]], NDArray[np.float32]]
"""From users and items ``(n,)`` to predictions ``(n,)``."""


class SeenRatingsWarning(UserWarning):
    """A model is evaluated on ratings that it was trained on."""


def error_totals(predict: Predict, ratings: Interactions) -> ErrorTotals:
    """Sum the errors of the predictions of ratings, in parts.

    Raises
    ------
    DataError
        If a rating is not a finite number.
    """
    totals = ErrorTotals(0.0, 0.0, 0)
    columns = (ratings.users, ratings.items, ratings.ratings)
    for (_, users), (_, items), (part, values) in zip(*(c.parts() for c in columns), strict=True):
        errors = predict(users, items).astype(np.float64)
        errors -= as_ratings(values, ratings.ratings.name, part.start)
        totals = ErrorTotals(
            totals.squared + float(np.square(errors).sum()),
            totals.absolute + float(np.abs(errors).sum()),
            totals.count + len(errors),
        )
    return totals


def count_seen(model: Model, ratings: Interactions) -> int | None:
    """Count the ratings whose user has rated the item in training; None if the model forgot."""
    if model.seen is None:
        return None
    seen = 0
    for (_, users), (_, items) in zip(ratings.users.parts(), ratings.items.parts(), strict=True):
        user = model.users.id_table.encode(users, "user")
        item = model.items.id_table.encode(items, "item")
        known = (user >= 0) & (item >= 0)
        seen += int(model.seen.have(user[known], item[known]).sum())
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
