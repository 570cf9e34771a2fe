"""Training from interactions in plain NumPy: the draws and the update, bit for bit."""

from typing import NamedTuple

import numpy as np

from tests.support.reference import GAMMA, MASK, dot, draws, fma, mix64, stored, stream_key


class Data(NamedTuple):
    """Interactions in blocks, sorted by user and item within each, and how negatives are drawn."""

    users: np.ndarray
    items: np.ndarray
    values: np.ndarray
    starts: tuple[np.ndarray, np.ndarray]  # of the ranges of users and of items
    user_draws: np.ndarray
    item_weights: np.ndarray
    weight: float
    loss: str


class Visit(NamedTuple):
    number: int
    item: int
    target: int
    weight: float


def draw64(key, number):
    return mix64((key + (number + 1) * GAMMA) & MASK)


def exponential(x):
    """exp(x) of a float32, -80 <= x <= 0, in float32 steps."""
    one = np.float32(1)
    scaled = np.float32(x) * np.float32(1.44269504)
    whole = np.rint(scaled)
    part = (scaled - whole) * np.float32(0.693147181)
    total = one / np.float32(720)
    for divisor in (120, 24, 6, 2, 1, 1):
        total = total * part + one / np.float32(divisor)
    return np.ldexp(total, int(whole))


def sigmoid(x):
    small = exponential(-min(np.abs(x), np.float32(80)))
    return (np.float32(1) if x >= 0 else small) / (np.float32(1) + small)


def turns(data, key, user, item_range, own):
    """The turns of a user with the items of a range: visits, or None where there is none.

    None stands for draws that are dropped, and for interactions of weight 0.
    own: numbers of the interactions.
    """
    low, high = data.starts[1][item_range : item_range + 2]
    before = [0, *np.cumsum(data.item_weights.astype(np.uint64)).tolist()]
    weight = before[high] - before[low]
    share = weight / before[data.starts[1][-1]]
    key = draw64(key, user * (len(data.starts[1]) - 1) + item_range)
    mean = float(data.user_draws[user]) * share
    count = int(mean + (draw64(key, 0) >> 11) * 2.0**-53)
    met = set(data.items[own].tolist())
    found, drawn, turn, numbers = [], 0, count // 2, list(own)
    while numbers or drawn < count:
        turn += len(own)
        if turn >= len(own) + count:
            turn -= len(own) + count
            i = numbers.pop(0)
            visit = Visit(i, int(data.items[i]), 1, data.values[i])
            found.append(visit if visit.weight else None)
            continue
        drawn += 1
        draw = draw64(key, drawn)
        place = before[low] + (draw * weight >> 64)
        item = int(np.searchsorted(before, place, side="right")) - 1
        negative = Visit(draw, item, 0, np.float32(data.weight))
        found.append(None if item in met else negative)
    return found


def visits(data, key, user, item_range, own):
    """The visits of a user to the items of a range."""
    return [visit for visit in turns(data, key, user, item_range, own) if visit is not None]


def error_of(data, visit, score):
    """What a visit's score is short of its target, weighted."""
    if data.loss == "logistic":
        score = sigmoid(score)
    return np.float32(visit.weight) * (np.float32(visit.target) - score)


def epoch(data, blocks, p, q, codes, rates, *, seed, number, stochastic=False, block=32):
    """An epoch on float32 copies p and q; blocks: (range of users, of items) in their order.

    Returns (user, visit, gradient_p, gradient_q) of each visit.
    """
    eta, user_reg, item_reg = (np.float32(x) for x in rates)
    key = stream_key(seed, number, 8)
    dither = stream_key(seed, number, 3) if stochastic else None
    details = []
    for users, items in blocks:
        low, high = data.starts[1][items : items + 2]
        within = (data.items >= low) & (data.items < high)
        for user in range(*data.starts[0][users : users + 2]):
            own = np.flatnonzero(within & (data.users == user)).tolist()
            found = visits(data, key, user, items, own) if low < high else []
            for visit in found:
                x, y = p[user].copy(), q[visit.item].copy()
                e = error_of(data, visit, dot(x, y))
                p[user] = fma(eta * e, y, fma(-(eta * user_reg), x, x))
                fresh = fma(eta * e, x, fma(-(eta * item_reg), y, y))
                draw = None if dither is None else draws(dither, visit.number, len(x))
                q[visit.item] = stored(
                    fresh, codes[1][visit.item], None if draw is None else draw[1], block
                )
                details.append((user, visit, fma(e, y, -user_reg * x), fma(e, x, -item_reg * y)))
            if found:
                p[user] = stored(p[user], codes[0][user], None if draw is None else draw[0], block)
    return details
