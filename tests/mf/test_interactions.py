from decimal import Decimal

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

from mascot_jax.errors import DataError
from mascot_jax.ids import column as columns
from mascot_jax.ids.table import index_ids
from mascot_jax.mf.interactions import read_interactions

USERS, ITEMS, RATINGS = ["b", "a", "b"], [30, 10, 20], [1.0, 5.0, 3.5]
COLUMNS = {"user": USERS, "item": ITEMS, "rating": RATINGS}


def read(column):
    return [value for _, part in column.parts() for value in part.tolist()]


@pytest.mark.parametrize(
    "ratings",
    [
        (np.array(USERS), np.array(ITEMS), np.array(RATINGS)),
        [USERS, tuple(ITEMS), RATINGS],
        (pd.Series(USERS, index=[7, 8, 9]), pl.Series(ITEMS), pa.chunked_array([RATINGS])),
        pd.DataFrame(COLUMNS, index=[5, 5, 5]),
        pd.DataFrame(COLUMNS).astype({"user": "category", "item": "Int64", "rating": "float32"}),
        pl.DataFrame(COLUMNS),
        pl.LazyFrame(COLUMNS),
        pa.table(COLUMNS),
        nw.from_native(pl.DataFrame(COLUMNS)),
    ],
    ids=lambda ratings: type(ratings).__module__.split(".")[0],
)
def test_all_forms_of_ratings_are_the_same(ratings, monkeypatch):
    monkeypatch.setattr(columns, "ROWS_AT_A_TIME", 2)
    found = read_interactions(ratings)
    assert read(found.users) == USERS
    assert read(found.items) == ITEMS
    np.testing.assert_array_equal(found.values(), np.array(RATINGS, dtype=np.float32))


def test_columns_go_by_their_names():
    frame = pl.DataFrame({"stars": RATINGS, "who": USERS, "what": ITEMS, "more": [0, 0, 0]})
    found = read_interactions(frame.lazy(), user="who", item="what", rating="stars")
    assert (read(found.users), read(found.ratings)) == (USERS, RATINGS)
    with pytest.raises(DataError, match="no column 'user' in the data frame, only 'stars', 'who'"):
        read_interactions(frame)


@pytest.mark.parametrize("make", [sp.coo_matrix, sp.csr_array, sp.csc_matrix, sp.lil_array])
def test_a_sparse_matrix_has_numbers_for_ids(make):
    found = read_interactions(make(np.array([[0, 4.0, 0], [0, 0, 0], [2, 0, 3]])))
    entries = sorted(zip(read(found.users), read(found.items), read(found.ratings), strict=True))
    assert entries == [(0, 1, 4), (2, 0, 2), (2, 2, 3)]


def test_stored_zeros_and_duplicates_are_ratings():
    entries = np.array([0.0, 2.0, 3.0]), (np.array([0, 1, 1]), np.array([1, 0, 0]))
    assert read(read_interactions(sp.coo_array(entries)).ratings) == [0, 2, 3]


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        ((USERS, ITEMS), "must hold three arrays, of users, items and ratings; this one holds 2"),
        ((USERS, ITEMS, [1.0]), r"must be equally many: \[3, 3, 1\]"),
        (([], [], []), "no ratings: at least one is needed"),
        (pd.DataFrame(COLUMNS)[:0], "no ratings: at least one is needed"),
        ({"user": USERS}, "ratings: dict is neither a tuple of three arrays"),
        (np.zeros((3, 3)), "ratings: ndarray is neither"),
        ((np.zeros((3, 1)), ITEMS, RATINGS), r"user: must have one dimension, not .*\(3, 1\)"),
        (sp.coo_array(np.ones(3)), "must be users x items, not of 1 dimension"),
    ],
)
def test_what_holds_no_ratings_is_refused(ratings, message):
    with pytest.raises(DataError, match=message):
        read_interactions(ratings)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, 2, float("nan")], r"the rating in row 2 \(counted from 0\) is nan"),
        ([1, -np.inf, 3], r"row 1 \(counted from 0\) is -inf: must be finite as a float32"),
        ([1, 1e39, 3], "row 1"),
        ([1, 2, None], "row 2 .* is (None|nan)"),
        ([1, "2", 3], r"the rating in row 1 \(counted from 0\) is '2': must be a number"),
        (np.array(["1", "2", "3"]), "must be numbers, not of type <U1"),
        (np.array([1j, 2, 3]), "must be numbers, not of type complex128"),
        (np.array(["2024", "2025", "2026"], "M8[Y]"), "must be numbers, not of type datetime64"),
    ],
)
def test_ratings_are_finite_numbers(values, message, monkeypatch):
    monkeypatch.setattr(columns, "ROWS_AT_A_TIME", 1 if "row" in message else 3)
    with pytest.raises(DataError, match=message):
        read_interactions((USERS, ITEMS, values)).values()


@pytest.mark.parametrize("series", [pl.Series, pd.Series])
@pytest.mark.parametrize("missing", [None, float("nan")])
def test_a_frame_without_a_rating_in_a_row_is_refused(series, missing):
    values = series([1.0, 2.0, missing])
    with pytest.raises(DataError, match=r"the rating in row 2 \(counted from 0\) is (nan|None)"):
        read_interactions((USERS, ITEMS, values)).values()


@pytest.mark.parametrize(
    "values",
    [np.array([1, 2, 3], np.int8), [1, 2.0, Decimal(3)], np.array([1, 2, 3], np.float16)],
)
def test_ratings_are_numbers_of_any_type(values):
    np.testing.assert_array_equal(read_interactions((USERS, ITEMS, values)).values(), [1, 2, 3])


def test_booleans_are_ratings():
    np.testing.assert_array_equal(
        read_interactions((USERS, ITEMS, [True, False, True])).values(), [1, 0, 1]
    )


ROWS = [(1, 10, 5.0), (2, 11, 3.0), (3, 10, 4.0)]


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        tuple(ROWS),  # as database cursors give them
        [list(row) for row in ROWS],
        tuple(list(row) for row in ROWS),
        [(1, 10, 5), (2, 11, 3), (3, 10, 4)],
        [*ROWS, (4, 11, 2.0)],
        ROWS[:2],
    ],
)
def test_rows_are_not_taken_for_columns_and_the_remedy_works(rows):
    with pytest.raises(DataError, match=r"rows of user, item and rating: .*map\(list, zip"):
        read_interactions(rows)
    users, items, ratings = map(list, zip(*rows, strict=True))
    assert read(read_interactions((users, items, ratings)).ratings) == [row[2] for row in rows]


@pytest.mark.parametrize(
    "columns",
    [
        ([1, 2, 3], [10, 11, 10], [5.0, 3, 4.5]),
        (["a", "b", "c"], [10, 11, 10], [5, 3, 4]),
        [["a", "b", "c"], ("x", "y", "x"), (5, 3, 4)],
        [np.array([1, 2, 3]), np.array([10, 11, 10]), np.array([5.0, 3, 4])],
    ],
)
def test_three_columns_of_three_are_columns(columns):
    assert read(read_interactions(columns).items) == list(columns[1])


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame([[1, 2, 3.0, 4]], columns=["user", "item", "rating", "item"]),
        pa.table([[1], [2], [3.0], [4]], names=["user", "item", "rating", "item"]),
    ],
)
def test_columns_of_one_name_are_refused(frame):
    with pytest.raises(DataError, match=r"have the same name: (?s:.*)item.*: rename one"):
        read_interactions(frame)
    with pytest.raises(DataError, match="must be different columns"):
        read_interactions(pd.DataFrame(COLUMNS), user="item")


@pytest.mark.parametrize(
    ("ids", "mask"),
    [
        ([1, 2, 3], "ids"),
        ([1.0, 2.0, 3.0], "ids"),
        (["a", "b", "c"], "ids"),
        ([1, 2, 3], "ratings"),
    ],
)
def test_masked_entries_are_missing(ids, mask, monkeypatch):
    monkeypatch.setattr(columns, "ROWS_AT_A_TIME", 2)
    masked = np.ma.masked_array(ids, [0, 0, 1])
    ratings = np.ma.masked_array(RATINGS, [0, mask == "ratings", 0])
    found = read_interactions((masked if mask == "ids" else ids, ITEMS, ratings))
    if mask == "ids":
        with pytest.raises(DataError, match=r"user: the id in row 2 \(counted from 0\) is missing"):
            index_ids(found.users)
    else:
        with pytest.raises(DataError, match=r"the rating in row 1 \(counted from 0\) is nan"):
            found.values()


def test_a_mask_of_nothing_changes_nothing():
    found = read_interactions((np.ma.masked_array(ITEMS), ITEMS, np.ma.masked_array(RATINGS)))
    assert (read(found.users), read(found.ratings)) == (ITEMS, RATINGS)


@pytest.mark.parametrize(
    ("ratings", "remedy"),
    [
        (np.array(ROWS), r"tuple\(array.T\)"),
        (np.zeros((4, 5)), r"scipy\.sparse\.coo_array\(matrix\)"),
        (COLUMNS, r"pandas\.DataFrame\(columns\)"),
    ],
)
def test_what_is_near_to_ratings_is_refused_with_what_to_do(ratings, remedy):
    with pytest.raises(DataError, match=remedy):
        read_interactions(ratings)
