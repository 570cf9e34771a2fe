"""``mascot inspect``."""

import polars as pl
import pytest

import mascot_jax
from mascot_jax import MatrixFactorization
from mascot_jax.mf.model_file import load_model, model_digest
from tests.command.conftest import ITEMS, USERS


def test_what_is_in_a_model(model, mascot_json):
    (found,) = mascot_json("inspect", model)
    loaded = load_model(model)
    assert found["sha256"] == model_digest(model)
    assert found["checksum_ok"]
    assert found["library_version"] == mascot_jax.__version__
    assert found["file_bytes"] == model.stat().st_size
    assert found["factor_bytes"] == loaded.factor_bytes
    assert found["seen_pairs"] == 1300
    assert found["settings"] == {
        **loaded.settings.model_dump(exclude={"comparators"}),
        "user_groups": 100,
        "item_groups": 100,
    }
    for name, count, first in (("users", USERS, 1), ("items", ITEMS, 101)):
        side = found[name]
        assert (side["count"], side["with_ratings"], side["ids"]) == (count, count, "integer")
        assert side["first_ids"] == [first, first + 1, first + 2]
        (storage,) = side["storages"]
        assert (storage["storage"], storage["rows"]) == ("float16", count)
        assert storage["bytes"] == count * 8 * 2


def test_for_people(model, mascot):
    code, out, err = mascot("inspect", model)
    assert (code, err) == (0, "")
    for part in ("sha256", "users: 60", "items: 40", "float16", "learning_rate", "null"):
        assert part in out


def test_what_is_in_a_checkpoint(made, tmp_path, mascot, mascot_json):
    ratings, checkpoint = made / "ratings.csv", tmp_path / "checkpoint"
    settings = {"factors": 8, "epochs": 3, "validation": 0.1, "patience": 3}
    model = MatrixFactorization(**settings).fit(
        pl.read_csv(ratings), user="user", checkpoint=checkpoint
    )
    (found,) = mascot_json("inspect", checkpoint)
    assert found["checkpoint"] == str(checkpoint)
    assert (found["epochs_done"], found["epochs"], found["format_version"]) == (3, 3, 2)
    assert found["validation_rmse"] == model.history_[-1]["validation_rmse"]
    scores = [record["validation_rmse"] for record in model.history_]
    assert found["best_epoch"] == scores.index(min(scores))
    assert found["settings"]["factors"] == 8
    assert (found["parts"], found["users"]["count"], found["items"]["count"]) == ([], USERS, ITEMS)
    (storage,) = found["users"]["storages"]
    assert (storage["storage"], storage["rows"]) == ("float16", USERS)
    code, out, err = mascot("inspect", checkpoint)
    assert (code, err) == (0, "")
    assert "epochs done" in out
    assert "parts" not in out
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    assert mascot("inspect", checkpoint)[0] == 1


@pytest.mark.parametrize("damage", ["cut", "altered", "no model", "missing"])
def test_a_damaged_file_is_refused(model, tmp_path, mascot, damage):
    path = tmp_path / "model"
    content = model.read_bytes()
    if damage == "cut":
        path.write_bytes(content[:-10])
    elif damage == "altered":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "no model":
        path.write_text("user,item,rating\n")
    code, out, err = mascot("inspect", path)
    assert (code, out) == (1, "")
    assert err.startswith("mascot: ")
    assert str(path) in err
