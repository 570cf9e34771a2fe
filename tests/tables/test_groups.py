from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mascot_jax.tables.groups import (
    check_groups,
    inverse,
    load_groupings,
    regroup,
    save_groupings,
)

COUNTS = arrays(np.int64, st.integers(1, 200), elements=st.integers(0, 30))


def test_a_hand_made_grouping():
    # sorted: 9 | 5 5 | 2 | 0; two groups of at least three rows
    grouping = regroup(np.array([2, 5, 0, 9, 5]), 2)
    assert grouping.order.tolist() == [3, 1, 4, 0, 2]
    assert grouping.starts.tolist() == [0, 3, 5]
    assert grouping.visits.tolist() == [19, 2]
    assert grouping.warm_rows == 4


def test_equal_counts_stay_together_so_groups_can_be_fewer():
    grouping = regroup(np.full(10, 7), 5)
    assert grouping.starts.tolist() == [0, 10]


@given(COUNTS, st.integers(1, 50))
def test_section_4s_rule(counts, groups):
    grouping = regroup(counts, groups)
    ranked = counts[grouping.order]
    least = -(-len(counts) // groups)
    starts = grouping.starts.astype(int)
    assert (np.diff(ranked) <= 0).all()  # most-rated first
    assert starts[0] == 0
    assert starts[-1] == len(counts)
    assert len(starts) - 1 <= groups
    for begin, end in pairwise(starts):
        if end < len(counts):
            assert end - begin >= least  # closed only when large enough,
            assert ranked[end] != ranked[end - 1]  # never between equal counts,
            earliest = begin + least
            # and at the first place where both hold
            assert all(ranked[e] == ranked[e - 1] for e in range(earliest, end))
    assert grouping.visits.tolist() == [ranked[b:e].sum() for b, e in pairwise(starts)]
    assert grouping.warm_rows == (counts > 0).sum()


@given(COUNTS, st.integers(1, 50))
def test_un_regrouping_is_the_identity(counts, groups):
    grouping = regroup(counts, groups)
    indices = np.arange(len(counts), dtype=np.uint32)
    np.testing.assert_array_equal(grouping.order[grouping.row_of[indices]], indices)
    np.testing.assert_array_equal(inverse(inverse(grouping.order)), grouping.order)


def test_equal_counts_keep_their_order():
    assert regroup(np.array([1, 3, 1, 3]), 2).order.tolist() == [1, 3, 0, 2]


def test_a_file_brings_both_sides_back(tmp_path):
    users, items = regroup(np.arange(50) % 7, 10), regroup(np.arange(20), 3)
    save_groupings(tmp_path / "g.safetensors", users, items)
    for saved, loaded in zip(
        (users, items), load_groupings(tmp_path / "g.safetensors"), strict=True
    ):
        for a, b in zip(saved, loaded, strict=True):
            np.testing.assert_array_equal(a, b)
            assert np.asarray(a).dtype == np.asarray(b).dtype


ZEROS = np.zeros(2, dtype=np.uint8)
NO_GROUPS = {
    r"users: groups are int64 \(3,\), uint8": (np.array([0, 2, 5]), ZEROS),
    r"users: groups are uint32 \(3,\), int32": (np.arange(3, dtype=np.uint32), ZEROS.astype("i4")),
    r"users: groups are uint32 \(1, 3\)": (np.arange(3, dtype=np.uint32)[None], ZEROS),
    "users: 2 groups with 4 starts": (np.arange(4, dtype=np.uint32), ZEROS),
    "users: 0 groups with 1 starts": (np.zeros(1, dtype=np.uint32), ZEROS[:0]),
    "users: 65537 groups with 65538 starts": (
        np.arange(65_538, dtype=np.uint32),
        np.zeros(65_537, dtype=np.uint8),
    ),
    r"users: .* must be 0, then rise: \[1 2 5\]": (np.array([1, 2, 5], dtype=np.uint32), ZEROS),
    r"users: .* must be 0, then rise: \[0 2 2\]": (np.array([0, 2, 2], dtype=np.uint32), ZEROS),
    r"users: .* must be 0, then rise: \[0 5 2\]": (np.array([0, 5, 2], dtype=np.uint32), ZEROS),
}


@pytest.mark.parametrize("message", NO_GROUPS)
def test_what_is_no_group_table_is_refused(message):
    with pytest.raises(ValueError, match=message):
        check_groups(*NO_GROUPS[message], "users")


@pytest.mark.parametrize("groups", [1, 2, 65_536])
def test_group_tables_are_accepted(groups):
    check_groups(np.arange(groups + 1, dtype=np.uint32), np.zeros(groups, dtype=np.uint8), "users")
    most = np.array([0, 2**32 - 1], dtype=np.uint32)
    check_groups(most, np.zeros(1, dtype=np.uint8), "users")


@pytest.mark.realdata
def test_ml_1m_has_about_83_groups(real_data):
    import zipfile

    lines = zipfile.ZipFile(real_data / "ml-1m.zip").read("ml-1m/ratings.dat").decode().splitlines()
    users, items = np.array([line.split("::")[:2] for line in lines], dtype=np.int64).T
    for ids in (users, items):
        counts = np.unique(ids, return_counts=True)[1]
        groups = len(regroup(counts, 100).visits)
        assert 78 <= groups <= 88
