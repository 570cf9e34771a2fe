"""Write the report of a profile's results; the working directory must be the repository's root."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from string import Template
from typing import Final

from markdown_it import MarkdownIt

from mascot_jax.base.files import atomic_write
from studies.paper.core import folders
from studies.paper.core.settings import read_study
from studies.paper.report.figures import CHARTS, draw, svg
from studies.paper.report.results import SHOWN, Result, joined, load, load_beside, shown_rows
from studies.paper.report.tables import table

HERE: Final = Path(__file__).parent


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="python -m studies.paper.report", description=__doc__)
    parser.add_argument(
        "results",
        type=Path,
        nargs="*",
        help="a folder of results, by default the profile's; behind it, others whose rows, of the "
        "figures that they have, are to stand beside its own",
    )
    options = parser.parse_args()
    folder, *beside = options.results or [folders.results(read_study().profile)]
    write(folder, *beside)


def write(folder: Path, *beside: Path) -> None:
    """Write ``report/report.html``, ``report.md`` and ``figures/`` into a folder of results.

    Raises
    ------
    DataError
        A file is missing, or is no result of its profile.
    """
    figures = dict.fromkeys(shown.figure for shown in SHOWN.values())
    own, others = load(folder, figures), load_beside(beside, figures)
    results = {name: joined(result, others[name]) for name, result in own.items()}
    template = Template((HERE / "report.md").read_text(encoding="utf-8"))
    parts = {"conditions": _conditions([*own.values(), *chain(*others.values())])}
    for name in set(template.get_identifiers()) - set(parts):
        parts[name] = table(SHOWN[name], shown_rows(SHOWN[name], results))
    text = template.substitute(parts)
    body = MarkdownIt().enable("table").render(text).replace("<th ", '<th scope="col" ')
    body = re.sub(r"\n(?=<t[dh] |</tr>)", "", body)  # a row a line
    page = Template((HERE / "report.html").read_text(encoding="utf-8")).substitute(report=body)
    files = {"report.md": text, "report.html": page}
    for name, chart in CHARTS.items():
        files[f"figures/{name}.svg"] = svg(draw(chart, shown_rows(SHOWN[chart.shown], results)))
    (folder / "report/figures").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        with atomic_write(folder / "report" / name) as temporary:
            temporary.write_text(content, encoding="utf-8")


def _conditions(results: Iterable[Result]) -> str:
    """Say on what data, how and on what machine the figures were measured, each text once."""
    return "\n\n".join(dict.fromkeys(map(_condition, results)))


def _condition(result: Result) -> str:
    settings, hardware = result["settings"], result["hardware"]
    data = ", ".join(dict.fromkeys(row["data"] for row in result["rows"]))
    train, n = settings["train"], settings["repetitions"]
    machine = ", ".join(f"{name.replace('_', ' ')}: {hardware[name]}" for name in hardware)
    return (
        f"- Data of profile {result['profile']}: {data}\n"
        f"- {train['epochs']} epochs; k = {train['factors']} where nothing else is said\n"
        f"- n = {n} repetitions, each on another fold with another seed\n"
        f"- Hardware: {machine}"
    )


if __name__ == "__main__":
    main()
