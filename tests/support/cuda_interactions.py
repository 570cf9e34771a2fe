"""The CUDA kernels of interactions compiled for the host (tests/native), on NumPy arrays."""

import ctypes
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from mascot_jax.engine.tables import to_host
from tests.support import cuda_reference
from tests.support.cuda_on_host import (
    HostWorld,
    Sums,
    call,
    compile_kernels,
    guarded,
    make_world,
)
from tests.support.interactions_reference import Data
from tests.support.worlds import World

LOSSES = ["squared", "logistic"]


def compile_interactions(folder, *, every_kernel):
    """Compile the kernels: all, or those for k up to 64 with FP16 alone or any storage."""
    # Of the kernels on whole tables, only some are called. A few small runs take less time than
    # optimising does.
    flags = ["-Wno-unused-function", "-DMASCOT_ALL_KERNELS" if every_kernel else "-O0"]
    return compile_kernels(folder, "interactions_on_host", flags=flags)


class Interactions(ctypes.Structure):
    """``Interactions`` of ``ffi/cuda/model.h``."""

    _fields_ = (
        ("user_starts", ctypes.c_void_p),
        ("item_starts", ctypes.c_void_p),
        ("begin", ctypes.c_void_p),
        ("user_ranges", ctypes.c_int64),
        ("item_ranges", ctypes.c_int64),
        ("user_draws", ctypes.c_void_p),
        ("item_weights", ctypes.c_void_p),
        ("negative_weight", ctypes.c_void_p),
        ("loss", ctypes.c_uint8),
        ("items_before", ctypes.c_void_p),
        ("ranges", ctypes.c_void_p),
        ("users_at_once", ctypes.c_int),
    )


class Case(NamedTuple):
    """A world, and interactions in blocks."""

    world: object
    data: Data
    begin: np.ndarray

    def bare(self):
        """The case without the arrays of storages that no group is in."""
        return self._replace(world=self.world.bare())


def make_case(
    factors, codes, rows=(23, 17), ranges=(1, 1), share=0.15, negatives=4.0, loss="squared",
    weights=None, int8="int8-32", seed=0,
):  # fmt: skip
    """A random world with interactions of a share of all pairs, sorted into ranges at random."""
    world = make_world(factors, codes, rows=rows, int8=int8)
    rng = np.random.default_rng(seed)
    pairs = np.argwhere(rng.random(rows) < share).astype(np.uint32)
    # Starts may be alike: such a range is empty.
    starts = [
        np.concatenate([[0], np.sort(rng.integers(0, size + 1, count - 1)), [size]])
        for size, count in zip(rows, ranges, strict=True)
    ]
    blocks = [np.searchsorted(s, pairs[:, i], "right") - 1 for i, s in enumerate(starts)]
    block = blocks[0] * ranges[1] + blocks[1]
    pairs = pairs[np.argsort(block, kind="stable")]
    begin = np.searchsorted(np.sort(block), np.arange(ranges[0] * ranges[1]))
    data = Data(
        np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1]),
        rng.choice(np.float32([0, 0.5, 1, 2]), len(pairs)), (starts[0], starts[1]),
        rng.uniform(0, 2 * negatives, rows[0]).astype(np.float32),
        np.ones(rows[1], np.uint32) if weights is None else np.asarray(weights, np.uint32),
        0.75, loss,
    )  # fmt: skip
    return Case(world, data, begin.astype(np.uint32))


def case_of(ratings, users, items):
    """Interactions that are laid out, and tables of factors, without any padding."""
    counts = len(users), len(items)
    ranges = np.asarray(ratings.extent)[2:].tolist()
    starts = tuple(
        np.asarray(s)[: count + 1].astype(np.int64)
        for s, count in zip(ratings.strata[:2], ranges, strict=True)
    )
    negatives = ratings.negatives
    data = Data(
        *ratings.host(), starts, np.asarray(negatives.user_draws)[: counts[0]],
        np.asarray(negatives.item_weights)[: counts[1]], float(negatives.weight[0]), negatives.loss,
    )  # fmt: skip
    sides = [
        replace(side, stored={name: table[: len(side)] for name, table in side.stored.items()})
        for side in (users, items)
    ]
    p, q = (to_host(side).dense() for side in sides)
    world = World(ratings, *sides, p, q, data.users, data.items, data.values)
    return Case(world, data, np.asarray(ratings.strata.begin)[: ranges[0] * ranges[1]])


class HostInteractions(HostWorld):
    """A case, for the kernels on the host."""

    def __init__(self, library, case, factors, lookup="direct", at_once=32):
        data = case.data
        world = case.world._replace(user_rows=data.users, item_rows=data.items, values=data.values)
        super().__init__(library, world, factors, lookup=lookup)
        self.data, self.at_once = data, at_once
        self._starts = [guarded(np.asarray(s, np.uint32)) for s in data.starts]
        self._begin = guarded(case.begin)
        self._drawn = guarded(data.user_draws), guarded(data.item_weights)
        self._weight = guarded(np.array([data.weight], np.float32))
        self.items_before = guarded(np.full(len(data.item_weights) + 1, 99, np.uint64))
        size = call(library.mascot_range_size) * (len(data.starts[1]) - 1)
        self._ranges = guarded(np.full(size // 8, 99, np.uint64))

    @property
    def work(self):
        users, items = self._starts
        return Interactions(
            users.ctypes.data, items.ctypes.data, self._begin.ctypes.data, len(users) - 1,
            len(items) - 1, *(x.ctypes.data for x in self._drawn), self._weight.ctypes.data,
            LOSSES.index(self.data.loss), self.items_before.ctypes.data, self._ranges.ctypes.data,
            self.at_once,
        )  # fmt: skip

    def interact(
        self, rates, seed, epoch, sample_ratio=0.0, held=(0, 0), store=False, stochastic=False,
        grid=1, threads=32,
    ):  # fmt: skip
        """Run one epoch on ``grid`` blocks of ``threads`` threads, in place; return the sums."""
        rates = np.array([*rates, sample_ratio, 0], dtype=np.float32)
        counters = np.array([seed, epoch], dtype=np.uint32)
        groups = len(self.users.codes), len(self.items.codes)
        width = call(self.kernels.mascot_sums_width, self.factors)
        sums = guarded(np.zeros((sum(groups), width), dtype=np.float32))
        call(self.kernels.mascot_ranges, self.work, 256)
        call(
            self.kernels.mascot_interact, self.view, self.work, rates, counters, sums, *held, store,
            stochastic, grid, threads,
        )  # fmt: skip
        parts = np.split(sums, [groups[0]])
        return Sums(*(self.finished(np.ascontiguousarray(part), rates) for part in parts))

    def expected(self, case, rates, seed, epoch, store=False, dither=None):
        """Factors and details after an epoch of one warp in NumPy."""
        p, q = case.world.p.copy(), case.world.q.copy()
        ranges = len(case.data.starts[1]) - 1
        pieces = cuda_reference.sweeps(len(p), ranges, self.at_once, seed, epoch)
        details = cuda_reference.interactions(
            case.data, pieces, p, q, (self.users.row_codes, self.items.row_codes), rates,
            seed=seed, number=epoch, store=store, dither=dither, block=self.users.block,
        )  # fmt: skip
        return p, q, details
