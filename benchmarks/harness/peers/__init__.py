"""Other packages' matrix factorisation on the same problem; the extra ``peers`` installs them.

Each is a module: ``EPOCHS`` makes a function that trains so many epochs from the beginning,
``CURVES`` one that trains until the RMSE rises. ``implicit`` has no curve: its factors rank items
by counts of interactions, and predict no ratings.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from benchmarks.harness.curve import Curve
from benchmarks.harness.peers.cornac import cornac_epochs, train_cornac
from benchmarks.harness.peers.implicit import implicit_epochs
from benchmarks.harness.peers.libmf import libmf_epochs, train_libmf
from mascot_jax.training.problem import Problem

Train = Callable[[int], None]
"""Trains so many epochs."""

EPOCHS: Mapping[str, Callable[[Problem, int, int], Train]] = MappingProxyType(
    {"libmf": libmf_epochs, "cornac": cornac_epochs, "implicit": implicit_epochs}
)
"""Of a problem, factors and threads. ``implicit``'s epoch is one of alternating least squares:
every rating is visited once for each side."""
CURVES: Mapping[str, Callable[[Problem, int, int], Curve]] = MappingProxyType(
    {"libmf": train_libmf, "cornac": train_cornac}
)


def installed(names: Iterable[str] = EPOCHS) -> list[str]:
    """Return those of these names that can be imported."""
    return [name for name in names if importlib.util.find_spec(name) is not None]
