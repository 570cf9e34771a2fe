import numpy as np
import pytest

from mascot_jax.dlrm.tiers import Tiers


def tiers(*masks):
    return Tiers.of([np.array(mask, np.bool_) for mask in masks])


@pytest.mark.parametrize("rows", [1, 2, 63, 64, 65, 128, 1000])
def test_numbers_are_those_of_wide_rows_and_then_of_the_others(rows):
    rng = np.random.default_rng(rows)
    masks = [rng.random(rows) < share for share in (0.3, 0, 1, 0.99)]
    masks += [np.arange(rows) < count for count in (1, rows // 2)]
    found = Tiers.of(masks)
    expected, next_wide = [], 0
    next_other = sum(int(mask.sum()) for mask in masks)
    for mask in masks:
        numbers = np.empty(rows, np.uint32)
        for row in range(rows):
            if mask[row]:
                numbers[row], next_wide = next_wide, next_wide + 1
            else:
                numbers[row], next_other = next_other, next_other + 1
        expected.append(numbers)
    every = np.arange(rows, dtype=np.uint32)
    numbers = found.numbers(np.stack([every] * 6, 1))
    np.testing.assert_array_equal(numbers, np.stack(expected, 1))
    assert sorted(numbers.ravel()) == list(range(6 * rows))
    for field, mask in enumerate(masks):
        np.testing.assert_array_equal(found.mask(field), mask)


def test_it_takes_a_fifth_of_a_byte_a_row_and_nothing_where_wide_rows_are_the_first():
    assert tiers([True] * 1000, [False] * 500, [True] * 9 + [False] * 900).nbytes == 0
    assert tiers([True, False] * 6400).nbytes == 12800 / 64 * (8 + 4)


def test_first_rows_need_no_masks():
    found, expected = Tiers.first((5, 3), (2, 0)), tiers([1, 1, 0, 0, 0], [0, 0, 0])
    assert (found.cardinalities, found.wide) == (expected.cardinalities, expected.wide)
    rows = np.array([[0, 2], [1, 0], [4, 1]], np.uint32)
    np.testing.assert_array_equal(found.numbers(rows), expected.numbers(rows))
    assert found.nbytes == 0
