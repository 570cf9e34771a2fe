"""One training by two hosts, in effect: ``python -m benchmarks.shared_networks``, as root on Linux.

Two processes train in network namespaces with addresses of their own, joined by a virtual cable
(``ip netns``). Prints whether the model file has the bytes of one process, and how many bytes the
cable's ends have counted in the epochs after the first one, beside what was logged as sent. Exit
status 1 says that bytes differed.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.harness.program import make_parser, write_result
from mascot_jax import MatrixFactorization
from mascot_jax.distributed.join import Place
from mascot_jax.distributed.program import joined
from pipeline.common.hardware import describe_hardware

USERS, ITEMS, RATINGS, EPOCHS = 20_000, 3000, 500_000, 4
SETTINGS: Final[dict[str, Any]] = {
    "factors": 64, "method": "fp32", "epochs": EPOCHS, "threads": 1, "recipe": "paper",
}  # fmt: skip
HOSTS: Final = ("10.98.76.1", "10.98.76.2")
PORT: Final = 29400
CABLE: Final = "mascot{}"
"""Name of each end."""


def main() -> None:
    """Run the program."""
    parser = make_parser(__doc__)
    parser.add_argument("--rotations", type=int, help="of the order; none without it")
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.model is not None:
        _train(args.model, args.rotations, args.rank)
        return
    if os.geteuid() != 0 or not sys.platform.startswith("linux") or shutil.which("ip") is None:
        raise SystemExit("needs Linux, root and the command ip (iproute2)")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        argv = [sys.executable, "-m", "benchmarks.shared_networks"]
        argv += [] if args.rotations is None else ["--rotations", str(args.rotations)]
        argv += ["--model"]
        subprocess.run([*argv, str(folder / "alone")], check=True, stdout=subprocess.DEVNULL)
        spaces = stack.enter_context(_two_networks(folder))
        processes = [
            subprocess.Popen(
                [*space, *argv, str(folder / "shared"), "--rank", str(rank)],
                stdout=subprocess.PIPE,
                text=True,
            )
            for rank, space in enumerate(spaces)
        ]
        said = [process.communicate()[0] for process in processes]
        if any(process.returncode for process in processes):
            raise SystemExit("a process has failed")
        same = (folder / "alone").read_bytes() == (folder / "shared").read_bytes()
    counts = [json.loads(text.splitlines()[-1]) for text in said]
    counted, logged = sum(count["counted"] for count in counts), counts[0]["logged"]
    print(f"the model has {'the bytes' if same else 'OTHER BYTES THAN THAT'} of one process")
    print(
        f"in {EPOCHS - 1} epochs the cable's ends counted {counted / 1e6:.1f} MB, "
        f"{counted / logged:.3f} times the {logged / 1e6:.1f} MB logged as sent"
    )
    result = {"same": same, "counted": counted, "logged": logged, "hardware": describe_hardware()}
    write_result(args.json, result)
    if not same:
        raise SystemExit(1)


@contextmanager
def _two_networks(folder: Path) -> Iterator[list[list[str]]]:
    """Yield, for each of two network namespaces, the words before a command to run there."""
    names = [f"mascot{os.getpid()}-{rank}" for rank in range(2)]
    try:
        for name in names:
            _ip("netns", "add", name)
        ends = [CABLE.format(rank) for rank in range(2)]
        first, second = zip(ends, names, strict=True)
        _ip("link", "add", first[0], "netns", first[1], "type", "veth",
            "peer", "name", second[0], "netns", second[1])  # fmt: skip
        for name, end, address in zip(names, ends, HOSTS, strict=True):
            _ip("-n", name, "address", "add", f"{address}/24", "dev", end)
            for device in (end, "lo"):
                _ip("-n", name, "link", "set", device, "up")
        yield [_into(name, address, folder) for name, address in zip(names, HOSTS, strict=True)]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], check=False)


def _into(name: str, address: str, folder: Path) -> list[str]:
    """Return the words before a command that runs it in a network, where this host has an address.

    ``ip netns exec`` gives it mounts of its own: what it puts over /etc/hosts nobody else sees.
    """
    hosts = folder / f"hosts.{name}"
    hosts.write_text(f"127.0.0.1 localhost\n{address} {socket.gethostname()}\n", encoding="utf-8")
    inside = 'mount --bind "$0" /etc/hosts && exec "$@"'
    return ["ip", "netns", "exec", name, "sh", "-c", inside, str(hosts)]


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _train(model: Path, rotations: int | None, rank: int | None) -> None:
    """Train, alone or as one of two; print the bytes of the epochs after the first one."""
    sent = _Sent()
    log = logging.getLogger("mascot_jax")
    log.setLevel(logging.DEBUG)
    log.addHandler(sent)
    counted: list[int] = []

    def on_epoch(_: object) -> None:
        if rank is not None:
            counter = Path(f"/sys/class/net/{CABLE.format(rank)}/statistics/tx_bytes")
            counted.append(int(counter.read_text(encoding="utf-8")))

    estimator = MatrixFactorization(**SETTINGS, rotations=rotations, distributed=rank is not None)
    with ExitStack() as stack:
        if rank is not None:
            place = Place(f"{HOSTS[0]}:{PORT}", 2, rank)
            stack.enter_context(joined(place, lambda _: 1))
        estimator.fit(_ratings(), callbacks=[on_epoch])
        if not rank:
            estimator.save(model)
    if rank is not None:
        print(json.dumps({"counted": counted[-1] - counted[0], "logged": sum(sent.bytes[1:])}))


class _Sent(logging.Handler):
    """Keeps what each epoch logs as sent by all workers together."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes: list[int] = []

    def emit(self, record: logging.LogRecord) -> None:
        if str(record.msg).startswith("workers have sent") and isinstance(record.args, tuple):
            self.bytes.append(int(str(record.args[0])))


def _ratings() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    users, items = ((n * rng.random(RATINGS) ** 2).astype(np.int64) for n in (USERS, ITEMS))
    p, q = rng.uniform(0, 1.1, (2, USERS, 4))
    values = (p[users] * q[items]).sum(axis=1) + rng.normal(0, 0.5, RATINGS)
    return users, items, values.astype(np.float32)


if __name__ == "__main__":
    main()
