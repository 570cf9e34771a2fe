"""Embedding tables in plain NumPy: what every kernel must repeat bit for bit.

``wide`` and ``narrow`` are rows as they are stored, ``[rows, elements]``, in storages of their own;
``stored`` returns rows of values, float32 ``[rows, d]``.
"""

import numpy as np

from tests.support.reference import dithered as half_dithered
from tests.support.reference import (
    draws,
    fma,
    int8_rounded,
    stream_key,
    word,
)

FIRST_ROWS, ROWS = 8, 9
WHOLE = 1 << 20


def int4_scale(largest, draw):
    """1/7 of the largest magnitude, as bfloat16 rounded stochastically; 0 below 2^-100."""
    if largest < np.float32(2.0**-100):
        return np.float32(0)
    bits = int((np.float32(largest) / np.float32(7)).view(np.uint32))
    finite = bits & 0x7F800000 != 0x7F800000
    return np.uint32((bits + (int(draw) >> 16 if finite else 0)) & 0xFFFF0000).view(np.float32)


def int4_rounded(values, draw, scale_draw):
    """float32 values [d] as whole numbers [d] from -7 to 7 and their scale."""
    largest = np.abs(values).max()
    scale = int4_scale(largest, scale_draw)
    step = np.float32(7) / largest if scale else np.float32(0)
    offset = (136 + (draw >> 16 & 0xFFF8 | 4) * 2.0**-16).astype(np.float32)
    return (np.floor(fma(values, step, offset)) - 136).astype(np.int8), scale


def packed(whole, scale=None):
    """Bytes of a row of whole numbers [d] from -8 to 7, with its bfloat16 scale if it has one."""
    halves = (whole + 8).astype(np.uint8).reshape(-1, 2, 8)
    row = (halves[:, 0] | halves[:, 1] << 4).ravel()
    if scale is None:
        return row
    bfloat16 = np.array([np.float32(scale).view(np.uint32) >> 16], "<u2")
    return np.concatenate([row, bfloat16.view(np.uint8)])


def encoded(values, storage, key, number):
    """A row as it is stored: float32 values [d] -> elements."""
    if storage == "float32":
        return values
    draw, _ = draws(key, number, len(values))
    if storage == "float16":
        return half_dithered(values, draw)
    if storage == "int8-row":
        whole, scales = int8_rounded(values, WHOLE, draw)
        return np.concatenate([whole, scales.view(np.int8)])
    return packed(*int4_rounded(values, draw, word(key, number, 16)))


def decoded(row, storage, scale=None):
    """A row [elements] as float32 values [d]."""
    if storage in ("float32", "float16"):
        return row.astype(np.float32)
    if storage == "int8-row":
        return row[:-4] * np.ascontiguousarray(row[-4:]).view(np.float32)
    if storage == "int4-row":
        scale = (row[-2:].view("<u2").astype(np.uint32) << 16).view(np.float32)
        row = row[:-2]
    halves = np.stack([row.reshape(-1, 8) & 15, row.reshape(-1, 8) >> 4], 1)
    return (halves.astype(np.float32).ravel() - np.float32(8)) * np.float32(scale)


def looked_up(wide, narrow, storages, rows, scales, levels=0):
    """float32 [b, f, d]; storages: of wide and narrow rows."""

    def looked_up_once(f, row):
        is_wide = row < len(wide)
        stored = wide[row] if is_wide else narrow[row - len(wide)]
        storage = storages[not is_wide]
        if storage == "float32" and levels and scales[f] > 0:
            whole = np.clip(np.rint(stored / scales[f]), -levels - 1, levels)
            return whole.astype(np.float32) * scales[f]
        return decoded(stored, storage, scales[f])

    return np.stack([[looked_up_once(f, row) for f, row in enumerate(each)] for each in rows])


def updated(wide, narrow, storages, rows, gradients, step_size, seed, step):
    """Copies of both tables after a step; storages: of wide and narrow rows."""
    wide, narrow = wide.copy(), narrow.copy()
    key = stream_key(seed, step, ROWS)
    for f in range(rows.shape[1]):
        sums = {}
        for b, row in enumerate(rows[:, f]):
            sums[row] = sums[row] + gradients[b, f] if row in sums else gradients[b, f]
        for row, total in sums.items():
            is_wide = row < len(wide)
            table, at = (wide, row) if is_wide else (narrow, row - len(wide))
            storage = storages[not is_wide]
            value = fma(-np.float32(step_size), total, decoded(table[at], storage))
            table[at] = encoded(value, storage, key, int(row))
    return wide, narrow


def stored(values, storage, seed, first=0):
    """A table of float32 values [n, d]."""
    key = stream_key(seed, 0, FIRST_ROWS)
    return np.stack([encoded(v, storage, key, first + i) for i, v in enumerate(values)])
