"""The CUDA kernels without a GPU: compiled for the host, against NumPy."""

import numpy as np
import pytest

from mascot_jax.tables.storage import STORAGES
from tests.support import cuda_reference, reference
from tests.support.cuda_on_host import (
    LOOKUPS,
    HostWorld,
    assert_factors,
    diagonal_world,
    in_runs,
    make_world,
)
from tests.support.reference import stream_key
from tests.support.worlds import CODES, make_table

FACTORS = [1, 7, 32, 33, 64, 100, 128, 200, 256]
MOST_HELD, MORE_THAN_REGISTERS_HOLD = 256, 300
RATES = (0.05, 0.01, 0.015)
SEED, EPOCH = 3, 2
DITHER = stream_key(SEED, EPOCH, 3)
INT8 = [name for name in STORAGES if name.startswith("int8")]


def codes_of(host):
    return host.users.row_codes, host.items.row_codes


def run_reference(host, world, store=False, dither=None):
    """Factors and details after an epoch of one warp in NumPy."""
    p, q = world.p.copy(), world.q.copy()
    details = cuda_reference.epoch(
        world.user_rows, world.item_rows, world.values, p, q, codes_of(host), RATES, store, dither,
        host.users.block,
    )  # fmt: skip
    return p, q, details


def expected_diagonal(host, world, store):
    """One update of every rating, each on its own."""
    p, q = world.p.copy(), world.q.copy()
    for i in range(len(world.values)):
        cuda_reference.epoch(
            world.user_rows[i : i + 1], world.item_rows[i : i + 1], world.values[i : i + 1],
            p, q, codes_of(host), RATES, store, block=host.users.block,
        )  # fmt: skip
    return p, q


@pytest.mark.parametrize("stochastic", [False, True], ids=["nearest", "stochastic"])
@pytest.mark.parametrize("store", [False, True], ids=["add", "store"])
@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("factors", FACTORS)
def test_a_warp_does_what_numpy_does_bit_for_bit(library, factors, codes, store, stochastic):
    world = make_world(factors, codes, count=61)
    host = HostWorld(library, world, factors)
    host.update(RATES, SEED, EPOCH, store=store, stochastic=stochastic)
    assert_factors(host, *run_reference(host, world, store, DITHER if stochastic else None)[:2])


@pytest.mark.parametrize("stochastic", [False, True], ids=["nearest", "stochastic"])
@pytest.mark.parametrize("store", [False, True], ids=["add", "store"])
@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("lengths", [[64], [8], [3, 8, 1, 8, 8]], ids=str)
def test_a_run_reads_and_writes_its_users_row_once(library, lengths, codes, store, stochastic):
    world = in_runs(make_world(100, codes, count=64), lengths)
    host = HostWorld(library, world, 100)
    host.update(RATES, SEED, EPOCH, store=store, stochastic=stochastic)
    assert_factors(host, *run_reference(host, world, store, DITHER if stochastic else None)[:2])


@pytest.mark.parametrize("stochastic", [False, True], ids=["nearest", "stochastic"])
@pytest.mark.parametrize("store", [False, True], ids=["add", "store"])
@pytest.mark.parametrize("codes", ["float32", "float16", "mixed"])
@pytest.mark.parametrize("factors", [33, 100, 256, MORE_THAN_REGISTERS_HOLD])
def test_kernels_for_the_storages_that_there_are_compute_the_same(
    library, factors, codes, store, stochastic
):
    world = in_runs(make_world(factors, codes, count=61), [1, 4, 2])  # one warp
    if factors > MOST_HELD:
        world = world.only("float32", "float16")
    any_storage, bare = (HostWorld(library, w, factors) for w in (world, world.bare()))
    for sample_ratio in (0.0, 0.4):
        sums = [
            host.update(RATES, SEED, EPOCH, sample_ratio, store=store, stochastic=stochastic)
            for host in (any_storage, bare)
        ]
        for side in range(2):
            np.testing.assert_array_equal(sums[0][side], sums[1][side])
    assert_factors(bare, any_storage.users.live_rows(), any_storage.items.live_rows())
    bare.stream(SEED, EPOCH)
    assert_factors(bare, any_storage.users.live_rows(), any_storage.items.live_rows())


@pytest.mark.parametrize("stochastic", [False, True], ids=["nearest", "stochastic"])
@pytest.mark.parametrize("codes", ["int8", "all"])
@pytest.mark.parametrize("int8", INT8)
@pytest.mark.parametrize("factors", [7, 33, 64, 100, 128, 256])
def test_blocks_of_int8_are_those_of_the_storage(library, factors, int8, codes, stochastic):
    world = in_runs(make_world(factors, codes, count=64, int8=int8), [1, 5, 2])
    host = HostWorld(library, world, factors)
    host.update(RATES, SEED, EPOCH, stochastic=stochastic)
    assert_factors(host, *run_reference(host, world, dither=DITHER if stochastic else None)[:2])


@pytest.mark.parametrize("codes", ["float32", "float16", "int8"])
@pytest.mark.parametrize("length", [1, 8])
def test_without_collisions_changes_added_in_runs_are_the_cpus_stores(library, codes, length):
    # Only rounding differs: in float32 that of the dot product and of the sum.
    world = diagonal_world(128, codes, 64)
    world = world._replace(user_rows=np.repeat(world.user_rows[::length], length))
    host = HostWorld(library, world, 128)
    host.update(RATES, SEED, EPOCH)
    p, q = world.p.copy(), world.q.copy()
    reference.epoch(
        world.user_rows, world.item_rows, world.values, p, q, codes_of(host), RATES,
        [list(range(64))],
    )  # fmt: skip
    step = {"float32": 1e-6, "float16": 2.0**-10, "int8": 0.02}[codes]
    np.testing.assert_allclose(host.users.live_rows(), p, atol=step)
    np.testing.assert_allclose(host.items.live_rows(), q, atol=step)


def test_stochastic_changes_keep_their_mean_and_are_whole_ulps(library):
    # One row of the user is updated again and again by less than half an ulp of its 1.0.
    count, k = 20_000, 32
    rng = np.random.default_rng(0)
    own = np.ones((1, k), np.float32)
    other = np.full((count, k), 2.0**-6, np.float32)
    starts = np.array([0, 1]), np.array([0, count])
    world = make_world(k, "float16", count=count)._replace(
        users=make_table(own, starts[0], np.array([1])),
        items=make_table(other, starts[1], np.array([1])),
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
    world = diagonal_world(8, "all", count)
    host = HostWorld(library, world, 8, block_size, lookup)
    host.update(RATES, SEED, EPOCH, grid=grid)
    assert_factors(host, *expected_diagonal(host, world, store=False))


@pytest.mark.parametrize("store", [False, True], ids=["add", "store"])
def test_rows_longer_than_registers_hold_are_updated_alike(library, store):
    world = diagonal_world(MORE_THAN_REGISTERS_HOLD, "mixed", 70)
    host = HostWorld(library, world, MORE_THAN_REGISTERS_HOLD)
    host.update(RATES, SEED, EPOCH, store=store)
    assert_factors(host, *expected_diagonal(host, world, store))


@pytest.mark.parametrize(
    ("factors", "codes"),
    [(k, c) for k in (1, 33, 100, 128) for c in CODES] + [(MORE_THAN_REGISTERS_HOLD, "mixed")],
)
def test_rows_of_other_storages_and_padding_stay_untouched(library, factors, codes):
    world = make_world(factors, codes, count=64)
    host = HostWorld(library, world, factors)
    before = [{n: t.copy() for n, t in side.tables.items()} for side in (host.users, host.items)]
    host.update(RATES, SEED, EPOCH, sample_ratio=0.5)
    for side, old in zip((host.users, host.items), before, strict=True):
        for code, storage in side.storages.items():
            table, live = side.tables[storage.name], side.row_codes == code
            np.testing.assert_array_equal(table[~live], old[storage.name][~live])
            padded = -(-factors // 16) * 16
            np.testing.assert_array_equal(table[live, factors:padded], 0)
            np.testing.assert_array_equal(table[live, storage.elements(padded) :], 0)


@pytest.mark.parametrize("stochastic", [False, True], ids=["nearest", "stochastic"])
@pytest.mark.parametrize("held", [(0, 0), (2, 1), (5, 5)], ids=str)
@pytest.mark.parametrize(
    ("factors", "codes"), [(1, "mixed"), (33, "all"), (128, "all"), (256, "int8")]
)
def test_sums_are_those_of_the_sampled_ratings(library, factors, codes, held, stochastic):
    world = in_runs(make_world(factors, codes, count=61), [1, 4])
    host = HostWorld(library, world, factors)
    sums = host.update(RATES, SEED, EPOCH, sample_ratio=0.4, held=held, stochastic=stochastic)
    dither = DITHER if stochastic else None
    details = run_reference(host, world, dither=dither)[2]
    for side, rows, found, own in (
        (0, world.user_rows, sums.users, host.users),
        (1, world.item_rows, sums.items, host.items),
    ):
        expected = cuda_reference.group_sums(
            details, side, rows, own.starts, own.row_codes, RATES, SEED, EPOCH, 0.4, dither
        )
        assert 10 < expected[:, factors + 1].sum() < 45
        np.testing.assert_array_equal(found[:, factors + 1], expected[:, factors + 1])
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)


def test_blocks_add_their_sums_up(library):
    world = diagonal_world(40, "all", 900)
    one = HostWorld(library, world, 40).update(RATES, SEED, EPOCH, 0.5, held=(5, 5), grid=1)
    three = HostWorld(library, world, 40).update(RATES, SEED, EPOCH, 0.5, held=(3, 0), grid=3)
    np.testing.assert_allclose(three.users, one.users, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(three.items, one.items, rtol=1e-4, atol=1e-5)
    assert one.users[:, 41].sum() == pytest.approx(450, abs=60)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_in_which_warps_run_does_not_matter(library, seed):
    world = in_runs(make_world(33, "all", count=61), [1, 4])  # one of them has the ratings
    fixed, random = HostWorld(library, world, 33), HostWorld(library, world, 33)
    wanted = fixed.update(RATES, SEED, EPOCH, 0.4, held=(5, 5))
    library.mascot_set_schedule(seed)
    try:
        found = random.update(RATES, SEED, EPOCH, 0.4, held=(5, 5))
    finally:
        library.mascot_set_schedule(0)
    assert_factors(random, fixed.users.live_rows(), fixed.items.live_rows())
    np.testing.assert_array_equal(found.users, wanted.users)
    np.testing.assert_array_equal(found.items, wanted.items)


@pytest.mark.parametrize("seed", [1, 2])
def test_no_warp_begins_before_its_block_is_ready(library, seed):
    world = diagonal_world(8, "all", 512)  # a piece for each warp: any order gives the same
    host = HostWorld(library, world, 8, block_size=512)
    library.mascot_set_schedule(seed)
    try:
        host.update(RATES, SEED, EPOCH)
    finally:
        library.mascot_set_schedule(0)
    assert_factors(host, *expected_diagonal(host, world, store=False))


def test_measuring_does_not_change_the_factors(library):
    world = make_world(64, "all", count=61)
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
    codes = rng.integers(0, 3, groups).astype(np.uint8)
    # A factor that tells the row: a prediction from the wrong storage's table would be a canary's.
    factors = np.arange(1, rows + 1, dtype=np.float32)[:, None] / 4
    factors[np.repeat(codes == 1, np.diff(starts))] %= 512
    ones = np.ones((1, 1), dtype=np.float32)
    world = make_world(1, "float32", count=rows)._replace(
        users=make_table(factors, starts, codes),
        items=make_table(ones, np.array([0, 1]), np.zeros(1, dtype=np.uint8)),
        user_rows=rng.permutation(rows).astype(np.uint32),
        item_rows=np.zeros(rows, dtype=np.uint32),
    )
    host = HostWorld(library, world, 1, lookup=lookup)
    np.testing.assert_array_equal(host.predict(), host.users.live_rows()[world.user_rows, 0])


@pytest.mark.parametrize("factors", [*FACTORS, MORE_THAN_REGISTERS_HOLD])
def test_predictions_are_dot_products(library, factors):
    world = in_runs(make_world(factors, "all", count=200), [1, 7])
    predictions = HostWorld(library, world, factors).predict()
    expected = np.einsum("ik,ik->i", world.p[world.user_rows], world.q[world.item_rows])
    np.testing.assert_allclose(predictions, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("factors", [1, 100, 128, MORE_THAN_REGISTERS_HOLD])
def test_streaming_leaves_everything_as_it_was(library, factors):
    world = in_runs(make_world(factors, "all", count=200), [1, 7])
    host = HostWorld(library, world, factors)
    before = host.users.live_rows(), host.items.live_rows()
    host.stream(SEED, EPOCH)
    np.testing.assert_array_equal(host.users.live_rows(), before[0])
    np.testing.assert_array_equal(host.items.live_rows(), before[1])


@pytest.mark.parametrize("factors", [1, 100, 300])
def test_promotion_is_of_the_groups_that_switch_only(library, factors):
    world = make_world(factors, "all", count=10)
    side = HostWorld(library, world, factors).users
    assert side.codes.tolist() == [2, 0, 1, 2, 0]
    rows, tables = side.live_rows(), {n: t.copy() for n, t in side.tables.items()}
    groups = [slice(*side.starts[g : g + 2]) for g in range(5)]
    side.promote([1, 0, 0, 0, 0])
    half, single = side.tables["float16"], side.tables["float32"]
    np.testing.assert_array_equal(half[groups[0], :factors], rows[groups[0]].astype(np.float16))
    np.testing.assert_array_equal(single[groups[2], :factors], rows[groups[2]])
    np.testing.assert_array_equal(single[groups[3], :factors], rows[groups[3]])
    for table, promoted in ((half, groups[:1]), (single, groups[2:4])):
        for group in promoted:
            np.testing.assert_array_equal(table[group, factors:], 0)
    tables["float16"][groups[0]] = half[groups[0]]
    for group in groups[2:4]:
        tables["float32"][group] = single[group]
    for name, table in side.tables.items():
        np.testing.assert_array_equal(table, tables[name])


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("group", [0, 1, 2])
def test_groups_with_a_factor_that_is_not_finite_are_found(library, group, bad):
    world = make_world(100, "all", count=10)
    side = HostWorld(library, world, 100).users
    assert side.check_finite().all()
    row, code = side.starts[group], side.codes[group]
    table = side.tables[side.storages[code].name]
    if code == 2:  # of int8 the last scale, behind the components
        scales = table[row, 112 : 112 + 16].view(np.float32)
        scales[-1] = bad
    else:
        table[row, 99] = bad
    finite = side.check_finite()
    assert finite[group] == 0
    assert finite.sum() == len(side.codes) - 1
