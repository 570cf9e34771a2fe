"""The comparison of lists measures as the library does."""

import numpy as np
import pandas as pd
import pytest

from benchmarks import lists
from benchmarks.harness.lists import WAYS
from mascot_jax import MatrixFactorization
from tests.support.ratings import QUICK, small_frame

pytestmark = pytest.mark.filterwarnings("ignore::mascot_jax.errors.BaselineWarning")


@pytest.fixture(params=[False, True], ids=["full", "leave one out"])
def split(request, tmp_path):
    frame = small_frame()[["user", "item", "rating"]]
    alone = frame.drop_duplicates("user").assign(item=range(1000, 1000 + frame.user.nunique()))
    frame = pd.concat([frame, alone])
    frame["timestamp"] = np.random.default_rng(0).permutation(len(frame))
    frame.to_csv(tmp_path / "ratings.csv", index=False)
    return request.param, lists.read_split(tmp_path / "ratings.csv", 4, one=request.param)


def measure(one, split, factors):
    return (lists._sampled if one else lists.score_lists)(split, factors, 0)


@pytest.mark.parametrize("popularity", [0.0, 1.0])
def test_figures_are_those_of_evaluate(split, popularity, monkeypatch):
    one, split = split
    monkeypatch.setattr(lists, "N", 3)
    train = split.train
    model = MatrixFactorization(**QUICK | {"biases": True})
    model.fit((train.users, train.items, train.values))
    queries = np.repeat(np.arange(train.user_count), np.diff(split.wanted.starts))
    test = queries, split.wanted.items.astype(np.int64), np.ones(len(queries))
    expected = model.evaluate(test, top_n=3, sampled=100, popularity=popularity)
    settings = QUICK | {"biases": True, "popularity": popularity}
    threads = settings.pop("threads")
    factors = WAYS["ratings, the default"].train.func(train, threads, 0, **settings)
    found = measure(one, split, factors)
    name = "sampled_ndcg" if one else "ndcg"
    assert found["ndcg"] == pytest.approx(expected[name], abs=1e-6)
    other = "hit_rate" if one else "recall"
    assert found[other] == pytest.approx(expected[f"sampled_{other}" if one else other], abs=1e-6)
    popular = measure(one, split, WAYS["popularity"].train(train, 1, 0))
    assert popular["ndcg"] == pytest.approx(expected[f"{name}_of_popularity"], abs=1e-6)


def test_peers_that_are_not_there_are_left_out(monkeypatch, capsys):
    monkeypatch.setattr(lists, "installed", lambda names: [])
    assert [name for name, way in WAYS.items() if lists.is_there(name, way)] == [
        name for name, way in WAYS.items() if way.package is None
    ]
    assert "left out: implicit ALS: implicit is not installed" in capsys.readouterr().out


def test_splits_are_summed_up():
    figures = ((9.0, 0.1), (1.0, 0.2), (2.0, 0.3))
    made = [{"seconds": s, "cpu_seconds": 2 * s, "ndcg": n} for s, n in figures]
    row = lists._row("popularity", WAYS["popularity"], made)
    assert row["ndcg"] == pytest.approx(0.2)
    assert (row["seconds"], row["cpu_seconds"]) == (2.0, 4.0)
    assert row["splits"] == [0.1, 0.2, 0.3]
    assert lists._row("implicit ALS, tuned", WAYS["implicit ALS, tuned"], made)["settings"]
