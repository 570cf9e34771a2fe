"""Compiles epochs for an H100 with XLA's GPU compiler, on a machine without a GPU.

``python -m tests.support.gpu_compiler epoch SETTINGS`` prints the bytes of the tables, those of
results that are operands' memory, and the program; with ``projection`` in place of ``epoch``, of
the projection of a table onto 64 factors, and of its moments. SETTINGS are of ``train``, in JSON.
Needs ``jax-cuda13-pjrt`` and ``jax-cuda13-plugin`` of jaxlib's version on the path (``make
hardening``).
"""

import json
import sys
from unittest.mock import patch

import jax
import numpy as np
from jax.experimental import topologies

from mascot_jax.engine import projection_in_jax
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import make_ratings
from mascot_jax.settings import TrainSettings, validate
from mascot_jax.training import epoch
from mascot_jax.training.initial import initial_state

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


def on_h100(tree):
    """Arrays as ones of an H100, without their contents."""
    topology = topologies.get_topology_desc(
        platform="cuda", target_config=H100, topology="1x1x1", topology_name="h100"
    )
    sharding = jax.sharding.SingleDeviceSharding(topology.devices[0])
    return jax.tree.map(
        lambda array: jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=sharding), tree
    )


def compile_epoch(plan, state, ratings):
    """Return an epoch's compiled program, and the tables that it updates."""

    def lower(*operands):
        return jitted.lower(*on_h100(operands[:2]), *operands[2:])

    jitted = epoch._train_epoch
    with patch.object(epoch, "_train_epoch", lower):
        program = epoch.train_epoch(state, ratings, plan, Execution()).compile()
    return [program], [*state.users.stored.values(), *state.items.stored.values()]


def compile_projection(plan, state, ratings):
    """Return the compiled programs of a projection, and the tables that it writes."""
    key = jax.random.key(0) if plan.rounding == "stochastic" else None
    basis = jax.ShapeDtypeStruct((plan.factors, 64), np.float32)
    room = projection_in_jax.room_for(state.users, 64)
    projected = projection_in_jax._project.lower(*on_h100((room, state.users, basis, key)))
    moments = projection_in_jax._moments.lower(*on_h100((state.users, ratings.users)))
    return [projected.compile(), moments.compile()], room.values()


def main():
    settings = validate(TrainSettings, {"factors": 128, **json.loads(sys.argv[2])})
    plan, ids = settings.plan("gpu"), np.arange(1000)
    made = initial_state(STARTS, STARTS, plan), make_ratings(ids, ids, ids, 1000, 1000)
    compile_programs = {"epoch": compile_epoch, "projection": compile_projection}[sys.argv[1]]
    programs, tables = compile_programs(plan, *made)
    found = {
        "tables": sum(table.nbytes for table in tables),
        "in_place": programs[0].memory_analysis().alias_size_in_bytes,
        "program": "\n".join(program.as_text() for program in programs),
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
