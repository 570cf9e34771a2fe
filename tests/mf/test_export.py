import dataclasses
import json

import numpy as np
import pytest

from mascot_jax import MatrixFactorization
from mascot_jax.errors import DataError, SettingsError
from mascot_jax.ids.table import IdTable
from mascot_jax.mf.export import export_dense
from tests.mf.test_estimator import SMALL, make_frame


@pytest.fixture(scope="module", params=[False, True], ids=["factors", "biases"])
def fitted(request):
    return MatrixFactorization(**SMALL | {"biases": request.param}).fit(make_frame())


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_inner_products_are_predictions(fitted, tmp_path, dtype):
    fitted.export(tmp_path / "dense", dtype)
    users, items = (np.load(tmp_path / "dense" / f"{name}.npy") for name in ("users", "items"))
    assert users.dtype == items.dtype == dtype
    user_ids = np.load(tmp_path / "dense" / "user_ids.npy")
    item_ids = json.loads((tmp_path / "dense" / "item_ids.json").read_text())
    np.testing.assert_array_equal(user_ids, fitted.user_ids_)
    assert item_ids == fitted.item_ids_.tolist()
    expected = fitted.predict(user_ids[:, None], fitted.item_ids_[None, :])
    found = users.astype(np.float32) @ items.astype(np.float32).T
    np.testing.assert_allclose(found, expected, atol=1e-4 if dtype == "float32" else 2e-2)


def test_rows_without_ratings_are_left_out(tmp_path):
    estimator = MatrixFactorization(**SMALL).fit(([3, 5], [b"a\0", b"b"], [1.0, 2.0]))
    model = estimator.model_
    users = dataclasses.replace(model.users, warm_rows=1)
    export_dense(dataclasses.replace(model, users=users), tmp_path)
    assert len(np.load(tmp_path / "users.npy")) == 1
    assert np.load(tmp_path / "user_ids.npy").tolist() == [[3, 5][users.order[0]]]
    assert json.loads((tmp_path / "item_ids.json").read_text()) == ["6100", "62"]


def test_what_cannot_be_written_is_refused(fitted, tmp_path):
    with pytest.raises(SettingsError, match="dtype: 'int8': must be float32 or float16"):
        fitted.export(tmp_path, "int8")
    model = fitted.model_
    objects = IdTable("object", np.fromiter([(i,) for i in range(60)], dtype=object))
    users = dataclasses.replace(model.users, ids=objects)
    with pytest.raises(DataError, match="make them strings or integers"):
        export_dense(dataclasses.replace(model, users=users), tmp_path)
    large = {"float32": np.full((60, 8), 1e5, dtype=np.float32)}
    table = dataclasses.replace(
        model.users.table, stored=large, codes=np.zeros_like(model.users.table.codes)
    )
    users = dataclasses.replace(model.users, table=table)
    with pytest.raises(SettingsError, match=r"float16 does not hold \S+, a component of users"):
        export_dense(dataclasses.replace(model, users=users), tmp_path, "float16")
    assert list(tmp_path.iterdir()) == []
