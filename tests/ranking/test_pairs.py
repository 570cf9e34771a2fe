"""Pairs in compressed rows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mascot_jax.ranking import Pairs

ROWS = st.lists(st.sets(st.integers(0, 9)), min_size=1, max_size=6)


@given(ROWS)
def test_rows_have_their_items_and_no_others(rows):
    starts = np.cumsum([0, *map(len, rows)])
    items = np.array([item for row in rows for item in sorted(row)], dtype=np.uint32)
    queries, asked = (part.ravel() for part in np.indices((len(rows), 12)))
    found = Pairs(starts, items).have(queries, asked)
    expected = [item in rows[query] for query, item in zip(queries, asked, strict=True)]
    assert found.tolist() == expected
