"""Cross-validation; the command's test compares it with a loop written by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold

from mascot_jax import MatrixFactorization
from mascot_jax.errors import SettingsError
from mascot_jax.model_selection import cross_validate, k_folds
from tests.support.ratings import QUICK, small_frame


def test_it_is_a_loop_over_folds():
    frame = small_frame()
    model = MatrixFactorization(**QUICK, seed=3)
    told = []
    found = cross_validate(
        model, frame, folds=2, seed=1, clip=True, top_n=3, relevant=2, on_fold=told.append
    )
    for fold, (train, test) in zip(found.folds, k_folds(frame, 2, seed=1), strict=True):
        fitted = MatrixFactorization(**QUICK, seed=3).fit(train)
        figures = fitted.evaluate(test, clip=True, top_n=3, relevant=2)
        assert figures.pop("seen") == 0
        assert figures.items() <= fold.items()
        assert fold["train_ratings"] == len(train)
    assert not hasattr(model, "model_")
    assert told == found.folds
    values = [fold["ndcg"] for fold in found.folds]
    assert (found.mean["ndcg"], found.std["ndcg"]) == (np.mean(values), np.std(values, ddof=1))
    assert not {"fold", "ratings", "queries"} & set(found.mean)
    table = found.to_frame()
    assert isinstance(table, pd.DataFrame)
    assert table.rmse.tolist() == [fold["rmse"] for fold in found.folds]


def test_folds_may_be_anyones():
    frame = small_frame().rename(columns={"rating": "stars"})
    rows = list(KFold(3, shuffle=True, random_state=0).split(frame))[:1]
    found = cross_validate(MatrixFactorization(**QUICK), frame, folds=rows, rating="stars")
    train, test = (frame.iloc[part] for part in rows[0])
    fitted = MatrixFactorization(**QUICK).fit(train, rating="stars")
    assert found.mean["rmse"] == -fitted.score(test, rating="stars")
    assert np.isnan(found.std["rmse"])
    with pytest.raises(SettingsError, match="folds: there are none"):
        cross_validate(MatrixFactorization(**QUICK), frame, folds=[], rating="stars")
