"""``mascot evaluate``."""

import numpy as np
import polars as pl
import pytest

from mascot_jax import MatrixFactorization
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
    test = ([1, 1, 1, 999], [best[0], 5000, 5000, best[2]], [3.0] * 4)
    found = fitted.evaluate(test, top_n=2)
    assert found["recall"] == pytest.approx((1 / 2 + 1) / 2)
    assert found["hit_rate"] == 1
    assert found["coverage"] == pytest.approx(len(set(best.tolist())) / ITEMS)


def test_the_most_rated_stand_beside_the_model(made, model, mascot, mascot_json):
    argv = ("evaluate", model, made / "test.csv", "--top-n", 4, "--sampled", 9)
    (found,) = mascot_json(*argv, "--popularity", 1000)
    for name in ("precision", "ndcg", "sampled_ndcg"):  # but for ties, the same order
        assert found[name] == pytest.approx(found[f"{name}_of_popularity"], rel=0.2)
    assert (found["sampled"], found["sample_seed"], found["popularity"]) == (9, 0, 1000)
    code, out, _ = mascot(*argv, "--sample-seed", 1)
    header, *rows = (line.split() for line in out.splitlines())
    assert (code, header) == (0, ["model", "most", "rated"])
    (ndcg,) = (row for row in rows if row[0] == "ndcg")
    assert float(ndcg[2]) == pytest.approx(found["ndcg_of_popularity"], abs=1e-4)
    (other,) = mascot_json(*argv, "--sample-seed", 1)
    assert other["sampled_ndcg"] != mascot_json(*argv)[0]["sampled_ndcg"]


@pytest.mark.parametrize(
    "option",
    ["--sampled=5", "--popularity=0.5", "--min-ratings=3", "--diversity=0.1", "--relevant=0"],
)
def test_options_of_lists_need_lists(made, model, mascot, option):
    code, out, err = mascot("evaluate", model, made / "test.csv", option)
    assert (code, out) == (2, "")
    name, value = option.split("=")
    assert err.startswith(f"mascot: {name}: {value}") or err.startswith(f"{name}: {value}")
    assert "is of lists: give --top-n, too" in err


def test_a_seed_of_samples_is_not_below_0(made, model, mascot):
    argv = ("evaluate", model, made / "test.csv", "--top-n", 4, "--sampled", 9)
    code, _, err = mascot(*argv, "--sample-seed", -1)
    assert code == 2
    assert "--sample-seed: -1: must be an integer, at least 0" in err
