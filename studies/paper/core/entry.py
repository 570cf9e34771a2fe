"""How every stage of the study begins."""

from __future__ import annotations

import argparse

from pipeline.common.stage import check_native
from studies.paper.core.settings import Study, read_study


def checked_study(stage: str, what: str | None) -> Study:
    """Return the parameters; refuse a wrong command line, and a stale native module."""
    argparse.ArgumentParser(
        prog=f"python -m studies.paper.{stage}",
        description=what,
        epilog="Reads studies/paper/params.yaml; the working directory must be the repository's "
        "root.",
    ).parse_args()
    study = read_study()
    check_native()
    return study
