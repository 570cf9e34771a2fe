"""scikit-learn's tools on the estimator."""

import numpy as np
import pytest
from sklearn.base import clone, is_regressor
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.utils import estimator_html_repr
from sklearn.utils.validation import check_is_fitted

from mascot_jax import MatrixFactorization
from mascot_jax.errors import DataError
from tests.support.ratings import QUICK, small_frame

FOLDS = KFold(2, shuffle=True, random_state=0)


@pytest.fixture(scope="module")
def frame():
    return small_frame()


def test_a_clone_has_the_settings_and_no_model(frame):
    fitted = MatrixFactorization(**QUICK | {"factors": np.int64(2)}).fit(frame)
    check_is_fitted(fitted)
    copy = clone(fitted)
    assert copy.get_params() == fitted.get_params()
    assert not hasattr(copy, "model_")
    assert is_regressor(copy)


def test_scores_are_those_of_a_loop(frame):
    scores = cross_val_score(MatrixFactorization(**QUICK), frame, cv=FOLDS)
    for score, (train, test) in zip(scores, FOLDS.split(frame), strict=True):
        model = MatrixFactorization(**QUICK).fit(frame.iloc[train])
        assert score == model.score(frame.iloc[test])


@pytest.mark.parametrize("as_array", [False, True])
def test_a_grid_is_searched_by_any_metric_of_predictions(frame, as_array):
    pairs, stars = frame[["user", "item"]], frame["rating"]
    if as_array:
        pairs, stars = (
            pairs.assign(user=pairs.user.str[1:].astype(int)).to_numpy(),
            stars.to_numpy(),
        )
    search = GridSearchCV(
        MatrixFactorization(**QUICK),
        {"seed": np.arange(2), "learning_rate": [0.01]},
        scoring=["neg_mean_absolute_error", "r2"],
        refit="neg_mean_absolute_error",
        cv=FOLDS,
        error_score="raise",
    ).fit(pairs, stars)
    best = MatrixFactorization(**QUICK | search.best_params_).fit(pairs, stars)
    np.testing.assert_array_equal(search.predict(pairs), best.predict(pairs))
    assert search.best_estimator_.score(pairs, stars) == best.score(pairs, stars)
    assert "MatrixFactorization" in estimator_html_repr(search)


def test_training_scores_say_nothing_of_ratings_that_were_seen(frame):
    found = cross_validate(MatrixFactorization(**QUICK), frame, cv=FOLDS, return_train_score=True)
    assert np.isfinite(found["train_score"]).all()


def test_each_rating_is_predicted_by_a_model_that_has_not_seen_it(frame):
    pairs, stars = frame[["user", "item"]], frame["rating"]
    predicted = cross_val_predict(MatrixFactorization(**QUICK), pairs, stars, cv=FOLDS)
    train, test = next(FOLDS.split(pairs))
    model = MatrixFactorization(**QUICK).fit(pairs.iloc[train], stars.iloc[train])
    np.testing.assert_array_equal(predicted[test], model.predict(pairs.iloc[test]))
    assert np.isfinite(mean_absolute_error(stars, predicted))


def test_pairs_and_ratings_are_the_frame_of_both(frame):
    pairs, stars = frame[["user", "item"]], frame["rating"]
    one = MatrixFactorization(**QUICK).fit(frame)
    two = MatrixFactorization(**QUICK).partial_fit(pairs, stars)
    np.testing.assert_array_equal(one.user_factors_, two.user_factors_)
    np.testing.assert_array_equal(one.predict(frame.user, frame.item), two.predict(pairs))
    for wrong in ([1, 2], np.zeros((3, 3)), np.zeros(4)):
        with pytest.raises(DataError, match=r"pairs: must be a data frame .* array \(n, 2\)"):
            one.predict(wrong)
    with pytest.raises(DataError, match="users, items and ratings must be equally many"):
        MatrixFactorization(**QUICK).fit(pairs, stars[1:])
    with pytest.raises(DataError, match="no column 'item' in the data frame"):
        one.predict(frame[["user"]])
