"""The native kernels against plain NumPy, for every instruction set this CPU has."""

import subprocess
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import mascot_ffi
import numpy as np
import pytest

from mascot_jax.engine import kernels
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.tables import allocate
from mascot_jax.tables.storage import FLOAT16, FLOAT32, STORAGES, by_code
from tests.support import reference
from tests.support.worlds import (
    CODES,
    ONE,
    RATES,
    epoch,
    live_rows,
    make_table,
    make_world,
    put,
    row_codes,
    visit,
)

VARIANTS = mascot_ffi.build_info()["instruction_sets"]
SCALED = [storage for storage in STORAGES.values() if storage.scale_block]
FACTORS = [1, 7, 31, 32, 33, 64, 100, 128, 200, 256]


def run(world, variant="auto", threads=1, **options):
    return visit(world, Execution(threads, variant), **options)


def dither_key(rounding):
    return reference.stream_key(3, 2, 3) if rounding == "stochastic" else None


def codes_of(world):
    return row_codes(world.users), row_codes(world.items)


def sgd(world, pieces=None, rounding="nearest", block=32, end=None):
    """NumPy's p and q after the epoch that ``run`` makes with one thread, and its details."""
    codes = codes_of(world)
    count = len(world.values)
    pieces = pieces or reference.shuffled_pieces(3, 2, kernels.block_size(count), count)
    visits = reference.lists(pieces, codes[0][world.user_rows], codes[1][world.item_rows])
    p, q = world.p.copy(), world.q.copy()
    details = reference.epoch(
        world.user_rows, world.item_rows, world.values, p, q, codes, RATES, visits,
        dither_key(rounding), block, end,
    )  # fmt: skip
    assert sorted(details) == list(range(count))
    return p, q, details


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("codes", sorted(CODES))
@pytest.mark.parametrize("factors", FACTORS)
def test_one_thread_is_numpy_sgd_bit_for_bit(factors, codes, rounding, variant):
    world = make_world(factors, codes, count=100)
    p, q, _ = sgd(world, rounding=rounding)
    users, items, *_ = run(world, variant, rounding=rounding)
    np.testing.assert_array_equal(live_rows(users), p)
    np.testing.assert_array_equal(live_rows(items), q)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("storage", SCALED)
@pytest.mark.parametrize("factors", [1, 16, 31, 100, 128, 300])
def test_every_block_of_int8_has_a_scale(factors, storage, variant):
    world = make_world(factors, "all", count=200, int8=storage.name)
    p, q, _ = sgd(world, rounding="stochastic", block=storage.scale_block)
    users, items, *_ = run(world, variant, rounding="stochastic")
    np.testing.assert_array_equal(live_rows(users), p)
    np.testing.assert_array_equal(live_rows(items), q)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("codes", sorted(CODES.keys() - {"float32"}))
def test_a_row_is_rounded_once_for_ratings_that_follow_one_another(codes, rounding, variant):
    world = make_world(40, codes, count=300)
    order = np.argsort(world.user_rows, kind="stable")
    ids = world.user_rows[order], world.item_rows[order]
    ratings = Ratings(*map(jnp.asarray, (*ids, world.values[order])), 23, 17)
    world = world._replace(
        ratings=ratings, user_rows=ids[0], item_rows=ids[1], values=world.values[order]
    )
    p, q, _ = sgd(world, rounding=rounding)
    users, items, *_ = run(world, variant, rounding=rounding)
    np.testing.assert_array_equal(live_rows(users), p)
    np.testing.assert_array_equal(live_rows(items), q)


@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("factors", [1, 33, 128])
def test_sums_are_those_of_the_sampled_ratings(factors, variant, rounding):
    world = make_world(factors, "all", count=300)
    starts = np.asarray(world.users.starts), np.asarray(world.items.starts)
    *_, details = sgd(world, rounding=rounding)
    *_, user_sums, item_sums = run(world, variant, sample_ratio=0.3, rounding=rounding)
    sampled = [i for i in range(300) if reference.is_sampled(3, 2, i, 0.3)]
    assert 60 < len(sampled) < 120
    for sums, side, rows, start in (
        (user_sums, "p", world.user_rows, starts[0]),
        (item_sums, "q", world.item_rows, starts[1]),
    ):
        expected = np.zeros(sums.shape)
        for i in sampled:
            group = np.searchsorted(start, rows[i], side="right") - 1
            gradient = details[i][f"gradient_{side}"].astype(np.float64)
            lost = details[i][f"lost_{side}"].astype(np.float64)
            whole = np.square(np.float32(RATES[0]) * gradient).sum()
            expected[group] += [
                *gradient,
                np.square(gradient).sum(),
                1,
                np.square(lost).sum(),
                whole,
            ]
        np.testing.assert_allclose(np.asarray(sums), expected, rtol=2e-5, atol=2e-5)
        np.testing.assert_array_equal(np.asarray(sums)[:, factors + 1], expected[:, factors + 1])


@pytest.mark.parametrize("variant", VARIANTS)
def test_sampling_everything_counts_every_rating_once(variant):
    world = make_world(16, count=5000)
    *_, user_sums, item_sums = run(world, variant, threads=2, sample_ratio=1.0)
    for sums, rows, side in ((user_sums, world.user_rows, 0), (item_sums, world.item_rows, 1)):
        starts = np.asarray(make_world(16, count=5000)[1 + side].starts)
        counts = np.histogram(rows, starts)[0]
        np.testing.assert_array_equal(np.asarray(sums)[:, 17], counts)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [1, 255, 256, 257, 10_000])
def test_each_rating_is_visited_exactly_once(count, threads, variant):
    # One rating per user and item: with q = 1 and no regularisation, p grows by eta * (r - p) once.
    p, q = np.zeros((count, 1), np.float32), np.ones((count, 1), np.float32)
    starts, codes = np.array([0, count]), np.array([0])
    world = make_world(1)._replace(
        ratings=Ratings(
            jnp.arange(count, dtype=jnp.uint32),
            jnp.arange(count, dtype=jnp.uint32),
            jnp.ones(count, dtype=jnp.float32),
            count,
            count,
        ),
        users=make_table(p, starts, codes),
        items=make_table(q, starts, codes),
    )
    users, *_ = run(world, variant, threads, rates=(0.5, 0.0, 0.0))
    np.testing.assert_array_equal(live_rows(users), np.full((count, 1), 0.5, np.float32))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("codes", sorted(CODES))
@pytest.mark.parametrize("factors", [7, 33, 128])
def test_rows_outside_the_batch_and_padding_are_untouched(factors, codes, variant):
    world = make_world(factors, codes, count=40)
    before = [{n: np.array(t) for n, t in s.stored.items()} for s in (world.users, world.items)]
    users, items, *_ = run(world, variant, sample_ratio=0.5)
    for side, old, rows in (
        (users, before[0], world.user_rows),
        (items, before[1], world.item_rows),
    ):
        code = np.repeat(np.asarray(side.codes), np.diff(np.asarray(side.starts)))
        for storage in by_code(side.stored).values():
            new = np.asarray(side.stored[storage.name])
            visited = np.isin(np.arange(len(code)), rows) & (code == storage.code)
            np.testing.assert_array_equal(new[~visited], old[storage.name][~visited])
            padding = np.ones(new.shape[1], dtype=bool)
            padding[:factors] = False
            if storage.scale_block:
                padding[-(-factors // 16) * 16 : storage.elements(factors)] = False
            assert not new[visited][:, padding].any()
            if visited.any():
                assert (new[visited] != old[storage.name][visited]).any()


@pytest.mark.parametrize("groups", [1, 2, 3, 8, 15])
@pytest.mark.parametrize("seed", range(4))
def test_rows_are_found_in_any_table_of_groups(groups, seed):
    # a wrong storage or group would read a canary or add to another group's sums
    world = make_world(8, "all", count=400, rows=(61, 16), groups=groups, seed=seed)
    starts = np.asarray(world.users.starts)
    p, q, _ = sgd(world)
    users, items, user_sums, _ = run(world, sample_ratio=1.0)
    np.testing.assert_array_equal(live_rows(users), p)
    np.testing.assert_array_equal(live_rows(items), q)
    np.testing.assert_array_equal(
        np.asarray(user_sums)[:, 9], np.histogram(world.user_rows, starts)[0]
    )


@pytest.mark.parametrize("codes", sorted(CODES))
def test_streaming_changes_nothing(codes):
    world = make_world(33, codes)
    before = live_rows(world.users), live_rows(world.items)
    rates, counters = jnp.zeros(5, jnp.float32), jnp.zeros(2, jnp.uint32)
    stream = jax.jit(kernels.run_stream, static_argnames="execution")
    users, items = stream(
        world.ratings, world.users, world.items, rates, counters, execution=Execution(2)
    )
    np.testing.assert_array_equal(live_rows(users), before[0])
    np.testing.assert_array_equal(live_rows(items), before[1])


@pytest.mark.parametrize(("codes", "to"), [("float32", 1), ("float32", 2), ("float16", 2)])
def test_promotion_never_goes_back(codes, to):
    side = make_world(8, codes).users
    back = jnp.full(5, to, dtype=jnp.uint8)
    with pytest.raises(jax.errors.JaxRuntimeError, match="group 0 would go back"):
        jax.block_until_ready(kernels.promote(side, back, execution=ONE))


def test_an_epoch_is_in_place():
    world = make_world(128, "mixed")
    before = [
        t.unsafe_buffer_pointer() for s in (world.users, world.items) for t in s.stored.values()
    ]
    users, items, *_ = run(world)
    after = [t.unsafe_buffer_pointer() for s in (users, items) for t in s.stored.values()]
    assert before == after


def test_rows_are_aligned_to_cache_lines():
    for storage in STORAGES.values():
        for factors in FACTORS:
            table = allocate(3, factors, storage)
            assert table.unsafe_buffer_pointer() % 64 == 0
            assert table.shape[1] * storage.dtype.itemsize % 64 == 0
            assert table.shape[1] >= factors


@pytest.fixture(scope="module")
def large():
    """A side of 128 factors whose last row lies past element 2^31; other rows take no memory."""
    rows, k = 16_777_300, 128
    tables = {s.name: allocate(rows, k, s) for s in (FLOAT16, FLOAT32)}
    fill = jax.jit(lambda t, value: t.at[rows - 1].set(value), donate_argnums=0)
    tables["float16"] = fill(tables["float16"], jnp.float16(0.5))
    tables["float32"] = fill(tables["float32"], jnp.float32(0.5))
    return rows, k, tables


def last_row(table):
    rows, k = table.shape
    take = jax.jit(lambda t: jax.lax.dynamic_slice(t, (rows - 1, 0), (1, k)))
    return np.asarray(take(table))[0]


@pytest.mark.parametrize("large_side", ["users", "items"])
@pytest.mark.parametrize("storage", [FLOAT16, FLOAT32])
def test_index_products_pass_two_to_the_31(large, storage, large_side):
    rows, k, tables = large
    start = jnp.array([0, rows], dtype=jnp.uint32)
    tall = make_table(np.zeros((1, k), np.float32), np.array([0, 1]), np.array([storage.code]))
    tall = replace(tall, stored={storage.name: tables[storage.name]}, starts=start)
    flat = make_table(np.full((1, k), 0.25, np.float32), np.array([0, 1]), np.array([0]))
    ids = {"tall": jnp.array([rows - 1], jnp.uint32), "flat": jnp.array([0], jnp.uint32)}
    first, second = ("tall", "flat") if large_side == "users" else ("flat", "tall")
    sides = {"tall": tall, "flat": flat}
    counts = {"tall": rows, "flat": 1}
    ratings = Ratings(
        ids[first], ids[second], jnp.array([17.0], jnp.float32), counts[first], counts[second]
    )
    dots = kernels.predict(ids[first], ids[second], sides[first], sides[second], execution=ONE)
    assert dots.tolist() == [16.0]  # 128 * 0.5 * 0.25, so the error is 1: p grows by q, q by p
    world = make_world(1)._replace(ratings=ratings, users=sides[first], items=sides[second])
    users, items, *_ = run(world, rates=(1.0, 0.0, 0.0))
    tall, flat = (users, items) if large_side == "users" else (items, users)
    assert (last_row(tall.stored[storage.name]) == 0.75).all()
    assert (live_rows(flat) == 0.75).all()
    reset = jax.jit(lambda t: t.at[rows - 1].set(0.5), donate_argnums=0)
    tables[storage.name] = reset(tall.stored[storage.name])
    finite = kernels.check_finite(
        replace(tall, stored={storage.name: tables[storage.name]}), execution=ONE
    )
    assert finite.tolist() == [1]


def test_promotion_passes_two_to_the_31(large):
    rows, k, tables = large
    side = make_table(np.zeros((2, k), np.float32), np.array([0, 1, 2]), np.array([1, 1]))
    side = replace(side, stored=dict(tables), starts=jnp.array([0, rows - 1, rows], jnp.uint32))
    promote = jax.jit(kernels.promote, static_argnames="execution", donate_argnames="table")
    side = promote(side, jnp.array([1, 0], jnp.uint8), execution=ONE)
    tables.update(side.stored)
    assert (last_row(side.stored["float32"]) == 0.5).all()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("factors", [1, 33, 128, 200])
def test_predict_is_the_dot_product_of_the_update(factors, variant):
    world = make_world(factors, "all")
    got = jax.jit(kernels.predict, static_argnames="execution")(
        world.ratings.users, world.ratings.items, world.users, world.items,
        execution=Execution(2, variant),
    )  # fmt: skip
    pairs = zip(world.user_rows, world.item_rows, strict=True)
    expected = [reference.dot(world.p[u], world.q[i]) for u, i in pairs]
    np.testing.assert_array_equal(np.asarray(got), expected)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("factors", [7, 128])
def test_promotion_widens_exactly_and_only_the_groups_told(factors, variant):
    world = make_world(factors, "float16")
    before = live_rows(world.users)
    old32 = np.array(world.users.stored["float32"])
    codes = jnp.array([1, 0, 1, 0, 1], dtype=jnp.uint8)
    side = jax.jit(kernels.promote, static_argnames="execution")(
        world.users, codes, execution=Execution(2, variant)
    )
    np.testing.assert_array_equal(live_rows(side), before)
    rows = np.repeat(np.asarray(codes), np.diff(np.asarray(side.starts)))
    table = np.asarray(side.stored["float32"])
    np.testing.assert_array_equal(table[rows == 1], old32[rows == 1])
    assert not table[rows == 0][:, factors:].any()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("factors", [7, 40, 128])
def test_promotion_goes_through_float16_to_float32(factors, variant):
    world = make_world(factors, "int8")
    before = live_rows(world.users)
    promote = jax.jit(kernels.promote, static_argnames="execution")
    execution = Execution(2, variant)
    half = promote(world.users, jnp.array([2, 1, 1, 2, 0], jnp.uint8), execution=execution)
    expected = before.copy()
    codes = row_codes(half)
    expected[codes == 1] = before[codes == 1].astype(np.float16)
    np.testing.assert_array_equal(live_rows(half), expected)
    table = np.asarray(half.stored["float16"])
    assert not table[codes == 1][:, factors:].any()  # padding that no one had written yet
    full = promote(half, jnp.array([2, 0, 1, 2, 0], jnp.uint8), execution=execution)
    np.testing.assert_array_equal(live_rows(full), expected)


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("codes", ["float32", "float16"])
def test_check_finite_finds_the_group(codes, bad):
    world = make_world(7, codes)
    start = int(world.users.starts[2])
    table = np.array(world.users.stored[codes])
    table[start, 6] = bad
    tables = world.users.stored | {codes: put(table, 7, STORAGES[codes])}
    check = jax.jit(kernels.check_finite, static_argnames="execution")
    finite = check(replace(world.users, stored=tables), execution=Execution(2))
    assert list(np.asarray(finite)) == [1, 1, 0, 1, 1]
    assert np.asarray(check(world.items, execution=ONE)).all()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("bad", [np.inf, np.nan])
@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_the_scales_of_int8_tell_that_a_row_is_not_finite(rounding, bad, variant):
    world = make_world(40, "int8")
    values = np.asarray(world.ratings.ratings).copy()
    values[5] = bad  # what make_ratings would refuse
    ratings = Ratings(world.ratings.users, world.ratings.items, jnp.asarray(values), 23, 17)
    users, items, *_ = run(world._replace(ratings=ratings), variant, rounding=rounding)
    for side, row in ((users, world.user_rows[5]), (items, world.item_rows[5])):
        finite = np.asarray(kernels.check_finite(side, execution=ONE))
        group = np.searchsorted(np.asarray(side.starts), row, side="right") - 1
        assert finite[group] == 0


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("storage", SCALED)
def test_an_int8_row_that_does_not_change_is_stored_as_it_was(storage, rounding, variant):
    world = make_world(100, "int8", int8=storage.name, count=2000)
    before = [np.array(side.stored[storage.name]) for side in (world.users, world.items)]
    sides = run(world, variant, rates=(0.0, 0.0, 0.0), rounding=rounding)[:2]
    for side, old in zip(sides, before, strict=True):
        np.testing.assert_array_equal(np.asarray(side.stored[storage.name]), old)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_mean_of_many_int8_stores_is_the_value(variant):
    """Within 4 sigma; the largest component of a block fixes its scale."""
    n, k = 20_000, 64
    value = np.linspace(-0.9, 0.9, k, dtype=np.float32)
    value[[5, 40]] = 1.0, -1.0
    starts, ids = np.array([0, n]), jnp.arange(n, dtype=jnp.uint32)
    ones = jnp.ones(n, dtype=jnp.float32)
    rows = np.broadcast_to(value, (n, k))
    world = make_world(1)._replace(
        ratings=Ratings(ids, ids, ones, n, n),
        users=make_table(np.zeros((n, k), np.float32), starts, np.array([2])),
        items=make_table(rows, starts, np.array([0])),
    )
    users, *_ = run(world, variant, rates=(1.0, 0.0, 0.0), rounding="stochastic")
    got = live_rows(users).astype(np.float64)
    step = float(reference.int8_scale(np.float32(1)))
    share = np.abs(value.astype(np.float64)) / step % 1
    sigma = step * np.sqrt(share * (1 - share) / n) + 1e-6
    assert (np.abs(got.mean(axis=0) - value) < 4.5 * sigma).all()
    assert (np.abs(got - value) < step).all()


def test_stores_round_to_nearest_even_at_every_float16():
    # r = the wanted value: with p = 0, q = 1, eta = 1 the new p is r exactly, before the store.
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    halves = np.unique(halves[np.isfinite(halves)].astype(np.float32))
    middles = (halves[1:] + halves[:-1]) / np.float32(2)
    beside = [np.nextafter(middles, np.float32(s), dtype=np.float32) for s in (-np.inf, np.inf)]
    extremes = np.array([65519.996, 65520, 1e30, -65519.996, -65520, 1e-30], np.float32)
    values = np.concatenate([halves, middles, *beside, extremes])
    n = len(values)
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16)
    starts, ids = np.array([0, n]), jnp.arange(n, dtype=jnp.uint32)
    ratings = Ratings(ids, ids, jnp.asarray(values), n, n)
    for variant in VARIANTS:
        world = make_world(1)._replace(
            ratings=ratings,
            users=make_table(np.zeros((n, 1), np.float32), starts, np.array([1])),
            items=make_table(np.ones((n, 1), np.float32), starts, np.array([0])),
        )
        users, *_ = run(world, variant, rates=(1.0, 0.0, 0.0))
        got = np.asarray(users.stored["float16"])[:, 0]
        np.testing.assert_array_equal(
            got.view(np.uint16) & 0x7FFF, expected.view(np.uint16) & 0x7FFF
        )
        np.testing.assert_array_equal(got, expected)


CANNOT_START = """
import resource
from tests.engine.test_kernels import run
from tests.support.worlds import make_world

world = make_world(8, count=1_100_000)
run(world)  # what compiling needs is there before memory is limited
world = make_world(8, count=1_100_000)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 30),) * 2)
try:
    run(world, threads=2000)[2].block_until_ready()
except Exception as error:
    print(type(error).__name__, error)
"""


def test_threads_that_cannot_start_are_an_error_and_no_crash():
    # 2000 stacks of 8 MiB do not fit two GiB of addresses
    result = subprocess.run(
        [sys.executable, "-c", CANNOT_START], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "JaxRuntimeError" in result.stdout
    assert "RESOURCE_EXHAUSTED" in result.stdout


BAD_CALLS = {
    "unknown storage code": lambda w: w._replace(
        users=replace(w.users, codes=w.users.codes.at[0].set(9))
    ),
    "group starts must not fall": lambda w: w._replace(
        users=replace(w.users, starts=w.users.starts.at[2].set(0))
    ),
    "the first group must start at row 0": lambda w: w._replace(
        items=replace(w.items, starts=w.items.starts.at[0].set(1))
    ),
    "a row for each of the groups": lambda w: w._replace(
        items=replace(w.items, starts=w.items.starts.at[-1].set(1000))
    ),
    "a storage that has no table": lambda w: w._replace(
        users=replace(w.users, stored={"float16": w.users.stored["float16"]})
    ),
    "padded to a multiple of 64 bytes": lambda w: w._replace(
        users=replace(w.users, stored={k: t[:, :8] for k, t in w.users.stored.items()})
    ),
    "two tables of one storage": lambda w: w._replace(
        users=replace(w.users, stored=w.users.stored | make_world(33, int8="int8-64").users.stored)
    ),
}


@pytest.mark.parametrize("message", BAD_CALLS)
def test_the_handler_refuses(message):
    world = BAD_CALLS[message](make_world(33))
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        jax.block_until_ready(run(world))


def test_an_unknown_instruction_set_is_refused():
    with pytest.raises(jax.errors.JaxRuntimeError, match="instruction set 'sse9' is unknown"):
        jax.block_until_ready(run(make_world(8), "sse9"))


def test_new_rates_and_seeds_do_not_recompile():
    world = make_world(8)
    users, items, *_ = run(world)
    compiled = epoch._cache_size()
    again = world._replace(users=users, items=items)
    run(again, seed=99, number=7, rates=(0.001, 0.5, 0.25), sample_ratio=0.5)
    assert epoch._cache_size() == compiled


def test_the_order_of_blocks_is_a_new_permutation_each_epoch():
    orders = {tuple(reference.permutation(reference.stream_key(0, e, 1), 37)) for e in range(20)}
    assert len(orders) == 20
    assert all(sorted(order) == list(range(37)) for order in orders)


def test_block_sizes():
    sizes = [kernels.block_size(n) for n in (1, 1000, 262_144, 524_288, 800_000, 4_194_304, 10**9)]
    assert sizes == [256, 256, 256, 512, 512, 4096, 4096]
