"""Parts of an epoch: lists of blocks with their sums, and ranges on their way."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mascot_jax.engine import kernels, turns
from mascot_jax.engine.turns import EVERYONE, draw_list, no_sums
from tests.engine.test_deterministic import host_strata, laid_out, shape
from tests.support import reference
from tests.support.worlds import ONE, RATES, live_rows, make_world
from tests.support.worlds import visit as whole_epoch

REFUSED = (ValueError, jax.errors.JaxRuntimeError)


@pytest.mark.parametrize("ranges", [(4, 7), (7, 4), (64, 64), (1, 3)])
def test_the_list_is_the_order_of_blocks(ranges):
    pairs = draw_list(*ranges, 3, 2)
    begins = range(ranges[0] * ranges[1])
    expected = [begin for begin, _ in reference.strata_order(3, 2, list(begins), None, ranges)]
    assert (pairs[:, 0] * ranges[1] + pairs[:, 1]).tolist() == expected


@pytest.mark.parametrize("rotations", [1, 2, 3, 8])
@pytest.mark.parametrize("ranges", [(64, 64), (21, 64), (64, 5), (3, 9)])
def test_a_list_of_rotations_is_that_of_plain_python(ranges, rotations):
    for users_stay in (True, False):
        pairs = draw_list(*ranges, 3, 2, rotations=rotations, users_stay=users_stay)
        stay, travel = ranges if users_stay else ranges[::-1]
        found = reference.rotations_list(3, 2, stay, travel, rotations)
        expected = found if users_stay else [pair[::-1] for pair in found]
        assert pairs.tolist() == [list(pair) for pair in expected]


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 8), st.booleans(), st.integers(0, 99))
def test_a_list_of_rotations_has_every_block_once_in_rounds(users, items, rotations, stay, epoch):
    pairs = draw_list(users, items, 7, epoch, rotations=rotations, users_stay=stay)
    assert len(pairs) == users * items
    assert len(np.unique(pairs, axis=0)) == len(pairs)
    if min(users, items) == 64:  # rounds without gaps
        for side in (0, 1):
            assert (np.sort(pairs[:, side].reshape(64, 64), axis=1) == np.arange(64)).all()


def test_lists_of_rotations_differ_from_epoch_to_epoch():
    lists = [draw_list(64, 64, 7, epoch, rotations=2).tobytes() for epoch in range(4)]
    assert len(set(lists)) == 4


@pytest.mark.parametrize(("arguments", "rows"), [((3, 4, 0), 11), ((3, 4, -1), 12)])
def test_a_list_that_cannot_be_is_refused(arguments, rows):
    import mascot_ffi

    with pytest.raises(ValueError, match="must"):
        mascot_ffi.draw_list(*arguments, True, 0, 0, np.empty((rows, 2), dtype=np.uint32))


def world_and_ranges(**values):
    world = laid_out(make_world(33, "all", count=2000, rows=(150, 90)), order="runs", **values)
    strata = host_strata(world.ratings)
    exact = [jnp.asarray(x.astype(np.uint32)) for x in strata]
    return world._replace(ratings=replace(world.ratings, strata=type(strata)(*exact))), strata


def parts(starts, table):
    groups = np.asarray(table.starts)
    ends = [np.searchsorted(groups, row, side="right") - 1 for row in (starts[:-1], starts[1:] - 1)]
    return int((ends[1] - ends[0] + 1)[np.diff(starts) > 0].sum())


@partial(jax.jit, donate_argnames=("users", "items", "sums"), static_argnames="rounding")
def some(ratings, users, items, sums, rates, counters, numbers, pairs, span, rounding):
    return turns.run_turns(
        ratings, users, items, sums, rates, counters, numbers, pairs, span,
        rounding=rounding, arithmetic="float32", execution=ONE,
    )  # fmt: skip


def span(begin, end):
    return jnp.array([begin, end], dtype=jnp.uint32)


@pytest.mark.parametrize("rotations", [None, 2])
@pytest.mark.parametrize("rounding", ["nearest", "stochastic"])
def test_a_list_in_pieces_is_an_epoch_bit_for_bit(rounding, rotations):
    expected = whole_epoch(
        world_and_ranges(rotations=rotations)[0],
        seed=3, number=2, sample_ratio=0.3, rounding=rounding,
    )  # fmt: skip
    world, strata = world_and_ranges(rotations=rotations)
    users, items = world.users, world.items
    sums = (
        no_sums(parts(strata.user_starts, users), 33),
        no_sums(parts(strata.item_starts, items), 33),
    )
    rates = jnp.array([*RATES, 0.3, 0], dtype=jnp.float32)
    pairs = jnp.asarray(draw_list(*shape(world.ratings), 3, 2, rotations=rotations or 0))
    for piece in (span(0, 1000), span(1000, 1001), span(1001, len(pairs))):
        users, items, sums = some(
            world.ratings, users, items, sums, rates, jnp.array([3, 2], dtype=jnp.uint32),
            world.ratings.strata.begin, pairs, piece, rounding,
        )  # fmt: skip
    for got, wanted in zip((users, items), expected, strict=False):
        np.testing.assert_array_equal(live_rows(got), live_rows(wanted))
    ranges = world.ratings.strata
    for side, starts, words, wanted in (
        (users, ranges.user_starts, sums[0], expected[2]),
        (items, ranges.item_starts, sums[1], expected[3]),
    ):
        np.testing.assert_array_equal(turns.total_sums(side, starts, rates, words), wanted)


def test_a_rating_keeps_its_draws_wherever_it_lies():
    # Half of the ratings by themselves, as a worker has them: their first halves' rows are alike.
    whole, strata = world_and_ranges()
    world, _ = world_and_ranges()
    ranges = shape(whole.ratings)
    pairs = draw_list(*ranges, 3, 2)
    mine = pairs[pairs[:, 0] % 2 == 1]
    ends = np.append(strata.begin[1:], 2000)
    counts = (ends - strata.begin).reshape(ranges)
    kept = np.where((np.arange(ranges[0]) % 2 == 1)[:, None], counts, 0).reshape(-1)
    chosen = np.repeat(kept > 0, counts.reshape(-1))
    rates = jnp.array([*RATES, 0.3, 0], dtype=jnp.float32)
    results = []
    for made, ratings in (
        (whole, whole.ratings),
        (
            world,
            replace(
                world.ratings,
                users=jnp.asarray(world.user_rows[chosen]),
                items=jnp.asarray(world.item_rows[chosen]),
                ratings=jnp.asarray(world.values[chosen]),
                strata=world.ratings.strata._replace(
                    begin=jnp.asarray((np.cumsum(kept) - kept).astype(np.uint32))
                ),
                extent=kernels.extent_of(int(chosen.sum()), ranges),
            ),
        ),
    ):
        sums = tuple(
            no_sums(parts(starts, table), 33)
            for starts, table in (
                (strata.user_starts, made.users), (strata.item_starts, made.items)
            )
        )  # fmt: skip
        users, items, sums = some(
            ratings, made.users, made.items, sums, rates, jnp.array([3, 2], dtype=jnp.uint32),
            whole.ratings.strata.begin, jnp.asarray(mine), span(0, len(mine)), "stochastic",
        )  # fmt: skip
        results.append([live_rows(users), live_rows(items), *map(np.asarray, sums)])
    for got, wanted in zip(*results, strict=True):
        np.testing.assert_array_equal(got, wanted)


RANGES = np.array([0, 4, 4, 10, 23], dtype=np.uint32)
MOVES = np.array([[0, 1], [1, 0], [1, 1], [0, EVERYONE]], dtype=np.uint32)


def words_of(table):
    return no_sums(parts(RANGES.astype(np.int64), table), table.factors)


def packed(table, at, to, size=4096, sums=None):
    sums = words_of(table) if sums is None else sums
    operands = jnp.asarray(RANGES), jnp.asarray(MOVES), jnp.array([at, to], dtype=jnp.uint32)
    return turns.pack(table, *operands, sums, size=size)[1]


def test_ranges_reach_those_they_go_to_and_no_row_else_changes():
    sender, receiver = make_world(33, "all", seed=1).users, make_world(33, "all", seed=1).users
    there, words = live_rows(sender), words_of(sender)
    empty = {s: jnp.zeros_like(array) for s, array in receiver.stored.items()}
    receiver = replace(receiver, stored=empty)
    numbered = words + jnp.arange(1, words.size + 1, dtype=jnp.uint32).reshape(words.shape)
    for to, rows in ((1, [*range(4), *range(10, 23)]), (2, list(range(10, 23))), (0, [])):
        pair = jnp.array([0, to], dtype=jnp.uint32)
        got, sums = turns.unpack(
            receiver, jnp.asarray(RANGES), jnp.asarray(MOVES), pair, words,
            packed(sender, 0, to, sums=numbered),
        )  # fmt: skip
        expected = np.zeros_like(there)
        expected[rows] = there[rows]
        np.testing.assert_array_equal(live_rows(got), expected)
        first, middle = parts(np.array([0, 4]), sender), parts(np.array([4, 10]), sender)
        arrived = np.asarray(sums) != 0
        assert arrived[:first].all() == (to == 1)
        assert not arrived[first : first + middle].any()
        assert arrived[first + middle :].all() == (to > 0)


def test_what_is_sent_is_as_long_as_said():
    table = make_world(33, "all").users
    starts = np.asarray(table.starts).astype(np.int64)
    begin = np.maximum(RANGES[:-1, None].astype(np.int64), starts[None, :-1])
    rows = np.maximum(np.minimum(RANGES[1:, None], starts[None, 1:]) - begin, 0)
    sizes = turns.parcel_bytes(np.asarray(table.codes), rows, (rows > 0).sum(axis=1), table)
    needed = int(sizes[0] + sizes[3])
    packed(table, 0, 1, size=needed)
    with pytest.raises(REFUSED, match=f"too small: {needed} are to be sent"):
        jax.block_until_ready(packed(table, 0, 1, size=needed - 1))


def test_sums_of_too_few_groups_are_refused():
    table = make_world(33, "all").users
    with pytest.raises(REFUSED, match="a row of words for each group"):
        jax.block_until_ready(packed(table, 0, 1, sums=no_sums(2, 33)))


@pytest.mark.parametrize(
    ("pairs", "places", "words"),
    [
        ([[0, 99]], (0, 1), "no such range"),
        ([[0, 1, 2]], (0, 1), r"must be \[t, 2\]"),
        ([[0, 1]], (0, 2), "two places in the list"),
        ([[0, 1]], (1, 0), "two places in the list"),
    ],
)
def test_bad_lists_are_refused(pairs, places, words):
    world, strata = world_and_ranges()
    sums = (
        no_sums(parts(strata.user_starts, world.users), 33),
        no_sums(parts(strata.item_starts, world.items), 33),
    )
    with pytest.raises(REFUSED, match=words):
        jax.block_until_ready(
            some(
                world.ratings, world.users, world.items, sums, jnp.zeros(5),
                jnp.zeros(2, dtype=jnp.uint32), world.ratings.strata.begin,
                jnp.array(pairs, dtype=jnp.uint32), span(*places), "nearest",
            )
        )  # fmt: skip


def test_groups_without_rows_change_nothing():
    plain, more = make_world(33, "all"), make_world(33, "all")
    starts, codes = (np.asarray(x) for x in (more.users.starts, more.users.codes))
    at = [0, 2, 2, 4]  # before these groups, one without rows in the storage of another
    wider = replace(
        more.users,
        starts=jnp.asarray(np.insert(starts, at, starts[at])),
        codes=jnp.asarray(np.insert(codes, at, np.roll(codes, 1)[at])),
    )
    expected = whole_epoch(plain, sample_ratio=0.3)
    got = whole_epoch(more._replace(users=wider), sample_ratio=0.3)
    for mine, theirs in zip(got[:2], expected[:2], strict=True):
        np.testing.assert_array_equal(live_rows(mine), live_rows(theirs))
    kept = np.delete(np.asarray(got[2]), [place + i for i, place in enumerate(at)], axis=0)
    np.testing.assert_array_equal(kept, expected[2])
    finite = kernels.check_finite(got[0], execution=ONE)
    assert np.asarray(finite).tolist() == [1] * 9
    promoted = kernels.promote(got[0], jnp.zeros_like(got[0].codes), execution=ONE)
    np.testing.assert_array_equal(live_rows(promoted), live_rows(expected[0]))
