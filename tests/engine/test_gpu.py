"""The CUDA kernels against known answers and the CPU kernels; skipped where no GPU can be used."""

import itertools
import os
import statistics
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.engine import kernels, projection, projection_in_jax
from mascot_jax.engine.devices import choose_device
from mascot_jax.engine.early_exit import predict_to_stop
from mascot_jax.engine.interactions import lay_out_interactions
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.layout import lay_out
from mascot_jax.engine.prediction import ColdRule
from mascot_jax.engine.ratings import make_ratings
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.tables.storage import STORAGES, by_code
from mascot_jax.training.epoch import train_epoch
from mascot_jax.training.initial import initial_state
from mascot_jax.training.loop import train_state
from mascot_jax.training.scoring import HeldOut
from tests.support import cuda_reference, interactions_reference
from tests.support.interactions import planted, split
from tests.support.movielens import final_rmse, make_fold, read_ml_1m
from tests.support.reference import stream_key
from tests.support.worlds import (
    CODES,
    ONE,
    RATES,
    live_rows,
    make_table,
    make_world,
    prepared,
    put,
    row_codes,
    visit,
)

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("on_gpu")]

FACTORS = [1, 33, 64, 100, 128, 256, 300]
"""Each is a program of its own to XLA, for every storage and execution: so they are few."""
LOOKUPS = ["direct", "search", "per-row"]
WRITES = ["add", "store"]
EXECUTIONS = [Execution(lookup=lookup, writes=writes) for lookup in LOOKUPS for writes in WRITES]
FEW = [33, 128, 300]
PRUNINGS = [
    {"method": "project", "factors": 8, "epoch": 4},
    {"method": "early-exit", "rate": 0.1, "epoch": 4},
]
MOST_HELD = 256
"""Factors of the longest row with int8's tables, though no group be in them."""


def named(value):
    """What a test is called by, of an execution."""
    return f"{value.lookup}-{value.writes}" if isinstance(value, Execution) else None


def cases(all_factors):
    """Factors, storages and executions: other lookups where storages differ, for one k.

    Int8 rows longer than registers hold are not trained on a GPU.
    """
    return [
        (factors, codes, execution)
        for factors in all_factors
        for codes in CODES
        for execution in EXECUTIONS
        if (factors <= MOST_HELD or codes not in ("int8", "all"))
        and (execution.lookup == "direct" or (factors == 128 and codes in ("mixed", "all")))
    ]


def on_cpu():
    return jax.default_device(choose_device("cpu"))


def jitted(kernel):
    return jax.jit(kernel, static_argnames="execution")


def laid_out(world, plan):
    """The world's ratings on JAX's default device."""
    starts = np.asarray(world.users.starts), np.asarray(world.items.starts)
    return lay_out(world.ratings, plan, *starts, threads=1)


def one_rating_each(count, rating, p, q, codes):
    """A world in which every user and every item occurs once; p and q: floats of all their rows."""
    ids, starts = np.arange(count), np.array([0, count])
    values = np.full(count, rating, np.float32)
    return (
        make_world(1)
        ._replace(
            ratings=make_ratings(ids, ids, values, count, count),
            users=make_table(np.asarray(p, np.float32), starts, np.array([codes[0]])),
            items=make_table(np.asarray(q, np.float32), starts, np.array([codes[1]])),
        )
        .bare()
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


def in_runs(world, length=8):
    """The ratings of ``diagonal``, each user's in one run."""
    users = np.repeat(world.user_rows[::length], length)[: len(world.values)]
    sizes = world.ratings.user_count, world.ratings.item_count
    return world._replace(
        ratings=make_ratings(users, world.item_rows, world.values, *sizes), user_rows=users
    )


def test_arrays_lie_on_the_gpu(gpu):
    world = make_world(8)
    made = laid_out(world, TrainSettings().plan("gpu")), world.users, world.items
    assert {d for leaf in jax.tree.leaves(made) for d in leaf.devices()} == {gpu}
    assert gpu.platform != "cpu"


@pytest.mark.parametrize("execution", [Execution(writes=writes) for writes in WRITES])
@pytest.mark.parametrize("codes", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("factors", [1, *FEW])
def test_an_update_by_hand(factors, codes, execution):
    # every number is a short sum of powers of two, so that nothing is rounded in any order
    rows = np.ones((5, factors))
    world = one_rating_each(5, factors / 8 + 1, rows / 2, rows / 4, codes)  # the error is 1
    users, items, *_ = visit(world, execution, rates=(0.5, 0.25, 0.5))
    np.testing.assert_array_equal(live_rows(users), rows * 0.5625)
    np.testing.assert_array_equal(live_rows(items), rows * 0.4375)


@pytest.mark.parametrize("shared", ["user", "item"])
@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("factors", FEW)
def test_no_update_of_a_shared_row_is_lost(factors, code, shared):
    # The rating is so large that e is the rating, whatever the row is by then, and each visit adds
    # eta e = 2^-10 to each component, exactly, be it the first or the last.
    count = 1000
    many, one = np.arange(count), np.zeros(count, int)
    ids, sizes = (many, one), (count, 1)
    ones, zeros = np.ones((count, factors), np.float32), np.zeros((1, factors), np.float32)
    sides = [
        make_table(ones, np.array([0, count]), np.array([0])),
        make_table(zeros, np.array([0, 1]), np.array([code])),
    ]
    if shared == "user":
        ids, sizes, sides = ids[::-1], sizes[::-1], sides[::-1]
    world = (
        make_world(1)
        ._replace(
            ratings=make_ratings(*ids, np.full(count, 2.0**40, np.float32), *sizes),
            users=sides[0],
            items=sides[1],
        )
        .bare()
    )
    users, items, *_ = visit(world, rates=(2.0**-50, 0, 0))
    side = users if shared == "user" else items
    np.testing.assert_array_equal(live_rows(side), zeros + count / 1024)


def assert_like_the_cpus(got, wanted, before, codes):
    """Rows ``(rows, k)``: float32 to 1e-6; float16 and int8 within a step of their own.

    A step is that of the larger of the numbers before and after the update.
    """
    largest = np.maximum(np.abs(before), np.abs(wanted))
    single, half, byte = (codes == code for code in range(3))
    assert (single | half | byte).all()
    np.testing.assert_allclose(got[single], wanted[single], rtol=1e-6, atol=3e-7)
    error = np.abs(got - wanted)
    assert (error[half] <= np.spacing(largest[half].astype(np.float16))).all()
    assert (error[byte] <= largest[byte].max(axis=1, keepdims=True, initial=0) / 126).all()


@pytest.mark.parametrize(("factors", "codes", "execution"), cases(FACTORS), ids=named)
def test_an_epoch_without_collisions_is_the_cpus(factors, codes, execution):
    assert_an_epoch_is_the_cpus(factors, codes, execution, lambda world: world)


@pytest.mark.parametrize("writes", WRITES)
@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("factors", [33, 64, 128, 256])
def test_an_epoch_in_runs_is_the_cpus(factors, codes, writes):
    assert_an_epoch_is_the_cpus(factors, codes, Execution(writes=writes), in_runs)


@pytest.mark.parametrize("codes", ["float16", "mixed", "int8", "all"])
@pytest.mark.parametrize("factors", [33, 64, 128, 256])
def test_a_stochastic_store_without_collisions_is_the_cpus(factors, codes):
    # By the same draws: where sums differ in their last bit, one in thousands goes the other way.
    execution = Execution(writes="store")
    assert_an_epoch_is_the_cpus(factors, codes, execution, lambda world: world, "stochastic")


@pytest.mark.parametrize("codes", ["float16", "mixed"])
@pytest.mark.parametrize("factors", [33, 64, 128, 256, 300])
def test_stochastic_changes_are_added_within_a_step(factors, codes):
    assert_an_epoch_is_the_cpus(factors, codes, ONE, lambda world: world, "stochastic")


def test_stochastic_changes_of_a_shared_row_keep_their_mean():
    # One item's row, all ones, is updated by less than half an ulp each time: to nearest, it stays.
    count, factors, ulp = 20_000, 128, 2.0**-10
    starts = np.array([0, 1]), np.array([0, count])
    ids = np.random.default_rng(0).permutation(count), np.zeros(count, np.int64)
    values = np.full(count, 2.0**40, np.float32)  # the error is the rating, whatever the row is

    def row(rounding):
        world = make_world(1)._replace(
            ratings=make_ratings(*ids, values, count, 1),
            users=make_table(np.ones((count, factors), np.float32), starts[1], np.array([1])),
            items=make_table(np.ones((1, factors), np.float32), starts[0], np.array([1])),
        )
        return live_rows(visit(world.bare(), rates=(2.0**-58, 0, 0), rounding=rounding)[1])[0]

    expected = count * 2.0**-18
    np.testing.assert_array_equal(row("nearest"), 1)
    found = row("stochastic")
    np.testing.assert_array_equal(found % ulp, 0)
    assert found.mean() - 1 == pytest.approx(expected, abs=4 * np.sqrt(expected * ulp / factors))


def assert_an_epoch_is_the_cpus(
    factors, codes, execution, layout, rounding="nearest", thresholds=()
):
    options = {"rounding": rounding, "thresholds": thresholds}
    with on_cpu():
        world = layout(diagonal(factors, codes)).bare()
        storages = row_codes(world.users), row_codes(world.items)
        wanted = visit(world, **options)
    got = visit(layout(diagonal(factors, codes)).bare(), execution, **options)
    for side, before in enumerate((world.p, world.q)):
        rows, cpus = live_rows(got[side]), live_rows(wanted[side])
        changed = (rows != before).any(axis=1)
        assert changed[np.unique((world.user_rows, world.item_rows)[side])].mean() > 0.9
        assert_like_the_cpus(rows, cpus, before, storages[side])


RARELY = (0.002, 0.001)
"""Thresholds of rows whose components deviate by 0.3: some hundred are visited."""


@pytest.mark.parametrize("writes", WRITES)
@pytest.mark.parametrize("codes", ["float32", "float16", "mixed"])
@pytest.mark.parametrize("factors", FEW)
def test_an_update_ends_early_where_the_cpus_does(factors, codes, writes):
    execution = Execution(writes=writes)
    assert_an_epoch_is_the_cpus(factors, codes, execution, lambda world: world, thresholds=RARELY)


@pytest.mark.parametrize("codes", ["float16", "mixed"])
def test_a_stochastic_update_ends_early_where_the_cpus_does(codes):
    execution = Execution(writes="store")
    assert_an_epoch_is_the_cpus(128, codes, execution, lambda world: world, "stochastic", RARELY)


@pytest.mark.parametrize("sample_ratio", [0.0, 0.5])
@pytest.mark.parametrize("thresholds", [(0, 0), (1e-30, 1e-30)], ids=["zero", "never"])
def test_thresholds_that_nothing_is_below_change_no_bit(thresholds, sample_ratio):
    def rows(**options):
        world = diagonal(100, "mixed").bare()
        users, items, *_ = visit(world, sample_ratio=sample_ratio, **options)
        return live_rows(users), live_rows(items)

    for got, wanted in zip(rows(thresholds=thresholds), rows(), strict=True):
        np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("factors", FEW)
def test_predictions_end_early_where_the_cpus_do(factors, codes):
    def predict():
        world = make_world(factors, codes, count=10_001)
        rows = jnp.asarray(world.user_rows), jnp.asarray(world.item_rows)
        thresholds = jnp.array(RARELY, jnp.float32)
        found = predict_to_stop(*rows, world.users, world.items, thresholds, execution=ONE)
        return map(np.asarray, found)

    with on_cpu():
        wanted, ends = predict()
    got, stops = predict()
    np.testing.assert_array_equal(stops, ends)
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("codes", CODES)
def test_a_projection_is_the_cpus(codes):
    with on_cpu():
        world = make_world(128, codes, count=5000, rows=(700, 300))
        native = projection.joint_basis(
            world.ratings, world.users, world.items, kept=64, execution=ONE
        )
        counters = jnp.uint32(3), jnp.uint32(8)
        options = {"of_items": False, "rounding": "nearest"}
        wanted = live_rows(
            projection.project(world.users, native, *counters, **options, execution=ONE)
        )
        exact = world.p.astype(np.float64) @ np.asarray(native, np.float64)
    world = make_world(128, codes, count=5000, rows=(700, 300))
    basis = projection_in_jax.joint_basis(world.ratings, world.users, world.items, kept=64)
    np.testing.assert_allclose(np.asarray(basis).T @ basis, np.eye(64), atol=1e-5)
    np.testing.assert_allclose(basis, native, atol=5e-3)  # axes lie close together
    table = projection_in_jax.project(
        world.users, jnp.asarray(np.asarray(native)), jnp.uint32(3), jnp.uint32(8), **options
    )
    assert_like_the_cpus(live_rows(table), wanted, exact, row_codes(table))


@pytest.mark.parametrize("pruning", PRUNINGS, ids=lambda values: values["method"])
@pytest.mark.parametrize(
    "values", [{"method": "mascot"}, {"method": "fp16", "rounding": "stochastic"}]
)
def test_a_pruned_training_learns_as_on_the_cpu(values, pruning):
    settings = {"factors": 32, "epochs": 12, "learning_rate": 0.05, "pruning": pruning, **values}

    def rmses():
        rng = np.random.default_rng(0)
        p, q = (rng.normal(0, 0.5, (n, 2)) for n in (400, 200))
        rows = rng.integers(0, 400, 20_000), rng.integers(0, 200, 20_000)
        ratings = make_ratings(*rows, 3 + (p[rows[0]] * q[rows[1]]).sum(axis=1), 400, 200)
        test = tuple(column[:2000] for column in ratings.host())
        given = prepared(
            ratings, [0, 100, 400], [0, 50, 200], validate(TrainSettings, settings), ONE, test
        )
        records = []
        state = train_state(given, ONE, lambda record, _: records.append(record))
        assert state.users.factors == pruning.get("factors", 32)
        return [record.test_rmse for record in records]

    with on_cpu():
        wanted = rmses()
    # What ends early is chaotic: only that it trains is compared.
    np.testing.assert_allclose(rmses(), wanted, atol=0.02 if "factors" in pruning else 0.5)


OTHER_ARITHMETIC = [
    ("float16", "float16", [0]),
    ("mixed", "float32", [1000, 20_000]),  # of the latter, errors above 3.28 overflow
    ("fixed", "float32", [8, 12, 14, 16, 32]),
]
"""Arithmetic, the storage of its rows, quantisers."""


@pytest.mark.parametrize("layout", [lambda world: world, in_runs], ids=["shuffled", "runs"])
@pytest.mark.parametrize("writes", WRITES)
@pytest.mark.parametrize(("arithmetic", "storage", "quantisers"), OTHER_ARITHMETIC)
@pytest.mark.parametrize("factors", [1, 64, 100, 256])
def test_other_arithmetic_is_numpys_bit_for_bit(
    factors, arithmetic, storage, quantisers, writes, layout
):
    for quantiser in quantisers:
        assert_arithmetic_is_numpys(factors, arithmetic, storage, quantiser, writes, layout)


def assert_arithmetic_is_numpys(factors, arithmetic, storage, quantiser, writes, layout):
    world = layout(diagonal(factors, storage, 320).only(storage))
    codes = row_codes(world.users), row_codes(world.items)
    p, q = world.p.copy(), world.q.copy()
    for first in range(0, 320, 64):  # nothing is shared by two of these
        part = slice(first, first + 64)
        with np.errstate(invalid="ignore"):  # infinite
            cuda_reference.epoch(
                world.user_rows[part], world.item_rows[part], world.values[part], p, q, codes,
                RATES, writes == "store", arithmetic=arithmetic, quantiser=quantiser,
            )  # fmt: skip
    execution = Execution(writes=writes)
    users, items, *sums = visit(world, execution, arithmetic=arithmetic, quantiser=quantiser)
    np.testing.assert_array_equal(live_rows(users), p)
    np.testing.assert_array_equal(live_rows(items), q)
    assert not any(np.asarray(s).any() for s in sums)


@pytest.mark.parametrize("writes", WRITES)
@pytest.mark.parametrize("factors", [1, 100, 256])
def test_a_full_word_is_float32(factors, writes):
    def run(**options):
        world = diagonal(factors, "float32").only("float32")
        users, items, *_ = visit(world, Execution(writes=writes), **options)
        return live_rows(users), live_rows(items)

    wanted, got = run(), run(arithmetic="fixed", quantiser=24)
    np.testing.assert_array_equal(got[0], wanted[0])
    np.testing.assert_array_equal(got[1], wanted[1])


@pytest.mark.parametrize(("factors", "codes", "execution"), cases(FEW), ids=named)
def test_rows_not_in_use_and_padding_are_untouched(factors, codes, execution):
    world = make_world(factors, codes, count=3000)
    if factors > MOST_HELD:
        world = world.only("float32", "float16")
    users, items, *_ = visit(world, execution, sample_ratio=0.5)
    padded = -(-factors // 16) * 16
    for side in (users, items):
        for code, storage in by_code(side.stored).items():
            table, live = np.asarray(side.stored[storage.name]), row_codes(side) == code
            assert (table[~live] == 77).all()
            assert not table[live][:, factors:padded].any()


@pytest.mark.parametrize(("factors", "codes", "execution"), cases(FEW), ids=named)
def test_sums_are_those_of_the_sampled_ratings(factors, codes, execution):
    with on_cpu():
        cpus = visit(diagonal(factors, codes, 3000).bare(), sample_ratio=0.3)[2:]
    got = visit(diagonal(factors, codes, 3000).bare(), execution, sample_ratio=0.3)[2:]
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
    sums = visit(world, Execution(lookup=lookup), sample_ratio=1.0)[2:]
    for side, rows in enumerate((world.user_rows, world.item_rows)):
        counts = np.histogram(rows, starts[side])[0]
        np.testing.assert_array_equal(np.asarray(sums[side])[:, 17], counts)


def test_nothing_is_summed_in_an_epoch_that_does_not_measure():
    sums = visit(make_world(33))[2:]
    assert not any(np.asarray(s).any() for s in sums)


@pytest.mark.parametrize(
    ("count", "execution"),
    [
        *((count, ONE) for count in (1, 255, 256, 257, 1_000_003)),
        *((10_000, execution) for execution in EXECUTIONS),
    ],
)
def test_each_rating_is_visited_exactly_once(count, execution):
    # With q = 1 and no regularisation, p grows by eta * (r - p) once.
    world = one_rating_each(count, 1, np.zeros((count, 1)), np.ones((count, 1)), (0, 0))
    users, *_ = visit(world, execution, rates=(0.5, 0.0, 0.0))
    np.testing.assert_array_equal(live_rows(users), np.full((count, 1), 0.5))


@pytest.mark.parametrize("codes", CODES)
def test_streaming_changes_nothing(codes):
    world = make_world(33, codes, count=3000)
    before = live_rows(world.users), live_rows(world.items)
    users, items = jitted(kernels.run_stream)(
        world.ratings, world.users, world.items, jnp.zeros(5, jnp.float32),
        jnp.zeros(2, jnp.uint32), execution=ONE,
    )  # fmt: skip
    np.testing.assert_array_equal(live_rows(users), before[0])
    np.testing.assert_array_equal(live_rows(items), before[1])


@pytest.mark.parametrize("factors", FACTORS)
def test_promotion_is_of_the_groups_told_only(factors):
    world = make_world(
        factors, "all", rows=(2300, 17)
    )  # groups in int8, float32, float16, int8, ...
    before, old = live_rows(world.users), np.asarray(world.users.stored["float32"])
    codes = jnp.array([1, 0, 0, 0, 0], dtype=jnp.uint8)
    side = jitted(kernels.promote)(world.users, codes, execution=ONE)
    half = row_codes(side) == 1
    before[half] = before[half].astype(np.float16)
    np.testing.assert_array_equal(live_rows(side), before)
    table = np.asarray(side.stored["float32"])
    np.testing.assert_array_equal(table[half], old[half])
    assert not table[~half][:, factors:].any()


@pytest.mark.parametrize(
    ("factors", "codes", "lookup"),
    [
        *((factors, codes, "direct") for factors in FACTORS for codes in ("mixed", "all")),
        *((128, codes, lookup) for codes in CODES for lookup in LOOKUPS),
    ],
)
def test_predictions_are_the_products_of_the_rows(factors, codes, lookup):
    world = make_world(factors, codes, count=10_001)
    got = jitted(kernels.predict)(
        world.ratings.users, world.ratings.items, world.users, world.items,
        execution=Execution(lookup=lookup),
    )  # fmt: skip
    p, q = world.p.astype(np.float64), world.q.astype(np.float64)
    wanted = (p[world.user_rows] * q[world.item_rows]).sum(axis=1)
    np.testing.assert_allclose(np.asarray(got), wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("storage", ["float32", "float16", "int8-32"])
@pytest.mark.parametrize("factors", [1, 128, 300])
def test_check_finite_finds_the_group(factors, storage):
    world = make_world(factors, storage.partition("-")[0], rows=(2300, 17))
    starts, check = np.asarray(world.users.starts), jitted(kernels.check_finite)
    rows = starts[2], starts[3] - 1
    for row, bad in itertools.product(rows, (np.inf, -np.inf, np.nan)):
        table = np.array(world.users.stored[storage])
        if storage == "int8-32":  # the last scale
            end = STORAGES[storage].elements(factors)
            table[row, end - 4 : end] = np.array([bad], np.float32).view(np.int8)
        else:
            table[row, factors - 1] = bad
        tables = world.users.stored | {storage: put(table, factors, STORAGES[storage])}
        side = replace(world.users, stored=tables)
        finite = check(side, execution=ONE)
        assert finite.tolist() == [1, 1, 0, 1, 1]
    assert check(world.items, execution=ONE).tolist() == [1] * 5


@pytest.mark.parametrize(
    "method",
    [
        *("fp32", "fp16", "int8", "mascot", "mascot-n2", "mascot-int8"),
        *("half", "mpt", "muppet", "afp"),
    ],
)
def test_epochs_are_in_place_and_tell_the_host_nothing(method):
    settings = validate(
        TrainSettings, {"method": method, "factors": 40, "warmup": 0, "threshold": 0.01}
    )
    plan = settings.plan("gpu")
    world = make_world(40, count=5000)
    ratings = laid_out(world, plan)
    state = initial_state(np.asarray(world.users.starts), np.asarray(world.items.starts), plan)
    assert_in_place_and_silent(state, ratings, plan)


def assert_in_place_and_silent(state, ratings, plan):
    def pointers():
        sides = state.users, state.items
        return [table.unsafe_buffer_pointer() for side in sides for table in side.stored.values()]

    before = pointers()
    with jax.transfer_guard_device_to_host("disallow_explicit"):
        for _ in range(3):
            state, _ = train_epoch(state, ratings, plan, ONE)
        jax.block_until_ready(state)
    assert pointers() == before


def test_a_score_is_the_cpus():
    def score():
        world = make_world(33, count=2_100_003)
        rule = ColdRule(3.0, 20, 15)
        held_out = HeldOut(world.user_rows, world.item_rows, world.values, rule)
        return held_out.score(world.users, world.items, Execution(2), (-0.5, 0.5))

    with on_cpu():
        wanted = score()
    got = score()
    assert (got.rmse, got.mae) == pytest.approx((wanted.rmse, wanted.mae), rel=1e-6)


def with_interactions(world, **values):
    """The world over interactions of its pairs, on JAX's default device."""
    pairs = np.unique(np.stack([world.user_rows, world.item_rows], axis=1), axis=0)
    sizes = world.ratings.user_count, world.ratings.item_count
    weights = np.random.default_rng(3).choice([0, 0.5, 1, 2], len(pairs))
    settings = {"objective": "interactions", "deterministic": False} | values
    ratings = lay_out_interactions(
        make_ratings(*pairs.T, weights, *sizes),
        validate(TrainSettings, settings).plan(),
        *(np.asarray(side.starts) for side in (world.users, world.items)),
        warm_items=sizes[1],
        threads=1,
    )
    return world._replace(ratings=ratings)


@pytest.mark.parametrize("loss", ["squared", "logistic"])
@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("writes", WRITES)
@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("factors", [33, 128, 256])
def test_one_users_visits_are_numpys_bit_for_bit(factors, codes, writes, rounding, loss):
    # A tile has the user alone: there is one order.
    world = make_world(factors, codes, count=60, rows=(1, 90), groups=1)
    world = with_interactions(world.bare(), loss=loss, negatives=6)
    ratings, negatives = world.ratings, world.ratings.negatives
    starts = tuple(np.asarray(s).astype(np.int64) for s in ratings.strata[:2])
    data = interactions_reference.Data(
        *ratings.host(), starts, np.asarray(negatives.user_draws),
        np.asarray(negatives.item_weights), float(negatives.weight[0]), loss,
    )  # fmt: skip
    p, q = world.p.copy(), world.q.copy()
    pieces = cuda_reference.sweeps(1, len(starts[1]) - 1, 4, 3, 2)
    cuda_reference.interactions(
        data, pieces, p, q, (row_codes(world.users), row_codes(world.items)), RATES, seed=3,
        number=2, store=writes == "store",
        dither=stream_key(3, 2, 3) if rounding == "stochastic" else None,
    )  # fmt: skip
    users, items, *_ = visit(world, Execution(writes=writes), rounding=rounding)
    np.testing.assert_array_equal(live_rows(users), p)
    np.testing.assert_array_equal(live_rows(items), q)


@pytest.mark.parametrize("lookup", LOOKUPS)
@pytest.mark.parametrize("codes", ["float16", "mixed"])
def test_negatives_are_those_that_the_cpu_draws(codes, lookup):
    def sums():
        world = make_world(40, codes, count=60_000, rows=(5000, 3000)).bare()
        world = with_interactions(world, negative_power=0.5)
        return [np.asarray(s) for s in visit(world, Execution(lookup=lookup), sample_ratio=1.0)[2:]]

    with on_cpu():
        wanted = sums()
    for found, cpus in zip(sums(), wanted, strict=True):
        np.testing.assert_array_equal(found[:, 41], cpus[:, 41])
        assert np.isfinite(found).all()


@pytest.mark.parametrize("method", ["fp32", "fp16", "int8", "mascot", "mascot-int8"])
def test_epochs_over_interactions_are_in_place_and_tell_the_host_nothing(method):
    values = {"method": method, "factors": 40, "objective": "interactions", "deterministic": False}
    plan = validate(TrainSettings, values | {"warmup": 0, "threshold": 0.01}).plan("gpu")
    world = with_interactions(make_world(40, count=5000, rows=(300, 200)))
    state = initial_state(np.asarray(world.users.starts), np.asarray(world.items.starts), plan)
    assert_in_place_and_silent(state, world.ratings, plan)


@pytest.mark.parametrize("method", ["fp32", "fp16", "mascot"])
def test_lists_of_planted_interactions_are_as_good_as_the_cpus(method):
    train, test = split(planted(users=2000, items=400))

    def ndcg(backend):
        model = MatrixFactorization(
            objective="interactions", method=method, factors=16, epochs=30, backend=backend
        ).fit(train)
        return model.evaluate(tuple(test.T))["ndcg"]

    assert ndcg("cuda") == pytest.approx(ndcg("cpu"), abs=0.02)


@pytest.fixture(scope="module")
def ml_1m(real_data):
    return read_ml_1m(real_data)


@pytest.mark.realdata
@pytest.mark.parametrize("order", ["shuffled", "runs"])
@pytest.mark.parametrize("method", ["fp32", "fp16", "mascot"])
def test_movielens_1m_is_learned_as_on_the_cpu(ml_1m, method, order):
    execution = Execution(len(os.sched_getaffinity(0)))

    def rmse():
        problem = make_fold(ml_1m).problem
        options = {"method": method, "order": order}
        settings = [validate(TrainSettings, options | {"seed": seed}) for seed in range(3)]
        return statistics.fmean(final_rmse(problem, s, execution) for s in settings)

    with on_cpu():
        wanted = rmse()
    assert rmse() == pytest.approx(wanted, abs=0.001)
