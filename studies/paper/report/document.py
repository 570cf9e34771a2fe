"""What a report is made of, whatever it is written as."""

from __future__ import annotations

from typing import Literal, NamedTuple

Verdict = Literal["agrees", "agrees in part", "contradicts", "cannot be told", "not run"]


class Cell(NamedTuple):
    """One cell of a table, and where its number comes from."""

    text: str
    data: str = ""
    """Where it stands in the result files; a quotient has two places, with a space between."""
    paper: str = ""
    """Likewise among the published values."""
    head: bool = False
    """It names the row."""
    strong: bool = False
    """It stands out."""


class Table(NamedTuple):
    """A table: the first row of cells under the header, and so on."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


class Figure(NamedTuple):
    """A picture."""

    name: str
    """Of its file, without suffix."""
    svg: str
    alt: str
    caption: str


class Items(NamedTuple):
    """A list of sentences, and what leads to it."""

    lead: str
    items: tuple[str, ...]


Block = str | Items | Table | Figure
"""A part of a section; a text is a paragraph."""


class Finding(NamedTuple):
    """What one data set says to a question."""

    sentence: str
    why: str
    """Why it contradicts the paper, where it does; else empty."""


class Answer(NamedTuple):
    """What the data say to a research question."""

    name: str
    question: str
    paper: str
    """What the paper says, in a few words."""
    verdict: Verdict
    findings: tuple[Finding, ...]
    """None where nothing has been run."""


class Section(NamedTuple):
    """A heading and what follows it."""

    name: str
    title: str
    blocks: tuple[Block, ...]


class Report(NamedTuple):
    """The whole of it."""

    title: str
    lead: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    answers: tuple[Answer, ...]
    sections: tuple[Section, ...]
