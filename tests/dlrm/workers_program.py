"""Several workers on devices of this process, or of several: run by ``test_workers.py``.

python workers_program.py layers,rows,sizes,steps
python workers_program.py train FOLDER SETTINGS
python workers_program.py interrupted FOLDER SETTINGS
python workers_program.py join-TASK FOLDER SETTINGS ADDRESS PROCESS
"""

import json
import signal
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec

from mascot_jax import ClickModel
from mascot_jax.dlrm.batches import epoch_of
from mascot_jax.dlrm.exchange import (
    AXIS,
    Exchange,
    exchange_layers,
    exchange_rows,
    pack,
    sent_bytes,
    unpack,
)
from mascot_jax.dlrm.network import initial_layers
from mascot_jax.dlrm.row_bits import RowBits
from mascot_jax.dlrm.steps import StepPlan, TrainingState, optimizer_of
from mascot_jax.dlrm.tables import initial_tables, tiers_of
from mascot_jax.dlrm.workers import Alone, Workers
from mascot_jax.engine.kernels import Execution
from mascot_jax.settings.clicks import ClickSettings
from tests.support.planted_clicks import planted

FOUR = 4
BITS = RowBits((5, 4, 300), (3, 2, 1))
NUMBERS = [[0, 3, 5], [6, 8, 10], [7, 9, 308]]  # some of the rows of these fields
OWN, SHARED = PartitionSpec(AXIS), PartitionSpec()


def together(function, *operands, out):
    """Call a function on every worker's part of the operands."""
    mesh = Mesh(np.array(jax.devices("cpu")[:FOUR]), (AXIS,))
    mapped = jax.shard_map(function, mesh=mesh, in_specs=OWN, out_specs=out, check_vma=False)
    return jax.tree.map(np.asarray, jax.jit(mapped)(*operands))


def normal(rng, *shape):
    return rng.standard_normal(shape, np.float32)


def layers_of_workers(rng):
    return {"top": [{"weight": normal(rng, FOUR, 6, 5), "bias": normal(rng, FOUR, 5)}]}


def exchanged_layers(kind, compensation):
    """Gradients, what was applied and kept of them, and what should have been applied."""
    rng = np.random.default_rng(0)

    def worker(gradients, residual):
        one = partial(jax.tree.map, lambda x: x[0])
        how = Exchange(kind, compensation, BITS)
        mean, kept = exchange_layers(how, one(gradients), one(residual))
        return mean, jax.tree.map(lambda x: x[None], kept)

    gradients, before = layers_of_workers(rng), layers_of_workers(rng)
    if compensation == "none":
        before = jax.tree.map(np.zeros_like, before)
    mean, kept = together(worker, gradients, before, out=(SHARED, OWN))
    wanted = jax.tree.map(lambda g, r: (g + r).sum(0), gradients, before)
    return zip(*map(jax.tree.leaves, (gradients, mean, kept, wanted)), strict=True)


def layers():
    """What is applied and what is kept add up to the gradients and what was kept before."""
    for kind, levels in (("int8", 127), ("int4", 7)):
        for gradient, applied, kept, _ in exchanged_layers(kind, "none"):
            assert not kept.any()
            step = np.abs(gradient).max(1).mean(0) / levels * 1.01  # scales are sent in bfloat16
            close = np.abs(applied - gradient.mean(0)) <= step
            assert close.mean() > 0.5  # a worker whose own scale is larger cuts off
        for _, applied, kept, wanted in exchanged_layers(kind, "local"):
            np.testing.assert_allclose(applied * FOUR + kept.sum(0), wanted, atol=1e-5)
        for gradient, applied, kept, wanted in exchanged_layers(kind, "paper"):
            np.testing.assert_allclose(applied * FOUR + kept.sum(0), wanted, atol=1e-5)
            # Each worker keeps all of its difference to the mean, not only what rounding left out.
            assert np.abs(kept).mean() > 0.3 * np.abs(gradient).mean()


def rows():
    """Sums of equal rows' gradients arrive, rounded within a step."""
    rng = np.random.default_rng(1)
    numbers = np.tile(np.repeat(np.array(NUMBERS, np.uint32), 2, 0), (FOUR, 1))  # each row twice
    values = normal(rng, FOUR * 6, 3, 16)
    keys = jax.random.split(jax.random.key(0), FOUR)
    exact = values.reshape(FOUR, 3, 2, 3, 16).sum(2)
    largest = np.abs(exact).max((1, 3)).astype(jnp.bfloat16).astype(np.float32)
    largest = largest.mean(0)[None, None, :, None]
    for kind, most in (("float32", 1e-6), ("int8", 0.51 / 127), ("int4", 1.01 / 7)):

        def worker(rows, values, keys, kind=kind):
            how = Exchange(kind, "local", BITS)
            return exchange_rows(how, rows, values, keys[0], Execution())

        every, found = together(worker, numbers, values, keys, out=SHARED)
        np.testing.assert_array_equal(every, numbers)
        found = found.reshape(FOUR, 3, 2, 3, 16).sum(2) * FOUR
        reached = exact if kind == "float32" else np.clip(exact, -largest, largest)
        assert (np.abs(found - reached) <= most * largest).all()


def sizes():
    """What is sent comes back, and has the stated size."""
    whole = jnp.asarray(np.random.default_rng(2).integers(-7, 8, (3, 5)), jnp.int8)
    for kind, size in (("int8", 15), ("int4", 8)):
        sent = pack(kind, whole)
        np.testing.assert_array_equal(unpack(kind, sent, (3, 5)), whole)
        assert sent.nbytes == size
    one = {"top": [{"weight": np.zeros((6, 5)), "bias": np.zeros(5)}]}
    bits, scales, rows = 3 + 2 + 9, 2 * (3 + 5 + 1), 6 * 3 * 16
    ids = -(-6 * bits // 8)
    for kind, expected in (
        ("float32", 4 * (6 * 3 + rows + 30 + 5)),
        ("int8", ids + rows + 30 + 5 + scales),
        ("int4", ids + rows // 2 + 15 + 3 + scales),
    ):
        assert sent_bytes(Exchange(kind, "none", BITS), one, (6, 3), 16) == expected
    assert BITS.pack(jnp.zeros((6, 3), jnp.uint32)).nbytes == ids


def steps():
    """Without rounding, four workers make the steps of one; their tables are the same."""
    train, _ = planted(800)
    settings = ClickSettings(
        preset="fp32", bottom=(8,), top=(8,), batch_size=80, workers=FOUR, learning_rate=0.5
    )
    tiers = tiers_of(settings, train)
    plan = StepPlan("sgd", 0, None, Execution())
    found = []
    for runner in (Alone(), Workers(settings, tiers)):
        layers = initial_layers(settings, 2, 4)
        begun = TrainingState(
            initial_tables(settings, tiers, Execution()), layers, optimizer_of("sgd").init(layers)
        )
        state = runner.place(runner.start(begun))
        for _, batches in epoch_of(train, tiers, settings, 0):
            state, losses = runner.run(state, np.zeros(4, np.float32), batches, plan)
        found.append((runner.training(state), np.asarray(losses)))
    copies = [shard.data for shard in state.training.tables.wide.addressable_shards]
    assert len(copies) == FOUR
    for copy in copies[1:]:
        np.testing.assert_array_equal(copy, copies[0])
    (alone, losses), (shared, others) = found
    np.testing.assert_allclose(others, losses, rtol=1e-5)
    for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(shared), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def train(folder, settings):
    """Train at once, and in two parts; print what was found."""
    data, held_out = planted(2000)
    settings = {"bottom": (8,), "top": (8,), "batch_size": 40, "epochs": 2, **json.loads(settings)}
    name = Path(folder) / f"process-{jax.process_index()}"
    model = ClickModel(**settings).fit(data, held_out)
    model.save(name)
    checkpoint = Path(folder) / "checkpoint"  # which all processes see
    parts = ClickModel(**settings)
    parts.fit(data, held_out, on_epoch=lambda r: r["epoch"] == 1, checkpoint=checkpoint)
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices("the checkpoint is written")
    parts.fit(data, held_out, checkpoint=checkpoint, resume=True).save(f"{name}-resumed")
    print(json.dumps({"history": model.history_, **model.evaluate(held_out)}))


def interrupted(_, settings):
    """Train until the first process gets a signal; print the epochs before all stopped."""
    model = ClickModel(bottom=(8,), top=(8,), batch_size=40, epochs=3, **json.loads(settings))

    def signal_first(_):
        if jax.process_index() == 0:
            signal.raise_signal(signal.SIGINT)

    try:
        model.fit(planted(2000)[0], on_epoch=signal_first)
    except KeyboardInterrupt:
        print(json.dumps({"epochs": len(model.history_)}))


if __name__ == "__main__":
    task, *rest = sys.argv[1:]
    if task.startswith("join-"):
        *rest, address, process = rest
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(address, num_processes=2, process_id=int(process))
        task = task.removeprefix("join-")
    else:
        jax.config.update("jax_num_cpu_devices", FOUR)
    tasks = {f.__name__: f for f in (layers, rows, sizes, steps, train, interrupted)}
    for name in task.split(","):
        tasks[name](*rest)
