"""The CUDA kernels without a GPU: compiled for the host, against NumPy."""

import numpy as np
import pytest

from tests import cuda_reference
from tests.cuda_on_host import LOOKUPS, HostWorld, compile_kernels
from tests.reference import stream_key
from tests.worlds import make_side, make_world

FACTORS = [1, 7, 32, 33, 64, 100, 128, 200, 256]
MORE_THAN_REGISTERS_HOLD = 300
RATES = (0.05, 0.01, 0.015)
SEED, EPOCH = 3, 2
DITHER = stream_key(SEED, EPOCH, 3)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return compile_kernels(tmp_path_factory.mktemp("native"))


def diagonal_world(factors, codes, count, groups=5):
    """Every user and item occurs once: the order of the updates does not matter."""
    world = make_world(factors, codes, count=count, rows=(count, count), groups=groups)
    rng = np.random.default_rng(1)
    users, items = (rng.permutation(count).astype(np.uint32) for _ in range(2))
    return world._replace(user_rows=users, item_rows=items)


def expected_diagonal(host, world, store):
    """One update of every rating, each on its own."""
    p, q = world.p.copy(), world.q.copy()
    for i in range(len(world.values)):
        cuda_reference.epoch(
            world.user_rows[i : i + 1], world.item_rows[i : i + 1], world.values[i : i + 1],
            p, q, host.users.half, host.items.half, RATES, store,
        )  # fmt: skip
    return p, q


@pytest.mark.parametrize("stochastic", [False, True], ids=["nearest", "stochastic"])
@pytest.mark.parametrize("store", [False, True], ids=["add", "store"])
@pytest.mark.parametrize("codes", ["float32", "float16", "mixed"])
@pytest.mark.parametrize("factors", FACTORS)
def test_a_warp_does_what_numpy_does_bit_for_bit(library, factors, codes, store, stochastic):
    world = make_world(factors, codes, count=61)
    host = HostWorld(library, world, factors)
    host.update(RATES, SEED, EPOCH, store=store, stochastic=stochastic)
    p, q = world.p.copy(), world.q.copy()
    cuda_reference.epoch(
        world.user_rows, world.item_rows, world.values, p, q, host.users.half, host.items.half,
        RATES, store, DITHER if stochastic else None,
    )  # fmt: skip
    np.testing.assert_array_equal(host.users.live_rows(), p)
    np.testing.assert_array_equal(host.items.live_rows(), q)


def test_stochastic_changes_keep_their_mean_and_are_whole_ulps(library):
    # One row of the user is updated again and again by less than half an ulp of its 1.0.
    count, k = 20_000, 32
    rng = np.random.default_rng(0)
    own = np.ones((1, k), np.float32)
    other = np.full((count, k), 2.0**-6, np.float32)
    starts = np.array([0, 1]), np.array([0, count])
    world = make_world(k, "float16", count=count)._replace(
        users=make_side(own, starts[0], np.array([1])),
        items=make_side(other, starts[1], np.array([1])),
        user_rows=np.zeros(count, np.uint32),
        item_rows=rng.permutation(count).astype(np.uint32),
        values=np.full(count, 2.0, np.float32),
    )
    host = HostWorld(library, world, k, block_size=4096)
    host.update((2.0**-12, 0.0, 0.0), SEED, EPOCH, stochastic=True)
    row = host.users.live_rows()[0]
    # Each update is about 2^-12 * (2 - p.q) * 2^-6, a 170th of an ulp: to nearest, all are lost.
    expected, p = 0.0, 1.0
    for _ in range(count):
        change = 2.0**-12 * (2.0 - k * p * 2.0**-6) * 2.0**-6
        p, expected = p + change, expected + change
    ulp = 2.0**-10
    deviation = np.sqrt(expected * ulp / k)  # of the mean over the components
    assert abs(row.mean() - 1 - expected) < 4 * deviation
    np.testing.assert_array_equal(row % ulp, 0)
    host = HostWorld(library, world, k, block_size=4096)
    host.update((2.0**-12, 0.0, 0.0), SEED, EPOCH)
    np.testing.assert_array_equal(host.users.live_rows()[0], 1)


@pytest.mark.parametrize("lookup", LOOKUPS)
@pytest.mark.parametrize(
    ("count", "block_size", "grid"),
    [(5, 256, 1), (64, 64, 1), (65, 64, 2), (300, 256, 1), (700, 100, 3), (1500, 512, 2)],
)
def test_every_rating_is_visited_exactly_once(library, count, block_size, grid, lookup):
    world = diagonal_world(8, "mixed", count)
    host = HostWorld(library, world, 8, block_size, lookup)
    host.update(RATES, SEED, EPOCH, grid=grid)
    p, q = expected_diagonal(host, world, store=False)
    np.testing.assert_array_equal(host.users.live_rows(), p)
    np.testing.assert_array_equal(host.items.live_rows(), q)


@pytest.mark.parametrize("store", [False, True], ids=["add", "store"])
def test_rows_longer_than_registers_hold_are_updated_alike(library, store):
    world = diagonal_world(MORE_THAN_REGISTERS_HOLD, "mixed", 70)
    host = HostWorld(library, world, MORE_THAN_REGISTERS_HOLD)
    host.update(RATES, SEED, EPOCH, store=store)
    p, q = expected_diagonal(host, world, store)
    np.testing.assert_array_equal(host.users.live_rows(), p)
    np.testing.assert_array_equal(host.items.live_rows(), q)


@pytest.mark.parametrize("factors", [1, 33, 100, 128, MORE_THAN_REGISTERS_HOLD])
@pytest.mark.parametrize("codes", ["float32", "float16", "mixed"])
def test_rows_of_other_storages_and_padding_stay_untouched(library, factors, codes):
    world = make_world(factors, codes, count=64)
    host = HostWorld(library, world, factors)
    before = [{n: t.copy() for n, t in side.tables.items()} for side in (host.users, host.items)]
    host.update(RATES, SEED, EPOCH, sample_ratio=0.5)
    for side, old in zip((host.users, host.items), before, strict=True):
        for name, table in side.tables.items():
            live = side.half == (name == "float16")
            np.testing.assert_array_equal(table[~live], old[name][~live])
            np.testing.assert_array_equal(table[live, factors:], 0)


@pytest.mark.parametrize("held", [(0, 0), (2, 1), (5, 5)], ids=str)
@pytest.mark.parametrize("factors", [1, 33, 128])
def test_sums_are_those_of_the_sampled_ratings(library, factors, held):
    world = make_world(factors, "mixed", count=61)
    host = HostWorld(library, world, factors)
    sums = host.update(RATES, SEED, EPOCH, sample_ratio=0.4, held=held)
    details = cuda_reference.epoch(
        world.user_rows, world.item_rows, world.values, world.p, world.q, host.users.half,
        host.items.half, RATES, store=False,
    )  # fmt: skip
    for side, rows, found, own in (
        (0, world.user_rows, sums.users, host.users),
        (1, world.item_rows, sums.items, host.items),
    ):
        expected = cuda_reference.group_sums(
            details, side, rows, own.starts, own.half, RATES, SEED, EPOCH, 0.4
        )
        assert 10 < expected[:, factors + 1].sum() < 45
        np.testing.assert_array_equal(found[:, factors + 1], expected[:, factors + 1])
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)


def test_blocks_add_their_sums_up(library):
    world = diagonal_world(40, "mixed", 900)
    one = HostWorld(library, world, 40).update(RATES, SEED, EPOCH, 0.5, held=(5, 5), grid=1)
    three = HostWorld(library, world, 40).update(RATES, SEED, EPOCH, 0.5, held=(3, 0), grid=3)
    np.testing.assert_allclose(three.users, one.users, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(three.items, one.items, rtol=1e-4, atol=1e-5)
    assert one.users[:, 41].sum() == pytest.approx(450, abs=60)


def test_measuring_does_not_change_the_factors(library):
    world = make_world(64, "mixed", count=61)
    plain, measured = HostWorld(library, world, 64), HostWorld(library, world, 64)
    plain.update(RATES, SEED, EPOCH)
    measured.update(RATES, SEED, EPOCH, sample_ratio=0.5, held=(5, 5))
    np.testing.assert_array_equal(plain.users.live_rows(), measured.users.live_rows())
    np.testing.assert_array_equal(plain.items.live_rows(), measured.items.live_rows())


def test_an_epoch_that_does_not_measure_has_no_sums(library):
    world = make_world(16, "mixed", count=61)
    sums = HostWorld(library, world, 16).update(RATES, SEED, EPOCH, held=(5, 5))
    assert not sums.users.any()
    assert not sums.items.any()


@pytest.mark.parametrize("lookup", LOOKUPS)
@pytest.mark.parametrize("groups", [1, 5, 150, 1500])
def test_every_lookup_finds_every_rows_group(library, lookup, groups):
    rows = 2500
    rng = np.random.default_rng(groups)
    inner = np.sort(rng.choice(rows - 1, groups - 1, replace=False)) + 1
    starts = np.concatenate([[0], inner, [rows]])
    codes = rng.integers(0, 2, groups).astype(np.uint8)
    # A factor that tells the row: a prediction from the wrong storage's table would be a canary's.
    factors = np.arange(1, rows + 1, dtype=np.float32)[:, None] / 4
    factors[np.repeat(codes == 1, np.diff(starts))] %= 512
    ones = np.ones((1, 1), dtype=np.float32)
    world = make_world(1, "float32", count=rows)._replace(
        users=make_side(factors, starts, codes),
        items=make_side(ones, np.array([0, 1]), np.zeros(1, dtype=np.uint8)),
        user_rows=rng.permutation(rows).astype(np.uint32),
        item_rows=np.zeros(rows, dtype=np.uint32),
    )
    host = HostWorld(library, world, 1, lookup=lookup)
    np.testing.assert_array_equal(host.predict(), host.users.live_rows()[world.user_rows, 0])


@pytest.mark.parametrize("factors", [*FACTORS, MORE_THAN_REGISTERS_HOLD])
def test_predictions_are_dot_products(library, factors):
    world = make_world(factors, "mixed", count=200)
    predictions = HostWorld(library, world, factors).predict()
    expected = np.einsum("ik,ik->i", world.p[world.user_rows], world.q[world.item_rows])
    np.testing.assert_allclose(predictions, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("factors", [1, 100, 128])
def test_streaming_leaves_everything_as_it_was(library, factors):
    world = make_world(factors, "mixed", count=200)
    host = HostWorld(library, world, factors)
    before = host.users.live_rows(), host.items.live_rows()
    host.stream(SEED, EPOCH)
    np.testing.assert_array_equal(host.users.live_rows(), before[0])
    np.testing.assert_array_equal(host.items.live_rows(), before[1])


@pytest.mark.parametrize("factors", [1, 100, 300])
def test_promotion_widens_exactly_the_groups_that_switch(library, factors):
    world = make_world(factors, "mixed", count=10)
    side = HostWorld(library, world, factors).users
    single, half = side.tables["float32"], side.tables["float16"]
    before = single.copy()
    new = side.codes.copy()
    new[1] = 0  # float16 until now
    side.promote(new)
    rows = slice(side.starts[1], side.starts[2])
    np.testing.assert_array_equal(single[rows, :factors], half[rows, :factors])
    before[rows] = single[rows]
    np.testing.assert_array_equal(single, before)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("group", [0, 3])
def test_groups_with_a_factor_that_is_not_finite_are_found(library, group, bad):
    world = make_world(100, "mixed", count=10)
    side = HostWorld(library, world, 100).users
    assert side.check_finite().all()
    name = "float16" if side.codes[group] else "float32"
    side.tables[name][side.starts[group], 99] = bad
    finite = side.check_finite()
    assert finite[group] == 0
    assert finite.sum() == len(side.codes) - 1
