"""Which settings are searched, and how many trials that takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np

from mascot_jax.errors import MascotError, SettingsError
from mascot_jax.mf.estimator import MatrixFactorization
from mascot_jax.settings.search import SAMPLERS, TRIALS
from mascot_jax.settings.validation import without_numpy


class Range(NamedTuple):
    """Numbers from ``low`` to ``high``, both included: whole ones if both are."""

    low: float
    high: float
    log: bool = False
    """Whether to search their logarithms, as for step sizes."""


Space = Mapping[str, Sequence[Any] | Range]
"""Values of each setting to search: a list of choices, or a ``Range``."""
SPACE: Final[Space] = MappingProxyType(
    {
        "factors": [32, 64, 128],
        "learning_rate": Range(0.003, 0.05, log=True),
        "user_reg": Range(0.005, 0.2, log=True),
        "item_reg": Range(0.005, 0.2, log=True),
    }
)
"""What is searched unless told otherwise: around the recipes' values."""
Values = list[Any] | Range
"""Choices without duplicates, or a range."""


def checked_space(model: MatrixFactorization, space: Space) -> dict[str, Values]:
    """Return the space in Python's own numbers; check each value beside the model's settings.

    Raises
    ------
    SettingsError
        If there is no setting to search, or a value is invalid.
    """
    if not space:
        raise SettingsError("space: there is no setting to search")
    checked = {name: _checked_values(name, values) for name, values in space.items()}
    for name, values in checked.items():
        for value in values[:2] if isinstance(values, Range) else values:
            try:
                type(model)(**model.get_params()).set_params(**{name: value}).check_settings()
            except MascotError as error:
                raise SettingsError(f"space: {error}") from error
    return checked


def _checked_values(name: str, values: Sequence[Any] | Range) -> Values:
    if not isinstance(values, Range):
        if isinstance(values, str) or not len(values):
            raise SettingsError(f"space: {name}: {values!r}: must be a list of choices or a Range")
        blocks = [value for value in values if isinstance(value, Mapping)]
        if blocks:  # which Optuna could not store
            raise SettingsError(
                f"space: {name}: {blocks[0]!r}: must be a number, a word or None: search the other "
                "settings of a model that has it"
            )
        return list(dict.fromkeys(without_numpy(value) for value in values))
    low, high, log = map(without_numpy, values)
    ordered = isinstance(low, int | float) and isinstance(high, int | float) and low < high
    if not ordered or (log and low <= 0):
        raise SettingsError(
            f"space: {name}: {low!r} to {high!r}: must be two numbers, the lower one first"
            + (", above 0 for logarithms" if log else "")
        )
    return Range(low, high, bool(log))


def trials_wanted(trials: int | None, space: Mapping[str, Values], sampler: str) -> int:
    """Return how many trials a search shall have; None asks for the usual number.

    Raises
    ------
    SettingsError
        If the sampler or the number is invalid, or a grid has a range.
    """
    if sampler not in SAMPLERS:
        raise SettingsError(f"sampler: {sampler!r}: must be one of {', '.join(SAMPLERS)}")
    whole = isinstance(trials, int | np.integer) and not isinstance(trials, bool)
    if trials is not None and not (whole and trials >= 1):
        raise SettingsError(f"trials: {trials!r}: must be a whole number, at least 1")
    if sampler != "grid":
        return int(trials or TRIALS)
    for name, values in space.items():
        if isinstance(values, Range):
            raise SettingsError(f"space: {name}: {values}: a grid has lists only")
    size = int(np.prod([len(values) for values in space.values()], dtype=np.int64))
    return size if trials is None else min(int(trials), size)
