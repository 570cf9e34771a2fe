"""Variants of the kernel, compiled for the host and on a GPU, against NumPy; and their figures."""

import ctypes
import shutil
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.gpu import ways
from benchmarks.gpu.native import library
from benchmarks.gpu.native.library import (
    LEAST_CAPABILITY,
    LIMITS,
    MOVES,
    SOURCES,
    UPDATES,
    WAYS,
    Library,
    NativeError,
    NativePass,
    build,
    capability_of,
)
from benchmarks.harness.planted import make_planted, scaled_shape
from benchmarks.harness.variants import Maker
from mascot_jax.engine.devices import choose_device
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import make_ratings
from mascot_jax.errors import BackendError
from mascot_jax.tables.storage import FLOAT16, FLOAT32
from tests.support import cuda_reference
from tests.support.cuda_on_host import (
    HostWorld,
    assert_factors,
    call,
    compile_kernels,
    diagonal_world,
    in_runs,
    make_world,
)
from tests.support.worlds import live_rows, make_table, only, row_codes

RATES = (0.05, 0.01, 0.015)


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    """The library, compiled for the host."""
    return compile_kernels(tmp_path_factory.mktemp("native"), "ways_on_host", SOURCES)


def run(native, host, way):
    """Return whether there is such a variant; if so, run it."""
    rates, counters = np.array([*RATES, 0, 0], np.float32), np.array([3, 2], np.uint32)
    scratch, grid = np.zeros(4, np.uint32), np.zeros(1, np.uint32)
    return not call(
        native.mascot_run_way, host.view, rates, counters, scratch, WAYS.index(way.way),
        way.updates, way.prefetch, way.blocks, grid,
    )  # fmt: skip


def on_device(ratings):
    columns = (jnp.asarray(c) for c in (ratings.users, ratings.items, ratings.ratings))
    return replace(ratings, **dict(zip(("users", "items", "ratings"), columns, strict=True)))


def updated(host, world, store):
    p, q = world.p.copy(), world.q.copy()
    cuda_reference.epoch(
        world.user_rows, world.item_rows, world.values, p, q,
        (host.users.row_codes, host.items.row_codes), RATES, store, None, host.users.block,
    )  # fmt: skip
    return p, q


@pytest.mark.parametrize("way", [way for way in UPDATES if way.blocks == 4], ids=lambda w: w.name)
@pytest.mark.parametrize("codes", ["float32", "float16"])
@pytest.mark.parametrize("factors", [100, 128])
def test_every_way_updates_as_numpy_does_bit_for_bit(native, factors, codes, way):
    world = in_runs(make_world(factors, codes, count=61), [1, 4, 2]).bare()
    host = HostWorld(native, world, factors)
    assert run(native, host, way)
    assert_factors(host, *updated(host, world, way.way == "store"))


@pytest.mark.parametrize("backwards", [False, True], ids=["forwards", "backwards"])
@pytest.mark.parametrize("length", [1, 4])
@pytest.mark.parametrize("codes", ["float32", "float16"])
def test_additions_in_bulk_may_be_late(native, codes, length, backwards):
    world = diagonal_world(128, codes, 64).bare()
    world = world._replace(user_rows=np.repeat(world.user_rows[::length], length))
    late, early = HostWorld(native, world, 128), HostWorld(native, world, 128)
    bulk = next(way for way in UPDATES if way.way == "bulk")
    call(native.mascot_set_order, True, backwards)
    try:
        assert run(native, late, bulk)
    finally:
        call(native.mascot_set_order, False, False)
    assert run(native, early, bulk)
    assert_factors(late, early.users.live_rows(), early.items.live_rows())


@pytest.mark.parametrize("way", MOVES, ids=lambda w: w.name)
@pytest.mark.parametrize("codes", ["float32", "float16"])
def test_moved_rows_stay_what_they_were(native, codes, way):
    world = in_runs(make_world(100, codes, count=200), [1, 7]).bare()
    host = HostWorld(native, world, 100)
    before = host.users.live_rows(), host.items.live_rows()
    assert run(native, host, way)
    assert_factors(host, *before)


@pytest.mark.parametrize(("factors", "codes"), [(129, "float32"), (100, "int8")])
def test_other_rows_have_no_variants(native, factors, codes):
    host = HostWorld(native, make_world(factors, codes, count=61).bare(), factors)
    assert not run(native, host, UPDATES[0])


LIMITS_FOUND = dict(zip(LIMITS, (5e12, 2e12, 1e12, 9e11), strict=True))


def test_bounds_are_of_two_rows_read_and_two_written():
    found = ways.bounds(FLOAT32, 512, LIMITS_FOUND, 343)
    assert found == {
        "L2 reads": 5e12 / 1024,
        "L2 reductions": 2e12 / 1024,
        "instructions": pytest.approx(9e11 / (343 / 4)),
    }
    assert ways.bounds(FLOAT16, 256, LIMITS_FOUND, 334)["L2 reductions"] == 1e12 / 512


def test_what_bounds_the_kernel_is_on_record():
    assert all(ways.instructions(storage) > 0 for storage in (FLOAT32, FLOAT16))


def test_the_fastest_way_is_one_that_loses_no_update(capsys):
    rates = {"reduce, 3": 1.0e9, "store, 3": 9e9, "bulk, prefetch, 3": 1.5e9, "bulk, 3": 1.4e9}
    found = {
        "storage": "float32",
        "factors": 128,
        "bounds": {"L2 reads": 5e9, "L2 reductions": 2e9, "instructions": 10e9},
        "rows_only": {"read": 4e9, "reduce": 1.8e9, "store": 3e9, "bulk": 2.5e9},
        "ways": [
            {"name": ways.KERNEL, "way": "reduce", "updates_per_s": 1.2e9},
            *({"name": n, "way": n.split(",")[0], "updates_per_s": r} for n, r in rates.items()),
        ],
    }
    assert [ways.bound_of(w, found) for w in ("reduce", "store", "bulk")] == [1.8e9, 3e9, 2e9]
    ways.report(found)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].strip() == "fastest without loss: bulk, prefetch, 3, 1.250 of the kernel's"
    assert lines[1].split() == ["at", "most", "by", "L2", "reads", "5000"]
    (kernel,) = (line.split() for line in lines if line.split()[0] == ways.KERNEL)
    assert kernel == ["kernel", "1200", "0.67", "1.000"]


def test_every_way_is_timed_beside_the_kernel_and_its_bounds(native, monkeypatch, capsys):
    monkeypatch.setattr(ways, "ROUNDS", 1)
    monkeypatch.setattr(ways, "TURNS", dict.fromkeys(LIMITS, 1))
    cpu = jax.devices("cpu")[0]
    on_host = Library(native._name, cpu)
    limits = ways.measure_limits(on_host, cpu)
    assert all(rate > 0 for rate in limits.values())
    make = Maker(make_planted(scaled_shape("netflix", 300)).problem, 128, Execution())
    found = ways.compare_ways(make, FLOAT16, limits, on_host)
    assert [row["name"] for row in found["ways"]] == ["kernel", *(way.name for way in UPDATES)]
    assert found["rows_only"].keys() == set(WAYS)
    assert all(row["updates_per_s"] > 0 for row in found["ways"])
    assert "fastest without loss" in capsys.readouterr().out


def test_an_error_of_the_device_is_told(native):
    cpu = jax.devices("cpu")[0]
    world = make_world(129, "float32", count=61).bare()
    rows = NativePass(on_device(world.ratings), (world.users, world.items), RATES)
    with pytest.raises(NativeError, match="mascot_run_way: there is no such variant"):
        Library(native._name, cpu).run_way(rows, UPDATES[0])


def test_gpus_without_bulk_reductions_are_told_so():
    with pytest.raises(NativeError, match=r"need compute capability 9\.0; this is 8\.9"):
        build(89)


@pytest.mark.hardening
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="there is no CUDA compiler")
def test_nvcc_builds_the_variants_once(tmp_path, monkeypatch):
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    path = build(90)
    assert hasattr(ctypes.CDLL(str(path)), "mascot_run_way")
    monkeypatch.setattr(library.shutil, "which", lambda name, path=None: None)
    assert build(90) == path


# ---- on a GPU


@pytest.fixture(scope="module")
def gpu():
    try:
        device = choose_device("cuda")
    except BackendError as missing:
        pytest.skip(str(missing))
    if capability_of(device) < LEAST_CAPABILITY:
        pytest.skip("the GPU has no reductions in bulk")
    with jax.default_device(device):
        yield Library(build(capability_of(device)), device)


def copied(table):
    """A table of its own: worlds are shared, and the library writes in place."""
    return jax.tree.map(lambda array: jnp.array(np.asarray(array)), table)


@pytest.mark.gpu
@pytest.mark.parametrize("way", [*MOVES, *UPDATES], ids=lambda w: w.name)
@pytest.mark.parametrize("codes", ["float32", "float16"])
def test_a_gpu_does_what_numpy_does_without_collisions(gpu, codes, way):
    world = diagonal_world(128, codes, 1000).bare()
    ratings = make_ratings(world.user_rows, world.item_rows, world.values, 1000, 1000)
    users, items = (copied(table) for table in (world.users, world.items))
    gpu.run_way(NativePass(on_device(ratings), (users, items), RATES), way)
    p, q = world.p, world.q
    if way.updates:
        rows = row_codes(world.users), row_codes(world.items)
        p, q = p.copy(), q.copy()
        cuda_reference.epoch(
            world.user_rows, world.item_rows, world.values, p, q, rows, RATES, way.way == "store",
            None, 32,
        )  # fmt: skip
    step = {"float32": 1e-6, "float16": 2.0**-10}[codes]
    np.testing.assert_allclose(live_rows(users), p, atol=step)
    np.testing.assert_allclose(live_rows(items), q, atol=step)


@pytest.mark.gpu
@pytest.mark.parametrize("way", [w for w in UPDATES if w.way != "store"], ids=lambda w: w.name)
@pytest.mark.parametrize("code", [0, 1], ids=["float32", "float16"])
def test_a_gpu_loses_no_addition_to_a_shared_row(gpu, code, way):
    count = 2048
    ids = np.random.default_rng(0).permutation(count), np.zeros(count, np.int64)
    # The error is the rating, whatever the row is; each update adds one.
    ratings = make_ratings(*ids, np.full(count, 2.0**30, np.float32), count, 1)
    p, q = np.full((count, 128), 2.0**-6, np.float32), np.zeros((1, 128), np.float32)
    users = make_table(p, np.array([0, count]), np.array([code]))
    items = make_table(q, np.array([0, 1]), np.array([code]))
    name = ["float32", "float16"][code]
    sides = only(users, name), only(items, name)
    gpu.run_way(NativePass(on_device(ratings), sides, (2.0**-24, 0.0, 0.0)), way)
    np.testing.assert_allclose(live_rows(sides[1])[0], count, rtol=1e-5)


@pytest.mark.gpu
def test_a_gpu_has_limits(gpu):
    found = ways.measure_limits(gpu, jax.devices("cuda")[0])
    assert found.keys() == set(LIMITS)
    assert all(rate > 1e9 for rate in found.values())
