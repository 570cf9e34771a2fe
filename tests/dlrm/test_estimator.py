import json
import warnings

import numpy as np
import pytest
import sklearn.base

from mascot_jax import ClickModel
from mascot_jax.base.tensor_file import read_tensors, write_tensors
from mascot_jax.clicks.data import ClickData
from mascot_jax.dlrm.model_file import FORMAT
from mascot_jax.engine.devices import choose_device
from mascot_jax.errors import (
    BackendError,
    CheckpointError,
    DataError,
    DivergenceError,
    ModelFileError,
    NotFittedError,
    OneClassWarning,
    SettingsError,
)
from tests.support.planted_clicks import CARDINALITIES, planted

TRAIN, HELD_OUT = planted(6000)
SMALL = {
    "bottom": (8,),
    "top": (16,),
    "batch_size": 50,
    "epochs": 3,
    "learning_rate": 0.6,
    "min_visits_float": 20,
}


def model(**settings):
    return ClickModel(**{**SMALL, **settings})


@pytest.fixture(scope="module")
def trained():
    """A model of every preset."""
    return {name: model(preset=name).fit(TRAIN, HELD_OUT) for name in ("fp32", "dqrm", "int4")}


@pytest.mark.parametrize("preset", ["fp32", "dqrm", "int4"])
def test_it_learns_what_was_planted(trained, preset):
    found = trained[preset].evaluate(HELD_OUT)
    assert found["auc"] > 0.72
    assert found["calibration"] == pytest.approx(1, abs=0.1)
    history = trained[preset].history_
    assert [record["epoch"] for record in history] == [1, 2, 3]
    assert history[-1]["train_log_loss"] < history[0]["train_log_loss"] - 0.02
    for name in ("auc", "log_loss", "accuracy", "calibration"):
        assert history[-1][f"validation_{name}"] == pytest.approx(found[name], abs=1e-6)
    json.dumps(history)


def test_int4_predicts_as_well_as_fp32(trained):
    fp32, int4 = (trained[name].evaluate(HELD_OUT) for name in ("fp32", "int4"))
    assert int4["auc"] > fp32["auc"] - 0.005
    assert int4["log_loss"] < fp32["log_loss"] + 0.005


def test_bytes_are_those_of_rows_scales_and_tiers(trained):
    rows = sum(CARDINALITIES)
    masks = [counts >= 20 for counts in TRAIN.counts]
    for mask in masks:
        mask[0] = mask.any()
    wide = sum(int(mask.sum()) for mask in masks)
    size = {name: trained[name].evaluate(HELD_OUT) for name in trained}
    training = {name: found["table_bytes_training"] for name, found in size.items()}
    deployed = {name: found["table_bytes_deployed"] for name, found in size.items()}
    assert training["fp32"] == deployed["fp32"] == training["dqrm"] == rows * 64
    assert deployed["dqrm"] == rows * 8 + 4 * len(CARDINALITIES)
    words = sum(-(-len(mask) // 64) for mask in masks if not mask[: mask.sum()].all())
    assert words
    assert training["int4"] == deployed["int4"] == wide * 32 + (rows - wide) * 10 + words * 12


@pytest.mark.parametrize("preset", ["fp32", "dqrm", "int4"])
def test_a_file_holds_all_of_a_model(trained, preset, tmp_path):
    path = tmp_path / "model.safetensors"
    trained[preset].save(path)
    loaded = ClickModel.load(path)
    assert loaded.get_params() | {"threads": None} == trained[preset].get_params()
    np.testing.assert_array_equal(
        loaded.predict_proba(HELD_OUT), trained[preset].predict_proba(HELD_OUT)
    )
    assert loaded.evaluate(HELD_OUT) == trained[preset].evaluate(HELD_OUT)
    for found, expected in zip(
        loaded.export_tables(), trained[preset].export_tables(), strict=True
    ):
        np.testing.assert_array_equal(found, expected)
    again = tmp_path / "again.safetensors"
    loaded.save(again)
    assert again.read_bytes() == path.read_bytes()


def test_a_file_of_version_1_has_its_frequent_rows_in_float32(tmp_path):
    first = model(float_storage="float32").fit(TRAIN)
    first.save(tmp_path / "new")
    tensors, facts = read_tensors(tmp_path / "new", FORMAT)
    assert facts.pop("float_storage") == "float32"
    for name in ("format_version", "library_version"):
        del facts[name]
    del facts["settings"]["float_storage"]
    write_tensors(tmp_path / "old", FORMAT._replace(version=1), tensors, facts)
    loaded = ClickModel.load(tmp_path / "old")
    assert loaded.model_.tables.wide.dtype == np.float32
    np.testing.assert_array_equal(loaded.predict_proba(HELD_OUT), first.predict_proba(HELD_OUT))


def test_exported_tables_have_a_row_for_each_id(trained):
    assert [table.shape for table in trained["int4"].export_tables()] == [
        (rows, 16) for rows in CARDINALITIES
    ]


def test_threads_change_no_byte(tmp_path):
    train = TRAIN.take(np.arange(4000).repeat(5))
    for threads in (1, 3):
        large = model(batch_size=10_000, epochs=1, threads=threads)  # a thread pays from 8,192 rows
        large.fit(train).save(tmp_path / f"{threads}")
    assert (tmp_path / "1").read_bytes() == (tmp_path / "3").read_bytes()


@pytest.mark.parametrize("settings", [{}, {"preset": "dqrm"}, {"mlp_optimizer": "adam"}])
def test_an_interrupted_training_resumes_to_the_same_bytes(settings, tmp_path):
    whole, parts = model(**settings), model(**settings)
    whole.fit(TRAIN, HELD_OUT).save(tmp_path / "whole")
    checkpoint = tmp_path / "checkpoint"
    parts.fit(TRAIN, HELD_OUT, on_epoch=lambda r: r["epoch"] == 1, checkpoint=checkpoint)
    assert len(parts.history_) == 1
    seen = []
    parts.fit(TRAIN, HELD_OUT, on_epoch=seen.append, checkpoint=checkpoint, resume=True)
    assert [record["epoch"] for record in seen] == [2, 3]
    assert len(parts.history_) == 3
    parts.save(tmp_path / "parts")
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()
    # It had ended: there is nothing left to do.
    parts.fit(TRAIN, HELD_OUT, checkpoint=checkpoint, resume=True).save(tmp_path / "parts")
    assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    checkpoint = tmp_path / "checkpoint"
    first = model(epochs=1)
    first.fit(TRAIN, checkpoint=checkpoint)
    with pytest.raises(CheckpointError, match="seed: 0 there, 1 here; other validation data"):
        model(epochs=1, seed=1).fit(TRAIN, HELD_OUT, checkpoint=checkpoint, resume=True)
    first.save(tmp_path / "model")
    with pytest.raises(CheckpointError, match="not a mascot-jax click checkpoint"):
        first.fit(TRAIN, checkpoint=tmp_path / "model", resume=True)
    raw = checkpoint.read_bytes()
    checkpoint.write_bytes(raw[:-7])
    with pytest.raises(CheckpointError, match="cut, damaged"):
        first.fit(TRAIN, checkpoint=checkpoint, resume=True)
    assert first.fit(TRAIN, checkpoint=checkpoint).history_  # starts anew where not told to resume


def test_a_damaged_model_file_is_refused(trained, tmp_path):
    path = tmp_path / "model"
    trained["dqrm"].save(path)
    raw = bytearray(path.read_bytes())
    raw[-3] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ModelFileError, match="altered or damaged"):
        ClickModel.load(path)
    path.write_bytes(b"no such thing")
    with pytest.raises(ModelFileError, match="not a click model file"):
        ClickModel.load(path)


def test_it_is_an_estimator(trained):
    clone = sklearn.base.clone(trained["int4"])
    assert clone.get_params() == trained["int4"].get_params()
    assert clone.set_params(epochs=2, seed=4).epochs == 2
    with pytest.raises(SettingsError, match="epoch: 2: unknown parameter: preset, dimension"):
        clone.set_params(epoch=2)
    for use in (clone.predict_proba, clone.evaluate, clone.save):
        with pytest.raises(NotFittedError, match=r"call fit, or ClickModel\.load"):
            use(HELD_OUT)


def test_without_dense_inputs_there_are_no_bottom_layers():
    train, held_out = planted(3000, dense=0)
    small = model(epochs=2).fit(train)
    assert small.model_.layers["bottom"] == []
    assert small.evaluate(held_out)["auc"] > 0.65
    assert small.history_[0]["validation_auc"] is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"preset": "int2"}, "preset: 'int2': must be 'fp32', 'dqrm' or 'int4'"),
        ({"dimension": 10}, "dimension: 10: must be a multiple of 16"),
        ({"dimension": 24}, "dimension: 24: must be a multiple of 16"),
        ({"storage": "int3"}, "storage: 'int3'"),
        ({"preset": "dqrm", "storage": "int4-row"}, "preset dqrm trains float32 tables"),
        ({"preset": "fp32", "float_storage": "float16"}, "float_storage: .* leave it null, or"),
        (
            {"float_storage": "int8-row"},
            "float_storage: 'int8-row': must be 'float32' or 'float16'",
        ),
        ({"learning_rate": 0.0}, "learning_rate: 0.0: must be greater than 0"),
        ({"top": (8, 0)}, "top.1: 0: must be greater than or equal to 1"),
        ({"batch_size": 50, "workers": 3}, "batch_size: 50: must be a multiple of workers"),
        ({"backend": "gpu"}, "backend: 'gpu': must be 'auto', 'cpu' or 'cuda'"),
        ({"threads": 0}, "threads: 0"),
    ],
)
def test_bad_settings_are_named(settings, words):
    with pytest.raises(SettingsError, match=words):
        model(**settings).fit(TRAIN)


def test_a_gpu_is_used_or_what_is_missing_is_named(trained):
    try:
        choose_device("cuda")
    except BackendError:
        with pytest.raises(BackendError, match="the cuda back end cannot be used: "):
            model(backend="cuda").fit(TRAIN)
        loaded = model(backend="cuda")
        loaded.model_ = trained["int4"].model_
        with pytest.raises(BackendError, match="the cuda back end cannot be used: "):
            loaded.predict_proba(HELD_OUT)
    else:
        assert model(backend="cuda").fit(TRAIN).evaluate(HELD_OUT)["auc"] > 0.72


def test_bad_data_is_named(trained):
    with pytest.raises(DataError, match=r"6000 impressions .* fewer than a batch, 6001"):
        model(batch_size=6001).fit(TRAIN)
    with pytest.raises(DataError, match="fewer than a batch, 50: set batch_size to at most 7"):
        model().fit(TRAIN.take(slice(0, 7)))
    with pytest.raises(DataError, match="there is no impression to evaluate"):
        trained["int4"].evaluate(HELD_OUT.take(slice(0, 0)))
    for other, words in [
        (planted(50, dense=3)[0], "3 dense inputs, where the model has 2"),
        (planted(50, cardinalities=(5, 6))[0], "2 fields, where the model has 4"),
        (planted(50, cardinalities=(130, 3, 701, 64))[0], "field 2 has 701 rows, .* has 700"),
    ]:
        with pytest.raises(DataError, match=words):
            trained["int4"].predict_proba(other)
    none = ClickData(TRAIN.labels, TRAIN.dense, TRAIN.categories[:, :0], (), ())
    with pytest.raises(DataError, match="at least one field"):
        model().fit(none)


def test_one_class_has_no_auc_and_says_so(trained):
    clicked = HELD_OUT.take(HELD_OUT.labels == 1)
    with pytest.warns(OneClassWarning, match="labels are 1: the AUC is not defined"):
        assert trained["int4"].evaluate(clicked)["auc"] is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(trained["int4"].predict_proba(clicked)) == len(clicked)
    assert trained["int4"].predict_proba(HELD_OUT.take(slice(0, 0))).shape == (0,)


def test_a_loss_that_is_not_finite_names_epoch_and_batch():
    with pytest.raises(DivergenceError, match=r"epoch 1, batch \d+: the loss is (nan|inf): lower "):
        model(learning_rate=1e30).fit(TRAIN)
