"""Projection as a GPU does it, on the CPU, beside the native one: not the same bits, but near."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from mascot_jax.engine import projection, projection_in_jax
from mascot_jax.engine.codec import decode, encode
from mascot_jax.tables.storage import STORAGES
from tests.engine.test_projection import (
    COUNTERS,
    axes_of,
    basis_of,
    moments,
    padded,
    uneven,  # noqa: F401
)
from tests.support import reference
from tests.support.worlds import ONE, UNSCALED, live_rows, make_table, make_world, row_codes

INT8 = [name for name in STORAGES if name.startswith("int8")]


def basis_in_jax(world, kept):
    found = projection_in_jax.joint_basis(world.ratings, world.users, world.items, kept=kept)
    return np.asarray(found)


def projected(table, basis, rounding="nearest", of_items=False, counters=COUNTERS):
    return projection_in_jax.project(
        table, jnp.asarray(basis), *counters, of_items=of_items, rounding=rounding
    )


@pytest.mark.parametrize("kept", [7])
def test_the_basis_is_the_native_one_where_axes_are_far_apart(uneven, kept):  # noqa: F811
    np.testing.assert_allclose(basis_in_jax(uneven, kept), basis_of(uneven, kept), atol=1e-5)


@pytest.fixture
def small_parts(monkeypatch):
    """Tables are taken in several parts, of which the last two overlap."""
    compiled = projection_in_jax._moments, projection_in_jax._project
    with monkeypatch.context() as patch:
        patch.setattr(projection_in_jax, "AT_A_TIME", 150)
        for function in compiled:
            function.clear_cache()
        yield
    for function in compiled:
        function.clear_cache()


@pytest.mark.parametrize(
    "parts", ["small_parts", pytest.param("whole", marks=pytest.mark.hardening)]
)
def test_the_basis_spans_the_principal_axes_of_any_storages(request, parts):
    if parts != "whole":
        request.getfixturevalue(parts)
    world = make_world(40, "all", count=2000, rows=(300, 200))
    basis = basis_in_jax(world, 17).astype(np.float64)
    np.testing.assert_allclose(basis.T @ basis, np.eye(17), atol=1e-6)
    joint = moments(world.p, world.user_rows) + moments(world.q, world.item_rows)
    _, values = axes_of(world, 17)
    assert np.trace(basis.T @ joint @ basis) == pytest.approx(values[:17].sum(), rel=1e-6)


@pytest.mark.hardening
def test_places_behind_the_ratings_do_not_count(uneven):  # noqa: F811
    wanted = basis_in_jax(uneven, 8)
    np.testing.assert_array_equal(basis_in_jax(padded(uneven), 8), wanted)


@pytest.mark.hardening
def test_what_lies_where_no_row_is_does_not_count():
    """Memory that no row was written to holds anything."""
    world = make_world(20, "mixed").only("float32", "float16")
    wanted = basis_in_jax(world, 8)

    def poisoned(table):
        codes, stored = row_codes(table), {}
        for name, array in table.stored.items():
            values = np.array(array)
            live = np.zeros(len(values), bool)
            live[: len(codes)] = codes == STORAGES[name].code
            values[~live] = np.nan
            stored[name] = jnp.asarray(values)
        return dataclasses.replace(table, stored=stored)

    other = world._replace(users=poisoned(world.users), items=poisoned(world.items))
    np.testing.assert_array_equal(basis_in_jax(other, 8), wanted)
    rows = live_rows(projected(other.users, wanted))
    np.testing.assert_array_equal(rows, live_rows(projected(world.users, wanted)))


@pytest.mark.hardening
def test_tables_of_zeros_have_a_basis():
    world = make_world(9, "float32").only("float32")
    starts = np.asarray(world.users.starts), np.asarray(world.items.starts)
    tables = (
        make_table(0 * rows, s, np.zeros(5, np.uint8))
        for rows, s in zip((world.p, world.q), starts, strict=True)
    )
    users, items = tables
    basis = basis_in_jax(world._replace(users=users, items=items).only("float32"), 4)
    np.testing.assert_allclose(basis.T @ basis, np.eye(4), atol=1e-6)


def steps_of(rows, codes, block=32):
    """float32 (rows, k): the distance between neighbours of a storage's numbers."""
    steps = np.zeros_like(rows)
    half, byte = codes == 1, codes == 2
    steps[half] = np.spacing(np.abs(rows[half]).astype(np.float16)).astype(np.float32)
    for row in np.flatnonzero(byte):
        for first in range(0, rows.shape[1], block):
            part = rows[row, first : first + block]
            steps[row, first : first + block] = np.abs(part).max() / 127
    return steps


@pytest.mark.parametrize(
    ("factors", "kept", "of_items"),
    [(70, 64, False), pytest.param(20, 7, True, marks=pytest.mark.hardening)],
)
def test_rows_are_the_native_ones_but_for_the_order_of_sums(factors, kept, of_items):
    world = make_world(factors, "all", rows=(40, 30))
    basis, table = basis_of(world, kept), world.items if of_items else world.users
    wanted = live_rows(
        projection.project(
            table,
            jnp.asarray(basis),
            *COUNTERS,
            of_items=of_items,
            rounding="nearest",
            execution=ONE,
        )
    )
    new = projected(table, basis, of_items=of_items)
    rows, codes = live_rows(new), row_codes(table)
    steps = steps_of(wanted, codes)
    assert (np.abs(rows - wanted) <= 1.01 * steps + 1e-6).all()
    assert (np.abs(rows - wanted) > 0.5 * steps + 1e-6).mean() < 0.01  # ties, nearly
    assert new.factors == kept
    np.testing.assert_array_equal(new.codes, table.codes)
    for storage in map(STORAGES.get, UNSCALED):
        assert not np.asarray(new.stored[storage.name])[:, kept:].any()  # padding


@pytest.mark.hardening
@pytest.mark.parametrize("int8", INT8)
def test_every_int8_keeps_its_blocks(int8):
    world = make_world(128, "int8", rows=(40, 30), int8=int8)
    basis = basis_of(world, 64)
    wanted = world.p @ basis
    block = min(STORAGES[int8].scale_block, 64)
    rows = live_rows(projected(world.users, basis))
    assert (np.abs(rows - wanted) <= 0.51 * steps_of(wanted, row_codes(world.users), block)).all()


def test_stochastic_rows_lie_next_to_the_exact_ones_and_keep_their_mean():
    world = make_world(40, "all", rows=(400, 30))
    basis, codes = basis_of(world, 32), row_codes(world.users)
    exact = world.p.astype(np.float64) @ basis.astype(np.float64)
    rows = live_rows(projected(world.users, basis, "stochastic"))
    steps = steps_of(exact.astype(np.float32), codes)
    off = rows - exact
    assert (np.abs(off) <= 1.01 * steps + 1e-6).all()
    for code in (1, 2):
        own = off[codes == code] / steps[codes == code]
        assert (np.abs(own) > 0.6).mean() > 0.05  # to nearest, none is
        assert abs(own.mean()) < 4 * own.std() / np.sqrt(own.size)
    np.testing.assert_allclose(rows[codes == 0], exact[codes == 0], atol=1e-6)


@pytest.mark.hardening
def test_draws_are_of_the_seed_the_epoch_and_the_side():
    world = make_world(40, "float16", rows=(400, 30)).only("float16")
    basis = basis_of(world, 32)

    def rows(**options):
        return live_rows(projected(world.users, basis, "stochastic", **options)).tobytes()

    seeds = [(3, 7), (4, 7), (3, 8)]
    found = [rows(counters=tuple(map(jnp.uint32, counters))) for counters in seeds]
    found.append(rows(of_items=True))
    assert len(set(found)) == 4
    assert rows() == found[0]


@pytest.mark.hardening
def test_draws_are_of_the_row_not_of_its_part(request):
    world = make_world(40, "float16", rows=(400, 30)).only("float16")
    basis = basis_of(world, 32)
    wanted = live_rows(projected(world.users, basis, "stochastic"))
    request.getfixturevalue("small_parts")
    found = live_rows(projected(world.users, basis, "stochastic"))
    assert (found == wanted).mean() > 0.99  # products of other sizes may differ in their last bits


@pytest.mark.hardening
@pytest.mark.parametrize("name", STORAGES)
def test_rows_are_decoded_as_on_the_host(name):
    storage = STORAGES[name]
    values = np.random.default_rng(0).normal(size=(50, 70)).astype(np.float32)
    stored = encode(storage, jnp.asarray(values))
    found = np.asarray(decode(storage, stored, 70))
    np.testing.assert_array_equal(found, storage.decode(np.asarray(stored), 70))


@pytest.mark.parametrize(
    "name", ["float16", "int8-32", pytest.param("float32", marks=pytest.mark.hardening)]
)
def test_draws_round_as_those_of_the_kernels(name):
    storage, rng = STORAGES[name], np.random.default_rng(0)
    values = rng.normal(size=(50, 64)).astype(np.float32)
    draws = rng.integers(0, 1 << 32, values.shape, dtype=np.uint32)
    found = decode(storage, encode(storage, jnp.asarray(values), jnp.asarray(draws)), 64)
    wanted = [
        reference.stored(row, storage.code, draw) for row, draw in zip(values, draws, strict=True)
    ]
    same = np.asarray(found) == np.array(wanted)
    assert same.all() if name != "int8-32" else same.mean() > 0.999  # no fused multiply-add
