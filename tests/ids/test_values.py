import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from mascot_jax.ids.table import IdTable
from mascot_jax.ids.values import as_column, as_ids, encode_ids


def test_missing_values_stay_missing():
    column = as_column(pl.Series([1, None, 3]), "item")
    assert column.read(slice(None)).tolist() == [1, None, 3]
    column = as_column(pd.Series([1, None, 3], dtype="Int64"), "item")
    assert [value is None or value is pd.NA for value in column.read(slice(None))] == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        ("abc", ()),
        (b"abc", ()),
        (7, ()),
        (np.int8(7), ()),
        (np.array(7), ()),
        (np.datetime64("2024-01-01"), ()),
        (pd.Timestamp("2024-01-01"), ()),
        ([7], (1,)),
        ((7, 8), (2,)),
        (range(3), (3,)),
        (np.zeros((2, 3), int), (2, 3)),
        (pd.Series([1, 2]), (2,)),
        (pl.Series(["a"]), (1,)),
        (pa.array([1, 2]), (2,)),
    ],
)
def test_one_id_and_many(values, shape):
    assert as_ids(values, "user").shape == shape


def test_a_tuple_is_an_id_where_ids_are_objects():
    table = IdTable("object", np.fromiter([(1, "a"), (1, "b")], dtype=object))
    assert encode_ids(table, (1, "b"), "user").tolist() == 1
    assert encode_ids(table, [(1, "b"), (2, "b")], "user").tolist() == [1, -1]
