"""Training from interactions: the kernel against NumPy, its draws, and its promise of bits."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mascot_jax.engine.interactions import MOST_EXTRA, draws_of, item_weights, lay_out_interactions
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import make_ratings
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.tables.storage import STORAGES
from mascot_jax.training.initial import initial_state
from mascot_jax.training.loop import train_state
from tests.engine.test_deterministic import METHODS, THREADS, host_strata, shape
from tests.engine.test_kernels import VARIANTS, codes_of, run
from tests.support import interactions_reference, reference
from tests.support.worlds import RATES, live_rows, make_world, prepared
from tests.training.test_training import assert_updates_in_place


def settings(**values):
    given = {"objective": "interactions", "factors": 8, "epochs": 3, "deterministic": True}
    return validate(TrainSettings, given | values)


def laid_out(world, **values):
    """The world over interactions of its pairs, each once, with weights of 0 to 2."""
    plan = settings(**values).plan()
    pairs = np.unique(world.user_rows.astype(np.int64) * 1000 + world.item_rows)
    rng = np.random.default_rng(1)
    ratings = make_ratings(
        pairs // 1000,
        pairs % 1000,
        rng.choice([0, 0.5, 1, 2], len(pairs)),
        world.ratings.user_count,
        world.ratings.item_count,
    )
    starts = (np.asarray(side.starts) for side in (world.users, world.items))
    return world._replace(
        ratings=lay_out_interactions(ratings, plan, *starts, ratings.item_count, threads=2)
    )


def data_of(ratings):
    negatives = ratings.negatives
    return interactions_reference.Data(
        *ratings.host(),
        host_strata(ratings)[:2],
        np.asarray(negatives.user_draws)[: ratings.user_count],
        np.asarray(negatives.item_weights)[: ratings.item_count],
        float(negatives.weight[0]),
        negatives.loss,
    )


def blocks_of(ratings):
    """Pairs of ranges in the order of the epoch that ``run`` makes."""
    users, items = shape(ratings)
    numbers = list(range(users * items))
    if ratings.conflict_free:
        order = reference.strata_order(3, 2, numbers, len(numbers), (users, items))
        return [divmod(block, items) for block, _ in order]
    order = reference.permutation(reference.stream_key(3, 2, 1), len(numbers))
    return [divmod(block, items) for block in order]


def expected(world, rounding="nearest", block=32):
    p, q = world.p.copy(), world.q.copy()
    details = interactions_reference.epoch(
        data_of(world.ratings), blocks_of(world.ratings), p, q, codes_of(world), RATES,
        seed=3, number=2, stochastic=rounding == "stochastic", block=block,
    )  # fmt: skip
    return p, q, details


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize(
    ("factors", "codes", "order", "values"),
    [
        (33, "all", "runs", {}),
        (128, "float32", "runs", {"loss": "logistic", "negative_weight": 0.5}),
        (128, "float16", "group-blocks", {"negative_power": 0.5}),
        (256, "mixed", "runs", {"negative_power": 1.0, "negatives": 2.5}),
        (20, "int8", "group-blocks", {"loss": "logistic", "deterministic": False}),
        (64, "all", "runs", {"deterministic": False, "negatives": 0}),
    ],
)
def test_one_thread_is_numpy_bit_for_bit(factors, codes, order, values, rounding, variant):
    world = laid_out(make_world(factors, codes, rows=(23, 90)), order=order, **values)
    p, q, details = expected(world, rounding)
    assert {visit.target for _, visit, *_ in details} == (
        {1} if values.get("negatives") == 0 else {0, 1}
    )
    users, items, *_ = run(world, variant, rounding=rounding)
    np.testing.assert_array_equal(live_rows(users), p)
    np.testing.assert_array_equal(live_rows(items), q)


@pytest.mark.parametrize("threads", THREADS)
def test_sums_are_those_of_the_sampled_visits(threads):
    world = laid_out(make_world(33, "float32", count=900, rows=(60, 90)))
    starts = np.asarray(world.users.starts), np.asarray(world.items.starts)
    *_, details = expected(world)
    *_, user_sums, item_sums = run(world, threads=threads, sample_ratio=0.3)
    sums = np.zeros(user_sums.shape), np.zeros(item_sums.shape)
    for user, visit, *gradients in details:
        if not reference.is_sampled(3, 2, visit.number, 0.3):
            continue
        for total, row, start, gradient in zip(
            sums, (user, visit.item), starts, gradients, strict=True
        ):
            square = np.square(gradient.astype(np.float64)).sum()
            group = np.searchsorted(start, row, side="right") - 1
            total[group] += [*gradient, square, 1, 0, np.float32(RATES[0]) ** 2 * square]
    for found, total in zip((user_sums, item_sums), sums, strict=True):
        np.testing.assert_allclose(np.asarray(found), total, rtol=2e-4, atol=2e-4)
        np.testing.assert_array_equal(np.asarray(found)[:, 34], total[:, 34])


@pytest.mark.parametrize("x", [0.0, 1e-9, -0.3, 0.7, 5.0, -17.0, 88.0, -300.0, np.inf, -np.inf])
def test_the_sigmoid_is_one(x):
    exact = 0.5 * (1 + np.tanh(np.float64(x) / 2))
    assert interactions_reference.sigmoid(np.float32(x)) == pytest.approx(
        exact, rel=3e-7, abs=2e-35
    )


def planted(users=200, items=300, seed=0):
    """Interactions of users with items of their own kind, few users with many."""
    rng = np.random.default_rng(seed)
    wanted = np.minimum(5 + (60 * rng.random(users) ** 3).astype(int), items // 4)
    pairs = [
        (user, item)
        for user in range(users)
        for item in rng.choice(items // 2, wanted[user], replace=False) * 2 + user % 2
    ]
    rows, columns = np.array(pairs).T
    ratings = make_ratings(rows, columns, np.ones(len(rows)), users, items)
    starts = np.arange(0, users + 1, 20), np.arange(0, items + 1, 20)
    return ratings, *starts


def drawn(ratings, epoch=2):
    """Every (user, item) that an epoch draws and keeps, by the reference."""
    data = data_of(ratings)
    key = reference.stream_key(3, epoch, 8)
    found = []
    for user in range(len(data.user_draws)):
        for item_range in range(len(data.starts[1]) - 1):
            low, high = data.starts[1][item_range : item_range + 2]
            if low == high:
                continue
            own = (data.users == user) & (data.items >= low) & (data.items < high)
            visits = interactions_reference.visits(
                data, key, user, item_range, np.flatnonzero(own).tolist()
            )
            found += [(user, visit.item) for visit in visits if not visit.target]
    return np.array(found)


def test_negatives_are_as_many_as_asked_uniform_and_never_met():
    ratings, users, items = planted()
    plan = settings(negatives=8).plan()
    negatives = drawn(lay_out_interactions(ratings, plan, users, items, 300, 1))
    met = set(zip(*(x.tolist() for x in ratings.host()[:2]), strict=True))
    assert not met & set(map(tuple, negatives.tolist()))
    count = len(ratings)
    # Each user's number is within one in each of 64 ranges of what is wanted.
    assert len(negatives) == pytest.approx(8 * count, rel=0.02)
    by_user = np.bincount(negatives[:, 0], minlength=200)
    root = np.bincount(ratings.users, minlength=200) ** 0.25
    np.testing.assert_allclose(by_user, 8 * count * root / root.sum(), rtol=0.3)
    by_item = np.bincount(negatives[:, 1], minlength=300)
    free = 200 - np.bincount(ratings.items, minlength=300)
    np.testing.assert_allclose(by_item / free, len(negatives) / free.sum(), rtol=0.45)
    other = drawn(lay_out_interactions(ratings, plan, users, items, 300, 1), epoch=3)
    assert len(other) != len(negatives) or (other != negatives).any()


def test_pairs_met_before_are_neither_drawn_nor_visited():
    ratings, users, items = planted(40, 90)
    plan = settings(negatives=8).plan()
    met = set(zip(*(x.tolist() for x in ratings.host()[:2]), strict=True))
    free = sorted({(user, item) for user in range(20) for item in range(90)} - met)
    before = np.array(free[::4], np.uint32).T
    laid, without = (
        lay_out_interactions(ratings, plan, users, items, 90, 1, met_before)
        for met_before in (tuple(before), None)
    )
    assert len(laid) == len(ratings) + before.shape[1]
    negatives = drawn(laid)
    assert not set(free[::4]) & set(map(tuple, negatives.tolist()))
    # As many negatives as without them: draws make up for what is dropped.
    assert len(negatives) == pytest.approx(len(drawn(without)), rel=0.05)


def test_popular_items_are_drawn_more_often_if_asked():
    counts = np.array([100, 25, 4, 0, 0])
    np.testing.assert_array_equal(item_weights(counts, 0.0, 4), [1, 1, 1, 1, 0])
    weights = item_weights(counts, 0.5, 4)
    np.testing.assert_allclose(weights / weights[0], [1, 0.5, 0.2, 0.1, 0], rtol=1e-5)


def test_a_user_of_nearly_all_items_has_a_bounded_number_of_draws():
    users = np.concatenate([np.zeros(99, int), np.arange(1, 100)])
    items = np.concatenate([np.arange(99), np.full(99, 99)])
    ratings = make_ratings(users, items, np.ones(198), 100, 100)
    found = draws_of(ratings, settings(negatives=8).plan(), 100)
    root = 99**0.25
    assert found.by_user[0] == pytest.approx(MOST_EXTRA * 8 * 198 * root / (root + 99))


def history(s, threads, data, variant="auto"):
    execution = Execution(threads, variant)
    state = train_state(prepared(*data, s, execution), execution)
    return [live_rows(side).tobytes() for side in (state.users, state.items)] + [
        np.array(side.codes).tolist() for side in (state.users, state.items)
    ]


@pytest.fixture(scope="module")
def data():
    return planted()


@pytest.mark.parametrize(
    ("method", "order", "loss"),
    [
        ("fp32", "runs", "logistic"),
        ("fp16", "group-blocks", "squared"),
        ("int8", "runs", "squared"),
        ("mascot", "group-blocks", "logistic"),
        ("mascot-int8", "runs", "squared"),
    ],
)
def test_threads_and_instruction_sets_change_no_bit(method, order, loss, data):
    switching = {"threshold": 8.5, "warmup": 0, "period": 1} if method == "mascot" else {}
    values = METHODS[method] | switching | {"rounding": "stochastic", "factors": 20}
    s = settings(**values, order=order, loss=loss)
    first = history(s, 1, data)
    for threads in THREADS[1:]:
        assert history(s, threads, data) == first
    for variant in VARIANTS[1:]:
        assert history(s, 2, data, variant) == first
    if method == "mascot":
        assert len(set(first[2])) > 1  # some groups have switched, and some have not


def test_racing_threads_visit_as_much(data):
    s = settings(deterministic=False, method="fp32", epochs=2)
    for threads in (1, 3):
        users, items, *_ = history(s, threads, data)
        assert np.isfinite(np.frombuffer(users, np.float32)).all()
        assert np.isfinite(np.frombuffer(items, np.float32)).all()


@pytest.mark.parametrize("method", ["fp32", "mascot", "int8"])
def test_an_epoch_updates_every_table_in_place(method, data):
    s = settings(method=method)
    laid = prepared(*data, s).ratings
    starts = np.asarray(data[1], np.uint32), np.asarray(data[2], np.uint32)
    assert_updates_in_place(laid, initial_state(*starts, s.plan()), s.plan())


def test_memory_does_not_grow_with_negatives(data):
    few, many = (prepared(*data, settings(negatives=n)).ratings for n in (0, 100))
    sizes = [[leaf.nbytes for leaf in jax.tree.leaves(ratings)] for ratings in (few, many)]
    assert sizes[0] == sizes[1]


BAD = {
    "user_draws must have one element per user": {"user_draws": jnp.zeros(3, jnp.float32)},
    "item_weights must have one element per item": {"item_weights": jnp.zeros(3, jnp.uint32)},
    r"user_draws must lie in \[0, 2\^40\)": {"user_draws": jnp.full(23, -1.0, jnp.float32)},
    "negative_weight must be one number": {"weight": jnp.zeros(2, jnp.float32)},
    "loss 'cubic' is not one of squared, logistic": {"loss": "cubic"},
}


@pytest.mark.parametrize("message", BAD)
def test_the_handler_refuses_what_it_cannot_read(message):
    world = laid_out(make_world(8, "float32"))
    negatives = dataclasses.replace(world.ratings.negatives, **BAD[message])
    world = world._replace(ratings=dataclasses.replace(world.ratings, negatives=negatives))
    with pytest.raises(Exception, match=message):
        run(world)


def test_int8_blocks_are_rounded_as_those_of_ratings():
    world = make_world(100, "int8", rows=(23, 40), int8="int8-16")
    world = laid_out(world)
    p, q, _ = expected(world, "stochastic", STORAGES["int8-16"].scale_block)
    users, items, *_ = run(world, rounding="stochastic")
    np.testing.assert_array_equal(live_rows(users), p)
    np.testing.assert_array_equal(live_rows(items), q)
