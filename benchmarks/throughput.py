"""Updates per second of every method on one machine: ``python -m benchmarks.throughput --help``.

All variants run in turn, round after round, in one process, so that a noisy machine is fair to
all; figures are medians. ``stream`` only loads and stores the rows that ``fp32`` would, in its
order: the bound that memory sets. GB/s count two rows a rating, each read and written: in runs, and
where rows are still in a cache, less is moved.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from tqdm import tqdm

from benchmarks.variants import (
    COMPOSED,
    EPOCHS,
    HALF,
    MEASURING,
    PLAIN,
    PRESET,
    Variant,
    make_variants,
)
from benchmarks.workload import MOST_RATINGS, make_workload
from mascot_jax.data.synthetic.generator import SHAPES
from mascot_jax.engine.devices import usable_cores
from mascot_jax.engine.kernels import Execution
from mascot_jax.tables.traffic import relative_bytes
from mascot_jax.training.epoch import measures
from pipeline.common.hardware import describe_hardware

FACTORS = 128
DETERMINISTIC = "deterministic / Hogwild, fp32"
DETERMINISTIC_FP16 = "deterministic / Hogwild, fp16 stochastic"
BEST = "best at FP32's accuracy / fp32"
TARGETS = {
    ("netflix", 2): {
        "fp16 / fp32": "at most 0.75",
        "mascot / fp16": "at most 1.05",
        "half in fp32 / weighted mean": "at most 1.15",
        BEST: "at most 0.75",
        DETERMINISTIC: "at most 1.15",
        DETERMINISTIC_FP16: "at most 1.15",
    },
    ("yahoo", 2): {
        "fp16 / fp32": "at most 0.60",
        "mascot / fp16": "at most 1.05",
        "half in fp32 / weighted mean": "at most 1.15",
        BEST: "at most 0.45",
        DETERMINISTIC: "at most 1.15",
        DETERMINISTIC_FP16: "at most 1.15",
    },
    ("ml-1m", 2): {DETERMINISTIC: "at most 1.15", DETERMINISTIC_FP16: "at most 1.15"},
    ("netflix", 1): {"rate of fp32 / rate of stream": "at least 0.75"},
}
"""Of ratios, by shape and threads, with 128 factors; only printed, as machines differ."""


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="netflix")
    parser.add_argument("--factors", type=int, default=FACTORS)
    parser.add_argument("--threads", type=int, default=usable_cores())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--ratings", type=int, default=MOST_RATINGS, help="at most so many")
    parser.add_argument(
        "--variants",
        nargs="+",
        metavar="NAME",
        help="only these, as the table names them, and fp32: each order takes 12 bytes a rating",
    )
    parser.add_argument("--instruction-set", default="auto")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    execution = Execution(options.threads, options.instruction_set)
    workload = make_workload(options.shape, most=options.ratings)
    variants = make_variants(workload, options.factors, execution, options.variants)
    seconds = _time(variants, options.rounds)
    rows = _rows(variants, seconds, len(workload.ratings), options.factors, execution)
    targets = TARGETS.get((options.shape, options.threads), {})
    _print(rows, targets if options.factors == FACTORS else {}, sys.stdout.write)
    if options.json:
        result = {
            "shape": options.shape,
            "factors": options.factors,
            "ratings": len(workload.ratings),
            "rounds": options.rounds,
            "hardware": describe_hardware(),
            "variants": rows,
        }
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _time(variants: list[Variant], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of every step; one untimed round goes before."""
    states = {variant.name: variant.state for variant in variants}
    seconds: dict[str, list[float]] = {variant.name: [] for variant in variants}
    for round_number in tqdm(range(rounds + 1), desc="rounds", disable=None):
        for variant in variants:
            begin = time.perf_counter()
            state = jax.block_until_ready(variant.step(states[variant.name]))
            if round_number:
                seconds[variant.name].append(time.perf_counter() - begin)
            states[variant.name] = state
    return seconds


def _rows(
    variants: list[Variant],
    seconds: dict[str, list[float]],
    count: int,
    factors: int,
    execution: Execution,
) -> list[dict[str, Any]]:
    median = {name: statistics.median(times) for name, times in seconds.items()}
    rows = []

    def add(variant: Variant, method: str, time_: float) -> None:
        row_bytes = 4 * factors * relative_bytes(variant.shares, factors)
        moved = count * (2 * 2 * row_bytes + 12)  # two rows read and written, one rating read
        rows.append(
            {
                "method": method,
                "storage": variant.storage,
                "rounding": variant.rounding,
                "order": variant.order,
                "deterministic": variant.deterministic,
                "threads": execution.threads,
                "traffic_float16": variant.shares.get("float16", 0.0),
                "updates_per_s": count / time_,
                "gb_per_s": moved / time_ / 1e9,
                "relative_time": time_ / median["fp32"],
            }
        )

    for variant in variants:
        add(variant, variant.name, median[variant.name])
    if not {PLAIN, MEASURING} <= median.keys():
        return rows
    schedule = [
        bool(
            measures(
                jnp.uint32(t), jnp.int32(PRESET.warmup), jnp.int32(PRESET.period), jnp.int32(EPOCHS)
            )
        )
        for t in range(EPOCHS)
    ]
    share = sum(schedule) / EPOCHS
    times = median[MEASURING], median[PLAIN]
    whole = share * times[0] + (1 - share) * times[1]
    add(next(v for v in variants if v.name == PLAIN), "mascot", whole)
    return rows


def _print(
    rows: list[dict[str, Any]], targets: dict[str, str], write: Callable[[str], object]
) -> None:
    write(f"{'method':38}{'storage':18}{'M updates/s':>12}{'GB/s':>8}{'relative':>10}\n")
    for row in rows:
        write(
            f"{row['method']:38}{row['storage']:18}{row['updates_per_s'] / 1e6:12.1f}"
            f"{row['gb_per_s']:8.1f}{row['relative_time']:10.3f}\n"
        )
    for name, ratio in _ratios(rows).items():
        target = f"  (target: {targets[name]})" if name in targets else ""
        write(f"{name:42}{ratio:.3f}{target}\n")


def _ratios(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Return those ratios of times whose variants were all timed."""
    time_of = {row["method"]: row["relative_time"] for row in rows}
    ratios = {
        "fp16 / fp32": ("fp16", "fp32"),
        "mascot / fp16": ("mascot", "fp16"),
        "rate of fp32 / rate of stream": ("stream", "fp32"),
        DETERMINISTIC: ("fp32, deterministic", "fp32"),
        DETERMINISTIC_FP16: ("fp16, stochastic, deterministic", "fp16, stochastic"),
    }
    known = {
        name: time_of[one] / time_of[other]
        for name, (one, other) in ratios.items()
        if one in time_of and other in time_of
    }
    if HALF in time_of and "fp16" in time_of:
        share = next(row["traffic_float16"] for row in rows if row["method"] == HALF)
        mean = share * time_of["fp16"] + (1 - share) * time_of["fp32"]
        known["half in fp32 / weighted mean"] = time_of[HALF] / mean
    accurate = [
        time_of[name] for name, method, *_ in COMPOSED if method != "int8" and name in time_of
    ]
    if accurate:
        known[BEST] = min(accurate)
    return known


if __name__ == "__main__":
    main()
