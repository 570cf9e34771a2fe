import dataclasses

import numpy as np
import pytest
from safetensors.numpy import save_file

from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.tables import to_device
from mascot_jax.errors import ModelFileError
from mascot_jax.ids.table import IdTable
from mascot_jax.mf.model_file import load_model, model_digest, save_model
from mascot_jax.mf.train import train_model
from mascot_jax.ranking.pairs import Pairs
from mascot_jax.settings import RegroupSettings
from mascot_jax.training.scoring import HeldOut
from tests.support.small_models import altered
from tests.support.worlds import ONE, live_rows, prepared
from tests.training.test_training import plan, planted


def trained(method="mascot", **values):
    """The state after the last epoch, and the model."""
    made, states = prepared(*planted(), plan(method=method, **values)), []
    model = train_model(made, ONE, lambda _, state: states.append(state))
    return states[-1], model


@pytest.fixture(scope="module")
def mixed():
    state, model = trained(threshold=0.9, epochs=40, sample_ratio=1.0)
    assert len(model.users.table.stored) == 2  # some groups switched, some not
    return state, model


@pytest.fixture
def path(mixed, tmp_path):
    save_model(mixed[1], tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def test_a_model_comes_back_bit_for_bit(mixed, path):
    state, model = mixed
    loaded = load_model(path)
    assert loaded.settings == model.settings
    assert (loaded.mean_rating, loaded.low, loaded.high) == (model.mean_rating, 1.0, 5.0)
    assert loaded.traffic == model.traffic
    assert set(loaded.traffic) == {"float16", "float32"}
    assert loaded.epochs_trained == 40
    assert loaded.biases is None
    for name in ("users", "items"):
        side, old = getattr(loaded, name), getattr(model, name)
        np.testing.assert_array_equal(side.order, old.order)
        assert side.warm_rows == old.warm_rows
        rebuilt = to_device(side.table)
        np.testing.assert_array_equal(live_rows(rebuilt), live_rows(getattr(state, name)))


def test_only_live_rows_are_stored_unpadded(mixed):
    _, model = mixed
    for side in (model.users, model.items):
        assert sum(len(rows) for rows in side.table.stored.values()) == len(side.order)
        assert all(rows.shape[1] == 8 for rows in side.table.stored.values())
    assert model.factor_bytes == sum(
        rows.size * (2 if name == "float16" else 4)
        for side in (model.users, model.items)
        for name, rows in side.table.stored.items()
    )


def test_equal_models_give_equal_bytes(mixed, path, tmp_path):
    digest = save_model(mixed[1], tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    assert model_digest(path) == digest
    assert not list(tmp_path.glob("*.tmp*"))


@pytest.mark.parametrize("method", ["fp32", "fp16"])
def test_a_uniform_model_holds_one_storage(method):
    _, model = trained(method)
    assert list(model.users.table.stored) == ["float32" if method == "fp32" else "float16"]


@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_a_cut_file_is_refused(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelFileError, match="cut, damaged or not a model file"):
        load_model(path)


def test_every_altered_byte_is_noticed(path):
    content = path.read_bytes()
    for position in np.random.default_rng(0).integers(0, len(content), 60):
        altered = bytearray(content)
        altered[position] ^= 0x10
        path.write_bytes(altered)
        with pytest.raises(ModelFileError, match=str(path)):
            load_model(path)


def test_a_newer_version_is_refused(path):
    with altered(path) as (_, facts):
        facts |= {"format_version": 99, "library_version": "7.0"}
    with pytest.raises(ModelFileError, match=r"model format 99 was written by mascot-jax 7\.0"):
        load_model(path)


def test_version_1_is_read(path):
    """It knew neither recipes nor biases nor early stopping; at first, one way to round."""
    with altered(path) as (_, facts):
        facts["format_version"] = 1
        del facts["epochs_trained"]
        for name in (
            *("recipe", "schedule", "biases", "validation", "patience"),
            *("rounding", "criterion", "deterministic"),
        ):
            del facts["settings"][name]
    model = load_model(path)
    assert (model.epochs_trained, model.biases) == (40, None)
    settings = model.settings
    assert (settings.recipe, settings.schedule, settings.rounding) == ("paper", "power", "nearest")
    assert settings.deterministic is False


def test_biases_come_back_bit_for_bit(tmp_path):
    last, model = trained("fp32", biases=True, validation=0.2, patience=1, learning_rate=0.5)
    assert model.epochs_trained == int(last.epoch) - 1 < 11
    path = tmp_path / "m.safetensors"
    save_model(model, path)
    loaded = load_model(path)
    assert loaded.epochs_trained == model.epochs_trained
    rows = np.arange(40, dtype=np.uint32)
    for a, b in zip(loaded.biases, model.biases, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(
        loaded.cold_rule.offset(rows, rows), model.cold_rule.offset(rows, rows)
    )


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1], lambda t: t.astype(np.float64)], ids=["length", "type"]
)
def test_biases_that_do_not_fit_are_refused(tmp_path, change):
    path = tmp_path / "m.safetensors"
    save_model(trained("fp32", biases=True)[1], path)
    with altered(path) as (tensors, _):
        tensors["items.bias"] = change(tensors["items.bias"])
    with pytest.raises(ModelFileError, match="items: biases are float"):
        load_model(path)


def test_missing_or_bad_settings_are_refused(path):
    with altered(path) as (_, facts):
        facts["settings"] = {"factors": "many"}
    with pytest.raises(ModelFileError, match=r"settings\.factors"):
        load_model(path)
    with altered(path) as (_, facts):
        facts |= {"settings": {}, "warm_rows": None}
    with pytest.raises(ModelFileError, match="not a complete model"):
        load_model(path)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("users.starts", lambda t: t[:-1], "users: 4 groups with 4 starts"),
        ("users.starts", lambda t: t.astype(np.int64), "users: groups are int64"),
        ("users.starts", lambda t: t[::-1], "users: the starts of groups must be 0, then rise"),
        ("items.order", lambda t: np.zeros_like(t), "not a permutation"),
        ("users.codes", lambda t: np.full_like(t, 7), "a storage that the file does not hold"),
        ("items.factors.float16", lambda t: t[:, :3], "items: float16 factors"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(path, name, change, message):
    with altered(path) as (tensors, _):
        tensors[name] = change(tensors[name])
    with pytest.raises(ModelFileError, match=message):
        load_model(path)


def test_another_safetensors_file_is_refused(tmp_path):
    save_file({"x": np.zeros(3)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelFileError, match="not a mascot-jax model"):
        load_model(tmp_path / "x.safetensors")


def test_predictions_of_a_loaded_model(path):
    model = load_model(path)
    rng = np.random.default_rng(1)
    users, items = (
        rng.integers(0, 60, 500).astype(np.uint32),
        rng.integers(0, 40, 500).astype(np.uint32),
    )
    held_out = HeldOut(users, items, np.full(500, 3.0, np.float32), model.cold_rule)
    tables = [to_device(side.table) for side in (model.users, model.items)]
    p, q = (live_rows(table).astype(np.float64) for table in tables)
    expected = (p[users] * q[items]).sum(axis=1)
    expected[held_out.rule.is_cold(users, items)] = model.mean_rating
    for clip in (None, (1.0, 5.0)):
        totals = held_out.score(*tables, Execution(2), clip)
        errors = (expected if clip is None else expected.clip(*clip)) - 3.0
        np.testing.assert_allclose(totals.rmse, np.sqrt(np.mean(errors**2)), rtol=1e-6)
        np.testing.assert_allclose(totals.mae, np.mean(np.abs(errors)), rtol=1e-6)


@pytest.mark.parametrize("method", ["fp32", "fp16", "mascot", "int8"])
def test_rows_are_decoded_in_the_order_of_their_indices(method, mixed):
    state, model = mixed if method == "mascot" else trained(method)
    for name, dense in (("users", model.dense_users()), ("items", model.dense_items())):
        side = getattr(model, name)
        assert (dense.shape, dense.dtype) == ((len(side), 8), np.float32)
        np.testing.assert_array_equal(dense[side.order], live_rows(getattr(state, name)))
        some = np.array([3, 1, 3])
        np.testing.assert_array_equal(side.dense(some), dense[some])
        assert side.dense(some[:0]).shape == (0, 8)


def test_without_ids_indices_are_ids(mixed):
    side = mixed[1].users
    assert side.id_table.values.tolist() == list(range(len(side)))
    assert side.rows_of(np.array([-1, 0])).tolist() == [len(side), side.row_of[0]]
    # Nobody counted ratings: those that had any count as one.
    assert side.rating_counts.sum() == side.warm_rows


def complete(model):
    """A model with all that a file may hold besides."""
    users, items = len(model.users), len(model.items)
    names = np.fromiter(sorted(f"item {i}\n\0é" for i in range(items)), dtype=object)
    return dataclasses.replace(
        model,
        users=dataclasses.replace(
            model.users,
            ids=IdTable("datetime", np.arange(users).astype("M8[ns]")),
            counts=np.arange(users, dtype=np.uint32),
        ),
        items=dataclasses.replace(model.items, ids=IdTable("string", names)),
        regroup=RegroupSettings(user_groups=7),
        seen=Pairs(np.minimum(np.arange(users + 1), 3), np.array([1, 0, 2], dtype=np.uint32)),
    )


@pytest.fixture
def full_path(mixed, tmp_path):
    save_model(complete(mixed[1]), tmp_path / "full.safetensors")
    return tmp_path / "full.safetensors"


def test_ids_counts_and_seen_items_come_back(mixed, full_path):
    model, loaded = complete(mixed[1]), load_model(full_path)
    assert loaded.regroup == model.regroup
    for side, old in ((loaded.users, model.users), (loaded.items, model.items)):
        assert (side.ids.kind, side.ids.values.dtype) == (old.ids.kind, old.ids.values.dtype)
        np.testing.assert_array_equal(side.ids.values, old.ids.values)
    np.testing.assert_array_equal(loaded.users.counts, model.users.counts)
    assert loaded.items.counts is None
    for array, old in zip(loaded.seen, model.seen, strict=True):
        np.testing.assert_array_equal(array, old)


def test_version_2_is_read(path):
    """It knew neither ids nor seen items."""
    with altered(path) as (_, facts):
        facts["format_version"] = 2
        del facts["ids"], facts["regroup"]
    model = load_model(path)
    assert (model.users.ids, model.users.counts, model.seen) == (None, None, None)
    assert model.regroup == RegroupSettings()


def test_version_3_is_read(mixed, path):
    """It told how the training ran."""
    with altered(path) as (_, facts):
        facts["format_version"] = 3
        facts["settings"] |= {"backend": "cpu", "threads": 7, "checkpoint_every": None}
    assert load_model(path).settings == mixed[1].settings
    with altered(path) as (_, facts):
        facts["format_version"] = 4
    with pytest.raises(ModelFileError, match=r"settings\.backend"):
        load_model(path)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("seen.starts", lambda t: t + 1, "seen items does not fit"),
        ("seen.starts", lambda t: t[:-1], "seen items does not fit"),
        ("seen.starts", lambda t: t.astype(np.uint64), "seen.starts is uint64"),
        ("seen.starts", lambda t: np.append(t[:1], t[:0:-1]), "seen items does not fit"),
        ("seen.items", lambda t: t + 1000, "seen items does not fit"),
        ("seen.items", lambda t: t[:, None], r"seen.items is uint32 \(3, 1\)"),
        ("users.counts", lambda t: t[:-1], "users: 59 counts for 60 rows"),
        ("users.counts", lambda t: t.astype(np.float32), "counts is float32"),
        ("users.ids", lambda t: t[:-1], "users: 59 ids for 60 rows"),
        ("users.ids", lambda t: t[::-1], "not ascending"),
        ("items.ids.ends", lambda t: t[::-1], "table of ids is damaged"),
    ],
)
def test_ids_and_seen_items_that_do_not_fit_are_refused(full_path, name, change, message):
    with altered(full_path) as (tensors, _):
        tensors[name] = change(tensors[name])
    with pytest.raises(ModelFileError, match=message):
        load_model(full_path)


@pytest.mark.parametrize(
    "ids",
    [
        [{"kind": "datetime", "dtype": "<i8"}, None],
        [{"kind": "datetime", "dtype": "<M8[ns],(3"}, None],
        [{"kind": "object", "dtype": "|O"}, None],
        [{"kind": 3, "dtype": "|O"}, None],
        [{"dtype": "<M8[ns]"}, None],
        ["datetime", None],
        [None],
        7,
    ],
)
def test_ids_of_no_kind_are_refused(full_path, ids):
    with altered(full_path) as (_, facts):
        facts["ids"] = ids
    with pytest.raises(ModelFileError, match="not a complete model"):
        load_model(full_path)
