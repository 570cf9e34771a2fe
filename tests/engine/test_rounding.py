"""Stochastic rounding to float16: the values it gives, and that its draws are fair."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

from mascot_jax.engine.ratings import Ratings
from tests.engine.test_kernels import VARIANTS, run
from tests.support import reference
from tests.support.worlds import make_table, make_world

KEY = reference.stream_key(3, 2, 3)
TIMES = 200
HALVES = np.arange(65536, dtype=np.uint16).view(np.float16)


def store(values, variant="auto", side="users"):
    """What stores in float16 make of float32 values [n, k]: rating i rounds row i."""
    n, k = values.shape
    starts, ids = np.array([0, n]), jnp.arange(n, dtype=jnp.uint32)
    # With p = 0, q = v, a rating of 1 and a rate of 1 the new p is v, before the store.
    ones = jnp.ones(n, dtype=jnp.float32)
    half = make_table(np.zeros((n, k), np.float32), starts, np.array([1]))
    full = make_table(values, starts, np.array([0]))
    users, items = (half, full) if side == "users" else (full, half)
    world = make_world(1)._replace(ratings=Ratings(ids, ids, ones, n, n), users=users, items=items)
    users, items, *_ = run(world, variant, rates=(1.0, 0.0, 0.0), rounding="stochastic")
    stored = (users if side == "users" else items).stored["float16"]
    return np.asarray(stored)[:, :k]


def draws(n, k, side="users"):
    both = [reference.draws(KEY, i, k) for i in range(n)]
    return np.stack([d[side == "items"] for d in both])


@pytest.fixture(scope="module")
def edges():
    """Every float16, values between neighbours, and beyond both ends; float32 [n, 1]."""
    halves = np.unique(HALVES[np.isfinite(HALVES)].astype(np.float32))
    gaps = np.diff(halves)
    between = [halves[:-1] + gaps * np.float32(f) for f in (2.0**-13, 0.25, 0.5, 1 - 2.0**-13)]
    beyond = np.array(
        [65504.004, 65519.996, 65520, 1e30, 3.4e38, 1e-30, 1e-45, 2.0**-46], np.float32
    )
    zeros = np.array([0.0, -0.0], np.float32)
    return np.concatenate([halves, *between, beyond, -beyond, zeros]).astype(np.float32)[:, None]


@pytest.mark.parametrize("side", ["users", "items"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_store_is_that_of_the_reference(edges, variant, side):
    got = store(edges, variant, side)
    expected = reference.dithered(edges, draws(*edges.shape, side))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("k", [1, 16, 37, 128])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_chunk_of_all_kinds_of_values(edges, variant, k):
    mixed = np.random.default_rng(0).permutation(edges.ravel())
    values = np.ascontiguousarray(mixed[: 128 * 500].reshape(-1, 128)[:, :k])
    expected = reference.dithered(values, draws(*values.shape))
    np.testing.assert_array_equal(store(values, variant), expected)


def test_what_fits_stays_and_what_does_not_goes_to_a_neighbour(edges):
    halves = HALVES[np.isfinite(HALVES)].astype(np.float32)[:, None]
    np.testing.assert_array_equal(store(halves), halves)
    got = store(edges).astype(np.float64)
    inside = np.abs(edges) <= 65504
    exponents = np.frexp(np.maximum(np.abs(edges[inside]), 2.0**-14))[1] - 1
    assert (np.abs(got - edges)[inside] < np.ldexp(1.0, exponents - 10)).all()
    beyond = np.array([[65504.004], [65535.996], [65536], [-65536], [1e30], [-1e38]], np.float32)
    assert np.isin(store(beyond[:2]), [65504, np.inf]).all()
    assert store(beyond[2:]).ravel().tolist() == [np.inf, -np.inf, np.inf, -np.inf]
    assert np.isnan(store(np.array([[np.nan], [-np.nan]], np.float32))).all()


# float32 exponents of normal halves
@pytest.mark.parametrize("exponent", [-14, -13, -6, -3, 0, 1, 5, 14])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.hardening
def test_the_mean_of_ten_million_stores_is_the_value(exponent, sign):
    """Within 4 sigma, for values spread over one exponent's range; bits decided in int64."""
    n, k = 78_125, 128
    rng = np.random.default_rng(exponent + 100)
    low = 2.0**exponent
    values = (sign * rng.uniform(low, 2 * low, (n, k))).astype(np.float32)
    ulp = 2.0 ** (exponent - 10)
    share = np.abs(values).astype(np.float64) / ulp % 1
    errors = (store(values).astype(np.float64) - values) / ulp
    sigma = np.sqrt((share * (1 - share)).sum())
    assert abs(errors.sum()) < 4 * sigma
    # and for the value alone: one share of an ulp throughout
    value = np.float32(sign * (low + ulp * 0.3))
    up = np.abs(store(np.full((n, k), value)).astype(np.float64)) > abs(value)
    p = abs(float(value)) / ulp % 1
    assert abs(up.sum() - p * n * k) < 4 * np.sqrt(p * (1 - p) * n * k)


# float32 exponents of subnormal halves, and below the smallest
@pytest.mark.parametrize("exponent", [-30, -26, -25, -24, -22, -20, -17, -15])
def test_the_mean_of_stores_below_the_normal_range_is_within_half_a_step(exponent):
    """Within 2^-25 and 4 sigma, each of 16 values; a normal neighbour would be within 4 sigma."""
    n = 4_000
    values = np.linspace(1, 2, 16, endpoint=False, dtype=np.float32) * np.float32(2.0**exponent)
    errors = store(np.tile(values, (n, 1))).astype(np.float64) - values
    assert (np.abs(errors) <= 2.0**-25 + 2.0 ** (exponent - 10)).all()
    assert (np.abs(errors.mean(axis=0)) <= 2.0**-25 + 4 * errors.std(axis=0) / np.sqrt(n)).all()


@pytest.fixture(scope="module")
def ups():
    """Whether each of 40 000 x 256 stores on each side went up at a share of one half: +1 or -1."""
    value = np.full((40_000, 256), 1 + 2.0**-11, np.float32)
    return {s: np.where(store(value, side=s) > 1, 1.0, -1.0) for s in ("users", "items")}


def assert_uncorrelated(a, b):
    assert abs((a * b).mean()) < 4.5 / np.sqrt(a.size)


def test_consecutive_ratings_and_the_two_sides_are_uncorrelated(ups):
    for lag in (1, 2, 3, 4, 8, 16, 256, 1024):
        assert_uncorrelated(ups["users"][lag:], ups["users"][:-lag])
        assert_uncorrelated(ups["items"][lag:], ups["items"][:-lag])
    assert_uncorrelated(ups["users"], ups["items"])
    assert_uncorrelated(ups["users"][1:], ups["items"][:-1])


@pytest.mark.parametrize("side", ["users", "items"])
def test_components_are_uncorrelated(ups, side):
    x = ups[side]
    correlation = x.T @ x / len(x)
    pairs = correlation[np.triu_indices(256, 1)] * np.sqrt(len(x))
    assert np.abs(pairs).max() < 5.5  # of 32 640 normal numbers: 4.2 expected
    assert abs(np.square(pairs).mean() - 1) < 4 * np.sqrt(2 / len(pairs))


def test_draws_are_uniform_and_independent_bits():
    words = np.concatenate([np.stack(reference.draws(KEY, i, 256)) for i in range(2000)])
    counts = np.bincount((words >> 24).ravel(), minlength=256)
    chi2 = np.square(counts - words.size / 256).sum() / (words.size / 256)
    assert abs(chi2 - 255) < 4 * np.sqrt(2 * 255)
    bits = [np.where(words >> b & 1, 1.0, -1.0) for b in range(19, 32)]
    for a, b in itertools.combinations(bits, 2):
        assert_uncorrelated(a, b)


def test_draws_differ_between_epochs_and_seeds():
    keys = [reference.stream_key(s, e, 3) for s in range(3) for e in range(3)]
    assert len({reference.draws(key, 0, 16)[0].tobytes() for key in keys}) == 9
