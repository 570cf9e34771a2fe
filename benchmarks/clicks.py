"""A step of a click model, and parts of it: ``python -m benchmarks.clicks --help``.

The shape is Criteo Kaggle's, with large fields scaled down to ``--rows`` in all. All variants run
in turn, in one process. Ours are ``int4`` and ``fp32``; ``jax`` has one float32 table, which it
gathers from and adds to in place, as fast as JAX can without our kernels; PyTorch's EmbeddingBag
and FBGEMM are there where they are installed (``pip install 'mascot-jax[peers]'``). All but
``int4`` compute in float32 tables. The part ``products`` is the matrix products of the layers and
of their gradients alone, by XLA and by NumPy's BLAS. All variants have as many threads as there are
cores; ``int4`` is timed with one, too, in the tables' part, which tells how it scales. Restrict the
process to some cores, with ``taskset``, to compare with fewer. ``--backend cuda`` times ours and
``jax`` on a GPU.
"""

from __future__ import annotations

import argparse
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.peers.torch_clicks import torch_steps
from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.timing import Variant, time_rounds
from mascot_jax.clicks.planted import KAGGLE_SIZES, ZIPF
from mascot_jax.dlrm.network import initial_layers, widths
from mascot_jax.dlrm.steps import Batches, StepPlan, TrainingState, loss_of, run_steps
from mascot_jax.dlrm.tables import initial_tables
from mascot_jax.dlrm.tiers import Tiers
from mascot_jax.engine.cores import usable_cores
from mascot_jax.engine.devices import choose_device, computing_on
from mascot_jax.engine.embedding import EmbeddingTables, look_up, update
from mascot_jax.engine.kernels import Execution
from mascot_jax.settings.clicks import ClickSettings
from pipeline.common.hardware import describe_hardware

DENSE = 13
VISITED = 0.03
"""Share of rows that ``int4`` has in float16: of a planted set of a million rows, those with 50
visits or more."""
BAG, FBGEMM = "PyTorch EmbeddingBag", "FBGEMM"
PARTS = ("step", "tables", "products")


class Workload(NamedTuple):
    """Batches of s steps, and the rows of each field."""

    rows: tuple[int, ...]
    categories: NDArray[np.uint32]
    dense: NDArray[np.float32]
    labels: NDArray[np.uint8]

    @property
    def steps(self) -> int:
        """Number of batches."""
        return len(self.labels)


def make_workload(rows: int, batch: int, steps: int) -> Workload:
    """Return batches whose ids are as unevenly frequent as Criteo's."""
    share = rows / sum(KAGGLE_SIZES)
    sizes = tuple(max(min(n, 2000), int(n * share)) for n in KAGGLE_SIZES)
    rng = np.random.default_rng(0)
    categories = np.empty((steps, batch, len(sizes)), np.uint32)
    for field, (n, exponent) in enumerate(zip(sizes, ZIPF, strict=True)):
        frequency = np.cumsum(np.arange(1, n + 1, dtype=np.float64) ** -exponent)
        rank = np.searchsorted(frequency, rng.random((steps, batch)) * frequency[-1])
        # Ids are in no order of frequency.
        categories[:, :, field] = rank * 2654435761 % n
    dense = rng.standard_normal((steps, batch, DENSE), np.float32)
    return Workload(sizes, categories, dense, (rng.random((steps, batch)) < 0.25).astype(np.uint8))


def variants(work: Workload, part: str, threads: int, platform: str) -> Iterator[Variant]:
    """Yield what is timed: ``part`` is ``step``, ``tables`` or ``products``."""
    if part == "products":
        yield from _products(work)
        return
    for preset in ("int4", "fp32"):
        yield Variant(preset, *_ours(work, preset, part, Execution(threads)))
    if part == "tables" and threads > 1 and platform == "cpu":
        yield Variant("int4, one thread", *_ours(work, "int4", part, Execution(1)))
    yield Variant("jax", *_plain_jax(work, part))
    layers = widths(ClickSettings(), DENSE, len(work.rows)) if part == "step" else None
    for name, module in ((BAG, "torch"), (FBGEMM, "fbgemm_gpu")):
        if find_spec(module) is not None and platform == "cpu":
            yield Variant(name, *_torch(work, name, layers, threads))


Making = tuple[Callable[[], Any], Callable[[Any], Any]]


def _ours(work: Workload, preset: str, part: str, execution: Execution) -> Making:
    settings = ClickSettings(preset=preset)
    masks = [
        np.arange(n) < max(1, VISITED * n) if preset == "int4" else np.ones(n, np.bool_)
        for n in work.rows
    ]
    tiers = Tiers.of(masks)
    numbers = jnp.asarray(np.stack([tiers.numbers(one) for one in work.categories]))
    batches = Batches(
        numbers,
        jnp.asarray(work.dense),
        jnp.asarray(work.labels),
        jnp.full((work.steps, 2), 0.1, jnp.float32),
        jnp.stack([jnp.arange(work.steps, dtype=jnp.uint32)] * 2, 1),
    )
    scales = jnp.zeros(len(work.rows), jnp.float32)
    plan = StepPlan("sgd", 0, None, execution)
    gradients = _given_gradients(work)

    def begin() -> Any:
        tables = initial_tables(settings, tiers, execution)
        if part == "tables":
            return tables
        return TrainingState(tables, initial_layers(settings, DENSE, tiers.fields), ())

    def steps(state: TrainingState) -> TrainingState:
        return run_steps(state, scales, batches, plan=plan)[0]  # type: ignore[no-any-return]

    @partial(jax.jit, donate_argnums=0)
    def tables_only(tables: EmbeddingTables, batches: Batches) -> EmbeddingTables:
        def step(tables: EmbeddingTables, batch: Batches) -> tuple[EmbeddingTables, jax.Array]:
            rows, rate, counters = batch.rows, batch.rates[0], batch.counters
            vectors = look_up(tables, rows, scales, execution=execution)
            tables = update(tables, rows, gradients, rate, counters, execution=execution)
            return tables, vectors[0, 0, 0]

        return jax.lax.scan(step, tables, batches)[0]

    return begin, steps if part == "step" else partial(_swapped, tables_only, batches)


def _given_gradients(work: Workload) -> jax.Array:
    """Return what the tables' part alone is given."""
    shape = (*work.categories.shape[1:], ClickSettings().dimension)
    return jnp.full(shape, 1e-3, jnp.float32)


def _swapped(function: Callable[[Any, Any], Any], second: Any, first: Any) -> Any:
    return function(first, second)


def _plain_jax(work: Workload, part: str) -> Making:
    settings = ClickSettings()
    starts = np.cumsum(work.rows) - work.rows
    ids = jnp.asarray((work.categories + starts).astype(np.int32))
    batches = ids, jnp.asarray(work.dense), jnp.asarray(work.labels)
    rate = jnp.float32(0.1)
    given = _given_gradients(work)

    def begin() -> Any:
        table = jnp.zeros((sum(work.rows), settings.dimension), jnp.float32)
        return table, initial_layers(settings, DENSE, len(work.rows)) if part == "step" else ()

    def step(state: Any, batch: Any) -> tuple[Any, jax.Array]:
        (table, layers), (rows, dense, labels) = state, batch
        # Else, of rows of which one number is used, only that would be read.
        vectors = jax.lax.optimization_barrier(table[rows])
        if part == "step":
            gradients = jax.value_and_grad(loss_of, argnums=(0, 1))
            loss, (by_layers, by_vectors) = gradients(layers, vectors, dense, labels, None)
            layers = jax.tree.map(lambda w, g: w - rate * g, layers, by_layers)
        else:
            loss, by_vectors = vectors[0, 0, 0], given
        return (table.at[rows].add(-rate * by_vectors), layers), loss

    @partial(jax.jit, donate_argnums=0)
    def steps(state: Any, batches: Any) -> Any:
        return jax.lax.scan(step, state, batches)[0]

    return begin, partial(_swapped, steps, batches)


def _torch(work: Workload, name: str, layers: Any, threads: int) -> Making:
    tables = "FBGEMM" if name == FBGEMM else "EmbeddingBag"
    settings = ClickSettings()

    def begin() -> Any:
        return torch_steps(
            tables,
            work.rows,
            settings.dimension,
            work.categories,
            work.dense,
            work.labels,
            layers,
            threads,
        )

    def steps(step: Callable[[int], None]) -> Callable[[int], None]:
        for number in range(work.steps):
            step(number)
        return step

    return begin, steps


class _Product(NamedTuple):
    """A product of matrices, one of which may be transposed."""

    transposed: int | None
    """Which of the operands: 0, 1 or None."""
    operands: tuple[Any, Any]

    def turned(self, operands: tuple[Any, Any]) -> tuple[Any, Any]:
        """Return such operands as they are multiplied."""
        a, b = operands
        return a.T if self.transposed == 0 else a, b.T if self.transposed == 1 else b


def _products(work: Workload) -> Iterator[Variant]:
    """Yield the products of a step's layers by two libraries, in float32.

    Results are not kept, so that no time is taken by fresh memory.
    """
    products = list(_products_of_layers(work.labels.shape[1], len(work.rows)))
    operands = [product.operands for product in products]
    rooms = [np.matmul(*product.turned(product.operands)) for product in products]

    @jax.jit
    def by_xla(operands: Any) -> list[jax.Array]:
        found = (jnp.matmul(*p.turned(o)) for p, o in zip(products, operands, strict=True))
        return [jax.lax.optimization_barrier(result)[0, 0] for result in found]

    def by_numpy(operands: Any) -> None:
        for product, own, room in zip(products, operands, rooms, strict=True):
            np.matmul(*product.turned(own), out=room)

    def steps(function: Callable[[Any], Any], operands: Any) -> Any:
        for _ in range(work.steps):
            jax.block_until_ready(function(operands))
        return operands

    yield Variant("XLA", lambda: jax.tree.map(jnp.asarray, operands), partial(steps, by_xla))
    yield Variant("NumPy's BLAS", lambda: operands, partial(steps, by_numpy))


def _products_of_layers(batch: int, fields: int) -> Iterator[_Product]:
    """Yield each layer, and the gradients of its weights and, but of the first, of its inputs."""
    rng = np.random.default_rng(0)
    for part, sizes in widths(ClickSettings(), DENSE, fields).items():
        for number, (a, b) in enumerate(pairwise(sizes)):
            x, weight, gradient = (
                rng.standard_normal(shape, np.float32) for shape in ((batch, a), (a, b), (batch, b))
            )
            yield _Product(None, (x, weight))
            yield _Product(0, (x, gradient))
            if part == "top" or number > 0:
                yield _Product(1, (gradient, weight))


def main(words: Sequence[str]) -> None:
    """Time all variants; print a table."""
    parser = make_parser(__doc__)
    parser.add_argument("--rows", type=float, default=16e6, help="of all tables (%(default)g)")
    parser.add_argument("--batch", type=int, nargs="+", default=[128, 2048], help="(%(default)s)")
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--rounds", type=int, default=7, help="(%(default)s)")
    parser.add_argument("--backend", choices=("auto", "cpu", "cuda"), default="cpu")
    options = parser.parse_args(words)
    device = choose_device(options.backend)
    with computing_on(device):
        _time_all(options, device)


def _time_all(options: argparse.Namespace, device: jax.Device) -> None:
    threads, found = usable_cores(), []
    for batch in options.batch:
        work = make_workload(int(options.rows), batch, max(4, 8192 // batch))
        for part in options.part:
            timed = list(variants(work, part, threads, device.platform))
            timings = time_rounds(timed, options.rounds)
            first = timed[0].name
            for name in timings.seconds:
                milliseconds = timings.median(name) / work.steps * 1e3
                ratio = timings.ratio(name, first)
                found.append(
                    {
                        "part": part,
                        "batch": batch,
                        "variant": name,
                        "milliseconds": round(milliseconds, 4),
                        "times_first": round(ratio, 3),
                    }
                )
                print(f"{part:8} {batch:6} {name:22} {milliseconds:9.3f} ms {ratio:6.2f} x {first}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{sum(work.rows):,} rows, {device.device_kind}, {threads} thread(s); peak memory of all "
        f"variants, on the host: {peak:,} MiB"
    )
    result = {"rows": sum(work.rows), "threads": threads, "hardware": describe_hardware()}
    write_result(options.json, result | {"timings": found})


if __name__ == "__main__":
    main(sys.argv[1:])
