"""implicit's alternating least squares, for orientation: another algorithm for another question."""

from __future__ import annotations

from collections.abc import Callable

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
