"""``mascot inspect``."""

import pytest

import mascot_jax
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
