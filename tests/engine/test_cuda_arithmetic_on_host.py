"""The CUDA kernels of other arithmetic than float32, compiled for the host, against NumPy."""

import numpy as np
import pytest

from tests.support import cuda_reference, reference
from tests.support.cuda_on_host import (
    HostWorld,
    assert_factors,
    diagonal_world,
    half_arithmetic,
    in_runs,
    make_world,
    quantise,
)

FACTORS = [1, 31, 64, 100, 128, 200, 256]
RATES = (0.05, 0.01, 0.015)
SEED, EPOCH = 3, 2
OVERFLOWING = 20_000
"""A loss scale with which errors above 3.28 are too large for float16."""

STORAGE = {"float16": "float16", "mixed": "float32", "fixed": "float32"}
CASES = [("float16", 0), ("mixed", 1000), *(("fixed", bits) for bits in (8, 12, 14, 16))]
cases = pytest.mark.parametrize(("arithmetic", "quantiser"), CASES)
writes = pytest.mark.parametrize("store", [False, True], ids=["add", "store"])


def run(library, world, factors, arithmetic, quantiser, store=False, **options):
    host = HostWorld(library, world, factors)
    host.update_by_arithmetic(arithmetic, quantiser, RATES, SEED, EPOCH, store=store, **options)
    return host


def expected(host, world, arithmetic, quantiser, store=False, ratings=slice(None)):
    """Factors after an epoch of one warp, and what each rating was computed from, in NumPy."""
    p, q = world.p.copy(), world.q.copy()
    details = cuda_reference.epoch(
        world.user_rows[ratings], world.item_rows[ratings], world.values[ratings], p, q,
        (host.users.row_codes, host.items.row_codes), RATES, store,
        arithmetic=arithmetic, quantiser=quantiser,
    )  # fmt: skip
    return p, q, details


@cases
@writes
@pytest.mark.parametrize("factors", FACTORS)
def test_a_warp_does_what_numpy_does_bit_for_bit(library, factors, store, arithmetic, quantiser):
    world = make_world(factors, STORAGE[arithmetic], count=61)
    host = run(library, world, factors, arithmetic, quantiser, store)
    assert_factors(host, *expected(host, world, arithmetic, quantiser, store)[:2])


@cases
@writes
def test_one_rating_is_updated_alone(library, store, arithmetic, quantiser):
    world = make_world(100, STORAGE[arithmetic], count=1)
    host = run(library, world, 100, arithmetic, quantiser, store)
    p, q, _ = expected(host, world, arithmetic, quantiser, store)
    assert_factors(host, p, q)
    assert (p != world.p).any(axis=1).sum() == 1


@cases
@writes
@pytest.mark.parametrize("lengths", [[64], [3, 8, 1, 8, 8]], ids=str)
def test_a_runs_user_is_read_and_written_once(library, lengths, store, arithmetic, quantiser):
    world = in_runs(make_world(100, STORAGE[arithmetic], count=64), lengths)
    host = run(library, world, 100, arithmetic, quantiser, store)
    assert_factors(host, *expected(host, world, arithmetic, quantiser, store)[:2])


@cases
def test_blocks_share_the_ratings(library, arithmetic, quantiser):
    world = diagonal_world(33, STORAGE[arithmetic], 700)
    host = run(library, world, 33, arithmetic, quantiser, grid=3)
    p, q = world.p.copy(), world.q.copy()
    for i in range(len(world.values)):
        one = slice(i, i + 1)
        new_p, new_q, _ = expected(host, world, arithmetic, quantiser, ratings=one)
        p[world.user_rows[i]], q[world.item_rows[i]] = (
            new_p[world.user_rows[i]],
            new_q[world.item_rows[i]],
        )
    assert_factors(host, p, q)


@cases
@pytest.mark.parametrize("factors", [1, 31, 128])
def test_other_tables_and_padding_stay_untouched(library, factors, arithmetic, quantiser):
    world = make_world(factors, STORAGE[arithmetic], count=64)
    host = HostWorld(library, world, factors)
    before = [{n: t.copy() for n, t in side.tables.items()} for side in (host.users, host.items)]
    host.update_by_arithmetic(arithmetic, quantiser, RATES, SEED, EPOCH)
    for side, old in zip((host.users, host.items), before, strict=True):
        for name, table in side.tables.items():
            if name == STORAGE[arithmetic]:
                np.testing.assert_array_equal(table[:, factors:], 0)
            else:
                np.testing.assert_array_equal(table, old[name])


@writes
@pytest.mark.parametrize("lengths", [[1], [8]], ids=str)
def test_a_rating_whose_scaled_error_overflows_is_skipped(library, lengths, store):
    world = in_runs(make_world(100, "float32", count=64), lengths)
    host = run(library, world, 100, "mixed", OVERFLOWING, store)
    p, q, details = expected(host, world, "mixed", OVERFLOWING, store)
    errors = np.array([abs(error) for _, _, error in details.values()])
    assert 5 < (errors * OVERFLOWING > 65520).sum() < 59
    assert np.isfinite(p).all()
    assert np.isfinite(q).all()
    assert_factors(host, p, q)


@writes
def test_nothing_changes_where_all_are_skipped(library, store):
    world = make_world(100, "float32", count=61)
    host = run(library, world, 100, "mixed", 1e30, store)
    assert_factors(host, world.p, world.q)


@writes
@pytest.mark.parametrize("factors", [1, 100, 256])
@pytest.mark.parametrize("bits", [24, 32])
def test_a_full_word_is_float32(library, bits, factors, store):
    world = in_runs(make_world(factors, "float32", count=61), [1, 5, 2])
    host = run(library, world, factors, "fixed", bits, store)
    plain = HostWorld(library, world, factors)
    plain.update(RATES, SEED, EPOCH, store=store)
    assert_factors(host, plain.users.live_rows(), plain.items.live_rows())


def test_fewer_bits_than_a_full_word_are_not_float32(library):
    world = make_world(100, "float32", count=61)
    fixed, full = (run(library, world, 100, "fixed", bits).users.live_rows() for bits in (23, 24))
    assert (fixed != full).any()
    np.testing.assert_allclose(fixed, full, atol=1e-5)


@pytest.mark.parametrize("bits", range(2, 24))
def test_a_resolution_is_the_smallest_that_suits_the_word(library, bits):
    rng = np.random.default_rng(bits)
    most = np.float32(2 ** (bits - 1) - 1)
    scales = np.ldexp(np.float32(1), np.arange(-90, 90, 17))
    edges = np.concatenate([most * scales, scales, np.float32(2) * most * scales])
    largest = np.concatenate(
        [
            edges, np.nextafter(edges, np.float32(np.inf)), np.nextafter(edges, np.float32(0)),
            np.exp(rng.normal(0, 10, 50)).astype(np.float32),
            [0, 2.0**-149, 2.0**-101, 2.0**-100, np.nextafter(np.float32(2.0**-100), 0)],
        ],
        dtype=np.float32,
    )  # fmt: skip
    for share in (1, -1, *rng.uniform(-1, 1, 3)):
        values = (largest * np.float32(share)).astype(np.float32)
        wanted = [reference.fixed(v, m, bits) for v, m in zip(values, largest, strict=True)]
        np.testing.assert_array_equal(quantise(library, values, largest, bits), wanted)


def test_ties_are_rounded_to_even_steps(library):
    steps = np.arange(-7, 8, dtype=np.float32) / 2
    got = quantise(library, steps, np.full_like(steps, 100), 8)
    np.testing.assert_array_equal(got, np.rint(steps))


def test_operations_on_halves_round_once(library):
    bits = np.random.default_rng(0).integers(0, 1 << 16, (3, 40_000)).astype(np.uint16)
    # Next to a tie between float16 numbers by less than float32 can tell.
    near_tie = np.array([[1 + 2.0**-5], [1 + 2.0**-6], [2.0**-24]], dtype=np.float16)
    ordinary = np.random.default_rng(1).normal(0, 1, (3, 40_000)).astype(np.float16)
    a, b, c = np.concatenate([bits.view(np.float16), ordinary, near_tie, near_tie], axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        wanted = np.stack([a + b, a - b, a * b, cuda_reference.half_fma(a, b, c)])
    got = half_arithmetic(library, *map(np.ascontiguousarray, (a, b, c)))
    np.testing.assert_array_equal(got, wanted)
