"""Every setting of the product, validated: one frozen model per block of ``params.yaml``.

The same classes serve the pipeline, the library and the command. Validation is strict (a string is
never taken for a number) and complete before any work starts.
"""

from mascot_jax.settings.click_data import ClickColumns, ClickDataSettings, EncodeSettings
from mascot_jax.settings.comparators import AfpSettings, Comparators, MptSettings, MuppetSettings
from mascot_jax.settings.data import (
    DATA_SET_NAMES,
    SHAPE_NAMES,
    Columns,
    DataSettings,
    SplitSettings,
    TimedColumns,
)
from mascot_jax.settings.params import EvaluateSettings, Params
from mascot_jax.settings.pruning import PruningSettings
from mascot_jax.settings.run import (
    Backend,
    RunSettings,
    backend_for,
    conflict,
    needs_all_ratings,
)
from mascot_jax.settings.train import RegroupSettings, TrainPlan, TrainSettings
from mascot_jax.settings.validation import Finite, Seed, Settings, SettingsT, together, validate

__all__ = [
    "DATA_SET_NAMES",
    "SHAPE_NAMES",
    "AfpSettings",
    "Backend",
    "ClickColumns",
    "ClickDataSettings",
    "Columns",
    "Comparators",
    "DataSettings",
    "EncodeSettings",
    "EvaluateSettings",
    "Finite",
    "MptSettings",
    "MuppetSettings",
    "Params",
    "PruningSettings",
    "RegroupSettings",
    "RunSettings",
    "Seed",
    "Settings",
    "SettingsT",
    "SplitSettings",
    "TimedColumns",
    "TrainPlan",
    "TrainSettings",
    "backend_for",
    "conflict",
    "needs_all_ratings",
    "together",
    "validate",
]
