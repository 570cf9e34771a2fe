"""Write a report as one HTML page that needs nothing else: no script, no file, no network."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby
from pathlib import Path

from studies.paper.report import draw
from studies.paper.report.document import (
    Answer,
    Block,
    Cell,
    Figure,
    Finding,
    Items,
    Report,
    Section,
    Table,
)

STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
SIGNS = {
    "agrees": "✓",
    "agrees in part": "≈",
    "contradicts": "✗",
    "cannot be told": "?",
    "not run": "–",
}
LONG = 12
"""Rows from which a table is folded up."""


def write(report: Report) -> str:
    """Return the page."""
    return "\n".join(_page(report)) + "\n"


def _page(report: Report) -> Iterator[str]:
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    # Without it a browser asks for /favicon.ico.
    yield '<link rel="icon" href="data:,">'
    yield f"<title>{escape(report.title)}</title>\n<style>\n{STYLE}</style>\n</head>"
    yield "<body>\n<main>"
    yield f"<header>\n<h1>{escape(report.title)}</h1>"
    yield from (f"<p>{escape(text)}</p>" for text in report.lead)
    facts = (f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in report.facts)
    yield f'<dl class="facts">{"".join(facts)}</dl>\n</header>'
    yield from _contents(report)
    yield '<section id="answers">\n<h2>What the data say</h2>'
    yield from map(_answer, report.answers)
    yield "</section>"
    for section in report.sections:
        yield from _section(section)
    yield "</main>\n</body>\n</html>"


def _contents(report: Report) -> Iterator[str]:
    yield '<nav aria-label="Contents">\n<ul>\n<li><a href="#answers">What the data say</a></li>'
    for section in report.sections:
        yield f'<li><a href="#{section.name}">{escape(section.title)}</a></li>'
    yield "</ul>\n</nav>"


def _answer(answer: Answer) -> str:
    kind = answer.verdict.replace(" ", "-")
    return (
        f'<article class="answer {kind}">\n'
        f"<h3><span>{answer.name}</span> {escape(answer.question)}</h3>\n"
        f'<p class="verdict">{SIGNS[answer.verdict]} {answer.verdict}</p>\n'
        f'<p class="paper"><b>The paper:</b> {escape(answer.paper)}</p>\n'
        f"{''.join(map(_finding, answer.findings))}\n</article>"
    )


def _finding(finding: Finding) -> str:
    why = f'<p class="why">{escape(finding.why)}</p>' if finding.why else ""
    return f'<p class="ours"><b>Ours:</b> {escape(finding.sentence)}</p>{why}'


def _section(section: Section) -> Iterator[str]:
    yield f'<section id="{section.name}">\n<h2>{escape(section.title)}</h2>'
    yield from map(_block, section.blocks)
    yield "</section>"


def _block(block: Block) -> str:
    match block:
        case Table():
            return _table(block)
        case Figure():
            picture = draw.inline(block.svg, escape(block.alt))
            return (
                f"<figure>\n{picture}\n<figcaption>{escape(block.caption)}</figcaption>\n</figure>"
            )
        case Items():
            items = "".join(f"<li>{escape(text)}</li>" for text in block.items)
            return f"<p>{escape(block.lead)}</p>\n<ul>{items}</ul>"
        case str():
            return f"<p>{escape(block)}</p>"


def _table(table: Table) -> str:
    header = "".join(map(_column, table.header, _named(table)))
    rows = "\n".join(f"<tr>{row}</tr>" for row in _rows(table))
    body = f"<table>\n<thead><tr>{header}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>"
    caption = escape(table.caption)
    fold = "" if len(table.rows) > LONG else " open"
    return (
        f'<details{fold}>\n<summary>{caption}</summary>\n<div class="wide">{body}</div>\n</details>'
    )


def _named(table: Table) -> list[bool]:
    """Tell which columns are read as words: what names rows, and what is said of them."""
    first = table.rows[0] if table.rows else ()
    said = [all(_is_said(row[place]) for row in table.rows) for place in range(len(first))]
    return [cell.head or words for cell, words in zip(first, said, strict=True)]


def _is_said(cell: Cell) -> bool:
    return cell.data.endswith("/events") or not (cell.head or cell.data or cell.paper)


def _column(text: str, named: bool) -> str:
    kind = ' class="words"' if named else ""
    return f'<th scope="col"{kind}>{escape(text)}</th>'


def _rows(table: Table) -> Iterator[str]:
    """Yield rows; what names several in a row is written once."""
    spans = [_spans(table, place) for place in range(len(table.header))]
    for number, row in enumerate(table.rows):
        cells = (
            _cell(cell, spans[place][number])
            for place, cell in enumerate(row)
            if spans[place][number]
        )
        yield "".join(cells)


def _spans(table: Table, place: int) -> list[int]:
    """Return how many rows each cell of a column stands for; 0 where one above does."""
    named = bool(table.rows) and all(row[place].head for row in table.rows)
    if not named or place == len(table.header) - 1:
        return [1] * len(table.rows)
    keys = [tuple(cell.text for cell in row[: place + 1]) for row in table.rows]
    return [
        count if first == 0 else 0
        for count, first in (
            (len(group), position)
            for group in (list(same) for _, same in groupby(keys))
            for position in range(len(group))
        )
    ]


def _cell(cell: Cell, rows: int) -> str:
    span = f' rowspan="{rows}"' if rows > 1 else ""
    if cell.head:
        return f'<th scope="row"{span}>{escape(cell.text)}</th>'
    where = "".join(
        f' data-{name}="{escape(value)}"'
        for name, value in (("from", cell.data), ("paper", cell.paper))
        if value
    )
    kind = ' class="words"' if cell.text and _is_said(cell) else ""
    text = f"<b>{escape(cell.text)}</b>" if cell.strong else escape(cell.text)
    return f"<td{kind}{where}>{text}</td>"
