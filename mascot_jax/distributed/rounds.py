"""The rounds of an epoch: who visits what, and which ranges of rows go where in between."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mascot_jax.distributed.division import Division
from mascot_jax.engine.turns import EVERYONE, draw_list


class Rounds(NamedTuple):
    """An epoch in R rounds of t blocks that share no range; T ranges travel."""

    turns: NDArray[np.uint32]
    """``(R, t, 2)``: user and item range of each block."""
    moves: NDArray[np.uint32]
    """``(R, T, 2)``: after each round, the worker that has a range and the one that needs it next;
    equal where it stays."""
    last: NDArray[np.uint32]
    """``(T, 2)``: after the last round, the worker that has a range, and ``EVERYONE``."""


def rounds_of(division: Division, seed: int, epoch: int) -> Rounds:
    """Return an epoch's rounds. Before the first one, all workers have all ranges that travel."""
    sizes = [len(side) for side in division.sides]
    turns = draw_list(sizes[0], sizes[1], seed, epoch).reshape(max(sizes), min(sizes), 2)
    stay, travel = turns[..., division.stays], turns[..., division.travels]
    visited = division.counts[turns[..., 0], turns[..., 1]] > 0
    moves = np.zeros((len(turns), sizes[division.travels], 2), dtype=np.uint32)
    needed = np.full(sizes[division.travels], -1, dtype=np.int64)  # by whom next
    last = np.zeros((len(needed), 2), dtype=np.uint32)
    for number in range(len(turns) - 1, -1, -1):
        ranges = travel[number][visited[number]]
        at = division.owner[stay[number][visited[number]]]
        known = needed[ranges] >= 0
        moves[number, ranges[known]] = np.stack([at, needed[ranges]], axis=1)[known]
        last[ranges[~known]] = np.stack([at, np.full(len(at), EVERYONE)], axis=1)[~known]
        needed[ranges] = at
    return Rounds(turns, moves, last)


def traffic_of(rounds: Rounds, sizes: NDArray[np.int64], workers: int) -> NDArray[np.int64]:
    """Return the bytes that are sent after each round and after the last one.

    ``sizes`` is int64 ``(T,)``: bytes of each range. The result is int64 ``(R + 1, workers,
    workers - 1)``: what each worker sends to the next one, to the one after that, and so on.
    """
    sent = np.zeros((len(rounds.moves) + 1, workers, workers), dtype=np.int64)
    at, to = (rounds.moves[..., i].astype(np.int64) for i in (0, 1))
    number = np.broadcast_to(np.arange(len(at))[:, None], at.shape)
    np.add.at(sent, (number, at, (to - at) % workers), np.broadcast_to(sizes, at.shape))
    visited = rounds.last[:, 1] == EVERYONE
    np.add.at(sent[-1], rounds.last[visited, 0], sizes[visited, None])  # to each other one
    return sent[..., 1:]
