"""Checkpoints of click models, from which an interrupted training resumes to the same bytes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

import jax
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.files import check_writable, local_path
from mascot_jax.base.tensor_file import Format, read_tensors, write_tensors
from mascot_jax.clicks.data import ClickData
from mascot_jax.errors import CheckpointError, SaveError
from mascot_jax.settings.clicks import ClickSettings
from mascot_jax.training.checkpoint import CheckpointWarning
from mascot_jax.training.fingerprint import code_digest, digest_of

FORMAT: Final = Format("click checkpoint", "mascot-click-checkpoint", 1, CheckpointError)
_OF_NO_EFFECT: Final = (
    "clicks",
    "command",
    "data",
    "ids",
    "methods",
    "mf",
    "model_selection",
    "ranking",
)
"""Packages of the library that change no bit of a click model's training."""

History = list[dict[str, Any]]


class ClickCheckpoints:
    """The checkpoint file of one training.

    Parameters
    ----------
    path
        The file, which each checkpoint replaces; its folder is made if there is none.
    every
        Epochs between checkpoints; one more is written at the end. None writes none.
    fingerprint
        Identity of the training: ``fingerprint``.

    Raises
    ------
    SaveError
        If the file cannot be written: better now than after hours.
    """

    def __init__(
        self, path: str | os.PathLike[str], every: int | None, fingerprint: Mapping[str, Any]
    ) -> None:
        self._path = local_path(path)
        self._every = every
        self._fingerprint = fingerprint
        if every is not None:
            check_writable(self._path)

    def load(self, start: Any) -> tuple[Any, History] | None:
        """Return state and records to resume from; None if there is no file.

        ``start`` is what the training would begin with, a pytree of arrays: the state that is
        returned has its structure, and arrays of NumPy's of its shapes.

        Raises
        ------
        CheckpointError
            If the file is damaged, or of another training; the message lists all differences.
        """
        if not self._path.exists():
            return None
        tensors, facts = read_tensors(self._path, FORMAT)
        try:
            different = _differences(facts["fingerprint"], self._fingerprint)
            history = list(facts["history"])
        except (KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{self._path}: not a complete checkpoint: {error}") from error
        if different:
            raise CheckpointError(
                f"{self._path}: a checkpoint of another training ({'; '.join(different)}): train "
                "as it did to go on, or remove it to start from the beginning"
            )
        return self._state(tensors, start), history

    def _state(self, tensors: Mapping[str, NDArray[Any]], start: Any) -> Any:
        leaves, structure = jax.tree.flatten(start)
        names = [str(i) for i in range(len(leaves))]
        if {*tensors} != {*names}:
            raise CheckpointError(f"{self._path}: not a complete checkpoint of this training")
        found = [tensors[name] for name in names]
        for value, leaf in zip(found, leaves, strict=True):
            # A file has no arrays without an axis.
            if value.shape != (leaf.shape or (1,)) or value.dtype != leaf.dtype:
                raise CheckpointError(f"{self._path}: an array has another shape or dtype")
        shaped = [value.reshape(leaf.shape) for value, leaf in zip(found, leaves, strict=True)]
        return jax.tree.unflatten(structure, shaped)

    def due(self, epochs: int, *, last: bool) -> bool:
        """Return whether to write a checkpoint after ``epochs``; ``last``: training ends there."""
        return self._every is not None and (last or epochs % self._every == 0)

    def save(self, state: Any, history: History) -> None:
        """Replace the file, from the first of several processes. On failure, warn: train on."""
        if jax.process_index() != 0:
            return
        tensors = {str(i): np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}
        facts = {"fingerprint": self._fingerprint, "history": history}
        try:
            write_tensors(self._path, FORMAT, tensors, facts)
        except SaveError as error:
            warnings.warn(f"{error}; training goes on", CheckpointWarning, stacklevel=3)


def fingerprint(
    settings: ClickSettings, train: ClickData, validation: ClickData | None
) -> dict[str, Any]:
    """Return what identifies a training, as values that JSON can hold."""
    return {
        "settings": settings.model_dump(mode="json"),
        "training data": _digest(train),
        "validation data": None if validation is None else _digest(validation),
        "code": code_digest(_OF_NO_EFFECT) + version("optax"),
    }


def _digest(data: ClickData) -> str:
    return digest_of([data.labels, data.dense, data.categories, *data.counts])


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Describe each difference between two fingerprints."""
    there, here = found["settings"], wanted["settings"]
    lines = [
        f"{name}: {there.get(name)!r} there, {here.get(name)!r} here"
        for name in sorted({*there, *here})
        if there.get(name) != here.get(name)
    ]
    others = sorted({*found, *wanted} - {"settings"})
    return lines + [f"other {name}" for name in others if found.get(name) != wanted.get(name)]
