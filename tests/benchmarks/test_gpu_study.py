"""The GPU's benchmark on a CPU: what it counts where arrays are longer than what is in use."""

import numpy as np
import pytest

from benchmarks.gpu.study import Study
from benchmarks.gpu.trainings import train_all
from benchmarks.harness.planted import make_planted, scaled_shape
from benchmarks.harness.variants import Maker
from mascot_jax.engine.kernels import Execution


@pytest.fixture(scope="module")
def data():
    return make_planted(scaled_shape("netflix", 20_000))


def test_trainings_count_the_visits_of_the_groups_that_have_rows(data, capsys):
    wanted = {"fp32": 0.0, "fp16": 1.0}
    rows = train_all(
        "netflix", data, Maker(data.problem, 16, Execution()), lambda m: m.name in wanted
    )
    assert {row["name"]: row["traffic_float16"] for row in rows} == wanted
    assert all(row["finite"] for row in rows)


def test_bytes_of_runs_are_those_of_their_ratings(data, capsys):
    study = Study("netflix", 16, data, None)
    variants = [variant for variant in study.variants() if variant.name in ("fp32", "fp32, runs")]
    found = study.rows(variants, study.time(variants), copy=1.0)
    users = variants[1].runs_per_rating
    laid = Maker(data.problem, 16, Execution()).prepared("fp32", order="runs").ratings.host()[0]
    assert users == (1 + np.count_nonzero(np.diff(laid))) / 20_000
    moved = [row["bytes_per_s"] * row["seconds"] / 20_000 for row in found]
    assert moved == pytest.approx([2 * 2 * 64 + 12, 2 * (1 + users) * 64 + 12])
