"""The kernel's arithmetic, order and sampling in plain NumPy.

What every variant must repeat bit for bit.
"""

import numpy as np

MASK = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15


def fma(a, b, c):
    """a * b + c in float32, rounded once.

    The product is exact in float64; the sum is rounded to odd there, which a second rounding cannot
    spoil.
    """
    a, b, c = (np.asarray(x, dtype=np.float32).astype(np.float64) for x in (a, b, c))
    product = a * b
    total = product + c
    # TwoSum: the exact error of the addition
    shadow = total - product
    error = (product - (total - shadow)) + (c - shadow)
    bits = np.asarray(total).view(np.int64)
    inexact = (error != 0) & np.isfinite(total) & ((bits & 1) == 0)
    away = (error > 0) == (total > 0)  # the exact sum is farther from zero than its rounding
    odd = np.where(inexact, np.where(away, bits + 1, bits - 1), bits)
    return odd.view(np.float64).astype(np.float32)


def dot(p, q):
    """64 partial sums by fma, then halves added."""
    partial = np.zeros(64, dtype=np.float32)
    size = -(-len(p) // 64) * 64
    p, q = np.pad(p, (0, size - len(p))), np.pad(q, (0, size - len(q)))
    for start in range(0, size, 64):
        partial = fma(p[start : start + 64], q[start : start + 64], partial)
    while len(partial) > 1:
        half = len(partial) // 2
        partial = partial[:half] + partial[half:]
    return partial[0]


def mix64(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def stream_key(seed, epoch, stream):
    run = mix64(((seed << 32 | epoch) + GAMMA) & MASK)
    return mix64((run + stream * GAMMA) & MASK)


def draw32(key, number):
    return mix64((key + (number + 1) * GAMMA) & MASK) >> 32


def permutation(key, count):
    half_bits = 1
    while 1 << (2 * half_bits) < count:
        half_bits += 1
    mask = (1 << half_bits) - 1

    def encrypt(value):
        left, right = value >> half_bits, value & mask
        for rnd in range(4):
            left, right = right, left ^ (draw32((key + rnd) & MASK, right) & mask)
        return left << half_bits | right

    def at(position):
        position = encrypt(position)
        while position >= count:
            position = encrypt(position)
        return position

    return [at(i) for i in range(count)]


def visiting_order(seed, epoch, block_size, user_half, item_half):
    """Rating numbers in the order one thread visits them.

    Block by block, within a block by the pair of storages.
    user_half, item_half: bool [ratings], whether each rating's rows are in float16.
    """
    count = len(user_half)
    pair = user_half + 2 * item_half
    blocks = permutation(stream_key(seed, epoch, 1), -(-count // block_size))
    order = []
    for b in blocks:
        numbers = np.arange(b * block_size, min((b + 1) * block_size, count))
        order += numbers[np.argsort(pair[numbers], kind="stable")].tolist()
    return order


def strata_order(seed, epoch, begins, count, shape):
    """Blocks (begin, end) of rating numbers in the order of conflict-free strata.

    begins: [U * I]; shape: (U, I).
    """
    fewer, more = min(shape), max(shape)
    short, long, rounds = (
        permutation(stream_key(seed, epoch, stream), size)
        for stream, size in ((4, fewer), (5, more), (6, more))
    )
    ends = [*begins[1:], count]
    blocks = []
    for shift in rounds:
        for place in range(fewer):
            a, b = short[place], long[(place + shift) % more]
            user, item = (a, b) if shape[0] <= shape[1] else (b, a)
            block = user * shape[1] + item
            blocks.append((begins[block], ends[block]))
    return blocks


def is_sampled(seed, epoch, number, ratio):
    return draw32(stream_key(seed, epoch, 2), number) < int(float(np.float32(ratio)) * 2**32)


def draws(key, number, factors):
    """The uint32 draws [k] of a rating for its user's row and for its item's."""
    seed = mix64((key + (number + 1) * GAMMA) & MASK)
    words = np.uint32(seed & 0xFFFFFFFF) + np.arange(16, dtype=np.uint32) * np.uint32(0x9E3779B9)
    words ^= words >> 16
    words *= np.uint32(seed >> 32 | 1)
    words ^= words >> 16
    chunks = np.arange(1, -(-factors // 16) + 1, dtype=np.uint32) * np.uint32(0x9E3779B9)
    chunks = (chunks ^ chunks >> 15) * np.uint32(0x85EBCA6B) | np.uint32(1)
    user = np.multiply.outer(chunks, words).ravel()[:factors]
    return user, user << 13 | user >> 19


def dithered(values, draw):
    """float32 values rounded to float16, away from zero with the probability that keeps the mean.

    The part of an ulp of float16 that does not fit, plus draw / 2^32, is cut off.
    """
    values = np.asarray(values, dtype=np.float32)
    magnitude = np.abs(values).astype(np.float64)
    exponent = np.maximum(np.frexp(magnitude)[1] - 1, -14)
    ulps = np.ldexp(magnitude, 10 - exponent)
    bits = np.where(magnitude < 2.0**-14, 21, 13)  # of the draw that count
    ulps = np.floor(np.ldexp(ulps, bits))  # exact, but for subnormals
    whole = np.floor(np.ldexp(ulps + (draw >> (32 - bits).astype(np.uint32)), -bits))
    with np.errstate(over="ignore"):
        nearest = values.astype(np.float16)
    cut = np.copysign(np.ldexp(whole, exponent - 10), values)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(magnitude <= 65504, cut.astype(np.float16), nearest)


def stored(values, half, draw):
    """float32 values after a store: half as float16, to nearest or, with a draw, by it."""
    if not half:
        return values
    return values.astype(np.float16) if draw is None else dithered(values, draw)


def epoch(users, items, ratings, p, q, p_half, q_half, rates, order, dither=None):
    """One epoch of SGD on float32 copies p [m, k] and q [n, k].

    Rows flagged in p_half [m] and q_half [n] are rounded to float16 at every store, to nearest, or
    stochastically with the key ``dither``. Returns, per rating, gradient_p, gradient_q, lost_p and
    lost_q.
    """
    eta, user_reg, item_reg = (np.float32(x) for x in rates)
    details = {}
    for i in order:
        u, v = users[i], items[i]
        x, y = p[u].copy(), q[v].copy()
        e = np.float32(ratings[i]) - dot(x, y)
        step = eta * e
        fresh_p = fma(step, y, fma(-(eta * user_reg), x, x))
        fresh_q = fma(step, x, fma(-(eta * item_reg), y, y))
        user_draw, item_draw = (None, None) if dither is None else draws(dither, i, len(x))
        p[u] = stored(fresh_p, p_half[u], user_draw)
        q[v] = stored(fresh_q, q_half[v], item_draw)
        details[i] = {
            "gradient_p": fma(e, y, -user_reg * x),
            "gradient_q": fma(e, x, -item_reg * y),
            "lost_p": p[u] - fresh_p,
            "lost_q": q[v] - fresh_q,
        }
    return details
