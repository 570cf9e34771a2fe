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


def inline(drawn: str, name: str, alt_text: str) -> str:
    """Return an SVG as a part of a page: it scales, takes the page's colours, and has a text.

    Parameters
    ----------
    drawn
        As ``svg`` returns it.
    name
        Of the figure: ids in several pictures of one page must differ.
    alt_text
        Escaped already.
    """
    ids = re.findall(r'\bid="([^"]+)"', drawn)
    for found in ids:
        drawn = drawn.replace(f'id="{found}"', f'id="{name}-{found}"')
        drawn = drawn.replace(f"url(#{found})", f"url(#{name}-{found})")
    for colour, variable in ((INK, "ink"), (FAINT, "faint"), (GRID, "grid"), (PAPER, "paper")):
        drawn = drawn.replace(f'"{colour}"', f'"var(--{variable})"')
    drawn = re.sub(
        r'<svg\b([^>]*?) width="([\d.]+)" height="[\d.]+"',
        r'<svg\1 data-width="\2"',
        drawn,
        count=1,
    )
    width = re.search(r'data-width="([\d.]+)"', drawn)
    assert width is not None, "vl-convert writes a width"
    return drawn.replace(
        width[0], f'role="img" aria-label="{alt_text}" style="max-width:{width[1]}px"', 1
    )
