"""Which settings of interactions are best? ``python -m studies.notes.interaction_settings --help``.

Test interactions play no part. Of the training part of each split, 80 to 20 at random as in
``studies.notes.interactions``, a tenth is held out; printed is the NDCG of lists of 10 on that, the
mean over the splits and the difference from the defaults with its 95 % interval. One setting varies
at a time.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import numpy as np

from benchmarks.harness.intervals import mean_interval
from mascot_jax import MatrixFactorization
from mascot_jax.engine import interactions as draws
from mascot_jax.model_selection import train_test_split
from mascot_jax.settings import strength
from mascot_jax.training import interactions as weights
from studies.notes.interactions import read_options

HELD_OUT: Final = 0.1


class Way(NamedTuple):
    """What differs from the defaults."""

    settings: Mapping[str, Any] = MappingProxyType({})
    reg: float = 1.0
    """Regularisation, in units of the default."""
    powers: tuple[float, float, float] | None = None
    """By which an interaction counts less for the number of its user's, and of its item's; and by
    which a user's draws go with it."""


def _settings(name: str, *values: float) -> dict[str, Way]:
    return {f"{name}={value:g}": Way({name: value}) for value in values}


WAYS: Final[Mapping[str, Way]] = {
    "default": Way(),
    **{f"reg x {reg}": Way(reg=reg) for reg in (0.7, 0.85, 1.2, 1.4)},
    **_settings("epochs", 10, 12, 20, 24),
    **_settings("learning_rate", 0.05, 0.065, 0.1, 0.12),
    **_settings("negatives", 6, 12),
    **_settings("negative_weight", 0.7, 1.4),
    **_settings("negative_power", 0.1),
    **{
        f"powers {user:g}, {item:g}, {draw:g}": Way(powers=(user, item, draw))
        for user, item, draw in (
            (0.25, 0.125, 0.25),
            (0.5, 0.125, 0.25),
            (0.375, 0, 0.25),
            (0.375, 0.25, 0.25),
            (0.375, 0.125, 0),
            (0.375, 0.125, 0.5),
        )
    },
}


def main() -> None:
    """Run the program."""
    options, ratings = read_options(__doc__, WAYS)
    parts = [_parts(ratings, seed) for seed in range(options.splits)]
    default: list[float] = []
    for name in dict.fromkeys(("default", *options.ways)):
        found = [_score(*part, WAYS[name], options.threads) for part in parts]
        default = default or found
        differences = mean_interval([a - b for a, b in zip(found, default, strict=True)])
        sys.stdout.write(f"{name:28}{statistics.fmean(found):8.4f}  {differences}\n")
        sys.stdout.flush()


def _parts(ratings: Any, seed: int) -> tuple[Any, Any]:
    """Return training interactions of a split, and those held out of them."""
    train, _ = train_test_split(ratings, seed=seed)
    kept, held_out = train_test_split(train, test_size=HELD_OUT, seed=seed)
    return kept.select("user", "item"), held_out.select("user", "item")


def _score(train: Any, held_out: Any, way: Way, threads: int) -> float:
    settings = dict(way.settings)
    if way.reg != 1:
        counts = (len(np.unique(train[side].to_numpy())) for side in ("user", "item"))
        uncertainty = strength.uncertainty_of(len(train), *counts)
        reg = way.reg * strength.strength_of_interactions(uncertainty, None).user_reg
        settings |= {"user_reg": reg, "item_reg": reg}
    with ExitStack() as stack:
        for part in _patches(way):
            stack.enter_context(part)
        model = MatrixFactorization(objective="interactions", threads=threads, **settings)
        return model.fit(train).score(held_out)


def _patches(way: Way) -> Iterator[Any]:
    """Yield what makes weights and draws go by other powers, which are no settings."""
    if way.powers is None:
        return
    of_user, of_item, of_draws = way.powers

    def share(counts: Any, side: str) -> Any:
        power = of_user if side == "users" else of_item
        return np.maximum(counts, 1).astype(np.float64) ** -power

    def user_draws(counts: Any, negatives: float) -> Any:
        by_power = counts.astype(np.float64) ** of_draws
        return negatives * counts.sum() * by_power / by_power.sum()

    def patched(module: Any, name: str, function: Callable[..., Any]) -> Any:
        return patch.object(module, name, function)

    yield patched(weights, "_share_of_each", share)
    yield patched(draws, "user_draws", user_draws)


if __name__ == "__main__":
    main()
