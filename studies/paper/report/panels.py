"""Pieces that several figures are put together from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import altair as alt

from studies.paper.report.results import Quantity
from studies.paper.report.style import FAINT, HEIGHT, INK, NARROW, WIDE, Look, encoded

Values = list[dict[str, Any]]

BARS: Final = "bars are 95 % Student intervals, cut at the frame"
BANDS: Final = "bands are 95 % Student intervals, cut at the frame"


def point(quantity: Quantity, **fields: Any) -> dict[str, Any]:
    """Return what is drawn of a quantity: ``value``, and ``low`` and ``high`` where known."""
    low, high = quantity.interval
    ends = {} if math.isinf(low) or math.isinf(high) else {"low": low, "high": high}
    return {**fields, "value": quantity.mean, **ends}


def finite(values: Iterable[dict[str, Any]]) -> Values:
    """Return what can be drawn."""
    return [value for value in values if math.isfinite(value["value"])]


def fitted(
    values: Values, title: str, *others: float, channel: Callable[..., Any] = alt.Y
) -> tuple[Values, Any]:
    """Return values, and an axis with room for them, their intervals, and other numbers."""
    ends = within(values, *others)
    axis = channel("value:Q", title=title).scale(domain=ends, zero=False, nice=False)
    return cut(values, ends), axis


def within(values: Values, *others: float) -> list[float]:
    """Return the ends of an axis.

    Intervals count only as far as they reach beyond all values by no more than these lie apart:
    those of two or three repetitions can be so wide that nothing else would be seen.
    """
    inner = [*(value["value"] for value in values), *others]
    outer = [*inner, *(value[end] for value in values for end in ("low", "high") if end in value)]
    reach = max(inner) - min(inner) or 0.05 * abs(max(inner)) or 1.0
    low = max(min(outer), min(inner) - reach)
    high = min(max(outer), max(inner) + reach)
    room = 0.07 * (high - low) or reach
    return [low - room, high + room]


def cut(values: Values, ends: Sequence[float]) -> Values:
    """Cut intervals off at the ends of an axis, which drawing them would change."""
    return [
        {
            key: min(max(part, ends[0]), ends[1]) if key in ("low", "high") else part
            for key, part in value.items()
        }
        for value in values
    ]


def epochs(first: int, last: int) -> Any:
    """Return an axis of epochs, with at most eight of them named."""
    steps = (one * 10**power for power in range(7) for one in (1, 2, 5))
    step = next(step for step in steps if (last - first) / step <= 7)
    shown = list(range(-(-first // step) * step, last + 1, step))
    return alt.X("epoch:Q", title="epoch, from 0").axis(values=shown, format="d", grid=False)


def base(values: Values) -> Any:
    """Return a chart of values, without any mark yet."""
    return alt.Chart(alt.InlineData(values=values))


def width_of(count: int) -> int:
    """Return the width of one of so many panels."""
    return WIDE if count == 1 else NARROW


def arrange(panels: Sequence[Any], spacing: int = 88) -> Any:
    """Put panels into rows of two, pixels between them for an axis, with one legend for all."""
    if len(panels) == 1:
        return panels[0]
    # Flush, so that titles are level whatever their axes have above them.
    rows = [
        alt.hconcat(*panels[i : i + 2], bounds="flush", spacing=spacing)
        for i in range(0, len(panels), 2)
    ]
    whole = alt.vconcat(*rows) if len(rows) > 1 else rows[0]
    return whole.resolve_scale(color="shared", shape="shared", strokeDash="shared")


def lines(
    values: Values,
    field: str,
    looks: dict[str, Look],
    x: Any,
    y: Any,
    *,
    marked: Sequence[Any] = (),
) -> Any:
    """Return lines of a named field over ``x``, bands for their intervals, and marks.

    ``marked`` says at which values of x there are marks; everywhere, if it is empty.
    """
    ends = [value for value in values if "low" in value]
    at = [value for value in values if not marked or value[x["shorthand"].split(":")[0]] in marked]
    shapes = encoded(field, looks)
    high = {"y": alt.Y("low:Q", title=y["title"]), "y2": "high:Q"}
    # Where all overlap, half of what is behind them is still seen.
    band = (
        base(ends)
        .mark_area(opacity=min(0.18, 0.6 / len(looks)))
        .encode(x=x, color=shapes["color"], **high)
    )
    line = base(values).mark_line(strokeWidth=2)
    mark = base(at).mark_point(filled=True, size=55, opacity=1)
    layers = [
        line.encode(x=x, y=y, color=shapes["color"], strokeDash=shapes["strokeDash"]),
        mark.encode(x=x, y=y, color=shapes["color"], shape=shapes["shape"]),
    ]
    return alt.layer(*([band] if ends else []), *layers)


def dots(values: Values, field: str, looks: dict[str, Look], x: Any, order: Sequence[str]) -> Any:
    """Return one line of the panel for each name: its mark, its interval, and the paper's tick.

    Values with a field ``paper`` are the paper's, and have no mark of their own.
    """
    y = alt.Y(f"{field}:N", title=None, sort=list(order)).axis(
        grid=True, gridDash=[1, 3], domain=False, ticks=False, labelLimit=220
    )
    ours = [value for value in values if not value.get("paper")]
    ends = [value for value in ours if "low" in value]
    papers = [value for value in values if value.get("paper")]
    shapes = encoded(field, looks, legend=False)
    whisker = (
        base(ends)
        .mark_rule(strokeWidth=2)
        .encode(x=alt.X("low:Q", title=x["title"]), x2="high:Q", y=y, color=shapes["color"])
    )
    mark = base(ours).mark_point(filled=True, size=110, opacity=1, stroke=INK, strokeWidth=0.7)
    tick = base(papers).mark_tick(color=INK, thickness=2.5, size=20, opacity=1)
    layers = [mark.encode(x=x, y=y, color=shapes["color"], shape=shapes["shape"])]
    layers = ([whisker] if ends else []) + layers + ([tick.encode(x=x, y=y)] if papers else [])
    return alt.layer(*layers)


def reference(value: float, title: str) -> Any:
    """Return a thin line at a value of ``x``, whose axis has this title."""
    line = base([{"at": value}]).mark_rule(color=FAINT, strokeDash=[4, 3])
    return line.encode(x=alt.X("at:Q", title=title))


def sized(panel: Any, title: str, width: int, height: int = HEIGHT) -> Any:
    """Return a panel with its title and size."""
    return panel.properties(title=title, width=width, height=height)
