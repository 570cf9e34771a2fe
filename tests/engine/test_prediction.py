import numpy as np
import pytest

from mascot_jax.base.biases import Biases
from mascot_jax.engine import prediction
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.prediction import ColdRule, predict
from tests.support.reference import dot
from tests.support.worlds import ONE, make_world

WARM = ColdRule(3.25, 23, 17)
"""All rows of the world are warm."""


@pytest.fixture(scope="module")
def world():
    return make_world(8)


def predictions(world, rule=WARM, users=None, items=None, threads=1):
    """All predictions in one array, and the slices they came in."""
    users = world.user_rows if users is None else np.array(users, dtype=np.uint32)
    items = world.item_rows if items is None else np.array(items, dtype=np.uint32)
    execution = Execution(threads)
    parts = list(predict(world.users, world.items, users, items, rule, execution=execution))
    values = [np.zeros(0, np.float32), *(values for _, values in parts)]
    return np.concatenate(values), [part for part, _ in parts]


@pytest.mark.parametrize("threads", [1, 3])
def test_a_prediction_is_the_product_of_the_rows(world, threads):
    expected = [dot(world.p[u], world.q[i]) for u, i in zip(*world[5:7], strict=True)]
    values, parts = predictions(world, threads=threads)
    assert parts == [slice(0, 300)]
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("size", [1, 100, 299, 300, 301])
def test_chunks_give_the_same_predictions(world, size, monkeypatch):
    whole, _ = predictions(world, WARM._replace(warm_users=20))
    monkeypatch.setattr(prediction, "PAIRS_AT_A_TIME", size)
    values, parts = predictions(world, WARM._replace(warm_users=20))
    np.testing.assert_array_equal(values, whole)
    covered = [n for part in parts for n in range(300)[part]]
    assert covered == list(range(300))
    assert max(part.stop - part.start for part in parts) <= size


def test_no_pairs_have_no_predictions(world):
    values, parts = predictions(world, users=[], items=[])
    assert (len(values), parts) == (0, [])


def test_users_and_items_without_training_ratings_get_the_mean(world):
    rule = ColdRule(3.25, warm_users=10, warm_items=5)
    users, items = [9, 10, 9, 22, 0], [4, 4, 5, 16, 0]
    assert rule.is_cold(np.array(users), np.array(items)).tolist() == [
        False,
        True,
        True,
        True,
        False,
    ]
    values, _ = predictions(world, rule, users, items)
    warm, _ = predictions(world, WARM, users, items)
    assert values.tolist() == [warm[0], 3.25, 3.25, 3.25, warm[4]]
    assert 3.25 not in warm


def test_biases_are_added_to_the_products_and_are_all_there_is_for_cold_pairs(world):
    rng = np.random.default_rng(0)
    biases = Biases(*(rng.normal(0, 1, n).astype(np.float32) for n in (23, 17)))
    biases.users[22] = 0  # a cold user's
    rule = ColdRule(3.25, warm_users=22, warm_items=17, biases=biases)
    users, items = [0, 5, 22], [4, 16, 2]
    products, _ = predictions(world, WARM, users, items)
    values, _ = predictions(world, rule, users, items)
    offsets = np.float32(3.25) + biases.users[users] + biases.items[items]
    np.testing.assert_array_equal(values[:2], products[:2] + offsets[:2])
    assert values[2] == np.float32(3.25) + biases.items[2]


@pytest.mark.parametrize(
    ("users", "items", "message"),
    [
        ([0, 23], [0, 0], "user row 23 does not exist: there are 23"),
        ([0, 0], [17, 0], "item row 17 does not exist: there are 17"),
        ([2**32 - 1], [0], "user row 4294967295 does not exist"),
    ],
)
def test_a_row_out_of_range_is_refused(world, users, items, message):
    with pytest.raises(IndexError, match=message):
        predictions(world, users=users, items=items)


def test_a_bad_row_stops_before_the_first_chunk(world, monkeypatch):
    monkeypatch.setattr(prediction, "PAIRS_AT_A_TIME", 1)
    rows = np.array([0, 1, 99], dtype=np.uint32)
    chunks = predict(world.users, world.items, rows, rows * 0, WARM, execution=ONE)
    with pytest.raises(IndexError, match="user row 99"):
        next(chunks)
