"""The paper's figures, drawn from our results."""

from __future__ import annotations

from typing import Any, Final

import altair as alt

from studies.paper import published
from studies.paper.report import draw, panels
from studies.paper.report.document import Figure
from studies.paper.report.methods import NAMES, name_of
from studies.paper.report.results import Results, Row, names, paired
from studies.paper.report.style import FAINT, HEIGHT, INK, PERIODS, SERIES, looks
from studies.paper.report.tables import repetitions

BARS: Final = "bars are 95 % Student intervals, cut at the frame"
BANDS: Final = "bands are 95 % Student intervals, cut at the frame"
TICKS: Final = "Black ticks are the paper's, of its own data sets and its GPU"


def _by_data(rows: tuple[Row, ...]) -> dict[str, list[Row]]:
    return {data: [row for row in rows if row["data"] == data] for data in names(rows, "data")}


def _spread(rows: tuple[Row, ...] | list[Row], kind: str) -> str:
    return repetitions([row.quantity(kind) for row in rows])


def methods_time(results: Results) -> Figure:
    """Draw Fig. 1 and 7: each method's time, relative to FP32."""
    rows = results.rows("fig7")
    order = [name_of(method) for method in NAMES if method in names(rows, "method")]
    most = max(1.1, *(row.quantity("relative_time").mean for row in rows))
    ends = [0.0, most * 1.08]
    x = alt.X("value:Q", title="time relative to FP32").scale(domain=ends)
    drawn = []
    for data, of_data in _by_data(rows).items():
        for factors in names(of_data, "factors"):
            chosen = [row for row in of_data if row["factors"] == factors]
            values = panels.finite(
                panels.point(row.quantity("relative_time"), method=name_of(row["method"]))
                for row in chosen
            )
            for row in chosen:
                value = _published_time(row["method"], factors)
                if value is not None:
                    values.append({"method": name_of(row["method"]), "value": value, "paper": True})
            shown = looks(names(chosen, "method"))
            panel = panels.dots(panels.cut(values, ends), "method", shown, x, order)
            panel = alt.layer(
                panels.reference(1.0).encode(x=alt.X("at:Q", title=x["title"])), panel
            )
            drawn.append(panels.sized(panel, f"{data}, k = {factors}", 205, 190))
    return Figure(
        "fig7",
        draw.svg(panels.arrange(drawn, 110)),
        "Dot plot: training time of each method relative to FP32, by data set and factors.",
        f"Fig. 1 and 7. Training time relative to FP32 of the same repetition; left is faster. "
        f"{_spread(rows, 'relative_time')}, {BARS}. {TICKS}, where its text gives a figure: MASCOT "
        f"at k = 128, MuPPET at k = 64, and FP16, which it takes for the ideal.",
    )


def _published_time(method: str, factors: int) -> float | None:
    for path in (f"fig7/{method}/{factors}/relative_time", f"fig7/{method}/relative_time"):
        value = published.VALUES.get(path)
        if value is not None and isinstance(value.value, float) and method != "fp32":
            return value.value
    return None


def half_shares(results: Results) -> Figure:
    """Draw Fig. 4: time by the share of rows in FP16."""
    rows = results.rows("fig4")
    x = alt.X("share:Q", title="rows in FP16").axis(format="%", values=[0, 0.2, 0.4, 0.6, 0.8, 1])
    by_data = _by_data(rows)
    drawn = []
    for data, of_data in by_data.items():
        measured = [
            panels.point(row.quantity("relative_time"), share=row["half_share"], what="ours")
            for row in of_data
        ]
        bytes_only = [
            {"share": row["half_share"], "value": 1 - row["half_share"] / 2, "what": "bytes alone"}
            for row in of_data
        ]
        shown = {"ours": SERIES["ours"], "bytes alone": SERIES["naive"]}
        values = panels.finite(measured + bytes_only)
        values, y = panels.fitted(values, "time relative to FP32")
        panel = panels.lines(values, "what", shown, x, y)
        drawn.append(panels.sized(panel, data, panels.width_of(len(by_data))))
    return Figure(
        "fig4",
        draw.svg(panels.arrange(drawn)),
        "Lines: time of an epoch relative to FP32 against the share of rows stored in FP16.",
        f"Fig. 4. Time of an epoch by the share of randomly chosen rows in FP16, "
        f"k = {results.factors}. {_spread(rows, 'relative_time')}, {BANDS}. Dashed: if "
        f"time followed the bytes moved. The paper's time falls with every step; its text gives no "
        f"figures.",
    )


def distribution(results: Results) -> Figure:
    """Draw Fig. 5(a): how ratings are spread over users and items."""
    rows = results.rows("table1", "distribution")
    x = alt.X("share:Q", title="rows, most-rated first").axis(format="%")
    y = alt.Y("value:Q", title="ratings of a row").scale(type="log")
    y = y.axis(values=[10**power for power in range(8)], format="~s")
    by_data = _by_data(rows)
    drawn = []
    for data, of_data in by_data.items():
        values = [
            {"share": row["share"], "value": row["ratings"], "side": row["side"]}
            for row in of_data
            if row["ratings"] > 0
        ]
        shown = {side: SERIES[side] for side in ("users", "items")}
        marked = sorted({value["share"] for value in values})[::20]
        panel = panels.lines(values, "side", shown, x, y, marked=marked)
        drawn.append(panels.sized(panel, data, panels.width_of(len(by_data))))
    return Figure(
        "fig5a",
        draw.svg(panels.arrange(drawn)),
        "Lines: number of ratings of users and of items, from the most-rated to the least-rated.",
        "Fig. 5(a). A few users and items have most of the ratings. Counted, not measured: no "
        "interval.",
    )


def gradients(results: Results) -> Figure:
    """Draw Fig. 5(b): the scale of the gradients per quartile of rating counts."""
    rows = results.rows("fig5")
    shown = {name: SERIES[name] for name in SERIES if name.startswith("G")}
    labels = {int(name[1]): name for name in shown}
    last = max(row["epoch"] for row in rows)
    x = panels.epochs(0, last)
    marked = list(range(0, last + 1, max(1, last // 6)))
    drawn = []
    for data, of_data in _by_data(rows).items():
        for side in names(of_data, "side"):
            values = panels.finite(
                panels.point(
                    row.quantity("gradient"), epoch=row["epoch"], quartile=labels[row["quartile"]]
                )
                for row in of_data
                if row["side"] == side
            )
            values, y = panels.fitted(values, "gradient, root mean square")
            panel = panels.lines(values, "quartile", shown, x, y, marked=marked)
            drawn.append(panels.sized(panel, f"{data}, {side}", panels.width_of(2)))
    return Figure(
        "fig5b",
        draw.svg(panels.arrange(drawn)),
        "Lines: scale of the gradients over the epochs for four quartiles of users and of items.",
        f"Fig. 5(b). Root mean square norm of the gradients, FP32, by quartile of the number of "
        f"ratings. {_spread(rows, 'gradient')}, {BANDS}. In the paper the most-rated quartile "
        f"falls fastest; its text gives no figures.",
    )


def errors(results: Results) -> Figure:
    """Draw Fig. 8: RMSE of each method over the epochs."""
    rows = results.rows("fig8")
    shown = looks([method for method in NAMES if method in names(rows, "method")])
    last = max(row["epoch"] for row in rows)
    first = -(-last // 5)
    x = panels.epochs(first, last)
    marked = list(range(last, -1, -max(1, last // 6)))
    drawn = []
    for data, of_data in _by_data(rows).items():
        late = [row for row in of_data if row["epoch"] >= first]
        for title, values, reach in (
            ("test RMSE", _errors(late), 0.12),
            ("test RMSE over FP32's", _losses(late), 0.03),
        ):
            low, high = _worth_seeing(values, reach)
            y = alt.Y("value:Q", title=title).scale(domain=[low, high], zero=False, nice=False)
            seen = panels.cut([value for value in values if value["value"] <= high], (low, high))
            panel = panels.lines(seen, "method", shown, x, y, marked=marked)
            drawn.append(panels.sized(panel, data, panels.width_of(2), HEIGHT + 30))
    return Figure(
        "fig8",
        draw.svg(panels.arrange(drawn)),
        "Lines: test RMSE of each method over the epochs, and how far it lies above FP32's.",
        f"Fig. 8. Test RMSE over the epochs, k = {results.factors}, without the steep start, and "
        f"how far it lies above FP32's in the same repetition. {_spread(rows, 'rmse')}, {BANDS}. "
        f"What lies far above the best is cut off; the table has all ends.",
    )


def _errors(rows: list[Row]) -> panels.Values:
    return panels.finite(
        panels.point(row.quantity("rmse"), epoch=row["epoch"], method=name_of(row["method"]))
        for row in rows
    )


def _losses(rows: list[Row]) -> panels.Values:
    """Return RMSE less FP32's in the same epoch and repetition."""
    reference = {row["epoch"]: row.quantity("rmse") for row in rows if row["method"] == "fp32"}
    return panels.finite(
        panels.point(
            paired(row.quantity("rmse"), reference[row["epoch"]]),
            epoch=row["epoch"],
            method=name_of(row["method"]),
        )
        for row in rows
        if row["epoch"] in reference
    )


def _worth_seeing(values: panels.Values, reach: float) -> tuple[float, float]:
    """Return the range of RMSE from the least to the most, but no more than a reach above."""
    errors = [value["value"] for value in values]
    low = min(errors, default=0.0)
    high = min(max(errors, default=0.0), low + reach)
    room = max(0.001, 0.05 * (high - low))
    return low - room, high + room


def strategies(results: Results) -> Figure:
    """Draw Fig. 9: time and error of the strategies."""
    rows = results.rows("fig9")
    order = [name_of(name) for name in names(rows, "variant")]
    drawn = []
    for data, of_data in _by_data(rows).items():
        shown = looks(names(of_data, "variant"))
        for kind, title, unit in (
            ("relative_time", "time relative to FP32", 1.0),
            ("loss", "RMSE over FP32's", 0.0),
        ):
            values = panels.finite(
                panels.point(row.quantity(kind), variant=name_of(row["variant"])) for row in of_data
            )
            if kind == "relative_time":
                paper = published.number("fig9/mascot/relative_time")
                values.append({"variant": name_of("mascot"), "value": paper, "paper": True})
            values, x = panels.fitted(values, title, unit, channel=alt.X)
            x = x.axis(tickCount=5)
            panel = panels.dots(values, "variant", shown, x, order)
            panel = alt.layer(panels.reference(unit).encode(x=alt.X("at:Q", title=title)), panel)
            drawn.append(panels.sized(panel, data, 195, 130))
    return Figure(
        "fig9",
        draw.svg(panels.arrange(drawn, 110)),
        "Dot plots: time relative to FP32, and RMSE over FP32's, of MASCOT and its two ablations.",
        f"Fig. 9. N1 stores FP16 and never switches, N2 switches a side as a whole, MASCOT group "
        f"by group. {_spread(rows, 'loss')}, {BARS}. {TICKS}.",
    )


def lookups(results: Results) -> Figure:
    """Draw Fig. 10: time by the way a row's group is found."""
    rows = results.rows("fig10")
    x = _groups(rows)
    theirs = {"groups": 100, "value": published.number("fig10/opt/100/relative_time")}
    by_data = _by_data(rows)
    drawn = []
    for data, of_data in by_data.items():
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
        drawn.append(panels.sized(panel, data, panels.width_of(len(by_data))))
    return Figure(
        "fig10",
        draw.svg(panels.arrange(drawn)),
        "Lines: training time relative to MASCOT-naive against the number of groups.",
        f"Fig. 10. How a row's group is found: naive reads it for every row, opt searches the "
        f"groups, ours looks into a table of cells. {_spread(rows, 'relative_time')}, {BANDS}. "
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
    for data, of_data in _by_data(rows).items():
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
        f"each on its own scale. {_spread(rows, 'seconds')}, {BANDS}; the paper gives none.",
    )


def group_counts(results: Results) -> Figure:
    """Draw Fig. 11: time and error by the number of groups."""
    rows = results.rows("fig11")
    x = _groups(rows)
    shown = looks(["mascot"])
    turning = published.number("fig11/turning")
    drawn = []
    for data, of_data in _by_data(rows).items():
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
        f"Fig. 11. Time and error by the number of groups. {_spread(rows, 'rmse')}, {BANDS}. The "
        f"paper's time begins to rise again at about 300 groups (dashed, where we have as many); "
        f"its error does not depend on them.",
    )


def _turning(groups: float) -> Any:
    return (
        panels.base([{"groups": groups}])
        .mark_rule(color=FAINT, strokeDash=[4, 3])
        .encode(x="groups:Q")
    )
