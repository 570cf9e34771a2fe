"""Fuzz the readers: every input is accepted, or refused with one of the library's own errors.

Anything else is a finding: another exception, a crash, a hang, files left open or lying about, a
process that grows. Exit status 1 if there is one.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.fuzz.campaign import Report, run
from tests.fuzz.targets import MODULE_OF
from tests.fuzz.worker import find_target

NAMES = list(MODULE_OF)


def main() -> int:
    options = _parse()
    if options.replay:
        target = find_target(MODULE_OF[options.target], options.target)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, target.file)
            path.write_bytes(Path(options.replay).read_bytes())
            print(target.read(path))
        return 0
    names = NAMES if options.target == "all" else [options.target]
    print(
        f"{'target':12}{'inputs':>10}{'accepted':>10}{'refused':>10}{'known':>7}{'found':>7}{'s':>8}{'MiB':>6}"
    )
    reports = []
    for name in names:
        module = MODULE_OF[name]
        reports.append(run(name, options.inputs, options.seed, options.keep, module=module))
        _print(reports[-1])
        if options.json:
            text = json.dumps([report.as_dict() for report in reports], indent=1)
            options.json.write_text(text + "\n", encoding="utf-8")
    return int(any(report.findings for report in reports))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--target", choices=["all", *NAMES], default="all")
    parser.add_argument("--inputs", type=int, default=10_000, help="of each target")
    parser.add_argument("--seed", type=int, default=0, help="other seeds give other inputs")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument(
        "--keep", type=Path, default=Path("build/fuzz"), help="folder for inputs that are findings"
    )
    parser.add_argument("--replay", help="read this one input of --target, and show what happens")
    return parser.parse_args()


def _print(report: Report) -> None:
    print(
        f"{report.target:12} {report.inputs:9,} {report.accepted:9,} {report.refused:9,} "
        f"{report.known:6} {len(report.findings):6} {report.seconds:7.1f} "
        f"{report.growth_bytes / 2**20:5.0f}",
        flush=True,
    )
    for finding in report.findings:
        print(f"  {finding['kind']}: {finding['file']} (number {finding['number']})", flush=True)


if __name__ == "__main__":
    sys.exit(main())
