"""Tables between host and device: nothing is lost on the way, whatever the storage."""

import numpy as np
import pytest

from mascot_jax.engine import tables
from mascot_jax.engine.padding import LEAST_GROUPS, LEAST_ROWS
from mascot_jax.engine.tables import encoded, to_device, to_host
from mascot_jax.tables.storage import FLOAT32, STORAGES, promotions
from tests.support.worlds import make_world, row_codes, visit

STARTS = np.array([0, 3, 4, 9, 11, 12], dtype=np.uint32)
CODES = np.array([2, 0, 1, 2, 0], dtype=np.uint8)
INT8 = [storage for storage in STORAGES.values() if storage.scale_block]


def make_rows(storage, factors=40, codes=CODES):
    """Rows whose groups are in this storage, and in those that it is promoted to."""
    dense = np.random.default_rng(0).normal(0, 0.3, (12, factors)).astype(np.float32)
    return encoded(dense, STARTS, codes, promotions(storage))


def assert_same(rows, others):
    assert rows.factors == others.factors
    assert sorted(rows.stored) == sorted(others.stored)
    for name, stored in rows.stored.items():
        assert stored.dtype == others.stored[name].dtype
        np.testing.assert_array_equal(stored, others.stored[name])
    np.testing.assert_array_equal(rows.starts, others.starts)
    np.testing.assert_array_equal(rows.codes, others.codes)


@pytest.mark.parametrize("storage", INT8, ids=lambda s: s.name)
@pytest.mark.parametrize("factors", [1, 40, 300])
@pytest.mark.parametrize("small", [0, tables.SMALL], ids=["large", "small"])
def test_rows_of_every_storage_come_back_from_the_device(factors, storage, small, monkeypatch):
    monkeypatch.setattr(tables, "SMALL", small)
    rows = make_rows(storage, factors)
    table = to_device(rows)
    assert (len(table), list(table.stored)) == (12, sorted(rows.stored))
    assert table.groups == LEAST_GROUPS  # the others have no rows
    for name, array in table.stored.items():
        own = STORAGES[name]
        assert array.shape == (LEAST_ROWS, own.stride(factors))
        live = np.asarray(array)[:12][row_codes(table) == own.code]
        np.testing.assert_array_equal(live[:, : own.elements(factors)], rows.stored[name])
        assert not live[:, own.elements(factors) :].any()
    assert_same(to_host(table), rows)
    to_host(table).check("users")


def test_so_do_rows_that_are_converted_a_few_at_a_time(monkeypatch):
    whole = make_rows(STORAGES["int8-32"])
    monkeypatch.setattr(tables, "AT_A_TIME", 2)
    monkeypatch.setattr(tables, "SMALL", 0)
    rows = make_rows(STORAGES["int8-32"])
    assert_same(rows, whole)
    assert_same(to_host(to_device(rows)), whole)


def test_there_is_room_for_what_groups_are_promoted_to():
    rows = make_rows(STORAGES["int8-16"], codes=np.full(5, 2, dtype=np.uint8))
    assert list(rows.stored) == ["int8-16"]
    table = to_device(rows, promotions(STORAGES["int8-16"]))
    assert list(table.stored) == ["float16", "float32", "int8-16"]
    assert table.stored["float32"].shape == (LEAST_ROWS, FLOAT32.stride(40))
    assert_same(to_host(table), rows)


def test_rows_on_the_host_neither_follow_the_table_nor_keep_it_from_updates_in_place():
    world = make_world(16, "all")
    rows, before = to_host(world.users), to_host(world.users)
    pointers = [array.unsafe_buffer_pointer() for array in world.users.stored.values()]
    users, *_ = visit(world)
    assert [array.unsafe_buffer_pointer() for array in users.stored.values()] == pointers
    assert_same(rows, before)
    assert (to_host(users).dense() != before.dense()).any()
