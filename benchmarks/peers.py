"""Updates per second beside other packages': ``python -m benchmarks.peers --help``.

Ours and the peers that are installed (the extra ``peers``) take turns in one process. A peer's
epoch is the difference of a long training and a short one, so that what it does beforehand does
not count. ``implicit`` is there for orientation: its epoch solves for both sides.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from benchmarks.harness.peers import EPOCHS, installed
from benchmarks.harness.peers.libmf import build
from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.timing import in_turn, timed
from benchmarks.harness.variants import DEFAULT, SETTINGS, Epoch, Maker
from benchmarks.harness.workload import MOST_RATINGS, make_workload
from mascot_jax.data.synthetic.generator import SHAPES
from mascot_jax.engine.cores import usable_cores
from mascot_jax.engine.kernels import Execution
from pipeline.common.hardware import describe_hardware

OURS = ("fp32", "fp32, deterministic", DEFAULT)
REFERENCE = "libmf"
LEAST = 4.0
"""Target: LIBMF's time over that of the faster of our deterministic ones."""
LONG_ENOUGH = 20_000_000
"""Ratings to time at a time: of a smaller shape, several epochs in a row."""

Measure = Callable[[], float]
"""Seconds of an epoch."""


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["ml-1m", "netflix"])
    parser.add_argument("--ratings", type=int, default=MOST_RATINGS, help="at most so many")
    parser.add_argument("--factors", type=int, default=128)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--peers", nargs="*", choices=EPOCHS, default=list(EPOCHS))
    options = parser.parse_args()
    peers = installed(options.peers)
    for name in options.peers:
        if name not in peers:
            sys.stdout.write(f"left out: {name} is not installed (pip install '.[peers]')\n")
    way = options.factors, options.threads, options.rounds
    tables = [_measure(shape, options.ratings, peers, *way) for shape in options.shapes]
    result = {
        "factors": options.factors,
        "threads": options.threads,
        "rounds": options.rounds,
        "hardware": describe_hardware(),
        "libmf": build()._asdict() if REFERENCE in peers else None,
        "tables": tables,
    }
    write_result(options.json, result)


def _measure(
    shape: str, most: int, peers: list[str], factors: int, threads: int, rounds: int
) -> dict[str, Any]:
    problem = make_workload(shape, most=most)
    count = len(problem.ratings)
    epochs = max(1, LONG_ENOUGH // count)
    maker = Maker(problem, factors, Execution(threads))
    measures: dict[str, Measure] = {
        setting.name: _Ours(maker.epoch(setting.name, setting.method, **setting.values), epochs)
        for setting in SETTINGS
        if setting.name in OURS
    }
    for name in peers:
        train = EPOCHS[name](problem, factors, threads)
        measures[name] = partial(_difference, train, epochs)
    seconds: dict[str, list[float]] = {name: [] for name in measures}
    for name, counts in in_turn(measures, rounds):
        took = measures[name]()
        if counts:
            seconds[name].append(took)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    return _report(shape, count, medians)


class _Ours:
    """Epochs of one of our own, each from where the last one ended."""

    def __init__(self, epoch: Epoch, epochs: int) -> None:
        self._epoch, self._epochs, self._state = epoch, epochs, epoch.begin()

    def __call__(self) -> float:
        took, self._state = timed(self._steps)
        return took / self._epochs

    def _steps(self) -> Any:
        state, self._state = self._state, None  # donated
        for _ in range(self._epochs):
            state = self._epoch.step(state)
        return state


def _difference(train: Callable[[int], None], epochs: int) -> float:
    short, long = (timed(partial(train, number))[0] for number in (1, 1 + epochs))
    return (long - short) / epochs


def _report(shape: str, count: int, medians: dict[str, float]) -> dict[str, Any]:
    """Print a table; return it for JSON."""
    fastest = min((name for name in OURS if name != "fp32"), key=medians.__getitem__)
    sys.stdout.write(f"\n{shape}, {count} ratings\n")
    head = f"{'':38}{'M updates/s':>12}{'s per M updates':>17}"
    sys.stdout.write(f"{head}   time over that of {fastest}\n")
    rows = []
    for name, seconds in medians.items():
        rate, over = count / seconds, seconds / medians[fastest]
        rows.append(
            {
                "name": name,
                "updates_per_s": rate,
                "seconds_per_million": 1e6 / rate,
                "over_fastest": over,
            }
        )
        aim = f"  (target: at least {LEAST:g})" if name == REFERENCE else ""
        sys.stdout.write(f"{name:38}{rate / 1e6:12.1f}{1e6 / rate:17.4f}{over:10.2f}{aim}\n")
    return {"shape": shape, "ratings": count, "fastest": fastest, "rows": rows}


if __name__ == "__main__":
    main()
