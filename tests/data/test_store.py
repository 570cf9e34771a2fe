"""The split file: round trips, equal bytes, and refusal of anything else."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from mascot_jax.data.store import (
    SplitFacts,
    count_training_ratings,
    read_facts,
    read_fold,
    write_split,
)
from mascot_jax.errors import DataError, SettingsError

SIZE = 53


def columns(size=SIZE, folds=5):
    rng = np.random.default_rng(size)
    return {
        "user": rng.integers(0, min(11, size), size, dtype=np.uint32),
        "item": rng.integers(0, min(7, size), size, dtype=np.uint32),
        "rating": rng.integers(1, 6, size).astype(np.float32),
        "fold": (np.arange(size) % folds).astype(np.uint8),
    }


def write(path, count=5, **changed):
    values = columns() | changed
    write_split(path, **values, count=count, low=1.0, high=5.0)
    return values


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ratings.safetensors"


@settings(deadline=None, max_examples=40)
@given(size=st.integers(1, 80), folds=st.integers(2, 9), data=st.data())
def test_each_fold_comes_back_in_order(tmp_path_factory, size, folds, data):
    path = tmp_path_factory.mktemp("store") / "s"
    fold = data.draw(st.integers(0, folds - 1))
    values = columns(size, folds)
    write_split(path, **values, count=folds, low=0.5, high=5.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mascot_jax.data.chunks.CHUNK", 16)
        found = read_fold(path, fold)
        users, items = count_training_ratings(path, fold)
    test = values["fold"] == fold
    for name in ("user", "item", "rating"):
        for part, mask in [("train", ~test), ("test", test)]:
            got = getattr(found, f"{part}_{name}")
            assert got.dtype == values[name].dtype
            np.testing.assert_array_equal(got, values[name][mask])
    assert (found.user_count, found.item_count) == (
        values["user"].max() + 1,
        values["item"].max() + 1,
    )
    assert (found.low, found.high) == (0.5, 5.0)
    np.testing.assert_array_equal(
        users, np.bincount(values["user"][~test], minlength=found.user_count)
    )
    np.testing.assert_array_equal(
        items, np.bincount(values["item"][~test], minlength=found.item_count)
    )


def test_ratings_that_no_fold_tests_train(path):
    fold = np.where(np.arange(SIZE) < 10, 0, 255).astype(np.uint8)
    values = write(path, count=1, fold=fold)
    found = read_fold(path, 0)
    np.testing.assert_array_equal(found.test_user, values["user"][:10])
    np.testing.assert_array_equal(found.train_user, values["user"][10:])


def test_facts_come_without_the_ratings(path):
    write(path)
    assert read_facts(path) == SplitFacts(
        ratings=SIZE, user_count=11, item_count=7, count=5, low=1.0, high=5.0
    )


def test_file_is_plain_safetensors_with_one_metadata_key(path):
    values = write(path)
    for name, column in load_file(path).items():
        np.testing.assert_array_equal(column, values[name])
    with safe_open(path, framework="numpy") as file:
        (text,) = file.metadata().values()
    assert text == json.dumps(json.loads(text), sort_keys=True)


def test_equal_splits_are_equal_bytes(path, tmp_path):
    write(path)
    values = columns()
    strided = {name: np.repeat(column, 2)[::2] for name, column in values.items()}
    program = (
        "import sys; sys.path.insert(0, sys.argv[2]); import test_store as t; t.write(sys.argv[1])"
    )
    other = tmp_path / "other"
    subprocess.run([sys.executable, "-c", program, other, Path(__file__).parent], check=True)
    assert other.read_bytes() == path.read_bytes()
    write(other, **strided)
    assert other.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"user": np.zeros(SIZE, dtype=np.int64)}, "column user is int64"),
        ({"fold": np.zeros(SIZE - 1, dtype=np.uint8)}, r"column fold is uint8 \[52\]"),
        ({"rating": np.zeros((SIZE, 1), dtype=np.float32)}, "column rating is"),
    ],
)
def test_wrong_columns_are_refused_and_nothing_is_written(path, changed, message):
    with pytest.raises(ValueError, match=message):
        write(path, **changed)
    assert not path.exists()


def test_empty_split_is_refused(path):
    with pytest.raises(ValueError, match="column user"):
        write(path, **columns(0))


@pytest.mark.parametrize("fold", [-1, 5, 255])
def test_fold_that_does_not_exist_is_refused(path, fold):
    write(path)
    with pytest.raises(SettingsError, match=rf"fold {fold} does not exist.*from 0 to 4"):
        read_fold(path, fold)


@pytest.mark.parametrize("keep", [0, 5, 8, 60, 400, -1])
def test_cut_file_is_refused(path, keep):
    write(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(DataError, match="cut"):
        read_fold(path, 0)


def test_lengthened_file_is_refused(path):
    write(path)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DataError, match="cut or altered"):
        read_fold(path, 0)


def header(text):
    return len(text).to_bytes(8, "little") + text


def tensor(dtype="U32", shape=(1,), offsets=(0, 4)):
    entry = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
    return header(json.dumps({"user": entry}).encode()) + b"abcd"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"user,item,rating\n1,2,3\n" * 9, "not a safetensors file"),
        (header(b"not json"), "no readable safetensors header"),
        (header(b"\xff\xfe"), "no readable safetensors header"),
        (header(b"[]"), "no readable safetensors header"),
        (header(b"5"), "no readable safetensors header"),
        (header(b'{"user": 3}'), "no readable safetensors header"),
        (header(b'{"user": {}}'), "no readable safetensors header"),
        (tensor(shape=(2,)), "offsets and shape disagree"),
        (tensor(offsets=(-4, 0)), "no readable safetensors header"),
        (tensor(shape=(1, 1)), "no readable safetensors header"),
        (tensor(dtype="X9"), "no readable safetensors header"),
        (tensor(), "is not a split"),
        (header(b'{"__metadata__": {"mascot_split": "[]"}}'), "is not a split"),
        (header(b'{"__metadata__": 5}'), "is not a split"),
        (header(b"{}"), "is not a split"),
    ],
)
def test_other_content_is_refused(path, content, message):
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"ratings\.safetensors .*{message}"):
        read_fold(path, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version 2, this program reads version 1"),
        ({"ratings": 7}, "does not hold the columns"),
        ({"extra": 7}, "does not hold the columns"),
        ({"user_count": 3}, "user index 10, but only 3"),
    ],
)
def test_metadata_that_does_not_fit_is_refused(path, change, message):
    values = write(path)
    with safe_open(path, framework="numpy") as file:
        facts = json.loads(file.metadata()["mascot_split"])
    save_file(values, path, metadata={"mascot_split": json.dumps(facts | change)})
    for read in (read_fold, count_training_ratings):
        with pytest.raises(DataError, match=message):
            read(path, 0)


def test_store_does_not_need_polars():
    program = "import sys, mascot_jax.data.store; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
