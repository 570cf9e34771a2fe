"""Names of parameters for users who do not set them in ``params.yaml``."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from mascot_jax.settings.click_data import ClickColumns, EncodeSettings
from mascot_jax.settings.clicks import ClickSettings
from mascot_jax.settings.data import TimedColumns
from mascot_jax.settings.run import RunSettings
from mascot_jax.settings.train import RegroupSettings, TrainSettings

_BLOCKS: Final = (
    ("train", TrainSettings),
    ("train", ClickSettings),
    ("run", RunSettings),
    ("regroup", RegroupSettings),
    ("data.columns", TimedColumns),
    ("data.columns", ClickColumns),
    ("encode", EncodeSettings),
)


def renamed(message: str, name: Callable[[str], str]) -> str:
    """Replace each training parameter in a message by the name that ``name`` returns for it.

    Messages use the names of ``params.yaml``: ``train.seed`` may be ``--seed`` elsewhere.
    """
    for block, model in _BLOCKS:
        names = "|".join(model.model_fields)
        pattern = rf"\b{re.escape(block)}\.({names})\b"
        message = re.sub(pattern, lambda found: name(found[1]), message)
    return message
