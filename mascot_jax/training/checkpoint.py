"""Checkpoints, from which an interrupted training resumes.

A deterministic training ends in the same bytes as without the interruption. A checkpoint is one
safetensors file, written atomically: it is complete or absent (``mascot_jax.base.files``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.files import check_writable, local_path
from mascot_jax.base.tensor_file import Format, Tensors, read_tensors, write_tensors
from mascot_jax.base.warn import warn_caller
from mascot_jax.engine.state import Memory, TrainState
from mascot_jax.engine.tables import to_device, to_host
from mascot_jax.errors import CheckpointError, SaveError
from mascot_jax.settings import TrainPlan, validate
from mascot_jax.tables.rows import Rows
from mascot_jax.tables.table import Table
from mascot_jax.training.initial import memories
from mascot_jax.training.records import EpochRecord, Progress, SideRecord

FORMAT: Final = Format("checkpoint", "mascot-checkpoint", 2, CheckpointError, oldest=2)

_SIDES: Final = ("users", "items")
_NUMBERS: Final = tuple(name for name in EpochRecord._fields if name not in _SIDES)
"""Fields of an epoch's record besides the sides; one that is None is so in all epochs of a
training."""


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written; training goes on."""


class Checkpoints:
    """The checkpoint file of one training, and how often to write it.

    Parameters
    ----------
    path
        The file, which each checkpoint replaces; its folder is created if there is none.
    every
        Epochs between checkpoints; one more is written when training ends. None writes nothing: a
        file of an earlier training can still be loaded.
    fingerprint
        Identity of the training: ``mascot_jax.training.fingerprint``.
    writes
        Whether this process writes the file: of those that share a training one does.

    Raises
    ------
    SaveError
        If the file cannot be written: better now than after hours.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: int | None,
        fingerprint: Mapping[str, Any],
        *,
        writes: bool = True,
    ) -> None:
        self.path = local_path(path)
        self._every = every
        self._fingerprint = fingerprint
        self.saved: int | None = None
        """Number of epochs that the file covers; None if there is no file of this training."""
        self.failure: SaveError | None = None
        """Why the latest checkpoint could not be written; None if it was."""
        if every is not None and writes:
            check_writable(self.path)

    def load(self) -> Progress | None:
        """Load progress to resume from, on JAX's default device; return None if there is no file.

        Raises
        ------
        CheckpointError
            If the file is damaged, or is of another training; the message lists all differences.
        """
        if not self.path.exists():
            return None
        progress, fingerprint = load_checkpoint(self.path)
        different = _differences(fingerprint, self._fingerprint)
        if different:
            raise CheckpointError(
                f"{self.path}: a checkpoint of another training ({'; '.join(different)}): train "
                "as it did to go on, or remove it to start from the beginning"
            )
        self.saved = int(progress.state.epoch)
        return progress

    @property
    def kept(self) -> str:
        """Where the last checkpoint is, to be added to an error; empty if there is none."""
        return f"; {self.path} holds the factors after epoch {self.saved - 1}" if self.saved else ""

    def due(self, epochs: int, *, last: bool) -> bool:
        """Return whether to write a checkpoint after ``epochs``; ``last``: training ends there."""
        return self._every is not None and (last or epochs % self._every == 0)

    def save(self, progress: Progress) -> None:
        """Replace the file. On failure, warn: the older file stays, and training goes on."""
        try:
            save_checkpoint(self.path, progress, self._fingerprint)
        except SaveError as error:
            self.failure = error
            warn_caller(f"{error}{self.kept}; training goes on", CheckpointWarning)
        else:
            self.saved, self.failure = int(progress.state.epoch), None

    def remove(self) -> None:
        """Remove the file, once there is a model."""
        self.path.unlink(missing_ok=True)
        self.saved = None


def save_checkpoint(
    path: str | os.PathLike[str], progress: Progress, fingerprint: Mapping[str, Any]
) -> None:
    """Write a checkpoint atomically: the live rows in their storages, and the records.

    Raises
    ------
    SaveError
        If it cannot be written; an older file is then unchanged.
    """
    tensors = _state_tensors("state", progress.state)
    if progress.best is not None:
        tensors |= _state_tensors("best", progress.best)
    tensors |= _record_tensors(progress.records)
    write_tensors(path, FORMAT, tensors, {"fingerprint": fingerprint})


def load_checkpoint(path: str | os.PathLike[str]) -> tuple[Progress, dict[str, Any]]:
    """Read a checkpoint of any training; return its progress and the training's fingerprint.

    Raises
    ------
    CheckpointError
        If it is truncated, altered, not a checkpoint, or of a version that is not read.
    FileNotFoundError
        If there is no such file.
    """
    tensors, facts = read_tensors(path, FORMAT)
    try:
        fingerprint = facts["fingerprint"]
        plan = validate(TrainPlan, fingerprint["settings"], "settings")
        best = _state("best", tensors, plan) if "best.epoch" in tensors else None
        progress = Progress(_state("state", tensors, plan), _records(tensors), best)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: not a complete checkpoint: {error}") from error
    return progress, fingerprint


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Describe each difference between two fingerprints."""
    there, here = found["settings"], wanted["settings"]
    names = sorted(set(there) | set(here))
    lines = [
        f"train.{name}: {there.get(name)!r} there, {here.get(name)!r} here"
        for name in names
        if there.get(name) != here.get(name)
    ]
    others = sorted((set(found) | set(wanted)) - {"settings"})
    return lines + [f"other {name}" for name in others if found.get(name) != wanted.get(name)]


def _state_tensors(name: str, state: TrainState) -> Tensors:
    tensors: Tensors = {
        f"{name}.epoch": np.array([int(state.epoch)], dtype=np.uint32),
        f"{name}.seed": np.array([int(state.seed)], dtype=np.uint32),
    }
    for method, memory in state.methods.items():
        for key, value in memory.items():
            tensors[f"{name}.methods.{method}.{key}"] = np.atleast_1d(
                _used(key, np.array(value), state._asdict())
            )
    for table_name in _SIDES:
        rows = to_host(getattr(state, table_name))
        prefix = f"{name}.{table_name}"
        tensors |= {f"{prefix}.starts": rows.starts, f"{prefix}.codes": rows.codes}
        tensors |= {f"{prefix}.rows.{key}": stored for key, stored in rows.stored.items()}
    return tensors


def _state(name: str, tensors: Tensors, plan: TrainPlan) -> TrainState:
    epoch, seed = (tensors[f"{name}.{key}"] for key in ("epoch", "seed"))
    if {(str(x.dtype), x.shape) for x in (epoch, seed)} != {("uint32", (1,))}:
        raise ValueError(f"{name}: epoch and seed are {epoch.dtype} {epoch.shape}, {seed.dtype}")
    width = plan.width(int(epoch[0]))
    users, items = (_table(f"{name}.{table}", tensors, plan, width) for table in _SIDES)
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
    if key not in _SIDES:
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


def _record_tensors(records: tuple[EpochRecord, ...]) -> Tensors:
    """Return a column per field of the records of t epochs: ``(t,)``, or ``(t, g)`` by group."""
    tensors: Tensors = {}
    for name in _NUMBERS:
        values = [getattr(record, name) for record in records]
        if None not in values:
            tensors[f"records.{name}"] = np.array(values)
    for side in _SIDES:
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
