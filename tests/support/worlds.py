"""Small worlds of ratings, groups and factors for kernel tests."""

from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from mascot_jax.engine import kernels
from mascot_jax.engine.codec import encode
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import Ratings, make_ratings
from mascot_jax.engine.tables import allocate, to_host
from mascot_jax.tables.groups import Grouping
from mascot_jax.tables.storage import FLOAT16, FLOAT32, STORAGES, by_code
from mascot_jax.tables.table import Table
from mascot_jax.training.problem import Problem, prepare

ONE = Execution(1)
UNSCALED = [storage.name for storage in STORAGES.values() if not storage.scale_block]
"""Storages without scales; of those with, one at a time is in a table."""
RATES = (0.05, 0.01, 0.015)
"""Learning rate and regularisation, unless a test sets its own."""


class World(NamedTuple):
    """Ratings, both sides for the kernel, and the same factors as plain float32 arrays."""

    ratings: Ratings
    users: Table
    items: Table
    p: np.ndarray
    q: np.ndarray
    user_rows: np.ndarray
    item_rows: np.ndarray
    values: np.ndarray

    def only(self, *storages):
        """The world without the arrays of other storages."""
        return self._replace(users=only(self.users, *storages), items=only(self.items, *storages))

    def bare(self):
        """The world without the arrays of storages that no group is in."""
        used = np.union1d(self.users.codes, self.items.codes)
        return self.only(*(s for s in self.users.stored if STORAGES[s].code in used))


def only(table, *storages):
    """The table without the arrays of other storages."""
    return replace(table, stored={name: table.stored[name] for name in storages})


# Compiled: int8's dozens of steps, one by one, take seconds.
encode_rows = partial(jax.jit, static_argnames="storage")(encode)


def make_table(factors, starts, codes, int8="int8-32"):
    """A table with every storage's array: rows where its group's code says, canaries elsewhere."""
    rows, k = factors.shape
    code_of_row = np.repeat(codes, np.diff(starts))
    stored = {}
    for storage in by_code([*UNSCALED, int8]).values():
        table = np.full((rows, storage.stride(k)), 77, dtype=storage.dtype)
        live = code_of_row == storage.code
        table[live] = 0
        table[live, : storage.elements(k)] = np.asarray(encode_rows(storage, factors))[live]
        stored[storage.name] = put(table, k, storage)
    return Table(
        k,
        dict(sorted(stored.items())),
        jnp.asarray(starts, dtype=jnp.uint32),
        jnp.asarray(codes, dtype=jnp.uint8),
    )


def put(table, factors, storage):
    """Copy a NumPy table into one that the library allocated: rows are aligned as in training."""
    return allocate(table.shape[0], factors, storage).at[:].set(jnp.asarray(table))


def live_rows(table):
    """Back to one float32 array [rows, k]."""
    return to_host(table).dense()


INT8 = STORAGES["int8-32"].code
CODES = {
    **{name: [STORAGES[name].code] for name in UNSCALED},
    "int8": [INT8],
    "mixed": [FLOAT32.code, FLOAT16.code],
    "all": [INT8, *(STORAGES[name].code for name in UNSCALED)],
}
"""Storages of the groups, in turn."""


def make_world(
    factors, codes="mixed", count=300, rows=(23, 17), groups=5, seed=0, scale=0.3, int8="int8-32"
):
    """A random world; codes: a key of CODES."""
    rng = np.random.default_rng(seed)

    def side(rows):
        starts = np.concatenate(
            [[0], np.sort(rng.choice(rows - 1, groups - 1, replace=False)) + 1, [rows]]
        )
        chosen = np.resize(CODES[codes], groups)
        drawn = rng.normal(0, scale, (rows, factors)).astype(np.float32)
        made = make_table(drawn, starts.astype(np.uint32), chosen.astype(np.uint8), int8)
        return made, live_rows(made)

    (users, p), (items, q) = side(rows[0]), side(rows[1])
    user_rows = rng.integers(0, rows[0], count).astype(np.uint32)
    item_rows = rng.integers(0, rows[1], count).astype(np.uint32)
    values = rng.integers(1, 6, count).astype(np.float32)
    ratings = make_ratings(user_rows, item_rows, values, *rows)
    return World(ratings, users, items, p, q, user_rows, item_rows, values)


def row_codes(table):
    """uint8 [rows]: the storage of each."""
    return np.repeat(np.asarray(table.codes), np.diff(np.asarray(table.starts)))


@partial(
    jax.jit,
    static_argnames=("rounding", "arithmetic", "execution"),
    donate_argnames=("users", "items"),
)
def epoch(
    ratings,
    users,
    items,
    rates,
    counters,
    execution,
    rounding="nearest",
    arithmetic="float32",
):
    return kernels.run_epoch(
        ratings,
        users,
        items,
        rates,
        counters,
        rounding=rounding,
        arithmetic=arithmetic,
        execution=execution,
    )


def visit(
    world,
    execution=ONE,
    seed=3,
    number=2,
    sample_ratio=0.0,
    rates=RATES,
    rounding="nearest",
    arithmetic="float32",
    quantiser=0.0,
    thresholds=(),
):
    """Run an epoch over a world, whose tables are then its own no more."""
    return epoch(
        world.ratings,
        world.users,
        world.items,
        jnp.array([*rates, sample_ratio, quantiser, *thresholds], dtype=jnp.float32),
        jnp.array([seed, number], dtype=jnp.uint32),
        execution,
        rounding,
        arithmetic,
    )


def aligned(values, dtype):
    """Values in memory that JAX would share rather than copy."""
    bytes_ = np.empty(len(values) * np.dtype(dtype).itemsize + 64, dtype=np.uint8)
    start = -bytes_.ctypes.data % 64
    array = bytes_[start : start + bytes_.size - 64].view(dtype)
    array[:] = values
    assert array.ctypes.data % 64 == 0
    return array


def prepared(ratings, users, items, settings, execution=ONE, test=None):
    """Ratings by row, in groups with these starts or Groupings, ready for a training."""

    def grouping(groups, rows, count):
        if isinstance(groups, Grouping):
            return groups
        starts = np.asarray(groups, dtype=np.uint32)
        visits = np.add.reduceat(np.bincount(rows, minlength=count), starts[:-1].astype(np.intp))
        return Grouping(np.arange(count, dtype=np.uint32), starts, visits, count)

    rows = ratings.host()
    problem = Problem(
        ratings,
        grouping(users, rows[0], ratings.user_count),
        grouping(items, rows[1], ratings.item_count),
        1.0,
        5.0,
        test,
    )
    return prepare(problem, problem.plan(settings, ratings.platform), execution)
