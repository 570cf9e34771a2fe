"""Trainings by several workers, for tests: what they leave, as a digest.

A process has as many CPU devices as XLA_FLAGS said when JAX started, so tests run this in one of
its own:

    XLA_FLAGS=--xla_force_host_platform_device_count=4 python -m tests.support.shared --workers 0 4
"""

import argparse
import hashlib
import itertools
import json

import jax
import numpy as np

from mascot_jax.distributed.workers import Workers
from mascot_jax.engine.devices import computing_on
from mascot_jax.engine.kernels import Execution
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


def problem(users, items, count):
    """A problem with test ratings."""
    train, test = ratings(users, items, count), ratings(users, items, 1000, seed=1)
    sizes = users, items
    counts = [np.bincount(x, minlength=n) for x, n in zip(train[:2], sizes, strict=True)]
    return make_problem(train, *(regroup(count, 12) for count in counts), test=test)


def prepared(case, shape, threads=2):
    """A small training of 3 epochs."""
    made = problem(*SHAPES[shape])
    values = {"factors": 20, "epochs": 3, "deterministic": True} | CASES[case]
    return prepare(made, made.plan(TrainSettings(**values), "cpu"), Execution(threads))


def workers_of(count):
    """So many devices of this process; None for 0."""
    return Workers(tuple(jax.devices("cpu")[:count])) if count else None


def digest(case, shape, count):
    """Train; return a digest of all that is left, and how many groups changed storage."""
    records = []
    with computing_on(jax.local_devices(backend="cpu")[0]):
        state = train_state(
            prepared(case, shape),
            Execution(2),
            lambda record, _: records.append(record),
            workers=workers_of(count),
        )
    codes = [record.users.codes for record in records]
    codes.append(np.asarray(state.users.codes)[: len(codes[0])])
    changed = sum(int((a != b).sum()) for a, b in itertools.pairwise(codes))
    return {"digest": digest_of(state, records), "changed": changed}


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
    args = parser.parse_args()
    for case, shape, count in itertools.product(args.cases, args.shapes, args.workers):
        if count <= min(SHAPES[shape][:2]):
            found = digest(case, shape, count)
            print(json.dumps({"case": case, "shape": shape, "workers": count} | found), flush=True)
    print(json.dumps({"in_place": stays_in_place("mascot", max(args.workers))}))


if __name__ == "__main__":
    main()
