"""Checkpoints, from which an interrupted training resumes.

A deterministic training ends in the same bytes as without the interruption. A checkpoint is one
safetensors file, written atomically: it is complete or absent (``mascot_jax.base.files``). Of a
training that processes share, it names parts, in which each has written the rows that it keeps
(``checkpoint_parts``). Either can be resumed by any number of processes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.files import check_writable, local_path
from mascot_jax.base.tensor_file import (
    Format,
    Tensors,
    read_tensors,
    stated_facts,
    write_tensors,
)
from mascot_jax.base.warn import warn_caller
from mascot_jax.distributed.workers import Workers
from mascot_jax.errors import CheckpointError, ProcessError, SaveError
from mascot_jax.settings import TrainPlan, validate
from mascot_jax.training.checkpoint_parts import (
    check_shared,
    part_names,
    remove_parts,
    with_parts,
    write_part,
)
from mascot_jax.training.progress_tensors import progress_of, progress_tensors
from mascot_jax.training.records import Progress

FORMAT: Final = Format("checkpoint", "mascot-checkpoint", 3, CheckpointError, oldest=2)
"""Version 3 has parts; a checkpoint without any is written as version 2."""
_OF_ONE_FILE: Final = FORMAT._replace(version=2)
_NOT_WRITTEN: Final = np.zeros(32, dtype=np.uint8)
"""Where a part's digest should be."""


class CheckpointWarning(UserWarning):
    """A checkpoint could not be written; training goes on."""


class Checkpoints:
    """The checkpoint of one training, and how often to write it.

    Parameters
    ----------
    path
        The file, which each checkpoint replaces; its folder is created if there is none. Processes
        that share the training write parts into ``PATH.parts`` besides.
    every
        Epochs between checkpoints; one more is written when training ends. None writes nothing: a
        file of an earlier training can still be loaded.
    fingerprint
        Identity of the training: ``mascot_jax.training.fingerprint``.
    workers
        Who shares the training: every process makes the same calls. None: this process alone.

    Raises
    ------
    SaveError
        If the file cannot be written: better now than after hours.
    ProcessError
        If processes do not see each other's files.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        every: int | None,
        fingerprint: Mapping[str, Any],
        *,
        workers: Workers | None = None,
    ) -> None:
        self.path = local_path(path)
        self._every = every
        self._fingerprint = fingerprint
        self._workers = workers
        self.saved: int | None = None
        """Number of epochs that the file covers; None if there is no file of this training."""
        self.failure: SaveError | None = None
        """Why the latest checkpoint could not be written; None if it was."""
        if every is not None:
            self._check_place()

    def load(self) -> Progress | None:
        """Load progress to resume from, on JAX's default device; return None if there is no file.

        Raises
        ------
        CheckpointError
            If the file is damaged, or is of another training; the message lists all differences.
        ProcessError
            If processes that share the training do not find the same.
        """
        progress: Progress | None = None
        error: CheckpointError | None = None
        try:
            progress = self._load()
        except CheckpointError as caught:
            error = caught
        epochs = None if progress is None else int(progress.state.epoch)
        if self._workers is not None and self._workers.other_than_first(f"{epochs} {error}"):
            raise ProcessError(
                f"{self.path}: not every process finds the same checkpoint: put it where all of "
                "them see it"
            ) from error
        if error is not None:
            raise error
        self.saved = epochs
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
            self._warn(error)
        else:
            self.saved, self.failure = int(progress.state.epoch), None
            _remove_old_parts(self.path)

    def save_parts(
        self, epochs: int, side: str, part: Callable[[int], Tensors], rest: Callable[[], Tensors]
    ) -> None:
        """Replace the file by one with a part of each worker. On failure, as ``save``.

        Every process writes its workers' parts; when all are there, the first one puts the file in
        place that names them, and then removes those of the older file.

        Parameters
        ----------
        epochs
            Number of epochs done.
        side
            Whose rows are in parts: ``users`` or ``items``.
        part
            Returns a worker's part, given its number: ``checkpoint_parts.with_parts``.
        rest
            Returns what the first process writes: everything but these rows.
        """
        assert self._workers is not None
        workers, failures = self._workers, list[SaveError]()
        names = part_names(self._fingerprint, epochs, len(workers))

        def write(worker: int) -> NDArray[np.uint8]:
            try:
                digest = write_part(self.path, names[worker], part(worker))
            except SaveError as error:
                failures.append(error)
                return _NOT_WRITTEN
            return np.frombuffer(bytes.fromhex(digest), dtype=np.uint8)

        digests = workers.gather(workers.each(write))  # all wait for each other here
        if workers.leads:
            try:
                self._name_parts(side, names, digests, rest)
            except SaveError as error:
                failures.append(error)
            _remove_old_parts(self.path)
        if not workers.largest(len(failures)):
            self.saved, self.failure = epochs, None
        elif failures:
            self._warn(failures[0])
        else:  # those who failed warn
            self.failure = SaveError(f"{self.path}: another process could not write it")

    def remove(self) -> None:
        """Remove the file, once there is a model."""
        remove_checkpoint(self.path)
        self.saved = None

    def _load(self) -> Progress | None:
        if not self.path.exists():
            return None
        progress, fingerprint = load_checkpoint(self.path)
        different = _differences(fingerprint, self._fingerprint)
        if different:
            raise CheckpointError(
                f"{self.path}: a checkpoint of another training ({'; '.join(different)}): train "
                "as it did to go on, or remove it to start from the beginning"
            )
        return progress

    def _name_parts(
        self, side: str, names: list[str], digests: NDArray[np.uint8], rest: Callable[[], Tensors]
    ) -> None:
        if not digests.any(axis=1).all():
            raise SaveError(f"{self.path}: not every process could write its part")
        parts = [[n, digest.tobytes().hex()] for n, digest in zip(names, digests, strict=True)]
        facts = {"fingerprint": self._fingerprint, "side": side, "parts": parts}
        write_tensors(self.path, FORMAT, rest(), facts)

    def _check_place(self) -> None:
        if self._workers is None or self._workers.leads:
            check_writable(self.path)
        if self._workers is not None:
            try:
                check_shared(self.path, self._workers)
            finally:
                _remove_old_parts(self.path)

    def _warn(self, error: SaveError) -> None:
        self.failure = error
        warn_caller(f"{error}{self.kept}; training goes on", CheckpointWarning)


def save_checkpoint(
    path: str | os.PathLike[str], progress: Progress, fingerprint: Mapping[str, Any]
) -> None:
    """Write a checkpoint without parts atomically: the live rows in their storages, and records.

    Raises
    ------
    SaveError
        If it cannot be written; an older file is then unchanged.
    """
    write_tensors(path, _OF_ONE_FILE, progress_tensors(progress), {"fingerprint": fingerprint})


def load_checkpoint(path: str | os.PathLike[str]) -> tuple[Progress, dict[str, Any]]:
    """Read a checkpoint of any training; return its progress and the training's fingerprint.

    Raises
    ------
    CheckpointError
        If it or a part of it is missing, truncated, altered, not a checkpoint, of another one, or
        of a version that is not read.
    FileNotFoundError
        If there is no such file.
    """
    tensors, facts = read_tensors(path, FORMAT)
    try:
        fingerprint = facts["fingerprint"]
        plan = validate(TrainPlan, fingerprint["settings"], "settings")
        if "parts" in facts:
            tensors = with_parts(local_path(path), tensors, facts)
        progress = progress_of(tensors, plan)
    except CheckpointError:
        raise
    except (IndexError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path}: not a complete checkpoint: {error}") from error
    return progress, fingerprint


def remove_checkpoint(path: Path) -> None:
    """Remove a checkpoint and its parts, if there are any; a folder in its place stays."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
    remove_parts(path)


def _remove_old_parts(path: Path) -> None:
    """Remove parts that the file does not name; a file that cannot be read may name any."""
    try:
        named = stated_facts(path, FORMAT).get("parts", ()) if path.exists() else ()
        keep = {str(name) for name, _ in named}
    except (CheckpointError, TypeError, ValueError):
        return
    remove_parts(path, keep)


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
