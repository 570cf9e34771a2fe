import math
import zipfile

import numpy as np
import pytest

from mascot_jax.distributed.division import divide
from mascot_jax.engine.kernels import Execution
from mascot_jax.settings import TrainSettings
from mascot_jax.training.problem import prepare
from studies.notes.criteria import Point, loss_at
from studies.notes.neighbours import in_common, read_genres
from studies.notes.steps import parts
from tests.support.shared import problem


def test_gpus_visit_every_rating_once_in_parts_of_their_own():
    made = problem(300, 200, 20_000)
    prepared = prepare(made, made.plan(TrainSettings(rotations=2), "cpu"), Execution())
    division = divide(prepared.ratings, made.users.starts, made.items.starts, 2)
    found = parts(division, seed=0, epoch=0)
    assert np.sort(np.concatenate(found)).tolist() == list(range(20_000))
    users = prepared.ratings.host()[0]
    for step in zip(found[::2], found[1::2], strict=True):
        assert not set(users[step[0]]) & set(users[step[1]])


def test_a_loss_between_two_points_lies_on_their_line():
    points = [Point(0.9, 0.004), Point(0.5, 0.001), Point(0.7, 0.002)]
    assert loss_at(points, 0.6) == pytest.approx(0.0015)
    assert loss_at(points, 0.7) == pytest.approx(0.002)
    assert loss_at(points, 0.85) == pytest.approx(0.0035)


@pytest.mark.parametrize("share", [0.49, 0.91])
def test_beyond_the_points_nothing_is_known(share):
    assert math.isnan(loss_at([Point(0.5, 0.001), Point(0.9, 0.004)], share))


def test_films_have_the_share_of_genres_in_common(tmp_path):
    lines = "1::Toy Story (1995)::Animation|Comedy\n7::Misérables, Les (1995)::Drama|Comedy|War\n"
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as files:
        files.writestr("ml-1m/movies.dat", lines.encode("latin-1"))
    genres = read_genres(tmp_path / "films.zip")
    assert in_common(genres[1], genres[7]) == 1 / 4
    assert in_common(genres[7], genres[7]) == 1
