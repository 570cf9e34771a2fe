"""Matrix factorisation: from ratings to a model, and what it answers."""

from mascot_jax.mf.estimator import MatrixFactorization
from mascot_jax.mf.evaluation import SeenRatingsWarning
from mascot_jax.mf.export import export_dense
from mascot_jax.mf.fit import fit_ratings
from mascot_jax.mf.fold_in import fold_in
from mascot_jax.mf.folded import Folded
from mascot_jax.mf.interactions import read_interactions, read_pairs
from mascot_jax.mf.model import Model, ModelSide
from mascot_jax.mf.model_file import load_model, save_model
from mascot_jax.mf.neighbours import Neighbours
from mascot_jax.mf.recommend import Recommendations
from mascot_jax.mf.train import train_model

__all__ = [
    "Folded",
    "MatrixFactorization",
    "Model",
    "ModelSide",
    "Neighbours",
    "Recommendations",
    "SeenRatingsWarning",
    "export_dense",
    "fit_ratings",
    "fold_in",
    "load_model",
    "read_interactions",
    "read_pairs",
    "save_model",
    "train_model",
]
