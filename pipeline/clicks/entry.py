"""Paths of the stages' files, and how every stage begins."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Final

from mascot_jax.settings.click_params import ClickParams
from pipeline.common.stage import check_native, read_settings

FOLDER: Final = Path("clicks")
PARAMS: Final = FOLDER / "params.yaml"
RAW: Final = FOLDER / "data/raw.parquet"
ENCODED: Final = FOLDER / "data/encoded"
REPORT: Final = FOLDER / "data/report.json"
MODEL: Final = FOLDER / "model.safetensors"
CHECKPOINT: Final = FOLDER / "checkpoint.safetensors"
"""No stage output, and deleted when training ends."""
EPOCHS: Final = FOLDER / "results/epochs.json"
METRICS: Final = FOLDER / "results/metrics.json"


def run_click_stage(stage: Callable[[ClickParams], None]) -> None:
    """Run a stage after validating all parameters, whichever stage it is."""
    argparse.ArgumentParser(
        prog=f"python -m pipeline.clicks.{stage.__name__}",
        description=stage.__doc__,
        epilog=f"Reads {PARAMS}; the working directory must be the repository's root.",
    ).parse_args()
    params = read_settings(ClickParams, PARAMS)
    check_native()
    stage(params)
