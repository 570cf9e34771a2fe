"""Split ratings, cross-validate settings and search for better ones."""

from mascot_jax.model_selection.cross_validation import CrossValidation, cross_validate
from mascot_jax.model_selection.space import SPACE, Range
from mascot_jax.model_selection.split import k_folds, train_test_split
from mascot_jax.model_selection.tuning import Tuning, tune

__all__ = [
    "SPACE",
    "CrossValidation",
    "Range",
    "Tuning",
    "cross_validate",
    "k_folds",
    "train_test_split",
    "tune",
]
