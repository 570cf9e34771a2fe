"""Write files so that a reader sees the old one or the whole new one, never a part."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Lend a temporary path; what was written there becomes ``path`` when the block ends well.

    The temporary file lies in a hidden folder beside ``path`` that always has the same name, so a
    killed process leaves at most one, whatever the writer itself put there, and the next write of
    ``path`` removes it. One writer per path at a time.

    Parameters
    ----------
    path
        The file to write or replace; its folder must exist. A link is replaced, not written
        through.

    Yields
    ------
    pathlib.Path
        Where to write: an empty file, which may be replaced.

    Raises
    ------
    OSError
        The disk is full or the folder is not writable. ``path`` is then as it was before, as it is
        when the block raises.
    """
    path = Path(path)
    folder = path.with_name(f".{path.name}.tmp")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    temporary = folder / path.name
    try:
        temporary.touch()
        mode = temporary.stat().st_mode
        yield temporary
        temporary.chmod(mode)  # safetensors replaces the file by one that only its owner may read
        _flush(temporary)
        temporary.replace(path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    _flush(path.parent)


def _flush(path: Path) -> None:
    """Have the kernel put a file, or a folder's entries, on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
