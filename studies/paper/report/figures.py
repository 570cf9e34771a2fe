"""The report's figures, as SVG: a panel for each data set and quantity.

Colours are mostly Okabe and Ito's, which people who confuse hues can tell apart; marks and dashes
tell series apart in grey print.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import vl_convert

from studies.paper.report.results import Rows
from studies.paper.report.tables import NAMES, TITLES

Spec = dict[str, Any]
"""A part of a Vega-Lite specification."""
Points = list[dict[str, Any]]
"""``panel``, ``series``, ``x``, ``y`` and its interval, ``low`` and ``high``."""


class Chart(NamedTuple):
    """How rows are drawn."""

    shown: str
    """Which rows, of ``results.SHOWN``."""
    series: str
    y: tuple[str, ...]
    """Quantities, a panel each."""
    x: str | None = None
    """What they are drawn over; None gives each of the series a line of its own."""
    panel: str | None = None
    """A field with a panel for each of its values."""
    front: bool = False
    """A line joins what no other point beats in both x and y, instead of one each series."""


CHARTS: Final = {
    "fig4": Chart("fig4", "data", ("relative_time",), "half_share"),
    "fig5a": Chart("distribution", "side", ("ratings",), "share"),
    "fig5b": Chart("gradients", "quartile", ("gradient",), "epoch", "side"),
    "fig7": Chart("fig7", "method", ("relative_time",), panel="factors"),
    "fig8": Chart("curves", "method", ("rmse", "loss"), "epoch"),
    "fig9": Chart("fig9", "variant", ("relative_time", "loss")),
    "fig10": Chart("fig10", "lookup", ("relative_time",), "groups"),
    "fig11": Chart("fig11", "data", ("seconds", "rmse"), "groups"),
    "table2": Chart("table2", "period", ("relative_time",), "sample_ratio"),
    "pareto": Chart("beyond", "name", ("loss",), "relative_bytes", front=True),
    "pruning": Chart("pruning", "name", ("loss",), "relative_time", front=True),
}
"""By the names of their files."""

REACH: Final = 0.02
"""RMSE above the least up to which a panel shows what is there."""
GREY: Final = "#8a8a8a"
_COLOURS: Final = (
    "#1b1b1b", "#56B4E9", "#0072B2", "#009E73", "#D55E00", "#CC79A7", "#E69F00", "#B3A000", GREY,
    "#7a4a1d",
)  # fmt: skip
_SHAPES: Final = (
    "circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right",
)  # fmt: skip
_DASHES: Final = ([1, 0], [7, 3], [3, 2], [9, 3, 2, 3], [1, 2])
_TICKS: Final = {"x": "vertical", "y": "horizontal"}


def svg(specification: Spec) -> str:
    """Draw a chart, without a network."""
    drawn: str = vl_convert.vegalite_to_svg(specification, allowed_base_urls=[])
    return drawn


def draw(chart: Chart, rows: Rows) -> Spec:
    """Return the specification of a chart of its rows (``results.shown_rows``)."""
    panels: dict[tuple[str, str], Points] = {}
    for row in rows:
        part = f", {TITLES[chart.panel]} {row[chart.panel]}" if chart.panel else ""
        for field in chart.y:
            point = _point(chart, row, field)
            if math.isfinite(point["y"]):
                panels.setdefault((row["data"] + part, field), []).append(point)
    series = list(dict.fromkeys(point["series"] for mine in panels.values() for point in mine))
    looks = _looks(series, TITLES[chart.series], legend=chart.x is not None and len(series) > 1)
    return {
        "concat": [
            {"title": title, **_panel(chart, field, points, looks)}
            for (title, field), points in panels.items()
        ],
        "columns": 2,
        "resolve": {"scale": dict.fromkeys(looks, "shared")},
        "background": "#fefefe",
        # Pages describe a figure, not its thousand marks.
        "config": {"aria": False, "axis": {"labelFontSize": 12, "titleFontSize": 12}},
    }


def front(points: Points) -> Points:
    """Return the points that no other one beats in x or y without losing in the other, by x."""
    places = [(point["x"], point["y"]) for point in points]
    kept = [
        point
        for point, (x, y) in zip(points, places, strict=True)
        if not any(a <= x and b <= y and (a, b) != (x, y) for a, b in places)
    ]
    return sorted(kept, key=lambda point: float(point["x"]))


def _point(chart: Chart, row: dict[str, Any], field: str) -> dict[str, Any]:
    value, x = (_mean(row[name]) if name else None for name in (field, chart.x))
    key = str(row[chart.series])
    point = {"series": NAMES.get(key, key), "x": x, "y": value}
    if isinstance(row[field], dict) and row[field]["low"] is not None:
        point |= {end: row[field][end] for end in ("low", "high")}
    paper = row["paper"].get(field)
    return point | ({"paper": paper} if isinstance(paper, float) else {})


def _mean(value: Any) -> float:
    return float(value["mean"] if isinstance(value, dict) else value)


def _panel(chart: Chart, field: str, points: Points, looks: Spec) -> Spec:
    """Return intervals, lines, marks, and the paper's values as ticks, one over the other."""
    places = sorted({point["x"] for point in points}) if chart.x else []
    across = (
        _x_axis(chart.x, places) if chart.x else {"field": "series", "sort": None, "title": None}
    )
    along, other = ("y", "x") if chart.x else ("x", "y")
    axis = {"type": "quantitative", "title": TITLES[field], "scale": _scale(field, points)}

    def layer(value: str, shown: Points, *named: str, **mark: Any) -> Spec:
        encoding = {along: {"field": value, **axis}, other: across}
        if value == "low":
            encoding[f"{along}2"] = {"field": "high"}
        return {
            "data": {"values": [point for point in shown if value in point]},
            "mark": {"clip": True, **mark},
            "encoding": encoding | {name: looks[name] for name in named},
        }

    bars = layer("low", points, "color", type="rule", strokeWidth=2)
    step = 1
    if chart.x is None:
        under = [bars]
    elif chart.front:
        line = layer("y", front(points), type="line", interpolate="step-after", color=GREY)
        under = [bars, line]
    else:
        bands = layer("low", points, "color", type="area", opacity=0.12)
        under = [bands, layer("y", points, "color", "strokeDash", type="line")]
        step = max(1, len(places) // 7)  # marks tell lines apart, and need not be everywhere
    dots = [point for point in points if chart.x is None or point["x"] in places[::step]]
    marks = layer("y", dots, "color", "shape", type="point", filled=True, size=70, opacity=1)
    ticks = layer("paper", points, "color", type="tick", thickness=3, size=18, orient=_TICKS[along])
    width, height = (420, 330) if chart.front else (270, 220)
    return {"layer": [*under, marks, ticks], "width": width, "height": height}


def _scale(field: str, points: Points) -> Spec:
    """Return a scale with room for all values, and for their intervals as far as is worth it.

    Intervals count only as far as they reach beyond all values by no more than these lie apart:
    those of two or three repetitions can be so wide that nothing else would be seen.
    """
    if field == "ratings":
        return {"type": "log"}
    inner = [point[name] for point in points for name in ("y", "paper") if name in point]
    outer = [point[end] for point in points for end in ("low", "high") if end in point] + inner
    reach = max(inner) - min(inner) or 0.05 * abs(max(inner)) or 1.0
    low, high = max(min(outer), min(inner) - reach), min(max(outer), max(inner) + reach)
    if field in ("rmse", "loss"):
        high = min(high, min(inner) + REACH)
    room = 0.06 * (high - low)
    return {"domain": [low - room, high + room], "nice": False, "zero": False}


def _x_axis(field: str, places: Sequence[float]) -> Spec:
    axis: Spec = {"tickCount": 8}
    if field in ("share", "half_share", "sample_ratio"):
        axis["format"] = "~%"
    if field in ("groups", "sample_ratio"):
        axis["values"] = places
    kind = "log" if field == "sample_ratio" else "linear"
    scale = {"type": kind, "zero": False, "nice": False, "padding": 8}
    title = TITLES[field]
    return {"field": "x", "type": "quantitative", "title": title, "scale": scale, "axis": axis}


def _looks(series: Sequence[str], title: str, legend: bool) -> Spec:
    """Return the encodings of series, the same in all panels; methods have theirs everywhere."""
    known = list(dict.fromkeys(NAMES.values()))
    places = [known.index(name) if name in known else at for at, name in enumerate(series)]
    style = {"title": title, "orient": "bottom", "columns": 4, "symbolOpacity": 1}
    ranges = {"color": _COLOURS, "shape": _SHAPES, "strokeDash": _DASHES}
    return {
        name: {
            "field": "series",
            "legend": style if legend and name != "strokeDash" else None,
            "scale": {"domain": series, "range": [values[at % len(values)] for at in places]},
        }
        for name, values in ranges.items()
    }
