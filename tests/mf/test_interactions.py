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
    assert found.shape is None


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
    assert found.shape == (3, 3)


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
        ({"user": USERS}, "ratings: must be a tuple of three arrays, .*; this is a dict"),
        (np.zeros((3, 3)), "ratings: must be a tuple .*; this is a ndarray"),
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
