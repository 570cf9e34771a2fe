"""What a training is given: ratings by row, groups of the rows, and ratings to score."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.base.biases import Biases, fit_biases
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.layout import lay_out
from mascot_jax.engine.prediction import ColdRule
from mascot_jax.engine.ratings import Ratings, relabelled_ratings
from mascot_jax.errors import DataError
from mascot_jax.settings import TrainPlan
from mascot_jax.settings.train import FEW_RATINGS
from mascot_jax.tables.groups import Grouping
from mascot_jax.training.scoring import HeldOut

Columns = tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.float32]]
"""Users, items and ratings, ``(n,)`` each."""


class Problem(NamedTuple):
    """What a training is given, on the host."""

    ratings: Ratings
    """To train on, in a random order."""
    users: Grouping
    """Groups, made of all of these."""
    items: Grouping
    low: float
    """The range that ratings are given on."""
    high: float
    test: Columns | None = None
    """Rows and ratings to score after each epoch; they decide nothing."""

    @property
    def few_ratings(self) -> bool:
        """Whether there are few ratings for each user and item: then biases are worth fitting."""
        ratings = int(self.users.visits.sum())
        return ratings < FEW_RATINGS * (self.users.warm_rows + self.items.warm_rows)


def make_problem(
    train: Columns,
    users: Grouping,
    items: Grouping,
    *,
    test: Columns | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Problem:
    """Replace indices by the rows of their groups.

    Parameters
    ----------
    train
        Indices and ratings. Indices are overwritten, so that large data need no second copy; none
        of the arrays may be written to afterwards.
    users, items
        Groups.
    test
        Indices and ratings to score.
    low, high
        The range that ratings are given on; that of the training ratings if None.

    Raises
    ------
    DataError
        If there is no rating to train on, an index is out of range or a rating is not finite.
    """
    user_row_of, item_row_of = users.row_of, items.row_of
    ratings = relabelled_ratings(*train, user_row_of, item_row_of)
    _, _, values = ratings.host()
    return Problem(
        ratings,
        users,
        items,
        float(values.min()) if low is None else low,
        float(values.max()) if high is None else high,
        None if test is None else (user_row_of[test[0]], item_row_of[test[1]], test[2]),
    )


class Prepared(NamedTuple):
    """A problem on the device, ready for a training by its plan."""

    plan: TrainPlan
    ratings: Ratings
    """To train on: laid out and, where the plan has biases, less these."""
    users: Grouping
    items: Grouping
    low: float
    high: float
    rule: ColdRule
    """What a prediction is besides the product of its rows; biases are in it."""
    validation: HeldOut | None
    """To score after each epoch; None where the plan holds nothing out."""
    test: HeldOut | None


class Offsets(NamedTuple):
    """What an earlier training found besides factors, for one that goes on from there."""

    mean_rating: float
    biases: Biases | None = None
    """In the order of the rows; NaN for rows that the earlier one did not know."""


def prepare(
    problem: Problem, plan: TrainPlan, execution: Execution, earlier: Offsets | None = None
) -> Prepared:
    """Hold ratings out for validation, fit biases to the others, and put these on the device.

    Parameters
    ----------
    problem, plan, execution
        What there is to train on, how, and how to run.
    earlier
        A mean to use instead of these ratings', and biases that are to stay as they are.

    Raises
    ------
    DataError
        If so few ratings leave none to train on or to validate on.
    """
    ratings, users, items, low, high, test = problem
    held_out = None
    if plan.validation:
        ratings, held_out = _hold_out(ratings, plan.validation)
    if earlier is None:
        earlier = Offsets(float(ratings.host()[2].mean(dtype=np.float64)))
    rule = ColdRule(earlier.mean_rating, users.warm_rows, items.warm_rows)
    if plan.biases:
        rule = rule._replace(biases=_biases(ratings, earlier))
        ratings = _remainder(ratings, rule)
    return Prepared(
        plan,
        lay_out(ratings, plan, users.starts, items.starts, execution.threads),
        users,
        items,
        low,
        high,
        rule,
        None if held_out is None else HeldOut(*held_out, rule),
        None if test is None else HeldOut(*test, rule),
    )


def _hold_out(ratings: Ratings, share: float) -> tuple[Ratings, Columns]:
    """Take the last share of the ratings, a random sample as their order is random.

    But not those whose user or item has no rating before: every row that was warm stays trained.
    """
    users, items, _ = ratings.host()
    first = len(ratings) - round(len(ratings) * share)
    chosen = np.zeros(len(ratings), dtype=np.bool_)
    chosen[first:] = True
    for rows, count in ((users, ratings.user_count), (items, ratings.item_count)):
        seen = np.bincount(rows[:first], minlength=count) > 0
        chosen[first:] &= seen[rows[first:]]
    if not chosen.any():
        raise DataError(
            f"train.validation: {share}: leaves no rating of {len(ratings)} to validate on whose "
            "user and item have others to train on: choose another share, or 0"
        )
    return ratings.where(~chosen), ratings.where(chosen).host()


def _biases(ratings: Ratings, earlier: Offsets) -> Biases:
    counts = ratings.user_count, ratings.item_count
    mean, known = earlier
    fitted = fit_biases(*ratings.host(), *counts, mean=mean, known=known)
    return Biases(*(bias.astype(np.float32) for bias in fitted))


def _remainder(ratings: Ratings, rule: ColdRule) -> Ratings:
    """Return ratings less what the rule predicts without factors."""
    users, items, values = ratings.host()
    remainder = np.empty_like(values)
    for part in parts(len(values)):
        remainder[part] = values[part] - rule.offset(users[part], items[part])
    return dataclasses.replace(ratings, ratings=remainder)
