"""Check that ``dvc repro`` reproduced the outputs of the last commit's dvc.lock bit for bit.

``python -m pipeline.check_lock`` compares the hashes of all outputs except timings.json, which
differs on every run. It lists the outputs that differ and then exits with status 1.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

from pipeline.common import paths

LOCK = Path("dvc.lock")


def output_hashes(lock: str) -> dict[str, str]:
    """Return path -> MD5 of every reproducible output in the text of a dvc.lock."""
    stages = YAML(typ="safe").load(lock)["stages"].values()
    outs = [out for stage in stages for out in stage.get("outs", ())]
    return {out["path"]: out["md5"] for out in outs if out["path"] != paths.TIMINGS.as_posix()}


def differences(committed: dict[str, str], made: dict[str, str]) -> list[str]:
    """Return one line for each output that differs from the committed one."""
    return [
        f"{path}: {made.get(path, 'nothing')} was made, {committed.get(path, 'nothing')} committed"
        for path in sorted(committed.keys() | made.keys())
        if made.get(path) != committed.get(path)
    ]


def main() -> None:
    """Compare the dvc.lock in the working directory with the last commit's."""
    command = ["git", "show", f"HEAD:./{LOCK}"]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    if shown.returncode:
        sys.exit(f"error: the last commit's {LOCK} cannot be read: {shown.stderr.strip()}")
    committed = output_hashes(shown.stdout)
    found = differences(committed, output_hashes(LOCK.read_text(encoding="utf-8")))
    if found:
        sys.exit(
            "\n".join(found)
            + f"\nerror: {len(found)} outputs are not those of the committed {LOCK}. Where they "
            f"should have changed, commit {LOCK} and {paths.METRICS}; else something depends on "
            "this machine or on the versions installed, which constraints.txt gives"
        )
    sys.stdout.write(f"all {len(committed)} outputs are those of the committed {LOCK}\n")


if __name__ == "__main__":
    main()
