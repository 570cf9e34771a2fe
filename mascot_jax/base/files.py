"""Paths as users give them, and files written atomically: old, or complete and new.

A path is of this machine, ``~`` is the home folder, and whatever is written makes its folders.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mascot_jax.errors import PathError, SaveError

_FULL: Final = {
    errno.ENOSPC: "free some space there",
    errno.EDQUOT: "free some of your quota there",
    errno.EFBIG: "allow larger files (ulimit -f), or use another file system",
}
_REFUSED: Final = {
    errno.EROFS: "choose another place",
    errno.EACCES: "allow writing there, or choose another place",
    errno.EPERM: "allow writing there, or choose another place",
    errno.ENOTDIR: "its folder is a file: choose another place",
    errno.EEXIST: "its folder is a file: choose another place",
    errno.EINVAL: "choose another name",
    errno.EISDIR: "name a file in it",
    errno.ENAMETOOLONG: "choose a shorter name",
}


_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


def local_path(path: str | os.PathLike[str]) -> Path:
    """Return a path with ``~`` and ``~user`` replaced by the home folder.

    Raises
    ------
    PathError
        If it is a URL, or there is no such user.
    """
    text = os.fspath(path)
    if _URL.match(text):
        raise PathError(
            f"{text}: a URL, where a path of this machine is needed: copy the file, or open it "
            "with fsspec and hand over the file object"
        )
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise PathError(f"{text}: there is no such home folder: write the whole path") from error


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path; rename it to ``path`` if the block succeeds.

    The temporary file is in a hidden folder beside ``path``, which the writer has locked. A killed
    process leaves at most this folder; the next write of ``path`` removes it. Of several processes
    that write a path at a time, the last one's file stays.

    Parameters
    ----------
    path
        The file to write or replace; its folder is made if there is none. A link is replaced, not
        followed.

    Yields
    ------
    pathlib.Path
        An empty file to write or replace.

    Raises
    ------
    SaveError
        The disk is full, or the folder is not writable; the message names path, cause and remedy.
        ``path`` is unchanged, as after any other error of the block.
    PathError
        As in ``local_path``.
    """
    path = _file_path(path)
    with saving(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(path)
    with _workplace(path) as folder:
        temporary = folder / path.name
        with saving(path):
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
    with saving(path):
        _flush(path.parent)


@contextmanager
def _workplace(path: Path) -> Iterator[Path]:
    """Yield a new folder beside ``path``, locked so that others do not take it for abandoned."""
    handle, folder = None, None
    try:
        with saving(path):
            while handle is None:
                folder = Path(tempfile.mkdtemp(".tmp", f".{path.name}.", path.parent))
                handle = _lock(folder)  # None: taken for abandoned before it was locked
        assert folder is not None
        yield folder
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        if handle is not None:
            os.close(handle)


def _lock(folder: Path) -> int | None:
    """Lock a folder and return its handle; None if another process has it, or has removed it."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if folder.exists():
            return handle
    except BlockingIOError:
        pass
    os.close(handle)
    return None


def _remove_abandoned(path: Path) -> None:
    """Remove what killed writers of ``path`` have left: folders that nobody has locked."""
    for name in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        handle = _lock(name)
        if handle is not None:
            shutil.rmtree(name, ignore_errors=True)
            os.close(handle)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Check that ``path`` can be written, before hours of work; make its folder.

    Raises
    ------
    SaveError
        As in ``atomic_write``.
    """
    path = _file_path(path)
    with saving(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f".{path.name}.12345678.tmp").exists()  # raises if the name is too long
        with tempfile.TemporaryFile(dir=path.parent):
            pass


def _file_path(path: str | os.PathLike[str]) -> Path:
    """Return ``path``, or raise a SaveError if it cannot become an ordinary file."""
    found = local_path(path)
    with saving(found):
        if not found.name or found.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if found.exists() and not found.is_file():  # a device, which would be replaced, too
            raise OSError(errno.EINVAL, "it is no ordinary file")
    return found


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
