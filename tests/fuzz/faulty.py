"""Readers that are wrong in every way a fuzzer should notice: for tests/fuzz/test_fuzz.py."""

import os
import tempfile
import time
from pathlib import Path

from mascot_jax.errors import DataError
from tests.fuzz.mutation import damage
from tests.fuzz.target import Target

_kept: list[object] = []


def _sometimes(path: Path) -> bool:
    return path.stat().st_size % 5 == 1


def raise_another_error(path: Path) -> None:
    if _sometimes(path):
        raise KeyError(path.name)


def hang(path: Path) -> None:
    if _sometimes(path):
        time.sleep(3600)


def spin(path: Path) -> None:
    while _sometimes(path):
        pass


def crash(path: Path) -> None:
    if _sometimes(path):
        os.abort()


def leave_files_open(path: Path) -> None:
    if _sometimes(path):
        _kept.append(path.open("rb"))


def leave_temporary_files(path: Path) -> None:
    if _sometimes(path):
        Path(tempfile.gettempdir(), path.name).touch()


def take_memory(path: Path) -> None:
    bytearray(2**33 if _sometimes(path) else 1)


def say_what_cannot_be_printed(path: Path) -> None:
    raise DataError("\udcff" if _sometimes(path) else "fine")


READERS = (
    raise_another_error,
    hang,
    spin,
    crash,
    leave_files_open,
    leave_temporary_files,
    take_memory,
    say_what_cannot_be_printed,
)
TARGETS = tuple(Target(read.__name__, lambda: [b"12345"], damage, read) for read in READERS)
