"""Updates of the CUDA kernels that end at the first component near zero, on the host."""

import numpy as np
import pytest

from tests.support import cuda_reference, reference
from tests.support.cuda_on_host import (
    HostWorld,
    assert_factors,
    diagonal_world,
    in_runs,
    make_world,
)
from tests.support.reference import stream_key

END = (0.02, 0.03)
"""Of rows whose components deviate by 0.3: some eight components are visited."""
RARELY = (0.002, 0.001)
"""Some hundred are."""
NEVER = (1e-30, 1e-30)
RATES = (0.05, 0.01, 0.015)
SEED, EPOCH = 3, 2
DITHER = stream_key(SEED, EPOCH, 3)
SIZES = [
    (33, END),
    (128, RARELY),
    *(pytest.param(*size, marks=pytest.mark.hardening) for size in [(1, END), (300, RARELY)]),
]
UNSCALED = ["float32", "float16", "mixed"]

WAYS = ["add-nearest", "add-stochastic", "store-stochastic"]
roundings = pytest.mark.parametrize("stochastic", [False, True], ids=["nearest", "stochastic"])


def bare_world(factors, codes, **options):
    """A world without tables of int8, whose rows no update ends early of."""
    return make_world(factors, codes, **options).only("float32", "float16")


def expected(host, world, end, store=False, dither=None):
    """Factors and details after an epoch of one warp in NumPy."""
    p, q = world.p.copy(), world.q.copy()
    codes = host.users.row_codes, host.items.row_codes
    columns = world.user_rows, world.item_rows, world.values
    details = cuda_reference.epoch_to_stop(*columns, p, q, codes, RATES, end, store, dither)
    return p, q, details


@pytest.mark.parametrize(
    ("store", "stochastic"), [(False, False), (False, True), (True, True)], ids=WAYS
)
@pytest.mark.parametrize("codes", UNSCALED)
@pytest.mark.parametrize(("factors", "end"), SIZES)
def test_a_warp_does_what_numpy_does_bit_for_bit(library, factors, end, codes, store, stochastic):
    world = in_runs(bare_world(factors, codes, count=61), [1, 4, 2])
    host = HostWorld(library, world, factors)
    host.update(RATES, SEED, EPOCH, store=store, stochastic=stochastic, end=end)
    p, q, _ = expected(host, world, end, store, DITHER if stochastic else None)
    assert_factors(host, p, q)
    if factors > 1:
        kept = (p == world.p).mean()
        assert 0.1 < kept < 0.99  # some of the components, not all, stay as they were


@pytest.mark.parametrize("codes", UNSCALED)
def test_kernels_for_the_storages_that_there_are_compute_the_same(library, codes):
    world = bare_world(40, codes, count=61)
    both, bare = HostWorld(library, world, 40), HostWorld(library, world.bare(), 40)
    for host in (both, bare):
        host.update(RATES, SEED, EPOCH, stochastic=True, end=END)
    assert_factors(bare, both.users.live_rows(), both.items.live_rows())


@roundings
@pytest.mark.parametrize("end", [(0, 0), NEVER], ids=["zero", "never"])
def test_thresholds_that_nothing_is_below_change_no_bit(library, end, stochastic):
    world = diagonal_world(100, "mixed", 61).only("float32", "float16")
    plain, cut = HostWorld(library, world, 100), HostWorld(library, world, 100)
    for ratio in (0.0, 0.5):
        sums = plain.update(RATES, SEED, EPOCH, ratio, (5, 5), stochastic=stochastic)
        same = cut.update(RATES, SEED, EPOCH, ratio, (5, 5), stochastic=stochastic, end=end)
        np.testing.assert_array_equal(sums.users, same.users)
        np.testing.assert_array_equal(sums.items, same.items)
    assert_factors(cut, plain.users.live_rows(), plain.items.live_rows())


@roundings
@pytest.mark.parametrize("held", [(0, 0), (5, 5)], ids=str)
def test_sums_are_of_what_is_updated(library, held, stochastic):
    world = bare_world(100, "mixed", count=61)
    host = HostWorld(library, world, 100)
    ratio, dither = 0.4, DITHER if stochastic else None
    sums = host.update(RATES, SEED, EPOCH, ratio, held, stochastic=stochastic, end=END)
    p, q, details = expected(host, world, END, dither=dither)
    assert_factors(host, p, q)
    for side, rows, found, own in (
        (0, world.user_rows, sums.users, host.users),
        (1, world.item_rows, sums.items, host.items),
    ):
        wanted = cuda_reference.group_sums(
            details, side, rows, own.starts, own.row_codes, RATES, SEED, EPOCH, ratio, dither
        )
        assert 10 < wanted[:, 101].sum() < 45
        np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=1e-6)
        assert not found[:, 60:100].any()  # no update comes so far


def test_blocks_share_the_ratings(library):
    world = diagonal_world(40, "mixed", 700).only("float32", "float16")
    one, three = HostWorld(library, world, 40), HostWorld(library, world, 40)
    one.update(RATES, SEED, EPOCH, end=END)
    three.update(RATES, SEED, EPOCH, end=END, grid=3)
    assert_factors(three, one.users.live_rows(), one.items.live_rows())


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_in_which_warps_run_does_not_matter(library, seed):
    world = diagonal_world(33, "mixed", 512).only("float32", "float16")
    fixed, random = (HostWorld(library, world, 33, block_size=512) for _ in range(2))
    fixed.update(RATES, SEED, EPOCH, 0.4, end=END)
    library.mascot_set_schedule(seed)
    try:
        random.update(RATES, SEED, EPOCH, 0.4, end=END)
    finally:
        library.mascot_set_schedule(0)
    assert_factors(random, fixed.users.live_rows(), fixed.items.live_rows())


def test_rows_of_other_storages_and_padding_stay_untouched(library):
    world = bare_world(33, "mixed", count=64)
    host = HostWorld(library, world, 33)
    before = [{n: t.copy() for n, t in side.tables.items()} for side in (host.users, host.items)]
    host.update(RATES, SEED, EPOCH, 0.5, end=RARELY)
    for side, old in zip((host.users, host.items), before, strict=True):
        for code, storage in side.storages.items():
            table, live = side.tables[storage.name], side.row_codes == code
            np.testing.assert_array_equal(table[~live], old[storage.name][~live])
            np.testing.assert_array_equal(table[live, 33:], old[storage.name][live, 33:])


@pytest.mark.parametrize("codes", ["all", "int8", "float16"])
@pytest.mark.parametrize(("factors", "end"), [(1, END), (33, END), (128, RARELY), (300, END)])
def test_predictions_and_stops_are_numpys(library, factors, end, codes):
    world = in_runs(make_world(factors, codes, count=200), [1, 7])
    host = HostWorld(library, world, factors)
    predictions, stops = host.predict_to_stop(end)
    pairs = list(zip(world.p[world.user_rows], world.q[world.item_rows], strict=True))
    wanted = np.array([reference.stop(x, y, end) for x, y in pairs])
    np.testing.assert_array_equal(stops, wanted)
    assert len(set(wanted)) > min(factors, 10)
    cut = [
        x[:stop].astype(np.float64) @ y[:stop] for (x, y), stop in zip(pairs, wanted, strict=True)
    ]
    np.testing.assert_allclose(predictions, cut, rtol=1e-4, atol=1e-5)
