"""What training takes on one GPU, beside what its memory can do: ``python -m benchmarks.gpu``.

Measures the card's copy bandwidth; then, for each shape of data and number of factors, single
epochs of every variant in turn, round after round, and whole trainings. Exit status 1 says that a
target was missed. ``stream`` loads and stores the rows that training would, in its order. On a GPU
of compute capability 9.0 or later also variants of the kernel, which nvcc builds, and bounds on
them: what L2 and the multiprocessors do alone, and the same rows without arithmetic.
"""

from __future__ import annotations

import sys
from typing import Any

import jax

from benchmarks.gpu.bandwidth import cache_bandwidth, copy_bandwidth
from benchmarks.gpu.card import describe_card
from benchmarks.gpu.native.library import Library, NativeError, build, capability_of
from benchmarks.gpu.study import Study
from benchmarks.gpu.ways import measure_limits
from benchmarks.harness.planted import make_planted, scaled_shape
from benchmarks.harness.program import make_parser, write_result
from benchmarks.harness.targets import Clock, exit_if_missed
from mascot_jax.data.synthetic.generator import SHAPES
from mascot_jax.engine.devices import choose_device

ORDER = ("netflix", "yahoo", "ml-25m", "ml-10m")
"""The shapes with targets come first: time may run out."""
FACTORS = (128, 64)


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.prog = "python -m benchmarks.gpu"
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=ORDER)
    parser.add_argument("--factors", nargs="+", type=int, default=FACTORS)
    parser.add_argument("--minutes", type=float, default=8, help="begin nothing that takes longer")
    parser.add_argument("--backend", choices=["auto", "cpu", "cuda"], default="cuda")
    parser.add_argument("--no-ways", action="store_true", help="leave variants of the kernel out")
    parser.add_argument("--ratings", type=int, help="scale shapes down, to try this program")
    options = parser.parse_args()
    clock = Clock(options.minutes * 60)
    device = choose_device(options.backend)
    result: dict[str, Any] = {"hardware": describe_card(device)}
    with jax.default_device(device):
        result["copy_bytes_per_s"] = copy_bandwidth(device)
        result["cache_bytes_per_s"] = cache_bandwidth(device)
        library = None if options.no_ways else _load_library(device, result)
        _print_card(result)
        result |= {"shapes": [], "left_out": clock.left_out}
        for factors in options.factors:
            for name in options.shapes:
                # What a shape takes before anything is timed: its data, and some compilations.
                if clock.allows(f"{name}, k = {factors}", 20 * (options.ratings is None)):
                    planted = make_planted(scaled_shape(name, options.ratings))
                    study = Study(name, factors, planted, clock)
                    result["shapes"].append(study.run(result["copy_bytes_per_s"]))
                    write_result(options.json, result)  # what is new to a card comes after this
                    if library is not None:
                        result["shapes"][-1]["ways"] = study.ways(library, result["limits_per_s"])
                write_result(options.json, result)  # each time: a run cut short leaves what it has
    exit_if_missed(target for shape in result["shapes"] for target in shape["targets"])


def _print_card(result: dict[str, Any]) -> None:
    hardware = result["hardware"]
    sys.stdout.write(
        f"{hardware.get('device', hardware['processor'])}: copies "
        f"{result['copy_bytes_per_s'] / 1e9:.0f} GB/s, in its L2 "
        f"{result['cache_bytes_per_s'] / 1e9:.0f} GB/s\n"
    )
    for name, rate in result.get("limits_per_s", {}).items():
        sys.stdout.write(f"  {name:28}{rate / 1e9:8.0f} G/s\n")


def _load_library(device: jax.Device, result: dict[str, Any]) -> Library | None:
    """Build the variants and measure limits with them; None, and why, where that cannot be."""
    if device.platform == "cpu":
        return None
    try:
        library = Library(build(capability_of(device)), device)
        result["limits_per_s"] = measure_limits(library, device)
    except NativeError as error:
        sys.stdout.write(f"without variants of the kernel: {error}\n")
        return None
    return library


if __name__ == "__main__":
    main()
