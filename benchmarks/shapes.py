"""What to expect of ratings of several shapes: ``python -m benchmarks.shapes --help``.

Generates ratings of each shape, trains the library's defaults on nine tenths, and scores the rest.
``floor`` is the noise that was added, where it is known: no model can do better. Exit status 1 says
that a model was worse than the mean or biases by more than 0.3 %.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.targets import Target, exit_if_missed
from mascot_jax import MatrixFactorization
from mascot_jax.errors import RatingsWarning
from pipeline.common.hardware import describe_hardware

MOST_LOSS: Final = 0.003
Columns = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], float]
"""Users, items, ratings, and the noise's standard deviation."""


def planted(
    rng: np.random.Generator,
    *,
    users: int,
    items: int,
    per_user: int,
    noise: float,
    bias: float = 0.45,
    factors: float = 0.25,
) -> Columns:
    """Return ratings of mean 0: biases, four factors, noise; popular items have more ratings."""
    u = np.repeat(np.arange(users), per_user)
    weights = 1.0 / np.arange(2, items + 2) ** 0.7
    keys = rng.random((users, items)) ** (1 / weights)  # a weighted sample without replacement
    i = np.argpartition(-keys, per_user - 1, axis=1)[:, :per_user].reshape(-1)
    p, q = rng.normal(size=(users, 4)), rng.normal(size=(items, 4))
    level = rng.normal(0, bias, users)[u] + rng.normal(0, bias, items)[i]
    r = level + factors * (p[u] * q[i]).sum(axis=1) + rng.normal(0, noise, len(u))
    return u, i, r, noise


def stars(rng: np.random.Generator, **world: Any) -> Columns:
    """Return stars of 1 to 5."""
    u, i, r, noise = planted(rng, noise=0.75, **world)
    return u, i, np.clip(np.rint(3.6 + r), 1, 5), noise


def wide(rng: np.random.Generator, low: float, high: float, **world: Any) -> Columns:
    """Return ratings of a wide scale."""
    u, i, r, noise = planted(rng, noise=0.75, **world)
    unit = (high - low) / 5
    return u, i, np.clip((low + high) / 2 + unit * r, low, high), unit * noise


def counts(rng: np.random.Generator, *, logarithm: bool, **world: Any) -> Columns:
    """Return numbers of plays, or their logarithms."""
    u, i, r, _ = planted(rng, noise=0.75, **world)
    plays = np.ceil(np.exp(2 + 1.2 * r))
    return u, i, np.log1p(plays) if logarithm else plays, np.nan


DENSE: Final[dict[str, Any]] = {"users": 3000, "items": 1000, "per_user": 80}
FEW: Final[dict[str, Any]] = {"users": 6000, "items": 4000, "per_user": 4}
SHAPES: Final[Mapping[str, Callable[[np.random.Generator], Columns]]] = {
    "stars, 1 to 5": partial(stars, **DENSE),
    "stars, 4 a user": partial(stars, **FEW),
    "0 to 100": partial(wide, low=0, high=100, **DENSE),
    "-10 to 10, 100 items": partial(wide, low=-10, high=10, users=4000, items=100, per_user=60),
    "101 to 105": partial(wide, low=101, high=105, **DENSE),
    "plays": partial(counts, logarithm=False, **DENSE),
    "log of plays": partial(counts, logarithm=True, **DENSE),
    "noise alone": partial(wide, low=1, high=5, **DENSE, bias=0.0, factors=0.0),
}


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    head = "".join(f"{title:>9}" for title in ("mean", "biases", "default", "floor"))
    sys.stdout.write(f"{'ratings':22}{head}\n")
    rows: list[dict[str, Any]] = []
    for name in options.shapes:
        rows.append({"shape": name, **measure(SHAPES[name], options.seed)})
        figures = (rows[-1][key] for key in ("mean", "biases", "default", "floor"))
        sys.stdout.write(f"{name:22}{''.join(f'{figure:9.4g}' for figure in figures)}\n")
    targets = []
    for row in rows:
        best = min(row["mean"], row["biases"])
        targets.append(Target(f"{row['shape']}: loss", row["default"] / best - 1, MOST_LOSS))
    reports = [target.report() for target in targets]
    hardware = describe_hardware()
    write_result(
        options.json, {"seed": options.seed, "hardware": hardware, "rows": rows, "targets": reports}
    )
    exit_if_missed(reports)


def measure(make: Callable[[np.random.Generator], Columns], seed: int) -> dict[str, float | None]:
    """Return the RMSE on a tenth of generated ratings."""
    rng = np.random.default_rng(seed)
    *columns, floor = make(rng)
    test = rng.random(len(columns[0])) < 0.1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RatingsWarning)
        model = MatrixFactorization().fit(tuple(column[~test] for column in columns))
    found = model.evaluate(tuple(column[test] for column in columns))
    return {
        "mean": found["rmse_of_mean"],
        "biases": found["rmse_of_biases"],
        "default": found["rmse"],
        "floor": floor,
    }


if __name__ == "__main__":
    main()
