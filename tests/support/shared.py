"""Trainings by several workers, for tests: what they leave, as a digest.

A process has as many CPU devices as XLA_FLAGS said when JAX started, so tests run this in one of
its own:

    XLA_FLAGS=--xla_force_host_platform_device_count=4 python -m tests.support.shared --workers 0 4
"""

import argparse
import hashlib
import itertools
import json
import tempfile
from unittest.mock import patch

import jax
import numpy as np

from mascot_jax.distributed import epoch
from mascot_jax.distributed.workers import Workers
from mascot_jax.engine import turns
from mascot_jax.engine.devices import computing_on
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.scratch import Scratch, ScratchFolder
from mascot_jax.engine.tables import to_host
from mascot_jax.settings import TrainSettings
from mascot_jax.tables.groups import regroup
from mascot_jax.training import shared
from mascot_jax.training.loop import begin, train_state
from mascot_jax.training.problem import make_problem, prepare

MEASURING = {"warmup": 0, "period": 1, "sample_ratio": 0.5, "threshold": 0.5}
STOCHASTIC = {"rounding": "stochastic", "order": "runs"}
CASES = {
    "fp32": {"method": "fp32"},
    "fp16": {"method": "fp16", **STOCHASTIC},
    "mascot": {"method": "mascot", **MEASURING},
    "mascot-int8": {"method": "mascot-int8", **STOCHASTIC, **MEASURING, "threshold": 0.01},
    "mpt": {"method": "mpt"},
    "rotations": {"method": "fp16", **STOCHASTIC, "rotations": 2},
    "mascot, rotations": {"method": "mascot", **MEASURING, "rotations": 3},
    "mpt, rotations": {"method": "mpt", "rotations": 2},
    "tuned": {
        "method": "fp16",
        "recipe": "tuned",
        "biases": True,
        "validation": 0.1,
        "patience": 1,
    },
}
SHAPES = {"more users": (300, 200, 20_000), "more items": (150, 400, 5000), "few": (5, 90, 400)}


def ratings(users, items, count, seed=0):
    """Ratings of a rank-two truth, most of them of few users and items."""
    rng = np.random.default_rng(seed)
    p, q = rng.uniform(0.5, 1.6, (2, max(users, items), 2)).astype(np.float32)
    u = (users * rng.random(count) ** 3).astype(np.uint32)
    i = (items * rng.random(count) ** 3).astype(np.uint32)
    return u, i, (p[u] * q[i]).sum(axis=1, dtype=np.float32)


def problem(users, items, count, scratch=None, *, expendable=False):
    """A problem with test ratings; the others in a file if there is a folder for it."""
    train, test = ratings(users, items, count), ratings(users, items, 1000, seed=1)
    sizes = users, items
    counts = [np.bincount(x, minlength=n) for x, n in zip(train[:2], sizes, strict=True)]
    groups = [regroup(count, 12) for count in counts]
    if scratch is None:
        return make_problem(train, *groups, test=test, expendable=expendable)
    file = Scratch(ScratchFolder(scratch), count)
    for number, column in enumerate(train):
        file.write(number, 0, column)
    return make_problem(file.ratings(), *groups, test=test, scratch=file)


def prepared(case, shape, threads=2, scratch=None, *, expendable=False, platform="cpu"):
    """A small training of 3 epochs."""
    made = problem(*SHAPES[shape], scratch, expendable=expendable)
    values = {"factors": 20, "epochs": 3} | CASES[case]
    return prepare(made, made.plan(TrainSettings(**values), platform), Execution(threads))


class AsGpus(Workers):
    """CPU devices that run the program of GPUs, by ``hogwild_in_order``."""

    platform = "gpu"


def hogwild_in_order(
    ratings, users, items, rates, counters, numbers, pairs, span, *, most_in_flight, **options
):
    """``turns.run_hogwild`` by the CPU's kernel, which visits the blocks in their order."""
    strata = ratings.strata
    sides = (strata.user_starts, users), (strata.item_starts, items)
    sums = (turns.no_sums(len(starts) + table.groups, table.factors) for starts, table in sides)
    users, items, sums = turns.run_turns(
        ratings, users, items, tuple(sums), rates, counters, numbers, pairs, span, **options
    )
    totals = (
        turns.total_sums(table, starts, rates, words)
        for (starts, table), words in zip(sides, sums, strict=True)
    )
    return users, items, *totals


def workers_of(count, *, races=False):
    """So many devices of this process; None for 0."""
    kind = AsGpus if races else Workers
    return kind(tuple(jax.devices("cpu")[:count])) if count else None


def digest(case, shape, count, scratch=None, *, races=False):
    """Train; return a digest of all that is left, and how many groups changed storage."""
    records = []
    with (
        computing_on(jax.local_devices(backend="cpu")[0]),
        patch.object(epoch, "run_hogwild", hogwild_in_order),
    ):
        state = train_state(
            prepared(case, shape, scratch=scratch, platform="gpu" if races else "cpu"),
            Execution(2),
            lambda record, _: records.append(record),
            workers=workers_of(count, races=races),
        )
    codes = [record.users.codes for record in records]
    codes.append(np.asarray(state.users.codes)[: len(codes[0])])
    changed = sum(int((a != b).sum()) for a, b in itertools.pairwise(codes))
    found = {"digest": digest_of(state, records), "changed": changed}
    return found | {"rmse": records[-1].test_rmse}


def digest_of(state, records):
    """A digest of the rows, and of the records but for the seconds."""
    found = hashlib.sha256()
    for table in (state.users, state.items):
        rows = to_host(table)
        for stored in (rows.starts, rows.codes, *(rows.stored[s] for s in sorted(rows.stored))):
            found.update(np.ascontiguousarray(stored).tobytes())
    for record in records:
        found.update(repr((record.validation_rmse, record.test_rmse)).encode())
        for side in (record.users, record.items):
            found.update(b"".join(np.ascontiguousarray(x).tobytes() for x in side))
    return found.hexdigest()


def pointers(state):
    """Where the workers' factors lie."""
    arrays = [array for table in (state.users, state.items) for array in table.stored.values()]
    shards = [shard.data for array in arrays for shard in array.addressable_shards]
    return [shard.unsafe_buffer_pointer() for shard in shards]


def stays_in_place(case, count):
    """Whether three epochs leave all factors where they were."""
    with computing_on(jax.local_devices(backend="cpu")[0]):
        made = prepared(case, "more users")
        start = begin(made).state
        run = shared.SharedTraining(made, Execution(1), workers_of(count))
        state = run.begin(start)
        before = pointers(state)
        for _ in range(3):
            state, _ = run.epoch(state)
        return pointers(state) == before


def main():
    """Print a JSON object for each training, and last whether tables stay in place."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workers", type=int, nargs="+", required=True)
    parser.add_argument("--cases", nargs="+", default=list(CASES))
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES))
    parser.add_argument("--on-disk", type=int, nargs="+", default=())
    parser.add_argument("--races", type=int, nargs="+", default=(), help="workers as GPUs, too")
    args = parser.parse_args()
    for case, shape, count in itertools.product(args.cases, args.shapes, args.workers):
        if count <= min(SHAPES[shape][:2]):
            with tempfile.TemporaryDirectory() as folder:
                found = digest(case, shape, count, folder if count in args.on_disk else None)
            print(json.dumps({"case": case, "shape": shape, "workers": count} | found), flush=True)
    for case, shape, count in itertools.product(args.cases, args.shapes, args.races):
        found = digest(case, shape, count, races=True) | {"races": True}
        print(json.dumps({"case": case, "shape": shape, "workers": count} | found), flush=True)
    most = max(args.workers)
    print(json.dumps({"in_place": stays_in_place("mascot", most) if most else None}))


if __name__ == "__main__":
    main()
