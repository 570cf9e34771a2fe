"""Small models in every storage, made without training, and altered files of models."""

import json
from contextlib import contextmanager

import numpy as np
from safetensors.numpy import save_file

from mascot_jax.base import tensor_file
from mascot_jax.base.biases import Biases
from mascot_jax.engine.codec import encode
from mascot_jax.mf.model import Model, ModelSide
from mascot_jax.mf.model_file import FORMAT
from mascot_jax.settings import TrainSettings
from mascot_jax.tables.rows import Rows
from mascot_jax.tables.storage import STORAGES, by_code

FACTORS = 5


def make_side(rng, storages, sizes, factors=FACTORS):
    """Groups of these sizes, in these storages in turn, with random rows."""
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.uint32)
    codes = np.resize([STORAGES[name].code for name in storages], len(sizes)).astype(np.uint8)
    rows = int(starts[-1])
    code_of_row = np.repeat(codes, sizes)
    factor_rows = {
        storage.name: np.asarray(
            encode(storage, rng.normal(0, 1, (int(live.sum()), factors)).astype(np.float32))
        )
        for code, storage in by_code(storages).items()
        if (live := code_of_row == code).any()
    }
    order = rng.permutation(rows).astype(np.uint32)
    table = Rows(factors, factor_rows, starts, codes)
    return ModelSide(table, order, int(rng.integers(0, rows + 1)))


def make_model(
    seed=0,
    storages=("float16", "float32"),
    user_sizes=(2, 1, 4),
    item_sizes=(3, 2),
    factors=FACTORS,
    biases=False,
):
    """A model whose rows and bookkeeping are random, and fit each other."""
    rng = np.random.default_rng(seed)
    settings = TrainSettings(factors=factors, epochs=3, biases=biases)
    users = make_side(rng, storages, user_sizes, factors)
    items = make_side(rng, storages, item_sizes, factors)
    offsets = [rng.normal(0, 1, len(side.order)).astype(np.float32) for side in (users, items)]
    return Model(
        settings.plan(),
        users,
        items,
        3.5,
        1.0,
        5.0,
        {name: 1 / len(storages) for name in storages},
        epochs_trained=3,
        biases=Biases(*offsets) if biases else None,
    )


@contextmanager
def altered(path):
    """Let a file's tensors and facts be changed, then give it a right checksum.

    What is wrong must be found by other checks.
    """
    tensors, facts = tensor_file._read(path, FORMAT)
    del facts["sha256"]
    yield tensors, facts
    tensors = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    facts["sha256"] = tensor_file._digest(tensors, facts)
    save_file(tensors, path, {FORMAT.key: json.dumps(facts, sort_keys=True)})
