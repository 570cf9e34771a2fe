"""Joint principal axes and projected rows: NumPy's, and the same bits everywhere."""

import dataclasses
import math

import jax.numpy as jnp
import numpy as np
import pytest
from jax.errors import JaxRuntimeError

from mascot_jax.engine import projection
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import make_ratings
from mascot_jax.tables.storage import STORAGES
from tests.engine.test_kernels import VARIANTS
from tests.support import reference
from tests.support.worlds import ONE, UNSCALED, live_rows, make_table, make_world, row_codes

SEED, EPOCH = 3, 7
COUNTERS = jnp.uint32(SEED), jnp.uint32(EPOCH)


def basis_of(world, kept, execution=ONE):
    tables = world.users, world.items
    found = projection.joint_basis(world.ratings, *tables, kept=kept, execution=execution)
    return np.asarray(found)


def projected(table, basis, rounding="nearest", of_items=False, execution=ONE):
    return projection.project(
        table,
        jnp.asarray(basis),
        *COUNTERS,
        of_items=of_items,
        rounding=rounding,
        execution=execution,
    )


def moments(rows, of_ratings):
    """Second moments float64 [k, k] of float32 rows, by their numbers of ratings, of trace 1."""
    weights = np.bincount(of_ratings, minlength=len(rows)).astype(np.float64)
    rows = rows.astype(np.float64)
    found = (rows * weights[:, None]).T @ rows
    return found / np.trace(found)


def axes_of(world, kept):
    """The joint principal axes, float64 [k, kept], and all eigenvalues."""
    joint = moments(world.p, world.user_rows) + moments(world.q, world.item_rows)
    values, vectors = np.linalg.eigh(joint)
    largest = np.abs(vectors).argmax(axis=0)
    vectors *= np.sign(vectors[largest, np.arange(len(vectors))])
    return vectors[:, ::-1][:, :kept], values[::-1]


def mixing(n):
    """The discrete cosine transform's orthogonal matrix [n, n]: axes to columns."""
    axis, column = np.mgrid[:n, :n]
    scale = np.where(axis == 0, math.sqrt(1 / n), math.sqrt(2 / n))
    return scale * np.cos(np.pi * (2 * column + 1) * axis / (2 * n))


@pytest.fixture(scope="module")
def uneven():
    """A world whose factors differ in their size, so that its axes are no matter of chance."""
    world = make_world(20, "float32", count=4000, rows=(1400, 150), seed=4)
    sizes = np.geomspace(1, 0.05, 20).astype(np.float32)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 20)))
    p, q = ((rows * sizes) @ turn.astype(np.float32) for rows in (world.p, world.q))
    starts = np.asarray(world.users.starts), np.asarray(world.items.starts)
    users, items = (
        make_table(rows, s, np.zeros(len(s) - 1, np.uint8))
        for rows, s in zip((p, q), starts, strict=True)
    )
    return world._replace(users=users, items=items, p=p, q=q).only("float32")


@pytest.mark.parametrize("kept", [1, 7, 16, 20])
def test_the_basis_is_the_mixed_principal_axes(uneven, kept):
    axes, values = axes_of(uneven, kept)
    assert (np.diff(values) < -1e-4).all()  # far enough apart to tell the axes
    np.testing.assert_allclose(basis_of(uneven, kept), axes @ mixing(kept), atol=2e-4)


@pytest.mark.parametrize(("factors", "kept"), [(1, 1), (33, 17), (130, 96)])
def test_the_basis_is_orthonormal_and_spans_the_principal_axes(factors, kept):
    world = make_world(factors, "all", count=2000, rows=(300, 200))
    basis = basis_of(world, kept).astype(np.float64)
    np.testing.assert_allclose(basis.T @ basis, np.eye(kept), atol=1e-6)
    joint = moments(world.p, world.user_rows) + moments(world.q, world.item_rows)
    _, values = axes_of(world, kept)
    assert np.trace(basis.T @ joint @ basis) == pytest.approx(values[:kept].sum(), rel=1e-6)


def test_rows_weigh_as_much_as_they_have_ratings(uneven):
    """A direction of rows without ratings does not count, however large the rows are."""
    p = uneven.p.copy()
    unrated = np.bincount(uneven.user_rows, minlength=len(p)) == 0
    assert unrated.any()
    p[unrated] = 100
    starts = np.asarray(uneven.users.starts)
    users = make_table(p, starts, np.zeros(len(starts) - 1, np.uint8))
    other = uneven._replace(users=users).only("float32")
    np.testing.assert_array_equal(basis_of(other, 8), basis_of(uneven, 8))


def padded(world):
    """The same with arrays that are longer than what they hold."""
    ratings = world.ratings
    longer = dataclasses.replace(
        ratings,
        users=np.append(ratings.users, np.zeros(500, np.uint32)),
        items=np.append(ratings.items, np.zeros(500, np.uint32)),
        ratings=np.append(ratings.ratings, np.zeros(500, np.float32)),
        extent=jnp.array([4000, 0, 0, 0], jnp.uint32),
    )
    return world._replace(ratings=longer)


def test_places_behind_the_ratings_do_not_count(uneven):
    np.testing.assert_array_equal(basis_of(padded(uneven), 8), basis_of(uneven, 8))


def reference_rows(rows, basis, codes, rounding, first, block):
    """Rows times the basis, as the kernel adds up and stores them."""
    (factors, kept), width = basis.shape, -(-len(basis) // 4) * 4
    rows = np.pad(rows, [(0, 0), (0, width - factors)])
    basis = np.pad(basis, [(0, width - factors), (0, 0)])
    partial_sums = [np.zeros((len(rows), kept), np.float32) for _ in range(4)]
    for d in range(width):
        partial_sums[d % 4] = reference.fma(rows[:, d, None], basis[d], partial_sums[d % 4])
    exact = (partial_sums[0] + partial_sums[2]) + (partial_sums[1] + partial_sums[3])
    key = reference.stream_key(SEED, EPOCH, 10)
    out = np.empty_like(exact)
    for r, row in enumerate(exact):
        draw = reference.draws(key, first + r, kept)[0] if rounding == "stochastic" else None
        out[r] = reference.stored(row, codes[r], draw, block)
    return out


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
@pytest.mark.parametrize("of_items", [False, True])
@pytest.mark.parametrize(("factors", "kept"), [(20, 7), (70, 64)])
def test_rows_are_numpys_bit_for_bit(factors, kept, of_items, rounding, variant):
    world = make_world(factors, "all", rows=(40, 30))
    basis = basis_of(world, kept)
    table, rows = (world.items, world.q) if of_items else (world.users, world.p)
    wanted = reference_rows(rows, basis, row_codes(table), rounding, of_items << 32, block=32)
    new = projected(table, basis, rounding, of_items, Execution(1, variant))
    np.testing.assert_array_equal(live_rows(new), wanted)
    assert new.factors == kept
    np.testing.assert_array_equal(new.codes, table.codes)
    np.testing.assert_array_equal(live_rows(table), rows)  # which is as it was
    for storage in map(STORAGES.get, UNSCALED):
        live = row_codes(table) == storage.code
        assert not np.asarray(new.stored[storage.name])[live, kept:].any()  # padding


def test_threads_and_instruction_sets_change_no_bit():
    world = make_world(70, "all", count=5000, rows=(2500, 1100))
    found = {
        basis_of(world, 48, Execution(threads, variant)).tobytes()
        for threads in (1, 2, 3, 9)
        for variant in VARIANTS
    }
    assert len(found) == 1
    basis = basis_of(world, 48)
    tables = {
        live_rows(projected(world.users, basis, "stochastic", execution=Execution(n))).tobytes()
        for n in (1, 2, 5)
    }
    assert len(tables) == 1


def predictions(p, q):
    return p.astype(np.float64) @ q.astype(np.float64).T


@pytest.mark.parametrize("factors", [13, 64])
def test_all_factors_kept_keep_predictions(factors):
    world = make_world(factors, "float32", count=500, rows=(60, 50)).only("float32")
    basis = basis_of(world, factors)
    p, q = (live_rows(projected(table, basis)) for table in (world.users, world.items))
    sizes = np.linalg.norm(world.p, axis=1)[:, None] * np.linalg.norm(world.q, axis=1)
    change = predictions(p, q) - predictions(world.p, world.q)
    assert (np.abs(change) / sizes).max() < 1e-6


@pytest.mark.parametrize("kept", [5, 8])
def test_rows_of_low_rank_keep_their_predictions(kept):
    """Rank 5, one of the directions small, in 40 factors."""
    rng = np.random.default_rng(1)
    low = rng.normal(size=(5, 40)) * np.array([3, 1, 1, 0.3, 0.1])[:, None]
    p, q = ((rng.normal(size=(n, 5)) @ low).astype(np.float32) for n in (60, 50))
    users, items = (
        make_table(rows, np.array([0, len(rows)]), np.zeros(1, np.uint8)) for rows in (p, q)
    )
    pairs = rng.integers(0, 50, (2, 400))
    ratings = make_ratings(*pairs, np.ones(400), 60, 50)
    world = make_world(4)._replace(ratings=ratings, users=users, items=items).only("float32")
    basis = basis_of(world, kept)
    new = predictions(*(live_rows(projected(table, basis)) for table in (world.users, world.items)))
    old = predictions(p, q)
    assert np.abs(new - old).max() < 2e-5 * np.abs(old).max()


@pytest.mark.parametrize("which", ["both", "users"])
def test_tables_of_zeros_have_a_basis(which):
    world = make_world(9, "float32").only("float32")
    zeros = make_table(0 * world.p, np.asarray(world.users.starts), np.zeros(5, np.uint8))
    items = make_table(0 * world.q, np.asarray(world.items.starts), np.zeros(5, np.uint8))
    world = world._replace(users=zeros, items=items if which == "both" else world.items)
    basis = basis_of(world.only("float32"), 4)
    np.testing.assert_allclose(basis.T @ basis, np.eye(4), atol=1e-6)


def test_more_factors_than_there_are_are_refused():
    world = make_world(9, "float32").only("float32")
    with pytest.raises(JaxRuntimeError, match=r"the basis must be \[factors, 1 to factors\]"):
        basis_of(world, 10)


def test_the_handler_refuses_a_basis_of_other_rows():
    world = make_world(9, "float32").only("float32")
    with pytest.raises(JaxRuntimeError, match=r"the basis must be \[factors, 1 to factors\]"):
        projected(world.users, np.eye(8, dtype=np.float32))


def test_more_factors_than_can_be_projected_are_refused():
    world = make_world(1025, "float32").only("float32")
    with pytest.raises(JaxRuntimeError, match="there can be 1024 factors at most"):
        basis_of(world, 8)
