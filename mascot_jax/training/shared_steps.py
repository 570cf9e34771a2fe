"""Steps of a shared training as programs that every worker runs on its own part."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from numpy.typing import NDArray

from mascot_jax.distributed.division import USERS
from mascot_jax.distributed.epoch import Course, Share, Sizes, race, visit
from mascot_jax.distributed.workers import AXIS
from mascot_jax.engine import kernels
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.state import TrainState
from mascot_jax.methods.method import Method
from mascot_jax.tables.table import Table
from mascot_jax.training.epoch import EpochReport, Fixed, Scalars, advance
from mascot_jax.training.scoring import Chunk, Sums, error_sums

_EACH: Final = PartitionSpec(AXIS)
_SAME: Final = PartitionSpec()


class ScoredPairs(NamedTuple):
    """Pairs of a chunk that a worker predicts, uint32 ``(m,)``: rows of its own tables."""

    users: jax.Array
    items: jax.Array
    places: jax.Array
    """Places in the chunk; behind the pairs one that there is not."""


@partial(jax.jit, static_argnames=("fixed", "sizes", "mesh"), donate_argnames="state")
def shared_epoch(
    state: TrainState,
    ratings: Ratings,
    share: Share,
    course: Course,
    scalars: Scalars,
    methods: dict[str, Method],
    fixed: Fixed,
    sizes: Sizes,
    mesh: Mesh,
) -> tuple[TrainState, EpochReport]:
    """Return the state after an epoch, as ``training.epoch.advance`` does alone."""

    def one(state: TrainState, ratings: Ratings, share: Share, *same: Any) -> Any:
        course, scalars, methods = same
        own = state._replace(users=_own_table(state.users), items=_own_table(state.items))
        how = visit if sizes.most_in_flight is None else race
        visits = partial(how, share=_own(share), course=course, sizes=sizes)
        new, report = advance(own, _own(ratings), scalars, methods, fixed, visits)
        side = "user_finite" if sizes.stays == USERS else "item_finite"
        bad = jax.lax.psum((getattr(report, side) == 0).astype(jnp.int32), AXIS)
        report = report._replace(**{side: (bad == 0).astype(jnp.uint8)})
        return new._replace(users=_held(new.users), items=_held(new.items)), report

    spread: Any = TrainState(_spec(state.users), _spec(state.items), *[_SAME] * 3)  # type: ignore[arg-type]
    step = jax.shard_map(
        one,
        mesh=mesh,
        in_specs=(spread, _EACH, _EACH, _SAME, _SAME, _SAME),
        out_specs=(spread, _SAME),
        check_vma=False,
    )
    new: tuple[TrainState, EpochReport] = step(state, ratings, share, course, scalars, methods)
    return new


@partial(jax.jit, static_argnames=("execution", "mesh"))
def shared_sums(
    pairs: ScoredPairs,
    chunk: Chunk,
    users: Table,
    items: Table,
    bounds: NDArray[np.float32],
    execution: Execution,
    mesh: Mesh,
) -> Sums:
    """Return the sums of a chunk's errors: each worker predicts its pairs, and all add them up."""

    def one(
        pairs: ScoredPairs, chunk: Chunk, users: Table, items: Table, bounds: jax.Array
    ) -> Sums:
        mine, tables = _own(pairs), (_own_table(users), _own_table(items))
        dots = kernels.predict(mine.users, mine.items, *tables, execution=execution)
        bits = jax.lax.bitcast_convert_type(dots, jnp.uint32)
        bits = jnp.zeros(chunk.cold.shape, jnp.uint32).at[mine.places].set(bits, mode="drop")
        bits = jax.lax.psum(bits, AXIS)  # added to zeros: nothing is rounded
        return error_sums(chunk, jax.lax.bitcast_convert_type(bits, jnp.float32), bounds)

    step = jax.shard_map(
        one,
        mesh=mesh,
        in_specs=(_EACH, _SAME, _spec(users), _spec(items), _SAME),
        out_specs=_SAME,
        check_vma=False,
    )
    sums: Sums = step(pairs, chunk, users, items, jnp.asarray(bounds))
    return sums


def _spec(table: Table) -> Any:
    """Return how a table's arrays are spread: each worker has its own rows, all have the codes."""
    parts: Any = {"stored": dict.fromkeys(table.stored, _EACH), "starts": _EACH, "codes": _SAME}
    return dataclasses.replace(table, **parts)


def _own(tree: Any) -> Any:
    """Return a worker's own part of arrays ``(1, ...)``."""
    return jax.tree.map(lambda x: x.reshape(x.shape[1:]), tree)


def _own_table(table: Table) -> Table:
    return dataclasses.replace(table, stored=_own(table.stored), starts=_own(table.starts))


def _held(table: Table) -> Table:
    stored, starts = jax.tree.map(lambda x: x.reshape(1, *x.shape), (table.stored, table.starts))
    return dataclasses.replace(table, stored=stored, starts=starts)
