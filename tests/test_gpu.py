"""The CUDA kernels against known answers and the CPU kernels; skipped where no GPU can be used."""

import os
import statistics

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mascot_jax import kernels
from mascot_jax.devices import choose_device
from mascot_jax.errors import BackendError
from mascot_jax.initial import initial_state
from mascot_jax.kernels import Execution
from mascot_jax.prediction import ColdRule
from mascot_jax.ratings import make_ratings
from mascot_jax.scoring import HeldOut
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.training import train_epoch
from tests.movielens import make_fold, read_ml_1m
from tests.worlds import half_rows, live_rows, make_side, make_world, put, visit

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("on_gpu")]

FACTORS = [1, 7, 32, 33, 64, 100, 128, 256, 300]
CODES = ["float32", "float16", "mixed"]
LOOKUPS = ["direct", "search", "per-row"]
WRITES = ["add", "store"]
EXECUTIONS = [Execution(lookup=lookup, writes=writes) for lookup in LOOKUPS for writes in WRITES]


@pytest.fixture(scope="module")
def gpu():
    try:
        return choose_device("cuda")
    except BackendError as missing:
        pytest.skip(str(missing))


@pytest.fixture
def on_gpu(gpu):
    """What a test makes lies on the GPU, but for what it makes under ``on_cpu``."""
    with jax.default_device(gpu):
        yield


def on_cpu():
    return jax.default_device(choose_device("cpu"))


def jitted(kernel):
    return jax.jit(kernel, static_argnames=("factors", "execution"))


def one_rating_each(count, rating, p, q, codes):
    """A world in which every user and every item occurs once; p and q: floats of all their rows."""
    ids, starts = np.arange(count), np.array([0, count])
    values = np.full(count, rating, np.float32)
    return make_world(1)._replace(
        ratings=make_ratings(ids, ids, values, count, count),
        users=make_side(np.asarray(p, np.float32), starts, np.array([codes[0]])),
        items=make_side(np.asarray(q, np.float32), starts, np.array([codes[1]])),
    )


def diagonal(factors, codes, count=700):
    """A random world in which every user and every item occurs once: no order, no collision."""
    world = make_world(factors, codes, count=count, rows=(count, count))
    users, items = np.random.default_rng(1).permuted([np.arange(count)] * 2, axis=1)
    return world._replace(
        ratings=make_ratings(users, items, world.values, count, count),
        user_rows=users,
        item_rows=items,
    )


def test_arrays_lie_on_the_gpu(gpu):
    world = make_world(8)
    assert {d for leaf in jax.tree.leaves(world[:3]) for d in leaf.devices()} == {gpu}
    assert gpu.platform != "cpu"


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("codes", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("factors", FACTORS)
def test_an_update_by_hand(factors, codes, execution):
    # every number is a short sum of powers of two, so that nothing is rounded in any order
    rows = np.ones((5, factors))
    world = one_rating_each(5, factors / 8 + 1, rows / 2, rows / 4, codes)  # the error is 1
    users, items, *_ = visit(world, factors, execution, rates=(0.5, 0.25, 0.5))
    np.testing.assert_array_equal(live_rows(users, factors), rows * 0.5625)
    np.testing.assert_array_equal(live_rows(items, factors), rows * 0.4375)


@pytest.mark.parametrize("lookup", LOOKUPS)
@pytest.mark.parametrize("shared", ["user", "item"])
@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("factors", [1, 33, 64, 128, 300])
def test_no_update_of_a_shared_row_is_lost(factors, code, shared, lookup):
    # The rating is so large that e is the rating, whatever the row is by then, and each visit adds
    # eta e = 2^-10 to each component, exactly, be it the first or the last.
    count = 1000
    many, one = np.arange(count), np.zeros(count, int)
    ids, sizes = (many, one), (count, 1)
    ones, zeros = np.ones((count, factors), np.float32), np.zeros((1, factors), np.float32)
    sides = [
        make_side(ones, np.array([0, count]), np.array([0])),
        make_side(zeros, np.array([0, 1]), np.array([code])),
    ]
    if shared == "user":
        ids, sizes, sides = ids[::-1], sizes[::-1], sides[::-1]
    world = make_world(1)._replace(
        ratings=make_ratings(*ids, np.full(count, 2.0**40, np.float32), *sizes),
        users=sides[0],
        items=sides[1],
    )
    users, items, *_ = visit(world, factors, Execution(lookup=lookup), rates=(2.0**-50, 0, 0))
    side = users if shared == "user" else items
    np.testing.assert_array_equal(live_rows(side, factors), zeros + count / 1024)


def assert_like_the_cpus(got, wanted, before, half):
    """Rows ``(rows, k)``: float32 to 1e-6; float16, by mask ``half``, within one step of its own.

    A step is that of the larger of the numbers before and after the update.
    """
    np.testing.assert_allclose(got[~half], wanted[~half], rtol=1e-6, atol=3e-7)
    largest = np.maximum(np.abs(before), np.abs(wanted))[half].astype(np.float16)
    assert (np.abs(got - wanted)[half] <= np.spacing(largest)).all()


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("factors", FACTORS)
def test_an_epoch_without_collisions_is_the_cpus(factors, codes, execution):
    with on_cpu():
        world = diagonal(factors, codes)
        halves = half_rows(world.users), half_rows(world.items)
        wanted = visit(world, factors)
    got = visit(diagonal(factors, codes), factors, execution)
    for side, before in enumerate((world.p, world.q)):
        rows, cpus = live_rows(got[side], factors), live_rows(wanted[side], factors)
        assert (rows != before).any(axis=1).mean() > 0.99
        assert_like_the_cpus(rows, cpus, before, halves[side])


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("factors", [1, 33, 128, 300])
def test_rows_not_in_use_and_padding_are_untouched(factors, codes, execution):
    users, items, *_ = visit(
        make_world(factors, codes, count=3000), factors, execution, sample_ratio=0.5
    )
    for side in (users, items):
        half = half_rows(side)
        for name, live in (("float32", ~half), ("float16", half)):
            table = np.asarray(side.tables[name])
            assert (table[~live] == 77).all()
            assert not table[live][:, factors:].any()


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("factors", [1, 33, 128, 300])
def test_sums_are_those_of_the_sampled_ratings(factors, codes, execution):
    with on_cpu():
        cpus = visit(diagonal(factors, codes, 3000), factors, sample_ratio=0.3)[2:]
    got = visit(diagonal(factors, codes, 3000), factors, execution, sample_ratio=0.3)[2:]
    lost = factors + 2
    for sums, wanted in zip(map(np.asarray, got), map(np.asarray, cpus), strict=True):
        others = np.arange(factors + 4) != lost
        np.testing.assert_array_equal(sums[:, factors + 1], wanted[:, factors + 1])
        np.testing.assert_allclose(sums[:, others], wanted[:, others], rtol=1e-4, atol=1e-3)
        assert np.isfinite(sums[:, lost]).all()
        assert (sums[:, lost] >= 0).all()
        if execution.writes == "store":  # rounds as the CPU does
            np.testing.assert_allclose(sums[:, lost], wanted[:, lost], rtol=0.02, atol=1e-9)


@pytest.mark.parametrize("lookup", LOOKUPS)
@pytest.mark.parametrize("groups", [1, 2, 5, 100])
def test_sampling_everything_counts_every_rating_once(groups, lookup):
    world = make_world(16, count=100_000, rows=(5000, 3000), groups=groups)
    starts = np.asarray(world.users.starts), np.asarray(world.items.starts)
    sums = visit(world, 16, Execution(lookup=lookup), sample_ratio=1.0)[2:]
    for side, rows in enumerate((world.user_rows, world.item_rows)):
        counts = np.histogram(rows, starts[side])[0]
        np.testing.assert_array_equal(np.asarray(sums[side])[:, 17], counts)


def test_nothing_is_summed_in_an_epoch_that_does_not_measure():
    sums = visit(make_world(33), 33)[2:]
    assert not any(np.asarray(s).any() for s in sums)


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("count", [1, 255, 256, 257, 10_000, 1_000_003])
def test_each_rating_is_visited_exactly_once(count, execution):
    # With q = 1 and no regularisation, p grows by eta * (r - p) once.
    world = one_rating_each(count, 1, np.zeros((count, 1)), np.ones((count, 1)), (0, 0))
    users, *_ = visit(world, 1, execution, rates=(0.5, 0.0, 0.0))
    np.testing.assert_array_equal(live_rows(users, 1), np.full((count, 1), 0.5))


@pytest.mark.parametrize("codes", CODES)
def test_streaming_changes_nothing(codes):
    world = make_world(33, codes, count=3000)
    before = live_rows(world.users, 33), live_rows(world.items, 33)
    users, items = jitted(kernels.run_stream)(
        world.ratings, world.users, world.items, jnp.zeros(4, jnp.float32),
        jnp.zeros(2, jnp.uint32), factors=33, execution=Execution(),
    )  # fmt: skip
    np.testing.assert_array_equal(live_rows(users, 33), before[0])
    np.testing.assert_array_equal(live_rows(items, 33), before[1])


@pytest.mark.parametrize("factors", FACTORS)
def test_promotion_widens_exactly_and_only_the_groups_told(factors):
    world = make_world(factors, "float16", rows=(2300, 17))
    before, old = live_rows(world.users, factors), np.asarray(world.users.tables["float32"])
    codes = jnp.array([1, 0, 1, 0, 1], dtype=jnp.uint8)
    side = jitted(kernels.promote)(world.users, codes, factors=factors, execution=Execution())
    np.testing.assert_array_equal(live_rows(side, factors), before)
    half, table = half_rows(side), np.asarray(side.tables["float32"])
    np.testing.assert_array_equal(table[half], old[half])
    assert not table[~half][:, factors:].any()


@pytest.mark.parametrize("lookup", LOOKUPS)
@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("factors", FACTORS)
def test_predictions_are_the_products_of_the_rows(factors, codes, lookup):
    world = make_world(factors, codes, count=10_001)
    got = jitted(kernels.predict)(
        world.ratings.users, world.ratings.items, world.users, world.items,
        factors=factors, execution=Execution(lookup=lookup),
    )  # fmt: skip
    p, q = world.p.astype(np.float64), world.q.astype(np.float64)
    wanted = (p[world.user_rows] * q[world.item_rows]).sum(axis=1)
    np.testing.assert_allclose(np.asarray(got), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("codes", ["float32", "float16"])
@pytest.mark.parametrize("factors", [1, 7, 128, 300])
def test_check_finite_finds_the_group(factors, codes, bad):
    world = make_world(factors, codes, rows=(2300, 17))
    starts = np.asarray(world.users.starts)
    for row in (starts[2], starts[3] - 1):
        table = np.array(world.users.tables[codes])
        table[row, factors - 1] = bad
        tables = world.users.tables | {codes: put(table, factors)}
        check = jitted(kernels.check_finite)
        side = world.users._replace(tables=tables)
        finite = check(side, factors=factors, execution=Execution())
        assert finite.tolist() == [1, 1, 0, 1, 1]
    assert check(world.items, factors=factors, execution=Execution()).tolist() == [1] * 5


@pytest.mark.parametrize("method", ["fp32", "fp16", "mascot", "mascot-n2"])
def test_epochs_are_in_place_and_tell_the_host_nothing(method):
    settings = validate(
        TrainSettings, {"method": method, "factors": 40, "warmup": 0, "threshold": 0.01}
    )
    world = make_world(40, count=5000)
    starts = [np.asarray(side.starts) for side in (world.users, world.items)]
    state = initial_state(*starts, settings)

    def pointers():
        sides = state.users, state.items
        return [table.unsafe_buffer_pointer() for side in sides for table in side.tables.values()]

    before = pointers()
    with jax.transfer_guard_device_to_host("disallow_explicit"):
        for _ in range(3):
            state, _ = train_epoch(state, world.ratings, settings, Execution())
        jax.block_until_ready(state)
    assert pointers() == before


def test_a_score_is_the_cpus():
    def score():
        world = make_world(33, count=2_100_003)
        rule = ColdRule(3.0, 20, 15)
        held_out = HeldOut(world.user_rows, world.item_rows, world.values, rule)
        return held_out.score(world.users, world.items, 33, Execution(2), (-0.5, 0.5))

    with on_cpu():
        wanted = score()
    got = score()
    assert (got.rmse, got.mae) == pytest.approx((wanted.rmse, wanted.mae), rel=1e-6)


@pytest.fixture(scope="module")
def ml_1m(real_data):
    return read_ml_1m(real_data)


@pytest.mark.realdata
@pytest.mark.parametrize("method", ["fp32", "fp16", "mascot"])
def test_movielens_1m_is_learned_as_on_the_cpu(ml_1m, method):
    execution = Execution(len(os.sched_getaffinity(0)))

    def rmse():
        fold = make_fold(ml_1m)
        settings = [validate(TrainSettings, {"method": method, "seed": seed}) for seed in range(3)]
        return statistics.fmean(fold.train(s, execution) for s in settings)

    with on_cpu():
        wanted = rmse()
    assert rmse() == pytest.approx(wanted, abs=0.001)
