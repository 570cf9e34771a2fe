"""cornac's MF: SGD with biases, one rating after the other in each thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from benchmarks.harness.curve import Curve
from benchmarks.harness.timing import timed
from mascot_jax.engine.ratings import Triples
from mascot_jax.training.problem import Problem

PATIENCE = 5
"""Epochs without a lower test RMSE after which a peer has shown its best."""
MOST_EPOCHS = 300

CORNAC: Mapping[str, float] = MappingProxyType({"learning_rate": 0.005, "lambda_reg": 0.04})
"""Tuned as ours, on a tenth of the training ratings (docs/recipes.md); the rest are defaults."""


def cornac_epochs(problem: Problem, factors: int, threads: int) -> Callable[[int], None]:
    """Return what trains so many epochs from the beginning."""
    import cornac

    data = _cornac_data(problem)

    def train(epochs: int) -> None:
        cornac.models.MF(k=factors, max_iter=epochs, num_threads=threads, **CORNAC).fit(data)

    return train


def train_cornac(
    problem: Problem, factors: int, threads: int, settings: Mapping[str, float] = CORNAC
) -> Curve:
    """Train cornac's MF (SGD with biases) epoch by epoch until its RMSE rises.

    Its step size is the same in every epoch, so that an epoch goes on where the last one ended.
    """
    import cornac

    assert problem.test is not None
    data = _cornac_data(problem)
    parameters: dict[str, Any] = {}
    seconds: list[float] = []
    rmses: list[float] = []
    total = 0.0
    while len(rmses) < MOST_EPOCHS and len(rmses) - int(np.argmin([*rmses, 9.0])) < PATIENCE:
        model = cornac.models.MF(
            k=factors, max_iter=1, num_threads=threads, init_params=parameters, **settings
        )
        took, _ = timed(partial(model.fit, data))
        total += took
        parameters = {
            "U": model.u_factors,
            "V": model.i_factors,
            "Bu": model.u_biases,
            "Bi": model.i_biases,
        }
        seconds.append(total)
        rmses.append(_cornac_rmse(model, problem.test))
    return Curve(np.array(seconds), np.array(rmses))


def _cornac_data(problem: Problem) -> Any:
    from cornac.data import Dataset

    users, items, ratings = problem.ratings.host()
    columns = users.astype(np.int64), items.astype(np.int64), ratings.astype(np.float64)
    counts = problem.ratings.user_count, problem.ratings.item_count
    same = ({i: i for i in range(n)} for n in counts)
    return Dataset(*counts, *same, columns)


def _cornac_rmse(model: Any, test: Triples) -> float:
    users, items, ratings = test
    products = np.einsum("nk,nk->n", model.u_factors[users], model.i_factors[items])
    errors = model.global_mean + model.u_biases[users] + model.i_biases[items] + products - ratings
    return float(np.sqrt(np.mean(np.square(errors, dtype=np.float64))))
