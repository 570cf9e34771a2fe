"""Archives: members that lie about their names, kinds and sizes, and checksums that fit the lie."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from mascot_jax.data.archive import open_members
from mascot_jax.data.formats.own import read_own
from mascot_jax.settings import Columns
from tests.fuzz.mutation import Mutation, damage, set_byte, set_integer, some_of
from tests.fuzz.target import Target

TEXT = b"".join(b"%d::%d::4::0\n" % (i, i * i) for i in range(40))
WANTED = "ratings.dat"
NAMES = ("../x", "/etc/x", "a/../../x", "..\\x", "C:x", "", ".", "a" * 300, "é\n", "x/", WANTED)
CODECS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
BLOCK = 512
CHECKSUM = slice(148, 156)


def read(path: Path) -> object:
    with open_members(path, [WANTED, "movies.dat"]) as members:
        return [members.one(WANTED).path.read_bytes(), members.all("movies.dat")]


# ---- zip


def make_zips() -> Sequence[bytes]:
    return [_zip([("set/README", b"x"), (f"set/{WANTED}", TEXT)], codec) for codec in CODECS]


def _zip(members: Sequence[tuple[str, bytes]], codec: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", codec) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = codec
            archive.writestr(info, content)
    return out.getvalue()


def alter_zip(rng: Random, data: bytes) -> bytes:
    """Damage one of the records behind a signature, or pack members with other names."""
    if rng.random() < 0.1:
        names = [rng.choice(NAMES), rng.choice(NAMES), WANTED]
        return _zip([(name, TEXT[: rng.randrange(99)]) for name in names], rng.choice(CODECS))
    marks = [place for place in range(len(data)) if data.startswith(b"PK", place)]
    begin = rng.choice(marks) + 4
    end = begin + 46  # the longest record, without its name
    return (
        data[:begin] + some_of((damage, set_byte, set_integer))(rng, data[begin:end]) + data[end:]
    )


# ---- tar


def make_tars() -> Sequence[bytes]:
    return [_tar(f) for f in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]


def _tar(layout: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=layout) as archive:
        for name, content in (("set/README", b"x"), (f"set/{WANTED}", TEXT)):
            info = tarfile.TarInfo(name)
            if layout != tarfile.USTAR_FORMAT:
                info.uname = "u" * 20
                archive.addfile(tarfile.TarInfo("long/" * 30 + "movies.dat"))
            if layout == tarfile.PAX_FORMAT:
                info.pax_headers = {"comment": "é", "mtime": "1.5"}
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


TAR_FIELDS = (
    (slice(0, 100), (b"../x", b"/x", b"", b"\xff", b"a" * 100, WANTED.encode())),
    (
        slice(124, 136),
        (b"77777777777", b"-1", b"0", b"9", b"\x80" + b"\0" * 10 + b"\1", b"\xff" * 12),
    ),
    (slice(156, 157), tuple(b"0123456789LKSVxgDMN\0\xff"[i : i + 1] for i in range(21))),
    (slice(157, 257), (b"elsewhere", b"/etc/passwd", b"")),
    (slice(257, 265), (b"ustar\x0000", b"ustar  \0", b"")),
    (slice(386, 512), (b"\x37" * 126, b"\xff" * 126, b"00000000000\0" * 8)),
)
PAX = (
    (b"mtime=", (b"sized=", b"\0time=", b"mtime-")),
    (b"comment=", (b"GNU.sp=", b"size=99", b"path=..", b"comment\n")),
    (b"=1.5", (b"=nan", b"=1e9", b"=\xff\xff ", b"=-1")),
)


def alter_tar(rng: Random, data: bytes) -> bytes:
    """Change a field of a header and put its checksum right, or a word of PAX."""
    if rng.random() < 0.2:
        old, new = rng.choice(PAX)
        return data.replace(old, rng.choice(new), 1)
    place = rng.randrange(max(1, len(data) // BLOCK)) * BLOCK
    header = bytearray(data[place : place + BLOCK].ljust(BLOCK, b"\0"))
    if rng.random() < 0.7:
        field, values = rng.choice(TAR_FIELDS)
        size = field.stop - field.start
        header[field] = rng.choice(values)[:size].ljust(size, b"\0")
    else:
        header[:] = damage(rng, bytes(header)).ljust(BLOCK, b"\0")[:BLOCK]
    header[CHECKSUM] = b" " * 8
    header[CHECKSUM] = b"%06o\0 " % sum(header)
    return data[:place] + bytes(header) + data[place + BLOCK :]


# ---- gz, and tar in gz; others, whose damage their checksums find


def make_compressed() -> Sequence[bytes]:
    return [bz2.compress(TEXT), lzma.compress(TEXT), pa.compress(TEXT, "zstd", asbytes=True)]


def packed(alter: Mutation) -> Mutation:
    """Alter what is packed, and pack it again."""

    def apply(rng: Random, data: bytes) -> bytes:
        try:
            inner = gzip.decompress(data)
        except (OSError, EOFError, zlib.error):  # damaged before
            return damage(rng, data)
        data = gzip.compress(alter(rng, inner), 1, mtime=0)
        return data if rng.random() < 0.8 else data + gzip.compress(TEXT, 1, mtime=0)

    return apply


def make_tar_gzs() -> Sequence[bytes]:
    return [gzip.compress(tar, mtime=0) for tar in make_tars()]


def make_npzs() -> Sequence[bytes]:
    matrix = sp.coo_array(([1.0, 2.0, 3.0], ([0, 2, 2], [1, 1, 3])), shape=(4, 5))
    seeds = []
    for form in ("coo", "csr", "csc"):
        out = io.BytesIO()
        sp.save_npz(out, matrix.asformat(form), compressed=form == "csr")
        seeds.append(out.getvalue())
    out = io.BytesIO()
    np.savez(out, user=["a", "b"], item=[1, 2], rating=[1.5, 2])
    return [*seeds, out.getvalue()]


def alter_npz(rng: Random, data: bytes) -> bytes:
    """Damage one array, header or values, and pack all again: checksums would hide what follows."""
    if rng.random() < 0.2:
        return alter_zip(rng, data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    place = rng.randrange(len(members))
    name, content = members[place]
    members[place] = (name, some_of((damage, set_byte, set_integer))(rng, content))
    return _zip(members, zipfile.ZIP_DEFLATED)


def read_as_own(path: Path) -> object:
    return read_own(path, Columns())


TARGETS = (
    Target("zip", make_zips, alter_zip, read),
    Target("tar", make_tars, some_of((alter_tar,)), read, "input.tar"),
    Target("tar.gz", make_tar_gzs, packed(some_of((alter_tar,))), read),
    Target("gz", lambda: [gzip.compress(TEXT, mtime=0)], packed(damage), read, f"{WANTED}.gz"),
    Target("compressed", make_compressed, damage, read, WANTED),
    Target("npz", make_npzs, alter_npz, read_as_own, "input.npz"),
)
