import numpy as np
import pytest

from mascot_jax.errors import DataError
from mascot_jax.ranking.similar import similar


def rows(count, factors=8, seed=0):
    return np.random.default_rng(seed).normal(size=(count, factors)).astype(np.float32)


def test_neighbours_are_those_of_the_cosines():
    table = rows(200)
    queries = table[40:60]
    found = similar(queries, table, 5)
    wide = table.astype(np.float64)
    unit = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    cosines = unit[40:60] @ unit.T
    order = np.argsort(-cosines, axis=1)[:, :5]
    np.testing.assert_array_equal(found.items.reshape(20, 5), order)
    np.testing.assert_allclose(
        found.scores.reshape(20, 5), np.take_along_axis(cosines, order, axis=1), atol=1e-6
    )
    np.testing.assert_array_equal(found.items[::5], np.arange(40, 60))  # oneself first


def test_a_row_is_not_its_own_neighbour_if_said_so():
    table = rows(30)
    index = np.array([3, 29, 0], dtype=np.uint32)
    found = similar(table[index], table, 29, exclude_self=index)
    for query, own in enumerate(index):
        of_query = found.items[found.queries == query]
        assert sorted([*of_query.tolist(), int(own)]) == list(range(30))


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1e3, 1e30])
def test_length_does_not_matter(scale):
    table = rows(30)
    lengths = np.float32(scale) * np.arange(1, 31, dtype=np.float32)[:, None]
    found, scaled = similar(table, table, 4), similar(table, table * lengths, 4)
    np.testing.assert_array_equal(scaled.items, found.items)
    np.testing.assert_allclose(scaled.scores, found.scores, atol=1e-6)


def test_the_cosine_with_zeros_is_zero():
    table = rows(6)
    table[2] = 0
    found = similar(table, table, 6)
    assert (found.scores[found.items == 2] == 0).all()
    assert (found.scores[found.queries == 2] == 0).all()
    assert len(found.scores) == 36


def test_an_index_for_each_query():
    with pytest.raises(DataError, match="exclude_self has 2 indices for 3 queries"):
        similar(rows(3), rows(9), 1, exclude_self=np.array([1, 2], np.uint32))
