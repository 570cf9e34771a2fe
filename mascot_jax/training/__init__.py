"""From ratings to trained factors: the problem, the loop over epochs, scores, checkpoints."""

from mascot_jax.training.checkpoint import Checkpoints, CheckpointWarning
from mascot_jax.training.epoch import train_epoch
from mascot_jax.training.fingerprint import fingerprint
from mascot_jax.training.initial import initial_state
from mascot_jax.training.loop import train_state
from mascot_jax.training.problem import Prepared, Problem, make_problem, prepare
from mascot_jax.training.records import EpochRecord, Progress
from mascot_jax.training.signals import deferred_signals

__all__ = [
    "CheckpointWarning",
    "Checkpoints",
    "EpochRecord",
    "Prepared",
    "Problem",
    "Progress",
    "deferred_signals",
    "fingerprint",
    "initial_state",
    "make_problem",
    "prepare",
    "train_epoch",
    "train_state",
]
