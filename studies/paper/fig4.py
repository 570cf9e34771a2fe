"""Fig. 4: the time of an epoch by the share of the rows that are in float16."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.engine import kernels
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.state import TrainState
from mascot_jax.tables.storage import FLOAT32
from mascot_jax.tables.table import Table
from studies.paper.core.quantities import quantity, ratio
from studies.paper.core.race import Variant
from studies.paper.core.stage import Case, Rows, run_figure

NEVER: Final = 1_000_000
"""As the first epoch that is measured: no group switches, and nothing is sampled."""


def measure(case: Case) -> Mapping[str, Rows]:
    """Time epochs of trainings in which groups, chosen at random, are in float32 from the start."""
    shares = case.grids.half_shares
    outcomes = case.race([_variant(share) for share in shares])
    seconds = {
        share: [run.seconds / len(run.records) for run in outcomes[str(share)]] for share in shares
    }
    rows = [
        {
            "half_share": share,
            "seconds": quantity(seconds[share]),
            "relative_time": ratio(seconds[share], seconds[0.0]),
        }
        for share in shares
    ]
    return {"rows": rows}


def _variant(share: float) -> Variant:
    """Return what trains with this share of the rows in float16; none is plain ``fp32``."""
    if share == 0:
        return Variant(str(share), {"method": "fp32"})
    pinned = {"method": "mascot", "warmup": NEVER}
    return Variant(str(share), pinned, begin=partial(_promote, share=share))


def _promote(state: TrainState, execution: Execution, *, share: float) -> TrainState:
    """Promote groups of both sides until this share of the rows is left in float16."""
    rng = np.random.default_rng(int(state.seed))

    def promote(table: Table) -> Table:
        codes = np.array(table.codes)
        rows = np.diff(np.array(table.starts))  # those without rows, if any, are the last
        codes[chosen_groups(rows[rows > 0], 1 - share, rng)] = FLOAT32.code
        promoted: Table = _promoted(table, jnp.asarray(codes), execution)
        return promoted

    return state._replace(users=promote(state.users), items=promote(state.items))


@partial(jax.jit, static_argnames="execution", donate_argnames="table")
def _promoted(table: Table, codes: jax.Array, execution: Execution) -> Table:
    return kernels.promote(table, codes, execution=execution)


def chosen_groups(
    rows: NDArray[np.integer], share: float, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Choose groups at random that hold about a share of all rows.

    Parameters
    ----------
    rows
        ``(g,)``: of each group.
    share
        Wanted; the groups are taken in a random order while that brings their rows nearer to it.
    rng
        What is random.

    Returns
    -------
    groups
        Their numbers.
    """
    order = rng.permutation(len(rows))
    held = np.concatenate([[0], np.cumsum(rows[order])])
    return order[: int(np.abs(held - share * held[-1]).argmin())]


if __name__ == "__main__":
    run_figure("fig4", measure)
