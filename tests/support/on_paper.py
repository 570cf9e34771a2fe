"""An epoch that GPUs share as a program: there need be none."""

from functools import cached_property
from unittest.mock import patch

import jax
import numpy as np
from jax.sharding import AbstractMesh, NamedSharding, PartitionSpec

from mascot_jax.distributed.workers import AXIS, Workers
from mascot_jax.engine import padding
from mascot_jax.engine.kernels import Execution
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.training import shared
from mascot_jax.training.loop import begin
from mascot_jax.training.problem import prepare
from mascot_jax.training.shared_steps import shared_epoch
from tests.support.shared import problem

SHAPE = (300, 200, 20_000)
"""Users, items and ratings."""


class OnPaper(Workers):
    """Any number of GPUs: of what each would hold, there are shapes only.

    Devices of a topology, or one device of this machine again and again.
    """

    platform = "gpu"

    @cached_property
    def mesh(self):
        if len(set(self.devices)) == len(self):
            return jax.sharding.Mesh(np.array(self.devices), (AXIS,))
        return AbstractMesh((len(self),), (AXIS,))

    def each(self, make):
        def join(*parts):
            ((shape, dtype),) = {(part.shape, part.dtype) for part in parts}
            sharding = NamedSharding(self.mesh, PartitionSpec(AXIS))
            return jax.ShapeDtypeStruct((len(self), *shape), dtype, sharding=sharding)

        with patch.object(padding, "default_device", lambda: self):  # which pads nothing
            return jax.tree.map(join, *map(make, range(len(self))))

    def same(self, tree):
        return jax.tree.map(np.asarray, tree)


class OperandsError(Exception):
    """Carries what a program is given out of the training."""


def first_epoch(settings, devices):
    """A training that these devices share, and what its ``shared_epoch`` is given at first."""
    made = problem(*SHAPE)
    values = validate(TrainSettings, {"factors": 40, "rotations": 2, **settings})
    prepared = prepare(made, made.plan(values, "gpu"), Execution())
    start = begin(prepared).state
    training = shared.SharedTraining(prepared, Execution(), OnPaper(tuple(devices)))

    def carry(*operands):
        raise OperandsError(operands)

    with patch.object(shared, "shared_epoch", carry):
        try:
            training.epoch(training.begin(start))
        except OperandsError as found:
            return training, found.args[0]


def lowered_epoch(settings, workers):
    """An epoch of so many GPUs as a program for CUDA, as text."""
    _, operands = first_epoch(settings, jax.local_devices(backend="cpu") * workers)
    return shared_epoch.trace(*operands).lower(lowering_platforms=("cuda",)).as_text()
