import jax.numpy as jnp
import numpy as np
import pytest

from mascot_jax.dlrm import tables as tables_module
from mascot_jax.dlrm.tables import field_rows, field_scales, initial_tables, pack, tiers_of
from mascot_jax.dlrm.tiers import Tiers
from mascot_jax.engine.embedding import ROW_FORMATS
from mascot_jax.engine.kernels import Execution
from mascot_jax.settings.clicks import ClickSettings
from tests.support.planted_clicks import CARDINALITIES, planted

TRAIN, _ = planted(1000)


def made(**settings):
    settings = ClickSettings(**settings)
    tiers = tiers_of(settings, TRAIN)
    return tiers, initial_tables(settings, tiers, Execution())


@pytest.mark.parametrize("float_storage", ["float32", "float16"])
@pytest.mark.parametrize("storage", ["float16", "int8-row", "int4-row"])
def test_rows_start_as_the_same_numbers_in_every_storage(storage, float_storage, monkeypatch):
    monkeypatch.setattr(tables_module, "AT_A_TIME", 100)  # several blocks, the last one short
    plain, float32 = made(preset="fp32", dimension=32)
    chosen = {"storage": storage, "float_storage": float_storage, "min_visits_float": 10}
    tiers, rounded = made(dimension=32, **chosen)
    assert 0 < tiers.wide_rows < tiers.rows
    assert rounded.narrow.shape[0] == tiers.rows - tiers.wide_rows
    # A bfloat16 scale is off by up to 1/128 itself, which eight steps multiply at most.
    step = {"float16": 2**-10, "int8-row": 1 / 127, "int4-row": (1 + 8 / 128) / 7}[storage] * 1.01
    zeros = jnp.zeros(4)
    for field, rows in enumerate(CARDINALITIES):
        exact = field_rows(float32, plain, zeros, field, Execution())
        found = field_rows(rounded, tiers, zeros, field, Execution())
        wide = tiers.mask(field)
        expected = TRAIN.counts[field] >= 10
        expected[0] = True  # the shared row
        np.testing.assert_array_equal(wide, expected)
        # Below 2^-14 float16's steps are 2^-24.
        of_float = 0 if float_storage == "float32" else np.abs(exact[wide]) * 2**-10 + 2**-24
        assert (np.abs(found - exact)[wide] <= of_float).all()
        assert (np.abs(found - exact).max(1) <= step * np.abs(exact).max(1)).all()
        assert np.abs(exact).max() <= rows**-0.5


def test_without_a_least_count_no_row_is_float32():
    tiers, tables = made(min_visits_float=None)
    assert tiers.wide_rows == 0
    assert tables.nbytes == sum(CARDINALITIES) * ROW_FORMATS["int4-row"].row_bytes(16)


def test_packed_tables_are_what_rounding_made_of_them():
    tiers, tables = made(preset="dqrm", dimension=32)
    scales = field_scales(tables.wide, rows=tiers.wide, levels=7).at[1].set(0)
    packed = pack(tables, tiers, scales)
    assert packed.nbytes == sum(CARDINALITIES) * 16
    none = Tiers.of([np.zeros(rows, np.bool_) for rows in CARDINALITIES])
    for field in (0, 2, 3):
        start, rows = tiers.starts[0][field], CARDINALITIES[field]
        exact = np.asarray(tables.wide)[start : start + rows]
        scale = np.asarray(scales)[field]
        expected = np.clip(np.rint(exact / scale), -8, 7) * scale
        np.testing.assert_array_equal(
            field_rows(packed, none, scales, field, Execution()), expected
        )
    assert not field_rows(packed, none, scales, 1, Execution()).any()


@pytest.mark.parametrize("at_a_time", [1, 50, 1000])
def test_scales_are_of_each_field_whatever_the_blocks(at_a_time, monkeypatch):
    monkeypatch.setattr(tables_module, "AT_A_TIME", at_a_time)
    rows = (7, 120, 1, 60, at_a_time)  # a shape of its own for each: programs are compiled once
    wide = np.random.default_rng(1).standard_normal((sum(rows), 16)).astype(np.float32)
    ends = np.cumsum(rows)
    wide[ends - 1, 3] = -np.arange(4, 9)  # the largest is a field's last
    expected = [np.abs(part).max() for part in np.split(wide, ends[:-1])]
    found = field_scales(jnp.asarray(wide), rows=rows, levels=7)
    np.testing.assert_allclose(found, np.array(expected) / 7, rtol=2e-7)  # XLA may multiply by 1/7
