"""Model files of clicks: headers that lie, and checksums that fit the lie."""

import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from unittest.mock import patch

import numpy as np

from mascot_jax.dlrm import model_file
from mascot_jax.dlrm.model import ClickNetwork
from mascot_jax.dlrm.model_file import FORMAT, load_click_model, save_click_model
from mascot_jax.dlrm.network import widths
from mascot_jax.dlrm.tiers import Tiers
from mascot_jax.engine.embedding import ROW_FORMATS, EmbeddingTables
from mascot_jax.settings.clicks import ClickSettings
from tests.fuzz.mutation import some_of
from tests.fuzz.target import Target
from tests.fuzz.tensors import alter_contents, alter_header

CARDINALITIES = (70, 3)


def make_models() -> Sequence[bytes]:
    storages = [("float32", narrow) for narrow in ROW_FORMATS] + [("float16", "int4-row")]
    return [_model(wide, narrow, dense) for wide, narrow in storages for dense in (0, 2)]


def _model(wide: str, narrow: str, dense: int) -> bytes:
    rng = np.random.default_rng(dense)
    settings = ClickSettings(bottom=(3,), top=(4,))
    tiers = Tiers.of([rng.random(rows) < 0.5 for rows in CARDINALITIES])
    row = ROW_FORMATS[narrow]
    tables = EmbeddingTables(
        rng.random((tiers.wide_rows, 16), np.float32).astype(wide),
        np.zeros((tiers.rows - tiers.wide_rows, row.elements(16)), row.dtype),
        narrow,
        wide,
    )
    layers = {
        part: [
            {"weight": np.zeros((a, b), np.float32), "bias": np.zeros(b, np.float32)}
            for a, b in pairwise(sizes)
        ]
        for part, sizes in widths(settings, dense, 2).items()
    }
    scales = np.array([0.1, 0], np.float32)
    network = ClickNetwork(settings, tiers, dense, layers, tables, scales, 700, 3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        save_click_model(network, path)
        return path.read_bytes()


def read_model(path: Path) -> None:
    # Without the device: it compiles for every shape, which takes a thousand times as long.
    with patch.object(model_file.jnp, "asarray", np.asarray):
        model = load_click_model(path)
    # What is accepted can be used.
    ids = np.stack([np.arange(3, dtype=np.uint32)] * model.tiers.fields, 1)
    ids = np.minimum(ids, np.array(model.tiers.cardinalities, np.uint32) - np.uint32(1))
    rows = len(model.tables.wide) + len(model.tables.narrow)
    assert model.tiers.numbers(ids).max() < rows
    assert np.isfinite(model.scales).all()
    assert len(model.layers["top"]) == len(model.settings.top) + 1


TARGETS = (
    Target(
        "click-model",
        make_models,
        some_of((alter_header, *2 * (alter_contents(FORMAT.key),))),
        read_model,
    ),
)
