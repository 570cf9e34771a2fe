"""Who keeps what, and what goes where between rounds, for any number of workers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mascot_jax.distributed.division import ITEMS, USERS, Division, Ranges, divide, share_out
from mascot_jax.distributed.rounds import rounds_of, traffic_of
from mascot_jax.engine.layout import lay_out
from mascot_jax.engine.turns import EVERYONE
from mascot_jax.settings import TrainSettings
from tests.support.shared import problem


def division(users, items, workers, empty=0.3, seed=0):
    """A division of random blocks; some hold nothing."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 9, users * items) * (rng.random(users * items) > empty)
    sides = tuple(
        Ranges(np.arange(n + 1, dtype=np.int64) * 3, np.array([0, 2, 3 * n], dtype=np.int64))
        for n in (users, items)
    )
    stays = USERS if users >= items else ITEMS
    begin = np.concatenate([[0], np.cumsum(counts)])
    owner = share_out(np.ones(max(users, items), dtype=np.int64), workers)
    return Division(workers, sides, begin, stays, owner)


def followed(made, rounds):
    """The newest version of each range where it is visited, and at the end everywhere.

    Returns the visits in order: (round, user range, item range, worker).
    """
    travelling = len(made.sides[made.travels])
    versions = np.zeros((made.workers, travelling), dtype=np.int64)  # that each worker has
    visits = []
    for number, (turns, moves) in enumerate(zip(rounds.turns, rounds.moves, strict=True)):
        for pair in turns.tolist():
            if made.counts[tuple(pair)] == 0:
                continue
            worker, moving = made.owner[pair[made.stays]], pair[made.travels]
            assert versions[worker, moving] == versions[:, moving].max()
            versions[worker, moving] += 1
            visits.append((number, *pair, int(worker)))
        sent = versions.copy()
        for moving, (at, to) in enumerate(moves.tolist()):
            sent[to, moving] = versions[at, moving] if at != to else sent[to, moving]
        versions = sent
    for moving, (at, to) in enumerate(rounds.last.tolist()):
        if to == EVERYONE:
            versions[:, moving] = versions[at, moving]
    assert (versions == versions[0]).all()
    return visits


@given(
    st.integers(1, 12), st.integers(1, 12), st.integers(1, 5), st.integers(0, 99),
    st.sampled_from([0.0, 0.3, 0.9]),
)  # fmt: skip
def test_a_visit_always_has_the_newest_rows(users, items, workers, epoch, empty):
    if workers > max(users, items):
        return
    made = division(users, items, workers, empty, seed=epoch)
    visits = followed(made, rounds_of(made, 7, epoch))
    assert len(visits) == np.count_nonzero(made.counts)
    assert len({visit[1:3] for visit in visits}) == len(visits)
    for side in (1, 2):  # no two blocks of a round share a range
        assert len({(visit[0], visit[side]) for visit in visits}) == len(visits)


def test_the_list_is_the_same_for_every_number_of_workers():
    lists = [rounds_of(division(12, 9, workers), 7, 3).turns for workers in (1, 2, 5)]
    assert (lists[0] == lists[1]).all()
    assert (lists[0] == lists[2]).all()
    assert (lists[0] != rounds_of(division(12, 9, 1), 7, 4).turns).any()


def test_traffic_is_what_the_moves_add_up_to():
    made = division(12, 9, 3)
    rounds, sizes = rounds_of(made, 1, 0), np.arange(1, 10) * 100
    expected = np.zeros((len(rounds.moves) + 1, 3, 2), dtype=np.int64)
    for number, moves in enumerate(rounds.moves.tolist()):
        for moving, (at, to) in enumerate(moves):
            if at != to:
                expected[number, at, (to - at) % 3 - 1] += sizes[moving]
    for moving, (at, to) in enumerate(rounds.last.tolist()):
        expected[-1, at] += sizes[moving] if to == EVERYONE else 0
    assert (traffic_of(rounds, sizes, 3) == expected).all()
    assert expected[:-1].any(axis=(1, 2)).sum() > 6


def test_one_worker_sends_nothing():
    assert traffic_of(rounds_of(division(5, 5, 1), 0, 0), np.full(5, 8), 1).size == 0


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
