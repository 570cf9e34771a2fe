"""The one way to time: all variants in turn, round after round, in one process.

The speed of a shared machine drifts; in turn, it drifts for all alike. Figures are medians over the
rounds, comparisons are ratios of medians.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
from tqdm import tqdm

T = TypeVar("T")


@dataclass(frozen=True)
class Variant:
    """Something to time."""

    name: str
    begin: Callable[[], Any]
    """Makes what the first step gets, and may donate."""
    step: Callable[[Any], Any]
    """Takes a state to the next one."""
    lineage: Hashable = None
    """Variants of one lineage hand one state on, to save memory; None: a state of its own."""


class Timings(NamedTuple):
    """What variants took."""

    seconds: dict[str, list[float]]
    """Name -> seconds of a step, one value a round."""

    def median(self, name: str) -> float:
        """Return the median seconds of a step."""
        return statistics.median(self.seconds[name])

    def ratio(self, name: str, reference: str) -> float:
        """Return a variant's median relative to another's."""
        return self.median(name) / self.median(reference)


def timed(run: Callable[[], T]) -> tuple[float, T]:
    """Run once; return the seconds until the arrays of its result are there, and the result."""
    begin = time.perf_counter()
    result = jax.block_until_ready(run())
    return time.perf_counter() - begin, result


def in_turn(things: Iterable[T], rounds: int) -> Iterator[tuple[T, bool]]:
    """Yield all things once a round, each with whether it counts.

    One round goes before that does not count: in it, programs are compiled and caches filled.
    """
    things = list(things)
    for number in tqdm(range(rounds + 1), desc="rounds", disable=None):
        for thing in things:
            yield thing, number > 0


def time_rounds(variants: Sequence[Variant], rounds: int, in_a_row: int = 1) -> Timings:
    """Time a step of each variant in turn.

    Short steps need several ``in_a_row``, timed as one: starting one takes the host a while.
    """
    states: dict[Hashable, Any] = {}
    seconds: dict[str, list[float]] = {variant.name: [] for variant in variants}

    def steps(variant: Variant, state: Any) -> Any:
        for _ in range(in_a_row):
            state = variant.step(state)
        return state

    for variant, counts in in_turn(variants, rounds):
        lineage = variant.name if variant.lineage is None else variant.lineage
        if lineage not in states:
            states[lineage] = variant.begin()
        took, states[lineage] = timed(partial(steps, variant, states.pop(lineage)))
        if counts:
            seconds[variant.name].append(took / in_a_row)
    return Timings(seconds)
