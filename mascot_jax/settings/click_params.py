"""All of ``clicks/params.yaml``."""

from __future__ import annotations

from mascot_jax.settings.click_data import ClickDataSettings, EncodeSettings
from mascot_jax.settings.clicks import ClickRunSettings, ClickSettings
from mascot_jax.settings.validation import Settings


class ClickParams(Settings):
    """All of ``clicks/params.yaml``."""

    data: ClickDataSettings = ClickDataSettings()
    encode: EncodeSettings = EncodeSettings()
    train: ClickSettings = ClickSettings()
    run: ClickRunSettings = ClickRunSettings()
