import math

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mascot_jax.errors import DataError, SettingsError
from mascot_jax.ranking.metrics import ranking_metrics, sampled_metrics
from mascot_jax.ranking.top_n import Pairs, TopN

ITEMS = 30


def lists_of(items):
    """TopN of one list of items for each query; scores fall."""
    queries = np.repeat(np.arange(len(items)), [len(of) for of in items])
    flat = np.array([item for of in items for item in of], dtype=np.uint32)
    return TopN(queries, flat, -np.arange(len(flat), dtype=np.float32))


def relevant_of(items):
    starts = np.cumsum([0, *map(len, items)])
    return Pairs(starts, np.array([item for of in items for item in of], dtype=np.uint32))


def measured(lists, relevant, n):
    """What ir-measures says, over the queries with a relevant item."""
    qrels = [
        ir_measures.Qrel(str(query), str(item), 1)
        for query, items in enumerate(relevant)
        for item in set(items)
    ]
    run = [
        ir_measures.ScoredDoc(str(query), str(item), -float(rank))
        for query, items in enumerate(lists)
        for rank, item in enumerate(items)
    ]
    names = ("P", "R", "nDCG", "Success", "RR")
    measures = [getattr(ir_measures, name) @ n for name in names]
    found = ir_measures.calc_aggregate(measures, qrels, run)
    return [found[measure] for measure in measures]


indices = st.integers(0, ITEMS - 1)
list_of_items = st.lists(indices, max_size=15, unique=True)


@settings(max_examples=100)
@given(
    queries=st.lists(
        st.tuples(list_of_items, st.lists(indices, max_size=15)), min_size=1, max_size=8
    ),
    n=st.integers(1, 12),
)
def test_figures_are_those_of_ir_measures(queries, n):
    lists, relevant = zip(*queries, strict=True)
    found = ranking_metrics(lists_of(lists), relevant_of(relevant), n, ITEMS)
    assert found.queries == sum(len(items) > 0 for items in relevant)
    if found.queries == 0 or not any(lists):
        return  # ir-measures has no answer to these; tests below
    assert found[:5] == pytest.approx(measured(lists, relevant, n), abs=1e-12)


def test_figures_by_hand():
    lists = [[4, 7, 1], [2, 3, 9], [5, 6, 8]]
    relevant = [[7], [9, 2, 10, 11], []]
    found = ranking_metrics(lists_of(lists), relevant_of(relevant), 3, 12)
    assert found.precision == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert found.recall == pytest.approx((1 + 2 / 4) / 2)
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert found.ndcg == pytest.approx((1 / math.log2(3) + (1 + 1 / 2) / ideal) / 2)
    assert found.hit_rate == 1
    assert found.reciprocal_rank == pytest.approx((1 / 2 + 1) / 2)
    assert found.coverage == 9 / 12
    assert found.queries == 2


def test_coverage_is_of_the_lists_as_cut():
    found = ranking_metrics(lists_of([[1, 2, 3], [1, 4]]), relevant_of([[1], []]), 2, 10)
    assert found.coverage == 3 / 10


def test_queries_without_a_relevant_item_change_nothing():
    lists, relevant = [[1, 2], [3, 4]], [[2], [4, 5]]
    found = ranking_metrics(lists_of(lists), relevant_of(relevant), 2, 10)
    more = ranking_metrics(lists_of([*lists, [1, 2], []]), relevant_of([*relevant, [], []]), 2, 10)
    assert more == found


def test_a_query_without_a_list_has_no_hits():
    found = ranking_metrics(lists_of([[1], [], [2]]), relevant_of([[1], [1], [5]]), 1, 10)
    assert found[:5] == pytest.approx([1 / 3] * 5)
    empty = ranking_metrics(lists_of([]), relevant_of([[1], [2]]), 5, 10)
    assert empty[:7] == (0, 0, 0, 0, 0, 0, 2)


@pytest.mark.parametrize("relevant", [[], [[], []]])
def test_nothing_to_average_is_not_a_number(relevant):
    found = ranking_metrics(lists_of([]), relevant_of(relevant), 5, 0)
    assert np.isnan(found[:6]).all()
    assert found.queries == 0


@pytest.mark.parametrize(
    ("lists", "relevant", "n", "error", "message"),
    [
        (lists_of([[1]]), relevant_of([[1]]), 0, SettingsError, "n is 0"),
        (lists_of([[10]]), relevant_of([[1]]), 1, IndexError, "lists.items: index 10 does not"),
        (lists_of([[1]]), relevant_of([[10]]), 1, IndexError, "relevant: index 10 does not"),
        (lists_of([[], [1]]), relevant_of([[1]]), 1, IndexError, "lists.queries: index 1 does"),
        (
            TopN(np.array([1, 0]), np.array([1, 2], np.uint32), np.zeros(2, np.float32)),
            relevant_of([[1], [2]]),
            1,
            DataError,
            "not ordered by query",
        ),
    ],
)
def test_what_cannot_be_is_refused(lists, relevant, n, error, message):
    with pytest.raises(error, match=message):
        ranking_metrics(lists, relevant, n, 10)


def in_every_order(above, ties, n):
    """Hit rate, NDCG and reciprocal rank of one item, over all places among its equals."""
    ranks = [above + place for place in range(1, ties + 2)]
    worth = [(1, 1 / math.log2(1 + rank), 1 / rank) if rank <= n else (0, 0, 0) for rank in ranks]
    return np.mean(worth, axis=0)


@given(
    counts=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=6),
    n=st.integers(1, 12),
)
def test_sampled_figures_are_means_over_all_orders_of_equals(counts, n):
    above, ties = np.array(counts).T
    expected = np.mean([in_every_order(*each, n) for each in counts], axis=0)
    assert sampled_metrics(above, ties, n) == pytest.approx(expected, abs=1e-12)


def test_sampled_figures_by_hand():
    # ranks 1 and 3; one of two equals after another; beyond the list
    found = sampled_metrics(np.array([0, 2, 1, 9]), np.array([0, 0, 1, 0]), 2)
    assert found.sampled_hit_rate == pytest.approx((1 + 0 + 1 / 2 + 0) / 4)
    assert found.sampled_ndcg == pytest.approx((1 + 1 / math.log2(3) / 2) / 4)
    assert found.sampled_reciprocal_rank == pytest.approx((1 + 1 / 2 / 2) / 4)
    assert np.isnan(sampled_metrics(np.empty(0, int), np.empty(0, int), 5)).all()
