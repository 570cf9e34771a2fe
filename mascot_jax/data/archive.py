"""Read files from a zip, tar, tar.gz or gz archive, a folder or a plain file in the same way.

Archives are not trusted. An archive is refused if one of its members has a path outside its folder,
is a link or a device, or expands far beyond the archive's size.
"""

from __future__ import annotations

import gzip
import io
import lzma
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import IO, cast

from mascot_jax.errors import DataError, printable

# Rating files compress 5 to 10 times; only a decompression bomb reaches 200 times.
MAX_EXPANSION = 200
# Small archives of repetitive rows compress more; unpacking this much is harmless.
HARMLESS_BYTES = 64 * 2**20
COPY_BYTES = 2**20
TAR_END_BYTES = 1024

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


@dataclass(frozen=True)
class Member:
    """One matched file.

    Attributes
    ----------
    name : str
        Path inside the archive or folder, or the plain file's own path.
    label : str
        Name for messages, which includes the archive.
    path : Path
        Real file, valid only inside the ``with`` block of `open_members`.
    pattern : str
        The requested pattern that the file matched.
    """

    name: str
    label: str
    path: Path
    pattern: str


@dataclass(frozen=True)
class Members:
    """Matched files of one source; ``packed`` is the outermost archive's size in bytes, or None."""

    source: Path
    found: tuple[Member, ...]
    packed: int | None = None

    def all(self, pattern: str) -> list[Member]:
        """Return the members that matched `pattern`, sorted by name."""
        return sorted((m for m in self.found if m.pattern == pattern), key=lambda m: m.name)

    def one(self, pattern: str) -> Member:
        """Return the only member that matched `pattern`.

        Raises
        ------
        DataError
            There is none, or more than one.
        """
        matches = self.all(pattern)
        if not matches:
            raise DataError(f"{self.source}: holds no file named {pattern}, which is needed")
        if len(matches) > 1:
            names = ", ".join(member.name for member in matches)
            raise DataError(
                f"{self.source}: holds {len(matches)} files named {pattern} ({names}); exactly one "
                "is needed. Point data.source at a folder or archive with only that one"
            )
        return matches[0]


@contextmanager
def open_members(
    source: Path, patterns: Sequence[str], packed: int | None = None
) -> Iterator[Members]:
    """Yield the files of `source` that match `patterns`, as real files.

    Archives are recognised by content; a tar also by its suffix. Members are unpacked one by one
    into a temporary folder (under ``TMPDIR``), which is removed at the end of the block. A plain
    file and the files of a folder are used in place.

    Parameters
    ----------
    source : Path
        An archive (zip, tar, tar.gz, or one file in gz), a folder, or a plain file.
    patterns : sequence of str
        Requested file names, without folders; ``*`` and ``?`` as in a shell. A plain or gz file
        always matches a single pattern.
    packed : int, optional
        Bytes of the archive that `source` was unpacked from (``Members.packed``). The limit on
        unpacked bytes depends on it; otherwise nested archives could multiply the limit.

    Yields
    ------
    Members
        The files found; some patterns may have no match (see `Members.one`).

    Raises
    ------
    DataError
        The archive is truncated, damaged, encrypted, unsafe or far too large once unpacked, or
        there is no room to unpack it.
    """
    if source.is_dir():
        yield Members(source, tuple(_folder_members(source, patterns)))
        return
    kind = _kind(source)
    if kind == "plain":
        yield Members(source, tuple(_plain_member(source, patterns)))
        return
    with tempfile.TemporaryDirectory(prefix="mascot-") as folder:
        unpacker = {"zip": _unpack_zip, "tar": _unpack_tar, "gz": _unpack_gz}[kind]
        allowance = _Allowance(source, source.stat().st_size if packed is None else packed)
        try:
            members = tuple(unpacker(allowance, patterns, Path(folder)))
        except _DAMAGED as error:
            raise _damaged(source, error) from error
        except OSError as error:
            raise DataError(
                f"{source}: cannot be unpacked into {folder} ({error.strerror or error}); if there "
                "is no room, set TMPDIR to a folder that has some"
            ) from error
        yield Members(source, members, allowance.packed)


def _kind(source: Path) -> str:
    with source.open("rb") as stream:
        head = stream.read(512)
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return "zip"
    if head[:2] == b"\x1f\x8b":
        return "tar" if _is_tar_header(_first_unpacked(source)) else "gz"
    return "tar" if _is_tar_header(head) or source.suffix == ".tar" else "plain"


def _is_tar_header(head: bytes) -> bool:
    return head[257:262] == b"ustar"


def _first_unpacked(source: Path) -> bytes:
    try:
        with gzip.open(source) as stream:
            return stream.read(512)
    except _DAMAGED as error:
        raise _damaged(source, error) from error


def _damaged(source: Path, error: Exception) -> DataError:
    return DataError(
        f"{source}: truncated or damaged archive, or of a kind that cannot be unpacked ({error}); "
        "fetch it again, or unpack it and set data.source to the folder"
    )


def _match(name: str, patterns: Sequence[str]) -> str | None:
    path = PurePosixPath(name)
    # macOS adds a metadata file for every member under this folder.
    if path.parts[:1] == ("__MACOSX",):
        return None
    return next((pattern for pattern in patterns if fnmatchcase(path.name, pattern)), None)


def _folder_members(source: Path, patterns: Sequence[str]) -> Iterator[Member]:
    for path in sorted(source.rglob("*")):
        pattern = _match(path.relative_to(source).as_posix(), patterns)
        if pattern is not None and path.is_file():
            yield Member(path.relative_to(source).as_posix(), str(path), path, pattern)


def _plain_member(source: Path, patterns: Sequence[str]) -> Iterator[Member]:
    pattern = _match(source.name, patterns)
    if pattern is None and len(patterns) == 1:
        pattern = patterns[0]
    if pattern is not None:
        yield Member(source.name, str(source), source, pattern)


def _member(name: str, source: Path, target: Path, pattern: str) -> Member:
    shown = printable(name)
    return Member(shown, f"{shown} in {source}", target, pattern)


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
    """Stream of a gz's content, limited while it is read: a gz's stated size is not reliable."""

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


def _unpack_zip(allowance: _Allowance, patterns: Sequence[str], folder: Path) -> Iterator[Member]:
    source = allowance.source
    with zipfile.ZipFile(source) as archive:
        infos = archive.infolist()
        for info in infos:
            _check_zip_member(source, info)
        total = 0
        for number, info in enumerate(infos):
            pattern = _match(info.filename, patterns)
            if pattern is None or info.is_dir():
                continue
            total += info.file_size
            allowance.check(info.filename, total)
            # A number as the name: the archive must not decide where a file is written.
            target = folder / str(number)
            with archive.open(info) as stream:
                _copy(stream, target, source, info.filename, info.file_size)
            yield _member(info.filename, source, target, pattern)


def _check_zip_member(source: Path, info: zipfile.ZipInfo) -> None:
    _check_name(source, info.filename)
    mode = info.external_attr >> 16
    # Tools of other systems than Unix leave the file type zero.
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _refuse(source, info.filename, "is a link or a device, not a file")
    if info.flag_bits & 0x1:
        raise _refuse(source, info.filename, "is encrypted; unpack it and name the folder")


def _unpack_tar(allowance: _Allowance, patterns: Sequence[str], folder: Path) -> Iterator[Member]:
    source = allowance.source
    with source.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b"
        if not packed:
            _check_tar_end(raw)
        raw.seek(0)
        content_of = _Unpacking(cast(IO[bytes], gzip.GzipFile(fileobj=raw)), allowance, "(all)")
        stream = cast(IO[bytes], content_of if packed else raw)
        total = 0
        # "r|" reads the stream once from start to end, so a gz is decompressed only once.
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for number, info in enumerate(archive):
                _check_tar_member(source, info)
                total += info.size
                allowance.check(info.name, total)
                pattern = _match(info.name, patterns)
                content = archive.extractfile(info) if pattern is not None else None
                if pattern is None or content is None:
                    continue
                target = folder / str(number)
                _copy(content, target, source, info.name, info.size)
                yield _member(info.name, source, target, pattern)
        while stream.read(COPY_BYTES):  # gzip verifies its checksum at the end of the stream
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


def _unpack_gz(allowance: _Allowance, patterns: Sequence[str], folder: Path) -> Iterator[Member]:
    source = allowance.source
    name = source.name.removesuffix(".gz")
    pattern = _match(name, patterns) or (patterns[0] if len(patterns) == 1 else None)
    if pattern is None:
        return
    target = folder / "0"
    with gzip.open(source) as stream, target.open("wb") as out:
        content = _Unpacking(cast(IO[bytes], stream), allowance, name)
        while block := content.read(COPY_BYTES):
            out.write(block)
    yield _member(name, source, target, pattern)
