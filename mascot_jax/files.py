"""Write files so that a reader sees the old one or the whole new one, never a part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Lend a temporary path; what was written there becomes ``path`` when the block ends well.

    The temporary file lies in the same folder and always has the same name, so that a killed
    process leaves at most one, which the next write of ``path`` replaces. One writer per path at a
    time.

    Parameters
    ----------
    path
        The file to write or replace; its folder must exist. A link is replaced, not written
        through.

    Yields
    ------
    pathlib.Path
        Where to write: a file that does not exist yet.

    Raises
    ------
    OSError
        The disk is full or the folder is not writable; ``path`` is then as it was, as it is when
        the block raises.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)  # noqa: PTH105 - the system call whose atomicity is relied on
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _flush(path.parent)


def _flush(path: Path) -> None:
    """Have the kernel put a file, or a folder's entries, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
