"""From a chart to an SVG, without a network."""

from __future__ import annotations

import re
from typing import Any, Final

import altair as alt
import vl_convert

from studies.paper.report.style import FAINT, GRID, INK, PAPER, styled

_VERSION: Final = ".".join(alt.SCHEMA_VERSION.split(".")[:2])


def svg(chart: Any) -> str:
    """Return a chart in the report's style, as an SVG file for light pages."""
    specification = styled(chart).to_dict()
    # Marks describe themselves in words otherwise, thousands of them; a figure has one text.
    specification["config"]["aria"] = False
    drawn: str = vl_convert.vegalite_to_svg(
        specification, vl_version=_VERSION, allowed_base_urls=[]
    )
    return drawn


def inline(drawn: str, alt_text: str) -> str:
    """Return an SVG as a part of a page: it scales, takes the page's colours, and has a text.

    Parameters
    ----------
    drawn
        As ``svg`` returns it.
    alt_text
        Escaped already.
    """
    for colour, variable in ((INK, "ink"), (FAINT, "faint"), (GRID, "grid"), (PAPER, "paper")):
        drawn = drawn.replace(f'"{colour}"', f'"var(--{variable})"')

    def described(size: re.Match[str]) -> str:
        return f' role="img" aria-label="{alt_text}" style="max-width:{size[1]}px"'

    # The first size is that of the whole picture.
    return re.sub(r' width="([\d.]+)" height="[\d.]+"', described, drawn, count=1)
