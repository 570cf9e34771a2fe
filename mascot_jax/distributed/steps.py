"""An epoch in steps: who visits what, and which ranges of rows go where after each step."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import jax
import numpy as np
from numpy.typing import NDArray

from mascot_jax.distributed.division import USERS, Division
from mascot_jax.engine.turns import EVERYONE, TILES, draw_list


class Steps(NamedTuple):
    """An epoch in steps in which no range changes its worker; T ranges travel.

    There is room for R steps, as many as any epoch may have; an epoch has fewer.
    """

    turns: NDArray[np.uint32]
    """``(U I, 2)``: user and item range of each block."""
    begin: NDArray[np.uint32]
    """``(R + 1,)``: number of the first block of each step; the last ones are behind all blocks."""
    moves: NDArray[np.uint32]
    """``(R, T, 2)``: after each step, the worker that has a range and the one that needs it next;
    equal where it stays. After the last one, that is ``EVERYONE``."""
    used: int
    """Number of steps."""


def steps_of(division: Division, seed: int, epoch: int) -> Steps:
    """Return an epoch's steps. Before the first one, all workers have all ranges that travel."""
    users, items = (len(side) for side in division.sides)
    stays, travels = division.stays, division.travels
    turns = draw_list(
        users, items, seed, epoch, rotations=division.rotations, users_stay=stays == USERS
    )
    # The visits of each range, one range after the other; its worker changes between some of them.
    visits = np.flatnonzero(division.counts[turns[:, 0], turns[:, 1]] > 0)
    visits = visits[np.argsort(turns[visits, travels], kind="stable")]
    ranges, at = turns[visits, travels], division.owner[turns[visits, stays]]
    last = np.diff(ranges.astype(np.int64), append=-1) != 0
    change = np.flatnonzero(~last[:-1] & (at[1:] != at[:-1]))
    begin = _steps_between(visits[change], visits[change + 1])
    step = np.searchsorted(begin, visits, side="right") - 1
    # No range is visited twice in a round, so there are no more steps than rounds.
    most = -(-max(users, items) // TILES) * TILES
    moves = np.zeros((most, len(division.sides[travels]), 2), dtype=np.uint32)
    moves[step[change], ranges[change]] = np.stack([at[change], at[change + 1]], axis=1)
    moves[len(begin) - 1, ranges[last], 0] = at[last]
    moves[len(begin) - 1, ranges[last], 1] = EVERYONE
    ends = np.full(most + 1 - len(begin), len(turns))
    return Steps(turns, np.append(begin, ends).astype(np.uint32), moves, len(begin))


def _steps_between(earlier: NDArray[np.int64], later: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where steps begin, from 0: as few as put no two visits of a pair into one step."""
    begin = [0]
    order = np.argsort(later, kind="stable")
    for first, second in zip(earlier[order].tolist(), later[order].tolist(), strict=True):
        if first >= begin[-1]:
            begin.append(second)
    return np.array(begin)


Numbers = TypeVar("Numbers", int, NDArray[np.int64], jax.Array)


def receiver(worker: Numbers, distance: int, workers: int) -> Numbers:
    """Return who is at a distance from 1 to ``workers - 1`` of a worker: another one for each.

    In a list with rotations, workers of a power of two exchange tiles in pairs whose numbers differ
    in the same bits: so all of them send at the same distance.
    """
    return worker ^ distance if _is_power(workers) else (worker + distance) % workers


def sender(worker: Numbers, distance: int, workers: int) -> Numbers:
    """Return the worker whose ``receiver`` this one is."""
    return worker ^ distance if _is_power(workers) else (worker + workers - distance) % workers


def _is_power(workers: int) -> bool:
    return workers & (workers - 1) == 0


def traffic_of(steps: Steps, sizes: NDArray[np.int64], workers: int) -> NDArray[np.int64]:
    """Return the bytes that are sent after each step.

    ``sizes`` is int64 ``(T,)``: bytes of each range. The result is int64 ``(R, workers,
    workers - 1)``: what each worker sends at a distance of 1, of 2, and so on.
    """
    sent = np.zeros((len(steps.moves), workers, workers), dtype=np.int64)
    at, to = (steps.moves[..., i].astype(np.int64) for i in (0, 1))
    number, ranges = np.nonzero(at != to)
    at, to = at[number, ranges], to[number, ranges]
    for distance in range(1, workers):
        goes = (to == EVERYONE) | (to == receiver(at, distance, workers))
        np.add.at(sent, (number[goes], at[goes], distance), sizes[ranges[goes]])
    return sent[..., 1:]
