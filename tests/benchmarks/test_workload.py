import numpy as np

from benchmarks.harness.workload import make_workload
from mascot_jax.data.synthetic.generator import ITEM_TAIL, SHAPES
from mascot_jax.data.synthetic.pairs import popularity


def test_a_workload_has_its_shapes_size_and_popularity():
    problem = make_workload("ml-1m", most=300_000)
    users, items, ratings = problem.ratings.host()
    size = SHAPES["ml-1m"]
    assert len(users) == len(items) == len(ratings) == 300_000
    assert (problem.ratings.user_count, problem.ratings.item_count) == (size.users, size.items)
    assert set(np.unique(ratings)) == {1, 2, 3, 4, 5}
    weights = popularity(size.items, ITEM_TAIL)
    expected = weights[:100] / weights.sum()
    counts = np.sort(np.bincount(items, minlength=size.items))[::-1][:100] / 300_000
    # The hundred most popular: 5 standard deviations of a count, and what sorting adds.
    assert np.allclose(counts, expected, rtol=0.2)
    assert np.corrcoef(users, items)[0, 1] < 0.02  # drawn independently


def test_a_workload_is_no_larger_than_its_shape_and_the_same_each_time():
    one, two = (make_workload("ml-1m", seed=3).ratings.host() for _ in range(2))
    assert len(one[0]) == SHAPES["ml-1m"].ratings
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
