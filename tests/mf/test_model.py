import dataclasses
import json

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mascot_jax.base import tensor_file
from mascot_jax.engine.kernels import Execution
from mascot_jax.errors import ModelFileError
from mascot_jax.ids.table import IdTable
from mascot_jax.mf.model import model_from_state, side_to_state
from mascot_jax.mf.model_file import FORMAT, load_model, model_digest, save_model
from mascot_jax.ranking.pairs import Pairs
from mascot_jax.settings import RegroupSettings
from mascot_jax.training.initial import initial_state
from mascot_jax.training.loop import fit
from mascot_jax.training.problem import prepare
from tests.support.worlds import live_rows
from tests.training.test_training import ONE, planted, settings


def trained(method="mascot", **values):
    s = settings(method=method, **values)
    ratings, users, items = planted()
    prepared = prepare(ratings, users, items, s)
    state = fit(initial_state(users.starts, items.starts, s), prepared, s, ONE)
    model = model_from_state(
        state,
        users,
        items,
        s,
        rule=prepared.rule._replace(mean_rating=3.5),
        low=1.0,
        high=5.0,
        traffic={"float16": 1.0},
    )
    return state, model


@pytest.fixture(scope="module")
def mixed():
    state, model = trained(threshold=0.9, epochs=40, sample_ratio=1.0)
    assert len(model.users.factors) == 2  # some groups switched, some not
    return state, model


@pytest.fixture
def path(mixed, tmp_path):
    save_model(mixed[1], tmp_path / "m.safetensors")
    return tmp_path / "m.safetensors"


def test_a_model_comes_back_bit_for_bit(mixed, path):
    state, model = mixed
    loaded = load_model(path)
    assert loaded.settings == model.settings
    assert (loaded.mean_rating, loaded.low, loaded.high) == (3.5, 1.0, 5.0)
    assert loaded.traffic == {"float16": 1.0}
    assert loaded.epochs_trained == 40
    assert loaded.biases is None
    for name in ("users", "items"):
        side, old = getattr(loaded, name), getattr(model, name)
        np.testing.assert_array_equal(side.order, old.order)
        assert side.warm_rows == old.warm_rows
        rebuilt = side_to_state(side, 8)
        np.testing.assert_array_equal(live_rows(rebuilt, 8), live_rows(getattr(state, name), 8))


def test_only_live_rows_are_stored_unpadded(mixed):
    _, model = mixed
    for side in (model.users, model.items):
        assert sum(len(rows) for rows in side.factors.values()) == len(side.order)
        assert all(rows.shape[1] == 8 for rows in side.factors.values())
    assert model.factor_bytes == sum(
        rows.size * (2 if name == "float16" else 4)
        for side in (model.users, model.items)
        for name, rows in side.factors.items()
    )


def test_equal_models_give_equal_bytes(mixed, path, tmp_path):
    digest = save_model(mixed[1], tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    assert model_digest(path) == digest
    assert not list(tmp_path.glob("*.tmp*"))


@pytest.mark.parametrize("method", ["fp32", "fp16"])
def test_a_uniform_model_holds_one_storage(method):
    _, model = trained(method)
    assert list(model.users.factors) == ["float32" if method == "fp32" else "float16"]


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


def rewrite(path, **changes):
    """Alter metadata and give it a right checksum: what remains must be found by other checks."""
    tensors = load_file(path)
    _, metadata = tensor_file._read(path, FORMAT)
    metadata.pop("sha256")
    metadata |= changes
    metadata["sha256"] = tensor_file._digest(tensors, metadata)
    save_file(tensors, path, {"mascot": json.dumps(metadata, sort_keys=True)})


def test_a_newer_version_is_refused(path):
    rewrite(path, format_version=99, library_version="7.0")
    with pytest.raises(ModelFileError, match=r"model format 99 was written by mascot-jax 7\.0"):
        load_model(path)


def test_version_1_is_read(path):
    """It knew neither recipes nor biases nor early stopping."""
    _, metadata = tensor_file._read(path, FORMAT)
    del metadata["epochs_trained"]
    for name in ("recipe", "schedule", "biases", "validation", "patience"):
        del metadata["settings"][name]
    tensors = load_file(path)
    metadata |= {"format_version": 1}
    metadata.pop("sha256")
    metadata["sha256"] = tensor_file._digest(tensors, metadata)
    save_file(tensors, path, {"mascot": json.dumps(metadata, sort_keys=True)})
    model = load_model(path)
    assert (model.epochs_trained, model.biases) == (40, None)
    assert (model.settings.recipe, model.settings.schedule) == ("paper", "power")


def test_biases_come_back_bit_for_bit(tmp_path):
    state, model = trained("fp32", biases=True, validation=0.2, patience=1)
    assert model.epochs_trained == int(state.epoch)
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
    "change", [lambda t: t[:-1].copy(), lambda t: t.astype(np.float64)], ids=["length", "type"]
)
def test_biases_that_do_not_fit_are_refused(tmp_path, change):
    path = tmp_path / "m.safetensors"
    save_model(trained("fp32", biases=True)[1], path)
    tensors, (_, metadata) = load_file(path), tensor_file._read(path, FORMAT)
    metadata.pop("sha256")
    tensors["items.bias"] = change(tensors["items.bias"])
    metadata["sha256"] = tensor_file._digest(tensors, metadata)
    save_file(tensors, path, {"mascot": json.dumps(metadata, sort_keys=True)})
    with pytest.raises(ModelFileError, match="items: biases are float"):
        load_model(path)


def test_missing_or_bad_settings_are_refused(path):
    rewrite(path, settings={"factors": "many"})
    with pytest.raises(ModelFileError, match=r"settings\.factors"):
        load_model(path)
    rewrite(path, settings={}, warm_rows=None)
    with pytest.raises(ModelFileError, match="not a complete model"):
        load_model(path)


def change_tensor(path, name, change):
    """Alter a tensor of a model file, and its digest to fit."""
    tensors, (_, facts) = load_file(path), tensor_file._read(path, FORMAT)
    facts.pop("sha256")
    tensors[name] = change(tensors[name])
    facts["sha256"] = tensor_file._digest(tensors, facts)
    save_file(tensors, path, {"mascot": json.dumps(facts, sort_keys=True)})


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("users.starts", lambda t: t[:-1], "group table does not cover"),
        ("users.starts", lambda t: t.astype(np.int64), "starts is int64"),
        ("items.order", lambda t: np.zeros_like(t), "not a permutation"),
        ("users.codes", lambda t: np.full_like(t, 7), "a storage that the file does not hold"),
        ("items.factors.float16", lambda t: t[:, :3].copy(), "items: float16 factors"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(path, name, change, message):
    change_tensor(path, name, change)
    with pytest.raises(ModelFileError, match=message):
        load_model(path)


def test_another_safetensors_file_is_refused(tmp_path):
    save_file({"x": np.zeros(3)}, tmp_path / "x.safetensors")
    with pytest.raises(ModelFileError, match="not a mascot-jax model"):
        load_model(tmp_path / "x.safetensors")


def test_predictions_of_a_loaded_model(path):
    from mascot_jax.training.scoring import HeldOut

    model = load_model(path)
    rng = np.random.default_rng(1)
    users, items = (
        rng.integers(0, 60, 500).astype(np.uint32),
        rng.integers(0, 40, 500).astype(np.uint32),
    )
    held_out = HeldOut(users, items, np.full(500, 3.0, np.float32), model.cold_rule)
    sides = [side_to_state(side, 8) for side in (model.users, model.items)]
    p, q = (live_rows(side, 8).astype(np.float64) for side in sides)
    expected = (p[users] * q[items]).sum(axis=1)
    expected[held_out.rule.is_cold(users, items)] = 3.5
    for clip in (None, (1.0, 5.0)):
        totals = held_out.score(*sides, 8, Execution(2), clip)
        errors = (expected if clip is None else expected.clip(*clip)) - 3.0
        np.testing.assert_allclose(totals.rmse, np.sqrt(np.mean(errors**2)), rtol=1e-6)
        np.testing.assert_allclose(totals.mae, np.mean(np.abs(errors)), rtol=1e-6)


@pytest.mark.parametrize("method", ["fp32", "fp16", "mascot", "int8"])
def test_rows_are_decoded_in_the_order_of_their_indices(method, mixed):
    state, model = mixed if method == "mascot" else trained(method)
    for name, dense in (("users", model.dense_users()), ("items", model.dense_items())):
        side = getattr(model, name)
        assert (dense.shape, dense.dtype) == ((len(side), 8), np.float32)
        np.testing.assert_array_equal(dense[side.order], live_rows(getattr(state, name), 8))
        some = np.array([3, 1, 3])
        np.testing.assert_array_equal(side.dense(8, some), dense[some])
        assert side.dense(8, some[:0]).shape == (0, 8)


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
    tensors, (_, facts) = load_file(path), tensor_file._read(path, FORMAT)
    for name in ("sha256", "ids", "regroup"):
        del facts[name]
    facts["format_version"] = 2
    facts["sha256"] = tensor_file._digest(tensors, facts)
    save_file(tensors, path, {"mascot": json.dumps(facts, sort_keys=True)})
    model = load_model(path)
    assert (model.users.ids, model.users.counts, model.seen) == (None, None, None)
    assert model.regroup == RegroupSettings()


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
        ("users.ids", lambda t: t[::-1].copy(), "not ascending"),
        ("items.ids.ends", lambda t: t[::-1].copy(), "table of ids is damaged"),
    ],
)
def test_ids_and_seen_items_that_do_not_fit_are_refused(full_path, name, change, message):
    change_tensor(full_path, name, change)
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
    rewrite(full_path, ids=ids)
    with pytest.raises(ModelFileError, match="not a complete model"):
        load_model(full_path)
