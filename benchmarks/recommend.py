"""Time and memory of the ten best items for every user: ``python -m benchmarks.recommend --help``.

Random factors; as many seen items are excluded as the data set has ratings, most of them from a few
users. Exit status 1 says that a target was missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.targets import Target
from mascot_jax.data.synthetic.generator import SHAPES, USER_TAIL, Shape
from mascot_jax.data.synthetic.pairs import apportion, popularity
from mascot_jax.ranking.pairs import Pairs
from mascot_jax.ranking.top_n import Items, top_n
from pipeline.common.hardware import describe_hardware

GIB = 1 << 30
TARGETS = {"ml-1m": (1.0, 2.0), "netflix": (60.0, 2.0)}
"""Seconds and GiB of the whole process, on two cores with 128 factors and 10 items."""
CALLS = 100
"""For one user each; the median counts, and the first, which compiles, does not."""
WARM_UP = 8192
"""Users asked for beforehand, so that nothing is left to compile."""


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="netflix")
    parser.add_argument("--factors", type=int, default=128)
    parser.add_argument("--items", type=int, default=10, help="wanted for each user")
    parser.add_argument("--rounds", type=int, default=1, help="the fastest counts")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
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
    if options.json:
        result = {
            "shape": options.shape,
            "factors": options.factors,
            "items": options.items,
            "rounds": options.rounds,
            "hardware": describe_hardware(),
            **figures,
            "targets": reports,
        }
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if not all(target.met for target in targets):
        raise SystemExit(1)


def _measure(shape: Shape, factors: int, wanted: int, rounds: int) -> dict[str, Any]:
    """Return what it takes for all users of a shape."""
    rng = np.random.default_rng(0)
    users = rng.standard_normal((shape.users, factors), dtype=np.float32)
    items = rng.standard_normal((shape.items, factors), dtype=np.float32)
    counts = apportion(popularity(shape.users, USER_TAIL), shape.ratings, shape.items)
    starts = np.concatenate([[0], np.cumsum(rng.permutation(counts))])
    seen = Pairs(starts, rng.integers(0, shape.items, shape.ratings, dtype=np.uint32))
    first = min(WARM_UP, shape.users)
    began = time.perf_counter()
    top_n(users[:first], items, wanted, exclude=Pairs(starts[: first + 1], seen.items))
    warm_up = time.perf_counter() - began
    seconds, cpu_seconds = [], []
    for _ in range(rounds):
        began, cpu_began = time.perf_counter(), time.process_time()
        found = top_n(users, items, wanted, exclude=seen)
        seconds.append(time.perf_counter() - began)
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
    took: dict[str, list[float]] = {"one_user_ms": [], "one_user_laying_out_ms": []}
    for user in range(CALLS + 1):
        query, own = users[user : user + 1], seen.rows(np.array([user]))
        began = time.perf_counter()
        ranked.best(query, wanted, own)
        between = time.perf_counter()
        top_n(query, items, wanted, exclude=own)
        took["one_user_ms"].append(between - began)
        took["one_user_laying_out_ms"].append(time.perf_counter() - between)
    return {name: 1e3 * statistics.median(seconds[1:]) for name, seconds in took.items()}


if __name__ == "__main__":
    main()
