"""One's own ratings: files of any format, in any place, alone or among others."""

import bz2
import gzip
import io
import lzma
import os
import sys
import tarfile
import threading
import uuid
import zipfile
from decimal import Decimal

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp

from mascot_jax.data import unpack
from mascot_jax.data.formats.columns import PAIRS
from mascot_jax.data.formats.own import read_own
from mascot_jax.data.read import read_ratings
from mascot_jax.errors import DataError
from mascot_jax.settings import Columns

ROWS = [(1, 10, 5.0), (2, 11, 3.0)]
CSV = b"user,item,rating\n1,10,5\n2,11,3\n"
MOVIELENS = b"userId,movieId,rating,timestamp\n1,10,5,0\n2,11,3,0\n"


def parquet(rows=ROWS, names=("user", "item", "rating")):
    out = io.BytesIO()
    pl.DataFrame(rows, schema=list(names), orient="row").write_parquet(out)
    return out.getvalue()


def rows(place, columns=None, **kwargs):
    return read_own(place, columns or Columns(), **kwargs).rows()


def put(folder, **files):
    for name, content in files.items():
        path = folder / name.replace("#", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def make_zip(path, members):
    with zipfile.ZipFile(path, "w") as out:
        for name, content in members.items():
            out.writestr(name, content)
    return path


def make_tar(path, members, mode="w:xz"):
    with tarfile.open(path, mode) as out:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
    return path


PACK = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": lambda data: pa.compress(data, "zstd", asbytes=True),
}


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("name", ["r.csv", "R.CSV", "r.txt", "r", "u1.base", "r.parquet"])
def test_content_decides_about_the_format(tmp_path, suffix, name):
    path = tmp_path / (name + suffix.upper() if name.isupper() else name + suffix)
    path.write_bytes(PACK[suffix](parquet() if "parquet" in name else CSV))
    assert rows(path) == ROWS
    assert rows(path, keys=PAIRS) == [row[:2] for row in ROWS]


@pytest.mark.parametrize("suffix", sorted(set(PACK) - {""}))
def test_a_cut_file_is_refused(tmp_path, suffix):
    content = PACK[suffix](CSV + os.urandom(9999))
    (tmp_path / "r").write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match="truncated or damaged archive"):
        rows(tmp_path / "r")


def test_a_decompression_bomb_is_refused(tmp_path):
    (tmp_path / "r.zst").write_bytes(PACK[".zst"](bytes(2**27)))
    with pytest.raises(DataError, match="more than 200 times"):
        rows(tmp_path / "r.zst")


@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_of_several_files_the_one_with_the_columns_is_read(tmp_path, make):
    members = {
        "set/README.txt": b"hi\n",
        "set/movies.csv": b"movieId,title\n10,A\n",
        "set/tags.csv": b"userId,movieId,tag\n1,10,x\n",
        "set/ratings.csv": MOVIELENS,
        "set/logo.png": b"\x89PNG",
    }
    path = make(tmp_path / "any", members)
    assert rows(path) == ROWS
    assert rows(f"{path}:ratings.csv") == ROWS
    assert rows(f"{path}:set/ratings.csv") == ROWS
    assert rows(f"{path}:RATINGS.csv") == ROWS
    with pytest.raises(DataError, match=r"no file named nope\.csv, only \['set/README.txt'"):
        rows(f"{path}:nope.csv")
    with pytest.raises(DataError, match=r"none of its 4 files has .*column 'stars'.* not there"):
        rows(path, Columns(rating="stars"))


def test_of_several_files_with_the_columns_one_must_be_named(tmp_path):
    path = make_zip(tmp_path / "a.zip", {"train.csv": CSV, "test.csv": CSV})
    with pytest.raises(DataError, match=r"2 files have the columns.*name the file itself") as info:
        rows(path)
    named = str(info.value).rpartition("such as ")[2]
    assert rows(named) == ROWS
    # Without header lines the columns show little; the name decides.
    dats = {"users.dat": b"1::F::1\n", "ratings.dat": b"1::10::5::0\n2::11::3::0\n"}
    assert rows(make_zip(tmp_path / "b.zip", dats)) == ROWS


def test_a_file_whose_name_has_a_colon_is_that_file(tmp_path):
    (tmp_path / "a:b").write_bytes(CSV)
    assert rows(tmp_path / "a:b") == ROWS


@pytest.mark.parametrize(
    "names",
    [
        ("part-00000-x.snappy.parquet", "part-00001-x.snappy.parquet"),
        ("year=2020/data.parquet", "year=2021/data.parquet"),
        (f"{uuid.UUID(int=7)}-0.parquet", f"{uuid.UUID(int=2**99)}-0.parquet"),
        ("part-00000", "part-00001"),
        ("r-1.csv.gz", "r-2.csv.gz"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_the_parts_of_a_table_are_read_as_one(tmp_path, names, packed):
    suffix = ".gz" if names[0].endswith(".gz") else ""
    make = (
        parquet if "parquet" in names[0] else lambda rows: b"user,item,rating\n%d,%d,%g\n" % rows[0]
    )
    parts = {n: PACK[suffix](make([row])) for n, row in zip(names, ROWS, strict=True)}
    parts |= {"_SUCCESS": b"", ".part-00000.crc": b"x"}
    parts |= {f"_temporary/0/{name}": content for name, content in parts.items()}
    parts |= {f"__MACOSX/._{names[0]}": b"x"} if packed else {}
    if packed:
        assert rows(make_zip(tmp_path / "a.zip", parts)) == ROWS
    else:
        assert rows(put(tmp_path, **{n.replace("/", "#"): c for n, c in parts.items()})) == ROWS


def test_a_part_that_differs_is_no_reason_to_leave_it_out(tmp_path):
    bad = b"user,item\n1,2\n"
    put(tmp_path, **{"part-0.csv": CSV, "part-1.csv": b"", "part-2.csv": CSV})
    assert rows(tmp_path) == ROWS * 2  # Spark leaves empty parts
    (tmp_path / "part-3.csv").write_bytes(bad)
    with pytest.raises(
        DataError, match=r"part-3\.csv: column 'rating' .* not there.*part of the same"
    ):
        rows(tmp_path)


def test_parts_with_other_types_of_ids_are_one_column(tmp_path):
    put(
        tmp_path,
        **{"p-1.parquet": parquet([(1, 10, 5.0)]), "p-2.parquet": parquet([("b", 2, 3.0)])},
    )
    assert rows(tmp_path) == [("1", 10, 5.0), ("b", 2, 3.0)]


def test_standard_input_and_pipes_are_read(tmp_path, monkeypatch):
    for content in (CSV, gzip.compress(CSV), parquet()):
        (tmp_path / "r").write_bytes(content)
        with (tmp_path / "r").open("rb") as stream:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
            assert rows("-") == ROWS
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"user,item,rating\n1,10,x\n",))
    writer.start()
    with pytest.raises(DataError, match=rf"^{pipe}, line 2: the rating 'x' is not a number"):
        rows(pipe)
    writer.join()


def test_an_excel_workbook_is_said_to_be_one(tmp_path):
    path = make_zip(tmp_path / "r.xlsx", {"xl/workbook.xml": b"x", "[Content_Types].xml": b"x"})
    with pytest.raises(DataError, match="this is an Excel workbook: save it as CSV UTF-8"):
        rows(path)


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_a_sparse_matrix_in_npz(tmp_path, form):
    matrix = sp.coo_array(([5.0, 3.0, 0.0], ([1, 2, 9], [10, 11, 3])), shape=(1000, 1000))
    sp.save_npz(tmp_path / "m.npz", matrix.asformat(form))
    assert sorted(rows(tmp_path / "m.npz")) == [*ROWS, (9, 3, 0.0)]


def test_named_arrays_in_npz(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, item=[10, 11], user=np.array(["1", "2"]), stars=np.array([5, 3]))
    assert rows(path, Columns(rating="stars")) == ROWS
    with pytest.raises(
        DataError, match=r"a\.npz: column 'rating' .* its arrays are \['item', 'user', 'st"
    ):
        rows(path)
    np.savez(path, user=[1, 2], item=[1], rating=[1.0, 2.0])
    with pytest.raises(DataError, match="arrays"):
        rows(path)
    sp.save_npz(path, sp.dia_array(np.eye(3)))
    with pytest.raises(DataError, match=r"format dia is not read: save matrix\.tocoo\(\)"):
        rows(path)
    np.savez(path, user=np.array([{}]), item=[1], rating=[1.0])
    with pytest.raises(DataError, match="neither a sparse matrix"):
        rows(path)


def test_an_npz_is_unpacked_once(tmp_path, monkeypatch):
    path = tmp_path / "a.npz"
    np.savez(path, user=[1, 2], item=[10, 11], rating=[5, 3])
    unpacked = []
    copy = unpack._copy
    monkeypatch.setattr(unpack, "_copy", lambda *args: unpacked.append(args[3]) or copy(*args))
    assert rows(path) == ROWS
    assert sorted(unpacked) == ["item.npy", "rating.npy", "user.npy"]


def test_a_folder_is_walked_once(tmp_path, monkeypatch):
    put(tmp_path, **{"a#r.csv": CSV, "a#b#notes.md": b"x"})
    walked = []
    rglob = type(tmp_path).rglob
    monkeypatch.setattr(
        type(tmp_path), "rglob", lambda self, *args: walked.append(self) or rglob(self, *args)
    )
    assert rows(tmp_path) == ROWS
    assert walked == [tmp_path]


def test_an_npz_whose_header_lies_reserves_no_memory(tmp_path):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": "<f8", "fortran_order": False, "shape": (2**45,)}
    )
    path = make_zip(tmp_path / "a.npz", {"user.npy": out.getvalue(), "item.npy": out.getvalue()})
    with pytest.raises(DataError, match=r"a\.npz: neither"):
        rows(path)


@pytest.mark.parametrize(
    ("users", "found"),
    [
        (pa.array([Decimal(1), Decimal(2)], pa.decimal128(38, 0)), [1, 2]),
        (pa.array([Decimal("1.00"), Decimal("2.00")], pa.decimal128(10, 2)), [1, 2]),
        (pa.array([Decimal("1.50"), Decimal("2.00")], pa.decimal128(10, 2)), ["1.50", "2.00"]),
        (pa.array([Decimal(10**30), Decimal(2)], pa.decimal128(38, 0)), [str(10**30), "2"]),
        (pa.array([uuid.UUID(int=i).bytes for i in (1, 2)], pa.uuid()),
         [str(uuid.UUID(int=i)) for i in (1, 2)]),
    ],
)  # fmt: skip
def test_decimals_and_uuids_in_parquet(tmp_path, users, found):
    pq.write_table(pa.table({"user": users, "item": [1, 2], "rating": [1, 2]}), tmp_path / "r")
    assert read_own(tmp_path / "r", Columns())["user"].to_list() == found


def test_parquet_goes_by_positions_too_and_refuses_columns_of_one_name(tmp_path):
    path = tmp_path / "r"
    path.write_bytes(parquet(names=("a", "b", "c")))
    assert rows(path, Columns(user="0", item="b", rating="2")) == ROWS
    with pytest.raises(DataError, match=r"'user' .* not there; the file has \['a', 'b', 'c'\]"):
        rows(path)
    pq.write_table(pa.table([[1], [2], [3], [4]], names=["user", "user", "item", "rating"]), path)
    with pytest.raises(DataError, match=r"column 'user' .* is twice there"):
        rows(path)


def test_the_library_reads_the_same_and_names_its_own_parameters(tmp_path):
    put(tmp_path, **{"r.txt": b"who;item;rating\n1;10;5,0\n2;11;3\n"})
    with pytest.raises(DataError, match=r"column 'user' \(user\) is not there; .*Set user to"):
        read_ratings(tmp_path / "r.txt")
    assert read_ratings(tmp_path / "r.txt", user="who").rows() == ROWS
    assert read_ratings(f"{tmp_path}:r.txt", user="0", separator="semicolon").rows() == ROWS
    make_zip(
        tmp_path / "ml-latest-small.ZIP", {"a/ratings.csv": MOVIELENS, "a/tags.csv": MOVIELENS}
    )
    assert read_ratings(tmp_path / "ml-latest-small.ZIP").rows() == ROWS
    with pytest.raises(DataError, match=r"none\.csv: there is no such file"):
        read_ratings(tmp_path / "none.csv")
