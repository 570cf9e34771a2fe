"""Who keeps what, and what goes where between steps, for any number of workers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mascot_jax.distributed.division import (
    ITEMS,
    USERS,
    Division,
    Ranges,
    divide,
    share_out,
    share_tiles,
)
from mascot_jax.distributed.steps import receiver, sender, steps_of, traffic_of
from mascot_jax.engine.layout import lay_out
from mascot_jax.engine.turns import EVERYONE, tiled
from mascot_jax.settings import TrainSettings
from tests.support.shared import problem


def division(users, items, workers, empty=0.3, seed=0, rotations=0):
    """A division of random blocks; some hold nothing."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 9, users * items) * (rng.random(users * items) > empty)
    sides = tuple(
        Ranges(np.arange(n + 1, dtype=np.int64) * 3, np.array([0, 2, 3 * n], dtype=np.int64))
        for n in (users, items)
    )
    stays = USERS if users >= items else ITEMS
    begin = np.concatenate([[0], np.cumsum(counts)])
    share = share_tiles if rotations else share_out
    owner = share(np.ones(max(users, items), dtype=np.int64), workers)
    return Division(workers, sides, begin, stays, owner, rotations)


def followed(made, steps):
    """The newest version of each range where it is visited, and at the end everywhere.

    Returns the visits in order: (step, user range, item range, worker).
    """
    travelling = len(made.sides[made.travels])
    versions = np.zeros((made.workers, travelling), dtype=np.int64)  # that each worker has
    visits = []
    for number in range(steps.used):
        for pair in steps.turns[steps.begin[number] : steps.begin[number + 1]].tolist():
            if made.counts[tuple(pair)] == 0:
                continue
            worker, moving = made.owner[pair[made.stays]], pair[made.travels]
            assert versions[worker, moving] == versions[:, moving].max()
            versions[worker, moving] += 1
            visits.append((number, *pair, int(worker)))
        sent = versions.copy()
        for moving, (at, to) in enumerate(steps.moves[number].tolist()):
            receivers = slice(None) if to == EVERYONE else to
            sent[receivers, moving] = versions[at, moving] if at != to else sent[to, moving]
        versions = sent
    assert (versions == versions[0]).all()
    assert steps.begin[steps.used] == len(steps.turns)
    return visits


@given(
    st.integers(1, 20), st.integers(1, 20), st.integers(1, 9), st.integers(0, 99),
    st.sampled_from([0.0, 0.3, 0.9]), st.sampled_from([0, 1, 2, 5]),
)  # fmt: skip
def test_a_visit_always_has_the_newest_rows(users, items, workers, epoch, empty, rotations):
    if workers > max(users, items):
        return
    made = division(users, items, workers, empty, seed=epoch, rotations=rotations)
    visits = followed(made, steps_of(made, 7, epoch))
    assert len(visits) == np.count_nonzero(made.counts)
    assert len({visit[1:3] for visit in visits}) == len(visits)
    at = {}  # by step and travelling range: in one step, no range is at two workers
    for step, *pair, worker in visits:
        assert at.setdefault((step, pair[made.travels]), worker) == worker


@pytest.mark.parametrize("rotations", [0, 2])
def test_the_list_is_the_same_for_every_number_of_workers(rotations):
    def turns(workers, epoch=3):
        return steps_of(division(12, 9, workers, rotations=rotations), 7, epoch).turns

    lists = [turns(workers) for workers in (1, 2, 3, 5, 8)]
    assert all((other == lists[0]).all() for other in lists)
    assert (lists[0] != turns(1, epoch=4)).any()


@pytest.mark.parametrize(("workers", "moves"), [(1, 0), (2, 1), (4, 3), (8, 7)])
@pytest.mark.parametrize("rotations", [1, 2, 8])
def test_in_a_rotation_ranges_move_once_for_each_other_worker(workers, moves, rotations):
    for users, items in ((64, 64), (64, 40), (30, 64)):
        made = division(users, items, workers, empty=0, rotations=rotations)
        steps = steps_of(made, 7, 3)
        at, to = (steps.moves[..., i] for i in (0, 1))
        moved = np.count_nonzero((at != to) & (to != EVERYONE))
        if max(users, items) == 64:
            assert moved == rotations * moves * min(users, items)
        assert steps.used <= rotations * moves + 1


def test_with_three_workers_ranges_move_a_little_more():
    steps = steps_of(division(64, 64, 3, empty=0, rotations=2), 7, 3)
    moved = np.count_nonzero(np.diff(steps.moves.astype(np.int64), axis=2)) - 64  # to everyone
    assert 2 * 2 * 64 < moved < 20 * 64


def test_shares_of_tiles_are_alike_and_have_rows():
    rows = np.arange(64) + 1
    for workers in (1, 2, 3, 4, 5, 8, 20):
        owner = share_tiles(rows, workers)
        assert np.ptp(np.bincount(owner, minlength=workers)) <= 1
    for workers in (2, 4, 8):
        shares = np.bincount(share_tiles(rows, workers), weights=rows)
        assert np.ptp(shares) == 0
    assert set(share_tiles(np.arange(9) % 3, 6).tolist()) == set(range(6))


@pytest.mark.parametrize("workers", [2, 4, 8])
def test_ranges_without_rows_part_no_tile(workers):
    """A row with more than a range's share of the ratings leaves some."""
    rows = np.ones(64, dtype=np.int64)
    rows[[0, 1, 2, 40]] = 0
    owner = share_tiles(rows, workers)[tiled(64)].reshape(8, -1)
    assert (owner == owner[:, :1]).all()


def test_traffic_is_what_the_moves_add_up_to():
    made = division(12, 9, 3)
    steps, sizes = steps_of(made, 1, 0), np.arange(1, 10) * 100
    expected = np.zeros((len(steps.moves), 3, 2), dtype=np.int64)
    for number, moves in enumerate(steps.moves.tolist()):
        for moving, (at, to) in enumerate(moves):
            if to == EVERYONE:
                expected[number, at] += sizes[moving]
            elif at != to:
                expected[number, at, (to - at) % 3 - 1] += sizes[moving]
    assert (traffic_of(steps, sizes, 3) == expected).all()
    assert expected.any(axis=(1, 2)).sum() > 6


@pytest.mark.parametrize("workers", [2, 3, 4, 5, 8])
def test_at_each_distance_is_another_worker(workers):
    for worker in range(workers):
        found = [receiver(worker, distance, workers) for distance in range(1, workers)]
        assert sorted([*found, worker]) == list(range(workers))
        assert [sender(to, d, workers) for d, to in enumerate(found, 1)] == [worker] * len(found)


@pytest.mark.parametrize("workers", [2, 4, 8])
def test_with_rotations_all_send_at_one_distance(workers):
    steps = steps_of(division(64, 64, workers, empty=0, rotations=2), 7, 3)
    sent = traffic_of(steps, np.full(64, 100), workers)[: steps.used - 1]
    assert (np.count_nonzero(sent.sum(axis=1), axis=1) == 1).all()
    assert sent.max() == 64 // workers * 100


def test_one_worker_sends_nothing():
    assert traffic_of(steps_of(division(5, 5, 1), 0, 0), np.full(5, 8), 1).size == 0


@pytest.mark.parametrize("shape", [(300, 200, 20_000), (150, 400, 5000)])
def test_shares_hold_every_rating_once_by_rows_of_their_own(shape):
    made = problem(*shape)
    plan = made.plan(TrainSettings(deterministic=True), "cpu")
    laid = lay_out(made.ratings, plan, made.users.starts, made.items.starts, 1)
    whole = divide(laid, made.users.starts, made.items.starts, 3)
    assert whole.stays == (USERS if shape[0] > shape[1] else ITEMS)
    found, kept_rows = [], []
    for worker in range(3):
        share = whole.ratings_of(worker, laid)
        columns = list(share.host())
        kept = np.flatnonzero(whole.kept(worker))
        columns[whole.stays] = kept[columns[whole.stays]]
        found.append(np.stack(columns))
        kept_rows.append(len(kept))
        groups = made.users.starts if whole.stays == USERS else made.items.starts
        starts = whole.starts_at(worker, groups.astype(np.int64))
        assert starts[-1] == len(kept)
        rows = np.searchsorted(groups, kept, side="right") - 1
        assert (np.diff(starts) == np.bincount(rows, minlength=len(groups) - 1)).all()
    assert sum(kept_rows) == shape[whole.stays]
    together = np.concatenate(found, axis=1)
    for mine, theirs in zip(together, laid.host(), strict=True):
        assert sorted(mine.tolist()) == sorted(theirs.tolist())
    for part, kept in zip(found, kept_rows, strict=True):  # rows and ratings together
        assert part.shape[1] / len(laid) + kept / shape[whole.stays] < 1.1 * 2 / 3


def test_the_dearest_range_goes_to_who_has_least():
    assert share_out(np.array([1, 7, 4, 3]), 2).tolist() == [0, 0, 1, 1]
