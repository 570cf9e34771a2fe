"""Fig. 5(b): how large gradients are, by rating count and over the epochs of an fp32 training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from mascot_jax.engine import kernels
from mascot_jax.engine.devices import execution_of
from mascot_jax.engine.kernels import Execution
from mascot_jax.engine.ratings import Ratings
from mascot_jax.engine.state import TrainState
from mascot_jax.methods.switching import unpack_sums
from mascot_jax.training.initial import initial_state
from mascot_jax.training.problem import Prepared, prepare
from mascot_jax.training.schedule import learning_rates
from studies.paper.core.quantities import quantity
from studies.paper.core.race import Variant, variant_plan
from studies.paper.core.stage import Case, Rows, run_figure

QUARTILES: Final = 4
SAMPLE_RATIO: Final = 0.05
"""Of the ratings whose gradients are measured, the paper's own choice for its q-error."""

SIDES: Final = ("users", "items")
_FP32: Final = Variant("fp32", {"method": "fp32"})


def measure(case: Case) -> Mapping[str, Rows]:
    """Take the root mean square norm of each quartile's gradients, epoch by epoch."""
    norms: dict[tuple[str, int, int], list[float]] = defaultdict(list)
    with case.progress(case.repetitions * case.train.epochs) as bar:
        for seed, problem in case.problems():
            plan = variant_plan(_FP32, case.train, seed)
            execution = execution_of(plan, case.train.run)
            epochs = train(prepare(problem, plan, execution), execution)
            for epoch, sides in enumerate(epochs):
                for side, found in zip(SIDES, sides, strict=True):
                    for quartile, norm in enumerate(found.tolist(), start=1):
                        norms[side, quartile, epoch].append(norm)
                bar.update()
    rows = [
        {
            "side": side,
            "quartile": quartile,
            "epoch": epoch,
            "gradient": quantity(values),
        }
        for (side, quartile, epoch), values in sorted(norms.items())
    ]
    return {"rows": rows}


def train(
    prepared: Prepared, execution: Execution, sample_ratio: float = SAMPLE_RATIO
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Yield, of each epoch, the gradients' root mean square norm per quartile of users and items.

    Parameters
    ----------
    prepared, execution
        What to train on, and how.
    sample_ratio
        Of the ratings whose gradients count.
    """
    plan, ratings = prepared.plan, prepared.ratings
    starts = quartile_starts(ratings.user_count), quartile_starts(ratings.item_count)
    state = initial_state(*starts, plan)
    for rate in learning_rates(plan):
        rates = np.array([rate, plan.user_reg, plan.item_reg, sample_ratio, 0], dtype=np.float32)
        state, sums = _epoch(state, ratings, rates, execution)
        users, items = jax.device_get(sums)
        yield _root_mean_square(users[:QUARTILES]), _root_mean_square(items[:QUARTILES])


def quartile_starts(rows: int) -> NDArray[np.uint32]:
    """Return where each quarter of the rows begins, the most-rated first, then their number."""
    return (np.arange(QUARTILES + 1) * rows // QUARTILES).astype(np.uint32)


@partial(jax.jit, static_argnames="execution", donate_argnames="state")
def _epoch(
    state: TrainState, ratings: Ratings, rates: jax.Array, execution: Execution
) -> tuple[TrainState, tuple[jax.Array, jax.Array]]:
    """Train for an epoch; also give the sums over samples of users' and items' gradients."""
    counters = jnp.stack([state.seed, state.epoch])
    users, items, *sums = kernels.run_epoch(
        ratings, state.users, state.items, rates, counters, execution=execution
    )
    new = state._replace(users=users, items=items, epoch=state.epoch + jnp.uint32(1))
    return new, (sums[0], sums[1])


def _root_mean_square(raw_sums: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return sqrt(sum of squared norms / samples) of each group; NaN of no samples."""
    sums = unpack_sums(jnp.asarray(raw_sums))
    squared, samples = (np.asarray(x, np.float64) for x in (sums.squared_norms, sums.samples))
    with np.errstate(invalid="ignore"):
        return np.sqrt(squared / samples)


if __name__ == "__main__":
    run_figure("fig5", measure)
