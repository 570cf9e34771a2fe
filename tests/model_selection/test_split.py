"""Splits of ratings, against plain Python."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

from mascot_jax.data.split import split_ratings
from mascot_jax.errors import DataError, SettingsError
from mascot_jax.model_selection import k_folds, train_test_split
from mascot_jax.model_selection.split import fold_rows
from mascot_jax.settings import SplitSettings
from tests.support.ratings import USERS, small_frame


@pytest.fixture
def frame():
    return small_frame()


def divided(frame, **arguments):
    """The row numbers of the test part, both parts checked to be a division of the rows."""
    numbered = frame.assign(row=range(len(frame)))
    train, test = train_test_split(numbered, **arguments)
    for part in (train, test):
        assert part.row.is_monotonic_increasing
        pd.testing.assert_frame_equal(part, numbered.loc[part.row])
    assert sorted([*train.row, *test.row]) == list(range(len(frame)))
    return test.row.tolist()


def last_of_each(frame, count):
    rows = []
    for _, own in frame.groupby("user"):
        rows += own.sort_values("timestamp", kind="stable").index[-count:].tolist()
    return sorted(rows)


@pytest.mark.parametrize(
    ("size", "count"), [(None, 12), (0.2, 12), (0.01, 1), (7, 7), (np.int64(7), 7), (0.999, 59)]
)
def test_random_ratings_are_as_many_as_asked(frame, size, count):
    if size == 0.999:  # to the nearest rating: all of them
        with pytest.raises(SettingsError, match="of 60 ratings, none is left to train on"):
            divided(frame, test_size=size)
        return
    assert len(divided(frame, test_size=size)) == count
    assert divided(frame, test_size=size) == divided(frame, test_size=size)
    if count > 1:
        assert divided(frame, test_size=size, seed=1) != divided(frame, test_size=size)


@pytest.mark.parametrize(("size", "count"), [(0.2, 1), (0.4, 2), (3, 3), (0.99, 4), (100, 4)])
def test_each_user_has_as_many_tested_and_keeps_one(frame, size, count):
    for how in ("user", "last"):
        rows = divided(frame, how=how, test_size=size)
        assert frame.user[rows].value_counts().tolist() == [count] * USERS
    assert rows == last_of_each(frame, count)


def test_leave_last_out_is_the_default_of_last(frame):
    assert divided(frame, how="last") == last_of_each(frame, 1)


def test_random_ones_of_each_user_are_not_the_first_or_last(frame):
    rows = divided(frame, how="user", test_size=2)
    places = frame.groupby("user").cumcount()[rows]
    assert len(set(places)) == 5


def test_the_latest_of_all(frame):
    rows = divided(frame, how="time", test_size=0.25)
    assert frame.timestamp[rows].min() > frame.timestamp.drop(rows).max()
    assert len(rows) == 15


def test_of_equal_times_later_rows_are_later(frame):
    assert divided(frame.assign(timestamp=0), how="time", test_size=3) == [57, 58, 59]


def test_a_user_with_one_rating_is_trained_on():
    frame = pd.DataFrame({"user": [1, 1, 2], "item": [1, 2, 1], "rating": 1.0, "timestamp": 0})
    assert divided(frame, how="last") == [1]
    with pytest.raises(SettingsError, match="test_size: 1: leaves nothing to test on"):
        train_test_split(frame[1:], how="last")


TIMES = {
    "integers": lambda t: t.astype("int64"),
    "floats": lambda t: t.astype("int64") / 7,
    "time zone": lambda t: t.dt.tz_localize("UTC"),
    "dates": lambda t: pd.Series([stamp.to_pydatetime() for stamp in t], dtype=object),
}


@pytest.mark.parametrize("kind", TIMES)
def test_times_are_numbers_or_dates(frame, kind):
    other = frame.assign(when=TIMES[kind](frame.timestamp))
    assert divided(other, how="last", time="when") == last_of_each(frame, 1)
    assert divided(frame, how="last", time=other.when) == last_of_each(frame, 1)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        (["1/2/2020"] * 60, "must be numbers or dates, not text: convert them, such as by pandas"),
        ([b"1"] * 60, "not text"),
        ([None, *range(59)], r"the time of row 0 \(counted from 0\) is missing"),
        (np.array([0.0, np.nan] * 30), "row 1 "),
        (np.array(["2020-01-01", "NaT"] * 30, dtype="M8[s]"), "row 1 "),
        (np.ones(60, dtype=bool), "not bool"),
        ([datetime.date(2020, 1, 1), 7] * 30, "cannot be compared"),
        ([1, 2], "2 entries for 60 ratings"),
        ("when", "there is no column 'when' in the data frame, only 'user', 'item'"),
    ],
)
def test_what_is_no_time_is_refused(frame, times, message):
    with pytest.raises(DataError, match=f"^time: .*{message}"):
        train_test_split(frame, how="last", time=times)


@pytest.mark.parametrize("size", [0, -1, 1.5, "3", True, np.nan, np.inf, 60])
def test_a_wrong_size_is_refused(frame, size):
    with pytest.raises(SettingsError, match="test_size: "):
        train_test_split(frame, test_size=size)


def test_a_wrong_way_is_refused(frame):
    with pytest.raises(SettingsError, match="how: 'users': must be one of random, user, last"):
        train_test_split(frame, how="users")
    with pytest.raises(DataError, match="only a data frame has columns by name"):
        train_test_split(tuple(frame[name] for name in ("user", "item", "rating")), how="last")


def rows_of(part):
    """The rows of a part as tuples, whatever holds them."""
    if hasattr(part, "tocoo"):
        return list(zip(part.row.tolist(), part.col.tolist(), part.data.tolist(), strict=True))
    if isinstance(part, tuple):
        return list(zip(*(list(column) for column in part), strict=True))
    frame = part.to_pandas() if hasattr(part, "to_pandas") else part
    return list(frame[["user", "item", "rating"]].itertuples(index=False, name=None))


@pytest.mark.parametrize(
    "make",
    [
        lambda f: pl.from_pandas(f),
        lambda f: pl.from_pandas(f).lazy(),
        lambda f: pa.Table.from_pandas(f),
        lambda f: f.set_index(f.index[::-1]),
        lambda f: (f.user.tolist(), f.item.to_numpy(), pl.Series(f.rating)),
    ],
    ids=["polars", "lazy", "arrow", "index", "arrays"],
)
def test_parts_come_in_the_container_that_was_given(frame, make):
    given = make(frame)
    for part, wanted in zip(train_test_split(given), train_test_split(frame), strict=True):
        assert rows_of(part) == rows_of(wanted)
        if not isinstance(given, pl.LazyFrame):
            assert type(part) is type(given)
        if not isinstance(given, tuple):
            assert "note" in (part.column_names if isinstance(part, pa.Table) else part.columns)


def test_parts_of_a_sparse_matrix_have_its_shape_and_entries():
    rng = np.random.default_rng(0)
    matrix = sp.coo_array(
        (rng.random(20), (rng.integers(0, 3, 20), rng.integers(0, 4, 20))), (9, 9)
    )
    train, test = train_test_split(matrix, test_size=5)
    assert train.shape == test.shape == (9, 9)
    assert sorted(rows_of(train) + rows_of(test)) == sorted(rows_of(matrix))  # and duplicates
    assert len(train_test_split(matrix.tocsr(), test_size=2)[1].data) == 2


def test_folds_test_each_rating_once(frame):
    parts = list(k_folds(frame, 7))
    tests = [row for _, test in parts for row in test.index]
    assert sorted(tests) == list(range(60))
    assert {len(test) for _, test in parts} == {8, 9}
    for train, test in parts:
        assert sorted([*train.index, *test.index]) == list(range(60))


def test_folds_are_the_pipelines(frame):
    split = split_ratings(pl.from_pandas(frame), SplitSettings(count=4, seed=3))
    names = np.array(split.user_ids)[split.user], np.array(split.item_ids)[split.item]
    for number, (_, test) in enumerate(k_folds(frame, 4, seed=3)):
        chosen = split.fold == number
        theirs = set(zip(*(ids[chosen].tolist() for ids in names), strict=True))
        assert theirs == set(zip(test.user, test.item, strict=True))


@pytest.mark.parametrize("folds", [0, 1, 61, 2.0, True, "5"])
def test_a_wrong_number_of_folds_is_refused(folds):
    with pytest.raises(SettingsError, match=r"folds: .*: must be a whole number from 2 to .*, 60"):
        fold_rows(60, folds, 0)
