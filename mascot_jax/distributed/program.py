"""A program among those that share a training: how it joins the others, and how it leaves them."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import jax

from mascot_jax.distributed.join import Place, join
from mascot_jax.distributed.workers import Workers
from mascot_jax.settings import Backend


@contextmanager
def joined(
    place: Place | None, exit_code: Callable[[BaseException], int], backend: Backend = "auto"
) -> Iterator[Workers]:
    """Join the other processes, and wait for them at the end.

    A process that fails leaves at once, and its closed connections end the others: JAX would have
    it wait for them, who wait for it.

    Parameters
    ----------
    place, backend
        As for ``join.join``.
    exit_code
        Returns the exit code of a process that ends by an error.

    Yields
    ------
    Workers

    Raises
    ------
    BackendError, ProcessError, SettingsError
        As ``join.join``.
    """
    try:
        workers = join(place, backend)
        with _stdout_kept():
            workers.largest(0)
        yield workers
        workers.largest(0)
    except BaseException as error:
        if jax.distributed.is_initialized():
            atexit.register(_leave, exit_code(error))
        raise


@contextmanager
def _stdout_kept() -> Iterator[None]:
    """Let gloo tell stderr, not stdout, that it has connected."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
