"""The CUDA kernel of interactions without a GPU: compiled for the host, against NumPy."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import make_ratings
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.tables.storage import STORAGES
from mascot_jax.training.lists import HeldOutLists
from mascot_jax.training.loop import begin, train_state
from mascot_jax.training.schedule import learning_rates
from tests.support import cuda_reference, interactions_reference
from tests.support.cuda_interactions import (
    HostInteractions,
    case_of,
    compile_interactions,
    make_case,
)
from tests.support.cuda_on_host import LOOKUPS, assert_factors, call
from tests.support.interactions import ITEMS, USERS, planted, split
from tests.support.reference import stream_key
from tests.support.worlds import CODES, prepared

RATES = (0.05, 0.01, 0.015)
SEED, EPOCH = 3, 2
DITHER = stream_key(SEED, EPOCH, 3)
ALL_LENGTHS = [1, 33, 64, 100, 128, 200, 256]
MORE_THAN_REGISTERS_HOLD = 300


@pytest.fixture(scope="module")
def some(tmp_path_factory):
    return compile_interactions(tmp_path_factory.mktemp("native"), every_kernel=False)


@pytest.fixture(scope="module")
def every(tmp_path_factory):
    return compile_interactions(tmp_path_factory.mktemp("native"), every_kernel=True)


def assert_a_warp_is_numpy(library, case, factors, *, store, stochastic, **options):
    host = HostInteractions(library, case, factors, **options)
    p, q, details = host.expected(case, RATES, SEED, EPOCH, store, DITHER if stochastic else None)
    assert {number < len(case.data.users) for number in details} == {True, False}
    host.interact(RATES, SEED, EPOCH, store=store, stochastic=stochastic)
    assert_factors(host, p, q)


@pytest.mark.parametrize(
    ("codes", "store", "stochastic", "ranges", "loss", "at_once"),
    [
        ("float32", False, False, (3, 5), "squared", 32),
        ("float16", False, True, (3, 5), "logistic", 8),
        ("float16", True, True, (1, 1), "squared", 4),
        ("mixed", True, False, (2, 4), "logistic", 16),
        ("all", False, True, (4, 3), "squared", 4),
        ("int8", True, True, (2, 2), "squared", 8),
    ],
)
def test_a_warp_does_what_numpy_does_bit_for_bit(
    some, codes, store, stochastic, ranges, loss, at_once
):
    weights = [1, 4, 2] * 5 + [0, 0] if loss == "logistic" else None
    case = make_case(33, codes, ranges=ranges, loss=loss, weights=weights)
    case = case.bare() if codes == "float16" else case
    assert_a_warp_is_numpy(
        some, case, 33, store=store, stochastic=stochastic, at_once=at_once
    )  # fmt: skip


@pytest.mark.hardening
@pytest.mark.parametrize("stochastic", [False, True], ids=["nearest", "stochastic"])
@pytest.mark.parametrize("store", [False, True], ids=["add", "store"])
@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("factors", ALL_LENGTHS)
def test_a_warp_does_what_numpy_does_in_every_kernel(every, factors, codes, store, stochastic):
    loss = "logistic" if store else "squared"
    case = make_case(factors, codes, ranges=(3, 5), loss=loss).bare()
    assert_a_warp_is_numpy(every, case, factors, store=store, stochastic=stochastic, at_once=8)


@pytest.mark.hardening
@pytest.mark.parametrize("int8", [name for name in STORAGES if name.startswith("int8")])
@pytest.mark.parametrize("factors", [33, 128, 256])
def test_blocks_of_int8_are_those_of_the_storage(every, factors, int8):
    case = make_case(factors, "all", ranges=(2, 2), int8=int8)
    assert_a_warp_is_numpy(every, case, factors, store=False, stochastic=True)


def visits_of(case):
    """Every user and item that an epoch visits, by the reference."""
    data, key = case.data, stream_key(SEED, EPOCH, 8)
    found = []
    for item_range, (low, high) in enumerate(zip(data.starts[1], data.starts[1][1:], strict=False)):
        for user in range(len(data.user_draws) if low < high else 0):
            own = (data.users == user) & (data.items >= low) & (data.items < high)
            numbers = np.flatnonzero(own).tolist()
            visits = interactions_reference.visits(data, key, user, item_range, numbers)
            found += [(user, visit.item) for visit in visits]
    return np.array(found).T


def assert_counts_are_those_of_the_visits(library, factors, codes, lookup, grid, at_once, **case):
    made = make_case(factors, codes, ranges=(4, 7), share=0.1, **case)
    if factors == MORE_THAN_REGISTERS_HOLD:
        made = made._replace(world=made.world.only("float32", "float16"))
    host = HostInteractions(library, made, factors, lookup, at_once)
    sums = host.interact(RATES, SEED, EPOCH, sample_ratio=1.0, held=(2, 1), grid=grid, threads=256)
    for found, rows, side in zip(sums, visits_of(made), (host.users, host.items), strict=True):
        wanted = np.histogram(rows, side.starts)[0]
        np.testing.assert_array_equal(found[:, factors + 1], wanted)
    assert np.isfinite(host.users.live_rows()).all()
    assert np.isfinite(host.items.live_rows()).all()


@pytest.mark.parametrize(
    ("lookup", "grid", "at_once"), [("direct", 2, 4), ("search", 1, 8), ("per-row", 3, 32)]
)
def test_warps_together_make_the_cpus_visits(some, lookup, grid, at_once):
    assert_counts_are_those_of_the_visits(some, 33, "all", lookup, grid, at_once)


@pytest.mark.hardening
@pytest.mark.parametrize("lookup", LOOKUPS)
@pytest.mark.parametrize("factors", [128, MORE_THAN_REGISTERS_HOLD])
def test_warps_together_make_the_cpus_visits_in_long_rows(every, factors, lookup):
    assert_counts_are_those_of_the_visits(every, factors, "mixed", lookup, 2, 8, rows=(41, 30))


@pytest.mark.parametrize("stochastic", [False, True], ids=["nearest", "stochastic"])
def test_sums_are_those_of_the_sampled_visits(some, stochastic):
    case = make_case(33, "all", ranges=(2, 3))
    host = HostInteractions(some, case, 33, at_once=8)
    dither = DITHER if stochastic else None
    details = host.expected(case, RATES, SEED, EPOCH, dither=dither)[2]
    sums = host.interact(RATES, SEED, EPOCH, sample_ratio=0.4, held=(2, 1), stochastic=stochastic)
    rows = [{n: (user, item)[side] for n, (user, item, *_) in details.items()} for side in (0, 1)]
    computed = {number: found[2:] for number, found in details.items()}
    for side, (found, own) in enumerate(zip(sums, (host.users, host.items), strict=True)):
        expected = cuda_reference.group_sums(
            computed, side, rows[side], own.starts, own.row_codes, RATES, SEED, EPOCH, 0.4, dither
        )
        np.testing.assert_array_equal(found[:, 34], expected[:, 34])
        assert expected[:, 34].sum() > 20
        np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)


def test_rows_of_other_storages_and_padding_stay_untouched(some):
    case = make_case(33, "all", ranges=(2, 3))
    host = HostInteractions(some, case, 33)
    before = [{n: t.copy() for n, t in side.tables.items()} for side in (host.users, host.items)]
    host.interact(RATES, SEED, EPOCH, sample_ratio=0.5)
    for side, old in zip((host.users, host.items), before, strict=True):
        for code, storage in side.storages.items():
            table, live = side.tables[storage.name], side.row_codes == code
            np.testing.assert_array_equal(table[~live], old[storage.name][~live])
            np.testing.assert_array_equal(table[live, 33:48], 0)
            np.testing.assert_array_equal(table[live, storage.elements(48) :], 0)


@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_in_which_warps_run_does_not_matter(some, seed):
    case = make_case(33, "all")  # one piece: one warp has it
    fixed, random = (HostInteractions(some, case, 33) for _ in range(2))
    wanted = fixed.interact(RATES, SEED, EPOCH, 0.4, held=(5, 5), threads=256)
    some.mascot_set_schedule(seed)
    try:
        found = random.interact(RATES, SEED, EPOCH, 0.4, held=(5, 5), threads=256)
    finally:
        some.mascot_set_schedule(0)
    assert_factors(random, fixed.users.live_rows(), fixed.items.live_rows())
    np.testing.assert_array_equal(found.users, wanted.users)
    np.testing.assert_array_equal(found.items, wanted.items)


@pytest.mark.parametrize("threads", [32, 256, 1024])
def test_weights_are_added_up_before_each_item(some, threads):
    weights = np.random.default_rng(0).integers(0, 1 << 20, 17)
    case = make_case(33, "all", ranges=(1, 7), weights=weights)
    host = HostInteractions(some, case, 33)
    call(some.mascot_ranges, host.work, threads)
    np.testing.assert_array_equal(host.items_before, np.append(0, np.cumsum(weights)))


@pytest.mark.parametrize(
    ("users", "ranges", "at_once"), [(1, 1, 4), (9, 64, 4), (100, 3, 4), (130, 7, 32)]
)
def test_a_sweep_takes_each_user_once_and_ranges_alike(some, users, ranges, at_once):
    pieces = -(-users // at_once)
    found = np.empty((pieces * ranges + 1, 3), np.int64)
    call(some.mascot_sweeps, users, ranges, at_once, 5, 7, len(found), found)
    assert found[-1].tolist() == [0, 0, 0]  # there are no more
    assert len(np.unique(found[:-1, :2], axis=0)) == pieces * ranges
    for sweep in found[:-1].reshape(ranges, pieces, 3):
        assert sorted(sweep[:, 0].tolist()) == list(range(0, users, at_once))
        assert sweep[:, 2].sum() == users
        met = np.bincount(sweep[:, 1], minlength=ranges)
        assert met.max() - met.min() <= 1 + (pieces > ranges)


@pytest.mark.hardening
@pytest.mark.parametrize("method", ["fp32", "fp16"])
def test_many_tiles_at_once_learn_lists_as_good_as_the_cpus(every, method):
    train, test = split(planted())
    starts = np.array([0, USERS]), np.array([0, ITEMS])
    ratings = make_ratings(*train.T, np.ones(len(train)), USERS, ITEMS)
    settings = {"objective": "interactions", "method": method, "factors": 16, "epochs": 60}
    prepared_here = prepared(ratings, *starts, validate(TrainSettings, settings))
    plan = prepared_here.plan
    state = begin(prepared_here).state
    case = case_of(prepared_here.ratings, state.users, state.items)
    host = HostInteractions(every, case, 16, at_once=4)
    for epoch, rate in enumerate(learning_rates(plan)):  # by 32 tiles, for 120 users
        host.interact(
            (rate, plan.user_reg, plan.item_reg), plan.seed, epoch,
            stochastic=plan.rounding == "stochastic", threads=256,
        )  # fmt: skip
    ones = np.ones(max(len(train), len(test)), np.float32)
    held_out, met = ((*pairs.T.astype(np.uint32), ones[: len(pairs)]) for pairs in (test, train))
    lists = HeldOutLists(held_out, met, USERS, ITEMS)
    wanted = train_state(prepared_here, Execution(1))
    found = (
        replace(side, stored={name: jnp.asarray(table) for name, table in own.tables.items()})
        for side, own in ((case.world.users, host.users), (case.world.items, host.items))
    )
    score = lists.score(*found)
    assert score > 4 * lists.score_popular(np.bincount(train[:, 1], minlength=ITEMS))
    assert score == pytest.approx(lists.score(wanted.users, wanted.items), abs=0.02)
