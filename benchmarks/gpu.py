"""What training takes on one GPU, beside what its memory can do: ``python -m benchmarks.gpu``.

Measures the card's copy bandwidth; then, for each shape of data and number of factors, single
epochs of every variant in turn, round after round, and whole trainings. Exit status 1 says that a
target was missed. ``stream`` loads and stores the rows that training would, in its order.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.bandwidth import cache_bandwidth, copy_bandwidth
from benchmarks.card import describe_card
from benchmarks.planted import GROUPS, Planted, make_planted, scaled_shape
from benchmarks.rounds import Step, Variant, time_rounds
from benchmarks.targets import Clock, Target
from mascot_jax.data.synthetic.generator import SHAPES
from mascot_jax.engine import kernels
from mascot_jax.engine.devices import choose_device
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.layout import lay_out
from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.state import TrainState
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.tables.storage import FLOAT16, FLOAT32, STORAGES
from mascot_jax.tables.table import Side
from mascot_jax.tables.traffic import Traffic
from mascot_jax.training.epoch import train_epoch
from mascot_jax.training.initial import initial_state

ORDER = ("netflix", "yahoo", "ml-25m", "ml-10m")
"""The shapes with targets come first: time may run out."""
FACTORS = (128, 64)
MORE_GROUPS = 500
ROUNDS = 5
EPOCHS = 50

PAPER_SECONDS = {
    "ml-10m": {"mascot": 0.68, "fp32": 1.25},
    "ml-25m": {"mascot": 1.91, "fp32": 3.5},
    "netflix": {"mascot": 10.06, "fp32": 18.0},
    "yahoo": {"mascot": 35.27, "fp32": 62.0},
}
"""Of 50 epochs on an RTX 2070, k = 128; fp32's are read off a plot."""
PAPER_RELATIVE = 0.55
"""Time of mascot over that of fp32, on average over data sets, k = 128."""

TARGET_FACTORS = 128
LEAST_SHARE = {"netflix": 0.70}
"""Of the copy bandwidth, by fp32."""
MOST_SECONDS = {"netflix": 1.6, "yahoo": 4.5}
"""Of 50 epochs in fp16."""
MOST_OVER_MEAN = 1.08
"""Of mascot's time over f t16 + (1 - f) t32, f the share of its row visits that was FP16."""
MOST_OVER_NAIVE = 1.02
"""Of mascot-opt's time over mascot-naive's; 1 and what medians of a few epochs differ by."""

DIRECT, OPT, NAIVE = Execution(), Execution(lookup="search"), Execution(lookup="per-row")
STORE = Execution(writes="store")


class Method(NamedTuple):
    """A whole training."""

    name: str
    method: str
    execution: Execution = DIRECT
    rounding: str | None = None
    order: str = "shuffled"


TRAININGS = (
    Method("fp32", "fp32"),
    Method("fp16", "fp16"),
    Method("fp16, stochastic", "fp16", rounding="stochastic"),
    Method("mascot", "mascot"),
    Method("mascot-n2", "mascot-n2"),
    Method("mascot-opt", "mascot", OPT),
    Method("mascot-naive", "mascot", NAIVE),
    Method("fp32, store", "fp32", STORE),
    Method("fp16, store", "fp16", STORE),
    Method("fp16, stochastic, runs", "fp16", rounding="stochastic", order="runs"),
    Method("int8, runs", "int8", order="runs"),
    Method("mascot-int8, runs", "mascot-int8", order="runs"),
)


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=ORDER)
    parser.add_argument("--factors", nargs="+", type=int, default=FACTORS)
    parser.add_argument("--minutes", type=float, default=8, help="begin nothing that takes longer")
    parser.add_argument("--backend", choices=["auto", "cpu", "cuda"], default="cuda")
    parser.add_argument("--ratings", type=int, help="scale shapes down, to try this program")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    clock = Clock(options.minutes * 60)
    device = choose_device(options.backend)
    result: dict[str, Any] = {"hardware": describe_card(device)}
    with jax.default_device(device):
        result["copy_bytes_per_s"] = copy_bandwidth(device)
        result["cache_bytes_per_s"] = cache_bandwidth(device)
        _print_card(result)
        result |= {"shapes": [], "left_out": clock.left_out}
        for factors in options.factors:
            for name in options.shapes:
                label = f"{name}, k = {factors}"
                # What a shape takes before anything is timed: its data, and some compilations.
                if clock.allows(label, 20 * (options.ratings is None)):
                    shape = scaled_shape(name, options.ratings)
                    study = Study(name, factors, make_planted(shape), clock)
                    result["shapes"].append(study.run(result["copy_bytes_per_s"]))
                if options.json:  # each time, so that a run cut short leaves what it has
                    text = json.dumps(result, indent=2) + "\n"
                    options.json.write_text(text, encoding="utf-8")
    targets = [target for shape in result["shapes"] for target in shape["targets"]]
    if not all(target["met"] for target in targets):
        raise SystemExit(1)


def _print_card(result: dict[str, Any]) -> None:
    hardware = result["hardware"]
    sys.stdout.write(
        f"{hardware.get('device', hardware['processor'])}: copies "
        f"{result['copy_bytes_per_s'] / 1e9:.0f} GB/s, in its L2 "
        f"{result['cache_bytes_per_s'] / 1e9:.0f} GB/s\n"
    )


class Timed(NamedTuple):
    """A variant, and the bytes that each of its ratings moves."""

    variant: Variant
    bytes_moved: float


class Study:
    """One shape of data with one number of factors."""

    def __init__(self, name: str, factors: int, data: Planted, clock: Clock) -> None:
        self.name, self.factors, self.data, self.clock = name, factors, data, clock
        self.label = f"{name}, k = {factors}"
        self.count = len(data.ratings)
        self.runs = lay_out(
            data.ratings,
            self.settings("fp32", order="runs"),
            data.users.starts,
            data.items.starts,
        )
        starts = self.runs.users[1:] != self.runs.users[:-1]
        self.runs_per_rating = (int(starts.sum()) + 1) / self.count
        # Short epochs are timed several at a time: starting one takes the host a while.
        self.in_a_row = min(4, -(-40_000_000 // self.count))

    def run(self, copy: float) -> dict[str, Any]:
        """Time everything that there is time for."""
        rows = self.data.ratings.user_count, self.data.ratings.item_count
        sys.stdout.write(f"\n{self.label}: {self.count} ratings, {rows[0]} x {rows[1]} rows\n")
        epochs = self.epochs(copy)
        trainings = self.trainings({row["name"]: row["seconds"] for row in epochs})
        targets = self.targets(epochs, trainings)
        targets += self.lookup_targets()
        return {
            "shape": self.name,
            "factors": self.factors,
            "ratings": self.count,
            "users": rows[0],
            "items": rows[1],
            "table_bytes": {
                s.name: sum(rows) * s.stride(self.factors) * s.dtype.itemsize
                for s in (FLOAT32, FLOAT16)
            },
            "rmse_floor": self.data.floor,
            "epochs": epochs,
            "trainings": trainings,
            "paper_seconds": PAPER_SECONDS.get(self.name, {}),
            "targets": [target.report() for target in targets],
        }

    def ratings(self, order: str) -> Ratings:
        """Return the ratings laid out in an order."""
        return self.runs if order == "runs" else self.data.ratings

    def settings(
        self, method: str, rounding: str | None = None, order: str = "shuffled"
    ) -> TrainSettings:
        """Return a method's settings for whole trainings."""
        values = {
            "method": method,
            "factors": self.factors,
            "epochs": EPOCHS,
            "rounding": rounding,
            "order": order,
        }
        return validate(TrainSettings, values)

    def start(self, method: str, data: Planted) -> TrainState:
        """Return the state before the first epoch."""
        return initial_state(data.users.starts, data.items.starts, self.settings(method))

    # ---- single epochs

    def epochs(self, copy: float) -> list[dict[str, Any]]:
        """Time an epoch of every variant."""
        variants = self.variants()
        seconds = time_rounds([timed.variant for timed in variants], ROUNDS, self.in_a_row)
        first = next(iter(seconds.values()))[1]
        rows = []
        header = f"  {'one epoch':28}{'FP16':>6}{'M updates/s':>13}{'GB/s':>8}{'of copy':>9}"
        sys.stdout.write(f"{header}{'over fp32':>11}\n")
        for variant, bytes_moved in variants:
            name, (half, time_) = variant.name, seconds[variant.name]
            moved = self.count * bytes_moved / time_
            row = {
                "name": name,
                "seconds": time_,
                "traffic_float16": half,
                "updates_per_s": self.count / time_,
                "bytes_per_s": moved,
                "share_of_copy": moved / copy,
                "relative_time": time_ / first,
            }
            rows.append(row)
            sys.stdout.write(
                f"  {name:28}{half:6.2f}{self.count / time_ / 1e6:13.0f}{moved / 1e9:8.0f}"
                f"{moved / copy:9.2f}{time_ / first:11.3f}\n"
            )
        return rows

    def bytes_of_rating(self, row_bytes: float, order: str = "shuffled") -> float:
        """Return what a rating moves: two rows, read and written, and itself, read.

        In runs the user's row is moved once for each.
        """
        runs = self.runs_per_rating if order == "runs" else 1.0
        return 2 * (runs + 1) * row_bytes + 12

    def variants(self) -> list[Timed]:
        """Return every variant, ``fp32`` first."""
        plain = TrainSettings(method="mascot").resolved()
        assert plain.warmup is not None
        measured = plain.warmup

        def of(
            name: str,
            method: str,
            execution: Execution = DIRECT,
            epoch: int = 0,
            order: str = "shuffled",
            rounding: str | None = None,
        ) -> Timed:
            storage = STORAGES[self.settings(method).resolved().storage or FLOAT32.name]
            half = float(storage is FLOAT16)
            run = step(method, execution, epoch, order, rounding)
            variant = Variant(name, half, self.start(method, self.data), run)
            return Timed(variant, self.bytes_of_rating(storage.row_bytes(self.factors), order))

        def step(
            method: str,
            execution: Execution,
            epoch: int = 0,
            order: str = "shuffled",
            rounding: str | None = None,
        ) -> Step:
            settings = self.settings(method, rounding, order).model_copy(
                update={"learning_rate": 1e-3, "threshold": 1e30}
            )
            return partial(_train_at, self.ratings(order), settings, execution, epoch)

        def stream(method: str, order: str = "shuffled") -> Timed:
            storage = FLOAT16 if method == "fp16" else FLOAT32
            run = partial(_stream, ratings=self.ratings(order), factors=self.factors)
            name = f"stream, {method}" + (", runs" if order == "runs" else "")
            half = float(storage is FLOAT16)
            variant = Variant(name, half, self.start(method, self.data), run)
            return Timed(variant, self.bytes_of_rating(storage.row_bytes(self.factors), order))

        def mixed(name: str, execution: Execution) -> Timed:
            state, half = self.half_promoted(self.data)
            variant = Variant(name, half, state, step("mascot", execution))
            return Timed(variant, self.bytes_of_rating(self.factors * (4 - 2 * half)))

        return [
            of("fp32", "fp32"),
            stream("fp32"),
            of("fp32, store", "fp32", STORE),
            of("fp32, runs", "fp32", order="runs"),
            of("fp16", "fp16"),
            stream("fp16"),
            of("fp16, store", "fp16", STORE),
            of("fp16, runs", "fp16", order="runs"),
            stream("fp16", "runs"),
            of("fp16, stochastic", "fp16", rounding="stochastic"),
            of("fp16, stochastic, runs", "fp16", order="runs", rounding="stochastic"),
            of("int8", "int8"),
            of("int8, runs", "int8", order="runs"),
            of("mascot", "mascot"),
            of("mascot, measuring", "mascot", DIRECT, measured),
            mixed("mascot, half in fp32", DIRECT),
            mixed("mascot-opt, half in fp32", OPT),
            mixed("mascot-naive, half in fp32", NAIVE),
        ]

    def half_promoted(self, data: Planted) -> tuple[TrainState, float]:
        """Return a state of every second group in FP32, and the share of visits that is FP16."""
        state = self.start("mascot", data)
        promote = jax.jit(
            partial(kernels.promote, factors=self.factors, execution=DIRECT), donate_argnums=0
        )

        def codes(side: Side) -> jax.Array:
            return (jnp.arange(side.codes.size) % 2).astype(jnp.uint8)

        traffic = Traffic(data.users.visits, data.items.visits, self.settings("mascot").storages)
        traffic.add_epoch(np.asarray(codes(state.users)), np.asarray(codes(state.items)))
        users, items = (promote(side, codes(side)) for side in (state.users, state.items))
        return state._replace(users=users, items=items), traffic.shares.get(FLOAT16.name, 0.0)

    # ---- whole trainings

    def trainings(self, epoch_seconds: dict[str, float]) -> list[dict[str, Any]]:
        """Train with every method that there is time for."""
        rows: list[dict[str, Any]] = []
        longest = max(epoch_seconds.values())
        for method in TRAININGS:
            if not self.clock.allows(f"{self.label}: training {method.name}", 60 * longest + 3):
                continue
            row = self.train(method)
            if not rows:
                paper = PAPER_SECONDS.get(self.name, {})
                sys.stdout.write(
                    f"  {EPOCHS} epochs (the paper's on an RTX 2070, k = 128: {paper}; RMSE at "
                    f"least about {self.data.floor:.4f})\n"
                    f"  {'':24}{'seconds':>9}{'over fp32':>11}{'FP16':>7}{'RMSE':>9}\n"
                )
            row["relative_time"] = row["seconds"] / rows[0]["seconds"] if rows else 1.0
            rows.append(row)
            sys.stdout.write(
                f"  {method.name:24}{row['seconds']:9.3f}{row['relative_time']:11.3f}"
                f"{row['traffic_float16']:7.3f}{row['rmse']:9.4f}"
                f"{'' if row['finite'] else '  DIVERGED'}\n"
            )
        return rows

    def train(self, method: Method) -> dict[str, Any]:
        """Train once; nothing waits for the device before the last epoch is queued."""
        settings = self.settings(method.method, method.rounding, method.order).resolved()
        data, ratings = self.data, self.ratings(method.order)
        state = self.start(method.method, data)
        for _ in range(2):  # compiles
            state, _ = train_epoch(state, ratings, settings, method.execution)
        state = jax.block_until_ready(self.start(method.method, data))
        codes, reports = [_codes(state.users.codes, state.items.codes)], []
        jax.block_until_ready(codes)
        begin = time.perf_counter()
        for _ in range(EPOCHS):
            state, report = train_epoch(state, ratings, settings, method.execution)
            codes.append(_codes(state.users.codes, state.items.codes))
            reports.append(report)
        jax.block_until_ready(state)
        seconds = time.perf_counter() - begin
        traffic = Traffic(data.users.visits, data.items.visits, settings.storages)
        for user_codes, item_codes in jax.device_get(codes[:-1]):
            traffic.add_epoch(user_codes, item_codes)
        finite = [(r.users.finite, r.items.finite) for r in jax.device_get(reports)]
        score = data.held_out.score(state.users, state.items, self.factors, method.execution)
        return {
            "name": method.name,
            "seconds": seconds,
            "updates_per_s": self.count * EPOCHS / seconds,
            "traffic_float16": traffic.shares.get(FLOAT16.name, 0.0),
            "rmse": score.rmse,
            "finite": all(part.all() for parts in finite for part in parts),
        }

    # ---- targets

    def targets(
        self, epochs: Sequence[dict[str, Any]], trainings: Sequence[dict[str, Any]]
    ) -> list[Target]:
        """Compare what was measured to what was asked for."""
        epoch, training = ({row["name"]: row for row in rows} for rows in (epochs, trainings))
        found = []
        asked = self.factors == TARGET_FACTORS
        if asked and self.name in LEAST_SHARE:
            least = LEAST_SHARE[self.name]
            share = epoch["fp32"]["share_of_copy"]
            found.append(Target("fp32's share of the copy bandwidth", share, least, at_most=False))
        if asked and self.name in MOST_SECONDS and "fp16" in training:
            seconds, most = training["fp16"]["seconds"], MOST_SECONDS[self.name]
            found.append(Target(f"seconds of {EPOCHS} epochs of fp16", seconds, most))
        if {"fp32", "fp16", "mascot"} <= training.keys():
            mascot, share = training["mascot"], training["mascot"]["traffic_float16"]
            t16, t32 = training["fp16"]["seconds"], training["fp32"]["seconds"]
            over = mascot["seconds"] / (share * t16 + (1 - share) * t32)
            relative = mascot["relative_time"]
            sys.stdout.write(
                f"  mascot takes {relative:.3f} of fp32's time (paper: {PAPER_RELATIVE})\n"
            )
            found.append(Target("mascot over f t16 + (1 - f) t32", over, MOST_OVER_MEAN))
        opt, naive = (epoch[f"mascot-{kind}, half in fp32"]["seconds"] for kind in ("opt", "naive"))
        found.append(Target(f"opt over naive, g = {GROUPS}", opt / naive, MOST_OVER_NAIVE))
        return found

    def lookup_targets(self) -> list[Target]:
        """Compare the lookups with more groups, on the shape of which that is asked."""
        if (self.name, self.factors) != ("netflix", TARGET_FACTORS):
            return []
        if not self.clock.allows(f"{self.label}: g = {MORE_GROUPS}", 20):
            return []
        data = self.data.regrouped(MORE_GROUPS)
        settings = self.settings("mascot").model_copy(update={"threshold": 1e30})

        def variant(name: str, execution: Execution) -> Variant:
            state, half = self.half_promoted(data)
            step = partial(_train_at, data.ratings, settings, execution, 0)
            return Variant(name, half, state, step)

        variants = [variant("direct", DIRECT), variant("opt", OPT), variant("naive", NAIVE)]
        seconds = {n: s for n, (_, s) in time_rounds(variants, ROUNDS, self.in_a_row).items()}
        sys.stdout.write(
            f"  half in fp32, g = {MORE_GROUPS}, seconds: "
            + ", ".join(f"{name} {time_:.4f}" for name, time_ in seconds.items())
            + "\n"
        )
        over = seconds["opt"] / seconds["naive"]
        return [Target(f"opt over naive, g = {MORE_GROUPS}", over, MOST_OVER_NAIVE)]


@jax.jit
def _codes(users: jax.Array, items: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Copy the groups' storages: the next epoch overwrites them."""
    return jnp.copy(users), jnp.copy(items)


def _train_at(
    ratings: Ratings,
    settings: TrainSettings,
    execution: Execution,
    epoch: int,
    state: TrainState,
) -> TrainState:
    at_epoch = state._replace(epoch=jnp.uint32(epoch))
    return train_epoch(at_epoch, ratings, settings, execution)[0]


@partial(jax.jit, static_argnames="factors", donate_argnames="state")
def _stream(state: TrainState, ratings: Ratings, factors: int) -> TrainState:
    rates, counters = jnp.zeros(5, jnp.float32), jnp.zeros(2, jnp.uint32)
    users, items = kernels.run_stream(
        ratings, state.users, state.items, rates, counters, factors=factors, execution=DIRECT
    )
    return state._replace(users=users, items=items)


if __name__ == "__main__":
    main()
