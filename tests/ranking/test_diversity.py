import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mascot_jax.ranking import diversity as module
from mascot_jax.ranking.diversity import diversify, pool_size
from mascot_jax.ranking.top_n import TopN


def pool_of(lists):
    """TopN of lists of (item, score)."""
    queries = np.repeat(np.arange(len(lists)), [len(of) for of in lists])
    items = np.array([item for of in lists for item, _ in of], dtype=np.uint32)
    return TopN(queries, items, np.array([s for of in lists for _, s in of], dtype=np.float32))


def expected(scores, rows, n, weight):
    """Maximal marginal relevance of one query as its paper says it, in plain Python."""
    span = max(scores) - min(scores) or 1
    relevance = [(score - min(scores)) / span for score in scores]

    def cosine(a, b):
        lengths = np.linalg.norm(rows[a]) * np.linalg.norm(rows[b])
        return rows[a] @ rows[b] / lengths if lengths else 0.0

    chosen = [0]
    while len(chosen) < min(n, len(scores)):
        rest = [place for place in range(len(scores)) if place not in chosen]
        worth = [
            (1 - weight) * relevance[a] - weight * max(cosine(a, b) for b in chosen) for a in rest
        ]
        chosen.append(rest[int(np.argmax(worth))])
    return chosen


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    sizes=st.lists(st.integers(0, 12), min_size=1, max_size=5),
    n=st.integers(1, 9),
    weight=st.sampled_from([0.0, 0.25, 0.5, 0.9, 1.0]),
    at_a_time=st.sampled_from([1, 60, 1 << 22]),
)
def test_items_are_chosen_as_the_paper_says(seed, sizes, n, weight, at_a_time):
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(20, 4)).astype(np.float32)
    factors[3] = 0
    lists = []
    for size in sizes:
        scores = np.sort(rng.normal(size=size))[::-1].astype(np.float32)
        lists.append(list(zip(rng.permutation(20)[:size].tolist(), scores.tolist(), strict=True)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "COMPONENTS_AT_A_TIME", at_a_time)
        found = diversify(pool_of(lists), factors, n, weight)
    wanted = []
    for query, of in enumerate(lists):
        if of:
            items, scores = zip(*of, strict=True)
            rows = factors[list(items)].astype(np.float64)
            order = expected(scores, rows, n, weight)
            wanted += [(query, items[place], scores[place]) for place in order]
    assert list(zip(*(column.tolist() for column in found), strict=True)) == wanted


def test_without_diversity_the_order_stays_and_with_all_of_it_twins_part():
    twins = np.array([[1, 0], [1, 0], [0, 1], [-1, 0.1]], dtype=np.float32)
    pool = pool_of([[(0, 5.0), (1, 4.9), (2, 1.0), (3, 0.5)]])
    assert diversify(pool, twins, 4, 0.0).items.tolist() == [0, 1, 2, 3]
    assert diversify(pool, twins, 4, 1.0).items.tolist() == [0, 3, 2, 1]
    assert diversify(pool, twins, 3, 0.6).items.tolist() == [0, 3, 2]
    assert diversify(pool, twins, 3, 0.1).items.tolist() == [0, 1, 2]


def test_equal_items_stay_in_the_order_of_the_pool():
    pool = pool_of([[(item, 2.0) for item in (4, 1, 3, 0)]])
    assert diversify(pool, np.ones((5, 3), np.float32), 3, 0.5).items.tolist() == [4, 1, 3]


def test_a_pool_holds_more_than_the_list():
    assert (pool_size(10), pool_size(1000)) == (300, 2000)
