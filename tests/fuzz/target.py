"""What is fuzzed: a reader, valid inputs to start from, and a damage that knows their format."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random

from tests.fuzz.mutation import Mutation, damage

RAW, DAMAGED = 0.05, 0.35
"""Shares of the inputs that are random bytes, and that are seeds with bytes damaged; the rest are
seeds altered with knowledge of their format, a fifth of which have bytes damaged, too."""


@dataclass(frozen=True)
class Target:
    """A reader under test.

    Attributes
    ----------
    name
        What the command calls it.
    make_seeds
        Returns valid inputs.
    alter
        The damage that knows the format.
    read
        Reads the file of an input, whose name is ``file``; may use its folder.
    known
        What the last words of a process say where the crash is known, not ours, and documented.
    """

    name: str
    make_seeds: Callable[[], Sequence[bytes]]
    alter: Mutation
    read: Callable[[Path], object]
    file: str = "input"
    known: str | None = None

    @cached_property
    def seeds(self) -> Sequence[bytes]:
        return self.make_seeds()

    def input(self, seed: int, number: int) -> bytes:
        """Return an input: the same for the same seed and number, on every machine."""
        rng = Random(f"{self.name} {seed} {number}")
        kind = rng.random()
        if kind < RAW:
            return rng.randbytes(rng.choice((0, 1, 8, 64, 1000)))
        data = rng.choice(self.seeds)
        if kind < DAMAGED:
            return damage(rng, data)
        data = self.alter(rng, data)
        return damage(rng, data) if rng.random() < 0.2 else data
