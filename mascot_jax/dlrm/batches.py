"""The batches of an epoch, in a random order, several steps at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.clicks.data import ClickData
from mascot_jax.dlrm.tiers import Tiers
from mascot_jax.errors import DataError
from mascot_jax.settings.clicks import ClickSettings

IMPRESSIONS_AT_A_TIME: Final = 1 << 15
"""Impressions whose rows are numbered and handed over at a time: some megabytes."""


class HostBatches(NamedTuple):
    """Impressions of s steps, on the host: ``steps.Batches``."""

    rows: NDArray[np.uint32]
    dense: NDArray[np.float32]
    labels: NDArray[np.uint8]
    rates: NDArray[np.float32]
    counters: NDArray[np.uint32]


def steps_per_epoch(data: ClickData, settings: ClickSettings) -> int:
    """Return the number of whole batches.

    Raises
    ------
    DataError
        If there is none.
    """
    if len(data) < settings.batch_size:
        raise DataError(
            f"{len(data)} impressions to train on are fewer than a batch, "
            f"{settings.batch_size}: set batch_size to at most {max(len(data), 1)}"
        )
    return len(data) // settings.batch_size


def epoch_of(
    data: ClickData, tiers: Tiers, settings: ClickSettings, epoch: int
) -> Iterator[tuple[int, HostBatches]]:
    """Yield an epoch's batches, and the number within the epoch of the first of each.

    Where rows are rounded on looking up, no yield goes beyond the step at which the scales are
    computed anew.
    """
    steps = steps_per_epoch(data, settings)
    order = np.random.default_rng([settings.seed, 2, epoch]).permutation(len(data))
    size = settings.batch_size
    at_a_time = max(1, IMPRESSIONS_AT_A_TIME // size)
    begin = 0
    while begin < steps:
        end = min(begin + at_a_time, steps)
        if settings.table_bits:
            end = min(end, (begin // settings.scale_every + 1) * settings.scale_every)
        chosen = order[begin * size : end * size]
        numbers = epoch * steps + np.arange(begin, end)
        yield begin, _batches(data, tiers, settings, chosen, numbers, settings.epochs * steps)
        begin = end


def _batches(
    data: ClickData,
    tiers: Tiers,
    settings: ClickSettings,
    chosen: NDArray[np.integer[Any]],
    steps: NDArray[np.integer[Any]],
    all_steps: int,
) -> HostBatches:
    shape = len(steps), settings.batch_size
    left = 1 - steps / all_steps if settings.schedule == "linear" else np.ones(len(steps))
    rates = [settings.learning_rate, settings.mlp_learning_rate or settings.learning_rate]
    counters = np.stack([np.full(len(steps), settings.seed), steps], 1)
    return HostBatches(
        tiers.numbers(data.categories[chosen]).reshape(*shape, -1),
        data.dense[chosen].reshape(*shape, -1),
        data.labels[chosen].reshape(shape),
        np.outer(left, rates).astype(np.float32),
        counters.astype(np.uint32),
    )
