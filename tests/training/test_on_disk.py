"""A training whose ratings lie on disk leaves the bits of one in memory."""

import numpy as np
import pytest

from mascot_jax.engine import layout
from mascot_jax.engine.kernels import Execution
from mascot_jax.errors import DataError
from mascot_jax.training import on_disk
from mascot_jax.training.fingerprint import fingerprint
from mascot_jax.training.loop import begin, train_state
from tests.support import shared


@pytest.fixture
def small_pieces(monkeypatch):
    """Pieces of some blocks each, and several steps of dividing."""
    monkeypatch.setattr(on_disk, "LEAST_READ", 1)
    monkeypatch.setattr(on_disk, "PIECES", 7)
    monkeypatch.setattr("mascot_jax.engine.layout.DIVIDED_AT_A_TIME", 1000)


@pytest.mark.parametrize("case", ["mascot-int8", "tuned", "mascot, rotations"])
def test_ratings_on_disk_leave_the_bits_of_those_in_memory(case, tmp_path, small_pieces):
    in_memory = shared.digest(case, "more users", 0)
    assert in_memory == shared.digest(case, "more users", 0, scratch=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.hardening
@pytest.mark.parametrize("shape", shared.SHAPES)
@pytest.mark.parametrize("case", shared.CASES)
def test_all_methods_and_shapes_do(case, shape, tmp_path, small_pieces):
    assert shared.digest(case, shape, 0) == shared.digest(case, shape, 0, scratch=tmp_path)


def test_checkpoints_do_not_know_where_the_ratings_lie(tmp_path):
    made = shared.prepared("tuned", "few"), shared.prepared("tuned", "few", scratch=tmp_path)
    assert made[1].ratings.scratch is not None
    assert fingerprint(made[0]) == fingerprint(made[1])


@pytest.mark.parametrize("case", ["tuned", "mascot, rotations"])
def test_many_ratings_are_laid_out_in_place(case, monkeypatch):
    monkeypatch.setattr("mascot_jax.engine.layout.COPIED", 1000)
    monkeypatch.setattr("mascot_jax.engine.layout.DIVIDED_AT_A_TIME", 999)
    in_place, divided = [], layout._divided
    monkeypatch.setattr(layout, "_divided", lambda *a: in_place.append(a) or divided(*a))
    made = [shared.prepared(case, "more users", expendable=each) for each in (False, True)]
    assert len(in_place) == 1
    assert fingerprint(made[0]) == fingerprint(made[1])
    blocks = [np.asarray(each.ratings.strata.begin)[: 64 * 64].tolist() for each in made]
    assert blocks[0] == blocks[1]


def test_tables_stay_in_place(tmp_path, small_pieces):
    made = shared.prepared("mascot", "more users", scratch=tmp_path)
    runner, state = on_disk.OnDisk(made, Execution(2)), begin(made).state
    before = shared.pointers(state)
    for _ in range(3):
        state, _ = runner.epoch(state)
    assert shared.pointers(state) == before


def test_changed_ratings_do_not_reach_the_kernel(tmp_path):
    made = shared.prepared("fp32", "few", scratch=tmp_path)
    made.ratings.scratch.write(1, 3, np.full(1, 90, np.uint32))
    with pytest.raises(DataError, match="not what was written: see whether its disk works"):
        train_state(made, Execution(1))
