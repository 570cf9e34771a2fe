"""A launcher: ``python launcher.py 2 COMMAND...`` runs a command in two processes that share.

They get torchrun's variables and every signal; the exit status is the first one that is not 0.
"""

import os
import signal
import subprocess
import sys

from ports import free_port  # beside this program


def main(count, command):
    """Run."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    place["WORLD_SIZE"] = str(count)
    environment = {**os.environ, **place}
    processes = [
        subprocess.Popen(command, env={**environment, "RANK": str(rank)}) for rank in range(count)
    ]

    def forward(number, _):
        for process in processes:
            process.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, forward)
    codes = [process.wait() for process in processes]
    return next((code for code in codes if code), 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
