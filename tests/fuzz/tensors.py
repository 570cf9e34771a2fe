"""Files of tensors, our splits and models: headers that lie, and checksums that fit the lie."""

import json
import math
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from mascot_jax.base import tensor_file
from mascot_jax.base.tensor_file import read_tensors, stated_digest, write_tensors
from mascot_jax.data.store import count_training_ratings, read_facts, read_fold, write_split
from mascot_jax.engine import tables
from mascot_jax.mf import model_file
from mascot_jax.mf.model_file import load_model, save_model
from mascot_jax.settings import TrainSettings
from mascot_jax.tables.storage import STORAGES, Storage
from mascot_jax.training import checkpoint, checkpoint_parts
from mascot_jax.training.checkpoint import load_checkpoint, save_checkpoint
from mascot_jax.training.checkpoint_parts import RANGES, folder_of, write_part
from mascot_jax.training.initial import initial_state
from mascot_jax.training.progress_tensors import progress_tensors
from mascot_jax.training.records import EpochRecord, Progress, SideRecord
from tests.fuzz.mutation import BOUNDARIES, Mutation, damage, some_of
from tests.fuzz.target import Target
from tests.support.small_models import make_model

LENGTH = 8
"""Bytes of the header's length."""

DEEP = "deep json goes here"
VALUES: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 3, 1.0, 1.5, 1e300, math.nan, math.inf, "", "x", "\ud800", "7",
    [], [0], [[]], {}, {"a": 1}, *BOUNDARIES, -(2**63), 10**30, 10**400, DEEP,
)  # fmt: skip
DTYPES = (
    "U8",
    "I8",
    "U16",
    "I32",
    "U32",
    "I64",
    "U64",
    "F16",
    "BF16",
    "F32",
    "F64",
    "BOOL",
    "F8_E4M3",
)


def change_value(rng: Random, value: Any) -> Any:
    """Replace, drop or add something somewhere in a value of JSON."""
    if rng.random() < 0.3 or not isinstance(value, dict | list) or not value:
        return rng.choice(VALUES)
    places = list(value) if isinstance(value, dict) else list(range(len(value)))
    place = rng.choice(places)
    changed = value.copy()
    action = rng.random()
    if action < 0.75:
        changed[place] = change_value(rng, value[place])
    elif action < 0.9 or isinstance(value, list):
        del changed[place]
    else:
        changed[rng.choice(("x", "", "users.factors.int8-32", "__metadata__"))] = value[place]
    return changed


def as_json(value: Any) -> str:
    """Write JSON, with what Python would not nest."""
    return json.dumps(value).replace(json.dumps(DEEP), "[" * 50_000 + "]" * 50_000)


def packed(header: str, body: bytes) -> bytes:
    text = header.encode()
    return len(text).to_bytes(LENGTH, "little") + text + body


def alter_header(rng: Random, data: bytes) -> bytes:
    """Change the header of a file of tensors, or what its metadata say, and its length with it."""
    end = LENGTH + int.from_bytes(data[:LENGTH], "little")
    try:
        header = json.loads(data[LENGTH:end])
        (key, text), *_ = header["__metadata__"].items()
        said = json.loads(text)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return damage(rng, data)  # changed before
    if rng.random() < 0.5:
        header["__metadata__"] = {key: as_json(change_value(rng, said))}
    else:
        header = change_value(rng, header)
    if isinstance(header, dict) and rng.random() < 0.2:
        dtypes = [
            entry for entry in header.values() if isinstance(entry, dict) and "dtype" in entry
        ]
        for entry in dtypes[:1]:
            entry["dtype"] = rng.choice(DTYPES)
    return packed(as_json(header), data[end:])


# ---- splits


def make_splits() -> Sequence[bytes]:
    return [_split(size, folds) for size, folds in ((1, 2), (40, 5), (300, 3))]


def _split(size: int, folds: int) -> bytes:
    rng = np.random.default_rng(size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "split")
        write_split(
            path,
            user=rng.integers(0, min(11, size), size, dtype=np.uint32),
            item=rng.integers(0, min(7, size), size, dtype=np.uint32),
            rating=rng.integers(1, 6, size).astype(np.float32),
            fold=(np.arange(size) % folds).astype(np.uint8),
            count=folds,
            low=1.0,
            high=5.0,
        )
        return path.read_bytes()


def read_split(path: Path) -> None:
    facts = read_facts(path)
    fold = read_fold(path, 0)
    counts = count_training_ratings(path, 0)
    # What is accepted can be trained on.
    assert facts.ratings == fold.train_user.size + fold.test_user.size
    assert [side.sum() for side in counts] == [fold.train_user.size] * 2
    assert math.isfinite(facts.low + facts.high)


# ---- models


def make_models() -> Sequence[bytes]:
    kinds = (("float32",), ("float16", "float32"), ("int8-32", "float16"), ("int8-row",))
    return [
        _model(number, storages, biases)
        for number, storages in enumerate(kinds)
        for biases in (False, True)
    ]


def _model(seed: int, storages: Sequence[str], biases: bool) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        save_model(make_model(seed, storages, biases=biases), path)
        return path.read_bytes()


def change_tensor(rng: Random, tensors: dict[str, Any]) -> None:
    name = rng.choice(sorted(tensors))
    tensor = tensors.pop(name)
    action = rng.randrange(7)
    if action == 0:  # dropped
        return
    if action == 1:
        name = rng.choice((name + "x", *tensors, "users.factors.int8-64", "items.bias"))
    elif action == 2:
        with np.errstate(all="ignore"):
            tensor = tensor.astype(
                rng.choice(("u1", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "?"))
            )
    elif action == 3:
        tensor = rng.choice((tensor[..., None], tensor[None], tensor.reshape(-1), tensor[:0]))
    elif action == 4:
        tensor = rng.choice((tensor[:-1], np.concatenate([tensor, tensor]), tensor[::-1]))
    elif tensor.size:
        tensor = tensor.copy()
        value = rng.choice((*(b % 256 for b in BOUNDARIES), 0, 1, 3))
        tensor.reshape(-1).view("u1")[rng.randrange(tensor.nbytes)] = value
    tensors[name] = np.ascontiguousarray(tensor)


def alter_contents(key: str) -> Mutation:
    """Return a mutation of files whose metadata lie under ``key``.

    It changes tensors or metadata and puts the checksum right: other checks must notice.
    """

    def alter(rng: Random, data: bytes) -> bytes:
        end = LENGTH + int.from_bytes(data[:LENGTH], "little")
        try:
            metadata = json.loads(json.loads(data[LENGTH:end])["__metadata__"][key])
            tensors = dict(sorted(load(data).items()))  # they come in any order
            metadata.pop("sha256", None)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError):
            return damage(rng, data)
        if rng.random() < 0.5:
            metadata = change_value(rng, metadata)
        else:
            change_tensor(rng, tensors)
        if isinstance(metadata, dict):
            # A copy: it may be one of VALUES.
            metadata = {**metadata, "sha256": tensor_file._digest(tensors, metadata)}
        return save(tensors, {key: as_json(metadata)})

    return alter


alter_model = alter_contents(model_file.FORMAT.key)


def read_model(path: Path) -> None:
    model = load_model(path)
    # What is accepted can be used.
    for side in (model.users, model.items):
        assert side.row_of.max() < len(side.order)
        for name, rows in side.table.stored.items():
            assert side.table.in_storage(STORAGES[name]).sum() == len(rows) > 0
        assert side.dense().shape == (len(side), model.settings.factors)
    first = np.zeros(1, dtype=np.uint32)
    model.cold_rule.offset(first, first)
    assert math.isfinite(model.mean_rating)
    assert model.low <= model.high


# ---- checkpoints


def make_checkpoints() -> Sequence[bytes]:
    methods = ("fp32", "mascot", "mascot-int8", "muppet")
    of_one = [_checkpoint(method, best) for method in methods for best in (False, True)]
    return [*of_one, *3 * [in_parts()[0]]]


def _checkpoint(method: str, best: bool) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "checkpoint")
        save_checkpoint(path, *_progress(method, best))
        return path.read_bytes()


def _progress(method: str, best: bool) -> tuple[Progress, dict[str, Any]]:
    plan = TrainSettings(method=method, factors=5).plan()
    starts = np.array([0, 2, 7], dtype=np.uint32), np.array([0, 4], dtype=np.uint32)
    state = initial_state(*starts, plan)
    side = SideRecord(*(np.zeros(2, dtype) for dtype in ("u1", "f4", "f4")))
    record = EpochRecord(0, 0.1, 1.5, side, side, 0.9 if best else None, None, None)
    progress = Progress(state, (record, record), state if best else None)
    return progress, {"settings": plan.model_dump(mode="json"), "ratings": "0" * 64}


@cache
def in_parts() -> tuple[bytes, dict[str, bytes]]:
    """Return a checkpoint that names two parts, and these by name."""
    progress, fingerprint = _progress("mascot", best=True)
    tensors = progress_tensors(progress)
    rows = {name: tensors.pop(name) for name in [*tensors] if ".users.rows." in name}
    facts: dict[str, Any] = {"fingerprint": fingerprint, "side": "users", "parts": []}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "checkpoint")
        for number, (begin, end) in enumerate(((0, 3), (3, 7)), start=1):
            part = {name: stored[begin:end] for name, stored in rows.items()}
            part[RANGES] = np.array([[begin, end]], dtype=np.uint32)
            name = f"{'0' * 16}-{number}-of-2"
            facts["parts"].append([name, write_part(path, name, part)])
        write_tensors(path, checkpoint.FORMAT, tensors, facts)
        return path.read_bytes(), {p.name: p.read_bytes() for p in folder_of(path).iterdir()}


def _allocate(rows: int, factors: int, storage: Storage) -> np.ndarray:
    return np.empty((rows, storage.stride(factors)), dtype=storage.dtype)


def _put(array: np.ndarray, places: np.ndarray, values: np.ndarray) -> np.ndarray:
    array[places] = values
    return array


def make_checkpoint_parts() -> Sequence[bytes]:
    return [data for name, data in in_parts()[1].items() if "-2-of-2" in name]


def read_checkpoint(path: Path) -> None:
    if not folder_of(path).exists():
        folder_of(path).mkdir()
        for name, data in in_parts()[1].items():
            (folder_of(path) / name).write_bytes(data)
    _read_checkpoint(path)


def read_checkpoint_part(path: Path) -> None:
    """Read a checkpoint that names this file as its second part."""
    whole = path.with_name("whole")
    folder_of(whole).mkdir(exist_ok=True)
    whole.write_bytes(in_parts()[0])
    tensors, facts = read_tensors(whole, checkpoint.FORMAT)
    for name, data in in_parts()[1].items():
        (folder_of(whole) / name).write_bytes(data)
    name, _ = facts["parts"][1]
    (folder_of(whole) / name).write_bytes(path.read_bytes())
    facts["parts"][1][1] = stated_digest(path, checkpoint_parts.FORMAT)
    with whole.open("wb") as file:
        write_tensors(file, checkpoint.FORMAT, tensors, facts)
    _read_checkpoint(whole)


def _read_checkpoint(path: Path) -> None:
    # Without the device: it compiles for every shape, which takes a thousand times as long.
    with patch.multiple(tables, allocate=_allocate, _put=_put):
        progress, _ = load_checkpoint(path)
    # What is accepted can be gone on from: kernels trust these.
    state = progress.state
    for name, table in (("users", state.users), ("items", state.items)):
        starts = np.asarray(table.starts)
        assert all(len(rows) >= starts[-1] for rows in table.stored.values())  # padded
        assert len(starts) == table.groups + 1
        if "switching" in state.methods:
            assert state.methods["switching"][name].shape == (table.groups,)
    int(state.epoch)


TARGETS = (
    Target("split", make_splits, some_of((alter_header,)), read_split),
    Target("model", make_models, some_of((alter_header, alter_model, alter_model)), read_model),
    Target(
        "checkpoint",
        make_checkpoints,
        some_of((alter_header, *2 * (alter_contents(checkpoint.FORMAT.key),))),
        read_checkpoint,
    ),
    Target(
        "checkpoint-part",
        make_checkpoint_parts,
        some_of((alter_header, *2 * (alter_contents(checkpoint_parts.FORMAT.key),))),
        read_checkpoint_part,
    ),
)
