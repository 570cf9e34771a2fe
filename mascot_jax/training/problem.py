"""From ratings as they came to what training takes: held out, less their biases, laid out."""

from __future__ import annotations

import dataclasses
from typing import Final, NamedTuple

import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.base.biases import Biases, fit_biases
from mascot_jax.engine.layout import lay_out
from mascot_jax.engine.prediction import ColdRule
from mascot_jax.engine.ratings import Ratings, make_ratings
from mascot_jax.errors import DataError
from mascot_jax.settings import TrainSettings
from mascot_jax.tables.groups import Grouping
from mascot_jax.training.scoring import HeldOut

FEW_RATINGS: Final = 20
"""For each user and item: with fewer, biases lower the test RMSE (docs/recipes.md)."""


class Prepared(NamedTuple):
    """What a training starts from, besides its initial state."""

    ratings: Ratings
    """To train on: laid out and, where the settings ask for biases, less these."""
    validation: HeldOut | None
    """To score after each epoch; None where the settings hold nothing out."""
    rule: ColdRule
    """What a prediction is besides the product of its rows; biases are in it."""


class Offsets(NamedTuple):
    """What an earlier training found besides factors, for one that goes on from there."""

    mean_rating: float
    biases: Biases | None = None
    """In the order of the rows; NaN for rows that the earlier one did not know."""


def decide_biases(settings: TrainSettings, users: Grouping, items: Grouping) -> TrainSettings:
    """Return settings that say whether to fit biases; the ratings decide where they did not."""
    if settings.biases is not None:
        return settings
    ratings, rows = int(users.visits.sum()), users.warm_rows + items.warm_rows
    return settings.model_copy(update={"biases": ratings < FEW_RATINGS * rows})


def prepare(
    ratings: Ratings,
    users: Grouping,
    items: Grouping,
    settings: TrainSettings,
    earlier: Offsets | None = None,
) -> Prepared:
    """Hold ratings out for validation, fit biases to the others, and lay these out.

    Parameters
    ----------
    ratings
        All training ratings as they came, in a random order.
    users, items
        Groups, made of all of them.
    settings
        How to train; ``decide_biases`` has decided.
    earlier
        A mean to use instead of these ratings', and biases that are to stay as they are.

    Raises
    ------
    DataError
        If so few ratings leave none to train on or to validate on.
    """
    held_out = None
    if settings.validation:
        ratings, held_out = _hold_out(ratings, settings.validation)
    if earlier is None:
        earlier = Offsets(float(np.asarray(ratings.ratings).mean(dtype=np.float64)))
    rule = ColdRule(earlier.mean_rating, users.warm_rows, items.warm_rows)
    if settings.biases:
        rule = rule._replace(biases=_biases(ratings, earlier))
        ratings = _remainder(ratings, rule)
    validation = None if held_out is None else HeldOut(*held_out, rule)
    laid_out = lay_out(ratings, settings, users.starts, items.starts)
    return Prepared(laid_out, validation, rule)


class _Columns(NamedTuple):
    users: NDArray[np.uint32]
    items: NDArray[np.uint32]
    ratings: NDArray[np.float32]

    def where(self, chosen: NDArray[np.bool_]) -> _Columns:
        return _Columns(self.users[chosen], self.items[chosen], self.ratings[chosen])


def _on_host(ratings: Ratings) -> _Columns:
    return _Columns(*(np.asarray(x) for x in (ratings.users, ratings.items, ratings.ratings)))


def _hold_out(ratings: Ratings, share: float) -> tuple[Ratings, _Columns]:
    """Take the last share of the ratings, a random sample as their order is random.

    But not those whose user or item has no rating before: every row that was warm stays trained.
    """
    columns = _on_host(ratings)
    first = len(ratings) - round(len(ratings) * share)
    chosen = np.zeros(len(ratings), dtype=np.bool_)
    chosen[first:] = True
    for ids, count in (
        (columns.users, ratings.user_count),
        (columns.items, ratings.item_count),
    ):
        seen = np.bincount(ids[:first], minlength=count) > 0
        chosen[first:] &= seen[ids[first:]]
    if not chosen.any():
        raise DataError(
            f"train.validation: {share}: leaves no rating of {len(ratings)} to validate on whose "
            "user and item have others to train on: choose another share, or 0"
        )
    kept = make_ratings(*columns.where(~chosen), ratings.user_count, ratings.item_count)
    return kept, columns.where(chosen)


def _biases(ratings: Ratings, earlier: Offsets) -> Biases:
    counts = ratings.user_count, ratings.item_count
    mean, known = earlier
    fitted = fit_biases(*_on_host(ratings), *counts, mean=mean, known=known)
    return Biases(*(bias.astype(np.float32) for bias in fitted))


def _remainder(ratings: Ratings, rule: ColdRule) -> Ratings:
    """Return ratings less what the rule predicts without factors."""
    users, items, values = _on_host(ratings)
    remainder = np.empty_like(values)
    for part in parts(len(values)):
        remainder[part] = values[part] - rule.offset(users[part], items[part])
    return dataclasses.replace(ratings, ratings=jnp.asarray(remainder))
