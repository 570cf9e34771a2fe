"""A training shared by several workers; on CPUs it has the bits of one.

Parts of it are in ``mascot_jax.distributed``.
"""

from __future__ import annotations

import logging
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.distributed.division import Division, divide
from mascot_jax.distributed.epoch import Course, Share, Sizes
from mascot_jax.distributed.steps import Steps, steps_of, traffic_of
from mascot_jax.distributed.tables import gathered, spread
from mascot_jax.distributed.workers import Workers, others_alive
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.padding import LEAST_RATINGS, pad, pad_starts, padded_size
from mascot_jax.engine.state import TrainState
from mascot_jax.engine.turns import parcel_bytes
from mascot_jax.methods import methods_of
from mascot_jax.tables.table import Table
from mascot_jax.training.checkpoint import Checkpoints
from mascot_jax.training.epoch import EpochReport, operands_of
from mascot_jax.training.problem import Prepared
from mascot_jax.training.records import Progress
from mascot_jax.training.scoring import Chunk, HeldOut, Sums
from mascot_jax.training.shareable import refuse_among
from mascot_jax.training.shared_progress import SharedProgress
from mascot_jax.training.shared_steps import ScoredPairs, shared_epoch, shared_sums
from mascot_jax.training.signals import wait_for

_log = logging.getLogger(__name__)
LEAST_BYTES: Final = 4096
"""Least room for what a worker sends another."""
MOST_BYTES: Final = 1 << 18
"""Most bytes of a chunk: larger ones hold more that need not be sent, smaller ones take longer."""
LEAST_CHUNKS: Final = 16
"""In all of the room."""
MOST_STEPS: Final = 0.5
"""Step size times ratings of the most-rated row that are under way on a GPU: 0.64 did no harm on
MovieLens 1M, 0.85 did (docs/cuda.md)."""


class Traffic(NamedTuple):
    """Bytes of rows and their sums in an epoch."""

    table: int
    """All rows that travel, once."""
    moved: int
    """What has to go from one worker to another, of all workers together."""
    sent: int
    """What is sent for it, in whole chunks."""


class SharedTraining:
    """A ``runner.Runner`` of several workers; every process makes the same calls.

    A state of it has tables of ``distributed.tables``.

    Parameters
    ----------
    prepared
        Result of ``problem.prepare`` on a CPU, the same in all processes. Its laid-out ratings are
        freed: each worker keeps a copy of its share.
    execution, workers
        Execution options of each worker, and the workers.

    Raises
    ------
    SettingsError
        If the plan cannot be shared, or not by so many workers.
    """

    def __init__(self, prepared: Prepared, execution: Execution, workers: Workers) -> None:
        refuse_among(prepared.plan, races=workers.races)
        self._plan, self._execution, self._workers = prepared.plan, execution, workers
        self._groups = prepared.users.starts, prepared.items.starts
        self._division = division = divide(prepared.ratings, *self._groups, len(workers))
        self._ratings = workers.each(lambda w: division.ratings_of(w, prepared.ratings))
        prepared.ratings.free()
        self._share = workers.each(lambda w: _share(division, w))
        self._constant = workers.same(
            (
                division.begin[:-1].astype(np.uint32),
                tuple(side.starts.astype(np.uint32) for side in division.sides),
                tuple(np.asarray(pad_starts(starts)) for starts in self._groups),
            )
        )
        self._most_in_flight = most_in_flight(prepared, len(workers)) if workers.races else None
        self._room = 0
        self.traffic = Traffic(0, 0, 0)
        """Of the last epoch."""
        self._scored: dict[tuple[HeldOut, int], tuple[Chunk, ScoredPairs]] = {}

    def any(self, stop: bool) -> bool:
        """Return whether any process is to stop, in all of them."""
        return bool(self._workers.largest(int(stop)))

    def begin(self, state: TrainState) -> TrainState:
        """Return a state, the same in all processes, as the workers hold it; it is donated."""
        division, workers = self._division, self._workers
        users, items = (
            spread(table, side, division, workers, self._plan.storages)
            for side, table in enumerate((state.users, state.items))
        )
        held = TrainState(users, items, *workers.same((state.epoch, state.seed, state.methods)))
        for array in (*state.users.stored.values(), *state.items.stored.values()):
            array.delete()
        return held

    def whole(self, state: TrainState) -> TrainState:
        """Return a state of the workers on JAX's default device, in all processes."""
        division, workers, groups = self._division, self._workers, self._groups
        users, items = (
            gathered(table, side, groups[side], division, workers, self._plan.storages)
            for side, table in enumerate((state.users, state.items))
        )
        rest = jax.device_get((state.epoch, state.seed, state.methods))
        return TrainState(users, items, *jax.tree.map(jnp.asarray, rest))

    def save(self, progress: Progress, checkpoints: Checkpoints) -> None:
        """Write a checkpoint: each process the rows that its workers keep, the first one the rest.

        The whole model is in no process's memory for it.
        """
        held = SharedProgress(progress, self._groups, self._division, self._workers)
        epochs = int(progress.state.epoch)
        checkpoints.save_parts(epochs, held.side, held.part, held.rest)

    def epoch(self, state: TrainState) -> tuple[TrainState, EpochReport]:
        """Train for an epoch, and wait until it is done; the state is donated."""
        steps = steps_of(self._division, self._plan.seed, int(state.epoch))
        scalars, fixed = operands_of(self._plan, self._execution)
        travelling = (state.users, state.items)[self._division.travels]
        course, sizes = self._course(steps, travelling)
        with others_alive():
            new, report = shared_epoch(
                state,
                self._ratings,
                self._share,
                course,
                scalars,
                methods_of(self._plan),
                fixed,
                sizes,
                self._workers.mesh,
            )
            wait_for(new)
        _log.debug(
            "workers have sent %d bytes, for %d of rows that move, of a table of %d",
            self.traffic.sent,
            self.traffic.moved,
            self.traffic.table,
        )
        return new, report

    def rmse(self, held_out: HeldOut | None, state: TrainState) -> float | None:
        """Return the RMSE on held-out ratings, the same as ``HeldOut.score`` finds alone."""
        if held_out is None:
            return None

        def sums(number: int, chunk: Chunk, bounds: NDArray[np.float32]) -> Sums:
            key = held_out, number
            if key not in self._scored:
                self._scored[key] = self._workers.same(chunk), self._pairs(chunk)
            chunk, pairs = self._scored[key]
            tables, mesh = (state.users, state.items), self._workers.mesh
            found: Sums = shared_sums(pairs, chunk, *tables, bounds, self._execution, mesh)
            return found

        with others_alive():
            return held_out.total(sums).rmse

    def _course(self, steps: Steps, table: Table) -> tuple[Course, Sizes]:
        """Return an epoch's operands, and what it is compiled for: the room only ever grows."""
        division = self._division
        side = division.sides[division.travels]
        codes = np.asarray(table.codes)[: side.rows.shape[1]]
        races = self._most_in_flight is not None
        with_sums = np.zeros_like(side.parts) if races else side.parts
        bytes_of_range = parcel_bytes(codes, side.rows, with_sums, table)
        sent = traffic_of(steps, bytes_of_range, division.workers)
        needed = int(sent.max(initial=0))
        if needed > self._room:
            self._room = padded_size(needed + needed // 8, LEAST_BYTES)
        chunk = self._room if races else _chunk_of(self._room)  # on GPUs a chunk costs a wait
        chunks = -(-sent.max(axis=1) // chunk)
        self.traffic = Traffic(
            int(bytes_of_range.sum()), int(sent.sum()), int(chunks.sum()) * chunk * division.workers
        )
        operands = (*steps[:3], np.int32(steps.used), chunks.astype(np.int32))
        users, items = (int(side.parts.sum()) for side in division.sides)
        parts = users, items
        sizes = Sizes(
            division.workers, division.stays, parts, chunk, self._room, self._most_in_flight
        )
        return Course(*self._workers.same(operands), *self._constant), sizes

    def _pairs(self, chunk: Chunk) -> ScoredPairs:
        """Return each worker's pairs of a chunk: those whose row it keeps."""
        division = self._division
        columns = [np.asarray(c)[: chunk.used] for c in (chunk.user_rows, chunk.item_rows)]
        keeper = division.keeper[columns[division.stays]]
        columns[division.stays] = division.place[columns[division.stays]]
        most = int(np.bincount(keeper, minlength=division.workers).max())
        size = padded_size(most, LEAST_RATINGS)

        def pairs(worker: int) -> ScoredPairs:
            mine = np.flatnonzero(keeper == worker)
            places = np.pad(mine, (0, size - len(mine)), constant_values=len(chunk.cold))
            users, items = (jnp.asarray(pad(column[mine], size)) for column in columns)
            return ScoredPairs(users, items, jnp.asarray(places, dtype=jnp.uint32))

        made: ScoredPairs = self._workers.each(pairs)
        return made


def most_in_flight(prepared: Prepared, workers: int) -> int:
    """Return how many ratings may be under way at a time on each of so many GPUs.

    A row is at one of them at a time, and so are all its ratings. What is under way does not see
    each other: too much of a row together overshoots, the more the larger the step (docs/cuda.md).
    """
    sides = prepared.users, prepared.items
    share = max(float(side.visits.max() / side.visits.sum()) for side in sides)
    return max(1, int(MOST_STEPS / (prepared.plan.learning_rate * share * workers)))


def _chunk_of(room: int) -> int:
    """Return the bytes of a chunk, of which ``padded_size`` gives multiples."""
    return min(max(room // LEAST_CHUNKS, 1), MOST_BYTES)


def _share(division: Division, worker: int) -> Share:
    most = max(len(division.parts_kept(w)) for w in range(division.workers))
    none = int(division.sides[division.stays].parts.sum())
    kept = division.parts_kept(worker)
    parts = np.pad(kept, (0, most - len(kept)), constant_values=none)
    return Share(jnp.uint32(worker), jnp.asarray(parts, dtype=jnp.uint32))
