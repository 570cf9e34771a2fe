import contextlib
import gzip
import io
import stat
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mascot_jax.data import unpack
from mascot_jax.data.archive import open_members
from mascot_jax.errors import DataError

TEXT = b"".join(b"%d::%d::4::0\n" % (i, i * i) for i in range(3000))


def make_zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in members:
            out.writestr(name, content)
    return path


def make_tar(path, members, mode="w"):
    with tarfile.open(path, mode) as out:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


def make_tar_gz(path, members):
    return make_tar(path, members, "w:gz")


MAKERS = {"zip": make_zip, "tar": make_tar, "tar.gz": make_tar_gz}
every_kind = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


def contents(source, pattern="ratings.dat"):
    with open_members(source, [pattern]) as members:
        return members.one(pattern).path.read_bytes()


@every_kind
def test_only_the_wanted_member_is_unpacked_and_removed_afterwards(tmp_path, make):
    # The suffix says nothing: archives are told by their content.
    source = make(tmp_path / "any", [("set/README", b"x"), ("set/ratings.dat", TEXT)])
    with open_members(source, ["ratings.dat"]) as members:
        member = members.one("ratings.dat")
        assert member.path.read_bytes() == TEXT
        assert member.label == f"set/ratings.dat in {source}"
        assert list(member.path.parent.iterdir()) == [member.path]
    assert not member.path.parent.exists()


@every_kind
def test_the_temporary_folder_is_removed_after_an_error(tmp_path, make, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    source = make(tmp_path / "any", [("ratings.dat", TEXT)])
    with pytest.raises(KeyError), open_members(source, ["ratings.dat"]):
        raise KeyError
    assert list((tmp_path / "temp").iterdir()) == []


def test_several_members_come_sorted_by_name(tmp_path):
    source = make_zip(tmp_path / "a.zip", [("b/mv_2.txt", b"2"), ("a/mv_9.txt", b"9"), ("p", b"")])
    with open_members(source, ["p", "mv_*.txt"]) as members:
        assert [m.name for m in members.all("mv_*.txt")] == ["a/mv_9.txt", "b/mv_2.txt"]
        assert members.one("p").path.read_bytes() == b""


def test_a_folder_and_a_plain_file_are_used_in_place(tmp_path):
    (tmp_path / "set").mkdir()
    path = tmp_path / "set" / "ratings.dat"
    path.write_bytes(TEXT)
    for source in (tmp_path, path):
        with open_members(source, ["ratings.dat"]) as members:
            assert members.one("ratings.dat").path == path
    assert path.exists()


def test_a_plain_file_of_another_name_is_taken_only_for_a_single_pattern(tmp_path):
    path = tmp_path / "mine.dat"
    path.write_bytes(TEXT)
    assert contents(path) == TEXT
    with open_members(path, ["ratings.dat", "probe.txt"]) as members:
        assert members.found == ()


def test_a_gz_of_one_file(tmp_path):
    path = tmp_path / "ratings.dat.gz"
    path.write_bytes(gzip.compress(TEXT))
    with open_members(path, ["*.csv", "*.dat"]) as members:
        assert members.one("*.dat").path.read_bytes() == TEXT
        assert members.one("*.dat").name == "ratings.dat"
    assert contents(path, "other.name") == TEXT
    with open_members(path, ["*.csv", "*.txt"]) as members:
        assert members.found == ()


def test_the_shadow_files_of_macos_are_not_members(tmp_path):
    source = make_zip(tmp_path / "a.zip", [("__MACOSX/ratings.dat", b"x"), ("ratings.dat", TEXT)])
    assert contents(source) == TEXT


@every_kind
def test_a_missing_member_is_named(tmp_path, make):
    source = make(tmp_path / "any", [("movies.dat", b"x")])
    with pytest.raises(DataError, match=f"{source}: holds no file named ratings.dat"):
        contents(source)


@every_kind
def test_two_members_of_the_wanted_name_are_refused(tmp_path, make):
    source = make(tmp_path / "any", [("a/ratings.dat", b"x"), ("b/ratings.dat", b"y")])
    with pytest.raises(DataError, match=r"holds 2 files .*a/ratings\.dat, b/ratings\.dat"):
        contents(source)


@every_kind
@pytest.mark.parametrize(
    "name", ["../ratings.dat", "/etc/ratings.dat", "a/../../x", "..\\x", "C:\\x", "C:x"]
)
def test_a_member_that_leaves_its_folder_is_refused_even_if_not_wanted(tmp_path, make, name):
    source = make(tmp_path / "any", [("ratings.dat", TEXT), (name, b"x")])
    with pytest.raises(DataError, match=f"{source}: refused.*leaves its folder") as info:
        contents(source)
    assert repr(name) in str(info.value)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_a_link_or_device_in_a_tar_is_refused(tmp_path, kind):
    info = tarfile.TarInfo("ratings.dat")
    info.type, info.linkname = kind, "elsewhere"
    source = make_tar(tmp_path / "a.tar", [(info, b"")])
    with pytest.raises(DataError, match=r"'ratings\.dat' is a link or a device"):
        contents(source)


def test_a_link_in_a_zip_is_refused(tmp_path):
    info = zipfile.ZipInfo("ratings.dat")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    source = make_zip(tmp_path / "a.zip", [(info, b"elsewhere")])
    with pytest.raises(DataError, match=r"'ratings\.dat' is a link or a device"):
        contents(source)


def test_an_encrypted_member_is_refused(tmp_path):
    source = make_zip(tmp_path / "a.zip", [("ratings.dat", TEXT)])
    data = bytearray(source.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    source.write_bytes(data)
    with pytest.raises(DataError, match=r"'ratings\.dat' is encrypted"):
        contents(source)


@every_kind
@pytest.mark.parametrize("part", [0.02, 0.3, 0.6, 0.9])
def test_a_truncated_archive_is_refused(tmp_path, make, part):
    source = make(tmp_path / "any.tar", [("ratings.dat", TEXT), ("other", TEXT[::-1])])
    data = source.read_bytes()
    source.write_bytes(data[: int(len(data) * part)])
    with pytest.raises(DataError, match=f"{source}: truncated or damaged archive"):
        contents(source)


def test_a_tar_cut_between_members_is_refused(tmp_path):
    source = make_tar(tmp_path / "a.tar", [("ratings.dat", b"x" * 512), ("other", TEXT)])
    source.write_bytes(source.read_bytes()[:1024])
    with pytest.raises(DataError, match="its end is missing"):
        contents(source)


def test_a_truncated_or_altered_gz_is_refused(tmp_path):
    source = tmp_path / "ratings.dat.gz"
    data = bytearray(gzip.compress(TEXT))
    for altered in (data[:5], data[: len(data) // 2], data[:-8] + b"\0" * 8):
        source.write_bytes(altered)
        with pytest.raises(DataError, match="truncated or damaged archive"):
            contents(source)


def test_a_tar_gz_with_a_wrong_checksum_is_refused(tmp_path):
    source = make_tar_gz(tmp_path / "a.tar.gz", [("ratings.dat", TEXT)])
    source.write_bytes(source.read_bytes()[:-8] + b"\0" * 8)
    with pytest.raises(DataError, match="truncated or damaged archive"):
        contents(source)


@pytest.fixture
def small_bound(monkeypatch):
    monkeypatch.setattr(unpack, "HARMLESS_BYTES", 10_000)


@pytest.mark.usefixtures("small_bound")
@pytest.mark.parametrize("make", [make_zip, make_tar_gz], ids=["zip", "tar.gz"])
def test_absurd_expansion_is_refused(tmp_path, make):
    source = make(tmp_path / "any", [("ratings.dat", b"\0" * 3_000_000)])
    with pytest.raises(DataError, match=r"'ratings\.dat' brings .* 3000000 bytes, more than 200"):
        contents(source)


@pytest.mark.usefixtures("small_bound")
def test_absurd_expansion_of_a_gz_is_refused_on_the_way(tmp_path):
    source = tmp_path / "ratings.dat.gz"
    source.write_bytes(gzip.compress(b"\0" * 30_000_000))
    with pytest.raises(DataError, match="more than 200 times"):
        contents(source)


@pytest.mark.usefixtures("small_bound")
def test_absurd_expansion_after_the_last_member_is_refused(tmp_path):
    inner = make_tar(tmp_path / "a.tar", [("ratings.dat", b"x")]).read_bytes()
    source = tmp_path / "a.tar.gz"
    source.write_bytes(gzip.compress(inner + b"\0" * 30_000_000))
    with pytest.raises(DataError, match="more than 200 times"):
        contents(source)


def test_a_member_larger_than_its_header_is_refused(tmp_path):
    source = make_zip(tmp_path / "a.zip", [("ratings.dat", TEXT)])
    data = source.read_bytes()
    size = len(TEXT).to_bytes(4, "little")
    source.write_bytes(data.replace(size, (100).to_bytes(4, "little")))
    with pytest.raises(DataError, match="truncated or damaged archive"):
        contents(source)


def test_no_room_to_unpack_names_the_way_out(tmp_path, monkeypatch):
    source = make_zip(tmp_path / "a.zip", [("ratings.dat", TEXT)])

    def no_room(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(unpack, "_copy", no_room)
    with pytest.raises(DataError, match=r"No space left on device.*TMPDIR"):
        contents(source)


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    members = [("set/ratings.dat", TEXT[:600]), ("set/movies.dat", TEXT[600:900])]
    return folder, [make(folder / kind, members).read_bytes() for kind, make in MAKERS.items()]


@given(which=st.integers(0, 2), place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_a_damaged_archive_is_read_or_refused_but_never_crashes(originals, which, place, byte):
    folder, archives = originals
    data = bytearray(archives[which])
    data[int(place * len(data))] = byte
    source = folder / "damaged"
    source.write_bytes(data)
    # Any other error fails the test.
    with contextlib.suppress(DataError):
        contents(source)
