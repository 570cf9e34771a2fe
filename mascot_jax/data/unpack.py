"""Unpack the matching files of zip and tar archives and of compressed files.

Archives are not trusted. An archive is refused if one of its members has a path outside its folder,
is a link or a device, or expands far beyond the archive's size.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final, cast

from mascot_jax.data.place import COPY_BYTES, no_room
from mascot_jax.errors import DataError

# Rating files compress 5 to 10 times; only a decompression bomb reaches 200 times.
MAX_EXPANSION = 200
# Small archives of repetitive rows compress more; unpacking this much is harmless.
HARMLESS_BYTES = 64 * 2**20
TAR_END_BYTES = 1024

Unpacked = tuple[str, Path, str]
"""A member's name, the real file with its content, and the pattern that it matched."""


def _open_zst(file: Any) -> IO[bytes]:
    import pyarrow as pa  # only here: other archives need no more than Python

    return cast(IO[bytes], pa.CompressedInputStream(file, "zstd"))


COMPRESSIONS: Final[Mapping[str, tuple[bytes, Callable[[Any], Any]]]] = {
    "gz": (b"\x1f\x8b", gzip.open),
    "bz2": (b"BZh", bz2.open),
    "xz": (b"\xfd7zXZ\x00", lzma.open),
    "zst": (b"\x28\xb5\x2f\xfd", _open_zst),
}
"""Suffix of compressed files: their first bytes, and how they are opened."""

_DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    gzip.BadGzipFile,
    # A damaged zip can require an unknown version or compression, or hold a name that is not text.
    NotImplementedError,
    UnicodeDecodeError,
    # It can also state a length that overflows.
    OverflowError,
)


def kind_of(source: Path) -> str:
    """Return ``folder``, ``zip``, ``tar``, ``gz``, ``bz2``, ``xz``, ``zst`` or ``plain``."""
    if source.is_dir():
        return "folder"
    with source.open("rb") as stream:
        head = stream.read(512)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    kind = _compression(head)
    if kind is not None:
        return "tar" if _is_tar_header(_first_unpacked(source, kind)) else kind
    return "tar" if _is_tar_header(head) or source.suffix.lower() == ".tar" else "plain"


def _compression(head: bytes) -> str | None:
    return next((k for k, (mark, _) in COMPRESSIONS.items() if head.startswith(mark)), None)


def _is_tar_header(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def _first_unpacked(source: Path, kind: str) -> bytes:
    try:
        with source.open("rb") as raw, COMPRESSIONS[kind][1](raw) as stream:
            return bytes(stream.read(512))
    except (*_DAMAGED, OSError) as error:
        raise _damaged(source, error) from error


def _damaged(source: Path, error: Exception) -> DataError:
    return DataError(
        f"{source}: truncated or damaged archive, or of a kind that cannot be unpacked ({error}); "
        "fetch it again, or unpack it and set data.source to the folder"
    )


def unpack(
    source: Path, kind: str, patterns: Sequence[str], folder: Path, packed: int
) -> tuple[list[Unpacked], list[str]]:
    """Unpack the members that match `patterns` into a folder, one by one.

    Parameters
    ----------
    source, kind : Path, str
        An archive or a compressed file, and what `kind_of` says of it.
    patterns : sequence of str
        As `archive.open_members` takes them.
    folder : Path
        Where to unpack, under names that the archive does not choose.
    packed : int
        Bytes of the outermost archive, on which the limit on unpacked bytes depends.

    Returns
    -------
    list of Unpacked, list of str
        What was unpacked, and the names of all members.

    Raises
    ------
    DataError
        The archive is truncated, damaged, encrypted, unsafe or far too large once unpacked, or
        there is no room to unpack it.
    """
    unpacker = {"zip": _unpack_zip, "tar": _unpack_tar}.get(kind, _unpack_file)
    names: list[str] = []
    try:
        return list(unpacker(_Allowance(source, packed), patterns, folder, names)), names
    except _DAMAGED as error:
        raise _damaged(source, error) from error
    except OSError as error:
        if error.errno is None:  # not the system's: decompression's
            raise _damaged(source, error) from error
        raise no_room(source, str(folder), error) from error


def match(name: str, patterns: Sequence[str]) -> str | None:
    """Return the first pattern that a member's name fits, or None."""
    path = PurePosixPath(name)
    # macOS adds a metadata file for every member under this folder.
    if path.parts[:1] == ("__MACOSX",):
        return None
    return next((pattern for pattern in patterns if _fits(path, pattern)), None)


def _fits(path: PurePosixPath, pattern: str) -> bool:
    name = str(path) if "/" in pattern else path.name
    return fnmatchcase(name.lower(), pattern.lower())


def _refuse(source: Path, name: str, problem: str) -> DataError:
    return DataError(f"{source}: refused, because its member {name!r} {problem}")


def _check_name(source: Path, name: str) -> None:
    # Backslashes separate folders on Windows, and "C:" makes a path absolute there.
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or name[1:2] == ":":
        raise _refuse(source, name, "leaves its folder")


@dataclass(frozen=True)
class _Allowance:
    """Limit on unpacked bytes, relative to the size of the archive in bytes."""

    source: Path
    packed: int

    def check(self, name: str, total: int) -> None:
        """Refuse the archive if `total`, the bytes up to this member, exceeds the limit."""
        if total > max(HARMLESS_BYTES, MAX_EXPANSION * self.packed):
            raise _refuse(
                self.source,
                name,
                f"brings what is unpacked to {total} bytes, more than {MAX_EXPANSION} times the "
                f"archive's {self.packed}",
            )


class _Unpacking:
    """Stream of a compressed file's content, limited while it is read: it states no size."""

    def __init__(self, stream: IO[bytes], allowance: _Allowance, name: str) -> None:
        self.stream, self.allowance, self.name = stream, allowance, name
        self.total = 0

    def read(self, size: int) -> bytes:
        block = self.stream.read(size)
        self.total += len(block)
        self.allowance.check(self.name, self.total)
        return block


def _copy(stream: IO[bytes], target: Path, source: Path, name: str, size: int) -> None:
    """Copy a member; refuse it if it does not have the `size` bytes that its header states."""
    written = 0
    with target.open("wb") as out:
        while block := stream.read(COPY_BYTES):
            written += len(block)
            if written > size:
                break
            out.write(block)
    if written != size:
        found = "more" if written > size else f"only {written}"
        raise _refuse(source, name, f"should have {size} bytes and has {found}")


def _unpack_zip(
    allowance: _Allowance, patterns: Sequence[str], folder: Path, names: list[str]
) -> Iterator[Unpacked]:
    source = allowance.source
    with zipfile.ZipFile(source) as archive:
        infos = archive.infolist()
        for info in infos:
            _check_zip_member(source, info)
            names += [] if info.filename.endswith("/") else [info.filename]
        total = 0
        for number, info in enumerate(infos):
            pattern = match(info.filename, patterns)
            if pattern is None or info.is_dir():
                continue
            total += info.file_size
            allowance.check(info.filename, total)
            # A number as the name: the archive must not decide where a file is written.
            target = folder / str(number)
            with archive.open(info) as stream:
                _copy(stream, target, source, info.filename, info.file_size)
            yield info.filename, target, pattern


def _check_zip_member(source: Path, info: zipfile.ZipInfo) -> None:
    _check_name(source, info.filename)
    mode = info.external_attr >> 16
    # Tools of other systems than Unix leave the file type zero.
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refuse(source, info.filename, "is a link or a device, not a file")
    if info.flag_bits & 0x1:
        raise _refuse(source, info.filename, "is encrypted; unpack it and name the folder")


def _unpack_tar(
    allowance: _Allowance, patterns: Sequence[str], folder: Path, names: list[str]
) -> Iterator[Unpacked]:
    source = allowance.source
    with source.open("rb") as raw:
        kind = _compression(raw.read(512))
        if kind is None:
            _check_tar_end(raw)
        raw.seek(0)
        stream = cast(IO[bytes], raw)
        if kind is not None:
            stream = cast(IO[bytes], _Unpacking(COMPRESSIONS[kind][1](raw), allowance, "(all)"))
        total = 0
        # "r|" reads the stream once from start to end, so it is decompressed only once.
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for number, info in enumerate(archive):
                _check_tar_member(source, info)
                names += [info.name] if info.isfile() else []
                total += info.size
                allowance.check(info.name, total)
                pattern = match(info.name, patterns)
                content = archive.extractfile(info) if pattern is not None else None
                if pattern is None or content is None:
                    continue
                target = folder / str(number)
                _copy(content, target, source, info.name, info.size)
                yield info.name, target, pattern
        while stream.read(COPY_BYTES):  # the checksum is verified at the end of the stream
            pass


def _check_tar_end(raw: IO[bytes]) -> None:
    """Check for the zeros at the end: a tar cut between two members reads as a shorter tar."""
    raw.seek(max(0, raw.seek(0, io.SEEK_END) - TAR_END_BYTES))
    if any(raw.read()):
        raise tarfile.ReadError("its end is missing")


def _check_tar_member(source: Path, info: tarfile.TarInfo) -> None:
    _check_name(source, info.name)
    if not (info.isfile() or info.isdir()):
        raise _refuse(source, info.name, "is a link or a device, not a file")


def _unpack_file(
    allowance: _Allowance, patterns: Sequence[str], folder: Path, names: list[str]
) -> Iterator[Unpacked]:
    source = allowance.source
    with source.open("rb") as raw:
        kind = _compression(raw.read(512))
        assert kind is not None  # as ``kind_of`` found
        name = source.name
        name = name[: -len(kind) - 1] if name.lower().endswith(f".{kind}") else name
        names.append(name)
        pattern = match(name, patterns) or (patterns[0] if len(patterns) == 1 else None)
        if pattern is None:
            return
        target = folder / "0"
        raw.seek(0)
        with COMPRESSIONS[kind][1](raw) as stream, target.open("wb") as out:
            content = _Unpacking(stream, allowance, name)
            while block := content.read(COPY_BYTES):
                out.write(block)
        yield name, target, pattern
