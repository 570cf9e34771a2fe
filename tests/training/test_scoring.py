import dataclasses

import jax
import numpy as np
import pytest

from mascot_jax.base.biases import Biases
from mascot_jax.engine import prediction
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.prediction import ColdRule
from mascot_jax.training import scoring
from mascot_jax.training.scoring import HeldOut
from tests.support.worlds import aligned, make_world

K = 8
WARM = ColdRule(3.25, 23, 17)
"""All rows of the world are warm."""
BIASED = WARM._replace(
    warm_items=15,
    biases=Biases(
        np.linspace(-1, 1, 23, dtype=np.float32), np.linspace(0, 2, 17, dtype=np.float32)
    ),
)


@pytest.fixture(scope="module")
def world():
    return make_world(K)


def pairs(count, seed=0):
    """Rows and ratings, uniformly drawn."""
    rng = np.random.default_rng(seed)
    return (
        rng.integers(0, 23, count).astype(np.uint32),
        rng.integers(0, 17, count).astype(np.uint32),
        rng.integers(1, 6, count).astype(np.float32),
    )


def expected(world, users, items, ratings, rule, clip):
    """RMSE and MAE in float64."""
    values = (world.p.astype(np.float64)[users] * world.q.astype(np.float64)[items]).sum(axis=1)
    values[rule.is_cold(users, items)] = 0
    values += rule.offset(users, items)
    errors = (values if clip is None else values.clip(*clip)) - ratings
    return float(np.sqrt(np.mean(errors**2))), float(np.mean(np.abs(errors)))


@pytest.mark.parametrize("clip", [None, (-0.1, 0.1), (3.5, 4.0)])
@pytest.mark.parametrize("rule", [WARM, WARM._replace(warm_items=15), BIASED])
@pytest.mark.parametrize("count", [1, 1023, 1024, 1025, 2_500_000])
def test_a_score_is_that_of_numpy_in_float64(world, count, rule, clip):
    data = pairs(count)
    held_out = HeldOut(*data, rule)
    totals = held_out.score(world.users, world.items, Execution(2), clip)
    rmse, mae = expected(world, *data, rule, clip)
    assert totals.count == count
    assert totals.rmse == pytest.approx(rmse, rel=1e-6)
    assert totals.mae == pytest.approx(mae, rel=1e-6)
    assert held_out.cold_count == (data[1] >= rule.warm_items).sum()


@pytest.mark.parametrize("size", [1, 7, 299, 300])
def test_chunks_do_not_matter(world, size, monkeypatch):
    data = pairs(300)
    whole = HeldOut(*data, WARM).score(world.users, world.items, Execution())
    monkeypatch.setattr(prediction, "PAIRS_AT_A_TIME", size)
    parts = HeldOut(*data, WARM).score(world.users, world.items, Execution())
    assert parts.count == whole.count
    assert (parts.rmse, parts.mae) == pytest.approx((whole.rmse, whole.mae), rel=1e-6)


def test_chunks_are_bounded_and_run_as_one_program(world):
    # a chunk's fill takes no part: two of 700_001 pairs, and one pair fewer; padded
    held_out = HeldOut(*pairs(2_100_002), WARM)
    assert {c.ratings.shape for c in held_out._chunks} == {(720_896,)}
    compiled = scoring._error_sums._cache_size()
    for clip in (None, (1.0, 5.0)):
        held_out.score(world.users, world.items, Execution(), clip)
    assert scoring._error_sums._cache_size() == compiled + 1


def test_no_pairs_have_no_error(world):
    totals = HeldOut(*pairs(0), WARM).score(world.users, world.items, Execution())
    assert totals.count == 0
    assert np.isnan(totals.rmse)


def test_a_prediction_that_is_not_a_number_shows(world):
    rows = world.users.stored["float32"].at[0].set(np.nan)
    users = dataclasses.replace(world.users, stored=world.users.stored | {"float32": rows})
    totals = HeldOut(*pairs(300), WARM).score(users, world.items, Execution(), (1.0, 5.0))
    assert np.isnan(totals.rmse)
    assert np.isnan(totals.mae)


@pytest.mark.parametrize(
    ("user", "item", "message"),
    [
        (23, 0, "user row 23 does not exist: there are 23"),
        (0, 17, "item row 17 does not exist: there are 17"),
        (2**32 - 1, 0, "user row 4294967295 does not exist"),
    ],
)
def test_a_row_out_of_range_is_refused(world, user, item, message):
    users, items, ratings = pairs(300)
    users[7], items[9] = user, item
    held_out = HeldOut(users, items, ratings, WARM)
    with pytest.raises(IndexError, match=message):
        held_out.score(world.users, world.items, Execution())


def test_what_the_caller_does_to_its_arrays_later_does_not_matter(world):
    data = [aligned(column, column.dtype) for column in pairs(2048)]
    held_out = HeldOut(*data, WARM)
    before = held_out.score(world.users, world.items, Execution())
    for array in data:
        array[:] = 0
    assert held_out.score(world.users, world.items, Execution()) == before


def test_only_sums_come_back(world, monkeypatch):
    held_out = HeldOut(*pairs(5000), WARM)
    seen = []
    original = jax.device_get
    monkeypatch.setattr(jax, "device_get", lambda tree: seen.append(tree) or original(tree))
    held_out.score(world.users, world.items, Execution())
    (sums,) = seen
    assert [array.shape for array in jax.tree.leaves(sums)] == [(), ()]
