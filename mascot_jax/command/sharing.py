"""Processes that share ``mascot train``: how this one finds the others, and how it leaves them."""

from __future__ import annotations

import argparse
import atexit
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import jax

from mascot_jax.distributed.join import Place, join
from mascot_jax.distributed.workers import Workers
from mascot_jax.errors import SettingsError

FAILED = 1
USAGE = 2


@contextmanager
def sharing(args: argparse.Namespace) -> Iterator[Workers | None]:
    """Join the processes that the arguments ask for; yield None if they ask for none.

    At the end, all wait for each other. A process that fails leaves at once, and its closed
    connections end the others: JAX would have it wait for them, who wait for it.
    """
    place = _place(args)
    if place is None and not args.distributed:
        yield None
        return
    try:
        workers = join(place)
        with _stdout_kept():
            workers.largest(0)
        yield workers
        workers.largest(0)
    except BaseException as error:
        if jax.distributed.is_initialized():
            atexit.register(_leave, USAGE if isinstance(error, SettingsError) else FAILED)
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


def _place(args: argparse.Namespace) -> Place | None:
    given = {name: getattr(args, name) for name in ("coordinator", "processes", "rank")}
    missing = [f"--{name}" for name, value in given.items() if value is None]
    if len(missing) == len(given):
        return None
    if missing:
        raise SettingsError(
            f"--coordinator, --processes and --rank belong together: {', '.join(missing)} not given"
        )
    return Place(**given)


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
