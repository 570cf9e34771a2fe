"""Defer SIGINT (Ctrl-C) and SIGTERM to the end of an epoch, so that no work is lost."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Final

import jax

MOMENT: Final = 0.002
"""Seconds."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Whether a signal has asked to stop."""

    signal: signal.Signals | None = None
    """The signal received; None if there was none."""

    @property
    def requested(self) -> bool:
        """Whether to stop, as ``on_epoch`` returns it."""
        return self.signal is not None


@contextmanager
def deferred_signals(announce: Callable[[], None] | None = None) -> Iterator[Interruption]:
    """Record SIGINT and SIGTERM as a request to stop, instead of stopping at once.

    The block acts on the request when it is ready: ``on_epoch=lambda *_: interruption.requested``
    ends a training after the epoch. After the first signal, and after the block, the previous
    handlers are restored: a second signal acts at once. A signal that was ignored stays ignored.

    Outside the main thread, where Python allows no handlers, signals act as before.

    Parameters
    ----------
    announce
        Called on the first signal, wherever the main thread is then: it should do no more than
        ``os.write`` a line.

    Yields
    ------
    Interruption
    """
    interruption = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield interruption
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    ours = [n for n, handler in before.items() if handler not in (signal.SIG_IGN, None)]

    def restore() -> None:
        for number in ours:
            signal.signal(number, before[number])

    def take_note(number: int, _: FrameType | None) -> None:
        restore()
        interruption.signal = signal.Signals(number)
        if announce is not None:
            announce()

    try:
        for number in ours:
            signal.signal(number, take_note)
        yield interruption
    finally:
        restore()


def wait_for(values: Any) -> None:
    """Wait until JAX has computed a pytree of arrays, and let signal handlers run meanwhile.

    They do not run in ``jax.block_until_ready``, a single call for Python, however long.
    """
    if threading.current_thread() is threading.main_thread() and not _ready_soon(values):
        waiter = threading.Thread(target=_wait_quietly, args=(values,), daemon=True)
        waiter.start()
        waiter.join()
    jax.block_until_ready(values)


def _ready_soon(values: Any) -> bool:
    """Look for a moment whether arrays are ready: a small epoch takes no longer than a thread."""
    leaves = jax.tree.leaves(values)
    end = time.perf_counter() + MOMENT
    while not all(leaf.is_ready() for leaf in leaves):
        if time.perf_counter() > end:
            return False
        time.sleep(MOMENT / 100)
    return True


def _wait_quietly(values: Any) -> None:
    with suppress(Exception):  # the main thread waits next and raises it
        jax.block_until_ready(values)
