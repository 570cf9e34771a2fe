"""Data sets by name, from files, folders and archives, to the raw file."""

import gzip
import io
import tarfile

import pytest

from mascot_jax.clicks.raw import open_raw, write_raw
from mascot_jax.errors import DataError, SettingsError
from tests.support.click_files import criteo_fields, criteo_lines, load, read


def test_planted_rows(tmp_path):
    raw = load(tmp_path, name="planted", rows=300, scale=100_000)
    (frame,) = raw.frames()
    assert (raw.rows, frame.height) == (300, 300)
    assert raw.facts["source"] == "generated: 300 rows, scale 100000, seed 0"


def test_days_are_read_in_the_order_of_their_numbers(tmp_path):
    folder = tmp_path / "terabyte"
    folder.mkdir()
    for day, rows in ((0, 1), (2, 2), (10, 3)):
        fields = criteo_fields(day)
        fields[1] = str(day)
        (folder / f"day_{day}.gz").write_bytes(
            gzip.compress(("\t".join(fields) + "\n").encode() * rows)
        )
    (folder / "README.txt").write_text("not a table")
    raw = load(tmp_path, name="criteo", source=str(folder))
    days = [day for frame in raw.frames() for day in frame["dense0"].to_list()]
    assert days == [0, 2, 2, 10, 10, 10]


def test_kaggles_archive(tmp_path):
    path = tmp_path / "dac.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in (("dac/train.txt", criteo_lines(5)), ("dac/readme.txt", b"words")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    raw = load(tmp_path, name="criteo", source=str(path))
    assert raw.rows == 5
    assert "Criteo" in raw.facts["terms"]


def test_a_folder_without_its_files(tmp_path):
    (tmp_path / "words.txt").write_text("words")
    with pytest.raises(DataError, match=r"holds no file named train\.txt or"):
        load(tmp_path, name="criteo", source=str(tmp_path))


def test_files_that_are_no_parts_of_a_table(tmp_path):
    for name in ("clicks.csv", "users.csv"):
        (tmp_path / name).write_text("label,site\n1,a\n")
    with pytest.raises(DataError, match=r"holds 2 files, .*: name the file itself, such as"):
        read(tmp_path, "file")
    assert read(f"{tmp_path}:users.csv", "file")[1].height == 1


def test_parts_with_other_columns(tmp_path):
    (tmp_path / "part-1.csv").write_text("label,site\n1,a\n")
    (tmp_path / "part-2.csv").write_text("label,page\n1,a\n")
    with pytest.raises(DataError, match=r"part-2\.csv: its columns are not those of .*part-1\.csv"):
        read(tmp_path, "file")


@pytest.mark.parametrize("cut", [-8, -200, 15], ids=["checksum", "content", "header only"])
def test_a_cut_gzip(tmp_path, cut):
    path = tmp_path / "train.txt.gz"
    path.write_bytes(gzip.compress(criteo_lines(2000))[:cut])
    with pytest.raises(DataError, match="truncated or damaged"):
        load(tmp_path, name="criteo", source=str(path))
    assert not (tmp_path / "raw.parquet").exists()


@pytest.mark.parametrize("content", [b"", gzip.compress(b"")], ids=["0 bytes", "of nothing"])
def test_an_empty_gzip(tmp_path, content):
    path = tmp_path / "train.txt.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match="the file is empty"):
        load(tmp_path, name="criteo", source=str(path))


def test_a_bad_line_leaves_an_older_file_as_it_was(tmp_path):
    path = tmp_path / "train.txt"
    path.write_bytes(criteo_lines(3))
    load(tmp_path, name="criteo", source=str(path))
    path.write_bytes(criteo_lines(3) + b"bad\n")
    with pytest.raises(DataError, match="line 4"):
        load(tmp_path, name="criteo", source=str(path))
    assert open_raw(tmp_path / "raw.parquet").rows == 3


@pytest.mark.parametrize(("name", "hint"), [("criteo", "ailab.criteo.com"), ("avazu", "Kaggle")])
def test_what_to_fetch_is_said(tmp_path, name, hint):
    with pytest.raises(DataError, match=f"no automatic download. .*{hint}"):
        load(tmp_path, name=name)


def test_an_unknown_set(tmp_path):
    with pytest.raises(SettingsError, match=r"data\.name: 'kriteo': must be 'planted'"):
        load(tmp_path, name="kriteo")


def test_found_columns_are_kept_to_read_others_alike(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("id,label,site\n1,0,a\n2,1,b\n")
    raw = load(tmp_path, name="file", source=str(path))
    assert raw.facts["columns"]["categories"] == ["id", "site"]


def test_another_file_is_not_raw_clicks(tmp_path):
    path = tmp_path / "raw.parquet"
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(DataError, match="not whole click data as read"):
        open_raw(path)
    raw = load(tmp_path / "other", name="planted", rows=100, scale=100_000)
    next(raw.frames()).write_parquet(path)
    with pytest.raises(DataError, match="not whole click data as read"):
        open_raw(path)


def test_no_rows_are_written(tmp_path):
    raw = load(tmp_path, name="planted", rows=100, scale=100_000)
    with pytest.raises(DataError, match="there are no rows"):
        write_raw(tmp_path / "none.parquet", raw.schema, iter(()), raw.facts)
