import numpy as np
import pytest

from mascot_jax.engine import tables
from mascot_jax.engine.tables import to_host
from mascot_jax.mf.warm_start import warm_state
from mascot_jax.tables.groups import regroup
from mascot_jax.training.initial import initial_state
from tests.mf.test_model import trained
from tests.support.worlds import live_rows, row_codes
from tests.training.test_training import pointers


def groups_of(counts):
    return regroup(np.array(counts, dtype=np.int64), 6)


@pytest.mark.parametrize("method", ["fp32", "fp16", "int8"])
def test_known_rows_keep_their_factors_and_new_ones_are_random(method):
    _, model = trained(method)
    users, items = groups_of(np.arange(70)), groups_of(np.arange(40)[::-1])
    earlier_users = np.append(np.full(20, -1), np.arange(10, 60))  # 10 are dropped, 20 are new
    state = warm_state(model, users, items, earlier_users, np.arange(40), model.settings)
    fresh = initial_state(users.starts, items.starts, model.settings)
    known = earlier_users[users.order] >= 0
    rows, random = live_rows(state.users), live_rows(fresh.users)
    dense = model.dense_users()[earlier_users[users.order][known]]
    np.testing.assert_allclose(rows[known], dense, rtol=1e-2 if method == "int8" else 0)
    np.testing.assert_array_equal(rows[~known], random[~known])
    np.testing.assert_array_equal(live_rows(state.items), model.dense_items()[items.order])
    assert int(state.epoch) == 0


def test_groups_begin_in_the_most_precise_storage_of_their_rows():
    _, model = trained(threshold=0.9, epochs=40, sample_ratio=1.0)
    assert len(model.users.table.stored) == 2
    users, items = groups_of(np.arange(60)), groups_of(np.arange(40))
    state = warm_state(model, users, items, np.arange(60), np.arange(40), model.settings)
    code_of_index = row_codes(model.users.table)[model.users.row_of]
    for code, start, stop in zip(
        to_host(state.users).codes, users.starts[:-1], users.starts[1:], strict=True
    ):
        assert code == code_of_index[users.order[start:stop]].min()
    np.testing.assert_array_equal(live_rows(state.users), model.dense_users()[users.order])
    assert np.isnan(state.methods["switching"]["users"]).all()
    # Without promotion, all rows are in the one storage of the method.
    fp16 = model.settings.model_copy(update={"method": "fp16"})
    state = warm_state(model, users, items, np.arange(60), np.arange(40), fp16)
    assert list(state.users.stored) == ["float16"]
    assert set(to_host(state.users).codes.tolist()) == {1}


@pytest.mark.parametrize("method", ["fp32", "mascot", "int8"])
def test_large_tables_stay_where_they_were_allocated(method, monkeypatch):
    """On huge pages, which a copy would not lie on."""
    monkeypatch.setattr(tables, "SMALL", 0)
    _, model = trained(method)
    allocate, places = tables.allocate, []

    def noted(*args):
        array = allocate(*args)
        places.append(array.unsafe_buffer_pointer())
        return array

    monkeypatch.setattr(tables, "allocate", noted)
    users, items = groups_of(np.arange(60)), groups_of(np.arange(40))
    state = warm_state(model, users, items, np.arange(60), np.arange(40), model.settings)
    assert set(pointers(state)) <= set(places)
