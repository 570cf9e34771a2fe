"""Draw distinct (user, item) pairs with heavy-tailed counts on both sides.

Each user's number of ratings is fixed first. Items are drawn in proportion to their popularity,
without replacement within a user. Users are processed in chunks, so memory does not grow with the
number of pairs, and every chunk has its own random stream.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.uint32]

CHUNK = 1 << 18
"""Ratings per chunk. The result of a seed depends on it, so it never depends on the machine."""
_TABLE = 1 << 26
"""Maximum entries in the table that items are drawn from (4 bytes each)."""
_DENSE_SHARE = 8
"""Users with more than ``1 / _DENSE_SHARE`` of all items are drawn by ranking every item."""
_ROUNDS = 32
"""Redraws before ranking replaces drawing for users who still lack items."""
_DEAL, _DRAW = 0, 1


def popularity(count: int, power: int) -> Floats:
    """Return weights that decrease with rank like those of real data sets.

    The head is Zipf-Mandelbrot (exponent 1.25); a factor ``(1 - rank / count) ** power`` bends the
    tail down. Only ``+ - * /`` and square roots are used: IEEE 754 rounds these alike everywhere.

    Parameters
    ----------
    count
        Number of users or items.
    power
        0 keeps a pure power law; larger values make rare users or items rarer.

    Returns
    -------
    float64 [count], decreasing, all positive.
    """
    rank = (np.arange(count, dtype=np.float64) + 0.5) / count
    offset = 3.0 / math.sqrt(count)
    shifted = rank + offset
    weights = 1.0 / (shifted * np.sqrt(np.sqrt(shifted)))
    for _ in range(power):
        weights *= 1.0 - rank
    return weights


def apportion(weights: Floats, total: int, cap: int) -> Ints:
    """Divide ``total`` into integer shares close to ``weights``, each at most ``cap``.

    Every share is at least one if ``total`` allows.

    Returns
    -------
    int64 [weights.size], summing to ``total``; needs ``total <= cap * weights.size``.
    """
    counts = np.full(weights.size, 1 if total >= weights.size else 0, dtype=np.int64)
    while left := total - int(counts.sum()):
        room = cap - counts
        open_weights = np.where(room > 0, weights, 0.0)
        # fsum is exact, so the shares do not depend on a machine's order of additions.
        shares = open_weights * (left / math.fsum(open_weights))
        whole = np.minimum(np.floor(shares).astype(np.int64), room)
        if not whole.any():
            first = np.argsort(-shares, kind="stable")[:left]
            whole[first] = room[first] > 0
        counts += whole
    return counts


def draw_pairs(
    user_counts: Ints, item_weights: Floats, seed: np.random.SeedSequence
) -> Iterator[tuple[Indices, Indices]]:
    """Draw distinct pairs in chunks, ordered by user, then item.

    Every item is first assigned to one user, so that each occurs at least once if the number of
    pairs allows.

    Parameters
    ----------
    user_counts
        int64 [users]: number of items of each user, at most the number of items.
    item_weights
        float64 [items], positive: relative popularity.
    seed
        Determines the pairs.

    Yields
    ------
    Users and items of one chunk, uint32 each: about ``CHUNK`` pairs, more if one user has more.
    """
    items = item_weights.size
    ends = np.cumsum(user_counts)
    total = int(ends[-1])
    slots = apportion(item_weights, min(total, _TABLE), _TABLE)
    table = np.repeat(np.arange(items, dtype=np.uint32), slots)
    dealt = _deal_items(ends, items, _generator(seed, _DEAL))
    edges = np.searchsorted(ends, np.arange(-(-total // CHUNK) + 1) * CHUNK, side="right")
    for number, (start, stop) in enumerate(pairwise(edges.tolist())):
        low, high = np.searchsorted(dealt, np.array([start, stop], dtype=np.uint64) * items)
        keys = _draw_keys(
            user_counts[start:stop],
            dealt[low:high] - np.uint64(start * items),
            slots,
            table,
            _generator(seed, _DRAW, number),
        )
        yield (keys // items + start).astype(np.uint32), (keys % items).astype(np.uint32)


def _generator(seed: np.random.SeedSequence, *key: int) -> np.random.Generator:
    child = np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, *key))
    return np.random.Generator(np.random.PCG64(child))


def _deal_items(ends: Ints, items: int, rng: np.random.Generator) -> Keys:
    """Assign items to ratings, and so to users; return sorted keys ``user * items + item``."""
    total = int(ends[-1])
    positions = rng.choice(total, size=min(items, total), replace=False)
    users = np.searchsorted(ends, positions, side="right").astype(np.uint64)
    chosen = rng.permutation(items)[: positions.size].astype(np.uint64)
    return np.sort(users * items + chosen)


def _draw_keys(
    counts: Ints, dealt: Keys, slots: Ints, table: Indices, rng: np.random.Generator
) -> Keys:
    """Draw one chunk's pairs as sorted keys, ``dealt`` included; its users count from 0."""
    items = slots.size
    dense = counts * _DENSE_SHARE > items
    wanted = np.where(dense, 0, counts)
    keys, finished = dealt[~dense[dealt // items]], []
    for _ in range(_ROUNDS):
        short = _short(wanted, keys, items)
        # Complete users leave, so that later rounds sort fewer keys.
        complete = (short == 0)[keys // items]
        finished.append(keys[complete])
        keys = keys[~complete]
        wanted[short == 0] = 0
        if not wanted.any():
            break
        drawn = np.repeat(np.arange(counts.size, dtype=np.uint64), short)
        drawn *= items
        drawn += table[rng.integers(0, table.size, drawn.size, dtype=np.uint32)]
        keys = _distinct(np.concatenate([keys, drawn]))
    ranked = np.flatnonzero(dense | (wanted > 0))
    finished += [_rank_items(user, counts, dealt, slots, rng) for user in ranked.tolist()]
    return np.sort(np.concatenate(finished))


def _short(wanted: Ints, keys: Keys, items: int) -> Ints:
    """Return how many items each user still lacks."""
    held = np.bincount((keys // items).astype(np.intp), minlength=wanted.size)
    short: Ints = np.maximum(wanted - held, 0)
    return short


def _distinct(keys: Keys) -> Keys:
    keys.sort()
    first = np.ones(keys.size, dtype=np.bool_)
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    return keys[first]


def _rank_items(
    user: int, counts: Ints, dealt: Keys, slots: Ints, rng: np.random.Generator
) -> Keys:
    """Draw one user's items: those whose exponential variate over the weight is smallest.

    The distribution is that of drawing one by one without replacement.
    """
    items = slots.size
    times = rng.standard_exponential(items) / np.maximum(slots, 0.5)
    low, high = np.searchsorted(dealt, np.array([user, user + 1], dtype=np.uint64) * items)
    times[(dealt[low:high] % items).astype(np.intp)] = -1.0
    last = int(counts[user]) - 1
    return np.argpartition(times, last)[: last + 1].astype(np.uint64) + np.uint64(user * items)
