"""The input of a training: ratings by row, groups of rows, and ratings to score."""

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

Triples = tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.float32]]
"""Users, items and ratings, ``(n,)`` each."""


class Problem(NamedTuple):
    """Input of a training, on the host."""

    ratings: Ratings
    """Training ratings, in a random order."""
    users: Grouping
    """Groups, made from all of ``ratings``."""
    items: Grouping
    low: float
    """Lowest value of the rating range, ``high`` the highest."""
    high: float
    test: Triples | None = None
    """Rows and ratings to score after each epoch; they do not influence training."""

    @property
    def few_ratings(self) -> bool:
        """Whether there are so few ratings per user and item that biases are worth fitting."""
        ratings = int(self.users.visits.sum())
        return ratings < FEW_RATINGS * (self.users.warm_rows + self.items.warm_rows)


def make_problem(
    train: Triples,
    users: Grouping,
    items: Grouping,
    *,
    test: Triples | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Problem:
    """Replace indices by the rows of their groups.

    Parameters
    ----------
    train
        Indices and ratings. Indices are overwritten, so that large data need no second copy; do not
        write to any of the arrays afterwards.
    users, items
        Groups.
    test
        Indices and ratings to score.
    low, high
        Rating range; that of the training ratings if None.

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
    """A problem on the device, prepared for training by its plan."""

    plan: TrainPlan
    ratings: Ratings
    """Training ratings, laid out; if the plan has biases, less the mean and these."""
    users: Grouping
    items: Grouping
    low: float
    high: float
    rule: ColdRule
    """What predictions add to the product of the rows, biases included."""
    validation: HeldOut | None
    """Ratings to score after each epoch; None if the plan holds none out."""
    test: HeldOut | None


class Offsets(NamedTuple):
    """Mean and biases of an earlier training, for one that continues it."""

    mean_rating: float
    biases: Biases | None = None
    """In the order of the rows; NaN for rows that the earlier training did not have."""


def prepare(
    problem: Problem, plan: TrainPlan, execution: Execution, earlier: Offsets | None = None
) -> Prepared:
    """Hold out ratings for validation, fit biases to the others, and lay these out on the device.

    Parameters
    ----------
    problem, plan, execution
        Input, settings and execution options of the training.
    earlier
        Mean to use instead of these ratings', and biases to keep as they are.

    Raises
    ------
    DataError
        If there are too few ratings to leave some to train on and to validate on.
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


def _hold_out(ratings: Ratings, share: float) -> tuple[Ratings, Triples]:
    """Split off the last share of the ratings, a random sample as their order is random.

    Ratings whose user or item has no earlier rating stay, so that every warm row is trained.
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
