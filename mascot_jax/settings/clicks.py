"""Settings of click models."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import BeforeValidator, Field, model_validator

from mascot_jax.settings.run import AnyRunSettings
from mascot_jax.settings.validation import Finite, Seed, Settings, together
from mascot_jax.tables.storage import LANES

EmbeddingStorage = Literal["float32", "float16", "int8-row", "int4-row"]
FloatStorage = Literal["float32", "float16"]
LARGEST_DIMENSION: Final = 1024


class ClickPreset(NamedTuple):
    """What the name of a preset stands for."""

    storage: EmbeddingStorage
    """Storage of table rows in training."""
    float_storage: FloatStorage = "float32"
    """Storage of the rows that are visited often."""
    table_bits: int | None = None
    """Bits that looked-up rows are rounded to in the forward pass; the stored rows keep their own
    precision."""


CLICK_PRESETS: Final[Mapping[str, ClickPreset]] = MappingProxyType(
    {
        "fp32": ClickPreset("float32"),
        "dqrm": ClickPreset("float32", table_bits=4),
        "int4": ClickPreset("int4-row", "float16"),
    }
)


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


Width = Annotated[int, Field(ge=1, le=65_536)]
Widths = Annotated[tuple[Width, ...], BeforeValidator(_as_tuple)]


class ClickSettings(Settings):
    """What a click model is and how it is trained (``clicks``)."""

    preset: Literal[tuple(CLICK_PRESETS)] = "int4"  # type: ignore[valid-type]
    """``fp32``; ``dqrm``, the paper's quantisation-aware training: float32 tables whose rows are
    rounded to INT4 when looked up; or ``int4``: tables in INT4 in training, too, without a float32
    copy."""
    dimension: Annotated[int, Field(ge=LANES, le=LARGEST_DIMENSION, multiple_of=LANES)] = 16
    """Components of a table row."""
    bottom: Widths = (512, 256, 64)
    """Widths of the hidden layers between the dense inputs and a vector of ``dimension``."""
    top: Widths = (512, 256)
    """Widths of the hidden layers between the interactions and the logit."""
    epochs: Annotated[int, Field(ge=1, le=100_000)] = 3
    """Passes over the training data."""
    learning_rate: Annotated[Finite, Field(gt=0)] = 0.1
    """Step size at the start, of plain SGD for the tables."""
    schedule: Literal["linear", "constant"] = "linear"
    """``linear``: step sizes fall to 0 over all epochs."""
    mlp_optimizer: Literal["sgd", "adagrad", "adam"] = "sgd"
    """Optimiser of the layers, from optax."""
    mlp_learning_rate: Annotated[Finite, Field(gt=0)] | None = None
    """Step size of the layers at the start; null: ``learning_rate``."""
    batch_size: Annotated[int, Field(ge=1, le=1 << 24)] = 128
    """Impressions in a step. Those that fill no whole batch are left out of their epoch; each epoch
    has an order of its own."""
    storage: EmbeddingStorage | None = None
    """Storage of the rows of tables; null: the preset's."""
    min_visits_float: Annotated[int, Field(ge=0)] | None = 50
    """Rows with so many visits in the training data or more are stored in ``float_storage``; null:
    none."""
    float_storage: FloatStorage | None = None
    """Storage of the rows that are visited often: ``float32`` or ``float16``; null: the
    preset's."""
    mlp_bits: Literal[4, 8] | None = None
    """Bits that the layers' weights are rounded to in the forward pass, with a scale for each
    output channel; null: none."""
    float_epochs: Annotated[int, Field(ge=0)] = 0
    """First epochs in which neither looked-up rows nor layers are rounded: training in float32
    before quantisation-aware training."""
    scale_every: Annotated[int, Field(ge=1)] = 200
    """``dqrm``: steps between two computations of the tables' scales."""
    workers: Annotated[int, Field(ge=1, le=65_536)] = 1
    """Devices that share each batch and exchange gradients, each with all tables."""
    gradients: Literal["float32", "int8", "int4"] = "float32"
    """How several workers send gradients: as they are; or as the paper does, in INT8 with a scale
    for each table and each output channel of a layer; or in INT4, of tables rounded
    stochastically."""
    compensation: Literal["none", "local", "paper"] = "local"
    """What a worker adds to its next gradients of the layers: nothing; what its own rounding left
    out; or, as the paper's code does, the difference between its gradients and the mean of all."""
    seed: Seed = 0
    """Fixes the initial weights, the order of visits and stochastic rounding."""

    @model_validator(mode="after")
    def _rounds_float32_rows(self) -> ClickSettings:
        if self.table_bits and self.rows_storage != "float32":
            raise together(
                f"storage: {self.storage!r}: preset {self.preset} trains float32 tables: leave it "
                "null, or choose preset int4"
            )
        return self

    @model_validator(mode="after")
    def _float32_tables_have_one_storage(self) -> ClickSettings:
        if self.rows_storage == "float32" and self.float_storage == "float16":
            raise together(
                "float_storage: 'float16': all rows are in float32: leave it null, or choose "
                "another storage"
            )
        return self

    @model_validator(mode="after")
    def _workers_share_a_batch(self) -> ClickSettings:
        if self.batch_size % self.workers:
            raise together(
                f"batch_size: {self.batch_size}: must be a multiple of workers ({self.workers})"
            )
        return self

    @property
    def rows_storage(self) -> EmbeddingStorage:
        """Storage of the rows of tables, for the preset if it is left open."""
        return self.storage or CLICK_PRESETS[self.preset].storage

    @property
    def frequent_storage(self) -> FloatStorage:
        """Storage of the rows that are visited often, for the preset if it is left open."""
        if self.rows_storage == "float32":
            return "float32"
        return self.float_storage or CLICK_PRESETS[self.preset].float_storage

    @property
    def table_bits(self) -> int | None:
        """Bits that looked-up rows are rounded to; None: they are used as stored."""
        return CLICK_PRESETS[self.preset].table_bits


class ClickRunSettings(AnyRunSettings):
    """How a training of a click model runs; changes no result."""

    checkpoint_every: Annotated[int, Field(ge=1, le=100_000)] | None = 1
    """Epochs between checkpoints, if training has a place to keep them; null never writes one."""
