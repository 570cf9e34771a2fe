import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mascot_jax.ranking.pairs import Pairs, make_pairs
from mascot_jax.ranking.rest import Rest

MOST = 12
ROWS = st.lists(st.lists(st.integers(0, MOST - 1), max_size=MOST), min_size=1, max_size=5)


def pairs(rows):
    starts = np.cumsum([0, *map(len, rows)])
    return Pairs(starts, np.array([item for row in rows for item in row], dtype=np.uint32))


def left(chosen, row):
    return [item for item in chosen if item not in row]


@given(ROWS, st.permutations(range(MOST)), st.integers(0, MOST), st.integers(1, MOST + 2))
def test_the_first_that_are_left(rows, order, size, n):
    chosen = order[:size]
    rest = Rest(np.array(chosen, dtype=np.uint32), pairs(rows))
    assert rest.counts.tolist() == [len(left(chosen, row)) for row in rows]
    found = rest.first(n)
    expected = [(q, item) for q, row in enumerate(rows) for item in left(chosen, row)[:n]]
    assert list(zip(found.queries.tolist(), found.items.tolist(), strict=True)) == expected


@given(ROWS, st.permutations(range(MOST)), st.integers(0, MOST), st.integers(0, MOST + 2))
def test_samples_are_of_what_is_left_and_none_twice(rows, order, size, count):
    chosen = order[:size]
    queries = np.array([*range(len(rows)), 0])
    rest = Rest(np.array(chosen, dtype=np.uint32), pairs(rows))
    items, there = rest.sample(queries, count, np.random.default_rng(0))
    assert items.shape == there.shape == (len(queries), count)
    for query, mine, some in zip(queries, items, there, strict=True):
        drawn = mine[some].tolist()
        allowed = left(chosen, rows[query])
        assert len(set(drawn)) == len(drawn) == min(count, len(allowed))
        assert set(drawn) <= set(allowed)


def test_every_sample_is_as_likely():
    queries = np.zeros(60_000, dtype=np.int64)
    rest = Rest(np.array([9, 4, 7, 1, 3], np.uint32), pairs([[7]]))
    items, there = rest.sample(queries, 2, np.random.default_rng(5))
    assert there.all()
    _, counts = np.unique(np.sort(items, axis=1), axis=0, return_counts=True)
    assert len(counts) == 6
    np.testing.assert_allclose(counts, 10_000, atol=400)  # 4 standard deviations


def test_a_draw_does_not_depend_on_what_comes_after():
    rest = Rest(np.arange(40, dtype=np.uint32), pairs([[1], [2, 3]]))
    queries = np.array([0, 1, 1, 0, 1])
    whole, _ = rest.sample(queries, 6, np.random.default_rng(1))
    rng = np.random.default_rng(1)
    split = [rest.sample(queries[part], 6, rng)[0] for part in (slice(2), slice(2, 5))]
    np.testing.assert_array_equal(np.concatenate(split), whole)


@pytest.mark.parametrize("count", [0, 3])
def test_pairs_are_put_in_rows_once(count):
    queries, items = np.array([2, 0, 2, 2])[: count + 1], np.array([5, 1, 4, 5])[: count + 1]
    found = make_pairs(queries, items, 4)
    expected = [sorted(set(items[queries == row].tolist())) for row in range(4)]
    rows = np.split(found.items, found.starts[1:-1])
    assert [row.tolist() for row in rows] == expected
    assert (found.starts.dtype, found.items.dtype) == (np.int64, np.uint32)
