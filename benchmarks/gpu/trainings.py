"""Whole trainings on planted ratings, timed without waiting for the device between epochs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.gpu.goals import PAPER_SECONDS
from benchmarks.harness.planted import Planted
from benchmarks.harness.timing import timed
from benchmarks.harness.variants import EPOCHS, Maker
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.state import TrainState
from mascot_jax.tables.storage import FLOAT16
from mascot_jax.tables.traffic import Traffic
from mascot_jax.training.epoch import EpochReport, train_epoch
from mascot_jax.training.loop import begin

DIRECT, OPT, NAIVE = Execution(), Execution(lookup="search"), Execution(lookup="per-row")
STORE = Execution(writes="store")


class Method(NamedTuple):
    """A whole training."""

    name: str
    method: str
    values: Mapping[str, Any] = {}
    execution: Execution = DIRECT


RUNS: dict[str, Any] = {"order": "runs"}
STOCHASTIC: dict[str, Any] = {"rounding": "stochastic"}
METHODS = (
    Method("fp32", "fp32"),
    Method("fp16", "fp16"),
    Method("fp16, stochastic", "fp16", STOCHASTIC),
    Method("mascot", "mascot"),
    Method("mascot-n2", "mascot-n2"),
    Method("mascot-opt", "mascot", execution=OPT),
    Method("mascot-naive", "mascot", execution=NAIVE),
    Method("fp32, store", "fp32", execution=STORE),
    Method("fp16, store", "fp16", execution=STORE),
    Method("fp16, stochastic, runs", "fp16", STOCHASTIC | RUNS),
    Method("int8, runs", "int8", RUNS),
    Method("mascot-int8, runs", "mascot-int8", RUNS),
)


def train_all(
    shape: str, data: Planted, make: Maker, allows: Callable[[Method], bool]
) -> list[dict[str, Any]]:
    """Train with every method that ``allows`` says there is time for."""
    rows: list[dict[str, Any]] = []
    for method in filter(allows, METHODS):
        row = _train(method, make)
        if not rows:
            sys.stdout.write(
                f"  {EPOCHS} epochs (the paper's on an RTX 2070, k = 128: "
                f"{PAPER_SECONDS.get(shape, {})}; RMSE at least about {data.floor:.4f})\n"
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


def _train(method: Method, make: Maker) -> dict[str, Any]:
    """Train once; nothing waits for the device before the last epoch is queued."""
    prepared = make.prepared(method.method, **method.values)
    plan, ratings, held_out = prepared.plan, prepared.ratings, prepared.test
    assert held_out is not None
    state = begin(prepared).state
    for _ in range(2):  # compiles
        state, _ = train_epoch(state, ratings, plan, method.execution)
    state = begin(prepared).state
    codes, reports = [_codes(state)], []
    jax.block_until_ready((state, codes))

    def run(state: TrainState) -> TrainState:
        for _ in range(EPOCHS):
            state, report = train_epoch(state, ratings, plan, method.execution)
            codes.append(_codes(state))
            reports.append(report)
        return state

    seconds, state = timed(lambda: run(state))
    traffic = Traffic(prepared.users.visits, prepared.items.visits, plan.storages)
    groups = len(prepared.users.visits), len(prepared.items.visits)
    for of_epoch in jax.device_get(codes[:-1]):  # padded on a CPU
        traffic.add_epoch(*(c[:n] for c, n in zip(of_epoch, groups, strict=True)))
    score = held_out.score(state.users, state.items, method.execution)
    return {
        "name": method.name,
        "seconds": seconds,
        "updates_per_s": len(ratings) * EPOCHS / seconds,
        "traffic_float16": traffic.shares.get(FLOAT16.name, 0.0),
        "rmse": score.rmse,
        "finite": all(map(_finite, jax.device_get(reports))),
    }


def _codes(state: TrainState) -> tuple[jax.Array, jax.Array]:
    """Copy the groups' storages: the next epoch overwrites them."""
    copies: tuple[jax.Array, jax.Array] = _copy((state.users.codes, state.items.codes))
    return copies


_copy = jax.jit(lambda arrays: tuple(map(jnp.copy, arrays)))


def _finite(report: EpochReport) -> bool:
    return bool(report.user_finite.all() and report.item_finite.all())
