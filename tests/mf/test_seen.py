import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from mascot_jax.base import arrays
from mascot_jax.ids import column as columns
from mascot_jax.ids.table import index_ids
from mascot_jax.mf.interactions import read_interactions
from mascot_jax.mf.seen import seen_items


@pytest.fixture(autouse=True, scope="module")
def small_parts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "AT_A_TIME", 3)
        patch.setattr(columns, "ROWS_AT_A_TIME", 3)
        yield


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from("abc")), min_size=1, max_size=20))
def test_what_every_user_has_rated(pairs):
    users, items = (list(column) for column in zip(*pairs, strict=True))
    ratings = read_interactions((users, items, np.ones(len(pairs))))
    user_ids, item_ids = index_ids(ratings.users)[0], index_ids(ratings.items)[0]
    seen = seen_items(ratings.users, ratings.items, user_ids, item_ids, None)
    assert (seen.starts.dtype, seen.items.dtype) == (np.int64, np.uint32)
    expected = [
        sorted({item for other, item in pairs if other == user}) for user in user_ids.values
    ]
    for row, own in enumerate(expected):
        indices = seen.items[seen.starts[row] : seen.starts[row + 1]]
        assert item_ids.decode(indices).tolist() == own
    some = seen.rows(np.array([len(expected) - 1, -1, 0]))
    assert np.diff(some.starts).tolist() == [len(expected[-1]), 0, len(expected[0])]
    assert item_ids.decode(some.items).tolist() == [*expected[-1], *expected[0]]
