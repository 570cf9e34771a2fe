"""The arithmetic and order of one warp of the CUDA kernel, in plain NumPy.

Four tiles of eight lanes each go through a quarter of a list of ratings, in runs of one user. On
the host all of them read their rows before any writes, and tiles write in their order: one of the
orders a GPU may take, which this repeats.
"""

import itertools
from functools import partial

import numpy as np

from tests.support import interactions_reference, reference
from tests.support.reference import (
    draws,
    fma,
    is_sampled,
    permutation,
    stored,
    stream_key,
)

TILE, TILES, PIECE = 8, 4, 64
FLOAT32, FLOAT16, INT8 = range(3)


def dot(p, q, v, multiply_add=fma):
    """Per lane four partial sums by fma, added as 0 + 2 and 1 + 3; then lanes in pairs.

    The parts of a lane's components are their numbers modulo 4. All is in the rows' own type.
    """
    part = np.zeros((TILE, 4), dtype=p.dtype)
    padding = (0, -len(p) % (TILE * v))
    chunks = (np.pad(row, padding).reshape(-1, TILE, v // 4, 4) for row in (p, q))
    for x, y in zip(*chunks, strict=True):
        for four in range(v // 4):
            part = multiply_add(x[:, four], y[:, four], part)
    sums = (part[:, 0] + part[:, 2]) + (part[:, 1] + part[:, 3])
    for distance in (4, 2, 1):
        sums = sums + sums[np.arange(TILE) ^ distance]
    return sums[0]


def sections(users, user_codes, item_codes):
    """Per list of a piece the components that a lane holds side by side, and the tiles' ratings.

    Ratings with a row in float32 come first. A tile's ratings are numbers of one list, in order; it
    begins where a run does.
    """
    assert len(users) <= PIECE
    wide = (user_codes == FLOAT32) | (item_codes == FLOAT32)
    found = []
    for numbers, v in ((np.flatnonzero(wide), 4), (np.flatnonzero(~wide), 8)):
        size = len(numbers)
        starts = [i for i in range(size) if i == 0 or users[numbers[i]] != users[numbers[i - 1]]]
        wanted = [-(-size * tile // TILES) for tile in range(TILES + 1)]
        borders = [min((s for s in starts if s >= at), default=size) for at in wanted]
        tiles = [numbers[a:b] for a, b in itertools.pairwise(borders)]
        found.append((v, tiles))
    return found


def half_ulp(magnitude):
    """The distance between float16 numbers at a float32 magnitude."""
    exponent = np.maximum(np.frexp(magnitude)[1] - 1, -14)
    return np.ldexp(np.float32(1), exponent - 10)


def whole_ulps(own, change, draw):
    """A change as a multiple of an ulp of what it is added to, or of the sum if that is larger."""
    ulp = half_ulp(np.maximum(np.abs(own), np.abs(own + change)))
    share = (draw >> 16).astype(np.float32) * np.float32(2.0**-16)
    return np.floor(fma(change, 1 / ulp, share)) * ulp


def write(table, row, before, after, code, store, draw, block):
    """Write a row after its update; draw: uint32 [k], or None to round to nearest."""
    if store or code == INT8:
        table[row] = stored(after, code, draw, block)
        return
    change = after - before
    if code == FLOAT16:
        change = change if draw is None else whole_ulps(before, change, draw)
        change = change.astype(np.float16).astype(np.float32)
    table[row] = stored(table[row] + change, code, None)


def in_float32(x, y, rating, rates, _, dot):
    eta, user_reg, item_reg = rates
    step = eta * (rating - dot(x, y))
    return fma(step, y, fma(-(eta * user_reg), x, x)), fma(step, x, fma(-(eta * item_reg), y, y))


def half_fma(a, b, c):
    """a * b + c of float16 numbers, rounded once.

    Products are exact in float64; so are sums where c is not too far from the product to matter.
    """
    a, b, c = (np.asarray(x).astype(np.float64) for x in (a, b, c))
    return (a * b + c).astype(np.float16)


def in_half(x, y, rating, rates, _, dot):
    """As ``reference.in_half``, but a fused multiply-add is rounded once."""
    eta, *regs = (np.float16(rate) for rate in rates)
    x, y = x.astype(np.float16), y.astype(np.float16)
    error = np.float16(rating) - dot(x, y, multiply_add=half_fma)
    return [
        half_fma(eta, half_fma(error, other, -reg * own), own).astype(np.float32)
        for own, other, reg in ((x, y, regs[0]), (y, x, regs[1]))
    ]


def in_fixed(x, y, rating, rates, bits, dot):
    update = in_float32 if bits >= 24 else reference.in_fixed
    return update(x, y, rating, rates, bits, dot)


UPDATES = {
    "float32": in_float32,
    "float16": in_half,
    "mixed": reference.in_mixed,
    "fixed": in_fixed,
}
"""Arithmetic -> new rows from the old ones: x of a user, y of an item; rating, rates, quantiser.

The rows themselves where the rating is skipped.
"""


def epoch(
    users, items, ratings, p, q, codes, rates, store, dither=None, block=32, first=0,
    arithmetic="float32", quantiser=0,
):  # fmt: skip
    """One epoch over at most 64 ratings by one warp, on float32 copies p [m, k] and q [n, k].

    codes: storages uint8 [m] and [n]; dither: key of stochastic rounding's draws; block: components
    of int8 that share a scale; first: the number of the first rating.
    Returns, per rating, the rows that it was computed from and the error, as in float32.
    """
    rates = [np.float32(r) for r in rates]
    factors = p.shape[1]
    details = {}
    for v, tiles in sections(users, codes[0][users], codes[1][items]):
        dot_in_tile = partial(dot, v=v)
        held = [(None, None)] * TILES
        for step in range(max(map(len, tiles))):
            turns = [
                (t, int(numbers[step])) for t, numbers in enumerate(tiles) if step < len(numbers)
            ]
            for t, i in turns:
                if step == 0 or users[tiles[t][step - 1]] != users[i]:
                    held[t] = p[users[i]].copy(), p[users[i]].copy()
                y = q[items[i]].copy()
                details[i] = held[t][1], y, np.float32(ratings[i]) - dot_in_tile(held[t][1], y)
            writes = []
            for t, i in turns:
                x, y, _ = details[i]
                drawn = draws(dither, first + i, factors) if dither else (None, None)
                new_x, new_y = UPDATES[arithmetic](
                    x, y, np.float32(ratings[i]), rates, quantiser, dot_in_tile
                )
                held[t] = held[t][0], new_x
                last = step + 1 == len(tiles[t]) or users[tiles[t][step + 1]] != users[i]
                if last:
                    writes.append((p, users[i], *held[t], codes[0], drawn[0]))
                if new_y is not y:
                    writes.append((q, items[i], y, new_y, codes[1], drawn[1]))
            for table, row, before, after, code, draw in writes:
                write(table, row, before, after, code[row], store, draw, block)
    return details


def sweeps(users, ranges, at_once, seed, number):
    """Pieces (first user, range of items, users) of an epoch over interactions, in their order."""
    groups = -(-users // at_once)
    of_users = permutation(stream_key(seed, number, 5), groups)
    of_ranges = permutation(stream_key(seed, number, 4), ranges)
    pieces = []
    for sweep, position in itertools.product(range(ranges), range(groups)):
        place = (position + sweep * (groups // ranges + 1)) % groups
        first = of_users[place] * at_once
        pieces.append((first, of_ranges[(sweep + place) % ranges], min(at_once, users - first)))
    return pieces


def interactions(
    data, pieces, p, q, codes, rates, *, seed, number, store, dither=None, block=32
):  # fmt: skip
    """One epoch over interactions by one warp, on float32 copies p [m, k] and q [n, k].

    data: ``interactions_reference.Data``; pieces: in the order of visiting; otherwise as ``epoch``.
    Returns, by the number of each visit, its user and item, the rows that it was computed from and
    the error.
    """
    rates = [np.float32(r) for r in rates]
    eta, user_reg, item_reg = rates
    key, details = stream_key(seed, number, 8), {}

    def batches(user, item_range):
        low, high = data.starts[1][item_range : item_range + 2]
        own = (data.users == user) & (data.items >= low) & (data.items < high)
        turns = interactions_reference.turns(
            data, key, user, item_range, np.flatnonzero(own).tolist()
        )
        parts = [turns[i : i + TILE] for i in range(0, max(len(turns), 1), TILE)]
        return [[visit for visit in part if visit is not None] for part in parts]

    for first, item_range, users in pieces:
        low, high = data.starts[1][item_range : item_range + 2]
        if low == high:
            continue
        members = range(first, first + users)
        met = np.concatenate([codes[0][first : first + users], codes[1][low:high]])
        v = 4 if (met == FLOAT32).any() else 8
        # Of each tile: (user, batch, whether it is the user's last).
        queues = [
            [
                (user, batch, left == 0)
                for user in members[tile::TILES]
                for left, batch in reversed(list(enumerate(reversed(batches(user, item_range)))))
            ]
            for tile in range(TILES)
        ]
        held = {}
        for at in range(max(map(len, queues))):
            current = [queue[at] for queue in queues if at < len(queue)]
            for step in range(max(len(batch) for _, batch, _ in current)):
                visits = [(u, batch[step]) for u, batch, _ in current if step < len(batch)]
                for user, visit in visits:
                    held.setdefault(user, (p[user].copy(), p[user].copy()))
                    x, y = held[user][1], q[visit.item].copy()
                    error = interactions_reference.error_of(data, visit, dot(x, y, v))
                    details[visit.number] = user, visit.item, x, y, error
                for user, visit in visits:
                    *_, x, y, error = details[visit.number]
                    new_x = fma(eta * error, y, fma(-(eta * user_reg), x, x))
                    new_y = fma(eta * error, x, fma(-(eta * item_reg), y, y))
                    drawn = draws(dither, visit.number, len(x)) if dither else (None, None)
                    held[user] = held[user][0], new_x, drawn[0]
                    write(q, visit.item, y, new_y, codes[1][visit.item], store, drawn[1], block)
            for user, _, last in current:
                if last and user in held:
                    before, after, draw = held.pop(user)
                    write(p, user, before, after, codes[0][user], store, draw, block)


def epoch_to_stop(users, items, ratings, p, q, codes, rates, end, store, dither=None):
    """One epoch whose updates end at the first component near zero, by one warp, as ``epoch``.

    end: thresholds of users and items. Rows are not held: a user's is read and written for each
    rating, as an item's is, in chunks, of which nothing is read behind the stop.
    """
    eta, user_reg, item_reg = (np.float32(r) for r in rates)
    factors, details = p.shape[1], {}
    for v, tiles in sections(users, codes[0][users], codes[1][items]):
        for step in range(max(map(len, tiles))):
            turns = [int(numbers[step]) for numbers in tiles if step < len(numbers)]
            stops = {}
            for i in turns:
                x, y = p[users[i]], q[items[i]]
                stops[i] = reference.stop(x, y, end)
                seen = np.arange(factors) < stops[i]
                x, y = np.where(seen, x, 0), np.where(seen, y, 0)
                details[i] = x, y, np.float32(ratings[i]) - dot(x, y, v)
            for i in turns:  # each tile then reads and writes by itself
                x, y = p[users[i]].copy(), q[items[i]].copy()
                seen, error = np.arange(factors) < stops[i], details[i][2]
                new_x = fma(eta * error, y, fma(-(eta * user_reg), x, x))
                new_y = fma(eta * error, x, fma(-(eta * item_reg), y, y))
                drawn = draws(dither, i, factors) if dither else (None, None)
                for table, row, before, after, code, draw in (
                    (p, users[i], x, new_x, codes[0], drawn[0]),
                    (q, items[i], y, new_y, codes[1], drawn[1]),
                ):
                    write(
                        table,
                        row,
                        before,
                        np.where(seen, after, before),
                        code[row],
                        store,
                        draw,
                        32,
                    )
    return details


def group_sums(
    details, side, rows, starts, codes, rates, seed, number, ratio, dither=None, block=32
):
    """Return float64 ``(g, k + 4)``: what the kernel should have collected on one side."""
    eta, regs = np.float32(rates[0]), [np.float32(r) for r in rates[1:]]
    factors = len(details[0][0])
    sums = np.zeros((len(starts) - 1, factors + 4))
    for i, (p, q, error) in details.items():
        if not is_sampled(seed, number, i, ratio):
            continue
        (own, other), reg = ((p, q), (q, p))[side], regs[side]
        gradient = fma(error, other, -reg * own)
        unrounded = fma(eta * error, other, fma(-(eta * reg), own, own))
        draw = draws(dither, i, factors)[side] if dither else None
        kept = stored(unrounded, codes[rows[i]], draw, block)
        norm = np.square(gradient.astype(np.float64)).sum()
        lost = np.square(kept.astype(np.float64) - unrounded).sum()
        group = np.searchsorted(starts, rows[i], side="right") - 1
        sums[group, :factors] += gradient
        sums[group, factors:] += [norm, 1, lost, float(eta) ** 2 * norm]
    return sums
