"""Warnings point at the line that calls the library."""

import pandas as pd
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.errors import BaselineWarning, RatingsWarning, UnsavableIdsWarning
from mascot_jax.mf import SeenRatingsWarning
from tests.support.ratings import QUICK, small_frame


def fit(*ratings, **settings):
    return MatrixFactorization(**QUICK | settings).fit(*ratings)


@pytest.fixture(scope="module")
def fitted():
    return fit(small_frame())


def fit_ratings_all_alike(_):
    fit(small_frame().assign(rating=1.0))


def fit_further(fitted):
    model = MatrixFactorization.from_model(fitted.model_)
    model.partial_fit((["u1", "u2"], [100, 101], [3.0, 1e6]))


def fold_in(fitted):
    fitted.fold_in_user([100, 101], [3.0, 1e6])


def fit_objects(_):
    fit(([(1, 2), (3, 4)], [1, 2], [1.0, 2.0]))


def evaluate_what_was_seen(fitted):
    fitted.evaluate(small_frame()[:5])


def evaluate_a_model_of_nothing(_):
    frame = small_frame()
    fit(frame, recipe="paper", learning_rate=1e-6, keep_seen=False).evaluate(pd.concat([frame] * 2))


@pytest.mark.parametrize(
    ("do", "category"),
    [
        (fit_ratings_all_alike, RatingsWarning),
        (fit_further, RatingsWarning),
        (fold_in, RatingsWarning),
        (fit_objects, UnsavableIdsWarning),
        (evaluate_what_was_seen, SeenRatingsWarning),
        (evaluate_a_model_of_nothing, BaselineWarning),
    ],
)
def test_a_warning_points_at_the_callers_file(fitted, do, category):
    with pytest.warns(category) as found:
        do(fitted)
    assert [(warning.category, warning.filename) for warning in found] == [(category, __file__)]
