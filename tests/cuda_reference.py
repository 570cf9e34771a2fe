"""The arithmetic and order of one warp of the CUDA kernel, in plain NumPy.

Four tiles of eight lanes each go through a quarter of a list of ratings, in runs of one user. On
the host all of them read their rows before any writes, and tiles write in their order: one of the
orders a GPU may take, which this repeats.
"""

import itertools

import numpy as np

from tests.reference import draws, fma, is_sampled, stored

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


def in_float32(p, q, rating, rates, v):
    """Both rows after an update, and the error. v: components that a lane holds side by side."""
    eta, user_reg, item_reg = rates
    error = rating - dot(p, q, v)
    new_p = fma(eta * error, q, fma(-(eta * user_reg), p, p))
    return new_p, fma(eta * error, p, fma(-(eta * item_reg), q, q)), error


def half_fma(a, b, c):
    """a * b + c of float16 numbers, rounded once: products are exact in float64.

    So is the sum, where it is not too close to c to be rounded to anything else.
    """
    a, b, c = (np.asarray(x).astype(np.float64) for x in (a, b, c))
    return (a * b + c).astype(np.float16)


def in_float16(p, q, rating, rates, v):
    """As ``in_float32``, each operation rounded to float16."""
    p, q, rating = p.astype(np.float16), q.astype(np.float16), np.float16(rating)
    eta, decays = np.float16(rates[0]), [np.float16(-(rates[0] * reg)) for reg in rates[1:]]
    error = rating - dot(p, q, v, half_fma)
    step = eta * error
    rows = (
        half_fma(step, other, half_fma(decay, own, own))
        for own, other, decay in ((p, q, decays[0]), (q, p, decays[1]))
    )
    return *(row.astype(np.float32) for row in rows), np.float32(error)


def _moved(p, q, of_user, of_item, step, rates):
    eta, user_reg, item_reg = rates
    new_p = fma(step, of_user, fma(-(eta * user_reg), p, p))
    return new_p, fma(step, of_item, fma(-(eta * item_reg), q, q))


def in_mixed(scale):
    """What MPT does with this loss scale; no new rows where a scaled error overflows."""
    scale = np.float32(scale)

    def update(p, q, rating, rates, v):
        x, y = (row.astype(np.float16).astype(np.float32) for row in (p, q))
        error = np.float32(np.float16(rating - np.float32(np.float16(dot(x, y, v)))))
        with np.errstate(over="ignore"):
            scaled = np.float16(scale * error)
        if not np.isfinite(scaled):
            return None, None, error
        of_user, of_item = (np.float32(scaled * row.astype(np.float16)) for row in (y, x))
        return *_moved(p, q, of_user, of_item, rates[0] / scale, rates), error

    return update


def resolution(largest, bits):
    """The smallest power of two of which ``largest`` is at most 2^(bits - 1) - 1.

    0 for a magnitude below 2^-100.
    """
    if largest < 2.0**-100:
        return 0.0
    found = 2.0 ** (np.frexp(np.float64(largest))[1] - bits - 1)
    while np.float64(largest) / found > 2 ** (bits - 1) - 1:
        found *= 2
    return found


def quantised(values, largest, bits):
    """float32 values as whole multiples of the resolution for their largest magnitude."""
    unit = resolution(largest, bits)
    if unit == 0:
        return np.zeros_like(values)
    return (np.rint(np.asarray(values, dtype=np.float64) / unit) * unit).astype(np.float32)


def in_fixed(bits):
    """What MuPPET and AFP do in words of so many bits."""

    def update(p, q, rating, rates, v):
        if bits >= 24:
            return in_float32(p, q, rating, rates, v)
        x, y = (quantised(row, np.abs(row).max(), bits) for row in (p, q))
        exact = rating - dot(x, y, v)
        error = quantised(exact, abs(exact), bits)
        of_user, of_item = (
            quantised(error * row, abs(error) * np.abs(row).max(), bits) for row in (y, x)
        )
        return *_moved(p, q, of_user, of_item, rates[0], rates), error

    return update


def epoch(
    users, items, ratings, p, q, codes, rates, store, dither=None, block=32, first=0,
    update=in_float32,
):  # fmt: skip
    """One epoch over at most 64 ratings by one warp, on float32 copies p [m, k] and q [n, k].

    codes: storages uint8 [m] and [n]; dither: key of stochastic rounding's draws; block: components
    of int8 that share a scale; first: the number of the first rating; update: an arithmetic.
    Returns, per rating, the rows that it was computed from and the error.
    """
    rates = [np.float32(r) for r in rates]
    factors = p.shape[1]
    details = {}
    for v, tiles in sections(users, codes[0][users], codes[1][items]):
        held = [(None, None)] * TILES
        for step in range(max(map(len, tiles))):
            turns = [
                (t, int(numbers[step])) for t, numbers in enumerate(tiles) if step < len(numbers)
            ]
            fresh = {}
            for t, i in turns:
                if step == 0 or users[tiles[t][step - 1]] != users[i]:
                    held[t] = p[users[i]].copy(), p[users[i]].copy()
                x, y = held[t][1], q[items[i]].copy()
                *fresh[i], error = update(x, y, np.float32(ratings[i]), rates, v)
                details[i] = x, y, error
            writes = []
            for t, i in turns:
                (x, y, _), (new_p, new_q) = details[i], fresh[i]
                drawn = draws(dither, first + i, factors) if dither else (None, None)
                held[t] = held[t][0], x if new_p is None else new_p
                last = step + 1 == len(tiles[t]) or users[tiles[t][step + 1]] != users[i]
                if last:
                    writes.append((p, users[i], *held[t], codes[0], drawn[0]))
                if new_q is not None:
                    writes.append((q, items[i], y, new_q, codes[1], drawn[1]))
            for table, row, before, after, code, draw in writes:
                write(table, row, before, after, code[row], store, draw, block)
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
