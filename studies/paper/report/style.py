"""One look for all figures: each method has its colour, dashes and mark, wherever it is drawn.

Colours are Okabe and Ito's, which people who confuse hues can tell apart, their yellow darkened, as
lines of it would not be seen on white; dashes and marks tell methods apart in grey print.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import altair as alt

from studies.paper.report.methods import name_of

INK: Final = "#1b1b1b"
"""Text and FP32; pages that have a dark mode put their own colour in its place."""
FAINT: Final = "#8a8a8a"
"""Axes, reference lines and intervals of no method."""
GRID: Final = "#e4e4e4"
PAPER: Final = "#fefefe"
"""Behind a figure."""

FONT: Final = "Helvetica, Arial, Liberation Sans, sans-serif"
WIDE, NARROW, HEIGHT = 550, 250, 250
"""Pixels of a panel: alone, one of two in a row; its height."""


class Look(NamedTuple):
    """How something is drawn."""

    colour: str
    dash: tuple[int, ...]
    """Lengths of dashes and gaps; empty is solid."""
    mark: str
    """Vega-Lite's name of a shape."""


SOLID: Final = ()
_BLUE, _SKY, _GREEN = "#0072B2", "#56B4E9", "#009E73"
_ORANGE, _RED, _PURPLE, _YELLOW = "#E69F00", "#D55E00", "#CC79A7", "#B3A000"

METHODS: Final = {
    "fp32": Look(INK, SOLID, "circle"),
    "half": Look(_SKY, (2, 2), "triangle-down"),
    "fp16": Look(_BLUE, (7, 3), "square"),
    "mascot-n1": Look(_BLUE, (7, 3), "square"),
    "mascot-n2": Look(_PURPLE, (9, 3, 2, 3), "triangle-up"),
    "mascot": Look(_RED, SOLID, "diamond"),
    "mpt": Look(_GREEN, (4, 2), "cross"),
    "muppet": Look(_ORANGE, (6, 2, 2, 2), "triangle-right"),
    "afp": Look(FAINT, (1, 2), "triangle-left"),
    "int8": Look(_YELLOW, (3, 3), "circle"),
    "mascot-int8": Look(_YELLOW, SOLID, "diamond"),
}

UNKNOWN: Final = Look(FAINT, SOLID, "circle")

SERIES: Final = {
    "users": Look(_BLUE, SOLID, "circle"),
    "items": Look(_ORANGE, (6, 3), "square"),
    "G1 (most-rated)": Look(_RED, SOLID, "circle"),
    "G2": Look(_ORANGE, (7, 3), "square"),
    "G3": Look(_SKY, (3, 2), "diamond"),
    "G4 (least-rated)": Look(_BLUE, (1, 2), "triangle-up"),
    "naive": Look(FAINT, (6, 3), "square"),
    "opt": Look(_BLUE, (3, 2), "triangle-up"),
    "ours": Look(_RED, SOLID, "diamond"),
}
"""What is no method."""

PERIODS: Final = {
    "π = 1": SERIES["G1 (most-rated)"],
    "π = 2": SERIES["G2"],
    "π = 4": SERIES["G3"],
    "π = 8": SERIES["G4 (least-rated)"],
}


def looks(methods: Sequence[str]) -> dict[str, Look]:
    """Return the looks of methods, by the names that are printed."""
    return {name_of(method): METHODS.get(method, UNKNOWN) for method in methods}


def encoded(field: str, shown: dict[str, Look], legend: bool = True) -> dict[str, Any]:
    """Return colour, dash and shape of a field of names, with one legend for all three."""
    domain = list(shown)
    key = None
    if legend and len(shown) > 1:
        key = alt.Legend(
            title=None,
            orient="bottom",
            columns=4,
            symbolSize=110,
            symbolOpacity=1,
            symbolStrokeWidth=0,
        )
    return {
        "color": alt.Color(f"{field}:N", legend=key).scale(
            domain=domain, range=[look.colour for look in shown.values()]
        ),
        "shape": alt.Shape(f"{field}:N", legend=key).scale(
            domain=domain, range=[look.mark for look in shown.values()]
        ),
        # Not in the legend, where it would tear marks to pieces; lines carry the marks.
        "strokeDash": alt.StrokeDash(f"{field}:N", legend=None).scale(
            domain=domain, range=[list(look.dash) or [1, 0] for look in shown.values()]
        ),
    }


def styled(chart: Any) -> Any:
    """Return a chart in the report's style."""
    text = {
        "font": FONT,
        "labelFontSize": 13.5,
        "titleFontSize": 13.5,
        "labelColor": INK,
        "titleColor": INK,
    }
    return (
        chart.configure(background=PAPER, font=FONT, padding=8)
        .configure_view(stroke=None)
        .configure_axis(
            **{name: value for name, value in text.items() if name != "font"},
            titleFontWeight="normal",
            gridColor=GRID,
            domainColor=FAINT,
            tickColor=FAINT,
            labelFlush=False,
            titlePadding=8,
            labelPadding=4,
        )
        .configure_legend(
            labelFontSize=13.5,
            labelColor=INK,
            labelLimit=260,
            columnPadding=18,
            rowPadding=5,
            padding=4,
        )
        .configure_title(fontSize=14, color=INK, fontWeight=600, anchor="start", offset=8)
        .configure_header(labelFontSize=13, labelColor=INK)
        .configure_concat(spacing=26)
    )
