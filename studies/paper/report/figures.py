"""The paper's figures of methods, drawn from our results."""

from __future__ import annotations

from typing import Final

import altair as alt

from studies.paper import published
from studies.paper.report import draw, panels
from studies.paper.report.document import Figure
from studies.paper.report.methods import NAMES, name_of
from studies.paper.report.panels import BANDS, BARS
from studies.paper.report.results import Results, Row, by_data, names, paired
from studies.paper.report.style import HEIGHT, SERIES, looks
from studies.paper.report.tables import spread

TICKS: Final = "Black ticks are the paper's, of its own data sets and its GPU"


def methods_time(results: Results) -> Figure:
    """Draw Fig. 1 and 7: each method's time, relative to FP32."""
    rows = results.rows("fig7")
    order = [name_of(method) for method in NAMES if method in names(rows, "method")]
    most = max(1.1, *(row.quantity("relative_time").mean for row in rows))
    ends = [0.0, most * 1.08]
    x = alt.X("value:Q", title="time relative to FP32").scale(domain=ends)
    drawn = []
    for data, of_data in by_data(rows).items():
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
            panel = alt.layer(panels.reference(1.0, x["title"]), panel)
            drawn.append(panels.sized(panel, f"{data}, k = {factors}", 205, 190))
    return Figure(
        "fig7",
        draw.svg(panels.arrange(drawn, 110)),
        "Dot plot: training time of each method relative to FP32, by data set and factors.",
        f"Fig. 1 and 7. Training time relative to FP32 of the same repetition; left is faster. "
        f"{spread(rows, 'relative_time')}, {BARS}. {TICKS}, where its text gives a figure: MASCOT "
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
    of_sets = by_data(rows)
    drawn = []
    for data, of_data in of_sets.items():
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
        drawn.append(panels.sized(panel, data, panels.width_of(len(of_sets))))
    return Figure(
        "fig4",
        draw.svg(panels.arrange(drawn)),
        "Lines: time of an epoch relative to FP32 against the share of rows stored in FP16.",
        f"Fig. 4. Time of an epoch by the share of randomly chosen rows in FP16, "
        f"k = {results.factors}. {spread(rows, 'relative_time')}, {BANDS}. Dashed: if "
        f"time followed the bytes moved. The paper's time falls with every step; its text gives no "
        f"figures.",
    )


def distribution(results: Results) -> Figure:
    """Draw Fig. 5(a): how ratings are spread over users and items."""
    rows = results.rows("table1", "distribution")
    x = alt.X("share:Q", title="rows, most-rated first").axis(format="%")
    y = alt.Y("value:Q", title="ratings of a row").scale(type="log")
    y = y.axis(values=[10**power for power in range(8)], format="~s")
    of_sets = by_data(rows)
    drawn = []
    for data, of_data in of_sets.items():
        values = [
            {"share": row["share"], "value": row["ratings"], "side": row["side"]}
            for row in of_data
            if row["ratings"] > 0
        ]
        shown = {side: SERIES[side] for side in ("users", "items")}
        marked = sorted({value["share"] for value in values})[::20]
        panel = panels.lines(values, "side", shown, x, y, marked=marked)
        drawn.append(panels.sized(panel, data, panels.width_of(len(of_sets))))
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
    for data, of_data in by_data(rows).items():
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
        f"ratings. {spread(rows, 'gradient')}, {BANDS}. In the paper the most-rated quartile "
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
    for data, of_data in by_data(rows).items():
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
        f"how far it lies above FP32's in the same repetition. {spread(rows, 'rmse')}, {BANDS}. "
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
    for data, of_data in by_data(rows).items():
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
            panel = alt.layer(panels.reference(unit, title), panel)
            drawn.append(panels.sized(panel, data, 195, 130))
    return Figure(
        "fig9",
        draw.svg(panels.arrange(drawn, 110)),
        "Dot plots: time relative to FP32, and RMSE over FP32's, of MASCOT and its two ablations.",
        f"Fig. 9. N1 stores FP16 and never switches, N2 switches a side as a whole, MASCOT group "
        f"by group. {spread(rows, 'loss')}, {BARS}. {TICKS}.",
    )
