"""Updates per second of every method on one machine: ``python -m benchmarks.throughput --help``.

All variants run in turn, round after round, in one process, so that a noisy machine is fair to
all; figures are medians. ``stream`` only loads and stores the rows that ``fp32`` would, in its
order: the bound that memory sets.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from benchmarks.workload import Workload, make_workload
from mascot_jax import kernels
from mascot_jax.data.synthetic import SHAPES
from mascot_jax.grouping import Grouping
from mascot_jax.initial import initial_state
from mascot_jax.kernels import Execution
from mascot_jax.ratings import Ratings
from mascot_jax.settings import METHODS, TrainSettings, validate
from mascot_jax.state import Side, TrainState
from mascot_jax.storage import FLOAT16, FLOAT32
from mascot_jax.training import measures, train_epoch
from pipeline.hardware import describe_hardware

Step = Callable[[TrainState], TrainState]

PRESET = METHODS["mascot"]
assert PRESET.warmup is not None
assert PRESET.period is not None
assert PRESET.period > 1  # the epoch after the first measured one is plain
PLAIN_EPOCH, MEASURED_EPOCH = PRESET.warmup + 1, PRESET.warmup
EPOCHS = 50
NEVER = 1e30
"""A threshold that no q-error exceeds."""

FACTORS = 128
TARGETS = {
    ("netflix", 2): {
        "fp16 / fp32": "at most 0.75",
        "mascot / fp16": "at most 1.05",
        "half in fp32 / weighted mean": "at most 1.15",
    },
    ("yahoo", 2): {
        "fp16 / fp32": "at most 0.60",
        "mascot / fp16": "at most 1.05",
        "half in fp32 / weighted mean": "at most 1.15",
    },
    ("netflix", 1): {"rate of fp32 / rate of stream": "at least 0.75"},
}
"""Of ratios, by shape and threads, with 128 factors; only printed, as machines differ."""


class Variant(NamedTuple):
    """One thing to time: a state, and what takes it a step further."""

    name: str
    method: str
    storage: str
    half_share: float
    """Share of the row traffic that is float16."""
    state: TrainState
    step: Step
    rounding: str = "nearest"


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="netflix")
    parser.add_argument("--factors", type=int, default=FACTORS)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--instruction-set", default="auto")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    execution = Execution(options.threads, options.instruction_set)
    workload = make_workload(options.shape)
    variants = _variants(workload, options.factors, execution)
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


def _variants(workload: Workload, factors: int, execution: Execution) -> list[Variant]:
    ratings, users, items = workload

    def settings(method: str, rounding: str = "nearest") -> TrainSettings:
        values = {"method": method, "factors": factors, "epochs": EPOCHS, "threshold": NEVER}
        values |= {"deterministic": False}
        values |= {"rounding": rounding}
        return validate(TrainSettings, values | {"learning_rate": 1e-3})

    def start(method: str) -> TrainState:
        return initial_state(users.starts, items.starts, settings(method))

    def train(method: str, epoch: int, rounding: str = "nearest") -> Step:
        def step(state: TrainState) -> TrainState:
            at_epoch = state._replace(epoch=jnp.uint32(epoch))
            return train_epoch(at_epoch, ratings, settings(method, rounding), execution)[0]

        return step

    def stream(state: TrainState) -> TrainState:
        users, items = _stream(state.users, state.items, ratings, factors, execution)
        return state._replace(users=users, items=items)

    pinned = start("mascot")
    pinned_users, user_half = _pin_half(pinned.users, users, factors, execution)
    pinned_items, item_half = _pin_half(pinned.items, items, factors, execution)
    pinned = pinned._replace(users=pinned_users, items=pinned_items)
    half = (user_half + item_half) / 2
    plain, measured = PLAIN_EPOCH, MEASURED_EPOCH
    dithered = train("fp16", plain, "stochastic")
    return [
        Variant("fp32", "fp32", "float32", 0.0, start("fp32"), train("fp32", plain)),
        Variant("stream", "stream", "float32", 0.0, start("fp32"), stream),
        Variant("fp16", "fp16", "float16", 1.0, start("fp16"), train("fp16", plain)),
        Variant("dithered", "fp16", "float16", 1.0, start("fp16"), dithered, "stochastic"),
        Variant("plain", "mascot", "float16", 1.0, start("mascot"), train("mascot", plain)),
        Variant("measured", "mascot", "float16", 1.0, start("mascot"), train("mascot", measured)),
        Variant("half", "mascot", "float16+float32", half, pinned, train("mascot", plain)),
    ]


@partial(jax.jit, static_argnames=("factors", "execution"), donate_argnames=("users", "items"))
def _stream(
    users: Side, items: Side, ratings: Ratings, factors: int, execution: Execution
) -> tuple[Side, Side]:
    rates, counters = jnp.zeros(4, jnp.float32), jnp.array([0, PLAIN_EPOCH], jnp.uint32)
    return kernels.run_stream(
        ratings, users, items, rates, counters, factors=factors, execution=execution
    )


def _pin_half(
    side: Side, grouping: Grouping, factors: int, execution: Execution
) -> tuple[Side, float]:
    """Promote groups, spread from the most-rated to the least, that carry half the traffic."""
    codes, visits = np.array(side.codes), grouping.visits
    promoted = 0
    for group, seen in enumerate(np.cumsum(visits)):
        if promoted + visits[group] / 2 <= seen / 2:
            codes[group] = FLOAT32.code
            promoted += int(visits[group])
    promote = jax.jit(
        partial(kernels.promote, factors=factors, execution=execution), donate_argnums=0
    )
    half = float(visits[codes == FLOAT16.code].sum() / visits.sum())
    return promote(side, jnp.asarray(codes)), half


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
        width = 4 - 2 * variant.half_share
        moved = count * (2 * 2 * factors * width + 12)  # two rows read and written, one rating read
        rows.append(
            {
                "method": method,
                "storage": variant.storage,
                "rounding": variant.rounding,
                "order": "shuffled",
                "threads": execution.threads,
                "traffic_float16": variant.half_share,
                "updates_per_s": count / time_,
                "gb_per_s": moved / time_ / 1e9,
                "relative_time": time_ / median["fp32"],
            }
        )

    for variant in variants:
        name = {
            "dithered": "fp16, stochastic",
            "plain": "mascot, plain epoch",
            "measured": "mascot, measuring epoch",
        }.get(variant.name, variant.name)
        add(variant, "mascot, half in fp32" if name == "half" else name, median[variant.name])
    schedule = [
        bool(
            measures(
                jnp.uint32(t), jnp.int32(PRESET.warmup), jnp.int32(PRESET.period), jnp.int32(EPOCHS)
            )
        )
        for t in range(EPOCHS)
    ]
    share = sum(schedule) / EPOCHS
    whole = share * median["measured"] + (1 - share) * median["plain"]
    add(next(v for v in variants if v.name == "plain"), "mascot", whole)
    return rows


def _print(
    rows: list[dict[str, Any]], targets: dict[str, str], write: Callable[[str], object]
) -> None:
    write(f"{'method':26}{'storage':18}{'M updates/s':>12}{'GB/s':>8}{'relative':>10}\n")
    for row in rows:
        write(
            f"{row['method']:26}{row['storage']:18}{row['updates_per_s'] / 1e6:12.1f}"
            f"{row['gb_per_s']:8.1f}{row['relative_time']:10.3f}\n"
        )
    time_of = {row["method"]: row["relative_time"] for row in rows}
    share = next(row["traffic_float16"] for row in rows if row["method"] == "mascot, half in fp32")
    mean = share * time_of["fp16"] + (1 - share) * time_of["fp32"]
    ratios = {
        "fp16 / fp32": time_of["fp16"],
        "mascot / fp16": time_of["mascot"] / time_of["fp16"],
        "half in fp32 / weighted mean": time_of["mascot, half in fp32"] / mean,
        "rate of fp32 / rate of stream": time_of["stream"],
    }
    for name, ratio in ratios.items():
        target = f"  (target: {targets[name]})" if name in targets else ""
        write(f"{name:35}{ratio:.3f}{target}\n")


if __name__ == "__main__":
    main()
