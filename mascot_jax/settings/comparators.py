"""Constants of the methods that the paper compares with."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mascot_jax.settings.validation import Finite, Settings

WordLengths = Annotated[
    tuple[Annotated[int, Field(ge=2, lt=24)], ...], Field(strict=False, min_length=1)
]
"""Word lengths in bits, in order of use; 24 bits are those of float32."""


class MptSettings(Settings):
    """Constants of MPT (Micikevicius 2018)."""

    loss_scale: Annotated[Finite, Field(gt=0)] = 1000.0
    """Errors are multiplied by it before they become float16; gradients are divided by it."""


class MuppetSettings(Settings):
    """Constants of MuPPET (Rajagopal 2020): ``methods.word_length.Muppet``."""

    word_lengths: WordLengths = (8, 12, 14, 16)
    """Used in this order; float32 follows. The paper starts with 12 for Yahoo! Music."""
    window: Annotated[int, Field(ge=2, le=1000)] = 3
    """Epochs whose gradients are compared."""
    alpha: Annotated[Finite, Field(ge=0)] = 1.0
    """The threshold of epoch t is alpha + beta exp(-decay t)."""
    beta: Annotated[Finite, Field(ge=0)] = 1.5
    decay: Annotated[Finite, Field(ge=0)] = 0.3


class AfpSettings(Settings):
    """Constants of AFP (Zhang 2020): ``methods.word_length.Afp``."""

    word_lengths: WordLengths = (8, 16)
    """Used in this order."""
    threshold: Annotated[Finite, Field(gt=0)] = 5e-4
    """Words get longer if quantisation changes the mean magnitude of gradients by more."""
    alpha: Annotated[Finite, Field(gt=0, le=1)] = 0.04
    """Weight of the newest range in its moving average."""
    beta: Annotated[Finite, Field(gt=0)] = 0.1
    """Epochs to the next measurement: beta / max(delta change^2, change of the range) - gamma."""
    delta: Annotated[Finite, Field(ge=0)] = 100.0
    gamma: Annotated[Finite, Field(ge=0)] = 2.0


class Comparators(Settings):
    """Constants of the methods that the paper compares with, as published."""

    mpt: MptSettings = MptSettings()
    muppet: MuppetSettings = MuppetSettings()
    afp: AfpSettings = AfpSettings()
