"""What the CUDA module's handlers check before they ask for the device: no GPU is needed to refuse.

They are registered for the CPU under other names. A call that they accept then fails at the first
thing that only a GPU has, XLA's stream.
"""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import mascot_ffi
import numpy as np
import pytest

from mascot_jax.engine import early_exit, embedding, kernels
from mascot_jax.engine.embedding import ROW_FORMATS, EmbeddingTables
from mascot_jax.engine.kernels import Execution
from mascot_jax.settings import TrainSettings, validate
from tests.support.interactions import laid_out_for_a_gpu
from tests.support.worlds import ONE, make_world, only

ACCEPTED = "platform stream"


@pytest.fixture(autouse=True)
def cuda_handlers(monkeypatch):
    capsules = mascot_ffi.registrations().get("CUDA")
    if capsules is None:
        pytest.skip("the native module was built without CUDA")
    for name, capsule in capsules.items():
        jax.ffi.register_ffi_target(f"cuda_{name}", capsule, platform="cpu")
    call = jax.ffi.ffi_call

    def of_cuda(name, *arguments, **options):  # but what lays ratings out is the CPU's
        return call(f"cuda_{name}" if name in capsules else name, *arguments, **options)

    monkeypatch.setattr(jax.ffi, "ffi_call", of_cuda)


def fails(message, function, *args, **kwargs):
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        jax.block_until_ready(jax.jit(partial(function, **kwargs))(*args))


def run_pass(function, world, message, execution=ONE, thresholds=(), **options):
    rates = jnp.array([0.01, 0.01, 0.015, 0, 8, *thresholds], dtype=jnp.float32)
    counters = jnp.array([0, 0], dtype=jnp.uint32)
    fails(
        message, function, world.ratings, world.users, world.items, rates, counters,
        execution=execution, **options,
    )  # fmt: skip


def predict(world, message, execution=ONE):
    fails(
        message, kernels.predict, world.ratings.users, world.ratings.items, world.users,
        world.items, execution=execution,
    )  # fmt: skip


BAD_WORLDS = {
    "padded to a multiple of 64 bytes": lambda w: w._replace(
        users=replace(w.users, stored={k: t[:, :8] for k, t in w.users.stored.items()})
    ),
    "one start more than codes": lambda w: w._replace(
        items=replace(w.items, starts=w.items.starts[:-1])
    ),
    "must be float32, ": lambda w: w._replace(
        users=replace(w.users, stored={"float32": w.users.stored["float32"].astype(jnp.int32)})
    ),
    "at most 65536 groups": lambda w: w._replace(
        users=replace(
            w.users,
            starts=jnp.zeros(70_001, dtype=jnp.uint32),
            codes=jnp.zeros(70_000, dtype=jnp.uint8),
        )
    ),
}

BAD_EXECUTIONS = {
    "lookup 'guess' is not one of direct, search, per-row": Execution(lookup="guess"),
    "writes 'maybe' is not one of add, store": Execution(writes="maybe"),
}


@pytest.mark.parametrize("target", [kernels.run_epoch, kernels.run_stream])
def test_a_good_pass_is_accepted(target):
    run_pass(target, make_world(33), ACCEPTED)


@pytest.mark.parametrize("message", BAD_WORLDS)
@pytest.mark.parametrize("target", [kernels.run_epoch, kernels.run_stream])
def test_a_bad_pass_is_refused(target, message):
    run_pass(target, BAD_WORLDS[message](make_world(33)), message)


@pytest.mark.parametrize("message", BAD_EXECUTIONS)
def test_an_unknown_variant_is_refused(message):
    run_pass(kernels.run_epoch, make_world(33), message, BAD_EXECUTIONS[message])


@pytest.mark.parametrize("codes", ["int8", "all", "mixed"])
def test_rows_in_every_storage_are_accepted(codes):
    run_pass(kernels.run_epoch, make_world(33, codes), ACCEPTED)


def test_int8_rows_too_long_for_registers_are_not_trained():
    world = make_world(300, "all", count=3)
    run_pass(kernels.run_epoch, world, "at most 256 factors, not 300")
    run_pass(kernels.run_stream, world, ACCEPTED)
    world = world._replace(users=only(world.users, "float32"), items=only(world.items, "float16"))
    run_pass(kernels.run_epoch, world, ACCEPTED)


def with_interactions(world):
    """The world over interactions, laid out as a GPU has them."""
    pairs = np.unique(np.stack([world.user_rows, world.item_rows], axis=1), axis=0)
    plan = validate(TrainSettings, {"objective": "interactions"}).plan("gpu")
    starts = (np.asarray(side.starts) for side in (world.users, world.items))
    return world._replace(ratings=laid_out_for_a_gpu(*pairs.T, plan, *starts))


def of_negatives(**changes):
    """What replaces some of a world's negatives."""
    return lambda ratings: {"negatives": replace(ratings.negatives, **changes)}


BAD_INTERACTIONS = {
    "one block for each pair of ranges": lambda ratings: {
        "strata": ratings.strata._replace(begin=ratings.strata.begin[1:])
    },
    "conflict_free must be false": lambda ratings: {"conflict_free": True},
    "user_draws must have one element per user": of_negatives(user_draws=jnp.zeros(3)),
    "item_weights must have one element per item": of_negatives(
        item_weights=jnp.zeros(3, jnp.uint32)
    ),
    "negative_weight must be one number": of_negatives(weight=jnp.zeros(2)),
    "loss 'cubic' is not one of squared, logistic": of_negatives(loss="cubic"),
}


@pytest.mark.parametrize("codes", ["float32", "all"])
def test_interactions_are_accepted(codes):
    run_pass(kernels.run_epoch, with_interactions(make_world(33, codes)), ACCEPTED)


@pytest.mark.parametrize("message", BAD_INTERACTIONS)
def test_bad_interactions_are_refused(message):
    world = with_interactions(make_world(33))
    changes = BAD_INTERACTIONS[message](world.ratings)
    world = world._replace(ratings=replace(world.ratings, **changes))
    run_pass(kernels.run_epoch, world, message)


def test_interactions_of_rows_too_long_or_in_other_arithmetic_are_refused():
    long = with_interactions(make_world(300, "all", count=30))
    run_pass(kernels.run_epoch, long, "at most 256 factors, not 300")
    mixed = with_interactions(make_world(33, "float32").only("float32"))
    run_pass(kernels.run_epoch, mixed, "need the arithmetic float32", arithmetic="mixed")


ROWS_IN = {"float16": "float16", "mixed": "float32", "fixed": "float32"}
"""Arithmetic -> the storage of its rows."""


@pytest.mark.parametrize("arithmetic", ROWS_IN)
def test_an_arithmetic_takes_rows_of_its_storage_only(arithmetic):
    wanted = ROWS_IN[arithmetic]
    other = "float32" if wanted == "float16" else "float16"
    compute = partial(run_pass, kernels.run_epoch, arithmetic=arithmetic)
    world = make_world(33, wanted).only(wanted)
    compute(world, ACCEPTED)
    refused = f"needs all rows in {wanted}"
    compute(make_world(33, wanted), refused)  # others might be met, as far as the host can see
    compute(world._replace(items=make_world(33, other).only(other).items), refused)


@pytest.mark.parametrize("arithmetic", ROWS_IN)
def test_an_arithmetic_holds_rows_in_registers(arithmetic):
    wanted = ROWS_IN[arithmetic]
    compute = partial(run_pass, kernels.run_epoch, arithmetic=arithmetic)
    for factors, message in ((256, ACCEPTED), (257, "for at most 256 factors, not 257")):
        compute(make_world(factors, wanted, count=3).only(wanted), message)


@pytest.mark.parametrize("codes", ["float32", "float16", "mixed"])
def test_updates_of_unscaled_rows_may_end_early(codes):
    world = make_world(300, codes, count=3).only("float32", "float16")
    run_pass(kernels.run_epoch, world, ACCEPTED, thresholds=(0.1, 0.2))


def test_updates_that_cannot_end_early_are_refused():
    message = "of float32 and float16 rows early, not of int8"
    run_pass(kernels.run_epoch, make_world(33, "float32"), message, thresholds=(0.1, 0.2))
    halves = make_world(33, "float16").only("float16")
    message = "updates end early in float32 arithmetic only"
    run_pass(kernels.run_epoch, halves, message, arithmetic="float16", thresholds=(0.1, 0.2))
    run_pass(kernels.run_epoch, halves, "rates must hold 5 values", thresholds=(0.1,))


def test_an_unknown_arithmetic_is_refused():
    run_pass(
        kernels.run_epoch, make_world(33), "arithmetic 'decimal' is not one of float32, float16",
        arithmetic="decimal",
    )  # fmt: skip


def test_a_scale_spans_a_power_of_two_or_the_row(monkeypatch):
    def row(factors, block):
        shape = {"factors": np.int64(factors), "scale_block": np.int64(block)}
        monkeypatch.setattr(kernels, "row_layout", lambda *_: shape)

    world = make_world(33, "float32")
    for block in (16, 32, 48, 1 << 20):  # 48 span the row
        row(33, block)
        run_pass(kernels.run_epoch, world._replace(users=only(world.users, "float32")), ACCEPTED)
    long = make_world(100, "float32", count=3)
    row(100, 48)
    run_pass(kernels.run_epoch, long, "must be a power of two on a GPU")


def test_predictions_are_checked():
    world = make_world(33)
    predict(world, ACCEPTED)
    predict(BAD_WORLDS["one start more than codes"](world), "one start more than codes")
    predict(world, "lookup 'guess' is not one of", Execution(lookup="guess"))


@pytest.mark.parametrize(("count", "message"), [(2, ACCEPTED), (3, "there must be 2 thresholds")])
def test_predictions_that_end_early_are_checked(count, message):
    world = make_world(33)
    fails(
        message, early_exit.predict_to_stop, world.ratings.users, world.ratings.items, world.users,
        world.items, jnp.zeros(count), execution=ONE,
    )  # fmt: skip


def test_promotion_is_checked():
    side = make_world(33).users
    promote = partial(kernels.promote, execution=ONE)
    fails(ACCEPTED, promote, side, side.codes)
    fails("new codes must be as many as the old", promote, side, side.codes[1:])
    fails("between need tables", promote, only(side, "float16"), side.codes)


def test_the_check_of_factors_is_checked():
    side = make_world(33).users
    check = partial(kernels.check_finite, execution=ONE)
    fails(ACCEPTED, check, side)
    fails("one start more than codes", check, replace(side, starts=side.starts[1:]))


# ---- tables of click models


@pytest.fixture
def on_cuda(monkeypatch):
    """Take the GPU's branch where a program differs."""
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *args, cpu, cuda: cuda(*args))


def click_tables(storage="int4-row", dimension=16, elements=None, wide="float32"):
    row, wide_row = ROW_FORMATS[storage], ROW_FORMATS[wide]
    narrow = jnp.zeros((60, elements or row.elements(dimension)), row.dtype)
    wide_rows = jnp.zeros((20, wide_row.elements(dimension)), wide_row.dtype)
    return EmbeddingTables(wide_rows, narrow, storage, wide)


ROWS = jnp.zeros((5, 3), jnp.uint32)


def look_up(message, tables, scales=3, levels=0):
    given = tables, ROWS, jnp.zeros(scales)
    fails(message, embedding.look_up, *given, levels=levels, execution=ONE)


def update(message, tables, shape=(5, 3, 16), counters=2):
    given = tables, ROWS, jnp.zeros(shape), jnp.float32(0.1), jnp.zeros(counters, jnp.uint32)
    fails(message, embedding.update, *given, execution=ONE)


def test_lookups_are_checked():
    for storage in ROW_FORMATS:
        look_up(ACCEPTED, click_tables(storage))
        look_up(ACCEPTED, click_tables(wide=storage))
    tables = click_tables()
    look_up(ACCEPTED, click_tables(dimension=1024), levels=127)
    look_up("a scale for each field", tables, scales=2)
    look_up("levels must lie between 0 and 127", tables, levels=128)
    look_up("must be a multiple of 16 up to 1024, not 24", click_tables(dimension=24))
    look_up("have 10 elements, not 17", click_tables(elements=17))
    look_up("storage 'int5' is not one of", replace(tables, narrow_storage="int5"))
    look_up("in float16 has another element type", replace(tables, wide_storage="float16"))


def test_updates_of_clicks_are_checked(on_cuda):
    for storage in ("float32", "float16", "int8-row", "int4-row"):
        update(ACCEPTED, click_tables(storage))
        update(ACCEPTED, click_tables(wide=storage))
    tables = click_tables()
    update("a row and a place for each gradient", tables, (4, 3, 16))
    update("rows in float32 of dimension 32 have 32 elements, not 16", tables, (5, 3, 32))
    update("there must be two counters", tables, counters=3)
    update("int4-table is only looked up", click_tables("int4-table"))
    update("int4-table is only looked up", click_tables(wide="int4-table"))


def test_sums_of_equal_rows_are_checked(on_cuda):
    coalesce = partial(embedding.coalesce, execution=ONE)
    fails(ACCEPTED, coalesce, ROWS, jnp.zeros((5, 3, 32)))
    fails("must be a multiple of 16", coalesce, ROWS, jnp.zeros((5, 3, 8)))
    fails("a row and a place for each gradient", coalesce, ROWS, jnp.zeros((5, 4, 32)))


def test_rows_to_store_are_checked():
    narrow, counters = click_tables().narrow, jnp.zeros(2, jnp.uint32)

    def store(message, values, storage="int4-row", counters=counters):
        function = embedding.store.__wrapped__
        fails(message, partial(function, storage=storage, execution=ONE), narrow, values, counters)

    store(ACCEPTED, jnp.zeros((60, 16)))
    store("there are more rows than the table has", jnp.zeros((61, 16)))
    store("there must be two counters", jnp.zeros((5, 16)), counters=counters[:1])
    store("int4-table is only looked up", jnp.zeros((5, 16)), "int4-table")
    store("have 18 elements, not 10", jnp.zeros((5, 32)))
