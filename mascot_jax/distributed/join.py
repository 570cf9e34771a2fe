"""Join the processes that share a training, by ``jax.distributed``."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import jax

from mascot_jax.distributed.workers import Workers
from mascot_jax.errors import ProcessError, SettingsError
from mascot_jax.settings import Backend

PATIENCE: Final = 60
"""Seconds to wait for the other processes to start."""
HEARTBEAT: Final = 45
"""Seconds without a sign of life after which a process counts as ended; its connections tell of one
that is killed at once. A virtual machine may stand still for longer than ten."""
TORCHRUN: Final = ("MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK")
"""Variables that torchrun sets, and others who start processes for PyTorch."""

LOCAL: Final = ("LOCAL_RANK", "LOCAL_WORLD_SIZE")
"""And of the processes on one host."""


class Place(NamedTuple):
    """A process among those that share a training."""

    coordinator: str
    """Address of the first process, ``host:port``."""
    processes: int
    rank: int
    """Number of this process, from 0; the first one is the coordinator."""
    gpu: int | None = None
    """Of the host's GPUs, the one that is this process's; None: all that it sees."""


def place_of(environment: Mapping[str, str]) -> Place | None:
    """Return the place that torchrun's variables give; None if they are not all set.

    Where torchrun keeps the port for itself, the next one is taken. Of several processes on a host,
    each gets the GPU of its local rank, as PyTorch's programs take it.
    """
    if not all(name in environment for name in TORCHRUN):
        return None
    host, port, processes, rank = (environment[name] for name in TORCHRUN)
    taken = environment.get("TORCHELASTIC_USE_AGENT_STORE", "").lower() == "true"
    local = {name: environment[name] for name in LOCAL if name in environment}
    try:
        gpu = int(local[LOCAL[0]]) if len(local) == 2 and int(local[LOCAL[1]]) > 1 else None
        return Place(f"{host}:{int(port) + taken}", int(processes), int(rank), gpu)
    except ValueError:
        given = {name: environment[name] for name in TORCHRUN[1:]} | local
        found = ", ".join(f"{name}={value}" for name, value in given.items())
        raise ProcessError(f"torchrun's variables must be integers: {found}") from None


def join(place: Place | None = None, backend: Backend = "auto") -> Workers:
    """Join the other processes, and return the workers: one for each, or one for each GPU.

    Call it before anything computes with JAX.

    Parameters
    ----------
    place
        None: what torchrun's variables say, else what JAX detects (SLURM, Open MPI, Kubernetes).
    backend
        ``cuda``: the workers are GPUs. Where nothing says that there are other processes, they are
        those of this one.

    Raises
    ------
    BackendError
        If there are to be GPUs, and there are none, or not only usable ones.
    SettingsError
        If the place cannot be.
    ProcessError
        If nothing says how many processes there are, or the others cannot be reached.
    """
    place = place or place_of(os.environ)
    if place is not None:
        _check(place)
    # Signals stop a training after an epoch, everywhere: JAX would take SIGTERM for itself.
    jax.config.update("jax_enable_preemption_service", False)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            **({} if place is None else _arguments(place)),
            cluster_detection_method=None if place is None else "deactivate",
            heartbeat_timeout_seconds=HEARTBEAT,
            initialization_timeout=PATIENCE,
        )
    except (ValueError, RuntimeError) as error:
        if place is None and backend == "cuda" and isinstance(error, ValueError):
            return Workers.of_gpus()
        if place is not None or isinstance(error, RuntimeError):
            raise ProcessError(f"the processes do not find each other: {error}") from error
        raise ProcessError(
            "nothing says which processes share this training: start them by a launcher that JAX "
            "knows (SLURM, Open MPI, Kubernetes) or by torchrun, or give --coordinator HOST:PORT "
            f"--processes N --rank R to each ({error})"
        ) from error
    return initialised(backend)


def _arguments(place: Place) -> dict[str, Any]:
    return {
        "coordinator_address": place.coordinator,
        "num_processes": place.processes,
        "process_id": place.rank,
        "local_device_ids": place.gpu,
    }


def _check(place: Place) -> None:
    """Raise an error in words for what JAX would end the process for."""
    host, _, port = place.coordinator.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise SettingsError(
            f"coordinator: {place.coordinator!r}: must be the first process's HOST:PORT, such as "
            "node1:29400"
        )
    if place.processes < 1 or not 0 <= place.rank < place.processes:
        raise SettingsError(
            f"rank: {place.rank}: must be from 0 to {place.processes - 1}, another for each of the "
            f"{place.processes} processes"
        )
    address = host.strip("[]"), int(port)
    if place.rank == 0:
        _check_free(place.coordinator, address[1])
    else:
        _reach(place.coordinator, address)


def _check_free(name: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError as error:
            raise ProcessError(
                f"coordinator: {name}: the port is in use on this host ({error.strerror}): give "
                "all processes another one"
            ) from error


def _reach(name: str, address: tuple[str, int]) -> None:
    """Wait until the first process listens."""
    end = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(address, timeout=5).close()
        except OSError as error:
            if time.monotonic() > end:
                raise ProcessError(
                    f"coordinator: {name}: cannot be reached after {PATIENCE} s ({error}): start "
                    "the process of rank 0 there, and look whether a firewall closes the port"
                ) from error
            time.sleep(0.1)
        else:
            return


def initialised(backend: Backend = "auto") -> Workers:
    """Return the processes of ``jax.distributed`` as the user has initialised it, one worker each.

    With the back end ``cuda``, return their GPUs; this process's, if it is alone.

    Raises
    ------
    BackendError
        If there are to be GPUs, and there are none, or not only usable ones.
    ProcessError
        If it is not initialised.
    """
    if backend == "cuda":
        return Workers.of_gpus()
    if not jax.distributed.is_initialized():
        raise ProcessError(
            "distributed: jax.distributed is not initialised: call jax.distributed.initialize() in "
            "every process before anything else of JAX"
        )
    return Workers.of_processes()


def own_address() -> str | None:
    """Return the address that this host's name stands for; None if it stands for none.

    That is where other processes look for this one.
    """
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        return None
