"""Flags of JAX that the program around the library has set: no other result, and no error."""

from contextlib import contextmanager

import jax
import numpy as np
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.mf import SeenRatingsWarning
from tests.support.documents import planted

FLAGS = {
    "jax_debug_nans": True,
    "jax_debug_infs": True,
    "jax_debug_key_reuse": True,
    "jax_transfer_guard": "disallow",
    "jax_threefry_partitionable": False,
}


@contextmanager
def flag(name, value):
    before = getattr(jax.config, name)
    jax.config.update(name, value)
    try:
        yield
    finally:
        jax.config.update(name, before)


def evaluated(model, ratings):
    with pytest.warns(SeenRatingsWarning):
        return model.evaluate(ratings, top_n=3)


def results():
    ratings = planted()
    model = MatrixFactorization(
        factors=8, epochs=3, method="mascot", validation=0.1, warmup=0, period=1
    ).fit(ratings)
    validation_rmse = model.history_[-1]["validation_rmse"]
    model.set_params(validation=0).partial_fit(ratings.head(20))
    return [
        validation_rmse,
        model.user_factors_.tobytes(),
        model.item_factors_.tobytes(),
        model.predict([1, 2], 101).tolist(),
        model.recommend([1, 2], n=3).items.tolist(),
        model.similar_items(101, n=3).neighbours.tolist(),
        evaluated(model, ratings),
        model.fold_in_user([101, 102], [5, 1]).recommend(n=2).items.tolist(),
    ]


@pytest.fixture(scope="module")
def usual():
    return results()


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_changes_nothing(name, usual):
    with flag(name, FLAGS[name]):
        np.testing.assert_equal(results(), usual)
        assert getattr(jax.config, name) == FLAGS[name]
