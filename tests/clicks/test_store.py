"""Files of encoded data, and that a damaged or altered one is refused."""

import numpy as np
import polars as pl
import pytest

from mascot_jax.base.tensor_file import read_tensors, write_tensors
from mascot_jax.clicks import store
from mascot_jax.clicks.encoder import encode_parts
from mascot_jax.clicks.planted import generate
from mascot_jax.clicks.split import divide
from mascot_jax.clicks.store import (
    read_encoder,
    read_part,
    read_parts,
    read_with_probabilities,
    write_parts,
)
from mascot_jax.errors import DataError
from mascot_jax.settings import ClickDataSettings


@pytest.fixture(scope="module")
def parts():
    raw = generate(ClickDataSettings(rows=400, scale=50_000))
    return encode_parts(raw, divide(400, 0.1, 0.2, "file", 0), min_count=2, count_fields=["C3"])


@pytest.fixture
def folder(parts, tmp_path):
    write_parts(tmp_path, parts)
    return tmp_path


def test_what_was_written_is_read(folder, parts):
    for name, data in parts.data.items():
        found = read_part(folder, name)
        assert found.cardinalities == data.cardinalities
        for column in ("labels", "dense", "categories"):
            np.testing.assert_array_equal(getattr(found, column), getattr(data, column))
        same, probability = read_with_probabilities(folder, name)
        np.testing.assert_array_equal(same.categories, data.categories)
        np.testing.assert_array_equal(probability, parts.probabilities[name])


def test_parts_that_are_read_together_read_the_encoder_once(folder, parts, monkeypatch):
    opened = []

    def read(path, form):
        opened.append(path.name)
        return read_tensors(path, form)

    monkeypatch.setattr(store, "read_tensors", read)
    train, validation = read_parts(folder, "train", "validation")
    assert opened == ["encoder.safetensors", "train.safetensors", "validation.safetensors"]
    assert train.counts is validation.counts
    np.testing.assert_array_equal(train.labels, parts.data["train"].labels)
    np.testing.assert_array_equal(validation.labels, parts.data["validation"].labels)


def test_a_read_encoder_encodes_alike(folder, parts):
    encoder = read_encoder(folder)
    assert encoder.schema == parts.encoder.schema
    assert encoder.facts == {"name": "planted"}
    frames = list(generate(ClickDataSettings(rows=100, scale=50_000, seed=1)).frames())
    found, wanted = encoder.encode(frames), parts.encoder.encode(frames)
    np.testing.assert_array_equal(found.categories, wanted.categories)
    np.testing.assert_array_equal(found.dense, wanted.dense)


def test_equal_data_gives_equal_bytes(folder, parts, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    write_parts(other, parts)
    for path in folder.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes()


def test_ids_of_any_text_are_kept(parts, tmp_path):
    ids = ["", "ä", "a\nb", "日本", "x" * 1000]
    encoder = parts.encoder
    changed = type(encoder)(
        encoder.schema,
        (pl.Series("id", ids), *encoder.ids[1:]),
        (np.arange(len(ids) + 1), *encoder.counts[1:]),
        encoder.numbers,
    )
    tensors, facts = store.encoder_to_tensors(changed)
    assert store.encoder_from_tensors(tensors, facts).ids[0].to_list() == ids


def test_parts_of_another_encoding_are_refused(folder, parts, tmp_path_factory):
    raw = generate(ClickDataSettings(rows=400, scale=50_000))
    other = tmp_path_factory.mktemp("other")
    write_parts(other, encode_parts(raw, divide(400, 0.1, 0.2, "file", 0), min_count=3))
    (other / "train.safetensors").rename(folder / "train.safetensors")
    with pytest.raises(DataError, match="was encoded by another encoder"):
        read_part(folder, "train")


@pytest.mark.parametrize("name", ["train", "encoder"])
def test_a_cut_file_is_refused(folder, name):
    path = folder / f"{name}.safetensors"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match="cut, damaged"):
        read_part(folder, "train")


def alter(path, form, name, change):
    """Write a file anew, with its checksum, after a change of one array or fact."""
    tensors, facts = read_tensors(path, form)
    held = tensors if name in tensors else facts
    held[name] = change(held[name])
    write_tensors(path, form, tensors, facts)


ALTERED = {
    "ends": ("0.ends", lambda ends: ends + 1, "the ids are damaged"),
    "bytes": ("0.bytes", lambda text: text * 0 + 200, "decode"),
    "same ids": ("0.bytes", lambda text: text * 0 + 65, "repeat"),
    "counts": ("0.counts", lambda counts: counts[1:], "ids are not those of the counts"),
    "count type": ("0.counts", lambda counts: counts.astype(float), "counts are no integers"),
    "mean": ("numbers.mean", lambda mean: mean[1:], "of another length"),
    "scale": ("numbers.std", lambda std: std * 0, "is not finite"),
    "infinite": ("numbers.mean", lambda mean: mean + np.inf, "is not finite"),
    "transform": ("transform", lambda _: "square", "'square' is no transform"),
    "fields": ("count_fields", lambda _: [26], "26 is not a whole number from 0 to 25"),
    "header": ("facts", lambda facts: facts | {"header": [1, 2]}, "the header line is no text"),
    "more fields": ("categories", lambda names: [*names, "C27"], "26.counts"),
}


@pytest.mark.parametrize(("name", "change", "problem"), ALTERED.values(), ids=ALTERED)
def test_an_altered_encoder_is_refused(folder, name, change, problem):
    alter(folder / store.ENCODER, store._ENCODER, name, change)
    with pytest.raises(DataError, match=problem):
        read_encoder(folder)


def test_an_id_beyond_its_table_is_refused(folder):
    path = folder / "train.safetensors"
    alter(path, store._PART, "categories", lambda ids: ids + np.uint32(1000))
    with pytest.raises(DataError, match=r"row 0: id \d+ of field 0 is beyond its cardinality"):
        read_part(folder, "train")
