"""``mascot export``."""

import numpy as np
import pytest

from mascot_jax import MatrixFactorization
from tests.command.conftest import ITEMS, SMALL, USERS


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_inner_products_are_predictions(model, tmp_path, mascot_json, dtype):
    folder = tmp_path / "vectors"
    (found,) = mascot_json("export", model, folder, "--dtype", dtype)
    assert found == {
        "folder": str(folder),
        "dtype": dtype,
        "users": USERS,
        "items": ITEMS,
        "components": 10,
    }
    users, items = np.load(folder / "users.npy"), np.load(folder / "items.npy")
    ids = np.load(folder / "user_ids.npy"), np.load(folder / "item_ids.npy")
    assert users.shape == (USERS, 10)
    assert items.dtype == dtype
    expected = MatrixFactorization.load(model).predict(ids[0][:, None], ids[1])
    assert np.allclose(users.astype(np.float32) @ items.astype(np.float32).T, expected, atol=1e-2)


def test_biases_are_two_components_more(made, tmp_path, mascot):
    train = ("train", made / "ratings.csv", "-o", tmp_path / "model", *SMALL, "--biases")
    assert mascot(*train)[0] == 0
    code, out, _ = mascot("export", tmp_path / "model", tmp_path / "vectors")
    assert code == 0
    assert "60 users and 40 items, 10 components of float32" in out
    assert np.load(tmp_path / "vectors" / "users.npy").shape == (USERS, 10)


def test_a_place_that_cannot_be_is_an_error(model, tmp_path, mascot):
    (tmp_path / "file").touch()
    code, out, err = mascot("export", model, tmp_path / "file" / "vectors")
    assert (code, out) == (1, "")
    assert err.startswith("mascot: ")
    assert "file" in err
