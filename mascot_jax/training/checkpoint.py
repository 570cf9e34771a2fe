"""Checkpoints: a training that was cut short goes on as if nothing had happened.

A deterministic one ends in the bytes that it would have ended in. A checkpoint is one safetensors
file, complete or not there at all (``mascot_jax.base.files``).
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.files import check_writable, saving
from mascot_jax.base.tensor_file import Format, Tensors, read_tensors, write_tensors
from mascot_jax.engine import kernels
from mascot_jax.engine.state import TrainState
from mascot_jax.errors import CheckpointError, SaveError
from mascot_jax.tables.storage import STORAGES, by_code
from mascot_jax.tables.table import Side
from mascot_jax.training.records import EpochRecord, Progress, SideRecord

FORMAT: Final = Format("checkpoint", "mascot-checkpoint", 1, CheckpointError)

_SIDES: Final = ("users", "items")
_NUMBERS: Final = tuple(name for name in EpochRecord._fields if name not in _SIDES)
"""Of an epoch's record; what is None is so for all epochs of a training."""


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written; training goes on."""


class Checkpoints:
    """Where and how often one training keeps what it has come to.

    Parameters
    ----------
    path
        The file, which each checkpoint replaces; its folder is made where there is none.
    every
        Epochs from one checkpoint to the next; one more is written when training ends. None writes
        nothing: then there is only what an earlier training has left.
    fingerprint
        What the training is: ``mascot_jax.training.fingerprint.fingerprint``.

    Raises
    ------
    SaveError
        If nothing can be written there: better now than after hours.
    """

    def __init__(
        self, path: str | os.PathLike[str], every: int | None, fingerprint: Mapping[str, Any]
    ) -> None:
        self.path = Path(path)
        self._every = every
        self._fingerprint = fingerprint
        self.saved: int | None = None
        """Epochs that the file has behind it; None where there is no file of this training."""
        self.failure: SaveError | None = None
        """Why the latest checkpoint could not be written; None if it was."""
        if every is not None:
            with saving(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
            check_writable(self.path)

    def load(self) -> Progress | None:
        """Return what there is to go on from, on JAX's default device; None if there is no file.

        Raises
        ------
        CheckpointError
            If the file is damaged, or of another training: then with all that differs.
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
        """What an error adds: where the last checkpoint is; nothing if there is none."""
        return f"; {self.path} holds the factors after epoch {self.saved - 1}" if self.saved else ""

    def due(self, epochs: int, *, last: bool) -> bool:
        """Return whether to write one after so many epochs; ``last``: if training ends there."""
        return self._every is not None and (last or epochs % self._every == 0)

    def save(self, progress: Progress) -> None:
        """Replace the file. Where that fails, warn: the older one stays, and training goes on."""
        try:
            save_checkpoint(self.path, progress, self._fingerprint)
        except SaveError as error:
            self.failure = error
            warnings.warn(f"{error}{self.kept}; training goes on", CheckpointWarning, stacklevel=3)
        else:
            self.saved, self.failure = int(progress.state.epoch), None

    def remove(self) -> None:
        """Remove the file, as there is a model now."""
        self.path.unlink(missing_ok=True)
        self.saved = None


def save_checkpoint(
    path: str | os.PathLike[str], progress: Progress, fingerprint: Mapping[str, Any]
) -> None:
    """Write a checkpoint, atomically: the rows that live, in their storages, and the records.

    Raises
    ------
    SaveError
        If it cannot be written; an older one is then as it was.
    """
    tensors = _state_tensors("state", progress.state)
    if progress.best is not None:
        tensors |= _state_tensors("best", progress.best)
    tensors |= _record_tensors(progress.records)
    write_tensors(path, FORMAT, tensors, {"fingerprint": fingerprint})


def load_checkpoint(path: str | os.PathLike[str]) -> tuple[Progress, dict[str, Any]]:
    """Read a checkpoint, whatever training it is of: that is the second thing returned.

    Raises
    ------
    CheckpointError
        If it is cut, altered, not a checkpoint, or of a newer version.
    FileNotFoundError
        If there is none.
    """
    tensors, facts = read_tensors(path, FORMAT)
    try:
        fingerprint = facts["fingerprint"]
        factors = int(fingerprint["settings"]["factors"])
        best = _state("best", tensors, factors) if "best.epoch" in tensors else None
        progress = Progress(_state("state", tensors, factors), _records(tensors), best)
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: not a complete checkpoint: {error}") from error
    return progress, fingerprint


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return what differs, in words."""
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
        **{f"{name}.memory.{key}": np.array(value) for key, value in state.memory.items()},
    }
    for side_name in _SIDES:
        side: Side = getattr(state, side_name)
        codes = np.array(side.codes)
        prefix = f"{name}.{side_name}"
        tensors[f"{prefix}.starts"] = np.array(side.starts)
        tensors[f"{prefix}.codes"] = codes
        tensors[f"{prefix}.baseline"] = np.array(side.baseline)
        for storage, table in side.tables.items():
            live = _live(tensors[f"{prefix}.starts"], codes, STORAGES[storage].code)
            # Padding included. A copy: with a view of the table alive, the next epoch could not
            # update it in place.
            rows = np.asarray(table)[live] if len(live) else np.empty((0, table.shape[1]))
            tensors[f"{prefix}.rows.{storage}"] = rows.astype(table.dtype, copy=False)
    return tensors


def _state(name: str, tensors: Tensors, factors: int) -> TrainState:
    epoch, seed = (tensors[f"{name}.{key}"] for key in ("epoch", "seed"))
    if {(str(x.dtype), x.shape) for x in (epoch, seed)} != {("uint32", (1,))}:
        raise ValueError(f"{name}: epoch and seed are {epoch.dtype} {epoch.shape}, {seed.dtype}")
    return TrainState(
        _side(f"{name}.users", tensors, factors),
        _side(f"{name}.items", tensors, factors),
        jnp.asarray(epoch.reshape(())),
        jnp.asarray(seed.reshape(())),
        {
            key.removeprefix(f"{name}.memory."): _as_it_was(value)
            for key, value in tensors.items()
            if key.startswith(f"{name}.memory.")
        },
    )


def _as_it_was(value: NDArray[Any]) -> jax.Array:
    """Return an array of a state's memory: a scalar is written with one dimension."""
    return jnp.asarray(value[0] if value.shape == (1,) else value)


def _side(prefix: str, tensors: Tensors, factors: int) -> Side:
    """Put the live rows back into tables like those that training began with."""
    starts, codes, baseline = (tensors[f"{prefix}.{k}"] for k in ("starts", "codes", "baseline"))
    stored = {
        name.removeprefix(f"{prefix}.rows."): rows
        for name, rows in tensors.items()
        if name.startswith(f"{prefix}.rows.")
    }
    _check_groups(prefix, starts, codes, baseline, stored)
    tables = {}
    for name, rows in sorted(stored.items()):
        storage = STORAGES[name]
        live = _live(starts, codes, storage.code)
        if rows.dtype != storage.dtype or rows.shape != (len(live), storage.stride(factors)):
            raise ValueError(f"{prefix}: {name} rows are {rows.dtype} {rows.shape}")
        table = kernels.allocate_table(int(starts[-1]), factors, storage)
        tables[name] = kernels.put_rows(table, live, rows)
    return Side(tables, *(jnp.asarray(x) for x in (starts, codes, baseline)))


def _check_groups(
    prefix: str,
    starts: NDArray[Any],
    codes: NDArray[Any],
    baseline: NDArray[Any],
    stored: Mapping[str, NDArray[Any]],
) -> None:
    """Check what the kernels trust."""
    types = [str(x.dtype) for x in (starts, codes, baseline)]
    if types != ["uint32", "uint8", "float32"] or codes.ndim != 1 or len(codes) == 0:
        raise ValueError(f"{prefix}: groups are {', '.join(types)}")
    if starts.shape != (len(codes) + 1,) or baseline.shape != codes.shape:
        raise ValueError(f"{prefix}: the group table has other lengths than the groups")
    if starts[0] != 0 or (np.diff(starts.astype(np.int64)) <= 0).any():
        raise ValueError(f"{prefix}: the group table does not rise from 0")
    if starts[-1] != sum(len(rows) for rows in stored.values()):
        raise ValueError(f"{prefix}: the group table does not cover the rows")
    if not set(stored) <= set(STORAGES) or not set(codes.tolist()) <= set(by_code(stored)):
        raise ValueError(f"{prefix}: groups are in a storage that the file does not hold")


def _live(starts: NDArray[np.uint32], codes: NDArray[np.uint8], code: int) -> NDArray[np.uint32]:
    """Return the rows, rising, whose groups are in the storage of this code."""
    rows = np.flatnonzero(np.repeat(codes == code, np.diff(starts)))
    return rows.astype(np.uint32)


def _record_tensors(records: tuple[EpochRecord, ...]) -> Tensors:
    """Return a column per part of the records, t epochs: ``(t,)``, and ``(t, g)`` of groups."""
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
