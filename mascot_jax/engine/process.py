"""What a process may do with JAX: nothing in a child that was forked from a process that used it.

``fork`` copies one thread. The others, which JAX computes with, are missing in the child, and what
waits for them waits forever. Predictions and lists on a CPU need no JAX and work there.
"""

from __future__ import annotations

import os
import sys

from mascot_jax.errors import BackendError

_used_before_fork = False
_forked = False


def _before_fork() -> None:
    global _used_before_fork
    bridge = sys.modules.get("jax._src.xla_bridge")
    # JAX has no public question for this. Where it is not answered, assume the worse.
    started = getattr(bridge, "backends_are_initialized", lambda: bridge is not None)
    _used_before_fork = _forked or started()


def _in_child() -> None:
    global _forked
    _forked = _used_before_fork


os.register_at_fork(before=_before_fork, after_in_child=_in_child)


def jax_works_here() -> bool:
    """Return whether this process can compute with JAX."""
    return not _forked


def check_process() -> None:
    """Refuse to compute with JAX where it would never end.

    Raises
    ------
    BackendError
        If this process was forked from one that had used JAX.
    """
    if not jax_works_here():
        raise BackendError(
            "this process was forked from one that had used JAX, whose threads a fork does not "
            "copy, so training here would never end: train in a process started by "
            "multiprocessing.get_context('spawn') or 'forkserver', or fork before the parent "
            "trains; predict, recommend and similar work here"
        )
