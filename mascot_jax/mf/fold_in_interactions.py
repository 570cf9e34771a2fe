"""Solve for new rows of a model of interactions: the minimum that an epoch descends to on average.

A row meets others by interactions of weight c, and by negatives: the draws of an epoch, whose
expected number, times their weight, is z for each other row. With the loss l of the model,
``sum(c l(1, q p)) + sum(z l(0, q p)) + reg n |p|^2 / 2``, over n visits.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.engine.interactions import item_draws, make_up, user_draws
from mascot_jax.mf.fold_in import with_ridge
from mascot_jax.mf.model import Model
from mascot_jax.mf.recommend import SideName
from mascot_jax.training.interactions import balance

STEPS: Final = 30
"""Most steps of Newton's method; it needs about six."""
ENOUGH: Final = 1e-6
"""Change of the factors, in parts of their size, at which it ends."""


class Expected(NamedTuple):
    """Negatives that new rows meet in an epoch, on average."""

    of_row: NDArray[np.float64]
    """``(b,)``: draws of each new row, in units of the below."""
    of_other: NDArray[np.float64]
    """``(rows,)``: by other row; the product with the above is a number of draws."""
    weight: float
    """Of a negative."""


def expected_negatives(
    model: Model, side: SideName, starts: NDArray[np.int64], others: NDArray[np.uint32]
) -> Expected:
    """Return the negatives that new rows of a side meet; ``starts`` and ``others`` are as below.

    Of new users, as if they had been trained on; of new items, as those of training users, who draw
    a little less in a model that has not kept what they have met.
    """
    settings = model.settings
    assert settings.negatives is not None
    assert settings.negative_power is not None
    assert settings.negative_weight is not None
    users, items = model.users.rating_counts, model.items.rating_counts
    counts = np.diff(starts)
    most = max(int(items.max(initial=0)), 1)
    known = item_draws(items, settings.negative_power, most)
    total = max(float(known.sum()), 1e-30)
    known /= total
    if side == "users":
        draws = user_draws(counts, settings.negatives, users)
        draws *= make_up(_sums(known[others], starts), 1.0)
        return Expected(draws, known, settings.negative_weight)
    draws = user_draws(users, settings.negatives)
    if model.seen is not None:
        draws *= make_up(_sums(known[model.seen.items], model.seen.starts), 1.0)
    fresh = item_draws(counts, settings.negative_power, most) / total
    return Expected(fresh, draws, settings.negative_weight)


def _sums(values: NDArray[np.float64], starts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the sum of each stretch between two starts, ``(b,)``."""
    rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    return np.bincount(rows, weights=values, minlength=len(starts) - 1).astype(np.float64)


def balances(
    model: Model, side: SideName, counts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what interactions of new rows count, ``(b,)``, and of the other side's, ``(rows,)``.

    ``counts`` is int64 ``(b,)``: interactions of each new row.
    """
    other = "items" if side == "users" else "users"
    trained = {name: getattr(model, name).rating_counts for name in (side, other)}
    return balance(counts, side, trained[side]), balance(trained[other], other)


def fold_in_interactions(
    fixed: NDArray[np.float32],
    starts: NDArray[np.int64],
    others: NDArray[np.uint32],
    weights: NDArray[np.float32],
    expected: Expected,
    reg: float,
    loss: str,
) -> NDArray[np.float32]:
    """Solve for the factors of new rows, one by one, in float64.

    Parameters
    ----------
    fixed
        float32 ``(rows, k)``: factors of the other side.
    starts, others
        As for ``fold_in.fold_in``; no row is repeated.
    weights
        float32 ``(starts[b],)``: of the interactions.
    expected
        Negatives.
    reg
        Regularisation per visit, as in training.
    loss
        ``squared`` or ``logistic``.

    Returns
    -------
    NDArray
        float32 ``(b, k)``; zeros for a row without interactions.
    """
    factors = fixed.astype(np.float64)
    solved = np.zeros((len(starts) - 1, fixed.shape[1]), dtype=np.float32)
    squares = None
    if loss == "squared":
        squares = (factors.T * expected.of_other) @ factors
    for row, (start, stop) in enumerate(pairwise(starts.tolist())):
        if start == stop:
            continue
        met = _Met(others[start:stop], weights[start:stop].astype(np.float64))
        draws = expected.of_row[row] * expected.of_other
        visits = stop - start + float(draws.sum()) - float(draws[met.others].sum())
        if squares is not None:
            all_squares = expected.of_row[row] * expected.weight * squares
            solved[row] = _least_squares(
                factors, met, all_squares, expected.weight * draws, reg * visits
            )
        else:
            solved[row] = _logistic(factors, met, expected.weight * draws, reg * visits)
    return solved


class _Met(NamedTuple):
    others: NDArray[np.uint32]
    weights: NDArray[np.float64]


def _least_squares(
    factors: NDArray[np.float64],
    met: _Met,
    squares: NDArray[np.float64],
    negatives: NDArray[np.float64],
    ridge: float,
) -> NDArray[np.floating]:
    """Solve the k equations of one row; ``squares`` are those of negatives of all other rows."""
    own = factors[met.others]
    left = squares + (own.T * (met.weights - negatives[met.others])) @ own
    solution: NDArray[np.floating] = np.linalg.solve(with_ridge(left, ridge), own.T @ met.weights)
    return solution


def _logistic(
    factors: NDArray[np.float64], met: _Met, negatives: NDArray[np.float64], ridge: float
) -> NDArray[np.floating]:
    """Solve by Newton's method from 0, halving steps that do not descend."""
    negatives = negatives.copy()
    negatives[met.others] = 0
    targets = np.zeros(len(factors))
    targets[met.others] = met.weights
    weights = negatives + targets

    def value(row: NDArray[np.float64]) -> float:
        scores = factors @ row
        return float(weights @ np.logaddexp(0, scores) - targets @ scores + ridge / 2 * (row @ row))

    row = np.zeros(factors.shape[1])
    for _ in range(STEPS):
        likely = 0.5 * (1 + np.tanh(factors @ row / 2))
        slope = factors.T @ (weights * likely - targets) + ridge * row
        curve = (factors.T * (weights * likely * (1 - likely))) @ factors
        step = np.linalg.solve(with_ridge(curve, ridge), slope)
        before = value(row)
        while value(row - step) > before and float(step @ step) > 0:
            step = step / 2
        row = row - step
        if step @ step <= ENOUGH**2 * (row @ row):
            break
    return row
