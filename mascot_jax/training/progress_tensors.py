"""Progress of a training as named arrays, as a checkpoint holds it, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.tensor_file import Tensors
from mascot_jax.engine.state import Memory, TrainState
from mascot_jax.engine.tables import to_device, to_host
from mascot_jax.settings import TrainPlan
from mascot_jax.tables.rows import Rows
from mascot_jax.tables.table import Table
from mascot_jax.training.initial import memories
from mascot_jax.training.records import EpochRecord, Progress, SideRecord

SIDES: Final = ("users", "items")
_NUMBERS: Final = tuple(name for name in EpochRecord._fields if name not in SIDES)
"""Fields of an epoch's record besides the sides; one that is None is so in all epochs of a
training."""


def progress_tensors(progress: Progress) -> Tensors:
    """Return all of a training's progress: the live rows in their storages, and the records."""
    tensors = record_tensors(progress.records)
    for name, state in states(progress):
        tensors |= state_tensors(name, state, (to_host(state.users), to_host(state.items)))
    return tensors


def progress_of(tensors: Tensors, plan: TrainPlan) -> Progress:
    """Return the progress of a training by this plan, on JAX's default device.

    Raises
    ------
    IndexError, KeyError, TypeError, ValueError
        If the tensors do not fit together, or not the plan.
    """
    best = _state("best", tensors, plan) if "best.epoch" in tensors else None
    return Progress(_state("state", tensors, plan), _records(tensors), best)


def states(progress: Progress) -> Iterator[tuple[str, TrainState]]:
    """Yield name and state: the last epoch's, and the best epoch's if there is one."""
    yield "state", progress.state
    if progress.best is not None:
        yield "best", progress.best


def state_tensors(name: str, state: TrainState, sides: tuple[Rows, Rows]) -> Tensors:
    """Return the arrays of a state, whose tables are ``sides``: groups, and rows they have."""
    tensors: Tensors = {
        f"{name}.epoch": np.array([int(state.epoch)], dtype=np.uint32),
        f"{name}.seed": np.array([int(state.seed)], dtype=np.uint32),
    }
    tables = dict(zip(SIDES, sides, strict=True))
    for method, memory in state.methods.items():
        for key, value in memory.items():
            tensors[f"{name}.methods.{method}.{key}"] = np.atleast_1d(
                _used(key, np.array(value), tables)
            )
    for side, rows in tables.items():
        prefix = f"{name}.{side}"
        tensors |= {f"{prefix}.starts": rows.starts, f"{prefix}.codes": rows.codes}
        tensors |= row_tensors(prefix, rows)
    return tensors


def row_tensors(prefix: str, rows: Rows) -> Tensors:
    """Return the rows of a table by storage."""
    return {f"{prefix}.rows.{storage}": stored for storage, stored in rows.stored.items()}


def _state(name: str, tensors: Tensors, plan: TrainPlan) -> TrainState:
    epoch, seed = (tensors[f"{name}.{key}"] for key in ("epoch", "seed"))
    if {(str(x.dtype), x.shape) for x in (epoch, seed)} != {("uint32", (1,))}:
        raise ValueError(f"{name}: epoch and seed are {epoch.dtype} {epoch.shape}, {seed.dtype}")
    width = plan.width(int(epoch[0]))
    users, items = (_table(f"{name}.{table}", tensors, plan, width) for table in SIDES)
    return TrainState(
        users,
        items,
        jnp.asarray(epoch.reshape(())),
        jnp.asarray(seed.reshape(())),
        _methods(name, tensors, memories(plan, users, items), {"users": users, "items": items}),
    )


def _methods(
    name: str, tensors: Tensors, initial: Mapping[str, Memory], tables: Mapping[str, Table]
) -> dict[str, dict[str, jax.Array]]:
    """Return the methods' memories, whose dtypes and shapes must be those of the initial ones."""
    found: dict[str, dict[str, jax.Array]] = {}
    for method, memory in initial.items():
        found[method] = {}
        for key, first in memory.items():
            value = tensors[f"{name}.methods.{method}.{key}"]
            used = _used(key, np.asarray(first), tables)
            if value.dtype != used.dtype or value.shape != (used.shape or (1,)):
                raise ValueError(f"{name}: {key} of {method} is {value.dtype} {value.shape}")
            whole = np.array(first)
            whole[(*map(slice, used.shape),)] = value.reshape(used.shape)
            found[method][key] = jnp.asarray(whole)
    return found


def _used(key: str, value: NDArray[Any], tables: Mapping[str, Any]) -> NDArray[Any]:
    """Return a method's memory without that of groups without rows, which a device may add."""
    if key not in SIDES:
        return value
    starts = np.asarray(tables[key].starts)
    return value[: int(np.searchsorted(starts, starts[-1]))]


def _table(prefix: str, tensors: Tensors, plan: TrainPlan, width: int) -> Table:
    """Return a table with these live rows, of so many factors, and every storage of the plan."""
    marker = f"{prefix}.rows."
    stored = {
        name.removeprefix(marker): rows for name, rows in tensors.items() if name.startswith(marker)
    }
    rows = Rows(width, stored, tensors[f"{prefix}.starts"], tensors[f"{prefix}.codes"])
    rows.check(prefix)
    if not set(stored) <= {storage.name for storage in plan.storages}:
        raise ValueError(f"{prefix}: rows are in {sorted(stored)}")
    return to_device(rows, plan.storages)


def record_tensors(records: tuple[EpochRecord, ...]) -> Tensors:
    """Return a column per field of the records of t epochs: ``(t,)``, or ``(t, g)`` by group."""
    tensors: Tensors = {}
    for name in _NUMBERS:
        values = [getattr(record, name) for record in records]
        if None not in values:
            tensors[f"records.{name}"] = np.array(values)
    for side in SIDES:
        for name in SideRecord._fields:
            columns = [getattr(getattr(record, side), name) for record in records]
            if columns:
                tensors[f"records.{side}.{name}"] = np.stack(columns)
    return tensors


def _records(tensors: Tensors) -> tuple[EpochRecord, ...]:
    def number(name: str, at: int) -> Any:
        column = tensors.get(f"records.{name}")
        return None if column is None else column[at].item()

    def side(name: str, at: int) -> SideRecord:
        return SideRecord(*(tensors[f"records.{name}.{key}"][at] for key in SideRecord._fields))

    return tuple(
        EpochRecord(
            users=side("users", at),
            items=side("items", at),
            **{name: number(name, at) for name in _NUMBERS},
        )
        for at in range(len(tensors["records.epoch"]))
    )
