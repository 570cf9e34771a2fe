"""A trained click model: layers, tables, and what it was trained with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.base.arrays import parts
from mascot_jax.base.tensor_file import Tensors
from mascot_jax.clicks.data import ClickData
from mascot_jax.dlrm.network import Layers
from mascot_jax.dlrm.steps import StepPlan, predict
from mascot_jax.dlrm.tables import field_rows
from mascot_jax.dlrm.tiers import Tiers
from mascot_jax.engine.embedding import EmbeddingTables
from mascot_jax.engine.kernels import Execution
from mascot_jax.errors import DataError
from mascot_jax.settings.clicks import ClickSettings

PREDICTED_AT_A_TIME: Final = 1024
"""Impressions that are predicted at a time: with the paper's layers, some megabytes."""


@dataclass(frozen=True, eq=False)
class ClickNetwork:
    """What predicts clicks."""

    settings: ClickSettings
    tiers: Tiers
    dense: int
    """Number of dense inputs."""
    layers: Layers
    tables: EmbeddingTables
    """As deployed: ``dqrm`` packs its float32 tables after training."""
    scales: NDArray[np.float32]
    """float32 ``(f,)``: of tables in ``int4-table``; else zeros."""
    training_bytes: int
    """Bytes of the tables in training, and of what numbers their rows."""
    epochs: int
    """Epochs trained."""
    encoder: tuple[Tensors, dict[str, Any]] | None = None
    """Arrays and facts of the training data's encoder (``clicks.store``), if it is kept."""

    @property
    def deployed_bytes(self) -> int:
        """Bytes of the tables, of their scales, and of what numbers their rows."""
        return self.tables.nbytes + self.tiers.nbytes + scale_bytes(self.tables, self.scales)

    def on(self, device: jax.Device) -> ClickNetwork:
        """Return the model with its arrays on a device; those that lie there are not copied."""
        layers, tables = jax.device_put((self.layers, self.tables), device)
        return replace(self, layers=layers, tables=tables)

    def logits(self, data: ClickData, execution: Execution) -> NDArray[np.float32]:
        """Return float32 ``(n,)`` logits.

        Raises
        ------
        DataError
            If the data was encoded for other tables than these.
        """
        check_fits(data, self.tiers, self.dense)
        plan = StepPlan("sgd", 0, self.settings.mlp_bits, execution)
        return logits_of(self.layers, self.tables, self.scales, self.tiers, data, plan)

    def rows(self, field: int, execution: Execution) -> NDArray[np.float32]:
        """Return the rows of a field as predictions use them, float32 ``(rows, d)``."""
        return field_rows(self.tables, self.tiers, jnp.asarray(self.scales), field, execution)


def scale_bytes(tables: EmbeddingTables, scales: NDArray[np.float32]) -> int:
    """Return the bytes of the fields' scales, which other storages than one do not need."""
    return scales.nbytes if tables.narrow_storage == "int4-table" else 0


def check_fits(data: ClickData, tiers: Tiers, dense: int) -> None:
    """Refuse data that was encoded for other tables, or has other inputs, with a DataError."""
    found = data.dense.shape[1], tuple(data.cardinalities)
    if found == (dense, tiers.cardinalities):
        return
    if found[0] != dense:
        raise DataError(f"click data: {found[0]} dense inputs, where the model has {dense}")
    if data.fields != tiers.fields:
        raise DataError(f"click data: {data.fields} fields, where the model has {tiers.fields}")
    field = next(f for f in range(data.fields) if found[1][f] != tiers.cardinalities[f])
    raise DataError(
        f"click data: field {field} has {found[1][field]} rows, where the model has "
        f"{tiers.cardinalities[field]}: encode it with the encoder of the training data"
    )


def logits_of(
    layers: Layers,
    tables: EmbeddingTables,
    scales: NDArray[np.float32] | jax.Array,
    tiers: Tiers,
    data: ClickData,
    plan: StepPlan,
) -> NDArray[np.float32]:
    """Return float32 ``(n,)`` logits of data that fits."""
    found = np.empty(len(data), np.float32)
    for part, rows, dense in _padded(data, tiers):
        batch = predict(
            layers,
            tables,
            jnp.asarray(scales),
            jnp.asarray(rows),
            jnp.asarray(dense),
            plan=plan,
        )
        found[part] = np.asarray(batch)[: part.stop - part.start]
    return found


def _padded(
    data: ClickData, tiers: Tiers
) -> Iterator[tuple[slice, NDArray[np.uint32], NDArray[Any]]]:
    """Yield parts of the data, all of one size, so that one compiled program predicts them."""
    for part in parts(len(data), PREDICTED_AT_A_TIME):
        fill = ((0, PREDICTED_AT_A_TIME - (part.stop - part.start)), (0, 0))
        rows = tiers.numbers(data.categories[part])
        yield part, np.pad(rows, fill), np.pad(data.dense[part], fill)
