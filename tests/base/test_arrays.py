import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from mascot_jax.base import arrays
from mascot_jax.base.arrays import (
    ALIGNMENT,
    count_each,
    gather,
    mean_of,
    smallest,
    sort_by,
    where,
)

KEYS = st.one_of(
    st.lists(st.integers(0, 5), max_size=30),
    st.lists(st.integers(0, 2**32 - 1), max_size=30),
    st.lists(st.sampled_from([3, 3 + 2**16, 9]), max_size=30),
).map(lambda keys: np.array(keys, dtype=np.uint32))


@pytest.fixture(autouse=True, scope="module")
def small_parts():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "AT_A_TIME", 4)
        yield


@given(KEYS)
def test_sorting_is_stable(keys):
    np.testing.assert_array_equal(sort_by(keys), np.argsort(keys, kind="stable"))
    assert sort_by(keys).dtype == np.uint32


@given(KEYS)
def test_sorting_by_several_keys(keys):
    first, second = keys % 3, keys >> 16
    np.testing.assert_array_equal(sort_by(first, second), np.lexsort((second, first)))


@given(st.lists(st.integers(0, 6), max_size=30))
def test_every_number_is_counted(values):
    values = np.array(values, dtype=np.uint32)
    np.testing.assert_array_equal(count_each(values, 9), np.bincount(values, minlength=9))


@given(KEYS)
def test_what_is_gathered_is_aligned(keys):
    order = np.arange(len(keys))[::-1]
    gathered = gather(keys, order)
    np.testing.assert_array_equal(gathered, keys[::-1])
    assert gathered.dtype == keys.dtype
    assert not len(keys) or gathered.ctypes.data % ALIGNMENT == 0


def test_means_are_those_of_numpy(monkeypatch):
    monkeypatch.setattr(arrays, "AT_A_TIME", 1 << 14)
    values = np.random.default_rng(0).standard_normal(100_001, dtype=np.float32)
    assert mean_of(len(values), lambda part: values[part]) == values.mean(dtype=np.float64)


def test_values_by_rank():
    values = np.random.default_rng(0).standard_normal(50, dtype=np.float32)
    values[:9] = [0.0, -0.0, 0.0, -0.0, np.inf, -np.inf, 1e-45, -1e-45, 3.0]
    found = smallest(values, range(50))
    assert found == np.sort(values).tolist()
    assert not np.signbit([value for value in found if value == 0]).any()


def test_numbers_that_are_chosen():
    values = np.arange(11) % 3
    assert where(11, lambda part: values[part] == 1).tolist() == [1, 4, 7, 10]
    assert where(0, lambda part: values[part] == 1).tolist() == []
