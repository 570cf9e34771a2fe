"""Parts of a checkpoint that several processes have written: rows of one side, a file each.

The checkpoint's own file names its parts and their digests, and holds all the rest. It is put in
place when every part is there; parts that it does not name are removed after that, never before.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.files import check_writable, saving
from mascot_jax.base.tensor_file import (
    Format,
    Tensors,
    read_tensors,
    stated_digest,
    write_tensors,
)
from mascot_jax.distributed.workers import Workers
from mascot_jax.errors import CheckpointError, ProcessError, printable
from mascot_jax.tables.groups import check_groups
from mascot_jax.tables.rows import Rows
from mascot_jax.tables.storage import STORAGES, Storage

FORMAT: Final = Format("checkpoint part", "mascot-checkpoint-part", 1, CheckpointError)
RANGES: Final = "ranges"
"""Name of a part's uint32 ``(n, 2)``: first row of each of its ranges, and the row after its
last."""
_NAME: Final = re.compile(r"[0-9a-f]{16}-\d+-of-\d+|\.[0-9a-f]{16}-\d+-of-\d+\.\w+\.tmp")
"""Of a part, and of what a killed writer of one leaves."""


def folder_of(path: Path) -> Path:
    """Return the folder of a checkpoint's parts."""
    return path.with_name(f"{path.name}.parts")


def part_names(fingerprint: Mapping[str, Any], epoch: int, count: int) -> list[str]:
    """Return the names of the parts of a training's checkpoint after so many epochs.

    Only the same training by as many workers gives a part the same name, and it has the same bytes
    then: no part of another checkpoint is ever overwritten.
    """
    identity = json.dumps([fingerprint, epoch], sort_keys=True)
    key = hashlib.sha256(identity.encode()).hexdigest()[:16]
    return [f"{key}-{number}-of-{count}" for number in range(1, count + 1)]


def write_part(path: Path, name: str, tensors: Tensors) -> str:
    """Write a part of the checkpoint ``path`` atomically; return its digest.

    Raises
    ------
    SaveError
        If it cannot be written.
    """
    return write_tensors(folder_of(path) / name, FORMAT, tensors, {"checkpoint": path.name})


def with_parts(path: Path, tensors: Tensors, facts: Mapping[str, Any]) -> Tensors:
    """Return the tensors of a checkpoint, given those of its own file, with its parts' rows.

    Parts are read one at a time.

    Raises
    ------
    CheckpointError
        If a part is missing, damaged, or of another epoch or training.
    KeyError, TypeError, ValueError
        If the contents do not fit together.
    """
    places = [(_place(path, name), digest) for name, digest in facts["parts"]]
    whole = _Whole(tensors, facts["side"], sum(place.stat().st_size for place, _ in places))
    for place, digest in places:
        whole.add(_read_part(path, place, digest))
    return whole.all_tensors()


def remove_parts(path: Path, keep: Collection[str] = ()) -> None:
    """Remove parts of the checkpoint ``path``, but some by name, and what killed writers left.

    What cannot be removed stays: the next one tries again.
    """
    folder = folder_of(path)
    with suppress(OSError):
        for entry in list(folder.iterdir()):
            if not _NAME.fullmatch(entry.name) or entry.name in keep:
                continue
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)
        folder.rmdir()  # an error if something is left


def check_shared(path: Path, workers: Workers) -> None:
    """Check that all processes see what each writes beside ``path``, before hours of work.

    All call it together; the caller removes the empty files that it leaves.

    Raises
    ------
    SaveError
        If this process cannot write there.
    ProcessError
        If processes see different files.
    """
    folder, names = folder_of(path), part_names({}, 0, len(workers))
    for number, _ in workers.here:
        check_writable(folder / names[number])
        with saving(folder / names[number]):
            (folder / names[number]).touch()
    workers.largest(0)  # all are there now
    if workers.largest(sum(not (folder / name).exists() for name in names)):
        raise ProcessError(
            f"{path}: not every process sees what the others write there, and each writes its "
            "part of the checkpoint: put it on a file system that all of them share, or set "
            "run.checkpoint_every to null for a training without checkpoints"
        )


def _remedy(path: Path) -> str:
    return (
        f"put it back from a copy of {path} and {folder_of(path)}, or remove {path} to start from "
        "the beginning"
    )


def _place(path: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{printable(name, 40)} is no name of a part")
    place = folder_of(path) / name
    if not place.is_file():
        raise CheckpointError(f"{path}: its part {place} is missing: {_remedy(path)}")
    return place


def _read_part(path: Path, place: Path, digest: str) -> Tensors:
    try:
        stated = stated_digest(place, FORMAT)
        tensors, _ = read_tensors(place, FORMAT)
    except CheckpointError as error:
        raise CheckpointError(f"{error}: {_remedy(path)}") from error
    if stated != digest:
        raise CheckpointError(f"{place}: of another epoch or training: {_remedy(path)}")
    return tensors


class _Whole:
    """Tensors of a checkpoint, to which parts add the rows of a side.

    Parameters
    ----------
    tensors
        All others.
    side
        Whose rows are in parts.
    room
        Bytes of all parts: more rows than these hold are no reason to ask for memory.
    """

    def __init__(self, tensors: Tensors, side: str, room: int) -> None:
        self._tensors, self._room = dict(tensors), room
        self._groups: dict[str, Rows] = {}
        for prefix in (
            f"{name}.{side}" for name in ("state", "best") if f"{name}.epoch" in tensors
        ):
            starts, codes = tensors[f"{prefix}.starts"], tensors[f"{prefix}.codes"]
            check_groups(starts, codes, prefix)
            self._groups[prefix] = Rows(0, {}, starts, codes)
        self._rows = len(self._groups[f"state.{side}"])
        self._ranges = [np.zeros((0, 2), dtype=np.int64)]

    def add(self, part: Tensors) -> None:
        """Move a part's rows to their places; raise a ValueError if they do not fit."""
        ranges = part.pop(RANGES)
        if ranges.dtype != np.uint32 or ranges.ndim != 2 or ranges.shape[1] != 2:
            raise ValueError(f"ranges of rows are {ranges.dtype} {ranges.shape}")
        ranges = ranges.astype(np.int64)
        if (np.diff(ranges.reshape(-1)) < 0).any() or ranges.max(initial=0) > self._rows:
            raise ValueError(f"ranges of rows must rise up to {self._rows}")
        self._ranges.append(ranges)
        for prefix, groups in self._groups.items():
            taken = 0
            for name in [n for n in STORAGES if f"{prefix}.rows.{n}" in part]:
                key = f"{prefix}.rows.{name}"
                edges = np.append(ranges, [[0, self._rows]], axis=0)
                *places, (_, live) = _live_before(groups, STORAGES[name], edges)
                taken += self._take(key, part.pop(key), np.array(places).reshape(-1, 2), int(live))
            if taken != np.diff(ranges).sum():
                raise ValueError(f"a part holds {taken} rows of {prefix}, and should hold others")
        if part:
            raise ValueError(f"a part holds {sorted(part)}, too")

    def _take(self, key: str, stored: NDArray[Any], places: NDArray[np.int64], live: int) -> int:
        """Move a part's rows of a storage, whose places ``(n, 2)`` begin and end ranges.

        In the part and in the whole, a range's rows follow each other. Return how many there are.
        """
        shape = (live, *stored.shape[1:])
        if math.prod(shape) * stored.itemsize > self._room:
            raise ValueError(f"{key}: {live} rows are more than the parts can hold")
        if key not in self._tensors:
            self._tensors[key] = np.empty(shape, dtype=stored.dtype)
        whole = self._tensors[key]
        counts = np.diff(places).reshape(-1)
        if (whole.dtype, whole.shape, counts.sum()) != (stored.dtype, shape, len(stored)):
            raise ValueError(f"{key} are {stored.dtype} {stored.shape} in a part")
        for (begin, end), last in zip(places.tolist(), np.cumsum(counts).tolist(), strict=True):
            whole[begin:end] = stored[last - (end - begin) : last]
        return len(stored)

    def all_tensors(self) -> Tensors:
        """Return all tensors; raise a ValueError if parts have left rows out, or share some."""
        begins, ends = np.sort(np.concatenate(self._ranges), axis=0).T
        if [*begins.tolist(), self._rows] != [0, *ends.tolist()]:
            raise ValueError("the parts do not hold each row once")
        return self._tensors


def _live_before(groups: Rows, storage: Storage, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how many of the rows before each of some rows are in a storage."""
    starts = groups.starts.astype(np.int64)
    live = groups.codes == storage.code
    before = np.concatenate([[0], np.cumsum(np.where(live, np.diff(starts), 0))])
    at = np.searchsorted(starts[1:-1], rows, side="right")  # the group of each, or the last one
    result: NDArray[np.int64] = before[at] + np.where(live[at], rows - starts[at], 0)
    return result
