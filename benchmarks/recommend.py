"""Time and memory of the ten best items for every user: ``python -m benchmarks.recommend --help``.

Random factors; as many seen items are excluded as the data set has ratings, most of them from a few
users. Exit status 1 says that a target was missed.
"""

from __future__ import annotations

import resource
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.targets import Target, exit_if_missed
from benchmarks.harness.timing import Variant, time_rounds, timed
from mascot_jax.data.synthetic.generator import SHAPES, USER_TAIL, Shape
from mascot_jax.data.synthetic.pairs import apportion, popularity
from mascot_jax.ranking.pairs import Pairs
from mascot_jax.ranking.top_n import Items, top_n
from pipeline.common.hardware import describe_hardware

GIB = 1 << 30
TARGETS = {"ml-1m": (1.0, 2.0), "netflix": (60.0, 2.0)}
"""Seconds and GiB of the whole process, on two cores with 128 factors and 10 items."""
CALLS = 100
"""For one user each."""
WARM_UP = 8192
"""Users asked for beforehand, so that nothing is left to compile."""


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="netflix")
    parser.add_argument("--factors", type=int, default=128)
    parser.add_argument("--items", type=int, default=10, help="wanted for each user")
    parser.add_argument("--rounds", type=int, default=1, help="the fastest counts")
    options = parser.parse_args()
    figures = _measure(SHAPES[options.shape], options.factors, options.items, options.rounds)
    for name, value in figures.items():
        sys.stdout.write(f"  {name:44}{value:10.4g}\n")
    targets = []
    if options.shape in TARGETS and (options.factors, options.items) == (128, 10):
        seconds, gib = TARGETS[options.shape]
        targets = [
            Target("seconds", figures["seconds"], seconds),
            Target("peak_gib", figures["peak_gib"], gib),
        ]
    reports = [target.report() for target in targets]
    result = {
        "shape": options.shape,
        "factors": options.factors,
        "items": options.items,
        "rounds": options.rounds,
        "hardware": describe_hardware(),
        **figures,
        "targets": reports,
    }
    write_result(options.json, result)
    exit_if_missed(reports)


def _measure(shape: Shape, factors: int, wanted: int, rounds: int) -> dict[str, Any]:
    """Return what it takes for all users of a shape."""
    rng = np.random.default_rng(0)
    users = rng.standard_normal((shape.users, factors), dtype=np.float32)
    items = rng.standard_normal((shape.items, factors), dtype=np.float32)
    counts = apportion(popularity(shape.users, USER_TAIL), shape.ratings, shape.items)
    starts = np.concatenate([[0], np.cumsum(rng.permutation(counts))])
    seen = Pairs(starts, rng.integers(0, shape.items, shape.ratings, dtype=np.uint32))
    first = min(WARM_UP, shape.users)
    seen_first = Pairs(starts[: first + 1], seen.items)
    warm_up, _ = timed(lambda: top_n(users[:first], items, wanted, exclude=seen_first))
    seconds, cpu_seconds = [], []
    for _ in range(rounds):
        cpu_began = time.process_time()
        took, found = timed(lambda: top_n(users, items, wanted, exclude=seen))
        seconds.append(took)
        cpu_seconds.append(time.process_time() - cpu_began)
    return {
        "users": shape.users,
        "recommended": len(found.items),
        "seconds_of_the_first_call": warm_up,
        "seconds": min(seconds),
        "cpu_seconds": min(cpu_seconds),
        "users_per_s": shape.users / min(seconds),
        **_one_at_a_time(users, items, seen, wanted),
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / GIB,
    }


def _one_at_a_time(
    users: NDArray[np.float32], items: NDArray[np.float32], seen: Pairs, wanted: int
) -> dict[str, float]:
    """Return what a call for one user takes: of items laid out once, and laid out by each call."""
    ranked = Items(items)
    queries = [(users[u : u + 1], seen.rows(np.array([u]))) for u in range(CALLS + 1)]

    def best(user: int) -> int:
        query, own = queries[user]
        ranked.best(query, wanted, own)
        return user + 1

    def lay_out_and_best(user: int) -> int:
        query, own = queries[user]
        top_n(query, items, wanted, exclude=own)
        return user + 1

    variants = (
        Variant("one_user_ms", int, best),
        Variant("one_user_laying_out_ms", int, lay_out_and_best),
    )
    timings = time_rounds(variants, CALLS)
    return {name: 1e3 * timings.median(name) for name in timings.seconds}


if __name__ == "__main__":
    main()
