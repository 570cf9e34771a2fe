"""Places that ratings are read from: a file, a folder, a member of an archive, standard input."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mascot_jax.errors import DataError

STANDARD_INPUT: Final = "-"
COPY_BYTES: Final = 2**20


def split_place(place: str | Path) -> tuple[Path, str | None]:
    """Return the file or folder of a place, and the member that is named behind a colon, or None.

    ``x.zip:ratings.csv`` is a member of an archive, unless there is a file of that name.
    """
    text = str(place)
    path, colon, member = text.rpartition(":")
    if colon and path and member and not Path(text).exists() and Path(path).exists():
        return Path(path), member
    return Path(text), None


@contextmanager
def as_file(source: Path) -> Iterator[Path]:
    """Yield a source as a file or folder: standard input (``-``) and pipes are copied to one.

    Raises
    ------
    DataError
        There is no room to copy it.
    """
    if str(source) != STANDARD_INPUT and (source.is_file() or source.is_dir()):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="mascot-") as folder:
        copy = Path(folder) / "input"
        try:
            with copy.open("wb") as out:
                if str(source) == STANDARD_INPUT:
                    shutil.copyfileobj(sys.stdin.buffer, out, COPY_BYTES)
                else:
                    with source.open("rb") as stream:
                        shutil.copyfileobj(stream, out, COPY_BYTES)
        except OSError as error:
            raise no_room(source, folder, error) from error
        yield copy


def no_room(source: Path, folder: str, error: OSError) -> DataError:
    """Return the error for a source that cannot be copied or unpacked into a folder."""
    return DataError(
        f"{source}: cannot be unpacked into {folder} ({error.strerror or error}); if there is no "
        "room, set TMPDIR to a folder that has some"
    )
