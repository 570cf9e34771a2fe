"""What sharing a training costs: ``python -m benchmarks.shared --ratings 16000000``.

Epochs of one device alone and of several workers, devices of this process with a thread each, in
turn: their CPU seconds, and what an epoch sends. Nothing goes through a network.
"""

from __future__ import annotations

import itertools
import statistics
import time
from typing import Any, Final

import jax

from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.timing import in_turn
from benchmarks.harness.workload import make_workload
from mascot_jax.distributed.workers import Workers
from mascot_jax.engine.devices import computing_on
from mascot_jax.engine.kernels import Execution
from mascot_jax.settings import TrainSettings
from mascot_jax.training.loop import begin
from mascot_jax.training.problem import Problem, prepare
from mascot_jax.training.runner import Alone, Runner
from mascot_jax.training.shared import SharedTraining, Traffic
from pipeline.common.hardware import describe_hardware

METHODS: Final[dict[str, dict[str, Any]]] = {
    "fp32": {"method": "fp32"},
    "fp16, stochastic, runs": {"method": "fp16", "rounding": "stochastic", "order": "runs"},
}


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--ratings", type=int, default=16_000_000)
    parser.add_argument("--shape", default="netflix")
    parser.add_argument("--factors", type=int, default=128)
    parser.add_argument("--workers", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--rotations", type=int, nargs="+", default=[0, 2], help="0: null")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    jax.config.update("jax_num_cpu_devices", max(args.workers))
    problem = make_workload(args.shape, most=args.ratings)
    records = []
    for name in args.methods:
        plan = {"factors": args.factors, "deterministic": True, "epochs": 100} | METHODS[name]
        kinds = list(itertools.product(args.rotations, [0, *args.workers]))
        records += _compare(name, problem, plan, kinds, args.rounds)
    write_result(args.json, {"hardware": describe_hardware(), "results": records})


def _compare(
    name: str,
    problem: Problem,
    plan: dict[str, Any],
    kinds: list[tuple[int, int]],
    rounds: int,
) -> list[dict[str, Any]]:
    """Return what a method's epochs take alone and shared, and print it.

    ``kinds`` are pairs of rotations and of workers; of these 0 is alone. The first one is what all
    are compared with.
    """
    seconds: dict[tuple[int, int], list[float]] = {kind: [] for kind in kinds}
    with computing_on(jax.local_devices(backend="cpu")[0]):
        runs = {
            (rotations, count): _Run(
                problem, TrainSettings(**plan, rotations=rotations or None), count
            )
            for rotations, count in kinds
        }
        for kind, counted in in_turn(list(runs), rounds):
            spent = runs[kind].epoch()
            if counted:
                seconds[kind].append(spent)
    alone = statistics.median(seconds[kinds[0]])
    records = []
    for rotations, count in kinds:
        ratio = statistics.median(seconds[rotations, count]) / alone
        record = {"method": name, "rotations": rotations, "workers": count, "cpu": ratio}
        line = f"{name}, rotations {rotations or 'null'}, {count or 'no'} workers: CPU {ratio:.2f}"
        if count:
            traffic = runs[rotations, count].traffic
            record |= traffic._asdict()
            line += (
                f"; an epoch sends {traffic.sent / 1e6:.1f} MB for {traffic.moved / 1e6:.1f} MB "
                f"that move, {traffic.moved / traffic.table:.1f} times what travels"
            )
        records.append(record)
        print(line, flush=True)
    return records


class _Run:
    """A training alone (0 workers) or shared, an epoch at a time."""

    def __init__(self, problem: Problem, settings: TrainSettings, count: int) -> None:
        prepared = prepare(problem, problem.plan(settings, "cpu"), Execution(1))
        start = begin(prepared).state
        runner: Runner = Alone(prepared, Execution(1))
        if count:
            devices = jax.local_devices(backend="cpu")[:count]
            runner = SharedTraining(prepared, Execution(1), Workers(tuple(devices)))
        self._runner, self._state = runner, runner.begin(start)

    def epoch(self) -> float:
        """Train for an epoch; return its CPU seconds."""
        begun = time.process_time()
        self._state, _ = self._runner.epoch(self._state)
        return time.process_time() - begun

    @property
    def traffic(self) -> Traffic:
        """What the last epoch sent."""
        assert isinstance(self._runner, SharedTraining)
        return self._runner.traffic


if __name__ == "__main__":
    main()
