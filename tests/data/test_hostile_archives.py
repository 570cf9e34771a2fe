"""Archives made to harm: what they take is bounded by their own size, and names are only names."""

import gzip
import io
import random
import tarfile
import tracemalloc
import zipfile

import pytest

from mascot_jax.data import unpack
from mascot_jax.data.archive import open_members
from mascot_jax.data.formats.netflix import read_netflix
from mascot_jax.errors import DataError

TEXT = b"".join(b"%d::%d::4::0\n" % (i, i * i) for i in range(300))


def contents(source, pattern="ratings.dat"):
    with open_members(source, [pattern]) as members:
        return members.one(pattern).path.read_bytes()


def tar_of(*members, layout=tarfile.GNU_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=layout) as made:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zip_of(*members, codec=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", codec) as made:
        for name, content in members:
            made.writestr(zipfile.ZipInfo(name), content, codec)
    return out.getvalue()


@pytest.fixture
def written(tmp_path):
    def write(data, name="any"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


@pytest.fixture
def small_bound(monkeypatch):
    monkeypatch.setattr(unpack, "HARMLESS_BYTES", 100_000)


def header(kind, size, name=b"ratings.dat"):
    """A tar header whose size may be a lie."""
    info = tarfile.TarInfo(name.decode())
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.usefixtures("small_bound")
@pytest.mark.parametrize(
    "kind", [tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE]
)
def test_headers_that_unpack_without_end_are_not_read_into_memory(written, kind):
    """They are read whole before the member is known that they belong to."""
    size = 64 * 2**20
    bomb = gzip.compress(header(kind, size) + bytes(size) + tar_of(("ratings.dat", TEXT)), 6)
    source = written(bomb)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"\(all\).* more than 200 times"):
            contents(source)
        assert tracemalloc.get_traced_memory()[1] < size / 4
    finally:
        tracemalloc.stop()


def test_a_member_of_ten_terabytes_is_refused_by_its_header(written):
    size = 10 * 2**40
    with pytest.raises(DataError, match=rf"brings what is unpacked to {size} bytes"):
        contents(written(header(tarfile.REGTYPE, size) + TEXT + bytes(2048)))
    data = bytearray(zip_of(("ratings.dat", TEXT)))
    at = data.index(b"PK\x01\x02") + 24
    data[at : at + 4] = (2**32 - 2).to_bytes(4, "little")
    with pytest.raises(DataError, match=rf"brings what is unpacked to {2**32 - 2} bytes"):
        contents(written(bytes(data)))


@pytest.mark.usefixtures("small_bound")
def test_an_archive_in_an_archive_does_not_multiply_what_each_may_unpack(written):
    # Lines that gz packs to a hundredth; forty times the same packed bytes, packed again.
    rng = random.Random(0)
    block = b"".join(b"%d,3,2005-09-06\n" % rng.randrange(10**9) for _ in range(150))
    lines = block * 80
    once = gzip.compress(lines, mtime=0)
    body = b"1:\n" + lines * 40
    movie = header(tarfile.REGTYPE, len(body), b"mv_1.txt")
    inner = gzip.compress(movie + b"1:\n", mtime=0) + once * 40
    inner += gzip.compress(bytes(-len(body) % 512 + 1024), mtime=0)
    outer = zip_of(("training_set.tar", inner), ("probe.txt", b"1:\n7\n"))
    assert 200 * len(outer) < len(body) < 200 * len(inner)
    with pytest.raises(DataError, match="more than 200 times the archive's"):
        read_netflix(written(outer))


@pytest.mark.parametrize("make", [zip_of, tar_of], ids=["zip", "tar"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_name_twice_is_refused(written, make):
    source = written(make(("ratings.dat", TEXT), ("ratings.dat", b"1::1::1::1\n")))
    with pytest.raises(DataError, match=r"holds 2 files named ratings\.dat"):
        contents(source)


def test_a_link_that_nobody_wants_is_refused(written):
    """A link to a folder, and then a member behind it, would be written where the link points."""
    link = tarfile.TarInfo("set")
    link.type, link.linkname = tarfile.SYMTYPE, "/tmp"
    with pytest.raises(DataError, match="'set' is a link or a device"):
        contents(written(tar_of((link, b""), ("set/ratings.dat", TEXT))))


def test_a_wrong_checksum_of_a_member_that_is_not_packed_is_refused(written):
    data = zip_of(("ratings.dat", TEXT), codec=zipfile.ZIP_STORED)
    with pytest.raises(DataError, match=r"Bad CRC-32"):
        contents(written(data.replace(b"7::49::4", b"7::49::5", 1)))


def test_a_name_that_is_no_text_can_be_shown(written):
    info = tarfile.TarInfo("f\udcffolder/ratings.dat")
    with open_members(written(tar_of((info, TEXT))), ["ratings.dat"]) as members:
        member = members.one("ratings.dat")
    assert member.name == "f\\udcffolder/ratings.dat"
    assert member.label.encode()


def test_a_length_that_python_cannot_count_to_is_damage(written):
    """tarfile answers it with an OverflowError."""
    info = tarfile.TarInfo("ratings.dat")
    info.pax_headers = {"comment": "x" * 30}
    data = tar_of((info, TEXT), layout=tarfile.PAX_FORMAT)
    record = data[data.index(b"comment") - 3 : data.index(b"comment") + 39]
    with pytest.raises(DataError, match="truncated or damaged archive"):
        contents(written(data.replace(record, b"9" * 30 + b" comment=xxx", 1)))
