"""A training whose ratings lie on disk, with the bits of one whose ratings lie in memory.

An epoch is a list of blocks (docs/determinism.md). Pieces of the list go to the kernel one after
the other, each with the ratings of its blocks, while those of the next piece are read.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.distributed.division import USERS, divide
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.padding import LEAST_RATINGS, padded_size
from mascot_jax.engine.ratings import Ratings, Strata
from mascot_jax.engine.scratch import Piece, ReadAhead
from mascot_jax.engine.state import TrainState
from mascot_jax.engine.turns import draw_list, no_sums, run_turns, total_sums
from mascot_jax.methods import methods_of
from mascot_jax.methods.method import Method
from mascot_jax.tables.table import Table
from mascot_jax.training.epoch import (
    EpochReport,
    Fixed,
    Scalars,
    operands_of,
    operands_of_visits,
    settle,
)
from mascot_jax.training.problem import Prepared
from mascot_jax.training.runner import Alone
from mascot_jax.training.signals import wait_for

LEAST_READ: Final = 1 << 22
"""Ratings of a piece, at least: 48 MiB. Two pieces are in memory."""
PIECES: Final = 32
"""Pieces of an epoch over many ratings: two rounds of blocks, so that all threads have work."""

Sums = tuple[jax.Array, jax.Array]
"""Of users and of items, by range and group (``turns.no_sums``)."""


class OnDisk(Alone):
    """Runs epochs on JAX's default device, a CPU, over ratings that are read piece by piece."""

    def __init__(self, prepared: Prepared, execution: Execution) -> None:
        super().__init__(prepared, execution)
        ratings = prepared.ratings
        assert ratings.scratch is not None
        assert ratings.strata is not None
        self._strata = ratings.strata
        groups = prepared.users.starts, prepared.items.starts
        self._division = division = divide(ratings, *groups, workers=1)
        most = min(max(LEAST_READ, len(ratings) // PIECES), len(ratings))
        places = padded_size(max(int(division.counts.max()), most), LEAST_RATINGS)
        self._ahead = ReadAhead(ratings.scratch, division.begin, places)
        self._numbers = jnp.asarray(division.begin[:-1], dtype=jnp.uint32)

    def epoch(self, state: TrainState) -> tuple[TrainState, EpochReport]:
        """Train for an epoch, and wait until it is done; the state is donated."""
        scalars, fixed = operands_of(self._prepared.plan, self._execution)
        methods = methods_of(self._prepared.plan)
        operands = _operands(state, scalars, methods)
        turns = self._turns(int(state.epoch))
        blocks = turns.astype(np.int64) @ np.array([len(self._division.sides[1]), 1])
        users, items = state.users, state.items
        user_parts, item_parts = (int(side.parts.sum()) for side in self._division.sides)
        sums = no_sums(user_parts, users.factors), no_sums(item_parts, items.factors)
        for piece in self._ahead.pieces(blocks):
            ratings, span = self._ratings_of(piece), np.array(piece.span, dtype=np.uint32)
            users, items, sums = _visit(
                users, items, sums, ratings, *operands, self._numbers, turns, span, fixed
            )
            wait_for((users, items))  # the next piece is read into memory of an earlier one
        state = state._replace(users=users, items=items)
        state, report = _settle(state, sums, self._strata, operands[0], scalars, methods, fixed)
        wait_for(state)
        return state, report

    def _turns(self, epoch: int) -> NDArray[np.uint32]:
        division = self._division
        users, items = (len(side) for side in division.sides)
        return draw_list(
            users,
            items,
            self._prepared.plan.seed,
            epoch,
            rotations=division.rotations,
            users_stay=division.stays == USERS,
        )

    def _ratings_of(self, piece: Piece) -> Ratings:
        ratings, (users, items, _) = self._prepared.ratings, piece.columns
        ratings.check_read(users[: piece.ratings], items[: piece.ratings])
        columns = jax.device_put(piece.columns)  # in the same memory
        strata = self._strata._replace(begin=jnp.asarray(piece.begin))
        return ratings.of_blocks(columns, strata, piece.ratings)


@jax.jit
def _operands(
    state: TrainState, scalars: Scalars, methods: dict[str, Method]
) -> tuple[jax.Array, jax.Array]:
    return operands_of_visits(state, scalars, methods)


@partial(jax.jit, static_argnames="fixed", donate_argnames=("users", "items", "sums"))
def _visit(
    users: Table,
    items: Table,
    sums: Sums,
    ratings: Ratings,
    rates: jax.Array,
    counters: jax.Array,
    numbers: jax.Array,
    turns: NDArray[np.uint32],
    span: NDArray[np.uint32],
    fixed: Fixed,
) -> tuple[Table, Table, Sums]:
    """Visit the blocks of a piece, updating tables and sums in place."""
    return run_turns(
        ratings, users, items, sums, rates, counters, numbers, jnp.asarray(turns),
        jnp.asarray(span), **fixed._asdict(),
    )  # fmt: skip


@partial(jax.jit, static_argnames="fixed", donate_argnames="state")
def _settle(
    state: TrainState,
    sums: Sums,
    strata: Strata,
    rates: jax.Array,
    scalars: Scalars,
    methods: dict[str, Method],
    fixed: Fixed,
) -> tuple[TrainState, EpochReport]:
    """Add up the sums of an epoch's visits, and let the methods do their part."""
    totals = (
        total_sums(state.users, strata.user_starts, rates, sums[0]),
        total_sums(state.items, strata.item_starts, rates, sums[1]),
    )
    return settle(state, None, (state.users, state.items, *totals), scalars, methods, fixed)
