"""Run a stage after validating all parameters and refusing a stale native build."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from mascot_jax.errors import SettingsError
from mascot_jax.settings import Params, SettingsT, validate

PARAMS = Path("params.yaml")


def read_params(path: Path = PARAMS) -> Params:
    """Read and validate every block of params.yaml, whichever stage runs.

    DVC does not check the values of ``-S``; a bad ``train`` value must stop the download.

    Raises
    ------
    SettingsError
        One line per bad parameter.
    """
    return read_settings(Params, path)


def read_settings(cls: type[SettingsT], path: Path) -> SettingsT:
    """Read and validate a YAML file of parameters.

    Raises
    ------
    SettingsError
        One line per bad parameter.
    """
    try:
        # DVC reads YAML 1.2, in which 1e-3 is a number; PyYAML would read a string.
        values = YAML(typ="safe").load(path)
    except FileNotFoundError:
        raise SettingsError(f"{path.absolute()}: not found; run in the repository's root") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not valid YAML: {_in_one_line(error)}") from None
    if not isinstance(values, dict):
        raise SettingsError(f"{path}: must be a mapping of parameter blocks")
    return validate(cls, values)


def run_stage(stage: Callable[[Params], None]) -> None:
    """Run a stage that takes no fold."""
    _parser(stage).parse_args()
    stage(_checked_params())


def run_fold_stage(stage: Callable[..., None], *, shared: bool = False) -> None:
    """Run a stage, ``stage(params, fold)``, for the fold named on the command line.

    One that processes can share has the option ``--distributed``, and gets ``distributed``, too.
    """
    parser = _parser(stage)
    parser.add_argument("fold", type=int, help="the fold that tests; the others train")
    if shared:
        parser.add_argument(
            "--distributed",
            action="store_true",
            help="share the training with the other processes that a launcher has started",
        )
    arguments = vars(parser.parse_args())
    stage(_checked_params(), **arguments)


def _parser(stage: Callable[..., None]) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"python -m pipeline.{stage.__name__}",
        description=stage.__doc__,
        epilog="Reads params.yaml in the working directory, which must be the repository's root.",
    )


def _checked_params() -> Params:
    params = read_params()
    check_native()  # after the parameters: a typo should be reported before JAX is imported
    return params


def check_native() -> None:
    """Refuse a native module that was not built from the sources in the working directory."""
    from mascot_jax.engine import native

    native.check_sources(Path.cwd())


def _in_one_line(error: Exception) -> str:
    if isinstance(error, MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())
