"""Ways to move rows, beside what bounds them: the figures that choose the kernels' way.

For one storage at a time: the kernel that trains, every variant of ``native/ways.cuh``, and bounds
on them, all in updates a second.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.gpu.native.library import LIMITS, MOVES, UPDATES, Library, NativePass, Way
from benchmarks.harness.timing import Timings, Variant, time_rounds
from benchmarks.harness.variants import Maker
from mascot_jax.tables.storage import FLOAT16, FLOAT32, Storage
from mascot_jax.training.loop import begin

RESOURCES = Path(__file__).parents[1] / "results" / "cuda-resources.json"
RATINGS_AT_ONCE = 4
"""That a warp's loop goes through together."""
IN_L2 = 8 << 20
"""Bytes that the near half of an L2 holds."""
TURNS = dict.fromkeys(LIMITS, 1000) | {"instructions": 20_000}
"""Of a measurement: some milliseconds."""
ROUNDS = 5
KERNEL = "kernel"


def _nothing() -> None:
    """Begin a step that needs no state."""


def measure_limits(library: Library, device: jax.Device) -> dict[str, float]:
    """Return bytes a second of each limit of L2, and instructions of warps a second."""
    with jax.default_device(device):
        buffer = jax.block_until_ready(jnp.zeros(IN_L2 // 4, jnp.float32))
    done = {}

    def step_of(limit: str) -> Variant:
        def step(_: None) -> None:
            done[limit] = library.run_limit(limit, buffer, TURNS[limit])

        return Variant(limit, _nothing, step)

    timings = time_rounds(list(map(step_of, LIMITS)), ROUNDS)
    return {limit: done[limit] / timings.median(limit) for limit in LIMITS}


def compare_ways(
    make: Maker, storage: Storage, limits: Mapping[str, float], library: Library
) -> dict[str, Any]:
    """Time every way with all rows in one storage; print and return the figures."""
    method = {FLOAT32: "fp32", FLOAT16: "fp16"}[storage]
    prepared = make.prepared(method, learning_rate=1e-3)  # no factor grows, however often
    plan, state = prepared.plan, begin(prepared).state
    rates = plan.learning_rate, plan.user_reg, plan.item_reg
    problem = NativePass(prepared.ratings, (state.users, state.items), rates, plan.seed)
    grids = {}

    def step_of(way: Way) -> Variant:
        def step(_: None) -> None:
            grids[way] = library.run_way(problem, way)

        return Variant(way.name, _nothing, step)

    native = [step_of(way) for way in (*MOVES, *UPDATES)]
    timings = time_rounds([make.epoch(KERNEL, method), *native], ROUNDS)
    count = len(prepared.ratings)
    row_bytes = storage.row_bytes(plan.factors)
    found = {
        "storage": storage.name,
        "factors": plan.factors,
        "bounds": bounds(storage, row_bytes, limits, instructions(storage)),
        "rows_only": {way.way: count / timings.median(way.name) for way in MOVES},
        "ways": list(_rows(timings, grids, count)),
    }
    report(found)
    return found


def _rows(timings: Timings, grids: Mapping[Way, int], count: int) -> Iterator[dict[str, Any]]:
    yield {"name": KERNEL, "way": "reduce", "updates_per_s": count / timings.median(KERNEL)}
    for way in UPDATES:
        rate = count / timings.median(way.name)
        yield {"name": way.name, **way._asdict(), "grid": grids[way], "updates_per_s": rate}


def instructions(storage: Storage) -> int:
    """Return those of the training kernel's loop over ratings, over all its paths.

    From what ``studies.notes.resources`` found for compute capability 9.0 and k = 128.
    """
    name = f"update_kernel<4, {storage.name.capitalize()}, Nearest, false>"
    kernels = json.loads(RESOURCES.read_text(encoding="utf-8"))["kernels"]["sm_90"]
    loops = next(kernel["loops"] for kernel in kernels if kernel["name"] == name)
    return int(loops[-1][0])


def bounds(
    storage: Storage, row_bytes: int, limits: Mapping[str, float], instructions: int
) -> dict[str, float]:
    """Return the updates a second that each limit allows.

    An update reads two rows and writes or adds to two.
    """
    both = 2 * row_bytes
    return {
        "L2 reads": limits["L2 reads"] / both,
        "L2 reductions": limits[f"L2 reductions, {storage.name}"] / both,
        "instructions": limits["instructions"] * RATINGS_AT_ONCE / instructions,
    }


def bound_of(way: str, found: Mapping[str, Any]) -> float:
    """Return the least of the bounds on a way; stored rows need no reductions."""
    apply = {name: b for name, b in found["bounds"].items() if way != "store" or "red" not in name}
    rows = found["rows_only"]
    return float(min(*apply.values(), rows["read"], rows[way]))


def fastest(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fastest variant that loses no update; the kernel is none."""
    rows: list[dict[str, Any]] = [r for r in found["ways"] if r["name"] != KERNEL]
    return max((r for r in rows if r["way"] != "store"), key=lambda r: float(r["updates_per_s"]))


def report(found: Mapping[str, Any]) -> None:
    """Print the figures of one storage, in millions of updates a second."""
    write = sys.stdout.write
    write(f"  {found['storage']}, k = {found['factors']}; M updates/s\n")
    for name, bound in found["bounds"].items():
        write(f"    {'at most by ' + name:32}{bound / 1e6:9.0f}\n")
    for way, rate in found["rows_only"].items():
        write(f"    {'rows only, ' + way:32}{rate / 1e6:9.0f}\n")
    write(f"    {'update, blocks':32}{'':9}{'of bound':>10}{'of kernel':>11}\n")
    kernel = found["ways"][0]["updates_per_s"]
    for row in found["ways"]:
        rate = row["updates_per_s"]
        write(f"    {row['name']:32}{rate / 1e6:9.0f}{rate / bound_of(row['way'], found):10.2f}")
        write(f"{rate / kernel:11.3f}\n")
    best = fastest(found)
    write(f"    fastest without loss: {best['name']}, {best['updates_per_s'] / kernel:.3f} of the ")
    write("kernel's\n")
