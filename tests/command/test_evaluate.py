"""``mascot evaluate``."""

import numpy as np
import polars as pl
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.mf.list_metrics import list_metrics
from mascot_jax.mf.recommend import Ranking
from tests.command.conftest import ITEMS


@pytest.fixture
def test_ratings(made):
    return pl.read_csv(made / "test.csv")


def test_errors(made, model, test_ratings, mascot_json):
    (found,) = mascot_json("evaluate", model, made / "test.csv")
    predicted = MatrixFactorization.load(model).predict(test_ratings["user"], test_ratings["item"])
    errors = predicted - test_ratings["rating"].to_numpy()
    assert found["rmse"] == pytest.approx(np.sqrt((errors**2).mean()))
    assert found["mae"] == pytest.approx(np.abs(errors).mean())
    assert found["ratings"] == 200
    assert "precision" not in found


def test_clipping_lowers_the_error(made, model, mascot_json):
    (plain,) = mascot_json("evaluate", model, made / "test.csv")
    (clipped,) = mascot_json("evaluate", model, made / "test.csv", "--clip")
    assert clipped["rmse"] < plain["rmse"]


@pytest.mark.parametrize("least", [None, 4])
def test_lists(made, model, test_ratings, mascot_json, least):
    """Against sets of plain Python."""
    n = 10
    options = () if least is None else ("--relevant", least)
    (found,) = mascot_json("evaluate", model, made / "test.csv", "--top-n", n, *options)
    wanted = test_ratings.filter(pl.col("rating") >= (least or 0))
    users = test_ratings["user"].unique()
    lists = MatrixFactorization.load(model).recommend(users, n)
    hits, precisions, recalls = [], [], []
    for user in wanted["user"].unique():
        relevant = set(wanted.filter(pl.col("user") == user)["item"])
        listed = set(lists.items[lists.users == user].tolist())
        hits.append(bool(relevant & listed))
        precisions.append(len(relevant & listed) / n)
        recalls.append(len(relevant & listed) / len(relevant))
    assert found["hit_rate"] == pytest.approx(np.mean(hits))
    assert found["precision"] == pytest.approx(np.mean(precisions))
    assert found["recall"] == pytest.approx(np.mean(recalls))
    assert found["coverage"] == pytest.approx(len(set(lists.items.tolist())) / ITEMS)
    assert found["queries"] == len(hits)
    assert (found["top_n"], found["relevant_rating"]) == (n, least)
    assert 0 < found["ndcg"] < 1


def test_unknown_items_are_missed_and_unknown_users_get_lists(model):
    fitted = MatrixFactorization.load(model)
    best = fitted.recommend([1, 999], 2).items
    users = np.array([1, 1, 1, 999])
    items = np.array([best[0], 5000, 5000, best[2]])
    model = fitted.model_
    metrics = list_metrics(model, Ranking(model), users, items, np.full(4, True), 2)
    assert metrics.recall == pytest.approx((1 / 2 + 1) / 2)
    assert metrics.hit_rate == 1
    assert metrics.coverage == pytest.approx(len(set(best.tolist())) / ITEMS)


def test_for_people(made, model, mascot):
    code, out, err = mascot("evaluate", model, made / "test.csv", "--top-n", 5)
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()][:3] == ["rmse", "mae", "ratings"]
    assert "hit rate" in out
