"""Everything that is timed of one shape of data with one number of factors."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from typing import Any

from benchmarks.gpu.goals import PAPER_SECONDS, TARGET_FACTORS, compare, lookups
from benchmarks.gpu.native.library import Library
from benchmarks.gpu.trainings import (
    DIRECT,
    NAIVE,
    OPT,
    RUNS,
    STOCHASTIC,
    STORE,
    Method,
    train_all,
)
from benchmarks.gpu.ways import compare_ways
from benchmarks.harness.planted import Planted
from benchmarks.harness.problems import GROUPS, regrouped
from benchmarks.harness.targets import Clock, Target
from benchmarks.harness.timing import Timings, time_rounds
from benchmarks.harness.variants import MEASURED_EPOCH, Epoch, Maker
from mascot_jax.tables.storage import FLOAT16, FLOAT32

MORE_GROUPS = 500
ROUNDS = 5


class Study:
    """One shape of data with one number of factors."""

    def __init__(self, name: str, factors: int, data: Planted, clock: Clock) -> None:
        self.name, self.factors, self.data, self.clock = name, factors, data, clock
        self.label = f"{name}, k = {factors}"
        self.make = Maker(data.problem, factors, DIRECT)
        self.count = len(data.problem.ratings)

    def run(self, copy: float) -> dict[str, Any]:
        """Time everything that there is time for; ``copy`` is the copy bandwidth in bytes/s."""
        ratings = self.data.problem.ratings
        rows = ratings.user_count, ratings.item_count
        sys.stdout.write(f"\n{self.label}: {self.count} ratings, {rows[0]} x {rows[1]} rows\n")
        variants = self.variants()
        timings = self.time(variants)
        epochs = self.rows(variants, timings, copy)
        longest = max(row["seconds"] for row in epochs)

        def allows(method: Method) -> bool:
            return self.clock.allows(f"{self.label}: training {method.name}", 60 * longest + 3)

        trainings = train_all(self.name, self.data, self.make, allows)
        targets = compare(self.name, self.factors, epochs, trainings)
        opt_over_naive = timings.ratio("mascot-opt, half in fp32", "mascot-naive, half in fp32")
        targets += [lookups(GROUPS, opt_over_naive), *self.more_groups()]
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

    def time(self, variants: list[Epoch]) -> Timings:
        """Time epochs; short ones several in a row, as starting one takes the host a while."""
        return time_rounds(variants, ROUNDS, min(4, -(-40_000_000 // self.count)))

    def variants(self) -> list[Epoch]:
        """Return every variant, ``fp32`` first."""
        epoch, stream = self.make.epoch, self.make.stream
        half = partial(epoch, method="mascot", half_promoted=True)
        return [
            epoch("fp32", "fp32"),
            stream("stream, fp32", "fp32"),
            epoch("fp32, store", "fp32", execution=STORE),
            epoch("fp32, runs", "fp32", **RUNS),
            epoch("fp16", "fp16"),
            stream("stream, fp16", "fp16"),
            epoch("fp16, store", "fp16", execution=STORE),
            epoch("fp16, runs", "fp16", **RUNS),
            stream("stream, fp16, runs", "fp16", **RUNS),
            epoch("fp16, stochastic", "fp16", **STOCHASTIC),
            epoch("fp16, stochastic, runs", "fp16", **STOCHASTIC, **RUNS),
            epoch("int8", "int8"),
            epoch("int8, runs", "int8", **RUNS),
            epoch("mascot", "mascot"),
            epoch("mascot, measuring", "mascot", number=MEASURED_EPOCH),
            half("mascot, half in fp32"),
            half("mascot-opt, half in fp32", execution=OPT),
            half("mascot-naive, half in fp32", execution=NAIVE),
        ]

    def rows(self, variants: list[Epoch], timings: Timings, copy: float) -> list[dict[str, Any]]:
        """Print and return a row for every variant."""
        header = f"  {'one epoch':28}{'FP16':>6}{'M updates/s':>13}{'GB/s':>8}{'of copy':>9}"
        sys.stdout.write(f"{header}{'over fp32':>11}\n")
        rows = []
        for variant in variants:
            seconds, half = timings.median(variant.name), variant.shares.get(FLOAT16.name, 0.0)
            moved = self.count * variant.rating_bytes / seconds
            row = {
                "name": variant.name,
                "seconds": seconds,
                "traffic_float16": half,
                "updates_per_s": self.count / seconds,
                "bytes_per_s": moved,
                "share_of_copy": moved / copy,
                "relative_time": timings.ratio(variant.name, "fp32"),
            }
            rows.append(row)
            sys.stdout.write(
                f"  {variant.name:28}{half:6.2f}{self.count / seconds / 1e6:13.0f}"
                f"{moved / 1e9:8.0f}{moved / copy:9.2f}{row['relative_time']:11.3f}\n"
            )
        return rows

    def more_groups(self) -> list[Target]:
        """Compare the lookups with more groups, on the shape of which that is asked."""
        if (self.name, self.factors) != ("netflix", TARGET_FACTORS):
            return []
        if not self.clock.allows(f"{self.label}: g = {MORE_GROUPS}", 20):
            return []
        make = Maker(regrouped(self.data.problem, MORE_GROUPS), self.factors, DIRECT)
        ways = {"direct": DIRECT, "opt": OPT, "naive": NAIVE}
        timings = self.time(
            [make.epoch(n, "mascot", execution=way, half_promoted=True) for n, way in ways.items()]
        )
        seconds = ", ".join(f"{name} {timings.median(name):.4f}" for name in ways)
        sys.stdout.write(f"  half in fp32, g = {MORE_GROUPS}, seconds: {seconds}\n")
        return [lookups(MORE_GROUPS, timings.ratio("opt", "naive"))]

    def ways(self, library: Library, limits: Mapping[str, float]) -> list[dict[str, Any]]:
        """Compare ways to move rows, with the number of factors that has targets."""
        if self.factors != TARGET_FACTORS:
            return []
        if not self.clock.allows(f"{self.label}: ways to move rows", 40):
            return []
        return [compare_ways(self.make, s, limits, library) for s in (FLOAT32, FLOAT16)]
