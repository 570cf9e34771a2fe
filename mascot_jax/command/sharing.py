"""Processes that share ``mascot train``: what the arguments say of them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from mascot_jax.distributed.join import Place
from mascot_jax.distributed.program import joined
from mascot_jax.distributed.workers import Workers
from mascot_jax.errors import SettingsError
from mascot_jax.settings import RunSettings, TrainSettings
from mascot_jax.training.shareable import refuse

FAILED = 1
USAGE = 2


@contextmanager
def sharing(
    args: argparse.Namespace, settings: TrainSettings, how: RunSettings
) -> Iterator[Workers | None]:
    """Join the processes that the arguments ask for; yield None if they ask for none.

    Settings that cannot be shared are refused before, without waiting for the others.
    """
    place = _place(args)
    alone = place is None and not args.distributed
    if not alone:
        refuse(settings, how)
    with nullcontext() if alone else joined(place, _exit_code, how.backend) as workers:
        yield workers


def _exit_code(error: BaseException) -> int:
    return USAGE if isinstance(error, SettingsError) else FAILED


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
