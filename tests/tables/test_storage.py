import jax.numpy as jnp
import numpy as np
import pytest

from mascot_jax.engine.codec import encode
from mascot_jax.tables.storage import FLOAT16, FLOAT32, STORAGES, by_code, promotions

INT8 = [storage for storage in STORAGES.values() if storage.scale_block]
every_storage = pytest.mark.parametrize("storage", STORAGES.values(), ids=lambda s: s.name)
SIZES = [1, 16, 17, 40, 300]


def test_promotion_ends_in_float32():
    assert promotions(FLOAT32) == (FLOAT32,)
    assert promotions(FLOAT16) == (FLOAT16, FLOAT32)
    for storage in INT8:
        assert promotions(storage) == (storage, FLOAT16, FLOAT32)


@every_storage
def test_storages_of_one_table_have_codes_of_their_own_and_lower_ones_are_wider(storage):
    chain = promotions(storage)
    assert list(by_code(s.name for s in chain)) == [s.code for s in chain]
    assert all(np.diff([s.code for s in chain]) < 0)


@pytest.mark.parametrize(
    ("name", "scales", "elements", "stride", "row_bytes"),
    [
        ("float32", 0, 40, 48, 160),
        ("float16", 0, 40, 64, 80),
        ("int8-16", 3, 48 + 12, 64, 40 + 12),
        ("int8-32", 2, 48 + 8, 64, 40 + 8),
        ("int8-64", 1, 48 + 4, 64, 40 + 4),
        ("int8-row", 1, 48 + 4, 64, 40 + 4),
    ],
)
def test_a_row_of_40_factors(name, scales, elements, stride, row_bytes):
    storage = STORAGES[name]
    found = [size(40) for size in (storage.scales, storage.elements, storage.stride)]
    assert [*found, storage.row_bytes(40)] == [scales, elements, stride, row_bytes]


@every_storage
@pytest.mark.parametrize("factors", SIZES)
def test_rows_are_whole_cache_lines_and_no_more(storage, factors):
    size, line = storage.dtype.itemsize, 64
    assert storage.stride(factors) * size % line == 0
    assert 0 <= (storage.stride(factors) - storage.elements(factors)) * size < line


def test_a_hand_made_row_of_int8():
    scales = np.array([0.5, 2], np.float32).view(np.int8)
    row = np.concatenate([np.arange(20), np.zeros(12), scales]).astype(np.int8)
    expected = [*np.arange(16) / 2, *np.arange(16, 20) * 2]
    assert STORAGES["int8-16"].decode(row[None], 20).tolist() == [expected]


@every_storage
@pytest.mark.parametrize("factors", SIZES)
def test_decoding_brings_back_the_nearest_that_a_row_holds(storage, factors):
    values = np.random.default_rng(0).normal(0, 0.3, (9, factors)).astype(np.float32)
    values[3] = 0
    stored = np.asarray(encode(storage, jnp.asarray(values)))
    assert stored.shape == (9, storage.elements(factors))
    assert stored.dtype == storage.dtype
    decoded = storage.decode(stored, factors)
    padded = np.pad(stored, ((0, 0), (0, storage.stride(factors) - stored.shape[1])))
    np.testing.assert_array_equal(storage.decode(padded, factors), decoded)
    if not storage.scale_block:
        np.testing.assert_array_equal(decoded, values.astype(storage.dtype))
    for first in range(0, factors, storage.scale_block or factors):
        block = slice(first, first + storage.scale_block)
        error = np.abs(decoded - values)[:, block]
        largest = np.abs(values)[:, block].max(axis=1, keepdims=True, initial=0)
        assert (error <= largest / 253).all()  # half of a 127th, and a scale's rounding


@pytest.mark.parametrize("storage", INT8, ids=lambda s: s.name)
@pytest.mark.parametrize("draws", [None, 7 << 29])
@pytest.mark.parametrize(("size", "kept"), [(2.0**-99, True), (2.0**-101, False), (1e-38, False)])
def test_blocks_near_zero_become_zeros(storage, draws, size, kept):
    values = jnp.asarray([[size, -size / 2]])
    draws = None if draws is None else jnp.full((1, 2), draws, jnp.uint32)
    decoded = storage.decode(np.asarray(encode(storage, values, draws)), 2)[0]
    expected = np.asarray(values[0]) if kept else [0, 0]
    np.testing.assert_allclose(decoded, expected, atol=size / 127 if kept else 0)
