"""A worker's share of the ratings: the same from memory and from a file, and held once."""

import tracemalloc

import jax
import numpy as np
import pytest

from mascot_jax.base import arrays
from mascot_jax.distributed.division import divide
from mascot_jax.engine.layout import lay_out
from mascot_jax.errors import DataError
from mascot_jax.settings import TrainSettings
from tests.support.shared import problem


def divided(shape, workers, scratch=None):
    """Ratings laid out, in memory or in a file, and who keeps which."""
    made = problem(*shape, scratch)
    plan = made.plan(TrainSettings(deterministic=True), "cpu")
    starts = made.users.starts, made.items.starts
    laid = lay_out(made.ratings, plan, *starts, 1)
    return divide(laid, *starts, workers), laid


def leaves(share):
    return jax.tree.leaves((share.users, share.items, share.ratings, share.strata, share.extent))


@pytest.mark.parametrize("shape", [(300, 200, 20_000), (150, 400, 5000)])
def test_a_share_from_a_file_is_that_from_memory(shape, tmp_path):
    whole, in_memory = divided(shape, 3)
    _, on_disk = divided(shape, 3, tmp_path)
    assert on_disk.scratch is not None
    for worker in range(3):
        shares = [whole.ratings_of(worker, laid) for laid in (in_memory, on_disk)]
        assert shares[1].scratch is None
        for mine, theirs in zip(*map(leaves, shares), strict=True):
            np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize("on_disk", [False, True])
def test_a_share_is_not_in_memory_twice(on_disk, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "AT_A_TIME", 10_000)
    whole, laid = divided((300, 200, 400_000), 2, tmp_path if on_disk else None)
    tracemalloc.start()
    share = whole.ratings_of(0, laid)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.2 * sum(column.nbytes for column in (share.users, share.items, share.ratings))


@pytest.mark.parametrize("column", [0, 1])
def test_changed_ratings_are_in_no_share(column, tmp_path):
    whole, laid = divided((300, 200, 20_000), 1, tmp_path)
    laid.scratch.write(column, 3, np.full(1, 300, np.uint32))
    with pytest.raises(DataError, match="not what was written: see whether its disk works"):
        whole.ratings_of(0, laid)
