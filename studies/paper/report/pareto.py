"""RMSE against the bytes that a rating moves: every method on one picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import altair as alt

from studies.paper.report import draw, panels
from studies.paper.report.document import Figure
from studies.paper.report.methods import Variant, variant
from studies.paper.report.results import Quantity, Results, Row, names
from studies.paper.report.style import FAINT, INK, METHODS, UNKNOWN, WIDE, encoded
from studies.paper.report.tables import repetitions

REACH: Final = 0.02
"""RMSE above the best one that the picture shows; what lies higher is drawn at its edge."""
HEIGHT: Final = 400
LINE: Final = 19
"""Pixels from one name to the next."""
FILLED: Final = {"filled": True, "stroke": INK, "strokeWidth": 0.7}
HOLLOW: Final = {"filled": False, "strokeWidth": 2}
"""How methods are marked, and variants of them."""


class Place(NamedTuple):
    """A variant, and where it lies."""

    variant: Variant
    rmse: Quantity
    loss: Quantity
    bytes: Quantity


def places(results: Results, data: str) -> list[Place]:
    """Return every variant measured on a data set, the most exact first.

    Those of Fig. 8 are added where ``beyond.json`` does not have them.
    """
    rows: list[Row] = [*results.rows("beyond"), *results.rows("fig8", "final")]
    found: dict[Variant, Place] = {}
    for row in rows:
        if row["data"] == data and math.isfinite(row.quantity("rmse").mean):
            quantities = map(row.quantity, ("rmse", "loss", "relative_bytes"))
            place = Place(variant(row), *quantities)
            found.setdefault(place.variant, place)
    return sorted(found.values(), key=lambda place: (place.rmse.mean, place.bytes.mean))


def front(candidates: Sequence[Place]) -> list[Place]:
    """Return those that no other beats in one of the two without losing in the other."""
    return [
        one
        for one in candidates
        if not any(
            other.rmse.mean <= one.rmse.mean
            and other.bytes.mean <= one.bytes.mean
            and (other.rmse.mean, other.bytes.mean) != (one.rmse.mean, one.bytes.mean)
            for other in candidates
        )
    ]


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move ascending positions apart, as little as one sweep either way can.

    Returns
    -------
    list[float]
        Ascending, at least ``gap`` apart, from ``low`` on; beyond ``high`` only where there are too
        many.
    """
    moved: list[float] = []
    for position in wanted:
        moved.append(max(position, moved[-1] + gap if moved else low))
    top = high
    for place in reversed(range(len(moved))):
        moved[place] = max(min(moved[place], top), low + place * gap)
        top = moved[place] - gap
    return moved


def pareto(results: Results) -> Figure:
    """Draw RMSE against bytes, one panel for each data set."""
    rows = (*results.rows("beyond"), *results.rows("fig8", "final"))
    drawn = [_panel(data, places(results, data)) for data in names(rows, "data")]
    chart = alt.vconcat(*drawn) if len(drawn) > 1 else drawn[0]
    return Figure(
        "pareto",
        draw.svg(chart),
        "Scatter plot: test RMSE of every method against the bytes it moves per rating.",
        f"RMSE against the bytes of rows that a rating moves, relative to FP32, "
        f"k = {results.factors}; left and low is better. Every visit of a row counts, those "
        f"too that runs of a user's ratings spare. "
        f"{repetitions([row.quantity('rmse') for row in rows])}, bars are 95 % Student intervals "
        f"of the difference to FP32 in the same repetition, as folds differ by more than methods. "
        f"The grey line joins what nothing else beats in both; hollow marks are variants of a "
        f"method; marks at the upper edge lie more than {REACH} above the best.",
    )


def _panel(data: str, candidates: Sequence[Place]) -> Any:
    best = candidates[0].rmse.mean
    shown = [min(place.rmse.mean, best + REACH) for place in candidates]
    room = max(0.0004, 0.06 * (shown[-1] - best))
    low, high = best - room, shown[-1] + room
    least = min(place.bytes.mean for place in candidates)
    most = max(place.bytes.mean for place in candidates)
    left = least - 0.05
    names_at = most + 0.09
    right = names_at + 0.62 * (names_at - left)
    step = (high - low) * LINE / HEIGHT
    texts = spread(shown, step, low, high)
    values = [
        _value(place, y, text, names_at, low, high)
        for place, y, text in zip(candidates, shown, texts, strict=True)
    ]
    bottom = max(high, texts[-1] + step / 2)
    ticks = [tick / 10 for tick in range(1, 11) if left <= tick / 10 <= names_at]
    x = (
        alt.X("bytes:Q", title="bytes moved per rating, relative to FP32")
        .scale(domain=[left, right], nice=False)
        .axis(values=ticks, titleAnchor="start", domain=False, ticks=False)
    )
    y = alt.Y("rmse:Q", title="test RMSE").scale(domain=[low, bottom], nice=False, zero=False)
    y = y.axis(tickCount=8, format=".4f" if high - low < 0.005 else ".3f")
    layers = [*_front(front(candidates), best + REACH, x, y), *_marks(values, x, y)]
    return alt.layer(*layers).properties(title=data, width=WIDE, height=HEIGHT)


def _value(
    place: Place, y: float, text: float, names_at: float, least: float, most: float
) -> dict[str, Any]:
    off = y < place.rmse.mean
    label = f"{place.variant.label}, {place.rmse.mean:.4f}" if off else place.variant.label
    low, high = (y - place.loss.mean + end for end in place.loss.interval)
    ends = {} if off or math.isinf(low) else {"low": max(low, least), "high": min(high, most)}
    return {
        "bytes": place.bytes.mean, "rmse": y, "name": label, "at": names_at, "text": text,
        "near": names_at - 0.012, "method": place.variant.method, **ends,
        "preset": place.variant == Variant(place.variant.method),
    }  # fmt: skip


def _front(best: Sequence[Place], top: float, x: Any, y: Any) -> list[Any]:
    corners = sorted((place.bytes.mean, min(place.rmse.mean, top)) for place in best)
    values = [{"bytes": at, "rmse": rmse} for at, rmse in corners]
    line = panels.base(values).mark_line(interpolate="step-after", color=FAINT, strokeWidth=1.5)
    return [line.encode(x=x, y=y)]


def _marks(values: panels.Values, x: Any, y: Any) -> list[Any]:
    looks = {value["name"]: METHODS.get(value["method"], UNKNOWN) for value in values}
    shapes = encoded("name", looks, legend=False)
    chart = panels.base(values)
    leader = chart.mark_rule(color=FAINT, strokeWidth=0.6, strokeDash=[1, 2])
    layers = [leader.encode(x=x, y=y, x2="near:Q", y2="text:Q")]
    ends = [value for value in values if "low" in value]
    if ends:
        whisker = panels.base(ends).mark_rule(strokeWidth=2)
        low = alt.Y("low:Q", title=y["title"])
        layers.append(whisker.encode(x=x, y=low, y2="high:Q", color=shapes["color"]))
    for preset, look in ((True, FILLED), (False, HOLLOW)):
        chosen = [value for value in values if value["preset"] is preset]
        mark = panels.base(chosen).mark_point(size=120, opacity=1, **look)
        layers.append(mark.encode(x=x, y=y, color=shapes["color"], shape=shapes["shape"]))
    text = chart.mark_text(align="left", fontSize=13, color=INK)
    layers.append(text.encode(x=alt.X("at:Q"), y=alt.Y("text:Q"), text="name:N"))
    return layers
