"""Timing single epochs of several variants in turn, so that a drifting clock is fair to all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
from tqdm import tqdm

from mascot_jax.engine.state import TrainState

Step = Callable[[TrainState], TrainState]


class Variant(NamedTuple):
    """An epoch to time."""

    name: str
    half_share: float
    """Share of the row visits that is float16."""
    state: TrainState
    step: Step


def time_rounds(
    variants: list[Variant], rounds: int, in_a_row: int
) -> dict[str, tuple[float, float]]:
    """Return of each variant its FP16 share and the median seconds of an epoch.

    One untimed round goes before.
    """
    states = {variant.name: variant.state for variant in variants}
    seconds: dict[str, list[float]] = {variant.name: [] for variant in variants}
    for number in tqdm(range(rounds + 1), desc="rounds", disable=None):
        for variant in variants:
            state = states[variant.name]
            begin = time.perf_counter()
            for _ in range(in_a_row):
                state = variant.step(state)
            states[variant.name] = jax.block_until_ready(state)
            if number:
                seconds[variant.name].append((time.perf_counter() - begin) / in_a_row)
    return {v.name: (v.half_share, statistics.median(seconds[v.name])) for v in variants}
