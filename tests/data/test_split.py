"""Folds, dense indices and the report, against naive counts."""

import json
from collections import Counter

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mascot_jax.data.split import TRAIN_ONLY, report, split_ratings
from mascot_jax.errors import DataError, SettingsError
from mascot_jax.settings import SplitSettings

INT64 = st.integers(-(2**63), 2**63 - 1)
IDS = st.one_of(
    st.lists(st.integers(0, 5), min_size=2, max_size=60),
    st.lists(st.integers(-4, 4), min_size=2, max_size=60),
    st.lists(INT64, min_size=2, max_size=60),
    st.lists(st.integers(2**63 - 9, 2**63 - 1), min_size=2, max_size=60),
    st.lists(st.integers(-(2**63), 9 - 2**63), min_size=2, max_size=60),
    st.lists(st.text(max_size=3), min_size=2, max_size=60),
)


def frame(users, items, test=None):
    """Ratings that number the rows, so that each can be followed."""
    rows = min(len(users), len(items))
    data = {"user": users[:rows], "item": items[:rows]}
    columns = {"rating": pl.Series(range(rows), dtype=pl.Float32)}
    if test is not None:
        columns["test"] = pl.Series(test[:rows], dtype=pl.Boolean)
    return pl.DataFrame(data).with_columns(**columns)


def grid(rows, users=7, items=5):
    row = np.arange(rows)
    return frame((row % users).tolist(), (row * 3 % items).tolist())


@settings(deadline=None)
@given(rows=st.integers(2, 300), count=st.integers(2, 254), seed=st.integers(0, 2**32 - 1))
def test_folds_are_disjoint_complete_and_even(rows, count, seed):
    count = min(count, rows)
    split = split_ratings(grid(rows), SplitSettings(count=count, seed=seed))
    assert split.fold.dtype == np.uint8
    sizes = np.bincount(split.fold, minlength=count)
    assert sizes.size == count
    assert sizes.sum() == rows
    assert sizes.max() - sizes.min() <= 1
    assert sorted(split.rating.tolist()) == list(range(rows))


@settings(deadline=None)
@given(users=IDS, items=IDS)
def test_indices_lead_back_to_the_ids(users, items):
    raw = frame(users, items)
    split = split_ratings(raw, SplitSettings(count=2))
    assert (split.user.dtype, split.item.dtype) == (np.uint32, np.uint32)
    for name, index, ids in [
        ("user", split.user, split.user_ids),
        ("item", split.item, split.item_ids),
    ]:
        assert ids.to_list() == sorted(set(raw[name].to_list()), key=_sort_key)
        row = split.rating.astype(int)
        assert ids.gather(index).to_list() == raw[name].gather(row).to_list()
        assert ids.dtype == raw[name].dtype


def _sort_key(value):
    return value.encode() if isinstance(value, str) else value


def test_wide_integer_ids_are_searched(monkeypatch):
    """The same indices from either way, each over several chunks."""
    monkeypatch.setattr("mascot_jax.ids.column.ROWS_AT_A_TIME", 16)
    rng = np.random.default_rng(0)
    users = rng.integers(-50, 50, 200)
    near = split_ratings(frame(users.tolist(), users.tolist()), SplitSettings())
    far = split_ratings(frame((users * 10**15).tolist(), users.tolist()), SplitSettings())
    np.testing.assert_array_equal(near.user, far.user)
    assert (near.user_ids * 10**15).to_list() == far.user_ids.to_list()


def test_seed_fixes_the_order_and_another_changes_it():
    first, again, other = (split_ratings(grid(500), SplitSettings(seed=seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.rating, again.rating)
    assert (first.rating != other.rating).mean() > 0.9
    assert (first.rating != np.arange(500)).mean() > 0.9


def test_fold_count_does_not_change_the_order():
    five, ten = (split_ratings(grid(500), SplitSettings(count=count)) for count in (5, 10))
    np.testing.assert_array_equal(five.rating, ten.rating)


def test_own_test_ratings_become_fold_0():
    test = [row % 4 == 0 for row in range(40)]
    split = split_ratings(frame(list(range(40)), [0] * 40, test), SplitSettings(count=1))
    assert TRAIN_ONLY == 255
    for row, fold in zip(split.rating.astype(int), split.fold, strict=True):
        assert fold == (0 if test[row] else TRAIN_ONLY)


@pytest.mark.parametrize(
    ("raw", "count", "message"),
    [
        (grid(9), 1, r"split\.count is 1, .* no test ratings.* set split\.count to 2 or more"),
        (grid(9), 10, r"split\.count is 10, .* only 9 ratings.* at most 9"),
        (grid(0), 5, r"split\.count is 5, .* only 0 ratings"),
        (frame([1, 2], [1, 2], [True, False]), 2, r"split\.count is 2, .* set split\.count to 1"),
    ],
)
def test_count_that_does_not_fit_is_refused(raw, count, message):
    with pytest.raises(SettingsError, match=message):
        split_ratings(raw, SplitSettings(count=count))


@pytest.mark.parametrize(("flag", "missing"), [(True, "training"), (False, "test")])
def test_own_test_needs_both_kinds(flag, missing):
    with pytest.raises(DataError, match=f"no {missing} ratings among its 3"):
        split_ratings(frame([1, 2, 3], [1, 2, 3], [flag] * 3), SplitSettings(count=1))


PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4)), min_size=3, max_size=60)


@settings(deadline=None)
@given(pairs=PAIRS, count=st.integers(2, 3))
def test_report_agrees_with_naive_counts(pairs, count):
    users, items = map(list, zip(*pairs, strict=True))
    split = split_ratings(frame(users, items), SplitSettings(count=count))
    check_report(split)


@settings(deadline=None)
@given(pairs=PAIRS, data=st.data())
def test_report_of_own_test_agrees_with_naive_counts(pairs, data):
    users, items = map(list, zip(*pairs, strict=True))
    flags = data.draw(st.lists(st.booleans(), min_size=len(pairs), max_size=len(pairs)))
    flags[:2] = [True, False]
    check_report(split_ratings(frame(users, items, flags), SplitSettings(count=1)))


def check_report(split):
    found = report(split)
    assert json.loads(json.dumps(found)) == found
    times = Counter(zip(split.user.tolist(), split.item.tolist(), strict=True)).values()
    assert found["duplicates"] == {
        "pairs": sum(t > 1 for t in times),
        "surplus_ratings": sum(t - 1 for t in times),
    }
    assert (found["users"], found["items"]) == (split.user_ids.len(), split.item_ids.len())
    assert found["ratings"] == split.rating.size
    for number, described in enumerate(found["folds"]):
        test = split.fold == number
        cold_users = set(split.user[test].tolist()) - set(split.user[~test].tolist())
        cold_items = set(split.item[test].tolist()) - set(split.item[~test].tolist())
        rows = zip(split.user[test].tolist(), split.item[test].tolist(), strict=True)
        assert described == {
            "train": int((~test).sum()),
            "test": int(test.sum()),
            "cold_users": len(cold_users),
            "cold_items": len(cold_items),
            "cold_ratings": sum(u in cold_users or i in cold_items for u, i in rows),
        }
    assert len(found["folds"]) == split.count


def test_report_over_several_chunks(monkeypatch):
    monkeypatch.setattr("mascot_jax.base.arrays.AT_A_TIME", 16)
    rng = np.random.default_rng(0)
    users, items = rng.geometric(0.02, (2, 300)).tolist()
    check_report(split_ratings(frame(users, items), SplitSettings(count=4)))


def test_report_gives_the_range_of_the_ratings():
    assert report(split_ratings(grid(6), SplitSettings(count=2)))["rating"] == {
        "min": 0.0,
        "max": 5.0,
        "mean": 2.5,
    }
