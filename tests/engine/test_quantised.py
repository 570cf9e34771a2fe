"""Updates computed in fewer bits, as the methods that the paper compares with do."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import mascot_ffi
import numpy as np
import pytest

from mascot_jax.engine import kernels
from mascot_jax.engine.kernels import Execution
from tests.support import reference
from tests.support.worlds import RATES, live_rows, make_world, visit

VARIANTS = mascot_ffi.build_info()["instruction_sets"]
STORAGE = {"float16": "float16", "mixed": "float32", "fixed": "float32"}
CASES = [("float16", 0), ("mixed", 1000), ("mixed", 1), *(("fixed", b) for b in (2, 8, 12, 14, 16))]


def sgd(world, arithmetic, quantiser, rates=RATES):
    """NumPy's rows after the epoch that ``visit`` makes with one thread."""
    p, q = world.p.copy(), world.q.copy()
    count = len(world.values)
    update = reference.QUANTISED[arithmetic]
    for begin, end in reference.shuffled_pieces(3, 2, kernels.block_size(count), count):
        for i in range(begin, end):
            u, v = world.user_rows[i], world.item_rows[i]
            p[u], q[v] = update(p[u], q[v], world.values[i], rates, quantiser)
    return p, q


def assert_as_in_numpy(world, arithmetic, quantiser, variant="auto"):
    p, q = sgd(world, arithmetic, quantiser)
    execution = Execution(1, variant)
    users, items, *sums = visit(world, execution, arithmetic=arithmetic, quantiser=quantiser)
    np.testing.assert_array_equal(live_rows(users), p)
    np.testing.assert_array_equal(live_rows(items), q)
    assert not any(np.asarray(side).any() for side in sums)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("arithmetic", "quantiser"), CASES)
@pytest.mark.parametrize("factors", [1, 31, 64, 128, 200, 256])
def test_one_thread_is_numpy_bit_for_bit(factors, arithmetic, quantiser, variant):
    world = make_world(factors, STORAGE[arithmetic], count=100)
    assert_as_in_numpy(world, arithmetic, quantiser, variant)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("bits", [24, 32])
def test_long_words_round_nothing(bits, variant):
    plain, fixed = (make_world(64, "float32") for _ in range(2))
    execution = Execution(1, variant)
    expected = visit(plain, execution)
    found = visit(fixed, execution, arithmetic="fixed", quantiser=bits)
    for side, same in zip(expected[:2], found[:2], strict=True):
        np.testing.assert_array_equal(live_rows(side), live_rows(same))


def test_what_the_loss_scale_makes_overflow_is_left_out():
    world = make_world(16, "float32", count=1)
    before = live_rows(world.users), live_rows(world.items)
    after = visit(world, arithmetic="mixed", quantiser=1e6)
    for side, rows in zip(after[:2], before, strict=True):
        np.testing.assert_array_equal(live_rows(side), rows)


@pytest.mark.parametrize("bits", [2, 8, 16])
@pytest.mark.parametrize("variant", VARIANTS)
def test_magnitudes_at_the_edge_of_a_resolution(bits, variant):
    """Largest magnitudes that just take, and just do not take, the most steps; zeros; tiny ones."""
    just = np.float32(0.5 - 2.0**-bits)  # 2^(bits - 1) - 1 steps
    edges = [just, np.nextafter(just, np.float32(1)), 0, 1e-35]
    world = make_world(8, "float32", count=40, rows=(4, 4), groups=1)
    rows = np.float32(edges)[:, None] * np.linspace(-1, 1, 8, dtype=np.float32)
    users, items = (
        replace(side, stored=dict(side.stored, float32=side.stored["float32"].at[:, :8].set(rows)))
        for side in (world.users, world.items)
    )
    world = world._replace(users=users, items=items, p=rows.copy(), q=rows.copy())
    assert_as_in_numpy(world, "fixed", bits, variant)


@pytest.mark.parametrize(
    ("codes", "arithmetic", "quantiser", "message"),
    [
        ("float32", "float16", 0, "all rows in float16"),
        ("mixed", "float16", 0, "all rows in float16"),
        ("float16", "mixed", 1000, "all rows in float32"),
        ("mixed", "fixed", 8, "all rows in float32"),
        ("float32", "mixed", 0, "loss scale must be positive"),
        ("float32", "fixed", 1, "between 2 and 32 bits"),
        ("float32", "fixed", 33, "between 2 and 32 bits"),
        ("float32", "double", 0, "'double' is not one of float32, float16, mixed, fixed"),
    ],
)
def test_what_cannot_be_computed_is_refused(codes, arithmetic, quantiser, message):
    world = make_world(8, codes)
    with pytest.raises(jax.errors.JaxRuntimeError, match=message):
        jax.block_until_ready(visit(world, arithmetic=arithmetic, quantiser=quantiser))


def test_nothing_is_sampled():
    world = make_world(8, "float32")
    with pytest.raises(jax.errors.JaxRuntimeError, match="nothing can be sampled"):
        jax.block_until_ready(
            visit(world, arithmetic="fixed", quantiser=8, sample_ratio=jnp.float32(0.5))
        )


@pytest.mark.parametrize("lookup", ["search", "per-row"])
@pytest.mark.parametrize("codes", ["float16", "all"])
def test_every_lookup_finds_the_same_storages(lookup, codes):
    """A wrong storage would read a canary."""
    direct, other = (make_world(33, codes, count=600) for _ in range(2))
    expected = visit(direct, Execution(1), sample_ratio=0.3)
    found = visit(other, Execution(1, lookup=lookup), sample_ratio=0.3)
    for side, same in zip(expected[:2], found[:2], strict=True):
        np.testing.assert_array_equal(live_rows(side), live_rows(same))
    for sums, same in zip(expected[2:], found[2:], strict=True):
        np.testing.assert_array_equal(sums, same)


def test_an_unknown_lookup_is_refused():
    with pytest.raises(jax.errors.JaxRuntimeError, match="'hash' is not one of direct, search"):
        jax.block_until_ready(visit(make_world(8), Execution(1, lookup="hash")))
