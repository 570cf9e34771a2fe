from datetime import date, timedelta

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mascot_jax.data.archive import Member
from mascot_jax.data.formats.columns import RATINGS, TIMED
from mascot_jax.data.formats.parquet import read_parquet
from mascot_jax.errors import DataError
from mascot_jax.settings import Columns, TimedColumns

GOOD = {"item": ["a", "b"], "time": [1, 2], "rating": [1, 5], "user": [3, 4]}


@pytest.fixture
def read(tmp_path):
    def read(columns, names=None, keys=RATINGS):
        path = tmp_path / "ratings.parquet"
        pl.DataFrame(columns).write_parquet(path)
        return read_parquet(Member(path.name, path.name, path, "*"), names or Columns(), keys)

    return read


def test_columns_by_name(read):
    frame = read(GOOD)
    assert frame.rows() == [(3, "a", 1.0), (4, "b", 5.0)]
    assert frame.schema == {"user": pl.Int64, "item": pl.String, "rating": pl.Float32}


@pytest.mark.parametrize(
    ("users", "kind"),
    [
        (pl.Series([1, 2], dtype=pl.UInt8), pl.Int64),
        (pl.Series([1, 2**63], dtype=pl.UInt64), pl.String),
        (pl.Series(["1", "2"]), pl.Int64),
        (pl.Series(["1", "02"]), pl.String),
        (pl.Series(["x", "y"], dtype=pl.Categorical), pl.String),
    ],
    ids=["small", "large", "text of integers", "leading zero", "categorical"],
)
def test_ids_are_integers_only_if_all_are(read, users, kind):
    frame = read(GOOD | {"user": users})
    assert frame.schema["user"] == kind
    assert frame["user"].cast(pl.String).to_list() == users.cast(pl.String).to_list()


@pytest.mark.parametrize("kind", [pl.Int16, pl.Float64, pl.Decimal(10, 2)])
def test_ratings_of_any_number_type(read, kind):
    ratings = pl.Series([1, 5]).cast(kind)
    assert read(GOOD | {"rating": ratings})["rating"].to_list() == [1.0, 5.0]


@pytest.mark.parametrize(
    ("column", "values", "problem"),
    [
        ("rating", [1.0, None], "row 2: rating is None; a rating is a finite number"),
        ("rating", [1.0, float("nan")], "row 2: rating is nan"),
        ("rating", [float("inf"), 1.0], "row 1: rating is inf"),
        ("rating", [1.0, 1e39], "row 2: rating is inf"),
        ("rating", ["1", "2"], r"column 'rating' \(data\.columns\.rating\) is String; .* numbers"),
        ("user", [1, None], "row 2: user is None; an id is not empty"),
        ("item", ["", "x"], "row 1: item is ''; an id is not empty"),
        ("user", [1.0, 2.0], r"column 'user' .* is Float64; it must be integers or text"),
        ("user", [date(2020, 1, 1)] * 2, "column 'user' .* is Date; it must be integers or text"),
    ],
)
def test_what_cannot_be_used_is_named(read, column, values, problem):
    with pytest.raises(DataError, match=rf"ratings\.parquet.*{problem}"):
        read(GOOD | {column: values})


def test_a_missing_column_lists_what_was_found(read):
    with pytest.raises(DataError, match=r"column 'who' .* the file has \['item', 'time'"):
        read(GOOD, Columns(user="who"))


def test_no_rows(read):
    with pytest.raises(DataError, match="the file has no rows"):
        read({name: pl.Series(values).head(0) for name, values in GOOD.items()})


@pytest.mark.parametrize("cut", [0, 4, 300, -1])
def test_a_cut_file_is_refused(tmp_path, cut):
    path = tmp_path / "ratings.parquet"
    pl.DataFrame(GOOD).write_parquet(path)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match=r"ratings\.parquet: not a whole Parquet file"):
        read_parquet(Member(path.name, path.name, path, "*"), Columns())


def test_text_that_is_none_is_refused(tmp_path):
    """Arrow reads it as it is, and polars takes Arrow's word for it."""
    ids = pa.array([b"a", b"\xff\xfe"]).view(pa.string())
    pq.write_table(
        pa.table({"user": ids, "item": ids, "rating": [1.0, 2.0]}), tmp_path / "r.parquet"
    )
    with pytest.raises(DataError, match=r"not a whole Parquet file .*UTF8"):
        read_parquet(Member("r", "r", tmp_path / "r.parquet", "*"), Columns())


def test_times_are_numbers_dates_or_text_and_no_durations(read):
    columns = TimedColumns()
    for times in ([1, 2], [date(2020, 1, 1)] * 2, pl.Series(["1", "2"], dtype=pl.Categorical)):
        assert read(GOOD | {"time": times}, columns, TIMED)["time"].to_list() == list(times)
    with pytest.raises(DataError, match=r"column 'time' .* is Duration.*numbers, dates or text"):
        read(GOOD | {"time": [timedelta(1)] * 2}, columns, TIMED)
