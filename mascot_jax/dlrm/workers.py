"""Who makes the steps: one device, or several that share each batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from mascot_jax.dlrm.batches import HostBatches
from mascot_jax.dlrm.exchange import AXIS, Exchange, exchange_layers, exchange_rows, sent_bytes
from mascot_jax.dlrm.network import Layers
from mascot_jax.dlrm.row_bits import RowBits
from mascot_jax.dlrm.steps import (
    Batches,
    Gradients,
    StepPlan,
    TrainingState,
    descend,
    differentiate,
    run_steps,
)
from mascot_jax.dlrm.tiers import Tiers
from mascot_jax.errors import SettingsError
from mascot_jax.settings.clicks import ClickSettings


def offer_devices(workers: int) -> None:
    """Have JAX show a CPU device for each worker: for programs, before they use JAX."""
    if workers > 1:
        jax.config.update("jax_num_cpu_devices", workers)


class Runner(Protocol):
    """Makes steps."""

    def start(self, state: TrainingState) -> Any:
        """Return what a training begins with: a pytree of arrays, as checkpoints hold it."""

    def place(self, state: Any) -> Any:
        """Return a state of ``start`` or of a checkpoint where the steps are made."""

    def run(
        self, state: Any, scales: jax.Array, batches: HostBatches, plan: StepPlan
    ) -> tuple[Any, jax.Array]:
        """Make steps; return the new state, which replaces the old, and the steps' losses."""

    def training(self, state: Any) -> TrainingState:
        """Return tables and layers on one device."""

    def host(self, state: Any) -> Any:
        """Return what a checkpoint holds: arrays that this process can read."""

    def largest(self, value: int) -> int:
        """Return the largest value, int32, of any process; all wait for each other here."""

    def sent_bytes(self, state: Any, fields: int) -> int:
        """Return the bytes that a worker hands over in a step."""


class Alone:
    """One device."""

    def start(self, state: TrainingState) -> TrainingState:
        """Return the state itself."""
        return state

    def place(self, state: TrainingState) -> TrainingState:
        """Return the state itself, on the device."""
        placed: TrainingState = jax.tree.map(jnp.asarray, state)
        return placed

    def run(
        self, state: TrainingState, scales: jax.Array, batches: HostBatches, plan: StepPlan
    ) -> tuple[TrainingState, jax.Array]:
        """Make steps."""
        placed = Batches(*(jnp.asarray(array) for array in batches))
        result: tuple[TrainingState, jax.Array] = run_steps(state, scales, placed, plan=plan)
        return result

    def training(self, state: TrainingState) -> TrainingState:
        """Return the state itself."""
        return state

    def host(self, state: TrainingState) -> TrainingState:
        """Return the state itself."""
        return state

    def largest(self, value: int) -> int:
        """Return the value."""
        return value

    def sent_bytes(self, state: TrainingState, fields: int) -> int:
        """Return 0."""
        return 0


@partial(jax.tree_util.register_dataclass, data_fields=["training", "residual"], meta_fields=[])
@dataclass(frozen=True)
class SharedState:
    """What several workers have: the same tables and layers, and residuals of their own."""

    training: TrainingState
    residual: Layers
    """Of each worker, along a first axis."""


# Of any type, so that they can stand where arrays do.
_SHARED: Final[Any] = PartitionSpec()
_OWN: Final[Any] = PartitionSpec(AXIS)
_SPLIT: Final[Any] = PartitionSpec(None, AXIS)
_BATCHES: Final = Batches(rows=_SPLIT, dense=_SPLIT, labels=_SPLIT, rates=_SHARED, counters=_SHARED)
_STATE: Final = SharedState(_SHARED, _OWN)


class Workers:
    """Several devices, of this process or of several (``jax.distributed``), with all tables each.

    Each worker computes the gradients of its part of the batch; all exchange them and then make the
    same step. Without rounding, it is the step of one device up to the order of sums.

    Raises
    ------
    SettingsError
        If there are fewer devices.
    """

    def __init__(self, settings: ClickSettings, tiers: Tiers, platform: str = "cpu") -> None:
        devices = jax.devices(platform)
        if len(devices) < settings.workers and platform != "cpu":
            raise SettingsError(
                f"workers: {settings.workers}: JAX has {len(devices)} GPU(s): set workers to at "
                f"most {len(devices)}, or backend to cpu"
            )
        if len(devices) < settings.workers:
            raise SettingsError(
                f"workers: {settings.workers}: JAX has {len(devices)} CPU device(s): before JAX is "
                f"used, call jax.config.update('jax_num_cpu_devices', {settings.workers}), or "
                "start several processes with jax.distributed.initialize"
            )
        self._mesh = Mesh(np.array(devices[: settings.workers]), (AXIS,))
        self._settings = settings
        bits = RowBits.of(tiers)
        self._exchange = Exchange(settings.gradients, settings.compensation, bits)

    def start(self, state: TrainingState) -> SharedState:
        """Return the state, with residuals of 0."""
        workers = self._settings.workers
        zeros = jax.tree.map(lambda x: np.zeros((workers, *x.shape), x.dtype), state.layers)
        return SharedState(state, zeros)

    def place(self, state: SharedState) -> SharedState:
        """Return the state with a copy of tables and layers on every device."""
        return SharedState(
            jax.tree.map(partial(self._put, _SHARED), state.training),
            jax.tree.map(partial(self._put, _OWN), state.residual),
        )

    def run(
        self, state: SharedState, scales: jax.Array, batches: HostBatches, plan: StepPlan
    ) -> tuple[SharedState, jax.Array]:
        """Make steps."""
        threads = max(1, plan.execution.threads // self._settings.workers)
        pairs = zip(_BATCHES, batches, strict=True)
        placed = Batches(*(self._put(spec, array) for spec, array in pairs))
        result: tuple[SharedState, jax.Array] = _run_shared(
            state,
            self._put(_SHARED, scales),
            placed,
            plan=plan._replace(execution=plan.execution._replace(threads=threads)),
            exchange=self._exchange,
            mesh=self._mesh,
        )
        return result

    def training(self, state: SharedState) -> TrainingState:
        """Return the copy of this process's first worker."""
        local: TrainingState = jax.tree.map(lambda x: x.addressable_data(0), state.training)
        return local

    def host(self, state: SharedState) -> SharedState:
        """Return the copy of one worker, and the residuals of all."""
        residual = state.residual
        if jax.process_count() > 1:
            residual = multihost_utils.process_allgather(residual, tiled=True)
        return SharedState(self.training(state), residual)

    def largest(self, value: int) -> int:
        """Return the largest value, int32, of any process; all wait for each other here."""
        if jax.process_count() == 1:
            return value
        return int(multihost_utils.process_allgather(np.int32(value)).max())

    def sent_bytes(self, state: SharedState, fields: int) -> int:
        """Return the bytes that a worker hands over in a step."""
        settings = self._settings
        lookups = settings.batch_size // settings.workers, fields
        return sent_bytes(self._exchange, state.training.layers, lookups, settings.dimension)

    def _put(self, spec: Any, array: Any) -> jax.Array:
        """Place an array that every process has, in parts or as copies."""
        values = np.asarray(array)
        where = NamedSharding(self._mesh, spec)
        return jax.make_array_from_callback(values.shape, where, values.__getitem__)


@partial(jax.jit, static_argnames=("plan", "exchange", "mesh"), donate_argnames="state")
def _run_shared(
    state: SharedState,
    scales: jax.Array,
    batches: Batches,
    *,
    plan: StepPlan,
    exchange: Exchange,
    mesh: Mesh,
) -> tuple[SharedState, jax.Array]:
    def worker(
        state: SharedState, scales: jax.Array, batches: Batches
    ) -> tuple[SharedState, jax.Array]:
        residual = jax.tree.map(lambda x: x[0], state.residual)

        def step(
            carry: tuple[TrainingState, Layers], batch: Batches
        ) -> tuple[tuple[TrainingState, Layers], jax.Array]:
            state, residual = carry
            loss, own = differentiate(state, scales, batch, plan)
            layers, residual = exchange_layers(exchange, own.layers, residual)
            seed, number = batch.counters
            key = jax.random.fold_in(jax.random.key(seed), number)
            key = jax.random.fold_in(key, jax.lax.axis_index(AXIS))
            rows = exchange_rows(exchange, own.rows, own.vectors, key, plan.execution)
            state = descend(state, Gradients(layers, *rows), batch, plan)
            return (state, residual), jax.lax.pmean(loss, AXIS)

        (training, residual), losses = jax.lax.scan(step, (state.training, residual), batches)
        return SharedState(training, jax.tree.map(lambda x: x[None], residual)), losses

    result: tuple[SharedState, jax.Array] = jax.shard_map(
        worker,
        mesh=mesh,
        in_specs=(_STATE, _SHARED, _BATCHES),
        out_specs=(_STATE, _SHARED),
        check_vma=False,
    )(state, scales, batches)
    return result
