import gzip
import os
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import polars as pl
import pytest

from mascot_jax.data.load import load_ratings
from mascot_jax.data.raw import RawRatings
from mascot_jax.errors import DataError
from mascot_jax.settings import Columns, DataSettings

ROWS = [(1, 2, 3.0), (4, 5, 1.5)]


def content(separator):
    lines = [["user", "item", "rating"], ["1", "2", "3"], ["4", "5", "1.5"]]
    return "".join(separator.join(line) + "\n" for line in lines).encode()


def load(path, **settings):
    return load_ratings(DataSettings(name="file", source=str(path), **settings))


@pytest.mark.parametrize(
    ("suffix", "separator"), [(".csv", ","), (".tsv", "\t"), (".txt", "\t"), (".dat", "::")]
)
def test_the_separator_follows_from_the_suffix(tmp_path, suffix, separator):
    path = tmp_path / f"ratings{suffix}"
    path.write_bytes(content(separator))
    raw = load(path)
    assert raw.frame.rows() == ROWS
    assert raw.facts == {
        "name": "file",
        "source": str(path),
        "low": 1.5,
        "high": 3.0,
        "terms": "Yours.",
    }


def test_parquet(tmp_path):
    path = tmp_path / "ratings.parquet"
    pl.DataFrame(ROWS, schema=["user", "item", "rating"], orient="row").write_parquet(path)
    assert load(path).frame.rows() == ROWS


def test_a_file_in_gz_or_zip_or_a_folder(tmp_path):
    packed = tmp_path / "ratings.csv.gz"
    packed.write_bytes(gzip.compress(content(",")))
    zipped = tmp_path / "set.zip"
    with zipfile.ZipFile(zipped, "w") as out:
        out.writestr("LICENCE", "x")
        out.writestr("deep/ratings.tsv", content("\t"))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "ratings.dat").write_bytes(content("::"))
    for source in (packed, zipped, folder):
        assert load(source).frame.rows() == ROWS


def test_positions_of_a_file_without_header(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_bytes(b"3,1,2\n1.5,4,5\n")
    columns = Columns(user="1", item="2", rating="0")
    assert load(path, columns=columns).frame.rows() == ROWS


def test_an_unknown_suffix_or_several_files_are_refused(tmp_path):
    (tmp_path / "ratings.xlsx").write_bytes(b"x")
    with pytest.raises(DataError, match=r"no file with one of .*\.parquet.*only \['ratings\.xlsx'"):
        load(tmp_path)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_bytes(content(","))
    with pytest.raises(DataError, match=r"\['a\.csv', 'b\.csv'\]: name the file"):
        load(tmp_path)


def test_a_digest_is_checked(tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_bytes(content(","))
    with pytest.raises(DataError, match="its digest differs"):
        load(path, digest="md5:" + "0" * 32)


@pytest.mark.parametrize(
    ("name", "member", "text"),
    [
        ("ml-100k", "ml-100k/u.data", b"1\t2\t3\t4\n4\t5\t1\t0\n"),
        ("ml-1m", "ml-1m/ratings.dat", b"1::2::3::4\n4::5::1::0\n"),
        ("ml-10m", "ml-10M100K/ratings.dat", b"1::2::3::4\n4::5::1::0\n"),
        ("ml-25m", "ml-25m/ratings.csv", b"userId,movieId,rating,timestamp\n1,2,3.0,4\n4,5,1,0\n"),
        ("ml-32m", "ml-32m/ratings.csv", b"userId,movieId,rating,timestamp\n1,2,3.0,4\n4,5,1,0\n"),
    ],
)
def test_movielens_archives(tmp_path, name, member, text):
    path = tmp_path / "copy.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("README.txt", "x")
        out.writestr(member, text)
    raw = load_ratings(DataSettings(name=name, source=str(path)))
    assert raw.frame.rows() == [(1, 2, 3.0), (4, 5, 1.0)]
    assert raw.facts["low"] == (1.0 if name in ("ml-100k", "ml-1m") else 0.5)
    assert raw.facts["high"] == 5.0


def test_an_error_names_the_member_of_the_archive(tmp_path):
    path = tmp_path / "copy.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("ml-1m/ratings.dat", b"1::2::3::4\n4::5::6::0\n")
    with pytest.raises(DataError, match=rf"ml-1m/ratings\.dat in {path}, line 2: .* from 1 to 5"):
        load_ratings(DataSettings(name="ml-1m", source=str(path)))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("ml-100k", b"1\t2\t3\n"),
        ("ml-1m", b"1::2::3\n"),
        ("ml-10m", b"1::2::3\n"),
        ("ml-25m", b"userId,movieId,rating,timestamp\n1,2,3\n"),
    ],
)
def test_a_movielens_line_without_its_time_was_cut(tmp_path, name, text):
    path = tmp_path / "ratings"
    path.write_bytes(text)
    with pytest.raises(DataError, match=r"line [12]: 3 fields where 4 are expected"):
        load_ratings(DataSettings(name=name, source=str(path)))


def test_the_sets_with_their_own_test_ratings(tmp_path):
    (tmp_path / "trainIdx1.txt").write_bytes(b"0|1\n1\t50\t1\t0:0:0\n")
    (tmp_path / "validationIdx1.txt").write_bytes(b"0|1\n2\t0\t1\t0:0:0\n")
    (tmp_path / "probe.txt").write_bytes(b"1:\n2\n")
    (tmp_path / "combined_data_1.txt").write_bytes(b"1:\n2,3,x\n")
    yahoo = load_ratings(DataSettings(name="yahoo-music", source=str(tmp_path)))
    assert yahoo.frame.rows() == [(0, 1, 3.0, False), (0, 2, 1.0, True)]
    netflix = load_ratings(DataSettings(name="netflix", source=str(tmp_path)))
    assert netflix.frame.rows() == [(2, 1, 3.0, True)]


def test_synthetic_comes_from_the_generator(monkeypatch):
    made = RawRatings(pl.DataFrame(), {"seed": 3})
    generator = types.ModuleType("mascot_jax.data.synthetic.generator")
    generator.generate = lambda settings: made if settings.seed == 3 else None
    monkeypatch.setitem(sys.modules, "mascot_jax.data.synthetic.generator", generator)
    assert load_ratings(DataSettings(seed=3)) is made


def test_a_data_file_of_movielens_is_tab_separated(tmp_path):
    (tmp_path / "u.data").write_bytes(b"1\t10\t4\t88\n2\t10\t3\t88\n")
    columns = Columns(user="0", item="1", rating="2")
    found = load_ratings(
        DataSettings(name="file", source=str(tmp_path / "u.data"), columns=columns)
    ).frame
    assert found.rows() == [(1, 10, 4.0), (2, 10, 3.0)]


def test_importing_the_package_needs_neither_polars_nor_pooch():
    code = "import sys, mascot_jax.data; assert not {'polars', 'pooch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.realdata
@pytest.mark.parametrize(
    ("name", "users", "items", "counts"),
    [
        ("ml-100k", 943, 1682, None),
        ("ml-1m", 6040, 3706, {1: 56_174, 2: 107_557, 3: 261_197, 4: 348_971, 5: 226_310}),
    ],
)
def test_real_archives(name, users, items, counts):
    folder = os.environ.get("MASCOT_DATA_DIR")
    if not folder:
        pytest.skip("MASCOT_DATA_DIR names no folder with the rating archives")
    frame = load_ratings(DataSettings(name=name, source=str(Path(folder) / f"{name}.zip"))).frame
    assert frame.height == {"ml-100k": 100_000, "ml-1m": 1_000_209}[name]
    assert frame.schema == {"user": pl.Int64, "item": pl.Int64, "rating": pl.Float32}
    assert (frame["user"].n_unique(), frame["item"].n_unique()) == (users, items)
    found = dict(frame["rating"].value_counts().rows())
    assert sorted(found) == [1, 2, 3, 4, 5]
    assert counts is None or found == counts
