"""The input of a training: ratings by row, groups of rows, and ratings to score."""

from __future__ import annotations

import dataclasses
from typing import Final, NamedTuple

import numpy as np

from mascot_jax.base.arrays import count_each, mean_of, where
from mascot_jax.base.biases import DEFAULT_DAMPING, Biases, Damping, choose_damping, fit_biases
from mascot_jax.base.biases import SWEEPS as ALL_SWEEPS
from mascot_jax.base.metrics import Baselines
from mascot_jax.base.units import IN_OWN_UNITS, Spread, Units, around, measure_spread
from mascot_jax.engine.interactions import RowPairs
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.layout import lay_out
from mascot_jax.engine.prediction import ColdRule
from mascot_jax.engine.ratings import Ratings, Triples, relabelled_ratings
from mascot_jax.engine.scratch import Scratch
from mascot_jax.errors import DataError
from mascot_jax.settings import TrainPlan, TrainSettings
from mascot_jax.settings.strength import (
    LIFT_WITHOUT_BIASES,
    Strength,
    strength,
    strength_of_interactions,
    uncertainty_of,
)
from mascot_jax.settings.train import FEW_RATINGS
from mascot_jax.settings.validation import LARGEST_FLOAT32
from mascot_jax.tables.groups import Grouping
from mascot_jax.training.initial import Heads
from mascot_jax.training.interactions import weighted
from mascot_jax.training.lists import HeldOutLists
from mascot_jax.training.scoring import HeldOut, score_baselines
from mascot_jax.training.signal import noise_of

ENOUGH_FOR_DAMPING: Final = 1 << 17
"""Ratings; with up to twice as many the damping of biases is chosen, which hardly changes then."""
SWEEPS: Final = 4
"""Of the biases of normalised ratings."""


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
    decided: Strength | None = None
    """Result of ``strength``, kept; None: to be found."""
    met_before: RowPairs | None = None
    """Of interactions: rows of other pairs that an earlier training knew. They are no negatives,
    and in no list that is scored."""

    @property
    def few_ratings(self) -> bool:
        """Whether there are so few ratings per user and item that biases are worth fitting."""
        ratings = int(self.users.visits.sum())
        return ratings < FEW_RATINGS * (self.users.warm_rows + self.items.warm_rows)

    def strength(self, validation: float) -> Strength:
        """Return what the recipe ``tuned`` leaves to the ratings, without those held out."""
        if self.decided is not None:
            return self.decided
        first = _first_held_out(len(self.ratings), validation)
        users, items, values = self.ratings.host()
        return strength(
            self._uncertainty(validation),
            noise_of((users[:first], items[:first], values[:first])),
        )

    def _uncertainty(self, validation: float) -> float:
        first = _first_held_out(len(self.ratings), validation)
        return uncertainty_of(first, self.users.warm_rows, self.items.warm_rows)

    def judged(self, settings: TrainSettings) -> Problem:
        """Return the problem with what its ratings decide, if these settings leave it to them."""
        if not settings.left_to_ratings:
            return self
        if settings.of_interactions:
            uncertainty = self._uncertainty(settings.validation)
            return self._replace(decided=strength_of_interactions(uncertainty, settings.loss))
        return self._replace(decided=self.strength(settings.validation))

    def plan(self, settings: TrainSettings, platform: str) -> TrainPlan:
        """Return the settings with nothing left open, for a training of this problem."""
        return settings.plan(
            platform,
            few_ratings=self.few_ratings,
            decided=self.judged(settings).decided,
        )


def make_problem(
    train: Triples,
    users: Grouping,
    items: Grouping,
    *,
    test: Triples | None = None,
    low: float | None = None,
    high: float | None = None,
    scratch: Scratch | None = None,
    expendable: bool = False,
) -> Problem:
    """Replace indices by the rows of their groups.

    Parameters
    ----------
    train
        Indices and ratings. Indices are overwritten, so that large data need no second copy; do not
        write to any of the arrays afterwards.
    scratch
        File that these three are memory maps of. Preparing the problem overwrites them: it can be
        done once.
    expendable
        Whether the same goes for arrays in memory: then there is never a second copy of them all.
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
    ratings = dataclasses.replace(ratings, scratch=scratch, expendable=expendable)
    _, _, values = ratings.host()
    return Problem(
        ratings,
        users,
        items,
        float(values.min()) if low is None else low,
        float(values.max()) if high is None else high,
        None if test is None else (user_row_of[test[0]], item_row_of[test[1]], test[2]),
    )


class Ground(NamedTuple):
    """What is taken off ratings before factors learn the rest; None: found in the ratings.

    A training that continues an earlier one takes the earlier one's.
    """

    units: Units
    bias_share: float = 1.0
    lift: float = 0.0
    mean_rating: float | None = None
    biases: Biases | None = None
    """In the order of the rows; NaN for rows that the earlier training did not have."""
    damping: Damping | None = None
    confidence: float | None = None
    """Of interactions: as in ``Prepared``."""


IN_THEIR_UNITS: Final = Ground(IN_OWN_UNITS)
"""Of ratings that are trained as they are."""


class Prepared(NamedTuple):
    """A problem on the device, prepared for training by its plan."""

    plan: TrainPlan
    ratings: Ratings
    """Training ratings, laid out, in normal units, less what the rule adds to factors."""
    users: Grouping
    items: Grouping
    low: float
    high: float
    rule: ColdRule
    """What predictions add to the product of the rows, biases included, and the units."""
    validation: HeldOut | None
    """Ratings to score after each epoch; None if the plan holds none out."""
    test: HeldOut | None
    damping: Damping = DEFAULT_DAMPING
    """Of the biases."""
    spread: Spread | None = None
    """How the ratings lie; None if they are trained in their own units."""
    baseline: Biases | None = None
    """Damped biases to compare with, in normal units; None if the plan has none and nothing is held
    out."""
    baselines: Baselines | None = None
    """Errors on the ratings held out for validation without any factors."""
    confidence: float = 1.0
    """Of interactions: the mean value that weights are units of."""
    validation_lists: HeldOutLists | None = None
    """Of interactions: lists to score after each epoch, instead of ``validation``."""
    test_lists: HeldOutLists | None = None
    heads: Heads | None = None
    """Of interactions: what rows begin with."""
    ndcg_of_popularity: float | None = None
    """Of interactions: NDCG of the most popular items on those held out for validation."""


def prepare(
    problem: Problem,
    plan: TrainPlan,
    execution: Execution,
    ground: Ground | None = None,
    *,
    compared: bool = False,
) -> Prepared:
    """Hold out ratings for validation, fit biases to the others, and lay these out on the device.

    Of interactions, lay out negatives as well; they have no biases.

    Parameters
    ----------
    problem, plan, execution
        Input, settings and execution options of the training.
    ground
        That of an earlier training that this one continues.
    compared
        Whether to fit the ``baseline`` in any case.

    Raises
    ------
    DataError
        If there are too few ratings to leave some to train on and to validate on.
    """
    if plan.of_interactions:
        return _prepare_interactions(problem, plan, execution, ground)
    return _prepare_ratings(problem, plan, execution, ground, compared=compared)


def _prepare_ratings(
    problem: Problem,
    plan: TrainPlan,
    execution: Execution,
    ground: Ground | None,
    *,
    compared: bool,
) -> Prepared:
    ratings, users, items, low, high, test, *_ = problem
    held_out = None
    if plan.validation:
        ratings, held_out = _hold_out(ratings, plan.validation)
    spread = _spread(ratings, plan, ground)
    if ground is None:
        ground = IN_THEIR_UNITS
        if spread is not None:
            ground = _ground(plan, problem.strength(plan.validation), spread)
    mean = ground.mean_rating
    if mean is None:
        values = ratings.host()[2]
        cut = (lambda part: values[part]) if spread is None else (lambda p: spread.cut(values[p]))
        mean = mean_of(len(values), cut)
    if spread is not None:
        ratings = _normal(ratings, spread)
    rule = ColdRule(
        mean,
        users.warm_rows,
        items.warm_rows,
        units=ground.units,
        bias_share=ground.bias_share,
        lift=ground.lift,
    )
    damping, baseline = ground.damping or DEFAULT_DAMPING, None
    if plan.biases or compared or held_out is not None:
        if ground.damping is None and (plan.normalised or not plan.biases):
            damping = _damping(ratings, rule)
        baseline = _biases(ratings, rule, damping, ground.biases)
    if plan.biases:
        rule = rule._replace(biases=baseline)
    if plan.biases or rule.lift:
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
        damping,
        spread,
        baseline,
        None if held_out is None else score_baselines(held_out, rule, baseline),
    )


def _prepare_interactions(
    problem: Problem, plan: TrainPlan, execution: Execution, ground: Ground | None
) -> Prepared:
    """Do the same for interactions, whose scores have no units, mean or biases."""
    ratings, users, items, *_ = problem
    ratings = dataclasses.replace(ratings, expendable=False)  # they are read again, for lists
    held_out = None
    if plan.validation:
        ratings, held_out = _hold_out(ratings, plan.validation)
    known = ground and ground.confidence
    found = weighted(ratings, users, items, plan, execution, known, problem.met_before)
    trained = ratings.host()

    def lists(of: Triples | None, met: Triples) -> HeldOutLists | None:
        if of is None or not len(of[0]):
            return None
        if problem.met_before is not None:
            rows, others = problem.met_before
            nothing = np.zeros(len(rows), dtype=np.float32)
            met = np.append(met[0], rows), np.append(met[1], others), np.append(met[2], nothing)
        return HeldOutLists(of, met, ratings.user_count, items.warm_rows)

    validation = lists(held_out, trained)
    popular = count_each(trained[1], ratings.item_count)
    highest = 1.0 if plan.loss == "squared" else LARGEST_FLOAT32
    return Prepared(
        plan,
        found.ratings,
        users,
        items,
        min(0.0, 1.0 - highest),
        highest,
        ColdRule(0.0, users.warm_rows, items.warm_rows),
        None,
        None,
        confidence=found.mean,
        heads=found.heads,
        validation_lists=validation,
        test_lists=lists(problem.test, problem.ratings.host()),
        ndcg_of_popularity=None if validation is None else validation.score_popular(popular),
    )


def _spread(ratings: Ratings, plan: TrainPlan, ground: Ground | None) -> Spread | None:
    """Return how the ratings lie, in an earlier training's units if there are any."""
    values = ratings.host()[2]
    if ground is None:
        return measure_spread(values) if plan.normalised else None
    if ground.units.plain:
        return None
    return around(ground.units)


def _ground(plan: TrainPlan, decided: Strength, spread: Spread) -> Ground:
    lift = decided.lift if plan.biases else LIFT_WITHOUT_BIASES
    if spread.low == spread.high:
        lift = 0.0  # there is nothing to learn
    mean = spread.units.centre  # without the wild ratings
    return Ground(spread.units, decided.bias_share, lift, mean)


def _normal(ratings: Ratings, spread: Spread) -> Ratings:
    values = ratings.host()[2]
    return ratings.with_values(lambda part: spread.for_training(values[part]))


def _hold_out(ratings: Ratings, share: float) -> tuple[Ratings, Triples]:
    """Split off the last share of the ratings, a random sample as their order is random.

    Ratings whose user or item has no earlier rating stay, so that every warm row is trained.
    """
    users, items, values = ratings.host()
    first = _first_held_out(len(ratings), share)
    chosen = np.ones(len(ratings) - first, dtype=np.bool_)
    for rows, count in ((users, ratings.user_count), (items, ratings.item_count)):
        seen = count_each(rows[:first], count) > 0
        chosen &= seen[rows[first:]]
    if not chosen.any():
        raise DataError(
            f"train.validation: {share}: leaves no rating of {len(ratings)} to validate on whose "
            "user and item have others to train on: choose another share, or 0"
        )
    held_out = users[first:][chosen], items[first:][chosen], values[first:][chosen]
    return ratings.without(first, chosen), held_out


def _first_held_out(ratings: int, share: float) -> int:
    return ratings - round(ratings * share)


def _damping(ratings: Ratings, rule: ColdRule) -> Damping:
    users, items, values = ratings.host()
    every = max(1, len(values) // ENOUGH_FOR_DAMPING)
    if every > 1:  # all ratings of every so manieth user
        chosen = where(len(values), lambda part: users[part] % np.uint32(every) == 0)
        users, items, values = users[chosen], items[chosen], values[chosen]
    counts = ratings.user_count, ratings.item_count
    return choose_damping(users, items, values, *counts, mean=rule.mean)


def _biases(ratings: Ratings, rule: ColdRule, damping: Damping, known: Biases | None) -> Biases:
    counts = ratings.user_count, ratings.item_count
    fitted = fit_biases(
        *ratings.host(),
        *counts,
        mean=rule.mean,
        damping=damping,
        known=known,
        # The biases of ratings in their own units keep every bit.
        sweeps=ALL_SWEEPS if rule.units.plain else SWEEPS,
    )
    return Biases(*(bias.astype(np.float32) for bias in fitted))


def _remainder(ratings: Ratings, rule: ColdRule) -> Ratings:
    """Return normal ratings less what the rule predicts without factors."""
    users, items, values = ratings.host()
    return ratings.with_values(lambda part: values[part] - rule.offset(users[part], items[part]))
