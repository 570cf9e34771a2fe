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


def lists(pieces, user_code, item_code):
    """Rating numbers in the order one thread visits them, a list for each piece and pair.

    pieces: [(begin, end)]; user_code, item_code: uint8 [ratings], the storages of each one's rows.
    """
    pair = user_code.astype(np.int64) << 8 | item_code
    visits = []
    for begin, end in pieces:
        part = pair[begin:end]
        visits += [(begin + np.flatnonzero(part == one)).tolist() for one in np.unique(part)]
    return visits


def shuffled_pieces(seed, epoch, block_size, count):
    """Blocks (begin, end) of rating numbers in an epoch's order."""
    blocks = permutation(stream_key(seed, epoch, 1), -(-count // block_size))
    return [(b * block_size, min((b + 1) * block_size, count)) for b in blocks]


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


def draw64(key, number):
    return mix64((key + (number + 1) * GAMMA) & MASK)


def halves(key, first, count):
    """Steps ``first`` and those behind it, one half before the other, and so on within them."""
    if count == 1:
        return [first]
    middle = first + count // 2
    low, high = (halves(key, begin, count // 2) for begin in (first, middle))
    return high + low if draw32(key, middle) & 1 else low + high


def rotations_list(seed, epoch, stay, travel, rotations):
    """Pairs of a range that stays and one that travels, of so many, in the order of rotations."""
    keys = [stream_key(seed, epoch, stream) for stream in (4, 5, 6)]
    key = stream_key(seed, epoch, 11)
    fixed = {}  # (tile, place) -> range
    for r in range(stay):
        fixed[r % 8 if r // 8 % 2 == 0 else 7 - r % 8, r // 8] = r
    places = -(-max(stay, travel) // 8)
    drawn = {}
    for octet in range(-(-travel // 8)):
        for tile, at in enumerate(permutation(draw64(draw64(key, 0), octet), 8)):
            drawn[tile, octet] = octet * 8 + at
    steps = halves(draw64(key, 1), 0, 8)
    found = []
    for rotation in range(rotations):
        for step in steps if rotation % 2 == 0 else steps[::-1]:
            ends = (places * part // rotations for part in (rotation, rotation + 1))
            for number in range(*ends):
                for tile in range(8):
                    a, b, shifts = (permutation(draw64(k, 8 * step + tile), places) for k in keys)
                    for i in range(places):
                        one = fixed.get((tile, a[i]))
                        other = drawn.get((tile ^ step, b[(i + shifts[number]) % places]), travel)
                        if one is not None and other < travel:
                            found.append((one, other))
    return found


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
    return user, user << 13


def word(key, number, lane):
    """The uint32 word of one lane of a draw."""
    seed = mix64((key + (number + 1) * GAMMA) & MASK)
    low = ((seed & 0xFFFFFFFF) + lane * 0x9E3779B9) & 0xFFFFFFFF
    product = (low ^ low >> 16) * (seed >> 32 | 1) & 0xFFFFFFFF
    return product ^ product >> 16


def dithered(values, draw):
    """float32 values rounded to float16, away from zero with the probability that keeps the mean.

    The part of an ulp of float16 that does not fit, plus the draw's 13 highest bits over 2^13, is
    cut off; below 2^-14, where ulps are larger, what is left is rounded to nearest.
    """
    values = np.asarray(values, dtype=np.float32)
    bits = values.view(np.uint32) + (draw >> np.uint32(19))
    with np.errstate(over="ignore", invalid="ignore"):
        return (bits & np.uint32(0xFFFFE000)).view(np.float32).astype(np.float16)


def int8_scale(largest):
    """1/127 of the largest magnitude, rounded to 17 bits; 0 below 2^-100."""
    if largest < np.float32(2.0**-100):
        return np.float32(0)
    bits = (np.float32(largest) / np.float32(127)).view(np.uint32)
    return np.uint32((int(bits) + 0x40) & 0xFFFFFF80).view(np.float32)


def int8_rounded(values, block, draw):
    """float32 values [k] as int8 multiples [k] of scales [blocks]; to nearest without a draw."""
    size = -(-len(values) // 16) * 16
    block = min(block, size)
    scales = np.array(
        [int8_scale(np.abs(values[i : i + block]).max()) for i in range(0, len(values), block)],
        dtype=np.float32,
    )
    with np.errstate(divide="ignore"):
        steps = np.where(scales == 0, np.float32(0), np.float32(1) / scales)
    part = np.full(len(values), 0x8000) if draw is None else draw >> 16 & 0xFFF8 | 4
    offset = (128 + part * 2.0**-16).astype(np.float32)
    whole = fma(values, np.repeat(steps, block)[: len(values)], offset)
    return np.minimum(np.floor(whole) - 128, 127).astype(np.int8), scales


def stored(values, code, draw, block=32):
    """float32 values [k] after a store: code 1 as float16, 2 as int8; draw: None to nearest."""
    if code == 0:
        return values
    if code == 1:
        return values.astype(np.float16) if draw is None else dithered(values, draw)
    whole, scales = int8_rounded(values, block, draw)
    return whole * np.repeat(scales, min(block, -(-len(values) // 16) * 16))[: len(values)]


def stop(x, y, thresholds):
    """The first component near zero of either row; their length if there is none."""
    small = (np.abs(x) < np.float32(thresholds[0])) | (np.abs(y) < np.float32(thresholds[1]))
    return int(small.argmax()) if small.any() else len(x)


def epoch(users, items, ratings, p, q, codes, rates, visits, dither=None, block=32, end=None):
    """One epoch of SGD on float32 copies p [m, k] and q [n, k].

    codes: storages uint8 [m] and [n]. Rows are rounded to them, to nearest, or stochastically with
    the key ``dither``; an item's at every store, a user's after the last of its ratings that follow
    one another in a list of visits. end: thresholds of an update's first component near zero, from
    which on rows stay as they are. Returns, per rating, gradient_p, gradient_q, lost_p and lost_q.
    """
    eta, user_reg, item_reg = (np.float32(x) for x in rates)
    details = {}
    for numbers in visits:
        lying = None  # the user's row as it lies in memory
        for i, following in zip(numbers, [*numbers[1:], None], strict=True):
            u, v = users[i], items[i]
            x, y = p[u].copy(), q[v].copy()
            lying = x if lying is None else lying
            seen = np.arange(len(x)) < (len(x) if end is None else stop(x, y, end))
            whole, others = (x, y), (np.where(seen, x, 0), np.where(seen, y, 0))
            x, y = others
            e = np.float32(ratings[i]) - dot(x, y)
            step = eta * e

            def updated(own, other, reg, step=step):
                return fma(step, other, fma(-(eta * reg), own, own))

            user_draw, item_draw = (None, None) if dither is None else draws(dither, i, len(x))
            by_itself = updated(lying, y, user_reg)
            fresh_q = np.where(seen, updated(y, x, item_reg), whole[1])
            p[u] = np.where(seen, updated(x, y, user_reg), whole[0])
            if following is None or users[following] != u:
                p[u] = stored(p[u], codes[0][u], user_draw, block)
                lying = None
            q[v] = stored(fresh_q, codes[1][v], item_draw, block)
            details[i] = {
                "gradient_p": fma(e, y, -user_reg * x),
                "gradient_q": fma(e, x, -item_reg * y),
                "lost_p": stored(by_itself, codes[0][u], user_draw, block) - by_itself,
                "lost_q": q[v] - fresh_q,
            }
    return details


def half(values):
    """float32 values rounded to float16, and back."""
    with np.errstate(over="ignore"):
        return np.asarray(values, dtype=np.float32).astype(np.float16).astype(np.float32)


def dot_in_half(p, q):
    """``dot``, every partial sum and every addition rounded to float16."""
    partial = np.zeros(64, dtype=np.float32)
    size = -(-len(p) // 64) * 64
    p, q = np.pad(p, (0, size - len(p))), np.pad(q, (0, size - len(q)))
    for start in range(0, size, 64):
        partial = half(fma(p[start : start + 64], q[start : start + 64], partial))
    while len(partial) > 1:
        middle = len(partial) // 2
        partial = half(partial[:middle] + partial[middle:])
    return partial[0]


def fixed(values, largest, bits):
    """float32 values as multiples of the smallest power of two that fits the largest magnitude.

    That is: of which it takes at most 2^(bits - 1) - 1.
    """
    if largest < np.float32(2.0**-100):
        return np.zeros_like(values)
    most = 2.0 ** (bits - 1) - 1
    step = 2.0 ** np.ceil(np.log2(float(largest) / most))
    while float(largest) / step > most:  # whatever the logarithm's last bit is
        step *= 2
    while float(largest) / (step / 2) <= most:
        step /= 2
    return (np.rint(np.float64(values) / step) * step).astype(np.float32)


def in_half(x, y, rating, rates, _):
    eta, user_reg, item_reg = (np.float32(r) for r in rates)
    error = half(half(rating) - dot_in_half(x, y))

    def updated(own, other, reg):
        gradient = half(fma(error, other, half(half(-reg) * own)))
        return half(fma(half(eta), gradient, own))

    return updated(x, y, user_reg), updated(y, x, item_reg)


def in_full(x, y, gradients, step, rates):
    eta, *regs = (np.float32(r) for r in rates)
    return [
        fma(step, gradient, fma(-(eta * reg), own, own))
        for own, gradient, reg in zip((x, y), gradients, regs, strict=True)
    ]


def in_mixed(x, y, rating, rates, loss_scale, dot=dot):
    u, v = half(x), half(y)
    scaled = half(np.float32(loss_scale) * half(np.float32(rating) - half(dot(u, v))))
    if not np.isfinite(scaled):
        return x, y
    step = np.float32(rates[0]) / np.float32(loss_scale)
    return in_full(x, y, (half(scaled * v), half(scaled * u)), step, rates)


def in_fixed(x, y, rating, rates, bits, dot=dot):
    u, v = (fixed(row, np.abs(row).max(), bits) for row in (x, y))
    error = np.float32(rating) - dot(u, v)
    error = fixed(error, np.abs(error), bits)
    gradients = [fixed(error * row, np.abs(error) * np.abs(row).max(), bits) for row in (v, u)]
    return in_full(x, y, gradients, np.float32(rates[0]), rates)


QUANTISED = {"float16": in_half, "mixed": in_mixed, "fixed": in_fixed}
"""Arithmetic -> new rows from the old ones: x of a user, y of an item; rating, rates, quantiser."""
