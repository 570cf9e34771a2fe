"""Figures on ratings that a model has seen, and what else there is to know about a model."""

import logging
import warnings

import numpy as np
import pandas as pd
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.mf import SeenRatingsWarning
from tests.support.ratings import ITEMS, QUICK, small_frame


@pytest.fixture(scope="module")
def frame():
    return small_frame()


@pytest.fixture(scope="module")
def fitted(frame):
    return MatrixFactorization(**QUICK).fit(frame)


@pytest.fixture(scope="module")
def biased(frame):
    part = frame[:47]  # not as many ratings of each: rows have another order than ids
    return MatrixFactorization(**QUICK | {"biases": True}).fit(part)


def unseen(frame):
    """All pairs that nobody has rated, and one of unknown ids."""
    seen = set(zip(frame.user, frame.item, strict=True))
    users, items = frame.user.unique(), np.arange(ITEMS) + 100
    pairs = [(user, item) for user in users for item in items if (user, item) not in seen]
    return pd.DataFrame([*pairs, ("nobody", 7)], columns=["user", "item"]).assign(rating=3.0)


@pytest.mark.filterwarnings("ignore::mascot_jax.errors.BaselineWarning")
def test_seen_ratings_are_counted_and_said(frame, fitted):
    new = unseen(frame)
    with warnings.catch_warnings():
        warnings.simplefilter("error", SeenRatingsWarning)
        assert fitted.evaluate(new, top_n=3)["seen"] == 0
    for count in (1, 17, len(frame)):
        with pytest.warns(
            SeenRatingsWarning, match=rf"^{count} of {count + 61} ratings are of pairs"
        ):
            found = fitted.evaluate(pd.concat([new, frame[:count]]))
        assert found["seen"] == count


@pytest.mark.filterwarnings("ignore::mascot_jax.errors.BaselineWarning")
def test_lists_of_a_training_file_miss_everything_and_say_why(frame, fitted):
    with pytest.warns(SeenRatingsWarning, match="count them as missed: exclude_seen=False lists"):
        found = fitted.evaluate(frame, top_n=3)
    assert found["precision"] == found["ndcg"] == 0
    with pytest.warns(SeenRatingsWarning, match=r"\(model_selection.train_test_split\)$"):
        found = fitted.evaluate(frame, top_n=ITEMS, exclude_seen=False)
    assert found["recall"] == 1


@pytest.mark.filterwarnings("ignore::mascot_jax.errors.BaselineWarning")
def test_a_model_that_has_forgotten_says_nothing(frame):
    forgetful = MatrixFactorization(**QUICK, keep_seen=False).fit(frame)
    assert forgetful.evaluate(frame, top_n=3)["seen"] is None


def test_predictions_are_the_intercept_the_biases_and_the_factors(frame, fitted, biased):
    for model in (fitted, biased):
        sums = model.intercept_ + model.user_factors_ @ model.item_factors_.T
        if model is biased:
            sums += model.user_biases_[:, None] + model.item_biases_
        predicted = model.predict(model.user_ids_[:, None], model.item_ids_)
        np.testing.assert_allclose(predicted, sums, rtol=1e-3, atol=1e-3)
    assert biased.mean_rating_ == pytest.approx(frame.rating[:47].mean())
    assert (fitted.user_biases_, fitted.item_biases_) == (None, None)


@pytest.mark.filterwarnings("ignore::mascot_jax.errors.BaselineWarning")
@pytest.mark.filterwarnings("ignore::mascot_jax.mf.SeenRatingsWarning")
def test_biases_alone_have_the_mean_of_the_side_that_is_unknown(frame, biased):
    new = pd.concat([frame, unseen(frame), frame[:9].assign(item=7), frame[:9].assign(user="?")])
    users, items = (
        pd.Series(bias, ids)
        for bias, ids in (
            (biased.user_biases_, biased.user_ids_),
            (biased.item_biases_, biased.item_ids_),
        )
    )
    bias = users.reindex(new.user).fillna(0).to_numpy() + items.reindex(new.item).fillna(0)
    errors = biased.mean_rating_ + bias.to_numpy() - new.rating.to_numpy()
    found = biased.evaluate(new)
    assert found["rmse_of_biases"] == pytest.approx(np.sqrt((errors**2).mean()), rel=1e-5)
    away = new.rating - biased.mean_rating_
    assert found["rmse_of_mean"] == pytest.approx(np.sqrt((away**2).mean()), rel=1e-5)


def test_scores_are_clipped_where_asked(frame):
    wild = MatrixFactorization(**QUICK | {"epochs": 30, "learning_rate": 0.1, "user_reg": 0.0})
    wild.fit(frame[frame.rating > 2])
    users = wild.user_ids_
    free, clipped = (wild.recommend(users, clip=clip) for clip in (False, True))
    assert free.scores.max() > 5
    np.testing.assert_array_equal(clipped.scores, free.scores.clip(3, 5))
    np.testing.assert_array_equal(clipped.items, free.items)
    newcomer = wild.fold_in_user([100, 101, 102], [5, 5, 5])
    free, clipped = (newcomer.recommend(9, clip=clip) for clip in (False, True))
    np.testing.assert_array_equal(clipped.scores, free.scores.clip(3, 5))
    assert not np.array_equal(clipped.scores, free.scores)
    test = frame[:20]
    assert -wild.score(test, clip=True) != -wild.score(test)


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_lists_become_data_frames(fitted, library):
    found = fitted.recommend(fitted.user_ids_, 2)
    table = found.to_frame(library)
    assert type(table).__module__.split(".")[0] == library
    rows = table.to_pylist() if library == "pyarrow" else [
        dict(zip(table.columns, row, strict=True)) for row in
        (table.rows() if library == "polars" else table.itertuples(index=False, name=None))
    ]  # fmt: skip
    assert [row["user"] for row in rows] == found.users.tolist()
    assert [(row["rank"], row["item"], row["score"]) for row in rows] == list(
        zip(found.ranks.tolist(), found.items.tolist(), found.scores.tolist(), strict=True)
    )
    near = fitted.similar_items(100, 2)
    assert (
        list(near.to_frame(library)["neighbour"]) == near.neighbours.tolist()
        or library == "pyarrow"
    )


def test_verbose_shows_a_bar_and_silence_nothing(frame, capsys):
    for verbose in (True, False):
        MatrixFactorization(**QUICK, validation=0.2).fit(frame, verbose=verbose)
        out, err = capsys.readouterr()
        assert out == ""
        assert ("training" in err and "1/1" in err and "RMSE" in err) == verbose
        assert bool(err) == verbose


def test_training_is_logged(frame, caplog, capsys):
    with caplog.at_level(logging.DEBUG, logger="mascot_jax"):
        MatrixFactorization(**QUICK).fit(frame)
    said = [record.getMessage() for record in caplog.records]
    assert any("training on 60 ratings of 12 users and 10 items" in line for line in said)
    assert any(line.startswith("epoch 1 of 1: ") for line in said)
    assert "trained 1 epochs" in said
    assert capsys.readouterr().err == ""
    assert [type(h) for h in logging.getLogger("mascot_jax").handlers] == [logging.NullHandler]
