"""The native kernels of embedding tables as JAX functions, one per FFI target.

Operands are in the order of ``ffi/bind/signatures.h``. Rows are numbered over all fields, in two
tiers: first those that are visited often (``wide``), then the others (``narrow``). A tier has one
storage. Tables are updated in place if the caller's jit donates them. A CPU and a GPU compute the
same bits.
Shapes: b impressions in a batch, f fields, d components.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from mascot_jax.engine import native  # noqa: F401  registers the targets
from mascot_jax.engine.kernels import Execution


class RowFormat(NamedTuple):
    """How a row is stored."""

    dtype: np.dtype[Any]
    bits: int
    """Of a component."""
    scale_bytes: int = 0
    """Of the row's own scale, which stands behind the components."""

    def elements(self, dimension: int) -> int:
        """Return the elements of a row of so many components."""
        return self.row_bytes(dimension) // self.dtype.itemsize

    def row_bytes(self, dimension: int) -> int:
        """Return the bytes of a row of so many components."""
        return dimension * self.bits // 8 + self.scale_bytes

    def components(self, elements: int) -> int:
        """Return the components of a row of so many elements."""
        return (elements * self.dtype.itemsize - self.scale_bytes) * 8 // self.bits


ROW_FORMATS: Final[dict[str, RowFormat]] = {
    "float32": RowFormat(np.dtype(np.float32), 32),
    "float16": RowFormat(np.dtype(np.float16), 16),
    "int8-row": RowFormat(np.dtype(np.int8), 8, 4),
    "int4-row": RowFormat(np.dtype(np.uint8), 4, 2),
    "int4-table": RowFormat(np.dtype(np.uint8), 4),
}
"""Storages of rows, as ``ffi/core/embedding/kernel.h`` has them.

``int4-table`` has one scale a field and is only looked up.
"""


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["wide", "narrow"],
    meta_fields=["narrow_storage", "wide_storage"],
)
@dataclass(frozen=True)
class EmbeddingTables:
    """The rows of all fields on a device."""

    wide: jax.Array
    """``(wide rows, elements)``, of the dtype of ``ROW_FORMATS[wide_storage]``."""
    narrow: jax.Array
    """``(narrow rows, elements)``, of the dtype of ``ROW_FORMATS[narrow_storage]``."""
    narrow_storage: str
    """Name of the narrow rows' storage."""
    wide_storage: str = "float32"
    """Name of the wide rows' storage."""

    @property
    def dimension(self) -> int:
        """Components of a row."""
        return ROW_FORMATS[self.wide_storage].components(self.wide.shape[1])

    @property
    def storages(self) -> dict[str, str]:
        """The storages by the names of the kernels' attributes."""
        return {"wide_storage": self.wide_storage, "narrow_storage": self.narrow_storage}

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return int(self.wide.nbytes + self.narrow.nbytes)


def look_up(
    tables: EmbeddingTables,
    rows: jax.Array,
    scales: jax.Array,
    *,
    levels: int = 0,
    execution: Execution,
) -> jax.Array:
    """Return the rows of a batch, float32 ``(b, f, d)``.

    Parameters
    ----------
    tables
        The tables.
    rows
        uint32 ``(b, f)``: numbers of rows. Those beyond the tables are an error on a CPU, NaN on a
        GPU.
    scales
        float32 ``(f,)``: scale of each field, for ``int4-table`` and ``levels``.
    levels
        If positive, float32 rows are rounded to multiples of their field's scale, from
        ``-levels - 1`` to ``levels``. A scale of 0 leaves them as they are.
    execution
        Threads and instruction set, which change no bit.
    """
    shape = jax.ShapeDtypeStruct((*rows.shape, tables.dimension), jnp.float32)
    return jax.ffi.ffi_call("mascot_embedding_lookup", shape)(
        rows,
        scales,
        tables.wide,
        tables.narrow,
        **tables.storages,
        levels=np.int64(levels),
        execution=execution.attribute(),
    )


def update(
    tables: EmbeddingTables,
    rows: jax.Array,
    gradients: jax.Array,
    step_size: ArrayLike,
    counters: jax.Array,
    *,
    execution: Execution,
) -> EmbeddingTables:
    """Make a step of SGD on the rows of a batch, in place.

    The gradients of equal rows are summed, a row is updated in float32, and then rounded to its
    storage once, stochastically: the expected value of what is stored is the updated row.

    Parameters
    ----------
    tables
        The tables.
    rows
        uint32 ``(b, f)``: numbers of rows. A row belongs to one field. Those beyond the tables are
        an error on a CPU, and left out on a GPU.
    gradients
        float32 ``(b, f, d)``.
    step_size
        float32 ``()``.
    counters
        uint32 ``(2,)``: seed and number of the step, which decide how rows are rounded.
    execution
        Threads and instruction set, which change no bit.
    """
    wide, narrow = _call_with_equal_rows(
        "mascot_embedding_update",
        rows,
        [gradients, jnp.asarray(step_size, jnp.float32), counters, tables.wide, tables.narrow],
        [jax.ShapeDtypeStruct(a.shape, a.dtype) for a in (tables.wide, tables.narrow)],
        aliases={3: 0, 4: 1},
        **tables.storages,
        execution=execution.attribute(),
    )
    return replace(tables, wide=wide, narrow=narrow)


def coalesce(rows: jax.Array, gradients: jax.Array, *, execution: Execution) -> jax.Array:
    """Return sums of equal rows' gradients where each row first occurs, and zeros elsewhere.

    ``rows`` is uint32 ``(b, f)``, ``gradients`` and the result are float32 ``(b, f, d)``.
    """
    (sums,) = _call_with_equal_rows(
        "mascot_embedding_coalesce",
        rows,
        [gradients],
        [jax.ShapeDtypeStruct(gradients.shape, jnp.float32)],
        aliases={},
        execution=execution.attribute(),
    )
    return sums


def _call_with_equal_rows(
    target: str,
    rows: jax.Array,
    operands: Sequence[jax.Array],
    results: Sequence[jax.ShapeDtypeStruct],
    *,
    aliases: Mapping[int, int],
    **attributes: Any,
) -> list[jax.Array]:
    """Call a target that sums the gradients of equal rows; return its results.

    The CPU's finds equal rows by a hash table. A GPU's is given the batch's rows sorted, by JAX,
    which has a fast sort for every device. ``aliases``: operand -> result that it becomes.
    """

    def call(target: str, first: Sequence[jax.Array], *operands: jax.Array) -> list[jax.Array]:
        in_place = {len(first) + operand: result for operand, result in aliases.items()}
        function = jax.ffi.ffi_call(target, results, input_output_aliases=in_place)
        return list(function(*first, *operands, **attributes))

    def on_cpu(rows: jax.Array, *operands: jax.Array) -> list[jax.Array]:
        return call(target, [rows], *operands)

    def on_cuda(rows: jax.Array, *operands: jax.Array) -> list[jax.Array]:
        return call(f"{target}_sorted", sorted_rows(rows), *operands)

    found: list[jax.Array] = jax.lax.platform_dependent(rows, *operands, cpu=on_cpu, cuda=on_cuda)
    return found


def sorted_rows(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return rows ``(b, f)`` in ascending order, and the place ``b * fields + f`` of each.

    Equal rows stay in the batch's order. Both are uint32 ``(b * f,)``.
    """
    places = jax.lax.iota(jnp.uint32, rows.size)
    numbers, places = jax.lax.sort((rows.reshape(-1), places), num_keys=1, is_stable=True)
    return numbers, places


@partial(jax.jit, static_argnames=("storage", "execution"), donate_argnames="table")
def store(
    table: jax.Array,
    values: jax.Array,
    counters: jax.Array,
    *,
    storage: str,
    execution: Execution,
) -> jax.Array:
    """Write rows of a tier, rounded stochastically, in place.

    Parameters
    ----------
    table
        The tier's rows, which are donated.
    values
        float32 ``(n, d)``.
    counters
        uint32 ``(2,)``: seed and the first row. Rows beyond the table are an error on a CPU, and
        left out on a GPU.
    storage
        Name of the table's storage.
    execution
        Instruction set, which changes no bit.
    """
    call = jax.ffi.ffi_call(
        "mascot_embedding_store",
        jax.ShapeDtypeStruct(table.shape, table.dtype),
        input_output_aliases={2: 0},
    )
    result: jax.Array = call(
        values, counters, table, storage=storage, execution=execution.attribute()
    )
    return result
