"""How strongly factors may add to biases, by how much the ratings say about a row.

The mean of n ratings is uncertain by 1 / sqrt(n) in units of their noise. A training's
*uncertainty* is the sum of this over an average user and an average item: 0.15 for MovieLens 1M,
0.25 for 100K, 1 for two ratings a row. Large singular values of pure noise are in proportion to it,
and so is the regularisation that keeps factors from learning noise. All else fades with it: the
less is known of a row, the more it is left to its damped biases (figures: docs/recipes.md).

Only + - * / and square roots: every machine gives the same bits.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

LEAST_UNCERTAINTY: Final = 0.12
"""Nothing changes further below: no data set of more ratings for each row was tried."""
_FULL_LIFT: Final = 0.14
"""Uncertainty from which on ``lift`` falls."""
REG: Final = 0.057
"""Regularisation of interactions in units of the uncertainty, and its limit: with more, factors
take many epochs to leave 0."""
MOST_REG: Final = 0.035
RATE: Final = 0.08
"""Step size of interactions, and its limit: in units of the uncertainty in between, so that factors
of rows with few visits leave the scores of popularity in time."""
MOST_RATE: Final = 0.12
RATE_OF_UNCERTAINTY: Final = 0.15
LIFT_WITHOUT_BIASES: Final = 3.2
"""Factors that are to do without biases learn best from ratings as far above 0 as stars are."""


class Strength(NamedTuple):
    """What the tuned recipe leaves to the ratings. Ratings have a spread of 1.1, as stars have."""

    learning_rate: float
    user_reg: float
    item_reg: float
    lift: float
    """What factors have to explain of every rating besides what biases leave: it gives them a
    direction in common, along which they correct the biases."""
    bias_share: float
    """Share of the fitted biases that is given; the rest is left to the factors."""


def strength(uncertainty: float, noise: float = 1.0) -> Strength:
    """Return the step size and so on.

    Parameters
    ----------
    uncertainty
        As above.
    noise
        How noisy the ratings are: 1 as usual (``training.signal``). Noise makes what they say as
        uncertain as fewer ratings would.
    """
    least = max(uncertainty, LEAST_UNCERTAINTY)
    h = max(uncertainty * noise, LEAST_UNCERTAINTY)
    user_reg = min(0.1 * max(noise, 1.0), 0.35 * least * noise)
    return Strength(
        learning_rate=min(0.03, 0.0055 + 0.086 * max(h, least)),
        user_reg=user_reg,
        item_reg=0.7 * user_reg,
        lift=min(1.0, (_FULL_LIFT / h) * (_FULL_LIFT / h) * (_FULL_LIFT / h)),
        bias_share=min(1.0, 0.53 + 1.25 * h),
    )


def strength_of_interactions(uncertainty: float, loss: str | None) -> Strength:
    """Return the same of interactions, which have negatives beside them (docs/interactions.md).

    ``loss`` is ``train.loss``; gradients of ``logistic`` are smaller.
    """
    reg = min(MOST_REG, REG * max(uncertainty, LEAST_UNCERTAINTY))
    rate = 0.2
    if loss != "logistic":
        rate = min(MOST_RATE, max(RATE, RATE_OF_UNCERTAINTY * uncertainty))
    return Strength(learning_rate=rate, user_reg=reg, item_reg=reg, lift=0.0, bias_share=1.0)


def uncertainty_of(ratings: int, users: int, items: int) -> float:
    """Return the uncertainty of ratings of so many users and items."""
    return math.sqrt(users / ratings) + math.sqrt(items / ratings)
