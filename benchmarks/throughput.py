"""Updates per second of every method on one machine: ``python -m benchmarks.throughput --help``.

All variants of a shape run in turn, round after round, in one process, so that a noisy machine is
fair to all; figures are medians, relative to ``fp32`` with as many threads. ``stream`` only loads
and stores the rows that ``fp32`` would, in its order: the bound that memory sets. GB/s count two
rows a rating, each read and written, and a user's row once in a run; where rows are still in a
cache, less is moved.

With several ``--factors``, 128 among them, the last column divides each time by what the time with
128 factors predicts: as many times more as a rating moves bytes or takes instructions
(``benchmarks.instructions``), whichever is more. What exceeds 1.1 is marked.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import mascot_ffi

from benchmarks.harness.instructions import read_counts
from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.timing import Timings, time_rounds
from benchmarks.harness.variants import (
    DEFAULT,
    EPOCHS,
    MEASURED_EPOCH,
    PRESET,
    SETTINGS,
    Epoch,
    Maker,
)
from benchmarks.harness.workload import MOST_RATINGS, make_workload
from mascot_jax.data.synthetic.generator import SHAPES
from mascot_jax.engine.cores import usable_cores
from mascot_jax.engine.kernels import Execution
from mascot_jax.methods.switching import measures
from pipeline.common.hardware import describe_hardware

FACTORS = 128
LONG_ENOUGH = 4_000_000
"""Ratings to time at a time: of a smaller shape, several epochs in a row."""
PLAIN, MEASURING, HALF = "mascot, plain epoch", "mascot, measuring epoch", "mascot, half in fp32"
STREAM = "stream"
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    **{one.name: {"method": one.method, **one.values} for one in SETTINGS},
    STREAM: {"method": "fp32"},
    PLAIN: {"method": "mascot"},
    MEASURING: {"method": "mascot", "number": MEASURED_EPOCH},
    HALF: {"method": "mascot", "half_promoted": True},
}
"""What makes each, in the order of the tables."""
BY_DEFAULT = tuple(name for name in VARIANTS if "group-blocks" not in name)
"""Others take 12 bytes a rating more."""
UNEXPLAINED = 1.1
ALIKE: Mapping[str, str] = dict.fromkeys((PLAIN, MEASURING, HALF, "mascot"), "fp16")
"""Methods whose instructions are not counted -> whose grow alike with the factors: they run its
loops over most or all of the rows."""

RATIOS: Mapping[str, tuple[str, str]] = {
    "fp32, deterministic / fp32": ("fp32, deterministic", "fp32"),
    "default / fp32": (DEFAULT, "fp32"),
    "default / fp32, deterministic": (DEFAULT, "fp32, deterministic"),
    "fp16 / fp32": ("fp16", "fp32"),
    "fp16, stochastic / fp32": ("fp16, stochastic", "fp32"),
    "mascot / fp16": ("mascot", "fp16"),
    "measuring / plain epoch": (MEASURING, PLAIN),
    "int8 runs / fp16 stochastic runs": ("int8, runs", "fp16, stochastic, runs"),
    "stream / fp32": ("stream", "fp32"),
}
"""Of times. The last is the share that loads and stores have in fp32's."""
WEIGHTED = "half in fp32 / weighted mean"
TARGETS = {
    ("ml-1m", 1): {"fp16, stochastic / fp32": 1.1, "default / fp32": 0.7},
    ("ml-1m", 2): {"fp32, deterministic / fp32": 0.35, "default / fp32": 0.35},
    ("netflix", 2): {
        "fp32, deterministic / fp32": 0.12,
        "default / fp32": 0.11,
        "int8 runs / fp16 stochastic runs": 1.1,
    },
    ("yahoo", 2): {"default / fp32": 0.3},
}
"""At most, by shape and threads, with 128 factors; only printed, as machines differ."""
TARGETS_OF_ALL = {"mascot / fp16": 1.05, WEIGHTED: 1.15}


class Way(NamedTuple):
    """How epochs run, and over rows of how many factors."""

    factors: int
    execution: Execution

    def __str__(self) -> str:
        """Return what tells it from the others."""
        threads, instruction_set = self.execution.threads, self.execution.instruction_set
        return f"k = {self.factors}, threads: {threads}, instruction set: {instruction_set}"


Row = dict[str, Any]
Tables = dict[Way, list[Row]]


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    shapes = ["ml-1m", "netflix", "yahoo"]
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=shapes)
    parser.add_argument("--ratings", type=int, default=MOST_RATINGS, help="at most so many")
    parser.add_argument("--factors", type=int, nargs="+", default=[FACTORS])
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, usable_cores()}))
    parser.add_argument("--instruction-sets", nargs="+", default=[_best_instruction_set()])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument(
        "--variants",
        nargs="+",
        metavar="NAME",
        default=BY_DEFAULT,
        help="only these, as the table names them, and fp32: each order takes 12 bytes a rating",
    )
    options = parser.parse_args()
    if unknown := ", ".join(set(options.variants) - VARIANTS.keys()):
        sys.exit(f"--variants: no {unknown}; there are: {'; '.join(VARIANTS)}")
    ways = [
        Way(factors, Execution(threads, instruction_set))
        for factors in options.factors
        for instruction_set in options.instruction_sets
        for threads in options.threads
    ]
    tables = []
    for shape in options.shapes:
        tables += _measure(shape, options.ratings, ways, options.variants, options.rounds)
    result = {
        "rounds": options.rounds,
        "hardware": describe_hardware(),
        "peak_gib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        "tables": tables,
    }
    write_result(options.json, result)


def _best_instruction_set() -> str:
    return str(mascot_ffi.build_info()["instruction_sets"][0])


def _measure(
    shape: str, most: int, ways: Sequence[Way], names: Sequence[str], rounds: int
) -> list[dict[str, Any]]:
    """Time the variants of these names in all ways; print and return a table for each way."""
    problem = make_workload(shape, most=most)
    count = len(problem.ratings)
    maker = Maker(problem, *ways[0])
    variants = {way: _variants(maker.alike(*way), way, names) for way in ways}
    timings = time_rounds(
        [one for each in variants.values() for one in each.values()],
        rounds,
        max(1, LONG_ENOUGH // count),
    )
    tables = {way: _rows(each, way, timings, count) for way, each in variants.items()}
    _predict(tables)
    return [_report(shape, count, way, rows) for way, rows in tables.items()]


def _variants(make: Maker, way: Way, names: Sequence[str]) -> dict[str, Epoch]:
    """Return the variants of these names, and ``fp32``, in the order of the table."""
    chosen = [name for name in VARIANTS if name in names or name == "fp32"]
    return {
        name: (make.stream if name == STREAM else make.epoch)(f"{name}, {way}", **VARIANTS[name])
        for name in chosen
    }


def _rows(variants: Mapping[str, Epoch], way: Way, timings: Timings, count: int) -> list[Row]:
    seconds = {name: timings.median(variant.name) for name, variant in variants.items()}
    if PLAIN in seconds and MEASURING in seconds:
        share = _measured_share()
        seconds["mascot"] = share * seconds[MEASURING] + (1 - share) * seconds[PLAIN]
        variants = {**variants, "mascot": variants[PLAIN]}
    return [
        {
            "method": name,
            "storage": "+".join(variant.shares),
            "rounding": variant.plan.rounding,
            "order": variant.plan.order,
            "deterministic": variant.plan.deterministic,
            "traffic_float16": variant.shares.get("float16", 0.0),
            "rating_bytes": variant.rating_bytes,
            "updates_per_s": count / seconds[name],
            "gb_per_s": count * variant.rating_bytes / seconds[name] / 1e9,
            "relative_time": seconds[name] / seconds["fp32"],
        }
        for name, variant in variants.items()
    ]


def _measured_share() -> float:
    """Return the share of a training's epochs in which ``mascot`` measures."""
    when = jnp.int32(PRESET.warmup), jnp.int32(PRESET.period), jnp.int32(EPOCHS)
    return sum(bool(measures(jnp.uint32(epoch), *when)) for epoch in range(EPOCHS)) / EPOCHS


def _predict(tables: Tables) -> None:
    """Add to each row what the same one with 128 factors predicts of its time, as its multiple."""
    counts = read_counts()
    for way, rows in tables.items():
        base = tables.get(way._replace(factors=FACTORS), [])
        for row, known in zip(rows, base, strict=False):
            counted = ALIKE.get(row["method"], row["method"])
            keys = (
                (way.execution.instruction_set, counted, factors)
                for factors in (way.factors, FACTORS)
            )
            instructions = [counts[key] for key in keys if key in counts]
            ratios = [row["rating_bytes"] / known["rating_bytes"]]
            if len(instructions) == 2:
                ratios.append(instructions[0] / instructions[1])
            took = known["updates_per_s"] / row["updates_per_s"]
            row["over_predicted"] = took / max(ratios)


def _report(shape: str, count: int, way: Way, rows: Sequence[Row]) -> dict[str, Any]:
    """Print a table and its ratios; return both for JSON."""
    threads = way.execution.threads
    sys.stdout.write(f"\n{shape}, {count} ratings, {way}\n")
    head = f"{'method':38}{'M updates/s':>12}{'bytes':>7}{'GB/s':>7}{'relative':>10}"
    sys.stdout.write(f"{head}{'of predicted':>14}\n")
    for row in rows:
        over = row.get("over_predicted", 1.0)
        mark = "  more than explained" if over > UNEXPLAINED else ""
        sys.stdout.write(
            f"{row['method']:38}{row['updates_per_s'] / 1e6:12.1f}{row['rating_bytes']:7.0f}"
            f"{row['gb_per_s']:7.1f}{row['relative_time']:10.3f}{over:14.2f}{mark}\n"
        )
    targets = TARGETS_OF_ALL | TARGETS.get((shape, threads), {}) if way.factors == FACTORS else {}
    ratios = _ratios(rows)
    for name, ratio in ratios.items():
        target = f"  (target: at most {targets[name]})" if name in targets else ""
        sys.stdout.write(f"  {name:42}{ratio:.3f}{target}\n")
    return {
        "shape": shape,
        "ratings": count,
        "factors": way.factors,
        "threads": threads,
        "instruction_set": way.execution.instruction_set,
        "ratios": ratios,
        "variants": rows,
    }


def _ratios(rows: Sequence[Row]) -> dict[str, float]:
    """Return those ratios of times whose variants were all timed."""
    time_of = {row["method"]: row["relative_time"] for row in rows}
    known = {
        name: time_of[one] / time_of[other]
        for name, (one, other) in RATIOS.items()
        if one in time_of and other in time_of
    }
    if HALF in time_of and "fp16" in time_of:
        share = next(row["traffic_float16"] for row in rows if row["method"] == HALF)
        mean = share * time_of["fp16"] + (1 - share) * time_of["fp32"]
        known[WEIGHTED] = time_of[HALF] / mean
    return known


if __name__ == "__main__":
    main()
