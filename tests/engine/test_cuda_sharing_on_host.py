"""What GPUs do to share a training, without a GPU: compiled for the host, against the CPU's."""

import itertools
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from mascot_jax.distributed.division import Ranges
from mascot_jax.engine import turns
from mascot_jax.engine.turns import EVERYONE, draw_list, no_sums
from mascot_jax.tables.storage import by_code
from tests.support.cuda_on_host import (
    HostSide,
    HostWorld,
    assert_factors,
    diagonal_world,
    guarded,
    make_world,
)

RATES = (0.05, 0.01, 0.015)
SEED, EPOCH = 3, 2
RANGES = np.array([0, 4, 4, 10, 23], dtype=np.uint32)
MOVES = np.array([[0, 1], [1, 0], [1, 1], [0, EVERYONE]], dtype=np.uint32)
PAIRS = [(0, 1), (0, 2), (1, 0), (0, 0)]


# ---- ranges on their way


def exchanged(table, pair):
    """Operands of the CPU's exchange."""
    return (
        table,
        *map(jnp.asarray, (RANGES, MOVES, np.array(pair, np.uint32))),
        no_sums(0, table.factors),
    )


def bytes_sent(table, pair):
    """How long the CPU's parcel is, and who gets which range."""
    rows = Ranges(RANGES.astype(np.int64), np.asarray(table.starts).astype(np.int64)).rows
    sizes = turns.parcel_bytes(np.asarray(table.codes), rows, np.zeros(len(rows), np.int64), table)
    goes = [at == pair[0] != pair[1] and to in (pair[1], EVERYONE) and at != to for at, to in MOVES]
    return int(sizes[np.array(goes)].sum())


@pytest.mark.parametrize(
    ("factors", "int8", "pair"),
    [*((33, "int8-16", pair) for pair in PAIRS), (128, "int8-row", PAIRS[0])],
)
def test_a_parcel_has_the_cpus_bytes_and_is_read_as_there(library, factors, int8, pair):
    sender, receiver = (make_world(factors, "all", int8=int8, seed=n).users for n in (1, 2))
    receiver = replace(receiver, starts=sender.starts, codes=sender.codes)
    size = bytes_sent(sender, pair)
    expected = np.asarray(turns.pack(*exchanged(sender, pair), size=max(size, 4))[1])[:size]
    parcel = guarded(np.zeros(size // 4, dtype=np.uint32))
    HostSide(library, sender, factors).exchange(MOVES, RANGES, pair, parcel, packs=True)
    assert parcel.tobytes() == expected.tobytes()
    side = HostSide(library, receiver, factors)
    side.exchange(MOVES, RANGES, pair, parcel, packs=False)
    padded = jnp.pad(jnp.asarray(expected), (0, 4))
    wanted, _ = turns.unpack(*exchanged(receiver, pair), padded)
    for name, table in wanted.stored.items():
        assert side.tables[name].tobytes() == np.asarray(table).tobytes()


# ---- blocks of a list


def in_blocks(world, ranges=(6, 4)):
    """The world's ratings sorted by block, and where blocks begin."""
    block_of = sum(
        (rows.astype(np.int64) * count // len(side)) * size
        for rows, side, count, size in (
            (world.user_rows, world.p, ranges[0], ranges[1]),
            (world.item_rows, world.q, ranges[1], 1),
        )
    )
    order = np.argsort(block_of, kind="stable")
    columns = (world.user_rows, world.item_rows, world.values)
    users, items, values = (column[order] for column in columns)
    begin = np.searchsorted(block_of[order], np.arange(ranges[0] * ranges[1]))
    return world._replace(user_rows=users, item_rows=items, values=values), begin


def shared(world, begin, owner):
    """Each worker's part of a world in blocks: the ratings of some ranges of users."""
    counts = np.diff(np.append(begin, len(world.values)))
    kept = [np.where(owner == worker, counts, 0) for worker in range(owner.max() + 1)]
    for mine in kept:
        chosen = np.repeat(mine > 0, counts)
        columns = (column[chosen] for column in (world.user_rows, world.item_rows, world.values))
        users, items, values = columns
        part = world._replace(user_rows=users, item_rows=items, values=values)
        yield part, np.cumsum(mine) - mine


def run_spans(host, begin, numbers, cuts, **options):
    """Visit a list of 6 x 4 blocks in so many parts; return the sums of all."""
    blocks = draw_list(6, 4, SEED, EPOCH, rotations=2), begin, numbers
    edges = [0, *cuts, 24]
    found = [
        host.hogwild_turns(blocks, span, RATES, SEED, EPOCH, **options)
        for span in itertools.pairwise(edges)
    ]
    return [sum(sums[side] for sums in found) for side in (0, 1)]


@pytest.mark.parametrize(
    ("codes", "factors", "stochastic"),
    [("all", 8, True), ("mixed", 300, False)],
    ids=["all, stochastic", "longer than registers hold"],
)
def test_parts_of_two_devices_are_an_epoch_bit_for_bit(library, codes, factors, stochastic):
    """No row occurs twice: any order gives the same bits, if ratings keep their draws."""
    world = diagonal_world(factors, codes, 700)
    if factors == 300:  # longer than registers hold
        world = world.only("float32", "float16")
    world, begin = in_blocks(world)
    whole = HostWorld(library, world, factors)
    wanted = whole.update(RATES, SEED, EPOCH, sample_ratio=0.4, stochastic=stochastic)
    found = []
    owner = np.repeat([0, 1, 1, 0, 1, 0], 4)
    for part, own in shared(world, begin, owner):
        host = HostWorld(library, part, factors)
        options = {"sample_ratio": 0.4, "stochastic": stochastic, "grid": 2}
        sums = run_spans(host, own, begin, (5, 5, 17), **options)
        found.append((part, host, sums))
    for part, host, _ in found:
        for rows, mine, theirs in (
            (part.user_rows, host.users, whole.users),
            (part.item_rows, host.items, whole.items),
        ):
            np.testing.assert_array_equal(mine.live_rows()[rows], theirs.live_rows()[rows])
            others = np.setdiff1d(np.arange(700), rows)
            before = world.p if mine is host.users else world.q
            np.testing.assert_array_equal(mine.live_rows()[others], before[others])
    for side in (0, 1):
        got = sum(sums[side] for _, _, sums in found)
        np.testing.assert_array_equal(got[:, factors + 1], wanted[side][:, factors + 1])
        np.testing.assert_allclose(got, wanted[side], rtol=1e-4, atol=1e-5)
        assert got[:, factors + 1].sum() == pytest.approx(280, abs=60)


def test_other_arithmetic_goes_through_a_list_too(library):
    world, begin = in_blocks(diagonal_world(40, "float16", 300).bare())
    whole, host = HostWorld(library, world, 40), HostWorld(library, world, 40)
    whole.update_by_arithmetic("float16", 0, RATES, SEED, EPOCH)
    run_spans(host, begin, begin, (9,), half=True)
    assert_factors(host, whole.users.live_rows(), whole.items.live_rows())


@pytest.mark.parametrize("span", [(3, 19), (9, 9)])
def test_pieces_of_all_blocks_of_a_span_come_once_in_random_order(library, span):
    """A block has few rows: all threads would meet there."""
    world, begin = in_blocks(make_world(8, "float32", count=6000, rows=(60, 40)))
    pairs = draw_list(6, 4, SEED, EPOCH, rotations=2)
    found = HostWorld(library, world, 8).order_of_pieces((pairs, begin, begin), span, SEED)
    ends = np.append(begin[1:], 6000)
    blocks = (pairs.astype(np.int64) @ [4, 1])[slice(*span)]
    wanted = [
        (first, min(64, ends[block] - first))
        for block in blocks
        for first in range(begin[block], ends[block], 64)
    ]
    assert sorted(map(tuple, found.tolist())) == sorted(wanted)
    if len(blocks) > 1:
        at = np.searchsorted(begin, found[:, 0], side="right")
        assert np.mean(at[1:] == at[:-1]) < 2 / len(blocks)


# ---- tables that are longer than their rows, and groups without any


@pytest.mark.parametrize(
    ("codes", "lookup"), [("float16", "direct"), ("all", "direct"), ("all", "search")]
)
def test_groups_without_rows_change_nothing(library, codes, lookup):
    world = make_world(33, codes, count=61)
    table = world.users
    starts, own = np.asarray(table.starts), np.asarray(table.codes)
    at = [0, 2, 2, 4, 5]
    other = (np.roll(own, 1) if codes == "all" else np.zeros_like(own))[[*at[:4], 0]]
    wider = replace(
        table,
        starts=jnp.asarray(np.insert(starts, at, starts[at])),
        codes=jnp.asarray(np.insert(own, at, other)),
    )
    plain = HostWorld(library, world, 33, lookup=lookup)
    more = HostWorld(library, world._replace(users=wider), 33, lookup=lookup)
    for host in (plain, more):
        host.update(RATES, SEED, EPOCH)
    assert_factors(more, plain.users.live_rows(), plain.items.live_rows())
    assert more.users.check_finite().tolist() == [1] * 10


def test_what_lies_behind_the_last_row_is_nobodys(library):
    table = make_world(33, "float16", rows=(23, 17)).bare().users
    starts = np.minimum(np.asarray(table.starts), 15)
    shorter = replace(table, starts=jnp.asarray(starts.astype(np.uint32)))
    side = HostSide(library, shorter, 33)
    side.tables["float16"][15:] = np.nan
    side.tables["float32"] = guarded(np.full((23, 48), 7, np.float32))
    side.storages = by_code(["float32", "float16"])
    side.rows = 23  # places: what a handler sees
    assert side.check_finite().all()
    side.promote(np.zeros(len(starts) - 1, np.uint8))
    assert (side.tables["float32"][15:] == 7).all()
    assert not (side.tables["float32"][:15] == 7).any()
