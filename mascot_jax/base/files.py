"""Write files atomically: readers see the old file or the complete new one."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mascot_jax.errors import SaveError

_FULL: Final = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some of your quota there",
    errno.EFBIG: "allow larger files (ulimit -f), or use another file system",
}
_REFUSED: Final = {
    errno.EROFS: "choose another place",
    errno.EACCES: "allow writing there, or choose another place",
    errno.EPERM: "allow writing there, or choose another place",
    errno.ENOENT: "make its folder first",
    errno.ENOTDIR: "its folder is a file: choose another place",
    errno.EINVAL: "choose another name",
    errno.EISDIR: "name a file in it",
    errno.ENAMETOOLONG: "choose a shorter name",
}


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path; rename it to ``path`` if the block succeeds.

    The temporary file is in a hidden folder of fixed name beside ``path``. A killed process leaves
    at most this folder, which holds all the writer's files; the next write of ``path`` removes it.
    A path must have one writer at a time.

    Parameters
    ----------
    path
        The file to write or replace; its folder must exist. A link is replaced, not followed.

    Yields
    ------
    pathlib.Path
        An empty file to write or replace.

    Raises
    ------
    SaveError
        The disk is full, or the folder is missing or not writable; the message names path, cause
        and remedy. ``path`` is unchanged, as after any other error of the block.
    """
    path = _file_path(path)
    folder = _workplace(path)
    temporary = folder / path.name
    try:
        with saving(path):
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir()
            temporary.touch()
            mode = temporary.stat().st_mode
        try:
            yield temporary
        except Exception as error:
            # The block may also read, and fail at that: only a full disk is surely about this
            # file. safetensors raises an error type of its own for it.
            if (number := _error_number(error)) in _FULL:
                raise _save_error(path, number) from error
            raise
        with saving(path):
            # safetensors replaces the file by one that only its owner can read.
            temporary.chmod(mode)
            _flush(temporary)
            temporary.replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    with saving(path):
        _flush(path.parent)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Check that ``path`` can be written, before hours of work.

    Raises
    ------
    SaveError
        As in ``atomic_write``.
    """
    path = _file_path(path)
    with saving(path):
        _workplace(path).exists()  # raises if the name is too long
        with tempfile.TemporaryFile(dir=path.parent):
            pass


def _file_path(path: str | os.PathLike[str]) -> Path:
    """Return ``path``, or raise a SaveError if it cannot become an ordinary file."""
    found = Path(path)
    with saving(found):
        if not found.name or found.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if found.exists() and not found.is_file():  # a device, which would be replaced, too
            raise OSError(errno.EINVAL, "it is no ordinary file")
    return found


def _workplace(path: Path) -> Path:
    return path.with_name(f".{path.name}.tmp")


@contextmanager
def saving(path: Path) -> Iterator[None]:
    """Turn an ``OSError`` of a block that prepares or writes ``path`` into a ``SaveError``."""
    try:
        yield
    except OSError as error:
        raise _save_error(path, error.errno or 0, error.strerror or str(error)) from error


def _save_error(path: Path, number: int, text: str = "") -> SaveError:
    cause = text or os.strerror(number)
    remedy = (_FULL | _REFUSED).get(number, "see whether its disk works")
    error = SaveError(f"{path}: cannot be written: {cause}: {remedy}")
    error.errno = number
    return error


def _error_number(error: Exception) -> int:
    """Return the errno of an error, 0 if unknown; Rust libraries put it into the message."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    found = re.search(r"\(os error (\d+)\)", str(error))
    return int(found.group(1)) if found else 0


def _flush(path: Path) -> None:
    """Flush a file, or the entries of a folder, to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
