"""What every stage does first and last: validate all parameters, refuse a stale build, report errors in one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from mascot_jax.errors import MascotError, SettingsError
from mascot_jax.settings import Params, validate

PARAMS = Path("params.yaml")
BAD_INPUT = 2
"""Exit status for anything that the user can put right."""


def read_params(path: Path = PARAMS) -> Params:
    """Read and validate every block of params.yaml, whichever stage asks.

    DVC passes the values of ``-S`` through unchecked, so that a bad ``train`` value must stop the download.

    Raises
    ------
    SettingsError
        One line per bad parameter.
    """
    try:
        # DVC reads YAML 1.2, in which 1e-3 is a number; PyYAML would take it for a string.
        values = YAML(typ="safe").load(path)
    except FileNotFoundError:
        raise SettingsError(f"{path.absolute()}: not found; run in the repository's root") from None
    except YAMLError as error:
        raise SettingsError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: must be a mapping of parameter blocks")
    return validate(Params, values)


def run_stage(stage: Callable[[Params], None]) -> None:
    """Run a stage that is not per fold."""
    argparse.ArgumentParser(description=stage.__doc__).parse_args()
    _guard(lambda: stage(_checked_params()))


def run_fold_stage(stage: Callable[[Params, int], None]) -> None:
    """Run a stage for the fold named on the command line."""
    parser = argparse.ArgumentParser(description=stage.__doc__)
    parser.add_argument("fold", type=int, help="the fold that tests; the others train")
    fold = parser.parse_args().fold
    _guard(lambda: stage(_checked_params(), fold))


def _checked_params() -> Params:
    params = read_params()
    from mascot_jax import native  # after the parameters: a typing error should not wait for JAX

    native.check_sources(Path.cwd())
    return params


def _guard(run: Callable[[], None]) -> None:
    try:
        run()
    except MascotError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(BAD_INPUT)
