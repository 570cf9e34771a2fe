"""Compiles epochs for an H100 with XLA's GPU compiler, on a machine without a GPU.

``python -m tests.support.gpu_compiler epoch SETTINGS`` prints the bytes and shapes of the tables,
the bytes of results that are operands' memory, and the program; SETTINGS are those of ``train``, in
JSON. ``shared`` in place of ``epoch`` is of an epoch that two of them share, ``projection`` of the
projection of a table onto 64 factors, and of its moments; ``clicks`` of a click model's steps, by
the settings of one. Needs ``jax-cuda13-pjrt`` and ``jax-cuda13-plugin`` of jaxlib's version on the
path (``make hardening``).
"""

import json
import sys
from unittest.mock import patch

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import topologies

from mascot_jax.dlrm.network import initial_layers
from mascot_jax.dlrm.steps import Batches, StepPlan, TrainingState, run_steps
from mascot_jax.engine import projection_in_jax
from mascot_jax.engine.embedding import ROW_FORMATS, EmbeddingTables
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import make_ratings
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.settings.clicks import ClickSettings
from mascot_jax.training import epoch
from mascot_jax.training.initial import initial_state
from mascot_jax.training.shared_steps import shared_epoch
from tests.support.interactions import laid_out_for_a_gpu
from tests.support.on_paper import first_epoch

H100 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
  shared_memory_per_core: 233472 threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000 l2_cache_size: 52428800 clock_rate_ghz: 1.98
  device_memory_size: 84929347584 shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 }
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
}
platform_name: "CUDA"
dnn_version_info { major: 9 minor: 12 }
runtime_version { major: 13 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
STARTS = np.array([0, 400, 1000], np.uint32)


def h100s(count):
    """So many of them in one host."""
    topology = topologies.get_topology_desc(
        platform="cuda", target_config=H100, topology=f"1x1x{count}", topology_name="h100"
    )
    return topology.devices


def on_h100(tree):
    """The shapes of arrays, on an H100."""
    sharding = jax.sharding.SingleDeviceSharding(h100s(1)[0])
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)


def world(settings):
    """Return a plan, and a state and ratings for it."""
    plan = validate(TrainSettings, {"factors": 128, **settings}).plan("gpu")
    ids = np.arange(1000)
    ratings = make_ratings(ids, ids, ids, 1000, 1000)
    if plan.of_interactions:
        ratings = laid_out_for_a_gpu(ids, ids, plan, STARTS, STARTS)
    return plan, initial_state(STARTS, STARTS, plan), ratings


def compile_epoch(settings):
    """Return an epoch's compiled program, and its tables."""
    plan, state, ratings = world(settings)

    def lower(*operands):
        return jitted.lower(*on_h100(operands[:2]), *operands[2:])

    jitted = epoch._train_epoch
    with patch.object(epoch, "_train_epoch", lower):
        program = epoch.train_epoch(state, ratings, plan, Execution()).compile()
    return [program], [*state.users.stored.values(), *state.items.stored.values()]


def compile_shared(settings):
    """Return an epoch's program for two H100, and the tables of one of them."""
    _, operands = first_epoch(settings, h100s(2))
    tables = jax.tree.leaves([side.stored for side in operands[0][:2]])
    of_one = [jax.ShapeDtypeStruct(table.shape[1:], table.dtype) for table in tables]
    return [shared_epoch.lower(*operands).compile()], of_one


def compile_projection(settings):
    """Return the compiled programs of a projection, and the tables that it writes."""
    plan, state, ratings = world(settings)
    key = jax.random.key(0) if plan.rounding == "stochastic" else None
    basis = jax.ShapeDtypeStruct((plan.factors, 64), np.float32)
    room = projection_in_jax.room_for(state.users, 64)
    projected = projection_in_jax._project.lower(*on_h100((room, state.users, basis, key)))
    moments = projection_in_jax._moments.lower(*on_h100((state.users, ratings.users)))
    return [projected.compile(), moments.compile()], room.values()


def compile_steps(settings):
    """Return the compiled program of a click model's steps, and its tables."""
    fields, steps, batch = 26, 16, 2048
    settings = validate(ClickSettings, settings)
    wide = 1000 if settings.rows_storage == "float32" else 200

    def rows(storage, count):
        row = ROW_FORMATS[storage]
        return jnp.zeros((count, row.elements(settings.dimension)), row.dtype)

    wide_storage, narrow_storage = settings.frequent_storage, settings.rows_storage
    tables = EmbeddingTables(
        rows(wide_storage, wide),
        rows(narrow_storage, 1000 - wide),
        narrow_storage,
        wide_storage,
    )
    batches = Batches(
        jnp.zeros((steps, batch, fields), jnp.uint32),
        jnp.zeros((steps, batch, 13)),
        jnp.zeros((steps, batch), jnp.uint8),
        jnp.zeros((steps, 2)),
        jnp.zeros((steps, 2), jnp.uint32),
    )
    state = TrainingState(tables, initial_layers(settings, 13, fields), ())
    plan = StepPlan("sgd", 7 if settings.table_bits else 0, settings.mlp_bits, Execution())
    operands = on_h100((state, jnp.zeros(fields), batches))
    return [run_steps.lower(*operands, plan=plan).compile()], [tables.wide, tables.narrow]


COMPILE = {
    "epoch": compile_epoch,
    "shared": compile_shared,
    "projection": compile_projection,
    "clicks": compile_steps,
}


def main():
    programs, tables = COMPILE[sys.argv[1]](json.loads(sys.argv[2]))
    found = {
        "tables": sum(table.size * table.dtype.itemsize for table in tables),
        "shapes": [",".join(map(str, table.shape)) for table in tables],
        "in_place": programs[0].memory_analysis().alias_size_in_bytes,
        "program": "\n".join(program.as_text() for program in programs),
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
