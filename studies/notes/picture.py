"""Draw the mean test RMSE per epoch of experiments: ``python -m studies.notes.picture --help``.

Needs the extra ``report``; reads what ``dvc plots diff`` shows, so that the experiments need not be
checked out.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path
from typing import Any

import altair as alt

# Okabe and Ito's colours, which people who confuse hues can tell apart.
COLOURS = ["#000000", "#E69F00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9"]


def main() -> None:
    """Run the program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("experiments", nargs="+", help="names, as in `dvc exp show`")
    parser.add_argument("-o", "--output", type=Path, required=True, help=".png or .svg")
    parser.add_argument("--from-epoch", type=int, default=10, help="leave out the steep start")
    options = parser.parse_args()
    chart = _draw(_rows(options.experiments), options.experiments, options.from_epoch)
    chart.save(str(options.output), scale_factor=2)


def _rows(experiments: list[str]) -> list[dict[str, Any]]:
    """Return epoch, fold, rmse and rev (the experiment) of everything logged."""
    command = ["dvc", "plots", "diff", *experiments, "--targets", "convergence", "--show-vega"]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows: list[dict[str, Any]] = json.loads(output)["data"]["values"]
    return rows


def _draw(rows: list[dict[str, Any]], experiments: list[str], first: int) -> alt.Chart:
    data = {"values": rows}
    chart: alt.Chart = (
        alt.Chart.from_dict({"data": data, "mark": "line"})
        .properties(width=620, height=300)
        .transform_filter(alt.datum.epoch >= first)
        .mark_line(strokeWidth=2)
        .encode(
            x=alt.X("epoch:Q").axis(tickMinStep=5, grid=False),
            y=alt.Y("mean(rmse):Q").scale(zero=False).title("test RMSE, mean of the folds"),
            color=alt.Color("rev:N")
            .scale(domain=experiments, range=COLOURS[: len(experiments)])
            .title("method"),
        )
        .configure(background="white", font="sans-serif")
        .configure_axis(labelFontSize=12, titleFontSize=13)
        .configure_legend(labelFontSize=12, titleFontSize=13)
    )
    return chart


if __name__ == "__main__":
    main()
