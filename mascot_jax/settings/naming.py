"""Names of parameters for users who do not set them in ``params.yaml``."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from mascot_jax.settings.click_data import ClickColumns, EncodeSettings
from mascot_jax.settings.clicks import ClickSettings
from mascot_jax.settings.data import TimedColumns
from mascot_jax.settings.pruning import PruningSettings
from mascot_jax.settings.run import RunSettings
from mascot_jax.settings.train import RegroupSettings, TrainSettings

_BLOCKS: Final = (
    ("train.pruning", PruningSettings),  # before the block that it is in
    ("train", TrainSettings),
    ("train", ClickSettings),
    ("run", RunSettings),
    ("regroup", RegroupSettings),
    ("data.columns", TimedColumns),
    ("data.columns", ClickColumns),
    ("encode", EncodeSettings),
)
_PREFIXES: Final = {"train.pruning": "pruning."}
"""Prefix of the names of a block that is in a block."""


def _replacement(name: Callable[[str], str], prefix: str, found: re.Match[str]) -> str:
    return name(prefix + found[1])


def renamed(message: str, name: Callable[[str], str]) -> str:
    """Replace each training parameter in a message by the name that ``name`` returns for it.

    Messages use the names of ``params.yaml``: ``train.seed`` may be ``--seed`` elsewhere. ``name``
    is given ``seed``, or ``pruning.rate`` for ``train.pruning.rate``.
    """
    for block, model in _BLOCKS:
        names = "|".join(model.model_fields)
        pattern = rf"\b{re.escape(block)}\.({names})\b"
        prefix = _PREFIXES.get(block, "")
        message = re.sub(pattern, partial(_replacement, name, prefix), message)
    return message
