"""Headers of split and model files that lie are refused with the library's own errors."""

import json
import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mascot_jax.base.json_text import as_count, as_number, parse_json
from mascot_jax.data.store import read_fold
from mascot_jax.errors import DataError, MascotError, ModelFileError
from mascot_jax.mf.model_file import load_model, save_model
from tests.support.small_models import altered, make_model

READERS = {"split": lambda path: read_fold(path, 0), "model": load_model}
every_reader = pytest.mark.parametrize("read", READERS.values(), ids=READERS)


def packed(header, body=b"\0" * 64, length=None):
    length = len(header) if length is None else length
    return length.to_bytes(8, "little") + header + body


def tensors(*entries, metadata=None):
    header = {f"t{number}": entry for number, entry in enumerate(entries)}
    header |= {"__metadata__": metadata} if metadata else {}
    return packed(json.dumps(header).encode())


def tensor(shape, offsets, dtype="U32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


DEEP = b"[" * 200_000 + b"]" * 200_000
DEEP_METADATA = b'{"__metadata__": {"mascot": "%s", "mascot_split": "%s"}}' % (DEEP, DEEP)
HEADERS = {
    "100 MB that are not there": packed(b"{}", length=100_000_000),
    "2^63 bytes": packed(b"{}", length=2**63),
    "2^64 - 1 bytes": packed(b"{}", length=2**64 - 1),
    "deep": packed(DEEP),
    "deep metadata": packed(DEEP_METADATA, b""),
    "huge shape": tensors(tensor([2**60], [0, 2**62])),
    "shape that overflows": tensors(tensor([2**32, 2**32], [0, 64])),
    "number of 5000 digits": tensors(tensor([16], [0, 64])).replace(b"16", b"9" * 5000),
    "negative shape": tensors(tensor([-16], [0, -64])),
    "negative offsets": tensors(tensor([16], [-64, 0])),
    "offsets that fall": tensors(tensor([16], [64, 0])),
    "overlapping offsets": tensors(tensor([16], [0, 64]), tensor([8], [16, 48])),
    "the same offsets": tensors(tensor([16], [0, 64]), tensor([16], [0, 64])),
    "a hole": tensors(tensor([2], [0, 8]), tensor([2], [56, 64])),
    "fractions": tensors(tensor([16.0], [0.0, 64.0])),
    "truth values": tensors(tensor([True], [False, 4])),
    "types NumPy has not": tensors(tensor([32], [0, 64], "BF16"), metadata={"mascot": "{}"}),
    "others": tensors(tensor([64], [0, 64], "F8_E4M3"), metadata={"mascot": "{}"}),
    "metadata that are no text": packed(b'{"__metadata__": {"mascot": 5, "mascot_split": 5}}', b""),
    "one name twice": packed(b'{"t": {}, "t": {}}'),
    "an endless number": tensors(tensor([math.inf], [0, 64])),
}  # fmt: skip


@every_reader
@pytest.mark.parametrize("content", HEADERS.values(), ids=HEADERS)
def test_headers_are_refused(tmp_path, read, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(MascotError, match=f"^{path}") as info:
        read(path)
    assert isinstance(info.value, DataError | ModelFileError)
    assert len(str(info.value)) < 1000


@pytest.fixture
def path(tmp_path):
    save_model(make_model(biases=True), tmp_path / "m")
    return tmp_path / "m"


@pytest.mark.parametrize(
    "metadata",
    [
        {"format_version": True},
        {"format_version": 0},
        {"format_version": -1},
        {"format_version": "2", "library_version": "\ud800" * 10_000},
        {"warm_rows": [-1, 0]},
        {"warm_rows": [10**9, 0]},
        {"warm_rows": [1.0, 1.0]},
        {"warm_rows": [math.inf, 1]},
        {"mean_rating": math.nan},
        {"mean_rating": 10**400},
        {"mean_rating": "3"},
        {"low": 5.0, "high": 1.0},
        {"high": math.inf},
        {"traffic": {"float16": math.nan}},
        {"traffic": [1]},
        {"epochs_trained": -1},
        {"epochs_trained": 10**9},
        {"settings": {"\ud800": 1}},
        {"settings": []},
    ],
    ids=lambda metadata: str(metadata)[:50],
)
def test_metadata_of_a_model(path, metadata):
    with altered(path) as (_, facts):
        facts |= metadata
    with pytest.raises(ModelFileError) as info:
        load_model(path)
    assert len(str(info.value).encode()) < 1000  # and can be encoded


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("users.order", lambda t: t.astype(np.float64)),
        ("users.order", lambda t: t.astype(np.int64)),
        ("users.order", lambda t: t[:, None]),
        ("users.starts", lambda t: t.astype(np.uint64) << 40),
        ("users.starts", lambda t: t[::-1]),
        ("items.starts", lambda t: t.astype(np.float32) * np.nan),
        ("items.codes", lambda t: t.astype(np.float32)),
        ("items.factors.int8-32", lambda t: np.zeros((3, 20), dtype=np.int8)),
        ("items.factors.int8-32", lambda t: np.zeros((0, 20), dtype=np.int8)),  # of no group
        ("items.factors.unknown", lambda t: np.zeros((3, 20), dtype=np.int8)),
        ("items.bias", lambda t: t[:, None]),
    ],
)
def test_tensors_of_a_model(path, name, change):
    with altered(path) as (stored, _):
        stored[name] = change(stored.get(name))
    with pytest.raises(ModelFileError, match="not a complete model"):
        load_model(path)


def test_a_model_of_no_rows(path):
    with altered(path) as (stored, facts):
        facts["warm_rows"] = [0, 0]
        stored["users.order"] = np.zeros(0, np.uint32)
        stored |= {"users.starts": np.zeros(1, np.uint32), "users.codes": np.zeros(0, np.uint8)}
    with pytest.raises(ModelFileError, match="0 groups with 1 starts"):
        load_model(path)


def test_rows_that_are_not_there_take_no_memory(path):
    with altered(path) as (stored, _):
        stored["users.starts"] = np.append(stored["users.starts"][:-1], np.uint32(2**32 - 1))
    tracemalloc.start()
    with pytest.raises(ModelFileError, match="users: float16 factors are"):
        load_model(path)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


# ---- models made at random

SIZES = st.lists(st.integers(1, 5), min_size=1, max_size=5)
MODELS = st.builds(
    make_model,
    seed=st.integers(0, 2**32),
    storages=st.sampled_from(
        [("float32",), ("float16",), ("float16", "float32"), ("int8-16", "float16"), ("int8-row",)]
    ),
    user_sizes=SIZES,
    item_sizes=SIZES,
    factors=st.integers(1, 40),
    biases=st.booleans(),
)


def same(one, other):
    """Whether two models are equal, bit for bit."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if hasattr(one, "__dataclass_fields__"):
        return all(same(getattr(one, f), getattr(other, f)) for f in one.__dataclass_fields__)
    if isinstance(one, tuple):
        return all(same(a, b) for a, b in zip(one, other, strict=True))
    return one == other


@settings(max_examples=15)
@given(model=MODELS)
def test_a_saved_model_comes_back(tmp_path_factory, model):
    path = tmp_path_factory.getbasetemp() / "model"
    save_model(model, path)
    content = path.read_bytes()
    loaded = load_model(path)
    assert same(loaded, model)
    save_model(loaded, path)
    assert path.read_bytes() == content


@settings(max_examples=10)
@given(
    model=MODELS,
    places=st.lists(st.floats(0, 1, exclude_max=True), min_size=10, max_size=10),
    bits=st.integers(1, 255),
)
def test_an_altered_byte_or_a_cut_is_noticed(tmp_path_factory, model, places, bits):
    path = tmp_path_factory.getbasetemp() / "model"
    save_model(model, path)
    content = path.read_bytes()
    for place in places:
        position = int(place * len(content))
        altered = bytearray(content)
        altered[position] ^= bits
        for damaged in (altered, content[:position]):
            path.write_bytes(damaged)
            with pytest.raises(ModelFileError, match=str(path)):
                load_model(path)


# ---- what JSON may say


@pytest.mark.parametrize("text", ["{", "", b"\xff", "[" * 200_000, "9" * 5000])
def test_text_that_is_no_json(text):
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)


@pytest.mark.parametrize("value", [True, 1.0, "1", None, -1, 11, [1], 10**30])
def test_what_is_no_count(value):
    with pytest.raises(ValueError, match="is not a whole number from 0 to 10"):
        as_count(value, 0, 10)


@pytest.mark.parametrize("value", [True, "1", None, math.nan, -math.inf, 2**60, [1.0]])
def test_what_is_no_number(value):
    with pytest.raises(ValueError, match="is not a finite number"):
        as_number(value)


def test_counts_and_numbers():
    assert [as_count(value, 0, 10) for value in (0, 10)] == [0, 10]
    assert [as_number(value) for value in (3, -0.5)] == [3.0, -0.5]
