"""The paper's figures of what MASCOT's parameters do, drawn from our results."""

from __future__ import annotations

from typing import Any

import altair as alt

from studies.paper import published
from studies.paper.report import draw, panels
from studies.paper.report.document import Figure
from studies.paper.report.panels import BANDS
from studies.paper.report.results import Results, Row, by_data, names
from studies.paper.report.style import FAINT, INK, PERIODS, SERIES, looks
from studies.paper.report.tables import spread


def lookups(results: Results) -> Figure:
    """Draw Fig. 10: time by the way a row's group is found."""
    rows = results.rows("fig10")
    x = _groups(rows)
    theirs = {"groups": 100, "value": published.number("fig10/opt/100/relative_time")}
    of_sets = by_data(rows)
    drawn = []
    for data, of_data in of_sets.items():
        values = panels.finite(
            panels.point(row.quantity("relative_time"), groups=row["groups"], lookup=row["lookup"])
            for row in of_data
        )
        told = theirs["groups"] in names(of_data, "groups")
        values, y = panels.fitted(
            values, "time relative to naive", *([theirs["value"]] if told else [])
        )
        shown = {name: SERIES[name] for name in names(of_data, "lookup")}
        tick = panels.base([theirs]).mark_tick(
            color=INK, thickness=2.5, size=22, opacity=1, orient="horizontal"
        )
        panel = panels.lines(values, "lookup", shown, x, y)
        if told:
            panel = alt.layer(panel, tick.encode(x=x, y=y))
        drawn.append(panels.sized(panel, data, panels.width_of(len(of_sets))))
    return Figure(
        "fig10",
        draw.svg(panels.arrange(drawn)),
        "Lines: training time relative to MASCOT-naive against the number of groups.",
        f"Fig. 10. How a row's group is found: naive reads it for every row, opt searches the "
        f"groups, ours looks into a table of cells. {spread(rows, 'relative_time')}, {BANDS}. "
        f"Where 100 groups were run, a black tick is the paper's opt, mean of its four sets.",
    )


def _groups(rows: tuple[Row, ...]) -> alt.X:
    """Return an axis of numbers of groups."""
    counts = names(rows, "groups")
    x = alt.X("groups:Q", title="groups a side").scale(
        type="log", domain=[min(counts) / 1.1, max(counts) * 1.1], nice=False
    )
    # Labels of neighbours must not touch.
    shown = [count for count in counts if not any(0.6 * count < other < count for other in counts)]
    return x.axis(values=shown, grid=False)


def sensitivity(results: Results) -> Figure:
    """Draw Table II's times, ours and the paper's."""
    rows = results.rows("table2")
    x = alt.X("ratio:Q", title="sample ratio γ").scale(type="log", domain=[0.009, 1.1], nice=False)
    x = x.axis(values=[0.01, 0.05, 0.2, 1], format="~%", grid=False)
    drawn = []
    for data, of_data in by_data(rows).items():
        other = published.counterpart(data)
        ours = [
            panels.point(
                row.quantity("seconds"), ratio=row["sample_ratio"], period=f"π = {row['period']}"
            )
            for row in of_data
        ]
        theirs = [
            {
                "ratio": ratio,
                "period": f"π = {period}",
                "value": published.number(f"{published.cell(other, period, ratio)}/seconds"),
            }
            for period in published.PERIODS
            for ratio in published.SAMPLE_RATIOS
        ]
        for title, found in ((f"ours, {data}", ours), (f"paper, {published.DATA[other]}", theirs)):
            values, y = panels.fitted(panels.finite(found), "seconds", 0.0)
            panel = panels.lines(values, "period", PERIODS, x, y)
            drawn.append(panels.sized(panel, title, panels.width_of(2)))
    return Figure(
        "table2",
        draw.svg(panels.arrange(drawn)),
        "Lines: training time against the sample ratio for each period, ours and the paper's.",
        f"Table II as a picture: training time by period and sample ratio, ours and the paper's, "
        f"each on its own scale. {spread(rows, 'seconds')}, {BANDS}; the paper gives none.",
    )


def group_counts(results: Results) -> Figure:
    """Draw Fig. 11: time and error by the number of groups."""
    rows = results.rows("fig11")
    x = _groups(rows)
    shown = looks(["mascot"])
    turning = published.number("fig11/turning")
    drawn = []
    for data, of_data in by_data(rows).items():
        for kind, title in (("seconds", "seconds"), ("rmse", "test RMSE")):
            values = panels.finite(
                panels.point(row.quantity(kind), groups=row["groups"], method="MASCOT")
                for row in of_data
            )
            values, y = panels.fitted(values, title)
            panel = panels.lines(values, "method", shown, x, y)
            if kind == "seconds" and turning <= max(names(of_data, "groups")):
                panel = alt.layer(_turning(turning), panel)
            drawn.append(panels.sized(panel, data, panels.width_of(2)))
    return Figure(
        "fig11",
        draw.svg(panels.arrange(drawn)),
        "Lines: training time and RMSE of MASCOT against the number of groups.",
        f"Fig. 11. Time and error by the number of groups. {spread(rows, 'rmse')}, {BANDS}. The "
        f"paper's time begins to rise again at about 300 groups (dashed, where we have as many); "
        f"its error does not depend on them.",
    )


def _turning(groups: float) -> Any:
    return (
        panels.base([{"groups": groups}])
        .mark_rule(color=FAINT, strokeDash=[4, 3])
        .encode(x="groups:Q")
    )
