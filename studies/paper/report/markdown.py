"""Write a report as Markdown, with its pictures beside it."""

from __future__ import annotations

import re

from studies.paper.report.document import Block, Cell, Figure, Items, Report, Section, Table

FIGURES = "figures"
"""The folder of the pictures, beside the page."""


def write(report: Report) -> str:
    """Return the page."""
    parts = [f"# {report.title}", *report.lead]
    parts.append("\n".join(f"- **{name}**: {_text(value)}" for name, value in report.facts))
    parts += ["## What the data say", _answers(report)]
    parts += [
        f"**{answer.name}.** {_text(finding.why)}"
        for answer in report.answers
        for finding in answer.findings
        if finding.why
    ]
    parts += [_section(section) for section in report.sections]
    return "\n\n".join(parts) + "\n"


def _answers(report: Report) -> str:
    lines = ["| Question | The paper | Ours | Verdict |", "|---|---|---|---|"]
    for answer in report.answers:
        question = f"**{answer.name}.** {_text(answer.question)}"
        ours = "<br>".join(_text(finding.sentence) for finding in answer.findings) or "Not run."
        texts = (_text(answer.paper), ours, f"**{answer.verdict}**")
        lines.append(f"| {question} | {' | '.join(texts)} |")
    return "\n".join(lines)


def _section(section: Section) -> str:
    return "\n\n".join([f"## {section.title}", *map(_block, section.blocks)])


def _block(block: Block) -> str:
    match block:
        case Table():
            return _table(block)
        case Figure():
            return f"![{block.alt}]({FIGURES}/{block.name}.svg)\n\n{_text(block.caption)}"
        case Items():
            return "\n".join([_text(block.lead), "", *(f"- {_text(text)}" for text in block.items)])
        case str():
            return _text(block)


def _table(table: Table) -> str:
    lines = [
        f"*{_text(table.caption)}*",
        "",
        "| " + " | ".join(map(_text, table.header)) + " |",
        "|" + "|".join("---" if text else "---:" for text in _named(table)) + "|",
    ]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in table.rows]
    return "\n".join(lines)


def _cell(cell: Cell) -> str:
    return f"**{_text(cell.text)}**" if cell.strong else _text(cell.text)


def _named(table: Table) -> list[bool]:
    """Tell which columns name rows."""
    first: tuple[Cell, ...] = table.rows[0] if table.rows else ()
    return [cell.head for cell in first] or [False] * len(table.header)


def _text(text: str) -> str:
    """Escape what Markdown would take for markup."""
    return re.sub(r"([\\|<>*_`\[\]])", r"\\\1", text)
