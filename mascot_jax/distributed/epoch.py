"""An epoch's visits by several workers, as a function of what one worker holds (``shard_map``)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial, reduce
from operator import add
from typing import NamedTuple

import jax
import jax.numpy as jnp

from mascot_jax.distributed.steps import receiver, sender
from mascot_jax.distributed.workers import AXIS
from mascot_jax.engine.kernels import STATISTICS, Execution
from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.turns import no_sums, pack, run_hogwild, run_turns, total_sums, unpack
from mascot_jax.tables.table import Table


class Share(NamedTuple):
    """What one worker knows besides its tables and ratings."""

    worker: jax.Array
    """uint32 ``()``: its number."""
    parts: jax.Array
    """uint32 ``(p or more,)``: which of all pairs of range and group of the staying side are its
    own; there is no such pair behind them."""


class Course(NamedTuple):
    """What all workers know of an epoch: ``steps.Steps``, and where ranges and groups start."""

    turns: jax.Array
    begin: jax.Array
    moves: jax.Array
    used: jax.Array
    """int32 ``()``."""
    chunks: jax.Array
    """int32 ``(R, workers - 1)``: chunks that each worker sends after each step at a distance of 1,
    of 2, and so on (``steps.receiver``)."""
    numbers: jax.Array
    """uint32 ``(U I,)``: number of each block's first rating, in all of the training."""
    ranges: tuple[jax.Array, jax.Array]
    """uint32 ``(ranges + 1,)`` of users and of items: first rows in the whole table."""
    groups: tuple[jax.Array, jax.Array]
    """uint32 ``(g + 1,)``, likewise."""


class Sizes(NamedTuple):
    """What a program is compiled for."""

    workers: int
    stays: int
    """Side whose ranges stay with their worker."""
    parts: tuple[int, int]
    """Pairs of a range and one of its groups, of users and of items."""
    chunk: int
    """Bytes that are sent at a time."""
    room: int
    """Bytes that one worker may send another after a step: a multiple of a chunk."""
    most_in_flight: int | None = None
    """Ratings under way at a time where a worker's threads race through its blocks of a step, as a
    GPU's do; None: they do not."""


def visit(
    ratings: Ratings,
    users: Table,
    items: Table,
    rates: jax.Array,
    counters: jax.Array,
    *,
    rounding: str,
    arithmetic: str,
    execution: Execution,
    share: Share,
    course: Course,
    sizes: Sizes,
) -> tuple[Table, Table, jax.Array, jax.Array]:
    """Visit all ratings of all workers once, as ``kernels.run_epoch`` does alone: the same bits.

    Ratings and tables are one worker's; its table of the side that travels has every row, and at
    the end every row is up to date in it. The sums are those of all ratings, in all workers.
    """
    travels = 1 - sizes.stays
    run = partial(run_turns, rounding=rounding, arithmetic=arithmetic, execution=execution)

    def step(state: _Visited, span: jax.Array, exchange: _Exchanger) -> _Visited:
        users, items, pair = run(
            ratings, *state, rates, counters, course.numbers, course.turns, span
        )
        tables, sums = [users, items], list(pair)
        tables[travels], sums[travels] = exchange(tables[travels], sums[travels])
        return _Visited(tables[0], tables[1], (sums[0], sums[1]))

    held = list(sizes.parts)
    held[sizes.stays] = share.parts.shape[0]
    sums = no_sums(held[0], users.factors), no_sums(held[1], items.factors)
    state = _in_steps(step, _Visited(users, items, sums), share, course, sizes)
    whole = list(state.sums)
    whole[sizes.stays] = _of_all(state.sums[sizes.stays], share, sizes)
    user_sums, item_sums = (
        total_sums(dataclasses.replace(table, starts=groups), ranges, rates, side)
        for table, groups, ranges, side in zip(
            (state.users, state.items), course.groups, course.ranges, whole, strict=True
        )
    )
    return state.users, state.items, user_sums, item_sums


def race(
    ratings: Ratings,
    users: Table,
    items: Table,
    rates: jax.Array,
    counters: jax.Array,
    *,
    rounding: str,
    arithmetic: str,
    execution: Execution,
    share: Share,
    course: Course,
    sizes: Sizes,
) -> tuple[Table, Table, jax.Array, jax.Array]:
    """Do the same as ``visit`` on GPUs: threads race through the blocks of a step.

    Sums are kept by group where a rating is visited, and do not travel. All workers add them up in
    the same order: they must all decide alike.
    """
    travels = 1 - sizes.stays
    assert sizes.most_in_flight is not None
    run = partial(
        run_hogwild,
        most_in_flight=sizes.most_in_flight,
        rounding=rounding,
        arithmetic=arithmetic,
        execution=execution,
    )

    def step(state: _Visited, span: jax.Array, exchange: _Exchanger) -> _Visited:
        users, items, *sums = run(
            ratings, state.users, state.items, rates, counters, course.numbers, course.turns, span
        )
        tables = [users, items]
        tables[travels], _ = exchange(tables[travels], no_sums(0, users.factors))
        user_sums, item_sums = map(add, state.sums, sums)
        return _Visited(tables[0], tables[1], (user_sums, item_sums))

    zeros = [jnp.zeros((table.groups, table.factors + STATISTICS)) for table in (users, items)]
    start = _Visited(users, items, (zeros[0], zeros[1]))
    state = _in_steps(step, start, share, course, sizes)
    user_sums, item_sums = (reduce(add, jax.lax.all_gather(side, AXIS)) for side in state.sums)
    return state.users, state.items, user_sums, item_sums


class _Visited(NamedTuple):
    """What changes from step to step."""

    users: Table
    items: Table
    sums: tuple[jax.Array, jax.Array]


_Exchanger = Callable[[Table, jax.Array], tuple[Table, jax.Array]]
"""Table and sums of the side that travels, before and after ranges have changed their workers."""


def _in_steps(
    step: Callable[[_Visited, jax.Array, _Exchanger], _Visited],
    state: _Visited,
    share: Share,
    course: Course,
    sizes: Sizes,
) -> _Visited:
    """Return what the steps of an epoch make of a state: each visits a span of blocks."""

    def one(number: jax.Array, state: _Visited) -> _Visited:
        span = jax.lax.dynamic_slice(course.begin, (number,), (2,))
        moves, chunks = course.moves[number], course.chunks[number]
        ranges = course.ranges[1 - sizes.stays]
        exchange = partial(
            _exchange, ranges=ranges, moves=moves, chunks=chunks, share=share, sizes=sizes
        )
        return step(state, span, exchange)

    done: _Visited = jax.lax.fori_loop(0, course.used, one, state)
    return done


def _exchange(
    table: Table,
    sums: jax.Array,
    *,
    ranges: jax.Array,
    moves: jax.Array,
    chunks: jax.Array,
    share: Share,
    sizes: Sizes,
) -> tuple[Table, jax.Array]:
    """Send what moves to the worker at a distance of 1, then of 2, and so on.

    All workers send as many chunks at a time, and no more than the largest parcel of them takes:
    what leaves a worker differs from step to step.
    """
    for distance in range(1, sizes.workers):
        pair = jnp.stack([share.worker, receiver(share.worker, distance, sizes.workers)])
        table, parcel = pack(table, ranges, moves, pair, sums, size=sizes.room)
        parcel = _pass_on(parcel, chunks[distance - 1], distance, sizes)
        pair = jnp.stack([sender(share.worker, distance, sizes.workers), share.worker])
        table, sums = unpack(table, ranges, moves, pair, sums, parcel)
    return table, sums


def _pass_on(parcel: jax.Array, chunks: jax.Array, distance: int, sizes: Sizes) -> jax.Array:
    """Return the parcel of the sender at a distance, as far as so many chunks go."""
    pairs = [(w, receiver(w, distance, sizes.workers)) for w in range(sizes.workers)]

    def pass_chunk(number: jax.Array, parcel: jax.Array) -> jax.Array:
        begin = number * sizes.chunk
        chunk = jax.lax.dynamic_slice(parcel, (begin,), (sizes.chunk,))
        chunk = jax.lax.ppermute(chunk, AXIS, pairs)
        return jax.lax.dynamic_update_slice(parcel, chunk, (begin,))

    passed: jax.Array = jax.lax.fori_loop(0, chunks, pass_chunk, parcel)
    return passed


def _of_all(sums: jax.Array, share: Share, sizes: Sizes) -> jax.Array:
    """Return the sums of all ranges that stay with their workers, in every worker.

    Bits are added to zeros: nothing is rounded.
    """
    if sizes.workers == 1:
        return sums
    own = jnp.zeros((sizes.parts[sizes.stays], sums.shape[1]), dtype=sums.dtype)
    own = own.at[share.parts].set(sums, mode="drop")
    everyone: jax.Array = jax.lax.psum(own, AXIS)
    return everyone
