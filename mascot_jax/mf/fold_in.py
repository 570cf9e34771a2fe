"""Solve for new users' factors, given their ratings and the items' factors; or the reverse.

For ratings r of items with factors q, the new row p is the one that SGD descends to: the minimum of
``sum((r - q p)^2 + reg |p|^2)`` over the n ratings, where ``(sum(q q^T) + reg n I) p = sum(q r)``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.errors import DataError, SettingsError
from mascot_jax.ranking.top_n import check_indices

RATINGS_AT_A_TIME: Final = 1 << 16
"""Limits the memory of a row with many ratings: 64 MiB of float64 factors with k = 128."""
LEAST_RIDGE: Final = 1e-10
"""Least ridge, in parts of the sum of squares. Without regularisation, ratings that leave factors
undetermined then have a solution, the shortest one, to five digits; a smaller ridge would lose more
to float64's rounding."""


def fold_in(
    fixed: NDArray[np.float32],
    starts: NDArray[np.int64],
    others: NDArray[np.uint32],
    ratings: NDArray[np.float32],
    reg: float,
) -> NDArray[np.float32]:
    """Solve for the factors of new rows, one by one, in float64.

    This runs on the CPU, whatever JAX's default device: for a few rows, compiling would take longer
    than solving.

    Parameters
    ----------
    fixed
        float32 ``(rows, k)``: factors of the other side.
    starts
        int64 ``(b + 1,)``: new row i has the ratings ``starts[i]`` to ``starts[i + 1] - 1``.
    others
        uint32 ``(starts[b],)``: row of ``fixed`` that each rating is of; a repeated row counts
        twice.
    ratings
        float32 ``(starts[b],)``: less what is predicted without factors (the mean and the biases,
        if the model has these).
    reg
        Regularisation per rating, as in training; at least 0.

    Returns
    -------
    NDArray
        float32 ``(b, k)``; zeros for a row without ratings.

    Raises
    ------
    SettingsError
        If ``reg`` is negative or not finite.
    DataError
        If array lengths do not match, or a number is not finite.
    IndexError
        If a row of ``fixed`` does not exist.
    """
    _check(fixed, starts, others, ratings, reg)
    solved = np.zeros((len(starts) - 1, fixed.shape[1]), dtype=np.float32)
    for row, (start, stop) in enumerate(pairwise(starts.tolist())):
        solve = _solve_by_ratings if stop - start < fixed.shape[1] else _solve_by_factors
        if start < stop:
            solved[row] = solve(fixed, others[start:stop], ratings[start:stop], reg)
    return solved


def _solve_by_factors(
    fixed: NDArray[np.float32],
    others: NDArray[np.uint32],
    ratings: NDArray[np.float32],
    reg: float,
) -> NDArray[np.floating]:
    """Solve the k equations of one row with n ratings."""
    factors = fixed.shape[1]
    squares = np.zeros((factors, factors))
    products = np.zeros(factors)
    for part in parts(len(others), RATINGS_AT_A_TIME):
        rated = fixed[others[part]].astype(np.float64)
        squares += rated.T @ rated
        products += rated.T @ ratings[part].astype(np.float64)
    solved: NDArray[np.floating] = np.linalg.solve(with_ridge(squares, reg * len(others)), products)
    return solved


def _solve_by_ratings(
    fixed: NDArray[np.float32],
    others: NDArray[np.uint32],
    ratings: NDArray[np.float32],
    reg: float,
) -> NDArray[np.floating]:
    """Solve the same problem by n equations: ``p = Q^T a`` where ``(Q Q^T + reg n I) a = r``."""
    rated = fixed[others].astype(np.float64)
    weights = np.linalg.solve(with_ridge(rated @ rated.T, reg * len(others)), ratings)
    solution: NDArray[np.floating] = rated.T @ weights
    return solution


def with_ridge(squares: NDArray[np.float64], ridge: float) -> NDArray[np.float64]:
    """Add a ridge to the diagonal of a symmetric matrix, in place, to make it invertible."""
    least = LEAST_RIDGE * float(squares.trace()) or 1.0  # for zeros only, any will do
    np.fill_diagonal(squares, squares.diagonal() + max(ridge, least))
    return squares


def _check(
    fixed: NDArray[np.float32],
    starts: NDArray[np.int64],
    others: NDArray[np.uint32],
    ratings: NDArray[np.float32],
    reg: float,
) -> None:
    if not 0 <= reg < np.inf:
        raise SettingsError(f"reg is {reg}; it must be at least 0, and finite")
    if not starts[-1] == len(others) == len(ratings):
        raise DataError(
            f"{starts[-1]} ratings by starts, {len(others)} others, {len(ratings)} ratings; give "
            "as many of each"
        )
    for name, array in (("fixed", fixed), ("ratings", ratings)):
        if not np.isfinite(array).all():
            raise DataError(f"{name}: not all numbers are finite")
    check_indices("others", others, len(fixed))
