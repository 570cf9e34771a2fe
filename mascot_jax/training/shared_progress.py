"""Progress of a shared training as named arrays: a worker's part of it, and the rest."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.tensor_file import Tensors
from mascot_jax.distributed.division import Division
from mascot_jax.distributed.tables import rows_of
from mascot_jax.distributed.workers import Workers
from mascot_jax.engine.state import TrainState
from mascot_jax.tables.rows import Rows
from mascot_jax.training.checkpoint_parts import RANGES
from mascot_jax.training.progress_tensors import (
    SIDES,
    record_tensors,
    row_tensors,
    state_tensors,
    states,
)
from mascot_jax.training.records import Progress


class SharedProgress(NamedTuple):
    """Progress whose states the workers hold: each has rows of one side, all have the rest."""

    progress: Progress
    groups: tuple[NDArray[np.uint32], NDArray[np.uint32]]
    """First row of each group of users, and of items, then the number of rows."""
    division: Division
    workers: Workers

    @property
    def side(self) -> str:
        """The side of which each worker has rows: ``users`` or ``items``."""
        return SIDES[self.division.stays]

    def part(self, worker: int) -> Tensors:
        """Return which rows a worker of this process has, and these rows."""
        device = dict(self.workers.here)[worker]
        tensors: Tensors = {RANGES: self.division.ranges_of(worker)}
        for name, state in states(self.progress):
            rows = rows_of((state.users, state.items)[self.division.stays], device)
            tensors |= row_tensors(f"{name}.{self.side}", rows)
        return tensors

    def rest(self) -> Tensors:
        """Return everything but these rows; their groups belong to it."""
        tensors = record_tensors(self.progress.records)
        for name, state in states(self.progress):
            tensors |= state_tensors(name, state, self._sides(state))
        return tensors

    def _sides(self, state: TrainState) -> tuple[Rows, Rows]:
        stays, travels = self.division.stays, self.division.travels
        tables = state.users, state.items
        codes = np.array(tables[stays].codes)[: len(self.groups[stays]) - 1]
        _, device = self.workers.here[0]
        sides = {
            stays: Rows(tables[stays].factors, {}, self.groups[stays], codes),
            travels: rows_of(tables[travels], device),
        }
        return sides[0], sides[1]
