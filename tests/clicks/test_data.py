import numpy as np
import pytest

from mascot_jax.clicks import ClickData
from mascot_jax.errors import DataError


def parts(**changes):
    made = {
        "labels": np.array([0, 1, 1], np.uint8),
        "dense": np.array([[0.5], [1.0], [-2.0]], np.float32),
        "categories": np.array([[0, 1], [2, 0], [1, 1]], np.uint32),
        "cardinalities": (3, 2),
        "counts": (np.array([1, 1, 1]), np.array([1, 2])),
    }
    return made | changes


def test_taken_rows_keep_the_tables():
    data = ClickData(**parts())
    some = data.take(np.array([2, 0]))
    assert (len(data), data.fields, len(some)) == (3, 2, 2)
    assert some.labels.tolist() == [1, 0]
    assert some.categories.tolist() == [[1, 1], [0, 1]]
    assert some.counts is data.counts


def test_data_without_dense_columns_or_fields():
    assert len(ClickData(**parts(dense=np.empty((3, 0), np.float32)))) == 3
    none = parts(categories=np.empty((3, 0), np.uint32), cardinalities=(), counts=())
    assert ClickData(**none).fields == 0


BAD = {
    "dtype": (
        {"categories": np.zeros((3, 2), np.int64)},
        r"categories: int64 \[3, 2\]: must be uint32 \[3, 2\]",
    ),
    "rows": (
        {"dense": np.zeros((2, 1), np.float32)},
        r"dense: float32 \[2, 1\]: must be float32 \[3, any\]",
    ),
    "a list": ({"labels": [0, 1, 1]}, "labels: <class 'list'>: must be uint8"),
    "label": ({"labels": np.array([0, 1, 2], np.uint8)}, "row 2: the label is 2: must be 0 or 1"),
    "not finite": (
        {"dense": np.array([[0], [np.nan], [0]], np.float32)},
        "row 1: dense column 0 is nan: must be finite",
    ),
    "beyond": (
        {"categories": np.array([[0, 1], [2, 2], [1, 1]], np.uint32)},
        "row 1: id 2 of field 1 is beyond its cardinality, 2",
    ),
    "no table": ({"cardinalities": (3, 0)}, "the table of field 1 has 0 rows"),
    "counts": (
        {"counts": (np.array([1, 1, 1]), np.array([1, 2, 3]))},
        r"counts of field 1: int64 \[3\]: must be int64 \[2\]",
    ),
    "fewer counts": ({"counts": (np.array([1, 1, 1]),)}, "counts of 1 fields, cardinalities of 2"),
    "negative count": (
        {"counts": (np.array([1, -1, 1]), np.array([1, 2]))},
        "row 1 of field 0 occurs -1 times",
    ),
}


@pytest.mark.parametrize(("changes", "message"), BAD.values(), ids=BAD)
def test_what_cannot_be_click_data_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        ClickData(**parts(**changes))


def test_a_bad_row_is_named_behind_the_first_part():
    n = 70_000
    categories = np.zeros((n, 1), np.uint32)
    categories[66_000] = 1
    with pytest.raises(DataError, match="row 66000: id 1 of field 0"):
        ClickData(
            np.zeros(n, np.uint8), np.zeros((n, 1), np.float32), categories, (1,), (np.array([n]),)
        )
