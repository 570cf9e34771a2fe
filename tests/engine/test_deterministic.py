"""Conflict-free strata: the same bits for every number of threads, and NumPy's for one."""

import itertools
from typing import NamedTuple

import jax
import numpy as np
import pytest

from mascot_jax.engine import kernels, layout
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.layout import LONGEST_RUN, divided, range_starts
from mascot_jax.engine.ratings import Ratings, Strata, make_ratings
from mascot_jax.errors import BackendError, DataError, SettingsError
from mascot_jax.settings import RunSettings, TrainSettings, validate
from mascot_jax.settings.run import backend_for
from mascot_jax.training.epoch import train_epoch
from mascot_jax.training.initial import initial_state
from mascot_jax.training.loop import train_state
from tests.engine.test_kernels import VARIANTS, run, sgd
from tests.support import reference
from tests.support.worlds import ONE, RATES, live_rows, make_table, make_world, prepared
from tests.training.test_training import assert_updates_in_place, planted

THREADS = [1, 2, 3, 8]


def settings(**values):
    return validate(TrainSettings, {"factors": 8, "epochs": 12, "deterministic": True} | values)


class Starts(NamedTuple):
    """As much of a grouping as a layout needs."""

    starts: np.ndarray


ONE_GROUP = Starts(np.array([0, 1], np.uint32))


def lay_out(ratings, s, users, items):
    """Lay out by anything that has group starts."""
    starts = np.asarray(users.starts), np.asarray(items.starts)
    return layout.lay_out(ratings, s.plan(ratings.platform), *starts, threads=2)


def laid_out(world, **values):
    """The world over laid-out ratings, its plain arrays in that order, too."""
    ratings = lay_out(world.ratings, settings(**values), world.users, world.items)
    rows, columns, values = ratings.host()
    return world._replace(ratings=ratings, user_rows=rows, item_rows=columns, values=values)


def shape(ratings):
    """Number of user and of item ranges, without padding."""
    return tuple(np.asarray(ratings.extent)[2:].tolist())


def host_strata(ratings):
    """The strata as NumPy arrays, without padding."""
    users, items = shape(ratings)
    sizes = users + 1, items + 1, users * items
    return Strata(*(np.asarray(x)[:n] for x, n in zip(ratings.strata, sizes, strict=True)))


def pieces(ratings, largest=4096):
    """What one thread visits, one after the other: parts of blocks, (begin, end)."""
    begins = host_strata(ratings).begin.tolist()
    blocks = reference.strata_order(3, 2, begins, len(ratings), shape(ratings))
    return [
        (first, min(first + largest, end))
        for begin, end in blocks
        for first in range(begin, end, largest)
    ]


ORDERS = ["shuffled", "runs", "group-blocks"]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize(("factors", "rows"), [(33, (23, 17)), (128, (9, 90))])
def test_one_thread_is_numpy_sgd_bit_for_bit(factors, rows, rounding, order, variant):
    world = laid_out(make_world(factors, "all", rows=rows), order=order)
    p, q, _ = sgd(world, pieces(world.ratings), rounding)
    users, items, *_ = run(world, variant, rounding=rounding)
    np.testing.assert_array_equal(live_rows(users), p)
    np.testing.assert_array_equal(live_rows(items), q)


@pytest.mark.parametrize("order", ["runs", "group-blocks"])
def test_one_thread_of_hogwild_is_numpy_sgd_bit_for_bit(order):
    world = laid_out(make_world(20, "all"), order=order, deterministic=False)
    size = kernels.block_size(300)
    expected = reference.shuffled_pieces(3, 2, size, 300)
    if order == "group-blocks":  # those blocks, in an order of their own
        begins = host_strata(world.ratings).begin.tolist()
        ends = [*begins[1:], 300]
        blocks = reference.permutation(reference.stream_key(3, 2, 1), len(begins))
        expected = [(begins[b], ends[b]) for b in blocks]
    p, q, _ = sgd(world, expected)
    users, items, *_ = run(world)
    np.testing.assert_array_equal(live_rows(users), p)
    np.testing.assert_array_equal(live_rows(items), q)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("threads", THREADS)
def test_sums_are_those_of_the_sampled_ratings(threads, order):
    world = laid_out(make_world(33, count=2000, rows=(150, 90)), order=order)
    starts = np.asarray(world.users.starts), np.asarray(world.items.starts)
    *_, details = sgd(world, pieces(world.ratings))
    *_, user_sums, item_sums = run(world, threads=threads, sample_ratio=0.3)
    for sums, side, rows, start in (
        (user_sums, "p", world.user_rows, starts[0]),
        (item_sums, "q", world.item_rows, starts[1]),
    ):
        expected = np.zeros(sums.shape)
        for i in (i for i in range(2000) if reference.is_sampled(3, 2, i, 0.3)):
            gradient = details[i][f"gradient_{side}"].astype(np.float64)
            lost = details[i][f"lost_{side}"].astype(np.float64)
            whole = np.square(np.float32(RATES[0]) * gradient).sum()
            group = np.searchsorted(start, rows[i], side="right") - 1
            squares = np.square(gradient).sum(), 1, np.square(lost).sum(), whole
            expected[group] += [*gradient, *squares]
        np.testing.assert_allclose(np.asarray(sums), expected, rtol=2e-4, atol=2e-4)
        np.testing.assert_array_equal(np.asarray(sums)[:, 34], expected[:, 34])


def history(s, threads, data):
    """Every bit that a training leaves: factors, q-errors and storages of every epoch."""
    record = []

    def on_epoch(epoch, state):
        for side in (epoch.users, epoch.items):
            record.append(np.array(side.codes).tobytes())
            record.append(np.array(side.q_error).tobytes())

    execution = Execution(threads)
    state = train_state(prepared(*data, s, execution), execution, on_epoch)
    factors = [live_rows(side).tobytes() for side in (state.users, state.items)]
    return record, factors, np.array(state.users.codes).tolist()


@pytest.fixture(scope="module")
def data():
    return planted(users=300, items=200, count=40_000)


SWITCHING = {"method": "mascot", "threshold": 2.0, "sample_ratio": 0.5, "warmup": 2, "period": 2}
METHODS = {
    "fp32": {"method": "fp32"},
    "fp16": {"method": "fp16"},
    "int8": {"method": "int8"},
    "mascot": SWITCHING,
    "mascot-n2": SWITCHING | {"method": "mascot-n2"},
    "mascot-int8": SWITCHING
    | {"method": "mascot-int8", "criterion": "gradient-diversity", "threshold": 1.5},
}


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("method", METHODS)
def test_every_number_of_threads_gives_the_same_bits(method, order, rounding, data):
    s = settings(**METHODS[method], order=order, rounding=rounding, learning_rate=0.05)
    first = history(s, 1, data)
    if order == "shuffled" and s.method in ("mascot", "mascot-int8"):
        assert len(set(first[2])) > 1  # some groups have switched, and some have not
    for threads in THREADS:
        for _ in range(2):
            assert history(s, threads, data) == first


@pytest.mark.parametrize("method", ["half", "mpt", "muppet", "afp"])
def test_so_do_methods_to_compare_with(method, data):
    s = settings(method=method, learning_rate=0.05)
    first = history(s, 1, data)
    for threads in THREADS:
        assert history(s, threads, data) == first


def test_every_epoch_has_every_block_once_and_an_order_of_its_own(data):
    ratings = lay_out(data[0], settings(), *data[1:])
    assert shape(ratings) == (64, 64)
    begins = host_strata(ratings).begin.tolist()
    orders = [
        reference.strata_order(0, number, begins, len(ratings), (64, 64)) for number in range(4)
    ]
    for order in orders:
        assert sum(end - begin for begin, end in order) == len(ratings)
        filled = sorted(block for block in order if block[0] < block[1])
        assert all(a[1] == b[0] for a, b in itertools.pairwise(filled))
    assert all(a != b for a, b in itertools.combinations(orders, 2))


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 10_000])
def test_each_rating_is_visited_exactly_once(count, threads):
    # One rating per user and item: with q = 1 and no regularisation, p grows by eta * (r - p) once.
    p, q = np.zeros((count, 1), np.float32), np.ones((count, 1), np.float32)
    starts, codes, ids = np.array([0, count]), np.array([0]), np.arange(count)
    world = make_world(1)._replace(
        ratings=lay_out(
            make_ratings(ids, ids[::-1], np.ones(count), count, count),
            settings(),
            ONE_GROUP,
            ONE_GROUP,
        ),
        users=make_table(p, starts, codes),
        items=make_table(q, starts, codes),
    )
    users, *_ = run(world, threads=threads, rates=(0.25, 0.0, 0.0))
    assert (live_rows(users) == 0.25).all()


@pytest.mark.parametrize(("users", "items"), [(1, 1), (1, 50), (50, 1), (3, 200), (200, 5), (2, 2)])
@pytest.mark.parametrize("count", [1, 700])
def test_few_rows_and_few_ratings(users, items, count):
    data = planted(users, items, count, groups=1)
    s = settings(method="mascot", threshold=0.01, sample_ratio=1.0, warmup=1, period=1)
    first = history(s, 1, data)
    assert all(history(s, threads, data) == first for threads in THREADS)
    laid = lay_out(data[0], s, *data[1:])
    assert shape(laid) == (min(users, 64), min(items, 64))


def test_the_layout_is_the_seeded_order_within_each_block(data):
    ratings = data[0]
    laid = lay_out(ratings, settings(), *data[1:])
    rows = [r.host()[:2] for r in (ratings, laid)]
    starts = host_strata(laid)[:2]
    block = [
        (np.searchsorted(starts[0], u, side="right") - 1) * 64
        + np.searchsorted(starts[1], i, side="right")
        - 1
        for u, i in rows
    ]
    order = np.argsort(block[0], kind="stable")
    np.testing.assert_array_equal(laid.host()[0], rows[0][0][order])
    np.testing.assert_array_equal(laid.host()[1], rows[0][1][order])
    np.testing.assert_array_equal(laid.host()[2], np.asarray(ratings.ratings)[order])
    begin = np.concatenate([[0], np.cumsum(np.bincount(block[0], minlength=64 * 64))])
    np.testing.assert_array_equal(host_strata(laid).begin, begin[:-1])


@pytest.mark.parametrize("deterministic", [True, False])
def test_runs_are_up_to_eight_ratings_of_one_user(deterministic, data):
    s = settings(order="runs", deterministic=deterministic)
    laid = lay_out(data[0], s, *data[1:])
    triples = [
        sorted(zip(*(column.tolist() for column in r.host()), strict=True)) for r in (data[0], laid)
    ]
    assert triples[0] == triples[1]
    users = laid.host()[0]
    lengths = np.diff(np.flatnonzero(np.diff(users, prepend=-1)), append=len(users))
    # Runs of a user are neighbours where it has a range to itself, and from one sweep to the next.
    assert (lengths <= LONGEST_RUN).mean() > (0.99 if deterministic else 0.995)
    if not deterministic:  # within a block there are few ratings of a user
        assert np.repeat(lengths, lengths).mean() > LONGEST_RUN - 0.5
    again = lay_out(data[0], s, *data[1:])
    np.testing.assert_array_equal(again.host()[0], users)
    other = lay_out(data[0], settings(order="runs", deterministic=deterministic, seed=1), *data[1:])
    assert (other.host()[0] != users).any()


def test_runs_are_spread_over_the_epoch(data):
    laid = lay_out(data[0], settings(order="runs", deterministic=False), *data[1:])
    users = laid.host()[0]
    for user in (0, 5, 20):
        places = np.flatnonzero(users == user) / len(users)
        assert abs(places.mean() - 0.5) < 0.15
        assert places.std() == pytest.approx(12**-0.5, abs=0.1)


def test_group_blocks_have_one_pair_of_groups_each(data):
    laid = lay_out(data[0], settings(order="group-blocks", deterministic=False), *data[1:])
    groups = [
        np.searchsorted(side.starts, rows, side="right") - 1
        for side, rows in zip(data[1:], laid.host()[:2], strict=True)
    ]
    block = groups[0] * (len(data[2].starts) - 1) + groups[1]
    assert (np.diff(block) >= 0).all()
    begin = np.searchsorted(block, np.arange(len(host_strata(laid).begin)))
    np.testing.assert_array_equal(host_strata(laid).begin, begin)


def test_some_of_laid_out_ratings_are_so_many(data):
    laid = lay_out(data[0], settings(), *data[1:])
    chosen = np.arange(len(laid)) < 10
    some = laid.without(10, ~chosen[10:])
    assert len(some) == 10
    for column, whole in zip(some.host(), laid.host(), strict=True):
        np.testing.assert_array_equal(column, whole[:10])
    assert some.strata is None


def test_ranges_have_about_equally_many_ratings_and_tile_the_rows():
    rng = np.random.default_rng(0)
    rows = (5000 * rng.random(100_000) ** 3).astype(np.uint32)
    starts = range_starts(rows, 6000)  # the last thousand rows have no rating
    assert (starts[0], starts[-1], len(starts)) == (0, 6000, 65)
    assert (np.diff(starts) >= 0).all()
    visits = np.diff(np.cumsum(np.bincount(rows, minlength=6000))[np.maximum(starts[1:], 1) - 1])
    assert visits.sum() <= 100_000
    assert abs(visits[5:] / (100_000 / 64) - 1).max() < 0.3
    one_hot = np.concatenate([np.zeros(900, np.uint32), np.arange(1, 101, dtype=np.uint32)])
    starts = range_starts(one_hot, 101)
    assert (starts[0], starts[1], starts[-1]) == (0, 1, 101)


def test_ranges_of_rotations_differ_less_in_rows_too():
    rng = np.random.default_rng(0)
    rows = (5000 * rng.random(100_000) ** 6).astype(np.uint32)
    starts = range_starts(rows, 6000, rows_too=True)
    assert (starts[0], starts[-1], len(starts)) == (0, 6000, 65)
    assert np.diff(range_starts(rows, 6000)).max() / (6000 / 64) > 10
    assert np.diff(starts).max() / (6000 / 64) < 5.1
    visits = np.diff(np.searchsorted(np.sort(rows), starts))
    assert visits[19:].max() / (100_000 / 64) < 1.3
    most = np.full(10, 2**28)
    assert divided(most, 64, rows_too=True).tolist() == [*range(11)]  # products have 64 bits


@pytest.mark.parametrize("method", ["fp32", "fp16", "mascot", "mascot-n2"])
def test_an_epoch_updates_every_table_in_place(method):
    s = settings(method=method, warmup=0, threshold=0.01)
    ratings, users, items = planted()
    state = initial_state(users.starts, items.starts, s.plan())
    assert_updates_in_place(lay_out(ratings, s, users, items), state, s.plan())


def test_ratings_that_are_not_laid_out_as_asked_are_refused(data):
    plan = settings().plan()
    state = initial_state(data[1].starts, data[2].starts, plan)
    racing = lay_out(data[0], settings(deterministic=False), *data[1:])
    for ratings in (data[0], racing):
        with pytest.raises(ValueError, match="not laid out as the plan asks"):
            train_epoch(state, ratings, plan, ONE)


BAD_STRATA = {
    "one block for each pair": lambda s: s._replace(begin=s.begin[:100]),
    "strata must tile the ratings": lambda s: s._replace(begin=s.begin.at[1].set(9999)),
    "users: ranges must tile the rows": lambda s: s._replace(user_starts=s.user_starts[1:]),
    "items: ranges must tile the rows": lambda s: s._replace(
        item_starts=s.item_starts.at[1].set(9999)
    ),
}


@pytest.mark.parametrize("message", BAD_STRATA)
def test_the_handler_refuses_a_broken_layout(message):
    world = laid_out(make_world(8))
    ratings = world.ratings
    object.__setattr__(ratings, "strata", BAD_STRATA[message](ratings.strata))
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        jax.block_until_ready(run(world)[2])


def test_cuda_is_refused_before_any_work(data, monkeypatch):
    cuda, auto = RunSettings(backend="cuda"), RunSettings()
    with pytest.raises(SettingsError, match=r"^run\.backend: 'cuda': cuda has no train\.det"):
        backend_for(settings(), cuda)
    assert backend_for(settings(), auto) == "cpu"
    for value in (False, None):
        assert backend_for(settings(deterministic=value), auto) == "auto"
        assert backend_for(settings(deterministic=value), cuda) == "cuda"
    monkeypatch.setattr(Ratings, "platform", "gpu")
    with pytest.raises(BackendError, match="gpu runs Hogwild only"):
        lay_out(data[0], settings(), *data[1:])
    with pytest.raises(BackendError, match="gpu has no group-blocks"):
        lay_out(data[0], settings(deterministic=None, order="group-blocks"), *data[1:])
    # there, Hogwild is the default
    assert lay_out(data[0], settings(deterministic=None), *data[1:]).strata is None


@pytest.mark.parametrize(("platform", "default"), [("cpu", True), ("gpu", False)])
def test_the_device_decides_where_nobody_else_does(platform, default):
    assert TrainSettings().plan(platform).deterministic is default
    for asked in (True, False):
        assert TrainSettings(deterministic=asked).plan(platform).deterministic is asked


def test_training_on_the_cpu_is_deterministic_unless_told_otherwise(data):
    assert lay_out(data[0], settings(deterministic=None), *data[1:]).strata is not None
    racing = lay_out(data[0], settings(deterministic=False), *data[1:])
    assert racing.strata is None
    for laid, given in zip(racing.host(), data[0].host(), strict=True):
        np.testing.assert_array_equal(laid, given)


def test_more_ratings_than_there_are_places_are_refused(data, monkeypatch):
    monkeypatch.setattr(layout, "MOST_PLACES", len(data[0]) - 1)
    with pytest.raises(DataError, match=r"places at most; with train\.order shuffled"):
        lay_out(data[0], settings(), *data[1:])
    racing = settings(deterministic=False)
    assert len(lay_out(data[0], racing, *data[1:])) == len(data[0])
