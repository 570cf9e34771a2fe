"""Write the report of the profile's results: ``python -m studies.paper.report``, from the root."""

from __future__ import annotations

import argparse
from pathlib import Path

from mascot_jax.base.files import atomic_write
from studies.paper.core import folders
from studies.paper.core.settings import read_study
from studies.paper.report import html, markdown
from studies.paper.report.document import Figure, Report
from studies.paper.report.results import load
from studies.paper.report.sections import report


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "results", type=Path, nargs="?", help="a folder of results; by default the profile's"
    )
    options = parser.parse_args()
    folder = options.results or folders.results(read_study().profile)
    write(folder, folder / "report")


def write(folder: Path, output: Path) -> None:
    """Write the report of a folder of results, which has the profile's name.

    Parameters
    ----------
    folder
        Holds ``fig7.json`` and the others; what is missing is said to be.
    output
        Gets ``report.html``, ``report.md`` and ``figures/``.
    """
    whole = report(load(folder, folder.name))
    pictures = output / markdown.FIGURES
    pictures.mkdir(parents=True, exist_ok=True)
    for old in pictures.glob("*.svg"):
        old.unlink()
    for figure in _figures(whole):
        _write(pictures / f"{figure.name}.svg", figure.svg)
    _write(output / "report.md", markdown.write(whole))
    _write(output / "report.html", html.write(whole))


def _figures(whole: Report) -> list[Figure]:
    blocks = (block for section in whole.sections for block in section.blocks)
    return [block for block in blocks if isinstance(block, Figure)]


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
