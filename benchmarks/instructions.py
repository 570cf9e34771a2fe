"""Instructions that a rating takes on the CPU: ``python -m benchmarks.instructions --help``.

Compiles ``ffi/core`` as CMake does, steps through a few hundred ratings of the ML-1M shape one
instruction at a time, and counts those that run, so that no loop has to be found in the machine
code. ``objdump`` says what they are. Bytes are those of a rating's rows, as in
``benchmarks.throughput``.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
from pathlib import Path
from typing import Any

import mascot_ffi

from benchmarks.harness.instructions import Counter, Mix, compiler
from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.variants import SETTINGS, Maker, rating_bytes, runs_per_rating
from benchmarks.harness.workload import make_workload
from mascot_jax.engine.kernels import Execution
from mascot_jax.tables.storage import STORAGES

STREAM = "stream"
NATIVE = ("avx512", "avx2")


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    own = [name for name in mascot_ffi.build_info()["instruction_sets"] if name in NATIVE]
    parser.add_argument("--instruction-sets", nargs="+", default=own)
    parser.add_argument("--factors", nargs="+", type=int, default=[32, 64, 128, 256])
    names = [setting.name for setting in SETTINGS if "group-blocks" not in setting.name]
    parser.add_argument("--variants", nargs="+", metavar="NAME", default=[*names, STREAM])
    parser.add_argument("--few", type=int, default=64, help="ratings that do not count")
    parser.add_argument("--many", type=int, default=256, help="ratings, these among them")
    options = parser.parse_args()
    maker = Maker(make_workload("ml-1m"), 1, Execution(1))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        counter = Counter(Path(folder))
        for instruction_set in options.instruction_sets:
            _print_head(instruction_set)
            for name, factors in itertools.product(options.variants, options.factors):
                make = maker.alike(factors, Execution(1))
                row = _count(counter, make, instruction_set, name, options.few, options.many)
                rows.append(row)
                _print(row)
    write_result(options.json, {"compiler": compiler(), "rows": rows})


def _count(
    counter: Counter, make: Maker, instruction_set: str, name: str, few: int, many: int
) -> dict[str, Any]:
    streamed = name == STREAM
    setting = next(one for one in SETTINGS if one.name == ("fp32" if streamed else name))
    prepared = make.prepared(setting.method, **setting.values)
    plan, ratings = prepared.plan, prepared.ratings
    mix = counter.mix(instruction_set, plan, ratings, few, many, streamed)
    row = STORAGES[plan.storage].row_bytes(plan.factors)
    return {
        "instruction_set": instruction_set,
        "method": name,
        "factors": plan.factors,
        "bytes": rating_bytes(row, runs_per_rating(ratings)),
        **mix._asdict(),
    }


def _print_head(instruction_set: str) -> None:
    fields = "".join(f"{field.replace('_', ' '):>15}" for field in Mix._fields)
    sys.stdout.write(f"\n{instruction_set + ', a rating':38}{'k':>5}{'bytes':>7}{fields}\n")


def _print(row: dict[str, Any]) -> None:
    fields = "".join(f"{row[field]:15.1f}" for field in Mix._fields)
    sys.stdout.write(f"{row['method']:38}{row['factors']:5}{row['bytes']:7.0f}{fields}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
