"""A model in a process that runs for long: ``python -m benchmarks.online``.

A thousand updates by five ratings of a new user, then a thousand models of different sizes, then
answers for one user at a time. It prints memory, CPU time and latency over time. Exit status 1 says
that a target was missed.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.targets import Target, exit_if_missed
from mascot_jax import MatrixFactorization
from pipeline.common.hardware import describe_hardware

SPANS: Final = 10
"""Figures are taken so many times in a run."""
PAGE_KIB: Final = 4


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--updates", type=int, default=1000)
    parser.add_argument("--models", type=int, default=1000)
    parser.add_argument("--answers", type=int, default=1000)
    parser.add_argument("--factors", type=int, default=16)
    options = parser.parse_args()
    asked = {name: value for name, value in vars(options).items() if name != "json"}
    updates = _updates(options.updates, options.factors)
    models = _models(options.models, options.factors)
    answers = _answers(options.answers)
    targets = [
        Target("MiB that the updates add", _growth(updates), 50),
        Target("ms an update, median", _median(updates), 20),
        Target("MiB that the last nine tenths of models add", _growth(models), 300),
        Target("ms a list for one user, median", answers["recommend"], 1),
    ]
    result = asked | {
        "hardware": describe_hardware(),
        "updates_over_time": updates,
        "models_over_time": models,
        "milliseconds_an_answer": answers,
        "targets": [target.report() for target in targets],
    }
    write_result(options.json, result)
    exit_if_missed(result["targets"])


def _updates(count: int, factors: int) -> list[dict[str, float]]:
    """Update a model of 300 users and 200 items by five ratings of a new user, again and again."""
    model = MatrixFactorization(factors=factors, threads=1).fit(_made(300, 200, 6000, 0))

    def update(number: int) -> None:
        model.partial_fit(([10_000 + number] * 5, np.arange(5) + number % 100, [5.0, 4, 3, 2, 1]))

    update(-1)  # compiles its programs
    return _over_time("update", update, count)


def _models(count: int, factors: int) -> list[dict[str, float]]:
    """Fit models of 100 to 30,000 ratings, of as many users and items as these suggest."""
    sizes = np.random.default_rng(0).uniform(2, 4.5, (count, 3))

    def fit(number: int) -> None:
        ratings, users, items = (int(10**size) for size in sizes[number])
        data = _made(max(users // 10, 2), max(items // 20, 2), ratings, number)
        MatrixFactorization(factors=factors, epochs=5, threads=1).fit(data)

    return _over_time("model", fit, count)


def _answers(count: int) -> dict[str, float]:
    """Return the median milliseconds of answers about one user, or item, of MovieLens 1M's size."""
    users, items = 6040, 3706
    model = MatrixFactorization(epochs=1).fit(_made(users, items, 1_000_000, 0))
    asked = np.random.default_rng(1).integers(0, items, count).tolist()
    calls: dict[str, Callable[[int], Any]] = {
        "recommend": model.recommend,
        "predict": lambda one: model.predict(one, one),
        "similar_items": model.similar_items,
        "fold_in": lambda one: model.fold_in_user([one, 1, 2], [5, 4, 3]).recommend(),
    }
    found = {}
    for name, call in calls.items():
        call(0)
        found[name] = statistics.median(_seconds(call, one) for one in asked) * 1000
        sys.stdout.write(f"{name:14} {found[name]:8.3f} ms\n")
    return found


def _over_time(what: str, step: Callable[[int], None], count: int) -> list[dict[str, float]]:
    """Run steps; return memory, CPU time and latency at each tenth of them."""
    spans = []
    for part in np.array_split(np.arange(count), SPANS):
        cpu = time.process_time()
        seconds = [_seconds(step, int(number)) for number in part]
        spans.append(
            {
                "done": int(part[-1]) + 1,
                "mib": _resident_mib(),
                "cpu_ms": (time.process_time() - cpu) / len(part) * 1000,
                "median_ms": statistics.median(seconds) * 1000,
                "longest_ms": max(seconds) * 1000,
            }
        )
        sys.stdout.write(
            "{done:6} {what}s: {mib:6.0f} MiB, {cpu_ms:6.1f} ms of CPU each, "
            "median {median_ms:6.1f} ms, longest {longest_ms:7.1f} ms\n".format(
                what=what, **spans[-1]
            )
        )
        sys.stdout.flush()
    return spans


def _growth(spans: list[dict[str, float]]) -> float:
    return spans[-1]["mib"] - spans[0]["mib"]


def _median(spans: list[dict[str, float]]) -> float:
    return statistics.median(span["median_ms"] for span in spans)


def _seconds(call: Callable[[int], Any], argument: int) -> float:
    begin = time.perf_counter()
    call(argument)
    return time.perf_counter() - begin


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * PAGE_KIB / 1024


def _made(users: int, items: int, ratings: int, seed: int) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, users, ratings),
        rng.integers(0, items, ratings),
        rng.integers(1, 6, ratings).astype(np.float32),
    )


if __name__ == "__main__":
    main()
