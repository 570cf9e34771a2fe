"""implicit's alternating least squares, for orientation: another algorithm for another question."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mascot_jax.training.problem import Problem


def implicit_epochs(problem: Problem, factors: int, threads: int) -> Callable[[int], None]:
    """Return what trains so many iterations from the beginning, each solving for both sides."""
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    users, items, ratings = problem.ratings.host()
    shape = problem.ratings.user_count, problem.ratings.item_count
    matrix = csr_matrix((ratings, (users.astype(np.int32), items.astype(np.int32))), shape=shape)

    def train(epochs: int) -> None:
        with threadpool_limits(1, "blas"):  # its own threads would compete with the solver's
            model = AlternatingLeastSquares(factors=factors, iterations=epochs, num_threads=threads)
            model.fit(matrix, show_progress=False)

    return train


def train_als(ratings: Any, threads: int, seed: int, **settings: Any) -> tuple[Any, Any]:
    """Return the factors of users and items by alternating least squares."""
    from implicit.cpu.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(num_threads=threads, random_state=seed, **settings)
        model.fit(_matrix(ratings), show_progress=False)
    return model.user_factors, model.item_factors


def train_bpr(ratings: Any, threads: int, seed: int, **settings: Any) -> tuple[Any, Any]:
    """Return the factors of users and items by Bayesian personalised ranking; biases are a part."""
    from implicit.cpu.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(num_threads=threads, random_state=seed, **settings)
    model.fit(_matrix(ratings), show_progress=False)
    return model.user_factors, model.item_factors


def _matrix(ratings: Any) -> Any:
    """Return a sparse matrix with 1 for each interaction."""
    from scipy.sparse import csr_matrix

    places = ratings.users.astype(np.int32), ratings.items.astype(np.int32)
    ones = np.ones(len(ratings.users), dtype=np.float32)
    return csr_matrix((ones, places), shape=(ratings.user_count, ratings.item_count))
