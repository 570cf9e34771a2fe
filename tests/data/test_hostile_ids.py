"""Ids of every kind, from a file to the indices of a split and back."""

import csv
import io

import polars as pl
import pytest

from mascot_jax.data.archive import Member
from mascot_jax.data.formats.delimited import read_delimited
from mascot_jax.data.formats.parquet import read_parquet
from mascot_jax.data.split import split_ratings
from mascot_jax.errors import DataError
from mascot_jax.settings import Columns, SplitSettings

MEGABYTE = "x" * 2**20
HOSTILE = {
    "line ends": ["a\nb", "a", "\r\n", "b\n", "a\rb"],
    "nul": ["\0", "a\0b", "a", "a\0"],
    "long": [MEGABYTE, MEGABYTE + "y", "y"],
    "extremes": [2**63 - 1, -(2**63), 0, -1],
    "beyond the extremes": [str(2**63), str(-(2**63) - 1), "0"],
    "mixed": ["1", "01", "1.0", "one", "-1", "+1", " 1"],
    "quotes and separators": ['"', '""', ",", '","', "'", "\\", "\t", "::"],
    "spaces": [" ", "  ", "\u00a0", "\u2028", "\ufeff"],
    "alike": ["é", "e\u0301", "E", "e"],
    "words for nothing": ["NULL", "nan", "None", "NA", "null"],
    "not the first plane": ["🎬", "\U0010ffff", "日本"],
}
every_kind = pytest.mark.parametrize("ids", HOSTILE.values(), ids=HOSTILE)


def member(path):
    return Member(path.name, path.name, path, "*")


def read_csv(path):
    return read_delimited(member(path), None, Columns(separator=","))


def written(path, rows):
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    path.write_bytes(out.getvalue().encode())
    return path


def check(frame, ids):
    assert frame["user"].to_list() == ids
    split = split_ratings(frame, SplitSettings(count=2))
    found = split.user_ids.gather(split.user).to_list()
    assert sorted(zip(split.rating.tolist(), found, strict=True)) == list(enumerate(ids, start=1))


@every_kind
def test_of_csv(tmp_path, ids):
    rows = [(user, "7", number) for number, user in enumerate(ids, start=1)]
    check(read_csv(written(tmp_path / "a.csv", [("user", "item", "rating"), *rows])), ids)


@every_kind
def test_of_parquet(tmp_path, ids):
    path = tmp_path / "a.parquet"
    ratings = [float(number) for number in range(1, len(ids) + 1)]
    pl.DataFrame({"user": ids, "item": 7, "rating": ratings}).write_parquet(path)
    check(read_parquet(member(path), Columns()), ids)


def test_a_bad_line_behind_a_long_id_is_the_one_named(tmp_path):
    rows = [("user", "item", "rating"), (MEGABYTE, 1, 5), ("a\nb", 2, 4), ("c", 3, "bad")]
    with pytest.raises(DataError, match=r"line 5: the rating 'bad' is not a number"):
        read_csv(written(tmp_path / "a.csv", rows))


def test_a_long_name_in_the_header_is_listed_or_refused(tmp_path):
    path = written(tmp_path / "a.csv", [("user", "item", "rating", MEGABYTE), (1, 2, 3, 4)])
    assert read_csv(path).rows() == [(1, 2, 3.0)]


def test_a_header_that_csv_cannot_read_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"user,it\rem,rating\n1,2,3\n")
    with pytest.raises(DataError, match=r"a\.csv, line 1: its fields cannot be read"):
        read_csv(path)


@pytest.mark.parametrize("name", ["ratings[1].parquet", "ratings*.parquet", "rat?ngs.parquet"])
def test_a_parquet_files_name_is_no_pattern(tmp_path, name):
    path = tmp_path / name
    pl.DataFrame({"user": [1], "item": [2], "rating": [3.0]}).write_parquet(path)
    assert read_parquet(member(path), Columns()).rows() == [(1, 2, 3.0)]
