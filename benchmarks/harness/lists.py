"""Models whose lists are compared: a way to train each, and what it is trained with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.peers.implicit import train_als, train_bpr
from mascot_jax import MatrixFactorization


class Interactions(NamedTuple):
    """Ratings to train on, by index, none twice."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    values: NDArray[np.float32]
    user_count: int
    item_count: int


class Factors(NamedTuple):
    """What a model ranks by: the inner product of rows, and an item's offset."""

    users: NDArray[np.float32]
    items: NDArray[np.float32]
    offset: NDArray[np.float32]


class Way(NamedTuple):
    """A way to train."""

    train: Callable[[Interactions, int, int], Factors]
    """Of interactions, threads and a seed."""
    settings: Mapping[str, Any] = MappingProxyType({})
    """What differs from the defaults."""
    package: str | None = None
    """Package that it needs, of the extra ``peers``."""


def _popularity(ratings: Interactions, *_: int) -> Factors:
    counts = np.bincount(ratings.items, minlength=ratings.item_count).astype(np.float32)
    sizes = ratings.user_count, ratings.item_count
    users, items = (np.zeros((size, 1), np.float32) for size in sizes)
    return Factors(users, items, counts)


def _ours(ratings: Interactions, threads: int, seed: int, **settings: Any) -> Factors:
    popularity = settings.pop("popularity", 0.0)
    model = MatrixFactorization(threads=threads, seed=seed, keep_seen=False, **settings)
    model.fit((ratings.users, ratings.items, ratings.values))
    users = np.zeros((ratings.user_count, model.user_factors_.shape[1]), np.float32)
    items = np.zeros((ratings.item_count, model.item_factors_.shape[1]), np.float32)
    users[model.user_ids_], items[model.item_ids_] = model.user_factors_, model.item_factors_
    offset = np.zeros(ratings.item_count, np.float32)
    if model.item_biases_ is not None:
        offset[model.item_ids_] = model.item_biases_
    counts = np.bincount(ratings.items, minlength=ratings.item_count)
    prior = popularity * np.log2(np.maximum(counts, 1))  # as recommend(popularity=...) has it
    return Factors(users, items, (offset + prior).astype(np.float32))


def _peer(
    train: Callable[..., tuple[Any, Any]],
    ratings: Interactions,
    threads: int,
    seed: int,
    **settings: Any,
) -> Factors:
    users, items = train(ratings, threads, seed, **settings)
    return Factors(users, items, np.zeros(ratings.item_count, np.float32))


def _way(train: Callable[..., Factors], package: str | None = None, **settings: Any) -> Way:
    return Way(partial(train, **settings), MappingProxyType(settings), package)


def als(**settings: Any) -> Way:
    """Return implicit's alternating least squares."""
    return _way(partial(_peer, train_als), "implicit", **settings)


def _bpr(**settings: Any) -> Way:
    return _way(partial(_peer, train_bpr), "implicit", **settings)


def interactions(**settings: Any) -> Way:
    """Return this library's training from interactions."""
    return _way(_ours, objective="interactions", confidence="equal", **settings)


TUNED_ALS: Final[Mapping[str, Any]] = MappingProxyType(
    {"factors": 128, "regularization": 60.0, "alpha": 4.0}
)
"""The best with 128 factors of 30 choices of factors, regularisation and weight, on split 0 of
MovieLens 1M (docs/ranking.md)."""
_STOCHASTIC: Final[Mapping[str, Any]] = {"method": "fp16", "rounding": "stochastic"}

WAYS: Final[Mapping[str, Way]] = MappingProxyType(
    {
        "popularity": Way(_popularity),
        "implicit BPR": _bpr(),
        "implicit ALS": als(),
        "implicit ALS, tuned": als(**TUNED_ALS),
        "ratings, the default": _way(_ours),
        "ratings, popularity=1": _way(_ours, popularity=1.0),
        "interactions, fp32": interactions(method="fp32"),
        "interactions, fp16 stochastic": interactions(**_STOCHASTIC),
        "interactions, mascot-int8": interactions(method="mascot-int8"),
    }
)
