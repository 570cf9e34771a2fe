"""The workers of a shared training, and arrays that they hold: one each, or the same all."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any, Final

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from numpy.typing import NDArray

from mascot_jax.errors import ProcessError

AXIS: Final = "workers"
"""Name of the mesh's axis."""


@dataclasses.dataclass(frozen=True)
class Workers:
    """Devices that share a training, one worker each; the same in every process.

    Attributes
    ----------
    devices
        In the order of the workers' numbers; those of other processes included.
    """

    devices: tuple[jax.Device, ...]

    @classmethod
    def of_processes(cls) -> Workers:
        """Return one worker for each process of ``jax.distributed``, on its first CPU device."""
        first: dict[int, jax.Device] = {}
        for device in jax.devices("cpu"):
            first.setdefault(device.process_index, device)
        return cls(tuple(first[number] for number in sorted(first)))

    def __len__(self) -> int:
        return len(self.devices)

    @property
    def leads(self) -> bool:
        """Whether this process has the first worker: it writes what is written once."""
        return bool(self.devices[0].process_index == jax.process_index())

    @cached_property
    def mesh(self) -> Mesh:
        """The workers as JAX's mesh of one axis."""
        return Mesh(np.array(self.devices), (AXIS,))

    @property
    def here(self) -> list[tuple[int, jax.Device]]:
        """Number and device of this process's workers."""
        me = jax.process_index()
        return [(i, device) for i, device in enumerate(self.devices) if device.process_index == me]

    def each(self, make: Callable[[int], Any]) -> Any:
        """Return arrays ``(workers, ...)``, of which each worker holds its own part.

        ``make`` returns a worker's part, a pytree, on JAX's default device, or on the host, where
        nobody may alter it any more; all parts have the same shapes. It is called for the workers
        of this process.
        """
        made = []
        for number, device in self.here:
            with jax.default_device(device):
                made.append(jax.tree.map(partial(_part_on, device), make(number)))
        sharding = NamedSharding(self.mesh, PartitionSpec(AXIS))

        def join(*parts: jax.Array) -> jax.Array:
            shape = (len(self), *parts[0].shape[1:])
            return jax.make_array_from_single_device_arrays(shape, sharding, list(parts))

        return jax.tree.map(join, *made)

    def same(self, tree: Any) -> Any:
        """Return arrays of which every worker holds the whole.

        JAX's own are not copied to a device where they are already; do not use both.
        """
        sharding = NamedSharding(self.mesh, PartitionSpec())

        def copy(value: Any) -> jax.Array:
            source = value if isinstance(value, jax.Array) else np.array(value)
            copies = [jax.device_put(source, device) for _, device in self.here]
            return jax.make_array_from_single_device_arrays(np.shape(value), sharding, copies)

        return jax.tree.map(copy, tree)

    def gather(self, parts: jax.Array) -> NDArray[Any]:
        """Return all parts of an array of ``each`` on the host, in every process."""
        with others_alive():
            return np.asarray(_replicated(parts, NamedSharding(self.mesh, PartitionSpec())))

    def largest(self, value: int) -> int:
        """Return the largest value, int32, of any process; all wait for each other here."""
        return int(self.gather(self.each(lambda _: np.int32(value))).max())

    def other_than_first(self, value: str) -> list[int]:
        """Return the numbers of workers whose process has another value than the first one's."""
        digests = self._digests(value)
        return np.flatnonzero((digests != digests[0]).any(axis=1)).tolist()

    def on_same_cores(self) -> int:
        """Return how many workers may use this process's CPU cores; all processes call this.

        Those of a host whose launcher has not bound them to cores of their own share all of it.
        """
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        digests = self._digests(f"{socket.gethostname()} {cores}")
        mine, _ = self.here[0]
        return int((digests == digests[mine]).all(axis=1).sum())

    def _digests(self, value: str) -> NDArray[np.uint8]:
        digest = np.frombuffer(hashlib.sha256(value.encode()).digest(), dtype=np.uint8)
        return self.gather(self.each(lambda _: digest))


@contextmanager
def others_alive() -> Iterator[None]:
    """Raise a ProcessError where gloo, which moves what processes exchange, fails."""
    try:
        yield
    except (ValueError, RuntimeError) as error:  # jaxlib's type depends on where it notices
        if "gloo" not in str(error).lower():
            raise
        raise ProcessError(
            "another process of this training has ended, or cannot be reached: see what it said "
            "last; then start all of them again, and resume if there is a checkpoint"
        ) from error


def _part_on(device: jax.Device, part: Any) -> jax.Array:
    """Return ``(1, ...)`` on a device, in the same memory where that can be."""
    held: jax.Array
    if isinstance(part, jax.Array):
        held = _as_part(jax.device_put(part, device))
    else:
        held = jax.device_put(np.asarray(part)[np.newaxis], device)
    return held


@partial(jax.jit, donate_argnums=0)
def _as_part(part: jax.Array) -> jax.Array:
    """Return ``(1, ...)``, in the same memory."""
    reshaped: jax.Array = part.reshape(1, *part.shape)
    return reshaped


@partial(jax.jit, static_argnums=1)
def _replicated(parts: jax.Array, sharding: NamedSharding) -> jax.Array:
    replicated: jax.Array = jax.lax.with_sharding_constraint(parts, sharding)
    return replicated


def local_part(parts: jax.Array, device: jax.Device) -> NDArray[Any]:
    """Return a worker's part of an array of ``Workers.each``, without a copy where that can be."""
    [found] = [s.data for s in parts.addressable_shards if s.device == device]
    part: NDArray[Any] = np.asarray(found)[0]
    return part
