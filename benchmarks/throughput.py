"""Updates per second of every method on one machine: ``python -m benchmarks.throughput --help``.

All variants run in turn, round after round, in one process, so that a noisy machine is fair to
all; figures are medians. ``stream`` only loads and stores the rows that ``fp32`` would, in its
order: the bound that memory sets. GB/s count two rows a rating, each read and written: in runs, and
where rows are still in a cache, less is moved.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp

from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.timing import Timings, time_rounds
from benchmarks.harness.variants import EPOCHS, MEASURED_EPOCH, PRESET, Epoch, Maker
from benchmarks.harness.workload import MOST_RATINGS, make_workload
from mascot_jax.data.synthetic.generator import SHAPES
from mascot_jax.engine.cores import usable_cores
from mascot_jax.engine.kernels import Execution
from mascot_jax.methods.switching import measures
from pipeline.common.hardware import describe_hardware

FACTORS = 128
PLAIN, MEASURING, HALF = "mascot, plain epoch", "mascot, measuring epoch", "mascot, half in fp32"
RUNS, BLOCKS = {"order": "runs"}, {"order": "group-blocks"}
STOCHASTIC, DETERMINISTIC = {"rounding": "stochastic"}, {"deterministic": True}
COMPOSED: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("fp32, runs", "fp32", RUNS),
    ("fp32, group-blocks", "fp32", BLOCKS),
    ("fp32, deterministic", "fp32", DETERMINISTIC),
    ("fp16, stochastic", "fp16", STOCHASTIC),
    ("fp16, stochastic, runs", "fp16", STOCHASTIC | RUNS),
    ("fp16, stochastic, group-blocks", "fp16", STOCHASTIC | BLOCKS),
    ("fp16, stochastic, deterministic", "fp16", STOCHASTIC | DETERMINISTIC),
    ("fp16, stochastic, runs, deterministic", "fp16", STOCHASTIC | RUNS | DETERMINISTIC),
    ("int8, runs", "int8", RUNS),
)
"""Name, method, settings; all but int8 as accurate as fp32, or nearly (``benchmarks.accuracy``)."""

OF_FP32, OF_FP16 = "deterministic / Hogwild, fp32", "deterministic / Hogwild, fp16 stochastic"
BEST = "best at FP32's accuracy / fp32"
LARGE = {
    "mascot / fp16": "at most 1.05",
    "half in fp32 / weighted mean": "at most 1.15",
    OF_FP32: "at most 1.15",
    OF_FP16: "at most 1.15",
}
TARGETS = {
    ("netflix", 2): LARGE | {"fp16 / fp32": "at most 0.75", BEST: "at most 0.75"},
    ("yahoo", 2): LARGE | {"fp16 / fp32": "at most 0.60", BEST: "at most 0.45"},
    ("ml-1m", 2): {OF_FP32: "at most 1.15", OF_FP16: "at most 1.15"},
    ("netflix", 1): {"rate of fp32 / rate of stream": "at least 0.75"},
}
"""Of ratios, by shape and threads, with 128 factors; only printed, as machines differ."""


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
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
    options = parser.parse_args()
    execution = Execution(options.threads, options.instruction_set)
    problem = make_workload(options.shape, most=options.ratings)
    variants = _variants(Maker(problem, options.factors, execution), options.variants or ())
    timings = time_rounds(variants, options.rounds)
    rows = _rows(variants, timings, len(problem.ratings), options.threads)
    targets = TARGETS.get((options.shape, options.threads), {})
    _print(rows, targets if options.factors == FACTORS else {})
    result = {
        "shape": options.shape,
        "factors": options.factors,
        "ratings": len(problem.ratings),
        "rounds": options.rounds,
        "hardware": describe_hardware(),
        "variants": rows,
    }
    write_result(options.json, result)


def _variants(make: Maker, names: Sequence[str]) -> list[Epoch]:
    """Return all variants in the order of the table, or those of these names and ``fp32``."""
    makers: dict[str, Callable[[str], Epoch]] = {
        "fp32": partial(make.epoch, method="fp32"),
        "stream": partial(make.stream, method="fp32"),
        "fp16": partial(make.epoch, method="fp16"),
        PLAIN: partial(make.epoch, method="mascot"),
        MEASURING: partial(make.epoch, method="mascot", number=MEASURED_EPOCH),
        HALF: partial(make.epoch, method="mascot", half_promoted=True),
        **{name: partial(make.epoch, method=m, **values) for name, m, values in COMPOSED},
    }
    unknown = [name for name in names if name not in makers]
    if unknown:
        sys.exit(f"--variants: no {', '.join(unknown)}; there are: {'; '.join(makers)}")
    chosen = ("fp32", *names) if names else makers
    return [maker(name) for name, maker in makers.items() if name in chosen]


def _rows(
    variants: Sequence[Epoch], timings: Timings, count: int, threads: int
) -> list[dict[str, Any]]:
    def row(variant: Epoch, method: str, seconds: float) -> dict[str, Any]:
        plan = variant.plan
        moved = count * (2 * 2 * variant.row_bytes + 12)  # two rows both ways, one rating read
        return {
            "method": method,
            "storage": "+".join(variant.shares),
            "rounding": plan.rounding,
            "order": plan.order,
            "deterministic": plan.deterministic,
            "threads": threads,
            "traffic_float16": variant.shares.get("float16", 0.0),
            "updates_per_s": count / seconds,
            "gb_per_s": moved / seconds / 1e9,
            "relative_time": seconds / timings.median("fp32"),
        }

    rows = [row(variant, variant.name, timings.median(variant.name)) for variant in variants]
    plain = [variant for variant in variants if variant.name == PLAIN]
    if plain and MEASURING in timings.seconds:
        share = _measured_share()
        seconds = share * timings.median(MEASURING) + (1 - share) * timings.median(PLAIN)
        rows.append(row(plain[0], "mascot", seconds))
    return rows


def _measured_share() -> float:
    """Return the share of a training's epochs in which ``mascot`` measures."""
    when = jnp.int32(PRESET.warmup), jnp.int32(PRESET.period), jnp.int32(EPOCHS)
    return sum(bool(measures(jnp.uint32(epoch), *when)) for epoch in range(EPOCHS)) / EPOCHS


def _print(rows: Sequence[dict[str, Any]], targets: dict[str, str]) -> None:
    sys.stdout.write(f"{'method':38}{'storage':18}{'M updates/s':>12}{'GB/s':>8}{'relative':>10}\n")
    for row in rows:
        sys.stdout.write(
            f"{row['method']:38}{row['storage']:18}{row['updates_per_s'] / 1e6:12.1f}"
            f"{row['gb_per_s']:8.1f}{row['relative_time']:10.3f}\n"
        )
    for name, ratio in _ratios(rows).items():
        target = f"  (target: {targets[name]})" if name in targets else ""
        sys.stdout.write(f"{name:42}{ratio:.3f}{target}\n")


def _ratios(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return those ratios of times whose variants were all timed."""
    time_of = {row["method"]: row["relative_time"] for row in rows}
    ratios = {
        "fp16 / fp32": ("fp16", "fp32"),
        "mascot / fp16": ("mascot", "fp16"),
        "rate of fp32 / rate of stream": ("stream", "fp32"),
        OF_FP32: ("fp32, deterministic", "fp32"),
        OF_FP16: ("fp16, stochastic, deterministic", "fp16, stochastic"),
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
    accurate = [time_of[n] for n, method, _ in COMPOSED if method != "int8" and n in time_of]
    if accurate:
        known[BEST] = min(accurate)
    return known


if __name__ == "__main__":
    main()
