import sys

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mascot_jax.errors import DataError, SettingsError
from mascot_jax.ranking.top_n import BLOCK, Pairs, top_n

module = sys.modules[top_n.__module__]  # the room gives its name to the function


@pytest.fixture(scope="module", params=["on the host", "on a device"], autouse=True)
def place(request):
    """Where searches run: in NumPy, or by JAX on a device, as on a GPU."""
    device = None if request.param == "on the host" else jax.local_devices(backend="cpu")[0]
    with jax.default_device(device):
        yield request.param


on_a_device = pytest.mark.parametrize("place", ["on a device"], indirect=True)


def rows(count, factors=8, seed=0):
    """Small whole numbers: products are exact in any order of addition, and many are equal."""
    drawn = np.random.default_rng(seed).integers(-3, 4, (count, factors))
    return drawn.astype(np.float32)


def pairs(lists):
    """Pairs of lists of items."""
    starts = np.cumsum([0, *map(len, lists)])
    items = [np.asarray(items, dtype=np.uint32) for items in lists]
    return Pairs(starts, np.concatenate([*items, np.empty(0, np.uint32)]))


def expected(queries, items, n, item_offset=None, exclude=None, candidates=None):
    """The same by sorting everything, as lists of (query, item, score)."""
    scores = queries.astype(np.float64) @ items.astype(np.float64).T
    if item_offset is not None:
        scores += item_offset
    allowed = np.ones_like(scores, dtype=bool)
    if candidates is not None:
        allowed[:, np.setdiff1d(np.arange(len(items)), candidates)] = False
    if exclude is not None:
        allowed[np.repeat(np.arange(len(queries)), np.diff(exclude.starts)), exclude.items] = False
    out = []
    for query in range(len(queries)):
        order = np.argsort(-scores[query], kind="stable")
        best = order[allowed[query, order]][:n]
        out += [(query, int(item), float(scores[query, item])) for item in best]
    return out


def entries(found):
    return list(zip(*(array.tolist() for array in found), strict=True))


@pytest.mark.parametrize("n", [1, 10, 1000])
@pytest.mark.parametrize("count", [1, BLOCK, BLOCK + 1, 500])
def test_the_best_are_those_of_sorting_everything(count, n):
    queries, items = rows(37), rows(count, seed=1)
    assert entries(top_n(queries, items, n)) == expected(queries, items, n)


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.sampled_from([1, 7]),
    with_offset=st.booleans(),
    with_exclude=st.booleans(),
    with_candidates=st.booleans(),
)
def test_what_is_excluded_or_no_candidate_is_never_there(
    seed, n, with_offset, with_exclude, with_candidates
):
    rng = np.random.default_rng(seed)
    queries, items = rows(5, seed=seed), rows(90, seed=seed + 1)
    sizes = rng.permutation([0, 3, 3, 60, 400])
    lists = [rng.integers(0, 90, size) for size in sizes]  # some of them more than once
    options = {
        "item_offset": rng.integers(-20, 21, 90).astype(np.float32) if with_offset else None,
        "exclude": pairs(lists) if with_exclude else None,
        "candidates": rng.integers(0, 90, 40).astype(np.uint32) if with_candidates else None,
    }
    assert entries(top_n(queries, items, n, **options)) == expected(queries, items, n, **options)


def test_of_equal_scores_the_lower_index_comes_first():
    found = top_n(np.ones((2, 4), np.float32), np.ones((300, 4), np.float32), 70)
    assert found.items.tolist() == 2 * list(range(70))


def test_equal_scores_in_many_blocks_stay_in_order():
    # the last block has the highest item, the others' best are equal
    items = np.zeros((10 * BLOCK, 1), np.float32)
    items[5::BLOCK] = 1
    items[-1] = 2
    found = top_n(np.ones((1, 1), np.float32), items, 4)
    assert found.items.tolist() == [10 * BLOCK - 1, 5, BLOCK + 5, 2 * BLOCK + 5]


@pytest.mark.parametrize("limit", [1, 500, 3 * 512, 1 << 22])
def test_batches_do_not_matter(limit, monkeypatch):
    monkeypatch.setattr(module, "SCORES_AT_A_TIME", limit)
    queries, items = rows(11), rows(512, seed=1)
    exclude = pairs([range(0, 512, 1 + i) for i in range(11)])
    found = top_n(queries, items, 7, exclude=exclude)
    assert entries(found) == expected(queries, items, 7, exclude=exclude)


@on_a_device
def test_a_batch_never_has_more_scores_than_its_bound(monkeypatch):
    monkeypatch.setattr(module, "SCORES_AT_A_TIME", 8192)
    shapes = []
    original = module._best
    monkeypatch.setattr(
        module, "_best", lambda *a, **k: shapes.append((len(a[0]), len(a[1]))) or original(*a, **k)
    )
    top_n(rows(100), rows(1000, seed=1), 3)
    assert shapes == 13 * [(8, 1024)]


def test_items_are_laid_out_once(monkeypatch):
    items = module.Items(rows(512, seed=1))
    monkeypatch.setattr(module, "_lay_out", None)
    for seed in (2, 3):
        queries = rows(3, seed=seed)
        assert entries(items.best(queries, 5)) == expected(queries, rows(512, seed=1), 5)


@on_a_device
def test_calls_of_similar_sizes_run_as_one_program():
    items = rows(1500, factors=5, seed=1)
    compiled = module._best._cache_size()
    for count in (33, 47, 64):
        top_n(rows(count, factors=5), items, 3)
    for count in (1030, 1100, 1152):
        top_n(rows(64, factors=5), items, 3, candidates=np.arange(count, dtype=np.uint32))
    for count in (0, 5, 300):
        top_n(rows(1, factors=5), items, 3, exclude=pairs([range(count)]))
    assert module._best._cache_size() == compiled + 3


def test_everything_excluded_leaves_nothing():
    exclude = pairs([range(40), [], range(39)])
    found = top_n(rows(3), rows(40, seed=1), 5, exclude=exclude)
    assert np.bincount(found.queries, minlength=3).tolist() == [0, 5, 1]
    assert found.items[-1] == 39


@pytest.mark.parametrize(
    ("queries", "items", "options"),
    [
        (0, 40, {}),
        (3, 0, {}),
        (0, 0, {}),
        (3, 40, {"candidates": np.empty(0, np.uint32)}),
        (3, 40, {"exclude": pairs(3 * [range(40)])}),
        (3, 0, {"exclude": pairs([[], [], []])}),
    ],
)
def test_nothing_to_choose_gives_empty_arrays(queries, items, options):
    found = top_n(rows(queries), rows(items), 5, **options)
    assert entries(found) == []
    assert [array.dtype for array in found] == [np.int64, np.uint32, np.float32]


@pytest.mark.parametrize("factors", [0, 1, 3, 129, 500])
def test_any_number_of_factors(factors):
    queries, items = rows(4, factors), rows(100, factors, seed=1)
    found = top_n(queries, items, 5)
    assert entries(found) == expected(queries, items, 5)
    assert [array.dtype for array in found] == [np.int64, np.uint32, np.float32]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"n": 0}, SettingsError, "n is 0; it must be an integer, at least 1"),
        ({"queries": rows(3, 7)}, DataError, "queries have 7 factors, items 8"),
        ({"item_offset": np.zeros(39, np.float32)}, DataError, "39 item offsets for 40 items"),
        ({"exclude": pairs([[1]])}, DataError, "exclude is for 1 queries, not 3"),
        ({"queries": np.full((3, 8), np.nan, np.float32)}, DataError, "queries: not all numbers"),
        ({"items": np.full((40, 8), np.inf, np.float32)}, DataError, "items: not all numbers"),
        ({"exclude": pairs([[], [40], []])}, IndexError, "exclude: index 40 does not exist: .* 40"),
        ({"candidates": np.array([41], np.uint32)}, IndexError, "candidates: index 41 does not"),
    ],
)
def test_what_cannot_be_is_refused(change, error, message):
    arguments = {"queries": rows(3), "items": rows(40, seed=1), "n": 2} | change
    with pytest.raises(error, match=message):
        top_n(arguments.pop("queries"), arguments.pop("items"), arguments.pop("n"), **arguments)
