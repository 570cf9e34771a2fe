"""Files of arrays and facts: safetensors, with a digest over all content. Never pickle."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save, save_file

from mascot_jax.base.files import atomic_write, local_path
from mascot_jax.base.json_text import parse_json
from mascot_jax.errors import MascotError, printable

Tensors = dict[str, NDArray[Any]]


_VERSION: Final = version("mascot-jax")


class Format(NamedTuple):
    """A kind of file, such as a model."""

    name: str
    """Name in messages, such as ``model``."""
    key: str
    """Key of the only metadata entry: with several, safetensors files are not byte-stable."""
    version: int
    """Format version that is written, and the newest that can be read."""
    error: type[MascotError]
    """Error raised if a file cannot be used."""
    oldest: int = 1
    """Oldest format version that can be read."""


Place = str | os.PathLike[str] | BinaryIO
"""Where a file is: its path, or an open binary file."""


def write_tensors(path: Place, form: Format, tensors: Tensors, facts: Mapping[str, Any]) -> str:
    """Write a file atomically; equal contents give equal bytes.

    Parameters
    ----------
    path
        The file, whose folder is made if there is none; or an open file, which is written to
        where it stands, and so not atomically.
    form
        The kind of file.
    tensors
        Arrays of any shape, of dtypes that safetensors has.
    facts
        Values that JSON can hold.

    Returns
    -------
    str
        SHA-256 (hex) over all content of the file.

    Raises
    ------
    SaveError
        The file cannot be written.
    """
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    metadata = {
        **facts,
        "format_version": form.version,
        "library_version": _VERSION,
    }
    metadata["sha256"] = digest = _digest(tensors, metadata)
    about = {form.key: json.dumps(metadata, sort_keys=True)}
    if isinstance(path, str | os.PathLike):
        with atomic_write(path) as temporary:
            save_file(tensors, temporary, about)
    else:
        path.write(save(tensors, about))
    return digest


def read_tensors(path: Place, form: Format) -> tuple[Tensors, dict[str, Any]]:
    """Read the arrays and the facts of a file; the facts include the versions.

    Raises
    ------
    MascotError
        ``form.error``: the file is cut, altered, of another kind, or its version is too new or too
        old.
    FileNotFoundError
        The file does not exist.
    """
    tensors, metadata = _read(path, form)
    version = metadata.get("format_version")
    if type(version) is not int or not 1 <= version <= form.version:
        raise form.error(
            f"{path}: {form.name} format {version!r:.20} was written by mascot-jax "
            f"{printable(metadata.get('library_version'), 40)}; this version reads up to "
            f"{form.version}: upgrade mascot-jax"
        )
    if version < form.oldest:
        raise form.error(
            f"{path}: {form.name} format {version} was written by mascot-jax "
            f"{printable(metadata.get('library_version'), 40)}, which is too old for this version "
            f"({_VERSION}): go on with that one, or remove the file to start from the beginning"
        )
    if metadata.pop("sha256", None) != _digest(tensors, metadata):
        raise form.error(f"{path}: the content does not match its checksum: altered or damaged")
    return tensors, metadata


def stated_digest(path: str | os.PathLike[str], form: Format) -> str:
    """Return the SHA-256 that a file states, unchecked; ``read_tensors`` checks it."""
    return str(stated_facts(path, form).get("sha256"))


def stated_facts(path: str | os.PathLike[str], form: Format) -> dict[str, Any]:
    """Return the facts of a file, versions and digest included, without reading its arrays."""
    return _read(path, form, with_tensors=False)[1]


def is_of(path: str | os.PathLike[str], form: Format) -> bool:
    """Return whether a file says of itself that it is of a kind, of whatever version."""
    try:
        stated_facts(path, form)
    except form.error:
        return False
    return True


def _read(
    path: Place, form: Format, *, with_tensors: bool = True
) -> tuple[Tensors, dict[str, Any]]:
    if not isinstance(path, str | os.PathLike):
        with tempfile.NamedTemporaryFile() as copy:
            shutil.copyfileobj(path, copy)
            copy.flush()
            return _read(copy.name, form, with_tensors=with_tensors)
    place = local_path(path)
    try:
        with safe_open(place, framework="numpy") as file:
            text = (file.metadata() or {}).get(form.key)
            names = file.keys() if with_tensors else ()
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, TypeError, AttributeError, ValueError) as error:
        # The last three errors: a dtype or a shape that NumPy does not have.
        raise form.error(f"{path}: cut, damaged or not a {form.name} file: {error}") from error
    if text is None:
        raise form.error(f"{path}: a safetensors file, but not a mascot-jax {form.name}")
    try:
        metadata = parse_json(text)
    except ValueError as error:
        raise form.error(f"{path}: the metadata is damaged: {error}") from error
    if not isinstance(metadata, dict):
        raise form.error(f"{path}: the metadata is damaged: not an object")
    return tensors, metadata


def _digest(tensors: Tensors, metadata: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {tensor.dtype} {tensor.shape}\n".encode())
        digest.update(tensor.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
