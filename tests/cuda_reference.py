"""The arithmetic and order of one warp of the CUDA kernel, in plain NumPy.

A warp visits four ratings at a time, eight lanes to each. On the host its lanes run in turn from
one shuffle to the next: a lane writes its components of one step, then reads those of the next,
before the lane behind it writes. That is one of the orders a GPU may take, and this repeats it.
"""

import numpy as np

from tests.reference import dithered, draws, fma, is_sampled

WARP, TILE, TILES, PIECE = 32, 8, 4, 64


def vector(both_half):
    """Components that a lane holds side by side."""
    return 8 if both_half else 4


def components(lane, factors, v):
    """Return those of a row that a lane holds, in the order in which it adds them."""
    first = np.arange(lane * v, factors, TILE * v)
    held = (first[:, None] + np.arange(v)).ravel()
    return held[held < factors]


def dot(p, q, v):
    """Per lane four partial sums by fma, added as 0 + 2 and 1 + 3; then lanes in pairs."""
    factors = len(p)
    sums = np.zeros(TILE, dtype=np.float32)
    for lane in range(TILE):
        part = np.zeros(4, dtype=np.float32)
        for c in components(lane, factors, v):
            part[c % v % 4] = fma(p[c], q[c], part[c % v % 4])
        sums[lane] = (part[0] + part[2]) + (part[1] + part[3])
    for distance in (4, 2, 1):
        sums = sums + sums[np.arange(TILE) ^ distance]
    return sums[0]


def steps(user_half, item_half):
    """Rating numbers of one piece, four at a time, each four of one pair of storages."""
    assert len(user_half) <= PIECE
    pair = user_half + 2 * item_half
    lists = [np.flatnonzero(pair == p) for p in range(4)]
    return [group[i : i + TILES] for group in lists for i in range(0, len(group), TILES)]


def half_ulp(magnitude):
    """The distance between float16 numbers at a float32 magnitude."""
    exponent = np.maximum(np.frexp(magnitude)[1] - 1, -14)
    return np.ldexp(np.float32(1), exponent - 10)


def whole_ulps(own, change, draw):
    """A change as a multiple of an ulp of what it is added to, or of the sum if that is larger."""
    ulp = half_ulp(np.maximum(np.abs(own), np.abs(own + change)))
    share = (draw >> 16).astype(np.float32) * np.float32(2.0**-16)
    return np.floor(fma(change, 1 / ulp, share)) * ulp


def write(row, at, own, other, step, decay, half, store, draw):
    """Write a row's components ``at``; draw: theirs, uint32, or None to round to nearest."""
    if store:
        fresh = fma(step, other, fma(decay, own, own))
        if half:
            fresh = fresh.astype(np.float16) if draw is None else dithered(fresh, draw)
        row[at] = fresh
        return
    change = fma(step, other, decay * own)
    if half and draw is not None:
        change = whole_ulps(own, change, draw)
    if half:
        row[at] = (row[at] + change.astype(np.float16).astype(np.float32)).astype(np.float16)
    else:
        row[at] += change


def epoch(users, items, ratings, p, q, p_half, q_half, rates, store, dither=None, first=0):
    """One epoch over at most 64 ratings by one warp, on float32 copies p [m, k] and q [n, k].

    dither: key of stochastic rounding's draws; first: the number of the first rating.
    Returns, per rating, the rows and the error that it was computed from.
    """
    eta, user_reg, item_reg = (np.float32(r) for r in rates)
    factors = p.shape[1]
    order = steps(p_half[users], q_half[items])
    size = [vector(p_half[users[s[0]]] and q_half[items[s[0]]]) for s in order]
    held = [(p[users[i]].copy(), q[items[i]].copy()) for i in order[0]]
    details = {}
    for now, numbers in enumerate(order):
        last = now + 1 == len(order)
        upcoming = [] if last else [(p[users[i]] * 0, q[items[i]] * 0) for i in order[now + 1]]
        errors = []
        for i, (x, y) in zip(numbers, held, strict=True):
            error = np.float32(ratings[i]) - dot(x, y, size[now])
            errors.append(error)
            details[int(i)] = (x, y, error)
        for tile in range(TILES):
            for lane in range(TILE):
                if tile < len(numbers):
                    i, (x, y) = numbers[tile], held[tile]
                    u, v = users[i], items[i]
                    at = components(lane, factors, size[now])
                    step = eta * errors[tile]
                    drawn = draws(dither, first + int(i), factors) if dither else (None, None)
                    chance = [d if d is None else d[at] for d in drawn]
                    decays = -(eta * user_reg), -(eta * item_reg)
                    write(p[u], at, x[at], y[at], step, decays[0], p_half[u], store, chance[0])
                    write(q[v], at, y[at], x[at], step, decays[1], q_half[v], store, chance[1])
                if not last and tile < len(upcoming):
                    i = order[now + 1][tile]
                    at = components(lane, factors, size[now + 1])
                    upcoming[tile][0][at] = p[users[i]][at]
                    upcoming[tile][1][at] = q[items[i]][at]
        held = upcoming
    return details


def group_sums(details, side, rows, starts, half, rates, seed, number, ratio):
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
        stored = unrounded.astype(np.float16) if half[rows[i]] else unrounded
        norm = np.square(gradient.astype(np.float64)).sum()
        lost = np.square(stored.astype(np.float64) - unrounded).sum()
        group = np.searchsorted(starts, rows[i], side="right") - 1
        sums[group, :factors] += gradient
        sums[group, factors:] += [norm, 1, lost, float(eta) ** 2 * norm]
    return sums
