"""Read files from a zip or tar archive, a compressed file, a folder or a plain file alike."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mascot_jax.data.unpack import kind_of, match, unpack
from mascot_jax.errors import DataError, printable


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
    """Matched files of one source.

    Attributes
    ----------
    source : Path
        The source.
    found : tuple of Member
        The matched files.
    packed : int or None
        Size in bytes of the outermost archive; None outside of archives.
    names : tuple of str
        Names of all its files, for messages.
    """

    source: Path
    found: tuple[Member, ...]
    packed: int | None = None
    names: tuple[str, ...] = ()

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
        An archive (zip, tar, compressed tar, or one file in gz, bz2, xz or zst), a folder, or a
        plain file.
    patterns : sequence of str
        Requested file names in any case, without folders unless they have a slash; ``*`` and ``?``
        as in a shell. A plain or compressed file always matches a single pattern.
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
    kind = kind_of(source)
    if kind == "folder":
        there = _names_in(source)
        yield Members(source, tuple(_folder_members(source, there, patterns)), packed, there)
        return
    if kind == "plain":
        yield Members(source, tuple(_plain_member(source, patterns)), packed, (source.name,))
        return
    packed = source.stat().st_size if packed is None else packed
    with tempfile.TemporaryDirectory(prefix="mascot-") as folder:
        found, names = unpack(source, kind, patterns, Path(folder), packed)
        members = tuple(_member(name, source, target, pattern) for name, target, pattern in found)
        yield Members(source, members, packed, tuple(names))


def _names_in(folder: Path) -> tuple[str, ...]:
    return tuple(p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file())


def _folder_members(
    source: Path, names: Sequence[str], patterns: Sequence[str]
) -> Iterator[Member]:
    for name in names:
        pattern = match(name, patterns)
        if pattern is not None:
            yield Member(name, str(source / name), source / name, pattern)


def _plain_member(source: Path, patterns: Sequence[str]) -> Iterator[Member]:
    pattern = match(source.name, patterns)
    if pattern is None and len(patterns) == 1:
        pattern = patterns[0]
    if pattern is not None:
        yield Member(source.name, str(source), source, pattern)


def _member(name: str, source: Path, target: Path, pattern: str) -> Member:
    shown = printable(name)
    return Member(shown, f"{shown} in {source}", target, pattern)
