"""Matrices for vector-search engines: inner products are the model's predictions."""

import json

import numpy as np
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.errors import DataError, SaveError
from mascot_jax.export import FILES, export_dense


def fitted(least=1, **settings):
    rng = np.random.default_rng(3)
    users = np.array(["zoë", "a\nb", "c"], dtype=object)[rng.integers(0, 3, 200)]
    ratings = least + rng.integers(0, 5, 200)
    estimator = MatrixFactorization(factors=4, epochs=2, user_groups=2, item_groups=2, **settings)
    return estimator.fit((users, rng.integers(-3, 9, 200), ratings))


def read(folder):
    arrays = [np.load(folder / name) for name in FILES[:2]]
    ids = [json.loads((folder / name).read_text()) for name in FILES[2:]]
    return *arrays, *ids


@pytest.mark.parametrize("settings", [{}, {"biases": True}, {"method": "int8"}], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_inner_products_are_predictions(tmp_path, settings, dtype):
    estimator = fitted(**settings)
    paths = export_dense(estimator.model_, tmp_path / "new" / "folder", dtype)
    assert [path.name for path in paths] == list(FILES)
    users, items, user_ids, item_ids = read(tmp_path / "new" / "folder")
    assert users.dtype == items.dtype == dtype
    assert user_ids == ["a\nb", "c", "zoë"]
    assert item_ids == list(range(-3, 9))
    expected = estimator.predict(np.array(user_ids, dtype=object)[:, None], item_ids)
    products = users.astype(np.float64) @ items.astype(np.float64).T
    assert np.allclose(products, expected, atol=1e-5 if dtype == "float32" else 1e-2)


def test_rows_without_a_rating_are_zero(tmp_path):
    from scipy.sparse import coo_array

    ratings = coo_array(([4.0, 2.0, 3.0], ([0, 2, 2], [0, 0, 1])), shape=(4, 3))
    estimator = MatrixFactorization(factors=4, epochs=1, user_groups=2, item_groups=2).fit(ratings)
    export_dense(estimator.model_, tmp_path)
    users, items, *_ = read(tmp_path)
    assert (users != 0).any(axis=1).tolist() == [True, False, True, False]
    assert (items != 0).any(axis=1).tolist() == [True, True, False]


def test_what_does_not_fit_float16_is_refused(tmp_path):
    estimator = fitted(least=100_000, biases=True)
    with pytest.raises(DataError, match=r"users.npy: numbers up to .* do not fit float16"):
        export_dense(estimator.model_, tmp_path, "float16")
    assert not (tmp_path / "users.npy").exists()
    export_dense(estimator.model_, tmp_path)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SaveError):
        export_dense(fitted().model_, tmp_path / "file" / "folder")
