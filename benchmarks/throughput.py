"""Updates per second of every method on one machine: ``python -m benchmarks.throughput --help``.

All variants run in turn, round after round, in one process, so that a noisy machine is fair to
all; figures are medians. ``stream`` only loads and stores the rows that ``fp32`` would, in its
order: the bound that memory sets. GB/s count two rows a rating, each read and written: in runs, and
where rows are still in a cache, less is moved.
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

from benchmarks.workload import MOST_RATINGS, Workload, make_workload
from mascot_jax.data.synthetic import SHAPES
from mascot_jax.engine import kernels
from mascot_jax.engine.grouping import Grouping
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.state import Side, TrainState
from mascot_jax.engine.storage import FLOAT16, FLOAT32
from mascot_jax.presets import METHODS
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.training.epoch import measures, train_epoch
from mascot_jax.training.initial import initial_state
from mascot_jax.training.layout import lay_out
from mascot_jax.training.traffic import relative_bytes
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

PLAIN, MEASURING, HALF = "mascot, plain epoch", "mascot, measuring epoch", "mascot, half in fp32"
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


class Variant(NamedTuple):
    """One thing to time: a state, and what takes it a step further."""

    name: str
    storage: str
    shares: dict[str, float]
    """Storage name -> share of the row visits."""
    state: TrainState
    step: Step
    rounding: str = "nearest"
    order: str = "shuffled"
    deterministic: bool = False


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="netflix")
    parser.add_argument("--factors", type=int, default=FACTORS)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
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
    variants = _variants(workload, options.factors, execution, options.variants)
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


COMPOSED = (
    ("fp32, runs", "fp32", "nearest", "runs", False),
    ("fp32, group-blocks", "fp32", "nearest", "group-blocks", False),
    ("fp32, deterministic", "fp32", "nearest", "shuffled", True),
    ("fp16, stochastic", "fp16", "stochastic", "shuffled", False),
    ("fp16, stochastic, runs", "fp16", "stochastic", "runs", False),
    ("fp16, stochastic, group-blocks", "fp16", "stochastic", "group-blocks", False),
    ("fp16, stochastic, deterministic", "fp16", "stochastic", "shuffled", True),
    ("fp16, stochastic, runs, deterministic", "fp16", "stochastic", "runs", True),
    ("int8, runs", "int8", "stochastic", "runs", False),
)
"""Name, method, rounding, order, deterministic; all but int8 as accurate as fp32, or nearly
(``benchmarks.accuracy``)."""


class _Maker:
    """Makes variants over one workload; ratings are laid out once for each order."""

    def __init__(self, workload: Workload, factors: int, execution: Execution) -> None:
        self._workload = workload
        self._factors = factors
        self._execution = execution
        self._laid_out: dict[tuple[str, bool | None], Ratings] = {}

    def settings(self, method: str, **values: Any) -> TrainSettings:
        """Return settings with which no group ever switches, and no factor grows."""
        given = {"method": method, "factors": self._factors, "epochs": EPOCHS, "threshold": NEVER}
        given |= {"deterministic": False, "learning_rate": 1e-3}
        return validate(TrainSettings, given | values)

    def state(self, settings: TrainSettings) -> TrainState:
        """Return factors of one's own to train."""
        _, users, items = self._workload
        return initial_state(users.starts, items.starts, settings)

    def train(self, settings: TrainSettings, epoch: int = PLAIN_EPOCH) -> Step:
        """Return the step that repeats an epoch of this number."""
        ratings, users, items = self._workload
        key = (settings.order, settings.deterministic)
        if key not in self._laid_out:
            self._laid_out[key] = lay_out(ratings, settings, users.starts, items.starts)
        laid_out = self._laid_out[key]

        def step(state: TrainState) -> TrainState:
            at_epoch = state._replace(epoch=jnp.uint32(epoch))
            return train_epoch(at_epoch, laid_out, settings, self._execution)[0]

        return step

    def composed(
        self, name: str, method: str, rounding: str, order: str, deterministic: bool
    ) -> Variant:
        """Return a variant by its settings."""
        settings = self.settings(
            method, rounding=rounding, order=order, deterministic=deterministic
        )
        storage = settings.resolved().storage or "float32"
        step = self.train(settings)
        state = self.state(settings)
        return Variant(name, storage, {storage: 1.0}, state, step, rounding, order, deterministic)


def _variants(
    workload: Workload, factors: int, execution: Execution, names: list[str] | None
) -> list[Variant]:
    make = _Maker(workload, factors, execution)
    makers: dict[str, Callable[[], Variant]] = {
        "fp32": partial(make.composed, "fp32", "fp32", "nearest", "shuffled", False),
        **_of_the_paper(make, workload, factors, execution),
        **{composed[0]: partial(make.composed, *composed) for composed in COMPOSED},
    }
    unknown = [name for name in names or () if name not in makers]
    if unknown:
        sys.exit(f"--variants: no {', '.join(unknown)}; there are: {'; '.join(makers)}")
    return [maker() for name, maker in makers.items() if not names or name in ("fp32", *names)]


def _of_the_paper(
    make: _Maker, workload: Workload, factors: int, execution: Execution
) -> dict[str, Callable[[], Variant]]:
    """Return what makes the variants that have more to them than settings, by name."""
    ratings, users, items = workload
    mascot = make.settings("mascot")
    all32, all16 = {"float32": 1.0}, {"float16": 1.0}

    def step_of_stream(state: TrainState) -> TrainState:
        users, items = _stream(state.users, state.items, ratings, factors, execution)
        return state._replace(users=users, items=items)

    def stream() -> Variant:
        return Variant(
            "stream", "float32", all32, make.state(make.settings("fp32")), step_of_stream
        )

    def whole(name: str, epoch: int) -> Variant:
        return Variant(name, "float16", all16, make.state(mascot), make.train(mascot, epoch))

    def half(name: str) -> Variant:
        state = make.state(mascot)
        pinned_users, user_half = _pin_half(state.users, users, factors, execution)
        pinned_items, item_half = _pin_half(state.items, items, factors, execution)
        state = state._replace(users=pinned_users, items=pinned_items)
        share = (user_half + item_half) / 2
        shares = {"float16": share, "float32": 1 - share}
        return Variant(name, "float16+float32", shares, state, make.train(mascot))

    return {
        "stream": stream,
        "fp16": partial(make.composed, "fp16", "fp16", "nearest", "shuffled", False),
        PLAIN: partial(whole, PLAIN, PLAIN_EPOCH),
        MEASURING: partial(whole, MEASURING, MEASURED_EPOCH),
        HALF: partial(half, HALF),
    }


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
